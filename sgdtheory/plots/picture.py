"""A picture of the gallery: the figure, what it shows, and the claims it leans on."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One figure with its caption.

    Parameters
    ----------
    name : str
        File name without ending.
    title : str
        One line.
    caption : str
        What is drawn, with the numbers that matter; plain text.
    claims : tuple of str
        Ids of the claims the theory curves come from.
    figure : Figure
    """

    name: str
    title: str
    caption: str
    claims: tuple[str, ...]
    figure: Figure
