"""Rules of acceptance: what each named rule rejects, how far its output strays, and what time it saves.

Every lossy rule is a curve in the picture of Yin et al. 2024, Figure 4: on one token, where Theorem 5 makes
the front a line, and on whole sequences, where `simlab.theory.sequence_front` has it. Which is nearest?

On one token lenience lies on the front as over-acceptance does (own): its acceptance is between
min(1, target/draft) and 1; and [target - draft]_+, of which no more is rejected than it holds, is one of the
optimal replacements of Theorem 4. No rule that draws from the draft is below the line: its output differs
from the draft by no more than it rejects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simlab.decoders import RuleSpeculative
from simlab.experiments.common.jobs import Planned, instance, job
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.rules.checks import exact_checks
from simlab.experiments.rules.curves import bracket_of, judged, simulated_points
from simlab.experiments.rules.options import DEFAULTS, UNBIASED, Options, options_of
from simlab.experiments.rules.picture import present_figure
from simlab.experiments.rules.scenes import nearest, one_token, sequences
from simlab.experiments.rules.summary import TABLE_CAPTION, summary_rows
from simlab.runs import Job, Result

CLAIMS = ("E[N_rej]", "tokens follow the predicted distribution", "sequence total variation")
CALLS = ("E[target calls]", "E[drafted tokens]")
"""Of all verdicts on a job those that are shown, to the horizon and with a window."""


@dataclass(frozen=True, eq=False)
class Parts:
    """curves: by family, a job for each value of its parameter, to the horizon. defaults, windows: by name, a
    job of each rule without parameters, to the horizon and with the window and the bonus token.
    """

    options: Options
    curves: dict[str, list[Job]]
    defaults: dict[str, Job]
    windows: dict[str, Job]


def plan(points: list[Settings]) -> Planned[Parts]:
    """The jobs of every rule: along its parameter, and as it is by default, with and without a window."""
    settings = only_point(points)
    options = options_of(settings)
    fewer = replace(settings, trajectories=min(settings.trajectories, options.most))
    parts = Parts(
        options,
        {
            family.label: [
                _point(settings, fewer, family.label, family.make(value)) for value in family.values
            ]
            for family in options.families
        },
        {name: job(settings, RuleSpeculative(rule)) for name, rule in DEFAULTS.items()},
        {name: job(settings, RuleSpeculative(rule, options.window, True)) for name, rule in DEFAULTS.items()},
    )
    listed = [*(one for jobs in parts.curves.values() for one in jobs), *parts.defaults.values()]
    return Planned(settings, [*listed, *parts.windows.values()], parts)


def _point(settings: Settings, fewer: Settings, label: str, rule) -> Job:
    """The job of a point of a curve; a rule that the table has too is simulated as often as there."""
    return job(settings if rule == DEFAULTS[label] else fewer, RuleSpeculative(rule))


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, the figure and the table, from the results of the planned jobs."""
    settings, parts = planned.settings, planned.parts
    told = Presentation(settings, f"Rules on {settings.pair_name}", results, settings.pair_name)
    verdicts, brackets = [], {name: bracket_of(one) for name, one in parts.defaults.items()}
    for name, one in parts.defaults.items():
        verdicts += judged(told, name, one, *CLAIMS, bracket=brackets[name])
    for name, one in parts.windows.items():
        verdicts += judged(told, f"{name}, window {parts.options.window}", one, *CALLS)
    points = simulated_points(told, parts.curves, parts.options.families)
    token = one_token(instance(settings, 1)[0], parts.options)
    whole = sequences(instance(settings)[0], parts.options)
    table = told.table(
        "rules_table", TABLE_CAPTION, summary_rows(told, parts.defaults, parts.windows, brackets, whole)
    )
    return told.outcome(
        verdicts=verdicts,
        checks=exact_checks(told, token, whole, {name: parts.defaults[name] for name in UNBIASED}),
        figures=[present_figure(told, parts.options, token, whole, points)],
        tables=[table],
        notes=nearest(token, whole),
    )
