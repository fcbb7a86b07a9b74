"""Verdicts on means of bounded real numbers, one an environment: equal to, at most, or rising at a rate."""

from __future__ import annotations

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.evidence.interval import ROUNDING, Interval
from simlab.evidence.mean import sample_mean_ends_at, sample_mean_interval_at
from simlab.evidence.verdict import (
    FALSE_ALARM,
    MISS,
    Status,
    Verdict,
    at_each,
    check_finite,
    error_shares,
    judge_mean,
    method_of,
)


def sample_mean_verdict(
    name: str,
    values,
    exact: float,
    *,
    most: float,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "mean",
) -> Verdict:
    """Is the mean of independent numbers in [0, most] `exact`? For a sample size fixed beforehand.

    values, most: as for `sample_mean_interval`. resolution: in their unit. Raises SimlabError for values
    outside [0, most] or none, an exact value that is not finite, or an error outside [1e-100, 1).
    Source: `sample_mean_interval`.
    """
    return judge_mean(
        name,
        *_intervals(values, most, *error_shares(false_alarm, miss)),
        exact,
        trajectories=len(values),
        method=method_of(1),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        statistic=statistic,
    )


def bound_verdict(
    name: str,
    values,
    bound: float,
    *,
    most: float,
    lost: float = 0.0,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "mean",
) -> Verdict:
    """Is the mean of independent numbers at most `bound`? For a sample size fixed beforehand.

    values: floats (n,), each the number itself or `most`, if that is less. lost: at most how much of the mean
    was cut off so; the verdict is on the mean of the whole numbers. FAIL if the lower end at false_alarm,
    one-sided, is above the bound: cutting off cannot cause that. PASS if the mean is below bound +
    resolution, but for the probability `miss`. Raises SimlabError for values outside [0, most] or none, a
    bound that is not finite, lost < 0, or an error outside [1e-100, 1). Source:
    `sample_mean_interval` and the docstring of `simlab.evidence.verdict`.
    """
    bound = check_finite(name, bound)
    lost = check_number("lost", lost, least=0.0)
    estimate, low, high = sample_mean_ends_at(values, most, *error_shares(false_alarm, miss))
    high += lost
    if low > bound + ROUNDING * max(1.0, abs(bound)):
        status = Status.FAIL
    else:
        status = Status.PASS if high <= bound + resolution else Status.INCONCLUSIVE
    return Verdict(
        name=name,
        kind="bound",
        status=status,
        statistic=statistic,
        estimate=estimate,
        exact=bound,
        low=low,
        high=high,
        false_alarm=float(false_alarm),
        miss=float(miss),
        detectable=high - low,
        resolution=float(resolution),
        trajectories=len(values),
        method=method_of(1),
    )


def rate_verdict(
    name: str,
    slopes,
    rate: float,
    *,
    least: float,
    most: float,
    allowance: float,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "slope",
) -> Verdict:
    """Is the mean of independent slopes in [least, most] within `allowance` of `rate`?

    slopes: floats (n,), one an environment, each a linear function of what was measured there; n fixed
    beforehand. allowance: how far the mean slope may be from the rate for reasons known beforehand, such as
    that the rate is a limit; it is part of what is claimed. FAIL if the interval lies outside [rate -
    allowance, rate + allowance]. resolution: how far from the rate a mean slope is to be noticed, so more
    than the allowance. Raises SimlabError for slopes outside [least, most] or none, most < least, a rate that
    is not finite, allowance < 0, or an error outside [1e-100, 1). Source: `sample_mean_interval`.
    """
    least = check_number("least", least)
    most = check_number("most", most, least=least)
    allowance = check_number("allowance", allowance, least=0.0)
    slopes = np.asarray(slopes)
    if slopes.dtype.kind not in "iuf":
        raise SimlabError(f"slopes of type {slopes.dtype}; expected numbers")
    return judge_mean(
        name,
        *(
            Interval(*(end + least for end in interval))
            for interval in _intervals(slopes - least, most - least, *error_shares(false_alarm, miss))
        ),
        rate,
        trajectories=len(slopes),
        method=method_of(1),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        kind="rate",
        statistic=statistic,
        allowance=allowance,
    )


def _intervals(values, most: float, error: float, miss: float) -> tuple[Interval, Interval]:
    """The intervals at the false alarm and at the miss."""
    return at_each((error, miss), lambda level: sample_mean_interval_at(values, most, level))
