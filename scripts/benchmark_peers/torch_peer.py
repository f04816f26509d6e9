"""PyTorch, gradients by hand (autograd would only add to it), eager and compiled; on one thread or a card."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision

torch.set_num_threads(1)
BLOCK, CARD_BLOCK = 8192, 2**20


def competitors(work: str, size: Size, device: str = "cpu") -> list[Competitor]:
    """Return those who can do the work."""
    double, single = torch.float64, torch.float32
    step = {"examples": _example_step, "sums": _sums_step, "langevin": _langevin_step}[work]
    start = (task.WELL_START,) if work == "langevin" else task.START
    where, block = ("cuda", CARD_BLOCK) if device == "gpu" else ("cpu", BLOCK)
    replicas = size.replicas if work == "examples" else 8 * size.replicas
    replicas = CARD_BLOCK if device == "gpu" and size.enough else replicas

    def competitor(name: str, dtype: torch.dtype, step: Callable[..., tuple[torch.Tensor, ...]]) -> Competitor:
        def run(seed: int, replicas: int) -> Array:
            torch.manual_seed(seed)
            parts = []
            with torch.no_grad():
                for first in range(0, replicas, block):
                    w = tuple(torch.full((min(block, replicas - first),), s, dtype=dtype, device=where) for s in start)
                    for _ in range(size.steps):
                        w = step(*w, size.batch)
                    parts.append(torch.stack(w, dim=1))
            return torch.cat(parts).double().cpu().numpy()

        return Competitor(name, precision(str(dtype).removeprefix("torch.")), run, size.steps, replicas)

    found = [competitor("PyTorch", dtype, step) for dtype in (double, single)]
    if work == "examples" and size.enough and device == "cpu":  # compiling takes half a minute
        # eager's generator: the compiler's own is twenty times slower
        compiled = torch.compile(step, dynamic=False, options={"fallback_random": True})
        found.append(competitor("PyTorch, torch.compile", single, compiled))
    return found


def _descend(w1: torch.Tensor, w2: torch.Tensor, xx: torch.Tensor, xy: torch.Tensor) -> tuple[torch.Tensor, ...]:
    error = (w1 * w2 * w2 * xx - xy) * task.LR
    return w1 - error * w2 * w2, w2 - error * (2 * w1 * w2)


def _example_step(w1: torch.Tensor, w2: torch.Tensor, batch: int) -> tuple[torch.Tensor, ...]:
    x, y = torch.randn((2, batch, len(w1)), dtype=w1.dtype, device=w1.device)
    return _descend(w1, w2, (x * x).mean(0), (x * y).mean(0))


def _sums_step(w1: torch.Tensor, w2: torch.Tensor, batch: int) -> tuple[torch.Tensor, ...]:
    xx = 2 * torch._standard_gamma(torch.full_like(w1, batch / 2))
    return _descend(w1, w2, xx / batch, torch.randn_like(w1) * xx.sqrt() / batch)


def _langevin_step(w: torch.Tensor, batch: int) -> tuple[torch.Tensor, ...]:
    kick = (2 * task.WELL_LR * task.WELL_TEMPERATURE) ** 0.5
    return (w - task.WELL_LR * (w * w * w - w) + kick * torch.randn_like(w),)
