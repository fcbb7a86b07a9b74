"""Intervals from one job's result, each as the job's stopping rule allows."""

from __future__ import annotations

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import BlockSpeculative, MultiDraftSpeculative, RuleSpeculative, Speculative
from simlab.evidence import (
    Interval,
    call_time_interval,
    confidence_sequence,
    mean_interval,
    pmf_band,
    time_interval,
    total_variation_interval,
)
from simlab.experiments.common.jobs import looks_of
from simlab.runs import HalfWidth, Job, Result


def mean_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[N_rej], of trees the bonus tokens, and the interval that the stopping rule allows."""
    if isinstance(job.stop, HalfWidth):
        return Interval(*(float(end[-1]) for end in running_average(result, confidence)[1]))
    return mean_interval(result.counts.rejections, confidence)


def calls_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[target calls] and the interval that the job's stopping rule allows.

    For jobs of decoders that draft trees or windows: only their calls are counted.
    """
    return mean_interval(result.counts.target_calls, confidence, looks_of(job))


def drafted_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[drafted tokens] and the interval that the job's stopping rule allows.

    For jobs of decoders that draft windows, as the two below.
    """
    return mean_interval(drafted_tokens(result), confidence, looks_of(job))


def time_of(job: Job, result: Result, cost: CostModel, confidence: float) -> Interval:
    """The estimate of E[time for T tokens], in the cost's unit, and the interval that the rule allows."""
    counts, looks = result.counts, looks_of(job)
    if cost.is_flat:
        costs = cost.drafted, cost.alone
        return time_interval(counts.target_calls, counts.drafted_tokens, *costs, confidence, looks)
    calls = counts.calls_by_drafted
    fixed = isinstance(
        job.task.decoder, Speculative | BlockSpeculative | MultiDraftSpeculative | RuleSpeculative
    )
    partial = len(calls) if fixed else counts.horizon
    sizes = counts.call_sizes
    return call_time_interval(
        counts.target_calls,
        counts.drafted_tokens,
        calls,
        cost.call_time(sizes),
        partial,
        confidence,
        looks,
        sizes,
    )


def speedup_of(job: Job, result: Result, cost: CostModel, confidence: float) -> Interval:
    """The speed-up over autoregressive decoding, from the interval of E[time]."""
    time = time_of(job, result, cost, confidence)
    alone = cost.alone * result.counts.horizon
    return Interval(alone / time.estimate, alone / time.high, alone / time.low)


def band_of(job: Job, result: Result, confidence: float) -> Interval:
    """The simulated pmf of N_rej and the simultaneous band that the job's stopping rule allows."""
    return pmf_band(result.counts.rejections, confidence, looks_of(job))


def total_variation_of(job: Job, result: Result, confidence: float) -> Interval:
    """The total variation of sequences and the interval that the job's stopping rule allows."""
    return total_variation_interval(result.counts.deviations, confidence, looks_of(job))


def running_average(result: Result, confidence: float) -> tuple[np.ndarray, Interval]:
    """Runs after each batch, (K,), and the mean with an interval valid after all of them at once."""
    horizon = len(result.counts.rejections) - 1
    runs = np.cumsum(result.batch_sums[:, 0])
    return runs, confidence_sequence(result.batch_sums, horizon, confidence)


def drafted_tokens(result: Result) -> np.ndarray:
    """The histogram, with a second cell where 0 is the only number that there can be."""
    histogram = result.counts.drafted_tokens
    return histogram if histogram.size > 1 else np.append(histogram, 0)


def all_at_once(confidence: float, points: int) -> float:
    """The confidence of each interval with which all of them hold together (Bonferroni)."""
    return 1 - (1 - confidence) / points


def per_call(calls: Interval, horizon: int) -> Interval:
    """Tokens per call, T / E[calls], from the interval of the mean number of calls: falling, so ends swap."""
    return Interval(horizon / calls.estimate, horizon / calls.high, horizon / calls.low)


def stacked(intervals) -> Interval:
    """Intervals of numbers as one of float64 arrays (K,)."""
    return Interval(*(np.array(end, float) for end in zip(*intervals, strict=True)))
