"""The bibliography: every place a formula was taken from, once."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Source:
    """Where a statement comes from.

    Parameters
    ----------
    author, title : str
        As printed.
    year : int
        Year of publication.
    place : str
        Journal, archive id, or site.
    at : str
        Equation, slide or section.

    Examples
    --------
    >>> str(SHAH_2020.where("definition of LCANaive"))
    'Shah (2020), Comment on Loss Change Allocation, definition of LCANaive'
    """

    author: str
    year: int
    title: str
    place: str = ""
    at: str = ""

    def where(self, at: str) -> Source:
        """Point to one equation, slide or section of the source."""
        return replace(self, at=at)

    def __str__(self) -> str:
        return f"{self.author} ({self.year}), {self.title}" + (f", {self.at}" if self.at else "")


HERE = Source("sgdtheory", 2026, "derived in this project")
SHAH_2020 = Source("Shah", 2020, "Comment on Loss Change Allocation", "Alignment Forum shortform")
LAN_2019 = Source(
    "Lan, Liu, Zhou, Yosinski", 2019, "LCA: Loss Change Allocation for Neural Network Training", "NeurIPS"
)
MCALLESTER_2018 = Source("McAllester", 2018, "TTIC 31230 lectures, Stochastic Gradient Descent", "Winter 2018 slides")
CORLOUER_MACE_2024 = Source(
    "Corlouer, Macé", 2024, "Degeneracies are sticky for SGD", "Alignment Forum; code gcorlouer/SLTforSGD"
)
BEMENT_2026 = Source("pb1729", 2026, "The Training Example Lie Bracket", "pbement.com and its discussion thread")
POLYAK_1964 = Source("Polyak", 1964, "Some methods of speeding up the convergence of iteration methods")
SUTSKEVER_2013 = Source(
    "Sutskever, Martens, Dahl, Hinton", 2013, "On the importance of initialization and momentum in deep learning"
)
ROBBINS_MONRO_1951 = Source("Robbins, Monro", 1951, "A stochastic approximation method")
KINGMA_BA_2015 = Source("Kingma, Ba", 2015, "Adam: a method for stochastic optimization", "ICLR")
WELLING_TEH_2011 = Source("Welling, Teh", 2011, "Bayesian learning via stochastic gradient Langevin dynamics", "ICML")
GHOSH_2023 = Source(
    "Ghosh, Lyu, Zhang, Wang",
    2023,
    "Implicit regularization in heavy-ball momentum accelerated stochastic gradient descent",
    "ICLR",
)
COHEN_2022 = Source("Cohen and others", 2022, "Adaptive gradient methods at the edge of stability", "arXiv 2207.14484")
