"""Counts whose distribution is known given something that differs from one to the next: a text, say.

*Sums*: independent counts c_1..c_n in 0..T, each with a distribution of its own that is known exactly. The
distribution of their sum is the convolution, so that a sum too far out in a tail of it refutes the claim: no
inequality stands between, and what the counts are conditioned on adds no spread. What would have been
noticed is found from the differences c_i - E[c_i], independent numbers in [-T, T] of whatever distribution
the truth gives them, by the interval for one sample.

*Flags*: each is 1 with a probability that is known once all before it are. Whatever decides whether there is
a next one, as long as there are at most N, Azuma (1967) and Hoeffding (1963) bound the sum of flag -
probability by sqrt(N log(1/error) / 2) a side. The same holds of flag - true probability, so the bound says
what would have been noticed, too (own; nothing is assumed of the truth but that there are N flags at most).
"""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval
from simlab.evidence.mean import signed_mean_interval_at
from simlab.evidence.verdict import FALSE_ALARM, MISS, Verdict, error_shares, judge_mean, method_of


def known_sums_verdict(
    name: str,
    counts,
    pmfs,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "mean of counted - exact",
    allowance: float = 0.0,
) -> Verdict:
    """Do independent counts have the distributions that are told of them, by their sum? n fixed beforehand.

    counts: whole numbers (n,) in 0..T. pmfs: floats (n, T + 1), the distribution of each. `estimate`, `low`
    and `high` are of the mean of c_i - E[c_i], `exact` is 0. resolution: of that mean. allowance: how far it
    may be from 0 for reasons known beforehand. Raises SimlabError for shapes that disagree, counts outside
    0..T, pmfs that are no distributions, or an error outside [1e-100, 1). Source: the module's docstring.
    """
    counts, pmfs = _checked(name, counts, pmfs)
    n, most = len(counts), pmfs.shape[1] - 1
    expected = pmfs @ np.arange(most + 1)
    differences = counts - expected
    alarm, missed = error_shares(false_alarm, miss)
    total = pmfs[0]
    for pmf in pmfs[1:]:
        total = np.convolve(total, pmf)
    least, largest = (_tail_end(total, alarm / 2), _tail_end(total[::-1], alarm / 2))
    fewest, greatest = least, n * most - largest
    estimate, middle = float(differences.mean()), float(expected.sum())
    interval = Interval(estimate, estimate - (greatest - middle) / n, estimate + (middle - fewest) / n)
    return judge_mean(
        name,
        interval,
        signed_mean_interval_at(differences, float(most), missed),
        0.0,
        trajectories=n,
        method=method_of(1),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        statistic=statistic,
        allowance=check_number("allowance", allowance, least=0.0),
    )


def known_flags_verdict(
    name: str,
    flags,
    probabilities,
    trajectories: int,
    most: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "flags beyond their probabilities, a trajectory",
    allowance: float = 0.0,
) -> Verdict:
    """Is each flag 1 with the probability told, in the mean? n = trajectories fixed beforehand.

    flags: 0 and 1, (N,). probabilities: (N,). most: how many flags a trajectory can have at most, known
    beforehand. `estimate`, `low` and `high` are of the sum of flag - probability over n, `exact` is 0;
    resolution and allowance in that unit. Raises SimlabError for other flags or probabilities, more flags
    than n most, or an error outside [1e-100, 1). Source: the module's docstring.
    """
    n, most = check_count("trajectories", trajectories), check_number("most", most, least=0.0)
    flags, probabilities = np.asarray(flags, float), np.asarray(probabilities, float)
    if flags.ndim != 1 or flags.shape != probabilities.shape or len(flags) > n * most:
        raise SimlabError(
            f"{name}: {flags.shape} flags and {probabilities.shape} probabilities; expected as many (N,), at "
            f"most {n * most:g}"
        )
    if not (np.isin(flags, (0, 1)).all() and ((probabilities >= 0) & (probabilities <= 1)).all()):
        raise SimlabError(f"{name}: expected flags 0 and 1, and probabilities in [0, 1]")
    estimate = float((flags - probabilities).sum()) / n
    widths = [math.sqrt(most * math.log(2 / error) / (2 * n)) for error in error_shares(false_alarm, miss)]
    return judge_mean(
        name,
        *(Interval(estimate, estimate - width, estimate + width) for width in widths),
        0.0,
        trajectories=n,
        method=method_of(1),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        statistic=statistic,
        allowance=check_number("allowance", allowance, least=0.0),
    )


def _tail_end(pmf: np.ndarray, error: float) -> int:
    """The least count that is not refuted: P(at most so many) > error."""
    return int(np.argmax(np.cumsum(pmf) > error))


def _checked(name: str, counts, pmfs) -> tuple[np.ndarray, np.ndarray]:
    counts, pmfs = np.asarray(counts), np.asarray(pmfs, float)
    if counts.ndim != 1 or not counts.size or pmfs.ndim != 2 or len(pmfs) != len(counts):
        raise SimlabError(
            f"{name}: counts of shape {counts.shape} and distributions of shape {pmfs.shape}; expected (n,) "
            "and (n, T + 1)"
        )
    if counts.dtype.kind not in "iu" or counts.min() < 0 or counts.max() >= pmfs.shape[1]:
        raise SimlabError(f"{name}: expected whole numbers from 0 to {pmfs.shape[1] - 1}")
    if not ((pmfs >= 0).all() and np.abs(pmfs.sum(axis=1) - 1).max() < 1e-9):
        raise SimlabError(f"{name}: expected distributions, not negative and of sum 1")
    return counts, pmfs
