"""Means of bounded numbers of which only the sum over all trajectories was kept.

So many calls of a trajectory draft a token at a position of the window, or accept it: calls of one trajectory
depend on each other, and trajectories do not. Of n independent numbers in [0, most] with sum S,
Hoeffding (1963), Theorem 1, (2.1), says

    P(S / (n most) >= s) <= exp(-n D(s, m / most))  for s > m / most, m their mean,

D the relative entropy of coins, and likewise below. It needs nothing but the sum and holds whatever the
distribution on [0, most]: neither the calls of a trajectory nor what is counted in several sums need be
independent. What it pays is that it knows no variance but the largest that a mean of m allows, m (most - m).
"""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.evidence.interval import ROUNDING, Interval, error_of, scaled_residuals
from simlab.evidence.shares import lower_end
from simlab.evidence.verdict import (
    FALSE_ALARM,
    MISS,
    Verdict,
    detectable_of,
    error_shares,
    method_of,
    status_of,
)


def sums_interval(sums, trajectories: int, most, confidence: float, looks: int = 1) -> Interval:
    """Means per trajectory and intervals that hold all of them at once with probability >= confidence.

    sums: whole numbers (K,), each over all trajectories; trajectories: n >= 1, fixed beforehand. most:
    numbers (K,), what one trajectory can add at most. looks: as for `mean_interval`. Returns float64 arrays
    (K,), 0 <= low <= estimate <= high <= most. Raises SimlabError for sums that are not whole numbers in
    [0, n most], shapes that disagree, a confidence outside (0, 1) or looks < 1. Source: the module's
    docstring; the error is divided by K looks (Bonferroni).
    """
    return sums_interval_at(sums, trajectories, most, error_of(confidence) / check_count("looks", looks))


def sums_interval_at(sums, trajectories: int, most, error: float) -> Interval:
    """`sums_interval` by its error probability, which 1 - confidence would round."""
    sums, most, n = _checked(sums, trajectories, most)
    limit = math.log(2 * max(len(sums), 1) / error) / n
    low, high = np.zeros(len(sums)), np.zeros(len(sums))
    for index, (total, bound) in enumerate(zip(sums.tolist(), most.tolist(), strict=True)):
        share = min(total / (n * bound), 1.0) if bound else 0.0
        low[index] = bound * lower_end(share, limit)
        high[index] = bound * (1 - lower_end(1 - share, limit))
    estimate = sums / n
    return Interval(estimate, np.minimum(low, estimate), np.maximum(high, estimate))


def ratio_interval(part: Interval, whole: Interval) -> Interval:
    """Ratios of means, part/whole, from intervals of both that hold at once; part <= whole. Arrays (K,).

    nan where nothing of the whole was seen. Source: the ratio rises in one and falls in the other.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.divide(part.estimate, whole.estimate)
        low, high = np.divide(part.low, whole.high), np.divide(part.high, whole.low)
        high = np.maximum(estimate, np.minimum(high, 1.0))
    return Interval(estimate, low, high)


def sums_verdict(
    name: str,
    sums,
    trajectories: int,
    most,
    exact,
    *,
    resolution: float,
    cell: str = "mean {0}",
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Are the means per trajectory `exact`, all of them? For sizes as `mean_verdict` has them.

    sums, trajectories, most: as for `sums_interval`, K >= 1. exact: floats (K,). resolution: a difference of
    any one mean. cell: what a mean is called, {0} its position from 1. Raises SimlabError as `sums_interval`
    does, for exact values that are not finite or an error / looks outside [1e-100, 1). Source:
    `sums_interval`.
    """
    sums, most, n = _checked(sums, trajectories, most)
    exact, looks = np.asarray(exact, float), check_count("looks", looks)
    if exact.shape != sums.shape or not sums.size or not np.isfinite(exact).all():
        raise SimlabError(f"{name}: give a finite exact value for each of at least one sum")
    error, missing = error_shares(false_alarm, miss, looks)
    band = sums_interval_at(sums, n, most, error)
    slack = ROUNDING * np.maximum(1.0, np.abs(exact))
    outside = (exact < band.low - slack) | (exact > band.high + slack) | ((exact == 0) & (sums > 0))
    distance = np.abs(scaled_residuals(band, exact))
    index = int(np.argmax(np.where(outside, 2 + distance, np.minimum(distance, 1))))
    # A given discrepancy has its position, so missing it takes the interval of that one alone.
    alone = sums_interval_at(sums, n, most, missing * len(sums))
    detectable = detectable_of(band, alone)
    return Verdict(
        name=name,
        kind="equality",
        status=status_of(bool(outside.any()), detectable, resolution),
        statistic=f"{cell.format(index + 1)}, the furthest out of {len(sums)}",
        estimate=float(band.estimate[index]),
        exact=float(exact[index]),
        low=float(band.low[index]),
        high=float(band.high[index]),
        false_alarm=float(false_alarm),
        miss=float(miss),
        detectable=detectable,
        resolution=float(resolution),
        trajectories=n,
        method=method_of(looks),
    )


def _checked(sums, trajectories, most) -> tuple[np.ndarray, np.ndarray, int]:
    n = check_count("trajectories", trajectories)
    sums, most = np.asarray(sums), np.asarray(most, float)
    if sums.ndim != 1 or sums.dtype.kind not in "iu" or most.shape != sums.shape:
        raise SimlabError(
            f"sums of shape {sums.shape} and type {sums.dtype}, most of {most.shape}: "
            "give whole numbers (K,) and as many bounds"
        )
    wrong = ~((most >= 0) & np.isfinite(most) & (sums >= 0) & (sums <= n * most * (1 + ROUNDING)))
    if wrong.any():
        index = int(wrong.argmax())
        raise SimlabError(
            f"sums[{index}] = {sums[index]} of {n} trajectories with at most {most[index]:g} each: "
            "give a sum that there can be"
        )
    return sums, most, n
