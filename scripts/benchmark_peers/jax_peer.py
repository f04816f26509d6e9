"""JAX: one jitted scan over the steps; its default generator is its fastest here, in large blocks of replicas."""

from __future__ import annotations

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision

# one thread, as all others; read when the backend starts, with the first array
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
jax.config.update("jax_enable_x64", True)
BLOCK, CARD_BLOCK = 8192, 2**20


def competitors(work: str, size: Size, device: str = "cpu") -> list[Competitor]:
    """Return those who can do the work."""
    step = {"examples": _example_step, "sums": _sums_step, "langevin": _langevin_step}[work]
    start = (task.WELL_START,) if work == "langevin" else task.START
    jax.config.update("jax_platforms", "cuda" if device == "gpu" else "cpu")  # before the first array
    replicas = size.replicas if work == "examples" else 2 * size.replicas
    replicas = CARD_BLOCK if device == "gpu" and size.enough else replicas
    block = min(CARD_BLOCK if device == "gpu" else BLOCK, replicas)
    return [
        Competitor("JAX", precision(dtype), _ensemble(step, np.dtype(dtype), start, size, block), size.steps, replicas)
        for dtype in ("float64", "float32")
    ]


def _ensemble(
    step: Callable[..., tuple[jax.Array, ...]], dtype: np.dtype, start: tuple[float, ...], size: Size, many: int
) -> Callable[[int, int], Array]:
    @jax.jit
    def block(key: jax.Array) -> jax.Array:
        w = tuple(jnp.full(many, s, dtype) for s in start)
        keys = jax.random.split(key, size.steps)
        w, _ = jax.lax.scan(lambda w, key: (step(key, *w, size.batch), None), w, keys)
        return jnp.stack(w, axis=1)

    def run(seed: int, replicas: int) -> Array:
        keys = jax.random.split(jax.random.key(seed), -(-replicas // many))
        return np.concatenate([np.asarray(block(key), float) for key in keys])[:replicas]

    return run


def _descend(w1: jax.Array, w2: jax.Array, xx: jax.Array, xy: jax.Array) -> tuple[jax.Array, ...]:
    error = (w1 * w2 * w2 * xx - xy) * task.LR
    return w1 - error * w2 * w2, w2 - error * (2 * w1 * w2)


def _example_step(key: jax.Array, w1: jax.Array, w2: jax.Array, batch: int) -> tuple[jax.Array, ...]:
    x, y = jax.random.normal(key, (2, batch, len(w1)), w1.dtype)
    return _descend(w1, w2, (x * x).mean(0), (x * y).mean(0))


def _sums_step(key: jax.Array, w1: jax.Array, w2: jax.Array, batch: int) -> tuple[jax.Array, ...]:
    first, second = jax.random.split(key)
    xx = jax.random.chisquare(first, batch, w1.shape, w1.dtype)
    xy = jax.random.normal(second, w1.shape, w1.dtype) * jnp.sqrt(xx)
    return _descend(w1, w2, xx / batch, xy / batch)


def _langevin_step(key: jax.Array, w: jax.Array, batch: int) -> tuple[jax.Array, ...]:
    kick = (2 * task.WELL_LR * task.WELL_TEMPERATURE) ** 0.5
    return (w - task.WELL_LR * (w * w * w - w) + kick * jax.random.normal(key, w.shape, w.dtype),)
