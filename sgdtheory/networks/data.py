"""Data made for small networks: classes that a straight line does not part, with known noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError

RandomState = int | np.random.Generator | np.random.SeedSequence | None
Examples = tuple[NDArray[np.float64], NDArray[np.int64]]


def spirals(n: int, classes: int = 2, *, turns: float = 0.75, noise: float = 0.05, rng: RandomState = None) -> Examples:
    """Draw points on arms of a spiral, one arm a class.

    Parameters
    ----------
    n : int
        Examples; classes in turn, as evenly as n allows.
    classes : int
    turns : float
        Of an arm around the origin.
    noise : float
        Standard deviation of either coordinate, the arms ending at radius 1.
    rng : int, Generator, SeedSequence or None

    Returns
    -------
    x : ndarray, shape (n, 2)
    y : int array, shape (n,)

    Examples
    --------
    >>> x, y = spirals(6, 3, rng=0)
    >>> x.shape, y.tolist()
    ((6, 2), [0, 1, 2, 0, 1, 2])
    """
    _check_count(n, classes)
    generator, y = np.random.default_rng(rng), np.arange(n) % classes
    radius = np.sqrt(generator.uniform(0.02, 1, n))
    angle = 2 * np.pi * (y / classes + turns * radius)
    points = radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + noise * generator.standard_normal((n, 2)), y


def blobs(n: int, inputs: int, classes: int, *, spread: float = 0.5, rng: RandomState = None) -> Examples:
    """Draw normal clouds around centres that are standard normal themselves, one cloud a class.

    Parameters
    ----------
    n, inputs, classes : int
    spread : float
        Standard deviation of every coordinate within a cloud, that of the centres being 1.
    rng : int, Generator, SeedSequence or None

    Returns
    -------
    x : ndarray, shape (n, inputs)
    y : int array, shape (n,)

    Examples
    --------
    >>> x, y = blobs(4, 10, 2, rng=0)
    >>> x.shape, y.tolist()
    ((4, 10), [0, 1, 0, 1])
    """
    _check_count(n, classes)
    generator, y = np.random.default_rng(rng), np.arange(n) % classes
    centres = generator.standard_normal((classes, inputs))
    return centres[y] + spread * generator.standard_normal((n, inputs)), y


def bars(n: int, size: int = 8, *, noise: float = 0.3, rng: RandomState = None) -> Examples:
    """Draw images of one bar each, lying (class 0), standing (1) or slanting (2), in noise.

    Parameters
    ----------
    n : int
    size : int
        Pixels of an edge, ≥ 3.
    noise : float
        Standard deviation of every pixel, the bar being 1.
    rng : int, Generator, SeedSequence or None

    Returns
    -------
    x : ndarray, shape (n, 1, size, size)
    y : int array, shape (n,)

    Examples
    --------
    >>> bars(3, 5, rng=0)[0].shape
    (3, 1, 5, 5)
    """
    _check_count(n, 3)
    if size < 3:
        raise ArgumentError("size", size, "a whole number >= 3")
    generator, y = np.random.default_rng(rng), np.arange(n) % 3
    places, line = generator.integers(size, size=n), np.arange(size)
    images = noise * generator.standard_normal((n, 1, size, size))
    for image, kind, place in zip(images[:, 0], y, places, strict=True):
        rows = (np.full(size, place), line, line)[kind]
        columns = (line, np.full(size, place), (line + place) % size)[kind]
        image[rows, columns] += 1
    return images, y


def _check_count(n: int, classes: int) -> None:
    for name, value in (("n", n), ("classes", classes)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ArgumentError(name, value, "a whole number >= 1")
    if n < classes:
        raise ArgumentError("n", n, f"at least one example for each of the {classes} classes")
