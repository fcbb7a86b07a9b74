"""A plan from acceptance rates by position in the window, with intervals where counts are behind them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from simlab.checks import check_number
from simlab.cost import CostModel
from simlab.errors import SimlabError
from simlab.evidence.coins import coin_interval
from simlab.evidence.interval import error_of
from simlab.planning.policy import plan_policy
from simlab.planning.rates import Rates, rates_from, read_rates
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import (
    MOST,
    WindowChoice,
    best_and_near,
    elsewhere_remark,
    longer_remark,
    rivals_remark,
    spelled_runs,
    times_per_token,
)
from simlab.theory import memoryless

CONFIDENCE = 0.95
NAMED = 6
"""So many rates stand in a label; of more only the first."""


def plan_rates(given, cost: CostModel, choice: WindowChoice, confidence: float | None) -> WindowPlan:
    """From a file of rates, or the rates themselves (see `simlab.planning.rates`).

    Counts give intervals that hold for all windows at once, with probability `confidence` (None: CONFIDENCE).
    Windows longer than what was measured are looked at where they are asked for: each further rate is between
    0 and the last measured one (a bracket); the geometric continuation between them is a guess, and said to
    be one. Raises SimlabError for a confidence outside (0, 1), and for anything but rates.
    """
    level = check_confidence(confidence)
    rates, source, label = _read(given)
    if rates.drafted is not None and (np.diff(rates.rates) > 0).any():
        return plan_counts(rates, int(rates.drafted[0]), cost, choice, level, source=source, label=label)
    plan = _plan_windows(rates, cost, choice, level, source=source, label=label)
    if rates.drafted is None:
        if confidence is not None:
            plan.remarks.append("no intervals: they need the counts behind the rates, drafted and accepted")
    elif (rates.drafted != rates.drafted[0]).any():
        plan.remarks.append(_of_falling_counts(rates))
    return plan


def plan_counts(
    rates: Rates, calls: int, cost: CostModel, choice: WindowChoice, level: float, **what
) -> WindowPlan:
    """From counts of so many calls: of windows where all of them drafted as far, else of their rule.

    what: the source and label of the plan.
    """
    if (rates.drafted == calls).all():
        return _plan_windows(rates, cost, choice, level, **what)
    of_all = dataclasses.replace(rates, drafted=np.full(len(rates.drafted), calls))
    return plan_policy(rates, calls, cost, choice, tokens_interval(of_all, level), level, **what)


def _plan_windows(rates: Rates, cost: CostModel, choice: WindowChoice, level: float, **what) -> WindowPlan:
    measured = len(rates.rates)
    choice.check_within(measured + MOST, f"{measured} were measured")
    windows = choice.listed(choice.longest or measured)
    further = max(int(windows[-1]) - measured, 0)
    tokens = memoryless.from_rates(continued(rates.rates, further))
    found = WindowPlan.of_tokens(tokens, windows, cost, choice.windows, **what)
    remarks = [beyond_remark(rates.rates, int(windows[-1]))] if further else []
    remarks += _remarks(found.best, times_per_token(tokens, cost), measured, cost, choice, int(windows[-1]))
    low = high = None
    confidence = None if rates.drafted is None else level
    if rates.drafted is not None or further:
        sure = tokens[: measured + 1]
        ends = (sure, sure) if rates.drafted is None else tokens_interval(rates, level)
        ends = bracket_beyond(*ends, further)
        low, high = (cost.alone / times_per_token(end, cost)[windows] for end in ends)
        remarks += _interval_remarks(windows, found.best, low, high, confidence)
    return dataclasses.replace(found, low=low, high=high, confidence=confidence, remarks=remarks)


def check_confidence(confidence) -> float:
    """The confidence of intervals, by default CONFIDENCE; SimlabError outside (0, 1)."""
    confidence = CONFIDENCE if confidence is None else confidence
    confidence = check_number("confidence", confidence, above=0.0)
    if confidence >= 1:
        raise SimlabError(f"confidence = {confidence:g} is not valid; expected a number below 1, e.g. 0.95")
    return confidence


def _read(given) -> tuple[Rates, dict, str]:
    """The rates, where they come from as JSON says it, and in words."""
    if isinstance(given, str | os.PathLike):
        path = str(Path(given).expanduser())
        return read_rates(path), {"rates": path}, f"rates of {path}"
    rates = given if isinstance(given, Rates) else rates_from(given)
    counts = {} if rates.drafted is None else {"drafted": rates.drafted, "accepted": rates.accepted}
    source = {name: values.tolist() for name, values in {"rates": rates.rates, **counts}.items()}
    words = [f"{rate:.4g}" for rate in rates.rates.tolist()]
    label = f"rates {', '.join(words[:NAMED])}"
    return rates, source, label + f", .. ({len(words)} positions)" * (len(words) > NAMED)


def _remarks(
    best: int, times: np.ndarray, measured: int, cost: CostModel, choice: WindowChoice, looked_at: int
) -> list[str]:
    """Of the best window among those measured; times: of all of them, and of those that continue them."""
    if best > measured:
        return [f"the best window, {best}, was not measured: measure with it before you trust it"]
    if best == looked_at == measured:
        return [
            "the best window is the longest looked at",
            f"windows longer than {measured} were not measured, and may be better still",
        ]
    if best == looked_at:
        return [longer_remark(choice, best, measured)]
    if best or not choice.windows:
        return []
    other = best_and_near(np.arange(measured + 1), times[: measured + 1])[0]
    return [elsewhere_remark(other, cost.alone / times[other], f"that was measured, 1 to {measured}")]


def continued(rates: np.ndarray, further: int) -> np.ndarray:
    """The rates by position (K,) and so many more, each the part of the one before that the last one is."""
    before = rates[-2] if len(rates) > 1 else 1.0
    share = rates[-1] / before if before else 0.0
    return np.concatenate([rates, rates[-1] * share ** np.arange(1, further + 1)])


def bracket_beyond(low: np.ndarray, high: np.ndarray, further: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends of tokens per call (K+1,), and at so many longer windows: the further rates 0, or the last one."""
    more = (high[-1] - high[-2]) * np.arange(1, further + 1)
    return np.concatenate([low, np.full(further, low[-1])]), np.concatenate([high, high[-1] + more])


def beyond_remark(rates: np.ndarray, longest: int) -> str:
    measured, share = len(rates), continued(rates, 1)[-1] / rates[-1] if rates[-1] else 0.0
    last, first = f"{rates[-1]:.4g}", measured + 1
    return (
        f"windows {spelled_runs([(first, longest)])} were not measured: their further rates lie between "
        f"0 and {last}, which is the bracket; the guess continues them geometrically, each {share:.4g} of "
        "the one before"
    )


def tokens_interval(rates: Rates, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Tokens per call by window, (K+1,), from below and from above; all of them hold at once.

    Each rate has its Clopper-Pearson interval at a K-th of the error, of the least and of the most that a
    rounded count can be, and sums of ends hold sums of rates. It takes calls to be independent of each
    other, which those of one response need not be.
    """
    tail = error_of(confidence) / (2 * len(rates.rates))
    counts = [rates.accepted if end is None else end for end in (rates.low, rates.high)]
    low, high = (
        [
            coin_interval(int(kept), int(tried), tail)[end]
            for kept, tried in zip(of, rates.drafted, strict=True)
        ]
        for end, of in enumerate(counts)
    )
    return tuple(np.concatenate([[1.0], 1 + np.cumsum(end)]) for end in (low, high))


def _interval_remarks(windows, best: int, low, high, confidence: float | None) -> list[str]:
    remarks = []
    if confidence is not None:
        remarks = [f"intervals: {100 * confidence:.10g}%, all windows at once, calls taken to be independent"]
    return remarks + rivals_remark(windows, best, low, high)


def _of_falling_counts(rates: Rates) -> str:
    """What to know of counts whose `drafted` falls; it may be another count than it should be."""
    if np.array_equal(rates.drafted[1:], rates.accepted[:-1]):
        return (
            "drafted is what the position before accepted: if it counts the calls that came so far, and not "
            "those that drafted so far, give accepted/drafted as position,conditional: the speed-up is less"
        )
    return (
        f"drafted falls from {rates.drafted[0]} to {rates.drafted[-1]} by position: rates of later ones are "
        "of those calls only that drafted so far, and all are taken to be like them"
    )
