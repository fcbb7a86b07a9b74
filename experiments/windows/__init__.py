"""How long to draft: speed-up against the window, the best window, adaptive and confident drafting.

windows_speedup: speed-up against the window, by the memoryless formula, exactly and simulated. windows_map:
the best window over acceptance and cost ratio. windows_policies, windows_gap: adaptive and confident drafting
against the best fixed window and the formula's, along the cost ratio and along the draft's quality.
windows_policy: the optimal adaptive windows themselves. windows_places: acceptance by position in the window.
windows_block: block verification against token verification. windows_rules: rules that engines follow,
against the best fixed window. Each is a module of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import chain

from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.windows.acceptance_by_position import positions_job, present_positions
from simlab.experiments.windows.best_window_map import present_map
from simlab.experiments.windows.block_verification import block_jobs, present_block
from simlab.experiments.windows.optimality_gap import present_gap
from simlab.experiments.windows.options import Options, options_of
from simlab.experiments.windows.policies import policies_jobs, present_policies
from simlab.experiments.windows.policy_heatmap import present_policy
from simlab.experiments.windows.rules_in_use import present_rules, rules_jobs
from simlab.experiments.windows.speedup import present_speedup, speedup_jobs
from simlab.runs import Job, Result


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """The jobs of each figure with simulated points; notes: what the reader is told of the sizes."""

    options: Options
    speedup: dict[float | None, list[Job]]
    policies: dict[str, list[Job]]
    places: Job
    block: dict[str, list[Job]]
    rules: dict[str, Job]
    notes: list[str]


def plan(points: list[Settings]) -> Planned[Parts]:
    """The jobs of all figures with simulated points; what they share runs once.

    No point has more trajectories than the options allow; a note says so where that is fewer.
    """
    settings = only_point(points)
    options, notes = options_of(settings), []
    if settings.trajectories > options.most:
        settings = dataclasses.replace(settings, trajectories=options.most)
        notes = [f"Each of the many points has experiment.most = {options.most:,} trajectories and no more."]
    parts = Parts(
        options,
        speedup_jobs(settings, options),
        policies_jobs(settings, options),
        positions_job(settings, options),
        block_jobs(settings, options),
        rules_jobs(settings, options),
        notes,
    )
    listed = chain(
        *parts.speedup.values(),
        *parts.policies.values(),
        [parts.places],
        *parts.block.values(),
        parts.rules.values(),
    )
    return Planned(settings, list({one.task.id: one for one in listed}.values()), parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and headline numbers, from the results of the planned jobs."""
    settings, parts = planned.settings, planned.parts
    options = parts.options
    told = Presentation(settings, f"Windows on {settings.pair_name}", results, settings.pair_name)
    simulated = [
        present_speedup(told, options, parts.speedup),
        present_policies(told, options, parts.policies),
        present_positions(told, options, parts.places),
        present_block(told, options, parts.block),
        present_rules(told, options, parts.rules),
    ]
    (speedup, policies, places, block, rules), verdicts, notes = zip(*simulated, strict=True)
    gap, of_gap = present_gap(told, options)
    policy, of_policy = present_policy(told, options)
    figures = [speedup, present_map(told, options), policies, gap, policy, places, block, rules]
    return told.outcome(
        verdicts=list(chain(*verdicts)),
        figures=[figure for figure in figures if figure is not None],
        notes=[*chain(*notes, of_gap, of_policy), *parts.notes, *_of_costs(settings)],
    )


def _of_costs(settings: Settings) -> list[str]:
    """What captions do not say of costs that are not two numbers."""
    if settings.cost.is_flat:
        return []
    return [
        f"Costs: {settings.cost}. Along the cost ratio the draft's time changes, all else is as it is; where "
        "target calls are a unit, it is the time that the target alone takes for a token."
    ]
