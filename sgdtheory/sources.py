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
MCCANDLISH_2018 = Source(
    "McCandlish, Kaplan, Amodei, and the OpenAI Dota Team",
    2018,
    "An empirical model of large-batch training",
    "arXiv:1812.06162",
)
MCALLESTER_2020 = Source("McAllester", 2020, "TTIC 31230 lectures and problem sets", "GitHub, mcallester/ttic-31230")
AMARI_1998 = Source("Amari", 1998, "Natural gradient works efficiently in learning", "Neural Computation")
NAZARETH_1979 = Source(
    "Nazareth", 1979, "A relationship between the BFGS and conjugate gradient algorithms", "SIAM J. Numer. Anal."
)
SQUIRE_TRAPP_1998 = Source(
    "Squire, Trapp", 1998, "Using complex variables to estimate derivatives of real functions", "SIAM Review"
)
SAXE_2014 = Source(
    "Saxe, McClelland, Ganguli",
    2014,
    "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    "ICLR",
)
MA_2018 = Source(
    "Ma, Bassily, Belkin",
    2018,
    "The Power of Interpolation: Understanding the Effectiveness of SGD in Modern Over-parametrized Learning",
    "ICML",
)
DEFOSSEZ_BACH_2015 = Source(
    "Défossez, Bach",
    2015,
    "Averaged Least-Mean-Squares: Bias-Variance Trade-offs and Optimal Sampling Distributions",
    "AISTATS",
)
KESTEN_1973 = Source("Kesten", 1973, "Random difference equations and renewal theory for products of random matrices")
GOLDIE_1991 = Source("Goldie", 1991, "Implicit renewal theory and tails of solutions of random equations")
YAIDA_2018 = Source("Yaida", 2018, "Fluctuation-dissipation relations for stochastic gradient descent", "ICLR 2019")
LI_TAI_E_2019 = Source(
    "Li, Tai, E", 2019, "Stochastic modified equations and dynamics of stochastic gradient algorithms I", "JMLR"
)
POLYAK_JUDITSKY_1992 = Source(
    "Polyak, Juditsky", 1992, "Acceleration of stochastic approximation by averaging", "SIAM J. Control Optim."
)
GHOSH_2023 = Source(
    "Ghosh, Lyu, Zhang, Wang",
    2023,
    "Implicit regularization in heavy-ball momentum accelerated stochastic gradient descent",
    "ICLR",
)
COHEN_2022 = Source("Cohen and others", 2022, "Adaptive gradient methods at the edge of stability", "arXiv 2207.14484")
WATANABE_2009 = Source("Watanabe", 2009, "Algebraic geometry and statistical learning theory", "Cambridge")
AOYAGI_WATANABE_2005 = Source(
    "Aoyagi, Watanabe",
    2005,
    "Stochastic complexities of reduced rank regression in Bayesian estimation",
    "Neural Networks",
)
VARCHENKO_1976 = Source("Varchenko", 1976, "Newton polyhedra and estimation of oscillating integrals")
LAU_2023 = Source(
    "Lau, Furman, Wang, Murfet, Wei", 2023, "The local learning coefficient: a singularity-aware complexity measure"
)
HAUSDORFF_1906 = Source("Hausdorff", 1906, "Die symbolische Exponentialformel in der Gruppentheorie")
BARRETT_DHERIN_2021 = Source("Barrett, Dherin", 2021, "Implicit gradient regularization", "ICLR")
SMITH_2021 = Source(
    "Smith, Dherin, Barrett, De",
    2021,
    "On the origin of implicit regularization in stochastic gradient descent",
    "ICLR",
)
DHERIN_2023 = Source("Dherin", 2023, "Implicit biases in multitask and continual learning", "arXiv:2311.00235")
KALMAN_1960 = Source("Kalman", 1960, "A new approach to linear filtering and prediction problems")
LI_2018 = Source(
    "Li, Xu, Taylor, Studer, Goldstein", 2018, "Visualizing the loss landscape of neural nets", "NeurIPS; its code"
)
WILD_2018 = Source("Wild", 2018, "Summary of Visualizing the loss landscape of neural nets", "ShortScience")
ANTOGNINI_2018 = Source(
    "Antognini, Sohl-Dickstein", 2018, "PCA of high dimensional random walks with comparison to neural network training"
)
WAN_2021 = Source(
    "Wan, Zhu, Zhang, Sun", 2021, "Spherical motion dynamics: learning dynamics of normalized neural network", "NeurIPS"
)
DINH_2017 = Source("Dinh, Pascanu, Bengio, Bengio", 2017, "Sharp minima can generalize for deep nets", "ICML")
BOTTCHER_WHEELER_2024 = Source(
    "Böttcher, Wheeler",
    2024,
    "Visualizing high-dimensional loss landscapes with Hessian directions",
    "arXiv:2208.13219",
)
