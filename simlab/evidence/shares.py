"""The share of matches won, where the matches are independent but need not be alike.

Matches to one prompt have one distribution and those to another prompt another. Given the prompts, the points
are independent numbers in [0, 1], and their mean has the expectation that the exact theory averages over the
same
prompts: no spread between prompts widens the interval.
"""

from __future__ import annotations

import math

from simlab.checks import check_count
from simlab.evidence.interval import Interval, error_of, last_true
from simlab.evidence.mean import divergence


def share_interval(half_points: int, matches: int, confidence: float) -> Interval:
    """The share won and an interval that holds its expectation with probability >= confidence.

    half_points: two for each win, one for each tie; matches: how many there were, >= 1, a number fixed
    beforehand. Hoeffding (1963), Theorem 1, (2.1): for n independent numbers in [0, 1] whose expectations
    have the mean m, P(their mean >= s) <= exp(-n D(s, m)) for s > m, D the relative entropy of coins, and
    likewise below: valid at every n, without approximation. Returns floats. Raises SimlabError for half
    points that are not a whole number from 0 to 2 matches, or a confidence outside (0, 1).
    """
    return share_interval_at(half_points, matches, error_of(confidence))


def share_interval_at(half_points: int, matches: int, error: float) -> Interval:
    """`share_interval` by its error probability, which 1 - confidence would round."""
    matches = check_count("matches", matches)
    half_points = check_count("half_points", half_points, least=0, most=2 * matches)
    share = half_points / (2 * matches)
    limit = math.log(2 / error) / matches
    return Interval(share, lower_end(share, limit), 1 - lower_end(1 - share, limit))


def lower_end(share: float, limit: float) -> float:
    """The least m with D(share, m) <= limit, up to rounding, by which it is too small."""
    if share <= 0:
        return 0.0
    return float(last_true(lambda m: divergence(share, m) <= limit, share, 0.0)[1])
