"""torchsde: Euler's method on the Langevin equation."""

from __future__ import annotations

import torch
import torchsde

import benchmark_peers.torch_peer  # noqa: F401  it sets the number of threads
from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision


class Well(torch.nn.Module):
    """dw = −L'(w) dt + √(2T) dW."""

    noise_type, sde_type = "diagonal", "ito"

    def f(self, t: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Return the drift."""
        return w - w * w * w

    def g(self, t: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Return the diffusion."""
        return torch.full_like(w, (2 * task.WELL_TEMPERATURE) ** 0.5)


def competitors(work: str, size: Size) -> list[Competitor]:
    """Return those who can do the work."""
    if work != "langevin":
        return []

    def run(seed: int, replicas: int) -> Array:
        torch.manual_seed(seed)
        start = torch.full((replicas, 1), task.WELL_START, dtype=torch.float64)
        times = torch.tensor([0.0, size.steps * task.WELL_LR], dtype=torch.float64)
        with torch.no_grad():
            return torchsde.sdeint(Well(), start, times, dt=task.WELL_LR, method="euler")[-1].numpy()

    return [Competitor("torchsde", precision("float64"), run, size.steps, size.replicas)]
