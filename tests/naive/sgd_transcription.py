"""Gradient descent as textbooks write it, one replica at a time, on random numbers looked up by their address.

Nothing here knows how kernels are generated: the update rules are written from their definitions, and what is shared
is only where a stream of words begins, (key, replica, step, purpose), and for how long it is drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sgdtheory.kernels.random import DATA, INDEX, SPAN, advance, half_square, normal_pair, threefry, uniform

Key = tuple[int, int, int, int]
Gradient = Callable[[int, float], float]
"""(step, point) → the gradient of that step's batch at the point."""


def sgd(start: float, steps: int, gradient: Gradient, lr: float) -> list[float]:
    """w ← w − η ĝ(w)."""
    w, path = start, [start]
    for step in range(1, steps + 1):
        w = w - lr * gradient(step, w)
        path.append(w)
    return path


def heavy_ball(start: float, steps: int, gradient: Gradient, lr: float, momentum: float) -> list[float]:
    """Polyak: w_{k+1} = w_k − η ĝ(w_k) + μ (w_k − w_{k−1})."""
    path = [start]
    before = start
    for step in range(1, steps + 1):
        now = path[-1]
        path.append(now - lr * gradient(step, now) + momentum * (now - before))
        before = now
    return path


def averaged_momentum(start: float, steps: int, gradient: Gradient, lr: float, momentum: float) -> list[float]:
    """Descend along a running average of the gradients."""
    average, path = 0.0, [start]
    for step in range(1, steps + 1):
        average = momentum * average + (1 - momentum) * gradient(step, path[-1])
        path.append(path[-1] - lr * average)
    return path


def nesterov(start: float, steps: int, gradient: Gradient, lr: float, momentum: float) -> list[float]:
    """Sutskever: look ahead, w + μΔ, and take the gradient there: Δ ← μΔ − η ĝ(w + μΔ), w ← w + Δ."""
    move, path = 0.0, [start]
    for step in range(1, steps + 1):
        move = momentum * move - lr * gradient(step, path[-1] + momentum * move)
        path.append(path[-1] + move)
    return path


class Stream:
    """The words of one replica for one purpose: begun again at every step of batches of sixteen, more rarely else."""

    def __init__(self, key: Key, replica: int, purpose: int, batch: int) -> None:
        self.address, self.span, self.step = (key, replica, purpose), max(SPAN // batch, 1), 0
        self.state: tuple[int, ...] = ()

    def at(self, step: int) -> Stream:
        """Go on to a step; steps must be asked for in their order, once or more each."""
        if step != self.step and (step - 1) % self.span == 0:
            key, replica, purpose = self.address
            self.state = threefry(key, replica, step, 0, purpose)
        self.step = step
        return self

    def word(self) -> int:
        word, *rest = advance(*self.state)
        self.state = tuple(rest)
        return word

    def uniform(self) -> float:
        return uniform(self.word(), self.word())

    def normals(self) -> tuple[float, float]:
        x, y, z = self.word(), self.word(), self.word()
        return normal_pair(half_square(x, y), x, z)


def regression_on_fresh_data(key: Key, replica: int, batch: int, noise_std: float) -> Gradient:
    """Half squared error of y ≈ w x, with x standard normal and y normal noise, both new for every example."""

    stream = Stream(key, replica, DATA, batch)

    def gradient(step: int, w: float) -> float:
        total = 0.0
        stream.at(step)
        for _ in range(batch):
            x, standard = stream.normals()
            y = noise_std * standard
            total += (w * x - y) * x
        return total / batch

    return gradient


def regression_on_samples(xs: list[float], ys: list[float], batches: Iterator[list[int]]) -> Gradient:
    """Half squared error of y ≈ w x on the samples of the next batch."""

    def gradient(step: int, w: float) -> float:
        batch = next(batches)
        return sum((w * xs[i] - ys[i]) * xs[i] for i in batch) / len(batch)

    return gradient


def draw_with_replacement(key: Key, replica: int, samples: int, batch: int) -> Iterator[list[int]]:
    """Batch after batch of independent, uniform sample numbers."""
    stream, step = Stream(key, replica, INDEX, batch), 0
    while True:
        step += 1
        stream.at(step)
        yield [int(stream.uniform() * samples) for _ in range(batch)]


def draw_without_replacement(key: Key, replica: int, samples: int, batch: int) -> Iterator[list[int]]:
    """Batch after batch; an epoch uses no sample twice, and its last incomplete batch is dropped.

    Within an epoch the next sample is drawn from the row of those that remain; the drawn ones are swapped to its front,
    and the row goes on into the next epoch as it is.
    """
    row, used, step = list(range(samples)), 0, 0
    stream = Stream(key, replica, INDEX, batch)
    while True:
        step += 1
        stream.at(step)
        if samples - used < batch:
            used = 0
        chosen = []
        for _ in range(batch):
            remaining = samples - used
            pick = used + int(stream.uniform() * remaining)
            row[used], row[pick] = row[pick], row[used]
            chosen.append(row[used])
            used += 1
        yield chosen
