"""A number of tokens beyond which no tree gains more than a little: what makes E[X | environment] bounded."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from simlab.checks import check_count, check_number
from simlab.laws import Law
from simlab.theory.speed_of_light.steps import transform_gap

CHERNOFF = np.geomspace(0.05, 16.0, 21)
"""The exponents s that `cap` tries: any is valid, and the bound is flat around the best."""

LEAST_PHI = 1e-10
"""A transform below this is taken to be this: 1 minus it keeps no digits of a smaller one."""


def cap(law: Law, capacity: int, remainder: float = 1e-3) -> tuple[int, float]:
    """A whole number c and a rho <= remainder with E[(E[X | environment] - c)_+] <= rho, for any tree (own).

    An environment's E[X | environment] is at most P, which is too much for intervals of bounded means; but
    E[min(E[X | environment], c)] <= E[X] <= E[min(E[X | environment], c)] + rho. law: of `simlab.laws`.
    capacity: P, a whole number >= 1. c is the least that the bound below allows, at least 1 and at most P,
    where rho is 0; it is P where every row is certain.

    Proof. By Jensen the loss is at most E[(X - c)_+] = E[sum of pi over the tree's nodes deeper than c].
    Those with pi < e^-L add at most P e^-L, the others sum_{n > c} P(S_n <= L) in the mean (many-to-one), and
    P(S_n <= L) <= e^{sL} phi(s)^n for every s > 0, phi(s) = E[e^{-s step}] (Chernoff). With a =
    phi(s)^{c+1} / (1 - phi(s)) that is P e^-L + a e^{sL}, and for the best L (1 + 1/s) P (s a / P)^{1/(1+s)}.

    Raises SimlabError as `moments` does, for a capacity below 1 and a remainder that is not above 0.
    """
    capacity = check_count("capacity", capacity)
    remainder = check_number("remainder", remainder, above=0.0)
    gap = _gaps(law)
    some = gap > 0
    if not some.any():
        return capacity, 0.0
    s, gap = CHERNOFF[some], gap[some]
    log_phi = np.log1p(-np.minimum(gap, 1 - LEAST_PHI))
    # log rho = offset + (c + 1) log_phi / (1 + s)
    offset = np.log1p(1 / s) + math.log(capacity) + (np.log(s) - np.log(gap) - math.log(capacity)) / (1 + s)
    with np.errstate(over="ignore"):
        needed = np.ceil((math.log(remainder) - offset) * (1 + s) / log_phi - 1)
    least = max(float(needed.min()), 1.0)
    if least >= capacity:
        return capacity, 0.0
    lost = float(np.exp(np.min(offset + (least + 1) * log_phi / (1 + s))))
    return int(least), min(lost, remainder)


@lru_cache(maxsize=256)
def _gaps(law: Law) -> np.ndarray:
    """1 - phi at the exponents tried, remembered: it takes longer than the rest, and capacities share it."""
    gaps = transform_gap(law, CHERNOFF)
    gaps.flags.writeable = False
    return gaps
