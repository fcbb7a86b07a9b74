"""Exact work of decoders with windows, and simulated speed-ups beside it: what the figures on windows share.

*Work* is what a trajectory takes on average, E[drafted tokens] and E[target calls]. Time is linear in it, so
it is found once for all cost ratios: with target calls of cost 1, T / (calls + ratio drafted) is the speed-up
over autoregressive decoding, which takes T. Where a call's time depends on what it verifies (`shape_of`), its
"calls" are the time of all but the drafted positions, in units of autoregressive decoding's token.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import ConfidenceSpeculative, Decoder, Speculative
from simlab.decoders.policy import Policy
from simlab.evidence import Interval
from simlab.experiments.common.estimates import speedup_of, stacked
from simlab.experiments.common.outcome import Presentation
from simlab.pairs import ChainPair
from simlab.runs import Job
from simlab.theory import (
    expected_time,
    mean_acceptance,
    memoryless,
    optimal_policy_and_time,
    threshold_times,
    window_times,
)

UNIT = CostModel(1.0, 1.0)
"""The shape of costs that are two numbers: along the cost ratio they differ in nothing else."""

REMEMBERED = functools.lru_cache(maxsize=256)
"""For what jobs and figures ask about one pair again: recursions of some ten milliseconds each."""

LONGEST_PRODUCT = 8
"""Products of confidences are looked at in windows of at most so many tokens: longer ones take seconds."""

PRODUCTS = 16
"""So many thresholds of products, about, are tried."""

TIED = 1e-12
"""Times that agree to so much of them are one; then the first choice is taken, the smaller window."""


@dataclass(frozen=True, eq=False)
class Work:
    """What N rules take on one pair. drafted, calls: E[drafted tokens] and E[target calls], (N,)."""

    drafted: np.ndarray
    calls: np.ndarray

    def times(self, ratio: float) -> np.ndarray:
        """E[time] in target calls, (N,), with drafted tokens of cost `ratio`; of one rule at many, (R,)."""
        return self.calls + ratio * self.drafted

    def best(self, ratio: float) -> int:
        """The fastest of them, in a tie the first."""
        times = self.times(ratio)
        return int(np.argmax(times <= times.min() * (1 + TIED)))


def shape_of(cost: CostModel) -> CostModel:
    """Costs but for the draft's time, which the cost ratio gives."""
    return UNIT if cost.is_flat else dataclasses.replace(cost, draft=cost.alone)


def at_ratio(shape: CostModel, ratio: float) -> CostModel:
    """The costs where a drafted position takes `ratio` of autoregressive decoding's token."""
    return dataclasses.replace(shape, draft=ratio * shape.alone)


@REMEMBERED
def window_work(pair: ChainPair, longest: int, shape: CostModel = UNIT) -> Work:
    """Of fixed windows 0..longest with the bonus token, (longest + 1,); 0 is the target alone.

    Windows that no call has room for are as the longest one that it has.
    """
    work = _linear(shape, lambda cost: window_times(pair, cost, longest))
    short = longest + 1 - len(work.calls)
    return Work(*(np.pad(part, (0, short), "edge") for part in (work.drafted, work.calls)))


@REMEMBERED
def adaptive(pair: ChainPair, ratio: float, longest: int, shape: CostModel = UNIT) -> tuple[Policy, float]:
    """The optimal policy at a cost ratio and its E[time] in target calls."""
    policy, time = optimal_policy_and_time(pair, at_ratio(shape, ratio), longest=longest)
    return policy, time / shape.alone


def confident(
    pair: ChainPair, ratio: float, longest: int, shape: CostModel = UNIT, signal: str = "confidence"
) -> tuple[ConfidenceSpeculative, float]:
    """Confident drafting at its best threshold, and its E[time] in target calls; nan if not looked for.

    It drafts at most the best fixed window, or a token where that is 0: tuned as an engine would be, the
    window first. The threshold 0, or for entropy the largest, is that fixed window, so it is never slower.
    For "cumulative" it is looked for where that window is at most LONGEST_PRODUCT.
    """
    window = max(1, window_work(pair, longest, shape).best(ratio))
    if signal == "cumulative" and window > LONGEST_PRODUCT:
        return ConfidenceSpeculative(0.0, window, signal), np.nan
    thresholds, work = threshold_work(pair, window, signal, shape)
    best = work.best(ratio)
    return ConfidenceSpeculative(float(thresholds[best]), window, signal), float(work.times(ratio)[best])


def threshold_work(
    pair: ChainPair, window: int, signal: str, shape: CostModel = UNIT
) -> tuple[np.ndarray, Work]:
    """The thresholds of a signal that are tried, (N,), rising, and their work."""
    if signal != "cumulative":
        thresholds, works = _threshold_works(pair, (window,), signal, shape)
        return thresholds, works[0]
    thresholds, works = _threshold_works(pair, tuple(range(1, LONGEST_PRODUCT + 1)), signal, shape)
    return thresholds, works[window - 1]


@REMEMBERED
def _threshold_works(
    pair: ChainPair, windows: tuple[int, ...], signal: str, shape: CostModel
) -> tuple[np.ndarray, list[Work]]:
    """The thresholds and the work of each window; of products all windows take one pass."""
    costs = [at_ratio(shape, ratio) for ratio in (1.0, 2.0)]
    thresholds, times = threshold_times(pair, costs, windows, signal, PRODUCTS)
    at_one, at_two = times.T / shape.alone
    return thresholds, [Work(*work) for work in zip(at_two - at_one, 2 * at_one - at_two, strict=True)]


def decoder_work(pair: ChainPair, decoder: Decoder, shape: CostModel = UNIT) -> Work:
    """Of one decoder, arrays (1,)."""
    return _linear(shape, lambda cost: np.array([_from_start(pair, expected_time(pair, decoder, cost))]))


def memoryless_window(pair: ChainPair, ratio: float, longest: int, shape: CostModel = UNIT) -> int:
    """The window that the memoryless formula takes for the best, with the pair's mean acceptance."""
    if shape.is_flat:
        return int(memoryless.best_window_of(mean_acceptance(pair), ratio, longest=longest))
    return int(memoryless.best_window(mean_acceptance(pair), at_ratio(shape, ratio), longest=longest))


def fixed(window: int) -> Speculative:
    """Speculative decoding as engines run it: a window, with the bonus token."""
    return Speculative(window, True)


@dataclass(frozen=True, eq=False)
class Points:
    """Simulated points. interval: arrays (M,); exact: (M,), the exact values there."""

    interval: Interval
    exact: np.ndarray


def speedup_points(told: Presentation, jobs: list[Job], cost: CostModel, confidence: float) -> Points:
    """`Points` of the speed-ups of jobs of decoders with windows. confidence: of each interval."""
    intervals = [speedup_of(one, told.result(one), cost, confidence) for one in jobs]
    exact = [cost.speedup(told.prediction(one)) for one in jobs]
    return Points(stacked(intervals), np.array(exact))


def _linear(shape: CostModel, times) -> Work:
    """Work from times (N,) at two costs: they are linear in a drafted token's cost."""
    at_one, at_two = (times(at_ratio(shape, ratio)) / shape.alone for ratio in (1.0, 2.0))
    return Work(at_two - at_one, 2 * at_one - at_two)


def _from_start(pair: ChainPair, to_go: np.ndarray) -> float:
    """The mean over the prompt of what is to go from position 0, (T+1, V)."""
    return float(pair.initial @ to_go[0])
