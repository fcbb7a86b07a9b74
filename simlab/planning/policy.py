"""A plan from an engine that stops drafting early: the rule by which it drafted, not a window.

Of N calls d_i drafted at least i tokens and a_i of them accepted the first i. The calls that drafted further
are others than those that did not, so that a_i/d_i need not fall, and says nothing of what a window would
accept. But the same rule that never drafts more than m tokens is known exactly: a call yields
1 + (a_1 + .. + a_m)/N tokens in the mean, and d_i - d_(i+1) of them draft i < m tokens, d_m draft m.
Source: own.
"""

from __future__ import annotations

import numpy as np

from simlab.cost import CostModel
from simlab.planning.averages import acceptance_of
from simlab.planning.rates import Rates
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import WindowChoice, best_and_near, rivals_remark


def plan_policy(
    rates: Rates,
    calls: int,
    cost: CostModel,
    choice: WindowChoice,
    ends: tuple[np.ndarray, np.ndarray],
    confidence: float,
    **what,
) -> WindowPlan:
    """The plan of a rule with these counts by position, cut at each m: the `windows` of the plan.

    calls: N, at least rates.drafted[0]. ends: tokens per call by m, (K+1,), from below and from above. what:
    the source and label of the plan. Raises SimlabError for an m above the K positions there are.
    """
    measured = len(rates.drafted)
    choice.check_within(measured, f"the engine drafted at most {measured}")
    windows = choice.listed(choice.longest or measured)
    tokens = 1 + np.concatenate([[0], np.cumsum(rates.accepted)]) / calls
    mean_call = np.array([_mean_call(rates.drafted, calls, cap, cost) for cap in range(measured + 1)])
    times = mean_call / tokens
    best, near = best_and_near(windows, times[windows])
    low, high = (times[0] * end[windows] / mean_call[windows] for end in ends)
    drafted = np.concatenate([[0], np.cumsum(rates.drafted)]) / calls
    return WindowPlan(
        cost=cost,
        windows=windows,
        asked=choice.windows,
        tokens_per_call=tokens[windows],
        drafted_per_call=drafted[windows],
        time_per_token=times[windows],
        best=best,
        near=near,
        low=low,
        high=high,
        confidence=confidence,
        remarks=_remarks(rates, calls, confidence) + rivals_remark(windows, best, low, high),
        **what,
    )


def _mean_call(drafted: np.ndarray, calls: int, cap: int, cost: CostModel) -> float:
    """The mean time of a call under the rule that drafts at most `cap`."""
    at_least = np.concatenate([[calls], drafted[:cap], [0]])
    by_drafted = at_least[:-1] - at_least[1:]
    return cost.time_of_calls(by_drafted) / calls if cap else cost.alone


def _remarks(rates: Rates, calls: int, confidence: float) -> list[str]:
    counts = ", ".join(
        f"{a}/{d}" for a, d in zip(rates.accepted.tolist(), rates.drafted.tolist(), strict=True)
    )
    return [
        "planned as the rule by which the engine drafted, cut at the most tokens that `window` says, not as "
        f"a window: it stops early (accepted/drafted by position {counts} of {calls} calls), and the calls "
        "that drafted further are others than those that did not",
        f"intervals: {100 * confidence:.10g}%, all of them at once, calls taken to be independent",
    ]


def guessed_drafts(calls: int, drafted: int, accepted: np.ndarray) -> np.ndarray:
    """Drafted tokens by position, int64 (K,), where a log has their sum alone: what falls geometrically.

    Each is at least what was accepted there; they sum to `drafted` as far as whole numbers allow.
    """
    positions = len(accepted)
    share = acceptance_of(1 + min(drafted / calls, positions), positions)
    falling = np.maximum(calls * share ** np.arange(1, positions + 1), accepted)
    over = falling - accepted
    room = drafted - accepted.sum()
    scaled = accepted + over * (room / over.sum() if over.sum() else 0.0)
    return np.minimum.accumulate(np.clip(np.rint(scaled), accepted, calls)).astype(np.int64)
