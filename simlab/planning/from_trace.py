"""A plan from a trace: what every window takes on the texts that a real target wrote, with intervals."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import Autoregressive, Speculative
from simlab.errors import SimlabError
from simlab.evidence.interval import error_of
from simlab.planning.measured import CONFIDENCE, check_confidence
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import (
    WindowChoice,
    best_and_near,
    elsewhere_remark,
    longer_remark,
    rivals_remark,
    shown_windows,
)
from simlab.theory import memoryless
from simlab.traces import Trace, TracePrediction, predict_trace

LOOKED_AT = 32
"""The longest window looked at if none is asked for; the time grows with its square."""


def plan_trace(given, cost: CostModel, choice: WindowChoice, confidence: float | None) -> WindowPlan:
    """From a `Trace`, or the path of one: exact on its texts, the last calls cut off by their ends included.

    Intervals of the speed-up are of the models and prompts that the texts are drawn from; they hold for all
    windows at once with probability `confidence` (None: CONFIDENCE). Raises SimlabError for what is not a
    trace, windows that no text has room for, and a confidence outside (0, 1).
    """
    level = check_confidence(CONFIDENCE if confidence is None else confidence)
    trace, source, label = _read(given)
    longest = int(trace.lengths.max()) - 1
    choice.check_within(longest, f"the longest text has {longest + 1} tokens, room for {longest}")
    considered = choice.asked or min(longest, LOOKED_AT)
    predictions = [predict_trace(trace, Autoregressive())]
    predictions += [
        predict_trace(trace, Speculative(window, bonus=True)) for window in range(1, considered + 1)
    ]
    times = np.array([cost.time_per_token(one) for one in predictions])
    windows = choice.listed(considered)
    best, near = best_and_near(windows, times[windows])
    if choice.asked is None:
        windows = shown_windows(best, near, considered)
    error = error_of(level) / max(int((windows > 0).sum()), 1)
    ends = [
        predictions[window].speedup_interval_at(cost, error)[1:] if window else (1.0, 1.0)
        for window in windows.tolist()
    ]
    low, high = np.array(ends).T
    shown = [predictions[window] for window in windows.tolist()]
    return WindowPlan(
        source=source,
        label=label,
        cost=cost,
        windows=windows,
        asked=choice.windows,
        tokens_per_call=np.array([one.tokens_per_call for one in shown]),
        drafted_per_call=np.array([one.expected_drafted_tokens / one.expected_target_calls for one in shown]),
        time_per_token=times[windows],
        best=best,
        near=near,
        low=low,
        high=high,
        confidence=level,
        others=_others(predictions, cost),
        remarks=_remarks(trace, choice, best, windows, times, low, high, level),
    )


def _read(given) -> tuple[Trace, dict, str]:
    """The trace, where it comes from as JSON says it, and in words."""
    trace, name = given, "trace"
    source: dict = {}
    if isinstance(given, str | os.PathLike):
        path = Path(given).expanduser()
        trace, source, name = Trace.read(path), {"path": str(path)}, f"trace {path.name}"
    if not isinstance(trace, Trace):
        raise SimlabError(
            f"trace: {type(given).__name__} is not a trace; expected a simlab.Trace or the path of one"
        )
    source |= {"sequences": trace.sequences, "tokens": len(trace)}
    return trace, {"trace": source}, f"{name}: {trace.sequences} sequences, {len(trace)} tokens"


def _remarks(trace, choice, best: int, windows, times, low, high, level: float) -> list[str]:
    longest, looked_at = int(trace.lengths.max()) - 1, len(times) - 1
    remarks = [] if longest else ["texts of 1 token have no room for a drafted token"]
    if best and best == looked_at == longest:
        remarks.append("the best window is the longest looked at; the texts have no room for a longer one")
    elif best and best == looked_at:
        remarks.append(longer_remark(choice, best, longest))
    if choice.windows and not best:
        other = int(best_and_near(np.arange(looked_at + 1), times)[0])
        remarks.append(elsewhere_remark(other, float(times[0] / times[other]), f"up to {looked_at}"))
    remarks.append(
        f"intervals: {100 * level:.10g}%, all windows at once, from {trace.sequences} independent sequences"
    )
    return remarks + rivals_remark(windows, best, low, high)


def _others(predictions: list[TracePrediction], cost: CostModel) -> list[dict]:
    """What the memoryless formula would have chosen from the mean acceptance, and what that takes."""
    if len(predictions) == 1:
        return []
    paths = predictions[0].paths
    weights = np.repeat(paths.weights, np.diff(paths.offsets))
    acceptance = float((weights * paths.accept).sum() / weights.sum())
    guess = int(memoryless.best_window(acceptance, cost, longest=len(predictions) - 1))
    time = cost.time_per_token(predictions[guess])
    return [
        {
            "rule": "memoryless formula",
            "setting": f"acceptance {acceptance:.4f}, so window {guess}",
            "time_per_token": time,
            "speedup": cost.alone / time,
        }
    ]
