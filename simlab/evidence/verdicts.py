"""Verdicts on counts: is what was simulated what was predicted? `verdict` beside this says what they mean."""

from __future__ import annotations

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.evidence.bands import check_tokens, clopper_pearson
from simlab.evidence.interval import ROUNDING, Interval, check_histogram, scaled_residuals
from simlab.evidence.mean import mean_interval_at
from simlab.evidence.sequence import confidence_sequence_at
from simlab.evidence.shares import share_interval_at
from simlab.evidence.total_variation import check_deviations, total_variation_interval_at
from simlab.evidence.verdict import (
    FALSE_ALARM,
    MISS,
    Verdict,
    at_each,
    detectable_of,
    error_share,
    error_shares,
    judge_mean,
    method_of,
    status_of,
)

NEARLY = 1e-14
"""How far below 1 a total variation may lie that is given as 1: it is a sum of rounded masses."""


def mean_verdict(
    name: str,
    histogram,
    exact: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Is the mean of the counts `exact`? For a sample size fixed beforehand, or one of `looks` such sizes.

    histogram: whole numbers (T+1,). resolution: in the unit of the counts. looks: as for `pmf_verdict`.
    Raises SimlabError for a malformed histogram, an exact value that is not finite, looks < 1, or a
    false_alarm / looks or miss / looks outside [1e-100, 1). Source: `mean_interval`.
    """
    histogram, looks = check_histogram(histogram), check_count("looks", looks)
    return judge_mean(
        name,
        *at_each(error_shares(false_alarm, miss, looks), lambda error: mean_interval_at(histogram, error)),
        exact,
        trajectories=int(histogram.sum()),
        method=method_of(looks),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
    )


def running_mean_verdict(
    name: str,
    batch_sums,
    bound: float,
    exact: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
) -> Verdict:
    """Is the mean of the counts `exact`? For a sample size chosen while looking at the running mean.

    batch_sums: whole numbers (K, 3), as for `confidence_sequence`, of the batches that stopping left.
    bound: the largest count there can be (T). resolution: in the unit of the counts. Raises SimlabError for
    malformed sums, an exact value that is not finite, or a false_alarm or miss outside [1e-100, 1).
    """
    totals = np.sum(batch_sums, axis=0, keepdims=True) if np.ndim(batch_sums) == 2 else batch_sums
    ends = at_each(
        error_shares(false_alarm, miss),
        lambda level: Interval(*(float(end[-1]) for end in confidence_sequence_at(totals, bound, level))),
    )
    return judge_mean(
        name,
        *ends,
        exact,
        trajectories=int(totals[0, 0]),
        method="confidence sequence",
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
    )


def pmf_verdict(
    name: str,
    histogram,
    exact_pmf,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Do the counts follow `exact_pmf`? For a sample size fixed beforehand, or one of `looks` such sizes.

    histogram: whole numbers (T+1,). exact_pmf: floats (T+1,). resolution: a difference of probability, in any
    one cell. looks: at how many sizes the run might have stopped, by whatever rule; false_alarm and miss are
    those of all of them together. A cell that `exact_pmf` makes impossible fails on the first hit. Raises
    SimlabError for malformed counts, shapes that disagree, exact values that are not probabilities, looks <
    1, or a false_alarm / looks or miss / looks outside [1e-100, 1). Source: `pmf_band`.
    """
    histogram = check_histogram(histogram)
    return _judge_cells(
        name,
        histogram,
        int(histogram.sum()),
        exact_pmf,
        cell="P(N = {0})",
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        looks=looks,
    )


def marginals_verdict(
    name: str,
    tokens,
    trajectories: int,
    exact_marginals,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Do the tokens at every position follow `exact_marginals`? For sizes as `pmf_verdict` has them.

    tokens: whole numbers (T, V), every row summing to trajectories. exact_marginals: floats (T, V).
    resolution: a difference of probability, in any one cell. looks: as for `pmf_verdict`. A token that is
    impossible fails on the first hit, one that is certain on the first miss. Raises SimlabError as
    `pmf_verdict` does. Source: `marginals_band`.
    """
    return _judge_cells(
        name,
        check_tokens(tokens, trajectories),
        int(trajectories),
        exact_marginals,
        cell="P(token {1} at t = {0})",
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        looks=looks,
    )


def total_variation_verdict(
    name: str,
    deviations,
    low: float,
    high: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Is the total variation between output and target in [low, high]? For sizes as `pmf_verdict` has them.

    deviations: whole numbers (L+1,), as for `total_variation_interval`. low, high: a bracket that certainly
    holds the exact value, low = high where that is known. resolution: a difference of total variation.
    looks: as for `pmf_verdict`. FAIL takes an interval that misses the bracket; where high is 0, one
    trajectory that strays at all. A low of 1 may be 1 - NEARLY, rounded: it takes a mean so far below 1 that
    Markov's inequality allows for it with the false alarm. Raises SimlabError for no or malformed deviations,
    ends that are not probabilities low <= high, looks < 1, or an error / looks outside [1e-100, 1).
    Source: `total_variation_interval`.
    """
    deviations, looks = check_deviations(deviations), check_count("looks", looks)
    missing = 1 - np.arange(len(deviations)) / (len(deviations) - 1)
    strayed, stayed = deviations[1:].any(), deviations @ missing / deviations.sum()
    return _judge_share(
        name,
        *at_each(
            error_shares(false_alarm, miss, looks),
            lambda error: total_variation_interval_at(deviations, error),
        ),
        (low, high),
        refuted=(bool(strayed), bool(stayed > NEARLY / error_share(false_alarm, looks))),
        statistic="total variation",
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        trajectories=int(deviations.sum()),
        method=method_of(looks),
    )


def win_rate_verdict(
    name: str,
    half_points: int,
    matches: int,
    low: float,
    high: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
) -> Verdict:
    """Is the expected share of matches won in [low, high]? For a number of matches fixed beforehand.

    half_points, matches: as for `share_interval`. low, high: a bracket that certainly holds the exact value.
    resolution: a difference of that share. FAIL takes an interval that misses the bracket; where high is 0 or
    low is 1, half a point that was won, or lost. Raises SimlabError as `share_interval` does, and for ends
    that are not probabilities low <= high or an error outside [1e-100, 1). Source: `share_interval`.
    """
    intervals = at_each(
        error_shares(false_alarm, miss), lambda error: share_interval_at(half_points, matches, error)
    )
    return _judge_share(
        name,
        *intervals,
        (low, high),
        refuted=(half_points > 0, half_points < 2 * matches),
        statistic="share of matches won",
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        trajectories=int(matches),
        method=method_of(1),
    )


def _judge_share(
    name,
    interval,
    miss_interval,
    bracket,
    *,
    refuted,
    statistic,
    resolution,
    false_alarm,
    miss,
    trajectories,
    method,
) -> Verdict:
    """A mean of numbers in [0, 1] against the bracket of the exact one.

    refuted: whether the data rule out an expectation of 0, and one of 1.
    """
    low, high = (float(end) for end in _check_exact(name, bracket, (2,)))
    if low > high:
        raise SimlabError(f"{name}: the exact value in [{low}, {high}]: give low <= high")
    outside = interval.low > high + ROUNDING or interval.high < low - ROUNDING
    outside |= (high == 0 and refuted[0]) or (low == 1 and refuted[1])
    detectable = detectable_of(interval, miss_interval) + (high - low) / 2
    return Verdict(
        name=name,
        kind="equality",
        status=status_of(outside, detectable, resolution),
        statistic=statistic,
        estimate=interval.estimate,
        exact=(low + high) / 2,
        low=interval.low,
        high=interval.high,
        false_alarm=float(false_alarm),
        miss=float(miss),
        detectable=detectable,
        resolution=float(resolution),
        trajectories=trajectories,
        method=method,
    )


def _judge_cells(name, hits, trajectories, exact, *, cell, resolution, false_alarm, miss, looks) -> Verdict:
    exact = _check_exact(name, exact, hits.shape)
    looks = check_count("looks", looks)
    error, missing = error_shares(false_alarm, miss, looks)
    band = clopper_pearson(hits, trajectories, error / (2 * hits.size))
    outside = _outside(hits, trajectories, band, exact)
    detectable = _detectable_in_cells(hits, trajectories, band, error / (2 * hits.size), missing)
    distance = np.abs(scaled_residuals(band, exact))
    index = np.unravel_index(np.argmax(np.where(outside, 2 + distance, np.minimum(distance, 1))), hits.shape)
    return Verdict(
        name=name,
        kind="equality",
        status=status_of(bool(outside.any()), detectable, resolution),
        statistic=f"{cell.format(*(int(i) for i in index))}, the furthest out of {hits.size} cells",
        estimate=float(band.estimate[index]),
        exact=float(exact[index]),
        low=float(band.low[index]),
        high=float(band.high[index]),
        false_alarm=float(false_alarm),
        miss=float(miss),
        detectable=detectable,
        resolution=float(resolution),
        trajectories=trajectories,
        method=method_of(looks),
    )


def _detectable_in_cells(hits, trajectories, band, tail: float, missing: float) -> float:
    """The discrepancy of any cell that would have been flagged; tail: what the band's ends may miss.

    A given discrepancy has its cell and its direction, so missing it takes one tail of one cell. That tail is
    the larger as a rule: then a cell's interval lies within its band, and a band less wide than what would
    be seen in the widest one need not be looked at.
    """

    def seen_in(which) -> float:
        part = Interval(*(end[which] for end in band))
        return detectable_of(part, clopper_pearson(hits[which], trajectories, missing))

    if missing < tail:
        return seen_in(...)
    width = band.high - band.low
    least = seen_in(width == width.max())
    return seen_in(width >= least * (1 - ROUNDING))


def _outside(hits, trajectories, band, exact) -> np.ndarray:
    """Where the exact probability is outside the band, with allowance for its rounding.

    An exact 0 or 1 is taken at its word, and the first hit or miss refutes it: sums of products that are not
    negative come out 0 only where every path is impossible, and 1 only where all else has less than about
    1e-15. The band would say so too, but that the allowance covers a lower end next to 0, and that an upper
    end next to 1 rounds to 1.
    """
    certain, impossible = exact == 1, exact == 0
    inner = ~(certain | impossible)
    return (
        (impossible & (hits > 0))
        | (certain & (hits < trajectories))
        | (inner & ((exact < band.low - ROUNDING) | (exact > band.high + ROUNDING)))
    )


def _check_exact(name, exact, shape) -> np.ndarray:
    """Exact probabilities as float64 of `shape`, clipped to [0, 1] where rounding carried them over."""
    exact = np.asarray(exact, float)
    if exact.shape != shape:
        raise SimlabError(f"{name}: exact values of shape {exact.shape} for counts of shape {shape}")
    wrong = ~((exact >= -ROUNDING) & (exact <= 1 + ROUNDING))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise SimlabError(f"{name}: the exact value at {index} is {exact[index]}: give probabilities")
    return np.clip(exact, 0, 1)
