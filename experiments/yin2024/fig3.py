"""Yin et al. 2024, Figure 3: what more drafts save on a single token.

The batch improvement, P(reject) of one draft less P(reject) of M, against M: left for two tokens, right for
uniform laws. Three roads to each number: the paper's closed form, the forward recursion and the simulation.
The figure has pairs of its own, whatever pair and decoder the settings name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count, check_number
from simlab.decoders import BatchSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Interval, Status, Verdict
from simlab.experiments.common.estimates import figure_metadata, judge, mean_of, rows, without_effect
from simlab.experiments.common.settings import (
    Exhibit,
    Outcome,
    Settings,
    folder_of,
    heading,
    instance,
    job,
    only_point,
)
from simlab.report import (
    draw_family,
    new_figure,
    residual_axes,
    save_figure,
    shared_legend,
    style,
    whole_number_ticks,
)
from simlab.runs import Job, Result
from simlab.theory import batch_improvement_bernoulli, batch_improvement_uniform, predict
from simlab.verify import Check

TITLE = "Figure 3"
CAPTION = (
    "What trying M drafts instead of one saves on a single token: P(reject) of one draft minus P(reject) of "
    "M. Left: two tokens, of which token 1 has probability v under the target and u under the draft. Right: "
    "the draft is uniform on V tokens and the target on V' of them, r = V/V'. Lines: the paper's closed "
    "forms; dots: the forward recursion; open markers: simulation. Every curve tends to the total variation "
    "of draft and target, the sooner the more often the draft proposes what the target still lacks. Below: "
    "simulated minus exact in half-widths of the interval."
)
ROUNDING = 1e-12
"""Up to which difference two exact numbers of size 1 are one."""


@dataclass(frozen=True)
class Curve:
    """One curve: its settings (with the pair that it is about), its label and its closed form of M."""

    panel: str
    label: str
    settings: Settings
    closed_form: Callable[[object], np.ndarray]


def jobs(points: list[Settings]) -> list[Job]:
    """A job for each curve and number of drafts."""
    settings = only_point(points)
    drafts = _drafts(settings)
    return [_job(curve, count) for curve in _curves(settings) for count in drafts]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figure and table, from the results of `jobs`."""
    import pandas as pd

    settings = only_point(points)
    drafts, curves = _drafts(settings), _curves(settings)
    verdicts, table, family = [], [], {"bernoulli": [], "uniform": []}
    for curve in curves:
        interval, exact, judged = _curve(curve, drafts, results)
        family[curve.panel].append((curve, interval, exact))
        verdicts += judged
        form = curve.closed_form(drafts)
        for count, row in zip(
            drafts, rows(drafts, interval, exact, panel=curve.panel, curve=curve.label), strict=True
        ):
            table.append({**row, "closed_form": float(form[drafts.index(count)])})
    figure = _draw(settings, drafts, family)
    planned = jobs(points)
    metadata = figure_metadata(settings.command, planned, [results[one.task.id] for one in planned])
    folder = folder_of(settings)
    figures = [Exhibit("fig3", CAPTION, save_figure(figure, folder, "fig3", pd.DataFrame(table), metadata))]
    checks = [_check(name, family[name], drafts) for name in family if family[name]]
    return Outcome(
        heading(settings, TITLE),
        folder,
        verdicts,
        checks,
        figures,
        notes=without_effect(settings, "pair", "decoder"),
    )


def _curve(curve: Curve, drafts: list[int], results) -> tuple[Interval, list[float], list[Verdict]]:
    """The simulated batch improvement with its intervals, the exact one, and verdicts on the rejections."""
    pair = instance(curve.settings)[0]
    distance = predict(pair, BatchSpeculative(1)).expected_rejections
    ends, exact, verdicts = [], [], []
    for count in drafts:
        one = _job(curve, count)
        result, prediction = results[one.task.id], predict(pair, BatchSpeculative(count))
        estimate, low, high = mean_of(one, result, curve.settings.confidence)
        ends.append((distance - estimate, distance - high, distance - low))
        exact.append(distance - prediction.expected_rejections)
        name = f"{TITLE}, {curve.panel} {curve.label}, {count} draft{'s' * (count > 1)}"
        verdicts += judge(name, one, result, prediction)[:1]
    return Interval(*(np.array(end) for end in zip(*ends, strict=True))), exact, verdicts


def _check(panel: str, family: list[tuple], drafts: list[int]) -> Check:
    """The closed form against the recursion at every point of a panel, and at its limit."""
    form = np.array([curve.closed_form([*drafts, math.inf]) for curve, _, _ in family])
    recursion = np.array([[*exact, _limit(curve)] for curve, _, exact in family])
    place = np.unravel_index(np.argmax(np.abs(form - recursion)), form.shape)
    difference = float((form - recursion)[place])
    statement = {
        "bernoulli": "Ber(u) for Ber(v), u >= v: M drafts save (u - v)(1 - u^(M-1)); else with 1-u, 1-v",
        "uniform": "uniform laws, r = V/V': M drafts save (1 - 1/r) - (1 - 1/r)^M",
    }[panel]
    return Check(
        name=f"figure 3, closed form, {panel}",
        source="Yin et al. 2024, Figure 3",
        statement=statement,
        left="closed form",
        left_value=float(form[place]),
        right="forward recursion",
        right_value=float(recursion[place]),
        difference=difference,
        tolerance=ROUNDING,
        status=Status.PASS if abs(difference) <= ROUNDING else Status.FAIL,
        scope=f"{form.size} points: {len(family)} curves, M in {', '.join(map(str, drafts))} and the limit",
    )


def _limit(curve: Curve) -> float:
    pair = instance(curve.settings)[0]
    one, all_drafts = (predict(pair, BatchSpeculative(count)) for count in (1, math.inf))
    return one.expected_rejections - all_drafts.expected_rejections


def _draw(settings: Settings, drafts: list[int], family: dict[str, list[tuple]]):
    fine = np.geomspace(drafts[0], drafts[-1], 200)
    fine = np.unique(np.append(fine.round(), drafts))
    titles = {
        "bernoulli": f"Two tokens, target Ber({_target(settings):g}), draft Ber(u)",
        "uniform": "Uniform laws, r = V/V'",
    }
    shown = [panel for panel in family if family[panel]]
    with style():
        figure = new_figure(3.9 * len(shown), 4.2)
        grid = figure.add_gridspec(1, len(shown))
        for column, panel in enumerate(shown):
            upper, lower = residual_axes(figure, grid[0, column])
            draw_family(
                upper,
                lower,
                drafts,
                [(curve.label, interval, exact) for curve, interval, exact in family[panel]],
                confidence=settings.confidence,
                line_x=fine,
                lines=[curve.closed_form(fine) for curve, _, _ in family[panel]],
            )
            whole_number_ticks(lower, drafts)
            upper.set_title(titles[panel])
            lower.set_xlabel("M, drafts tried in order")
            upper.set_ylabel("batch improvement" if not column else "")
            lower.set_ylabel(lower.get_ylabel() if not column else "")
        shared_legend(figure, figure.axes)
    return figure


def _job(curve: Curve, drafts: int) -> Job:
    return job(curve.settings, BatchSpeculative(drafts))


def _curves(settings: Settings) -> list[Curve]:
    """One curve for each draft parameter of the left panel and each target of the right one."""
    target = _target(settings)
    states = check_count("experiment.states", settings.options.get("states"))
    drafts = [
        check_number("experiment.bernoulli", draft, least=0.0, most=1.0)
        for draft in _list(settings, "bernoulli")
    ]
    targets = [check_count("experiment.uniform", few, most=states) for few in _list(settings, "uniform")]
    curves = [_bernoulli(settings, draft, target) for draft in dict.fromkeys(drafts)]
    curves += [_uniform(settings, states, few) for few in dict.fromkeys(targets)]
    if not curves:
        raise SimlabError("experiment.bernoulli and experiment.uniform are empty: give one curve at least")
    return curves


def _bernoulli(settings: Settings, draft: float, target: float) -> Curve:
    options = {"draft": draft, "target": target, "horizon": 1}
    return Curve(
        "bernoulli",
        f"u = {draft:g}",
        dataclasses.replace(settings, pair_name="bernoulli", pair_options=options),
        lambda drafts: batch_improvement_bernoulli(draft, target, drafts),
    )


def _uniform(settings: Settings, states: int, target_states: int) -> Curve:
    options = {"states": states, "target_states": target_states, "horizon": 1}
    return Curve(
        "uniform",
        f"r = {states / target_states:g}",
        dataclasses.replace(settings, pair_name="uniform", pair_options=options),
        lambda drafts: batch_improvement_uniform(states / target_states, drafts),
    )


def _target(settings: Settings) -> float:
    return check_number("experiment.target", settings.options.get("target"), least=0.0, most=1.0)


def _drafts(settings: Settings) -> list[int]:
    drafts = _list(settings, "drafts")
    if not drafts:
        raise SimlabError("experiment.drafts is empty: give a list of numbers of drafts")
    return sorted({check_count("experiment.drafts", count) for count in drafts})


def _list(settings: Settings, name: str) -> list:
    values = settings.options.get(name)
    if not isinstance(values, list):
        raise SimlabError(f"experiment.{name} = {values!r}: give a list of numbers, e.g. [1, 2]")
    return values
