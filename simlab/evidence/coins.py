"""The interval of Clopper and Pearson for one binomial count, without SciPy.

Loading `scipy.special` takes longer than all else of a plan from a log; tables of counts take
`bands.clopper_pearson`, which needs it. Here the beta distribution is integrated by Gauss and Legendre's rule
in panels about its mode, where its density is smooth, and the quantile is found in the panel that has it.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.errors import SimlabError

PANELS, NODES = 48, 16
BEYOND = 45.0
"""Natural logarithms below the density's maximum, and below the tail, where it is taken for nothing."""

HALVINGS = 60


def coin_interval(hits: int, trials: int, tail: float) -> tuple[float, float]:
    """The ends of the exact interval of a binomial probability, each missing with probability <= tail.

    As `bands.clopper_pearson`, to rounding. hits: 0..trials; trials >= 1; tail: in (0, 1/2]. Raises
    SimlabError for hits outside. Source: Clopper and Pearson, Biometrika 1934.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise SimlabError(f"hits = {hits} is not valid; expected 0 to {trials}, of at least one trial")
    low = beta_quantile(hits, trials - hits + 1, tail) if hits else 0.0
    high = 1 - beta_quantile(trials - hits, hits + 1, tail) if hits < trials else 1.0
    return low, high


def beta_quantile(a: int, b: int, tail: float) -> float:
    """The x with P(X <= x) = tail for X of the beta distribution, a and b >= 1."""
    mode = (a - 1) / (a + b - 2) if a + b > 2 else 0.5

    def log_density(x):
        """Against its maximum, so that nothing large cancels; `BEYOND` keeps x within (0, 1)."""
        with np.errstate(divide="ignore"):
            left = (a - 1) * np.log1p((x - mode) / mode) if a > 1 else 0.0
            right = (b - 1) * np.log1p((mode - x) / (1 - mode)) if b > 1 else 0.0
        return left + right

    lowest = math.log(tail) - BEYOND
    low, high = (_last(lambda x: log_density(x) > lowest, mode, end) for end in (0.0, 1.0))
    edges = np.linspace(low, high, PANELS + 1)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)

    def masses(begin, end):
        """Of each panel, up to the one factor."""
        half = (end - begin)[:, None] / 2
        return (np.exp(log_density(begin[:, None] + half * (1 + nodes))) * weights * half).sum(axis=1)

    panels = masses(edges[:-1], edges[1:])
    below = np.concatenate([[0.0], np.cumsum(panels)])
    wanted = tail * below[-1]
    at = min(int(np.searchsorted(below, wanted, side="right")) - 1, PANELS - 1)
    start = edges[at : at + 1]
    return float(
        _last(lambda x: below[at] + masses(start, np.array([x]))[0] <= wanted, edges[at], edges[at + 1])
    )


def _last(holds, inside: float, outside: float) -> float:
    """The last number on the way to `outside` for which it holds, to rounding; it holds `inside`."""
    if holds(outside):
        return outside
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
