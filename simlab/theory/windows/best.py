"""The fastest fixed window and the fastest threshold of confidence, by exact times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import ConfidenceSpeculative, Speculative, longest_window
from simlab.decoders.settings import LOG_STEP
from simlab.pairs.pair import ChainPair, check_pair
from simlab.progress import stepping
from simlab.theory.horizon.forward import rejections_per_position
from simlab.theory.windows import backward
from simlab.theory.windows.cumulative import added_levels, costs_of_rules
from simlab.theory.windows.optimal import TIE, check_planned
from simlab.theory.windows.rules import Rules, confidence_rules, fixed_windows, root_entropies
from simlab.theory.windows.thresholds import rule_times

MOST_THRESHOLDS = 256
"""Where the draft has more distinct confidences than this, so many quantiles of them are tried."""

LIMITS = 32
"""So many thresholds of "cumulative" are tried."""

ALL_RULES = 2**22
"""About how many numbers of all rules together are held at once."""


@dataclass(frozen=True, eq=False)
class BestWindow:
    """The fastest fixed window. window: 0 where drafting does not pay. time: E[time for T tokens].

    speedup: over the target alone. times: (K+1,) by window, entry 0 the target alone.
    """

    window: int
    time: float
    speedup: float
    times: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class BestThreshold:
    """The fastest threshold of `ConfidenceSpeculative`. time: E[time for T tokens]; speedup: over the target
    alone; thresholds: (N,), those tried, rising; times: (N,), theirs.
    """

    threshold: float
    time: float
    speedup: float
    thresholds: np.ndarray = field(repr=False)
    times: np.ndarray = field(repr=False)


def window_times(
    pair: ChainPair, cost: CostModel, longest: int | None = None, bonus: bool = True
) -> np.ndarray:
    """E[time for T tokens] of Speculative(window, bonus), (K+1,) by window; entry 0: the target alone.

    longest: K, None for the longest that fits: T - 1 with the bonus token, T without. Exact, by
    `costs_to_go`, in the unit of `cost`. Time O(T K^2 V^2) as matrix products: give `longest` where the
    horizon is long. Raises SimlabError if it is not a pair or no cost, and for longest < 1.
    """
    longest = check_planned(pair, cost, bonus, longest)
    alone = pair.horizon * cost.alone
    windows = np.arange(1, longest + 1)
    block = max(1, ALL_RULES // (pair.states * (longest + 1)))
    parts = [
        _times(pair, fixed_windows(pair, windows[start : start + block], bool(bonus)), cost)
        for start in stepping(range(0, longest, block), "times of windows")
    ]
    return np.concatenate([[alone], *parts])


def best_window(
    pair: ChainPair, cost: CostModel, bonus: bool = True, longest: int | None = None
) -> BestWindow:
    """The window with the least E[time for T tokens], of 0 (no drafts) to `longest` (None: all that fit).

    Of windows whose times agree to 1e-13 of them the smallest. See `window_times` for all else.
    """
    times = window_times(pair, cost, longest, bonus)
    window = _first_least(times)
    return BestWindow(window, float(times[window]), float(times[0] / times[window]), times)


def best_threshold(
    pair: ChainPair, cost: CostModel, window: int | None = 8, signal: str = "confidence"
) -> BestThreshold:
    """The threshold of ConfidenceSpeculative(threshold, window, signal) with the least E[time for T tokens].

    Two thresholds with nothing that the draft's rows have between them are one rule. So it is enough to try,
    for "confidence", 0 (never stop), every distinct confidence max_y draft[t, x, y], and 1 (stop wherever the
    draft is not certain); for "entropy", 0 (stop wherever it is not certain) and every distinct root of an
    entropy, of which the largest never stops. Where they are more than 256, as many quantiles of them. For
    "cumulative" 0 and 32 thresholds even in the root of their logarithm: the best rule may be missed by a
    little. Where the draft is certain somewhere every rule drafts there: `best_window` says whether drafting
    pays at all. Of thresholds whose times agree to 1e-13 of them the
    smallest. Raises SimlabError if it is not a pair or no cost, for a window below 1 and for another signal.
    """
    check_planned(pair, cost, True, None)
    decoder = ConfidenceSpeculative(0.0, window, signal)
    window = max(longest_window(decoder, pair.horizon), 1)
    thresholds, times = threshold_times(pair, [cost], [window], decoder.signal)
    times = times[:, 0, 0]
    best = _first_least(times)
    alone = pair.horizon * cost.alone
    return BestThreshold(
        float(thresholds[best]), float(times[best]), float(alone / times[best]), thresholds, times
    )


def threshold_times(
    pair: ChainPair, costs: Sequence[CostModel], windows: Sequence[int], signal: str, limits: int = LIMITS
) -> tuple[np.ndarray, np.ndarray]:
    """The thresholds that `best_threshold` tries, and what they take with many windows at many costs.

    windows: W rising whole numbers >= 1. Returns the thresholds, (N,), rising, of "cumulative" 0 and about
    `limits` more, and E[time for T tokens] of ConfidenceSpeculative(threshold, window, signal) at each cost,
    (N, W, C), in one pass. Raises SimlabError as `best_threshold` does.
    """
    for cost in costs:
        check_planned(pair, cost, True, max(windows))
    call_times = np.array([cost.call_time(np.arange(max(windows) + 1)) for cost in costs])
    if signal == "cumulative":
        return _cumulative_times(pair, costs, np.asarray(windows), call_times, limits)
    if signal == "entropy":
        roots = _few(np.unique([root_entropies(rows) for rows in pair.draft_rows]))
        thresholds = np.unique(np.concatenate([[0.0], roots]))
    else:
        confidences = _few(np.unique([rows.max(axis=1) for rows in pair.draft_rows]))
        thresholds = np.unique(np.concatenate([[0.0], np.minimum(confidences, 1.0), [1.0]]))
    block = max(1, ALL_RULES // (pair.states * pair.horizon * len(windows)))
    parts = [
        rule_times(
            pair,
            confidence_rules(pair, thresholds[start : start + block], None, signal),
            np.asarray(windows),
            call_times,
        )
        for start in stepping(range(0, len(thresholds), block), "times of thresholds")
    ]
    return thresholds, np.concatenate(parts)


def _few(values: np.ndarray) -> np.ndarray:
    if len(values) <= MOST_THRESHOLDS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_THRESHOLDS).round().astype(int)]


def _cumulative_times(
    pair: ChainPair, costs: Sequence[CostModel], windows: np.ndarray, call_times: np.ndarray, many: int
) -> tuple[np.ndarray, np.ndarray]:
    most = max(float(np.median(added_levels(pair))), 1.0) * windows[-1]  # beyond few calls stop
    limits = np.unique((most * np.linspace(0, 1, many) ** 2).round().astype(int))
    columns = np.repeat(windows, len(costs)), np.tile(call_times, (len(windows), 1))
    of_limits = costs_of_rules(pair, limits, *columns)[0] @ pair.initial
    never = np.column_stack([_times(pair, fixed_windows(pair, windows, True), cost) for cost in costs])
    times = np.concatenate([[never], of_limits[::-1].reshape(len(limits), *never.shape)])
    return np.array([0.0, *(math.exp(-limit * LOG_STEP) for limit in limits[::-1])]), times


def mean_acceptance(pair: ChainPair) -> float:
    """1 - E[N_rej] / T of speculative decoding: what the memoryless formulas take for their acceptance.

    The probability that a drafted token is accepted, averaged over positions along the target's chain.
    Raises SimlabError if it is not a pair.
    """
    check_pair(pair)
    rejections = rejections_per_position(pair, Speculative()).sum()
    return float(np.clip(1 - rejections / pair.horizon, 0.0, 1.0))


def _times(pair: ChainPair, rules: Rules, cost: CostModel) -> np.ndarray:
    """E[time for T tokens] of each rule, (J,)."""
    *_, first = backward.costs_to_go(pair, rules, cost.call_time)
    return first @ pair.initial


def _first_least(times: np.ndarray) -> int:
    return int(np.argmax(times <= times.min() * (1 + TIE)))
