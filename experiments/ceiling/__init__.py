"""The ceiling of batch: many drafts at a position, the best verification of them, and how far each rule is.

ceiling_rules: acceptance against the number of drafts for every rule, and the optimum above them.
ceiling_gap: what recursive rejection leaves, over the draft's quality and the number of drafts.
ceiling_order: greedy drafts against drawn ones, row by row: neither is always better. ceiling_worst: how far
below the optimum a rule can be. ceiling_batch: the rejections of batch decoding under each rule at fresh
positions. ceiling_branching: how to branch a fixed number of drafted tokens. ceiling_sequences: drafts that
stay alive as long as they agree, and the best verification of whole drafts. Each is a module of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from simlab.experiments.ceiling.batch import batch_jobs, present_batch
from simlab.experiments.ceiling.branching import branching_jobs, present_branching
from simlab.experiments.ceiling.gap import present_gap
from simlab.experiments.ceiling.options import Options, options_of
from simlab.experiments.ceiling.order import present_order
from simlab.experiments.ceiling.rules import present_rules, rule_jobs
from simlab.experiments.ceiling.sequences import present_sequences
from simlab.experiments.ceiling.worst import present_worst
from simlab.experiments.common.jobs import Planned, instance
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.runs import Job, Result
from simlab.verify.many_drafts import check_program, check_rules
from simlab.verify.places import places

MOST_PROGRAMS = 12
"""Rows of which linear programs are solved, four each."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The checked options; the jobs of every rule, by rule, replacement and number of drafts; those of batch
    decoding, by rule and number of drafts; and those of the best branchings, by rule."""

    options: Options
    rules: dict[tuple[str, bool, int], Job]
    batch: dict[tuple[str, int], Job]
    branching: dict[str, Job]


def plan(points: list[Settings]) -> Planned[Parts]:
    """The jobs of all figures with simulated points, of options.most trajectories each at most."""
    settings = only_point(points)
    options = options_of(settings)
    settings = dataclasses.replace(settings, trajectories=min(settings.trajectories, options.most))
    parts = Parts(
        options,
        rule_jobs(settings, options),
        batch_jobs(settings, options),
        branching_jobs(settings, options),
    )
    jobs = [*parts.rules.values(), *parts.batch.values(), *parts.branching.values()]
    return Planned(settings, jobs, parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figures and headline numbers, from the results of the planned jobs."""
    settings, options = planned.settings, planned.parts.options
    told = Presentation(settings, f"Many drafts on {settings.pair_name}", results, settings.pair_name)
    rules, verdicts, rules_notes = present_rules(told, options, planned.parts.rules)
    batch, of_batch, batch_note = present_batch(told, options, planned.parts.batch)
    branching, of_branching, branching_note = present_branching(told, options, planned.parts.branching)
    verdicts += of_batch + of_branching
    shown = [
        (rules, rules_notes),
        present_gap(told, options),
        present_order(told, options),
        (batch, [batch_note]),
        (branching, [branching_note]),
    ]
    pair = instance(settings)[0]
    few = places(pair, min(options.places, MOST_PROGRAMS), settings.seed, purpose=21)
    some = places(pair, options.places, settings.seed, purpose=22)
    checks = [check_program(few), *check_rules(some, options.drafts)]
    figures, notes = [figure for figure, _ in shown], [note for _, notes in shown for note in notes]
    sequences, more, told_of_sequences = present_sequences(told, options)
    figures, checks, notes = [*figures, sequences], [*checks, *more], [*notes, *told_of_sequences]
    if worst := present_worst(told, options):
        figures.append(worst[0])
        checks.append(worst[1])
        notes.append(worst[2])
    return told.outcome(verdicts=verdicts, checks=checks, figures=figures, notes=notes)
