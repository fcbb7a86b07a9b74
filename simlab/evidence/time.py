"""The mean time that a trajectory takes, from how many target calls and drafted tokens each one had.

Time is T_s D + T_v N, D drafted tokens and N target calls. Their joint distribution is not counted, only the
histogram of either; but the mean of a sum is the sum of the means, whatever the dependence. Each mean has its
interval at half the error, both hold at once with the probability asked for (a union), and then so does the
sum of the two. With a fixed window D and N rise together, and little is lost; where they do not, the interval
is wider than the joint distribution would have it.

Where a call that drafts g tokens takes c(g), which no line through g need be, the time of a trajectory is
a N + b D + the sum over its calls of r(g), r(g) = c(g) - a - b g, for any line a + b g: the one through c(0)
and c(K) is taken, K the longest window. The last sum is bounded, its mean is counted (calls by how many
tokens they draft), and Hoeffding's inequality (1963) has its interval, at a third of the error, as the others
then have theirs. With a fixed window r is 0 but for the last calls, which have no room for it.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, check_histogram, error_of
from simlab.evidence.mean import mean_interval_at
from simlab.evidence.verdict import FALSE_ALARM, MISS, Verdict, error_shares, judge_mean, method_of


def time_interval(
    target_calls,
    drafted_tokens,
    draft_cost: float,
    target_cost: float,
    confidence: float,
    looks: int = 1,
) -> Interval:
    """The mean time of a trajectory and an interval that holds it with probability >= confidence.

    target_calls: whole numbers (T+1,), how many of the n trajectories had each number of target calls;
    drafted_tokens: (D+1,), the same of drafted tokens. draft_cost, target_cost: T_s > 0 and T_v > 0, what one
    of either takes; the interval, of floats, has their unit. looks: as for `mean_interval`. Raises
    SimlabError for malformed histograms or those of different samples, costs that are not finite numbers > 0,
    a confidence outside (0, 1) or looks < 1. Source: the module's docstring; `mean_interval`.
    """
    error = error_of(confidence) / check_count("looks", looks)
    return time_interval_at(target_calls, drafted_tokens, draft_cost, target_cost, error)


def time_interval_at(target_calls, drafted_tokens, draft_cost, target_cost, error: float) -> Interval:
    """`time_interval` by its error probability, which 1 - confidence would round."""
    draft_cost = check_number("draft_cost", draft_cost, above=0.0)
    target_cost = check_number("target_cost", target_cost, above=0.0)
    calls, drafted = check_histogram(target_calls), _check_drafted(drafted_tokens)
    if calls.sum() != drafted.sum():
        raise SimlabError(
            f"target calls of {calls.sum()} trajectories and drafted tokens of {drafted.sum()}: "
            "give those of the same ones"
        )
    of_calls = mean_interval_at(calls, error / 2)
    # Where no token can ever be drafted, at T = 1 with the bonus token, that mean is 0 for certain.
    of_drafted = mean_interval_at(drafted, error / 2) if drafted.size > 1 else Interval(0.0, 0.0, 0.0)
    return Interval(*(draft_cost * d + target_cost * n for d, n in zip(of_drafted, of_calls, strict=True)))


def call_time_interval(
    target_calls,
    drafted_tokens,
    calls_by_drafted,
    call_times,
    partial_calls: int,
    confidence: float,
    looks: int = 1,
    call_sizes=None,
) -> Interval:
    """The mean time of a trajectory whose calls that draft g tokens take call_times[g], and its interval.

    target_calls, drafted_tokens: as for `time_interval`. calls_by_drafted: whole numbers (K+1,), the calls of
    all trajectories that drafted exactly 0, 1, .., K tokens, or at so many positions, and then call_sizes,
    (K+1,), rising from 0, are the tokens that they drafted. call_times: (K+1,), finite numbers > 0.
    partial_calls: no trajectory has more calls than this that draft other than 0 or K tokens. looks: as for
    `mean_interval`. Raises SimlabError as `time_interval` does, and for arrays of different lengths. Source:
    the module's docstring.
    """
    error = error_of(confidence) / check_count("looks", looks)
    calls, drafted = check_histogram(target_calls), _check_drafted(drafted_tokens)
    by_drafted, times = np.asarray(calls_by_drafted), np.asarray(call_times, float)
    if by_drafted.shape != times.shape or calls.sum() != drafted.sum():
        raise SimlabError("calls, drafted tokens and times: give those of the same trajectories and window")
    lengths = np.arange(len(times)) if call_sizes is None else np.asarray(call_sizes)
    per_call = float(times[0])
    per_token = float(times[-1] - times[0]) / max(int(lengths[-1]), 1)
    residuals = times - per_call - per_token * lengths
    residuals[[0, -1]] = 0.0
    of_calls = mean_interval_at(calls, error / 3)
    of_drafted = mean_interval_at(drafted, error / 3) if drafted.size > 1 else Interval(0.0, 0.0, 0.0)
    rest = _residual_interval(by_drafted, residuals, partial_calls, int(calls.sum()), error / 3)
    if per_token < 0:
        of_drafted = Interval(of_drafted.estimate, of_drafted.high, of_drafted.low)
    ends = zip(of_drafted, of_calls, rest, strict=True)
    return Interval(*(per_token * d + per_call * n + more for d, n, more in ends))


def _residual_interval(by_drafted, residuals, most: int, trajectories: int, error: float) -> Interval:
    """The mean of a sum of at most `most` residuals a trajectory, by Hoeffding's inequality."""
    low, high = most * min(float(residuals.min()), 0.0), most * max(float(residuals.max()), 0.0)
    mean = float(by_drafted @ residuals) / trajectories
    wide = (high - low) * math.sqrt(math.log(2 / error) / (2 * trajectories))
    return Interval(mean, max(mean - wide, low), min(mean + wide, high))


def time_verdict(
    name: str,
    target_calls,
    drafted_tokens,
    draft_cost: float,
    target_cost: float,
    exact: float,
    *,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    looks: int = 1,
) -> Verdict:
    """Is the mean time of a trajectory `exact`? For sizes as `mean_verdict` has them.

    The histograms and costs: as for `time_interval`. exact, resolution: in the unit of the costs. Raises
    SimlabError as `time_interval` does, for an exact value that is not finite, or a
    false_alarm / looks or miss / looks outside [1e-100, 1). Source: `time_interval`.
    """
    looks = check_count("looks", looks)
    measured = (target_calls, drafted_tokens, draft_cost, target_cost)
    return judge_mean(
        name,
        *(time_interval_at(*measured, error) for error in error_shares(false_alarm, miss, looks)),
        exact,
        trajectories=int(np.sum(target_calls)),
        method=method_of(looks),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        statistic="mean time",
    )


def _check_drafted(drafted_tokens) -> np.ndarray:
    """As `check_histogram`, but that 0 may be the only number there can be: then one cell."""
    drafted = np.asarray(drafted_tokens)
    if drafted.shape == (1,) and drafted.dtype.kind in "iu" and drafted[0] >= 1:
        return drafted.astype(np.int64)
    if drafted.shape == (0,):
        raise SimlabError(
            "drafted tokens were not counted: they are where the decoder has a window; "
            "Speculative(window=T) is Speculative() with its calls counted"
        )
    return check_histogram(drafted)
