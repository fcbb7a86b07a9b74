"""The bound of `bounds` with the distribution's own renewal function (own).

    E[X] <= min over t of P e^-t + E[sum over n >= 1 of (1 - e^{S_n - t})_+]

is computed on a lattice, and stays a bound. Let each probability p of each row be rounded, by a coin of its
own, to one of its neighbours e^{-kh} >= p > e^{-(k+1)h}, with its mean kept. Along a path the roundings are
independent, so the rounded path probability has the mean pi(v) given the rows, and by Jensen

    E[(pi(v) - theta)_+] can only grow,

(x - theta)_+ being convex. Many-to-one holds for the rounded numbers too: their step has the distribution f_k
of the lattice, f of total mass E[sum p] = 1, to which p in the cell above gives, weighed by p,

    (1 - e^{-(k+1)h} / p) / (1 - e^-h)  of its p to k,  the rest to k + 1.

The mean step changes by h^2 / 12 only, where rounding all steps down would take h / 2. With u_k = E #{n >= 1:
S_n = kh}, u = f + f * u, the bound at t = jh is P e^{-jh} + sum_{k <= j} (1 - e^{(k-j)h}) u_k, and as it is
linear in e^-t between lattice points the minimum over t is among them.

How far t must go: from t = jh to the next point the bound changes by 1 - e^-h times

    sum_{k <= j} e^{(k-j)h} u_k - P e^{-jh} = e^{-jh} (M_j - P),    M_j = sum_{k <= j} e^{kh} u_k,

and M_j, the mean number of nodes above e^{-jh}, rises with j. So the bound falls until M_j >= P and rises
from there on: a lattice that reaches such a j has the minimum over all t, for P and all smaller capacities.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.errors import SimlabError
from simlab.laws import Dirichlet, Law, Softmax
from simlab.theory.speed_of_light.bounds import check_capacity
from simlab.theory.speed_of_light.steps import atoms, moments

CERTAIN = 1e-14
"""Of a smaller entropy 1 - f_0 keeps no digits; P, which is a bound as well, is then next to E[X]."""

ACCURACY = 1e-4
"""How far above its limit for h -> 0 the bound is to lie, in tokens, for smooth distributions."""

BLOCK = 128
"""Cells of the lattice that are found together."""

DOUBLINGS = 3
"""Capacities share a lattice with those to the next power of 2^DOUBLINGS, whichever of them are asked for."""

LEAST_CELLS, MOST_CELLS = 4_000, 20_000
"""Of the lattice. Where MOST_CELLS does not reach ACCURACY the bound is a little larger, but a bound."""


def renewal_bound(law: Law, capacity) -> np.ndarray:
    """The least P e^-t + integral of e^{r-t} U(r) dr over t, for the distribution's own U: E[X] is at most
    that.

    law: Dirichlet, Zipf or Rows of `simlab.laws`. capacity: P >= 1, of any shape; returns float64 of that
    shape, at most P. It is E[X] of the best tree itself, but for the lattice, where the environment is not
    random (all nodes have one row), and exceeds it by o(1) as P grows otherwise (the proof of `asymptote`);
    what the lattice adds is 1e-4 tokens, up to 2e-3 where all steps are nearly the multiples of one number,
    more where mu < 0.05. The bound of one capacity is the same whichever others are asked for with it.
    Certain up to the rounding of float64. Raises SimlabError for a Softmax, whose step has no cheap
    distribution function, for anything but a distribution, and for a capacity below 1. Source: the module's
    docstring.
    """
    capacity = check_capacity(capacity)
    if isinstance(law, Softmax):
        raise SimlabError(
            "no renewal bound for a softmax of Gaussian logits: its step has no cheap distribution function; "
            "use dual_bound"
        )
    entropy = moments(law).entropy
    if entropy <= CERTAIN or capacity.size == 0:
        return capacity.copy()
    bounds, groups = capacity.copy(), np.ceil(np.frexp(capacity)[1] / DOUBLINGS)
    for group in np.unique(groups):
        thresholds, above = _thresholds(law, entropy, math.log(2) * DOUBLINGS * group)
        shared = groups == group
        bounds[shared] = [min((one * np.exp(-thresholds) + above).min(), one) for one in capacity[shared]]
    return bounds


def _thresholds(law: Law, entropy: float, log_capacity: float) -> tuple[np.ndarray, np.ndarray]:
    """t = jh and sum_{k <= j} (1 - e^{(k-j)h}) u_k, as far as that capacity and smaller ones need."""
    reach = np.logaddexp(0.0, math.log(entropy) + log_capacity) + 3.0
    while True:
        width, cells = _lattice(entropy, reach)
        renewals = _renewals(_step_masses(law, width, cells))
        thresholds = width * np.arange(cells)
        grown = _grown(renewals, width)
        if grown[-1] >= math.exp(log_capacity - thresholds[-1]):
            return thresholds, np.cumsum(renewals) - grown
        reach *= 1.5


def _lattice(entropy: float, reach: float) -> tuple[float, int]:
    """Width and number of cells: t up to `reach`, and t / mu^2 h^2 / 12 <= ACCURACY.

    The width divides mu, so that where all rows are uniform all steps are on the lattice.
    """
    width = min(entropy * math.sqrt(12 * ACCURACY / reach), reach / LEAST_CELLS)
    width = max(width, reach / MOST_CELLS)
    if width < entropy:
        width = entropy / math.ceil(entropy / width)
    return width, math.ceil(reach / width) + 1


def _step_masses(law: Law, width: float, cells: int) -> np.ndarray:
    """f_0 .. f_{cells - 1}, from the mass and the number of p in each cell [e^{-(k+1)h}, e^{-kh}]."""
    edges = np.exp(-width * np.arange(cells + 1))
    if isinstance(law, Dirichlet):
        mass, number = _dirichlet_cells(law, edges)
    else:
        steps, masses = atoms(law)
        cell = np.minimum((steps / width).astype(np.int64), cells)
        inside = cell < cells
        steps, masses, cell = steps[inside], masses[inside], cell[inside]
        mass = np.bincount(cell, masses, cells)
        number = np.bincount(cell, masses * np.exp(steps), cells)
    lower = np.clip((mass - edges[1:] * number) / -math.expm1(-width), 0.0, mass)
    found = lower.copy()
    found[1:] += (mass - lower)[:-1]
    return found


def _dirichlet_cells(law: Dirichlet, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[sum of p] and E[number of p] between neighbouring edges, by the Beta distributions of one token."""
    from scipy.special import betainc, betaincc

    a, d = law.concentration, (law.states - 1) * law.concentration
    # Each difference from the side on which the distribution function is small.
    near_one = int(np.count_nonzero(edges[1:] > 0.5))
    mass, number = (
        np.append(
            np.diff(betaincc(first, d, edges[: near_one + 1])), -np.diff(betainc(first, d, edges[near_one:]))
        )
        for first in (a + 1, a)
    )
    return np.maximum(mass, 0.0), np.maximum(law.states * number, 0.0)


def _renewals(steps: np.ndarray) -> np.ndarray:
    """u_0, u_1, ..: u + delta_0 = 1 / (1 - f) = v as power series, found by blocks.

    v_k = v_0 sum_{j<k} f_{k-j} v_j. In a block that starts at s the part of the sum with j < s, b_i, is a
    correlation. The rest is a renewal equation again, solved by v itself: v_{s+i} = sum_{m<=i} v_{i-m} b_m.
    No term is negative.
    """
    found = np.empty(len(steps))
    found[0] = 1 / (1 - steps[0])
    for k in range(1, min(BLOCK, len(steps))):
        found[k] = steps[k:0:-1] @ found[:k] * found[0]
    for start in range(BLOCK, len(steps), BLOCK):
        size = min(BLOCK, len(steps) - start)
        before = np.correlate(steps[1 : start + size], found[start - 1 :: -1][:start], "valid")
        found[start : start + size] = np.convolve(found[:size], before)[:size]
    found[0] -= 1
    return found


def _grown(renewals: np.ndarray, width: float) -> np.ndarray:
    """sum_{k <= j} e^{(k-j)h} u_k for all j, by blocks in which no power overflows."""
    grown, block = np.empty(len(renewals)), max(1, min(BLOCK, int(100 / width)))
    shrinking, total = np.exp(-width * np.arange(block)), 0.0
    for start in range(0, len(renewals), block):
        some = renewals[start : start + block]
        factors = shrinking[: len(some)]
        grown[start : start + block] = factors * (np.cumsum(some / factors) + total * math.exp(-width))
        total = grown[start + len(some) - 1]
    return grown
