"""diffrax: Euler's method on the Langevin equation, with its quick Brownian path and with the recommended one."""

from __future__ import annotations

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np

import benchmark_peers.jax_peer  # noqa: F401  it sets threads and precision before JAX starts
from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision


def competitors(work: str, size: Size) -> list[Competitor]:
    """Return those who can do the work."""
    if work != "langevin":
        return []
    end = size.steps * task.WELL_LR

    def unsafe(shape: jax.ShapeDtypeStruct, key: jax.Array) -> diffrax.AbstractBrownianPath:
        return diffrax.UnsafeBrownianPath(shape, key)

    def tree(shape: jax.ShapeDtypeStruct, key: jax.Array) -> diffrax.AbstractBrownianPath:
        return diffrax.VirtualBrownianTree(0.0, end, task.WELL_LR / 2, shape, key)

    double = precision("float64")
    many, few = 2 * size.replicas, size.replicas // 4
    return [
        Competitor("diffrax, UnsafeBrownianPath", double, _ensemble(unsafe, end, many), size.steps, many),
        Competitor("diffrax, VirtualBrownianTree", double, _ensemble(tree, end, few), size.steps, few),
    ]


def _ensemble(
    path: Callable[[jax.ShapeDtypeStruct, jax.Array], diffrax.AbstractBrownianPath], end: float, replicas: int
) -> Callable[[int, int], Array]:
    kick = (2 * task.WELL_TEMPERATURE) ** 0.5

    @jax.jit
    def solve(key: jax.Array) -> jax.Array:
        brownian = path(jax.ShapeDtypeStruct((replicas,), jnp.float64), key)
        noise = diffrax.ControlTerm(lambda t, w, _: lineax.DiagonalLinearOperator(jnp.full_like(w, kick)), brownian)
        drift = diffrax.ODETerm(lambda t, w, args: w - w * w * w)
        return diffrax.diffeqsolve(
            diffrax.MultiTerm(drift, noise), diffrax.Euler(), 0.0, end, task.WELL_LR,
            jnp.full(replicas, task.WELL_START), adjoint=diffrax.DirectAdjoint(), max_steps=None,
        ).ys[0]  # fmt: skip

    return lambda seed, replicas: np.asarray(solve(jax.random.key(seed)))[:, None]
