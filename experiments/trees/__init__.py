"""Draft trees (Pankratov and Alistarh 2026) on the pair given: their yield, their look, what errors cost.

trees_calls: tokens per target call against the capacity, for trees by the target and by the draft and for the
single chain. tree: the trees of the first call, drawn. trees_knowledge: the tree chosen by a draft that is
better or worse, scored by the target. Each is a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.trees.draft_knowledge import knowledge_jobs, present_knowledge
from simlab.experiments.trees.options import Options, options_of
from simlab.experiments.trees.picture import present_tree
from simlab.experiments.trees.tokens_per_call import calls_jobs, present_calls
from simlab.runs import Job, Result


@dataclass(frozen=True, eq=False)
class Parts:
    """The checked options, and the jobs of both figures that are simulated, as their modules plan them."""

    options: Options
    calls: dict[tuple[str, str], list[Job]]
    knowledge: dict[int, list[Job]]


def plan(points: list[Settings]) -> Planned[Parts]:
    """The jobs of both figures with simulated points; what they share runs once."""
    settings = only_point(points)
    options = options_of(settings)
    parts = Parts(options, calls_jobs(settings, options), knowledge_jobs(settings, options))
    several = [*parts.calls.values(), *parts.knowledge.values()]
    return Planned(settings, [one for jobs in several for one in jobs], parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and headline numbers, from the results of the planned jobs."""
    settings, parts = planned.settings, planned.parts
    told = Presentation(settings, f"Draft trees on {settings.pair_name}", results, settings.pair_name)
    calls, verdicts, notes = present_calls(told, parts.options, parts.calls)
    knowledge, judged, more = present_knowledge(told, parts.options, parts.knowledge)
    return told.outcome(
        verdicts=verdicts + judged,
        figures=[calls, present_tree(told, parts.options.nodes), knowledge],
        notes=notes + more,
    )
