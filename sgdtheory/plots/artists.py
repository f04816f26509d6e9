"""Artists several figures share: data in, Axes drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType
from numpy.typing import ArrayLike, NDArray

from sgdtheory.plots.style import BLACK, GREY


@dataclass(frozen=True)
class Look:
    """How one series is drawn: colour, marker and line differ together, so that colour is never the only difference.

    Parameters
    ----------
    label : str
        In the legend.
    color, marker : str
        As matplotlib names them.
    line : line style
        A name or a dash pattern of matplotlib's.
    """

    label: str
    color: str
    marker: str = "o"
    line: LineStyleType = "-"


def theory(axes: Axes, x: ArrayLike, y: ArrayLike, look: Look) -> None:
    """Draw a formula: a line without markers."""
    axes.plot(x, y, color=look.color, linestyle=look.line, label=look.label)


def measured(axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, error: ArrayLike | None = None) -> None:
    """Draw simulated values: hollow markers without a line, with error bars ± `error`."""
    axes.errorbar(
        x, y, yerr=error, color=look.color, marker=look.marker, linestyle="none", label=look.label,
        markerfacecolor="white", markersize=6, markeredgewidth=1.4, elinewidth=1.2, capsize=2.5, zorder=3,
    )  # fmt: skip


def legend(axes: Axes, looks: Sequence[Look], **options: Any) -> None:
    """Name each series once, by its line and marker together; `options` go to ``Axes.legend``."""
    handles = [
        Line2D([], [], color=k.color, marker=k.marker, linestyle=k.line, label=k.label, markerfacecolor="white")
        for k in looks
    ]
    axes.legend(handles=handles, handlelength=2.6, **options)


def limit(axes: Axes, x: float, text: str, height: float = 0.5, side: str = "left") -> None:
    """Mark a limit on the x axis: a dotted vertical line with its name beside it, at a height given as a fraction."""
    axes.axvline(x, color=BLACK, linestyle=":", linewidth=1.2)
    shift = -4 if side == "left" else 4
    axes.annotate(
        text, (x, height), xycoords=axes.get_xaxis_transform(), xytext=(shift, 0), textcoords="offset points",
        ha="right" if side == "left" else "left", va="center", fontsize=9.5,
    )  # fmt: skip


def floor(axes: Axes, y: float, text: str) -> None:
    """Mark a level below which nothing can be measured: a dotted horizontal line, its name at the right end."""
    axes.axhline(y, color=BLACK, linestyle=":", linewidth=1.2)
    axes.annotate(
        text, (1, y), xycoords=axes.get_yaxis_transform(), xytext=(-4, 4), textcoords="offset points",
        ha="right", fontsize=9.5,
    )  # fmt: skip


def slope_triangle(axes: Axes, x: float, y: float, slope: float, decades: float = 1.0) -> None:
    """Draw a triangle of the given slope on logarithmic axes, its corner at (x, y), the slope written beside it."""
    far_x, far_y = x * 10**decades, y * 10 ** (slope * decades)
    axes.plot([x, far_x, far_x, x], [y, y, far_y, y], color=GREY, linewidth=1.1)
    middle = y * 10 ** (slope * decades / 2)
    axes.annotate(
        f"{slope:g}", (far_x, middle), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5, color=GREY
    )


def log_grid(low: float, high: float, per_decade: int) -> NDArray[np.float64]:
    """Return points from low to high, equally spaced in the logarithm."""
    return np.geomspace(low, high, 1 + round(per_decade * np.log10(high / low)))
