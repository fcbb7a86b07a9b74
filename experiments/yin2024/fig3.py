"""Yin et al. 2024, Figure 3: what more drafts save on a single token.

The batch improvement, P(reject) of one draft less P(reject) of M, against M: left for two tokens, right for
uniform distributions. Three roads to each number: the paper's closed form, the forward recursion and the
simulation. The figure has pairs of its own, whatever pair and decoder the settings name.
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
from simlab.experiments.common.estimates import mean_of, stacked
from simlab.experiments.common.jobs import Planned, job
from simlab.experiments.common.options import counts_of, list_of
from simlab.experiments.common.outcome import Outcome, Presentation, rows
from simlab.experiments.common.settings import Settings, only_point
from simlab.pairs import ChainPair
from simlab.report import (
    draw_family,
    new_figure,
    residual_axes,
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


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve: its label, its closed form of M, the numbers of drafts, rising, and a job for each."""

    panel: str
    label: str
    closed_form: Callable[[object], np.ndarray]
    drafts: list[int]
    jobs: list[Job]

    @property
    def pair(self) -> ChainPair:
        """The pair that it is about."""
        return self.jobs[0].pair


def plan(points: list[Settings]) -> Planned[list[Curve]]:
    """A job for each curve and number of drafts."""
    settings = only_point(points)
    curves = _curves(settings)
    return Planned(settings, [one for curve in curves for one in curve.jobs], curves)


def present(planned: Planned[list[Curve]], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figure and table, from the results of the planned jobs."""
    told = Presentation(planned.settings, TITLE, results)
    verdicts, table, family = [], [], {"bernoulli": [], "uniform": []}
    for curve in planned.parts:
        interval, exact, judged = _curve(told, curve)
        family[curve.panel].append((curve, interval, exact))
        verdicts += judged
        form = curve.closed_form(curve.drafts)
        drawn = rows(curve.drafts, interval, exact, panel=curve.panel, curve=curve.label)
        table += [{**row, "closed_form": float(value)} for row, value in zip(drawn, form, strict=True)]
    figure = _draw(planned.settings, family)
    return told.outcome(
        verdicts=verdicts,
        checks=[_check(name, several) for name, several in family.items() if several],
        figures=[told.figure("fig3", CAPTION, figure, table, planned.jobs)],
        unused=("pair", "decoder"),
    )


def _curve(told: Presentation, curve: Curve) -> tuple[Interval, list[float], list[Verdict]]:
    """The simulated batch improvement with its intervals, the exact one, and verdicts on the rejections."""
    distance = predict(curve.pair, BatchSpeculative(1)).expected_rejections
    ends, exact, verdicts = [], [], []
    for count, one in zip(curve.drafts, curve.jobs, strict=True):
        estimate, low, high = mean_of(one, told.result(one), told.settings.confidence)
        ends.append((distance - estimate, distance - high, distance - low))
        exact.append(distance - told.prediction(one).expected_rejections)
        name = f"{TITLE}, {curve.panel} {curve.label}, {count} draft{'s' * (count > 1)}"
        verdicts += told.judge(name, one, columns=["verdict"])
    return stacked(ends), exact, verdicts


def _check(panel: str, family: list[tuple]) -> Check:
    """The closed form against the recursion at every point of a panel, and at its limit."""
    drafts = family[0][0].drafts
    form = np.array([curve.closed_form([*drafts, math.inf]) for curve, _, _ in family])
    recursion = np.array([[*exact, _limit(curve)] for curve, _, exact in family])
    index = np.unravel_index(np.argmax(np.abs(form - recursion)), form.shape)
    difference = float((form - recursion)[index])
    statement = {
        "bernoulli": "Ber(u) for Ber(v), u >= v: M drafts save (u - v)(1 - u^(M-1)); else with 1-u, 1-v",
        "uniform": "uniform distributions, r = V/V': M drafts save (1 - 1/r) - (1 - 1/r)^M",
    }[panel]
    return Check(
        name=f"figure 3, closed form, {panel}",
        source="Yin et al. 2024, Figure 3",
        statement=statement,
        left="closed form",
        left_value=float(form[index]),
        right="forward recursion",
        right_value=float(recursion[index]),
        difference=difference,
        tolerance=ROUNDING,
        status=Status.PASS if abs(difference) <= ROUNDING else Status.FAIL,
        scope=f"{form.size} points: {len(family)} curves, M in {', '.join(map(str, drafts))} and the limit",
    )


def _limit(curve: Curve) -> float:
    one, all_drafts = (predict(curve.pair, BatchSpeculative(count)) for count in (1, math.inf))
    return one.expected_rejections - all_drafts.expected_rejections


def _draw(settings: Settings, family: dict[str, list[tuple]]):
    shown = [panel for panel in family if family[panel]]
    drafts = family[shown[0]][0][0].drafts
    fine = np.geomspace(drafts[0], drafts[-1], 200)
    fine = np.unique(np.append(fine.round(), drafts))
    titles = {
        "bernoulli": f"Two tokens, target Ber({_target(settings):g}), draft Ber(u)",
        "uniform": "Uniform distributions, r = V/V'",
    }
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


def _curves(settings: Settings) -> list[Curve]:
    """One curve for each draft parameter of the left panel and each target of the right one."""
    counts, target = sorted(counts_of(settings, "drafts")), _target(settings)
    states = check_count("experiment.states", settings.options.get("states"))
    drafts = [
        check_number("experiment.bernoulli", draft, least=0.0, most=1.0)
        for draft in list_of(settings, "bernoulli", "numbers", empty=True)
    ]
    targets = [
        check_count("experiment.uniform", few, most=states)
        for few in list_of(settings, "uniform", "numbers", empty=True)
    ]
    curves = [_bernoulli(settings, draft, target, counts) for draft in dict.fromkeys(drafts)]
    curves += [_uniform(settings, states, few, counts) for few in dict.fromkeys(targets)]
    if not curves:
        raise SimlabError("experiment.bernoulli and experiment.uniform are empty: give one curve at least")
    return curves


def _bernoulli(settings: Settings, draft: float, target: float, counts: list[int]) -> Curve:
    return Curve(
        "bernoulli",
        f"u = {draft:g}",
        lambda drafts: batch_improvement_bernoulli(draft, target, drafts),
        counts,
        _jobs(settings, "bernoulli", counts, draft=draft, target=target),
    )


def _uniform(settings: Settings, states: int, target_states: int, counts: list[int]) -> Curve:
    return Curve(
        "uniform",
        f"r = {states / target_states:g}",
        lambda drafts: batch_improvement_uniform(states / target_states, drafts),
        counts,
        _jobs(settings, "uniform", counts, states=states, target_states=target_states),
    )


def _jobs(settings: Settings, pair_name: str, counts: list[int], **options) -> list[Job]:
    """One token of a pair of that name, with each number of drafts."""
    here = dataclasses.replace(settings, pair_name=pair_name, pair_options={**options, "horizon": 1})
    return [job(here, BatchSpeculative(count)) for count in counts]


def _target(settings: Settings) -> float:
    return check_number("experiment.target", settings.options.get("target"), least=0.0, most=1.0)
