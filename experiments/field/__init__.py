"""Plans against what users of serving engines measured and published: nothing here is simulated.

field: speed-ups planned and measured, case by case; its checks say of every case what was held, or why it
could not be (`checks`); `cases` has the numbers and where they come from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from simlab.cost import CostModel
from simlab.errors import SimlabError
from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.field.cases import (
    ADAPTIVE,
    CROW,
    CROW_WINDOW,
    CURVES,
    LLAMA_EVAL_MS,
    LLAMA_TOKENS,
    LOAD_WINDOW,
    LOADS,
    PLAIN,
    RELATIVE,
    RELATIVE_LINE,
    SEVEN,
    STAIRS,
)
from simlab.experiments.field.checks import (
    CLOSE,
    NEAR,
    PlannedCurve,
    all_checks,
    crow_break_even,
    crow_cost,
    heavy_tail_plans,
    llama_plan,
    load_costs,
    planned_curve,
)
from simlab.planning import plan as make_plan
from simlab.report import new_figure, shared_legend, style
from simlab.report.fieldplot import Panel, draw_panels
from simlab.runs import Result
from simlab.theory import memoryless

TITLE = "Plans against measurements"
CAPTION = (
    "What was measured (markers) and what simlab plans (lines). C1 to C6: speed-up over the target "
    "alone against the window, from the measured tokens per call and a call's time a + b window, fitted"
    " to the markers of the panel; a star is the best planned window. Between measured windows the "
    "acceptance is taken to be even. C6 has two windows only, which fix the two numbers: its line "
    "passes through them. C13: speed-up by the number of requests decoded together; a forward's times "
    "are those of the target alone, and tokens per call and the draft's time, two numbers, are fitted "
    f"to all of window {LOAD_WINDOW}'s markers; forwards over more than 256 tokens were not measured. "
    "Dashed: the best window of each load. Its adaptive markers choose by each request's confidence, "
    "which no single window does. C17: a forward's time by the tokens in it, the published line against"
    " the published table. C8, C10, C12 and C16 have no speed-ups to hold a plan against. C8: speed-ups"
    " by the measured times of forwards over 1, 4 and 8 tokens, for a draft that is free and always "
    "accepted, dashed for acceptance 0.8; the marker is the window that was measured to be the better "
    "of 3 and 4. C10: speed-up at window 3 if all is accepted, against the unknown time of "
    "verification; right of the star drafting never pays. C12: time per token in ms. C16: n-gram drafts"
    " from their rates by position, and dashed from the first of them alone."
)
TABLE_CAPTION = (
    f"What is held of each published case: windows within {NEAR:.0%} of the best measured one, speed-ups "
    f"within {CLOSE:.0%} where the source fits a cost; where it does not, what can be said instead."
)


def plan(points: list[Settings]) -> Planned[None]:
    """Nothing is simulated. Raises SimlabError for options: there are none."""
    settings = only_point(points)
    if settings.options:
        raise SimlabError(f"no setting experiment.{next(iter(settings.options))}: field has none")
    return Planned(settings, [])


def present(planned: Planned[None], results: Mapping[str, Result]) -> Outcome:
    """The figure with its numbers, the checks and their table, and how far plans and measurements differ."""
    told = Presentation(planned.settings, TITLE, results)
    curves = [planned_curve(curve) for curve in CURVES]
    found = list(all_checks())
    rows = [{**dataclasses.asdict(check), "status": str(check.status)} for check in found]
    return told.outcome(
        checks=found,
        figures=[_figure(told, curves)],
        tables=[told.table("field_checks", TABLE_CAPTION, rows)],
        notes=[_headline(curves)],
        unused=("decoder", "pair"),
    )


def _figure(told: Presentation, curves: list[PlannedCurve]) -> Exhibit:
    with style():
        figure = new_figure(9.4, 7.0)
        axes = draw_panels(figure, _panels(curves), columns=4)
        shared_legend(figure, axes, columns=4)
    rows = [row for planned in curves for row in _curve_rows(planned)] + _load_rows() + _forward_rows()
    return told.figure("field", CAPTION, figure, rows)


def _panels(curves: list[PlannedCurve]) -> list[Panel]:
    others = [_load_panel(), _forward_panel(), _stairs_panel(), _crow_panel(), _llama_panel(), _tail_panel()]
    return [*map(_curve_panel, curves), *others]


def _curve_panel(planned: PlannedCurve) -> Panel:
    curve, made = planned.curve, planned.plan
    return Panel(
        title=f"{curve.name}: {curve.about.removeprefix('8B, EAGLE-3, H100, greedy, ').split(',')[0]}"
        + (", batch 64" if "batch 64" in curve.about else ""),
        x_label="window",
        y_label="speed-up",
        measured={"measured": (np.array(curve.windows), np.array(curve.speedups))},
        planned={"planned": (made.windows, made.speedup)},
        best=made.best,
    )


def _curve_rows(planned: PlannedCurve) -> list[dict]:
    curve = planned.curve
    columns = zip(curve.windows, curve.speedups, planned.speedups, planned.held_out, strict=True)
    return [
        {
            "case": curve.name, "about": curve.about, "x": window, "measured": measured,
            "planned": float(fitted), "planned_without_it": None if np.isnan(unseen) else float(unseen),
        }
        for window, measured, fitted, unseen in columns
    ]  # fmt: skip


def _load_panel() -> Panel:
    loads, plain = np.array(LOADS), np.array(PLAIN)
    cost, length, planned = load_costs()
    best = make_plan(mean_length=length, window=LOAD_WINDOW, cost=cost, concurrency=LOADS).rows()
    return Panel(
        title="C13: vllm#52362",
        x_label="requests decoded together",
        y_label="speed-up",
        measured={
            "measured": (loads, np.array(SEVEN) / plain),
            "measured, adaptive": (loads, np.array(ADAPTIVE) / plain),
        },
        planned={
            "planned": (loads, planned),
            "planned, for comparison": (loads, np.array([row["speedup"] for row in best])),
        },
        log=True,
    )


def _stairs_panel() -> Panel:
    windows, cost = np.arange(8), CostModel(1e-9, STAIRS)
    sure, likely = (memoryless.speedup(acceptance, windows, cost) for acceptance in (1.0, 0.8))
    planned = {"planned": (windows, sure), "planned, for comparison": (windows, likely)}
    measured = {"window measured to be better": (windows[3:4], sure[3:4])}
    return Panel("C8: mlxcel#1182, free draft", "window", "speed-up", measured, planned)


def _crow_panel() -> Panel:
    verify = np.sort(np.append(np.linspace(CROW.alone, 4 * CROW.alone, 25), crow_break_even()))
    speedups = [memoryless.speedup(1.0, CROW_WINDOW, crow_cost(float(time))) for time in verify]
    planned = {"planned": (verify, np.array(speedups))}
    best = float(verify[np.argmin(np.abs(verify - crow_break_even()))])
    title = "C10: Crow#181, all accepted"
    return Panel(title, "ms to verify 4 tokens", "speed-up", {}, planned, best, mark="planned break-even")


def _llama_panel() -> Panel:
    made = llama_plan()
    measured = {"measured": (np.array([3]), np.array([LLAMA_EVAL_MS / LLAMA_TOKENS]))}
    planned = {"planned": (made.windows[1:], made.time_per_token[1:])}
    title = "C12: llama.cpp#24536"
    return Panel(title, "window", "ms per token", measured, planned, alone=False)


def _tail_panel() -> Panel:
    exact, guess = heavy_tail_plans()
    planned = {
        "planned": (exact.windows, exact.speedup),
        "planned, for comparison": (guess.windows, guess.speedup),
    }
    return Panel("C16: n-gram, instructcoder", "window", "speed-up", {}, planned)


def _load_rows() -> list[dict]:
    planned = load_costs()[2]
    columns = zip(LOADS, np.array(SEVEN) / np.array(PLAIN), planned, strict=True)
    about = f"vllm#52362, window {LOAD_WINDOW}, by concurrency"
    return [
        {"case": "C13", "about": about, "x": load, "measured": float(one), "planned": float(other)}
        for load, one, other in columns
    ]


def _forward_panel() -> Panel:
    tokens, (first, slope) = np.arange(1, len(RELATIVE) + 1), RELATIVE_LINE
    return Panel(
        title="C17: llama.cpp#17034",
        x_label="tokens in a forward",
        y_label="time, of one token's",
        measured={"measured": (tokens, tokens * np.array(RELATIVE))},
        planned={"planned": (tokens, first + slope * tokens)},
        alone=False,
    )


def _forward_rows() -> list[dict]:
    first, slope = RELATIVE_LINE
    return [
        {
            "case": "C17", "about": "llama.cpp#17034, time of a forward by tokens", "x": tokens,
            "measured": tokens * part, "planned": first + slope * tokens,
        }
        for tokens, part in enumerate(RELATIVE, start=1)
    ]  # fmt: skip


def _headline(curves: list[PlannedCurve]) -> str:
    """How far plans and measurements differ at most, and in how many cases the best window is the same."""
    tested = [one for one in curves if len(one.curve.windows) > 2]
    worst = max(float(np.abs(one.speedups / one.curve.speedups - 1).max()) for one in tested)
    same = sum(one.best == one.curve.windows[int(np.argmax(one.curve.speedups))] for one in curves)
    return (
        f"The planned window is the best measured one in {same} of {len(curves)} published curves; planned "
        f"speed-ups differ from those measured by at most {100 * worst:.1f}%."
    )
