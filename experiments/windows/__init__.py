"""How long to draft: speed-up against the window, the best window, adaptive and confident drafting.

windows_speedup: speed-up against the window, by the memoryless formula, exactly and simulated. windows_map:
the best window over acceptance and cost ratio. windows_policies, windows_gap: adaptive and confident drafting
against the best fixed window and the formula's, along the cost ratio and along the draft's quality.
windows_policy: the optimal adaptive windows themselves. windows_places: acceptance by place in the window.
windows_block: block verification against token verification. Each is a module of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import chain

from simlab.experiments.common.estimates import without_effect
from simlab.experiments.common.settings import Outcome, Settings, folder_of, heading, only_point
from simlab.experiments.windows.acceptance_by_position import places_jobs, present_places
from simlab.experiments.windows.best_window_map import present_map
from simlab.experiments.windows.block_verification import block_jobs, present_block
from simlab.experiments.windows.optimality_gap import present_gap
from simlab.experiments.windows.options import Options, options_of
from simlab.experiments.windows.policies import policies_jobs, present_policies
from simlab.experiments.windows.policy_heatmap import present_policy
from simlab.experiments.windows.speedup import present_speedup, speedup_jobs
from simlab.runs import Job, Result


def jobs(points: list[Settings]) -> list[Job]:
    """The jobs of all figures with simulated points; what they share runs once."""
    settings, options, _ = _told(points)
    planned = (
        speedup_jobs(settings, options)
        + policies_jobs(settings, options)
        + places_jobs(settings, options)
        + block_jobs(settings, options)
    )
    return list({one.task.id: one for one in planned}.values())


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and headline numbers, from the results of `jobs`."""
    settings, options, limited = _told(points)
    title = f"Windows on {settings.pair_name}"
    folder = folder_of(settings, settings.pair_name)
    simulated = [
        present_figure(settings, options, results, title, folder)
        for present_figure in (present_speedup, present_policies, present_places, present_block)
    ]
    (speedup, policies, places, block), verdicts, notes = zip(*simulated, strict=True)
    gap, of_gap = present_gap(settings, options, folder)
    policy, of_policy = present_policy(settings, options, folder)
    figures = [speedup, present_map(settings, options, folder), policies, gap, policy, places, block]
    return Outcome(
        heading(settings, title),
        folder,
        list(chain(*verdicts)),
        figures=[figure for figure in figures if figure is not None],
        notes=list(chain(*notes, of_gap, of_policy, limited, without_effect(settings, "decoder"))),
    )


def _told(points: list[Settings]) -> tuple[Settings, Options, list[str]]:
    """The settings with no more trajectories a point than the options allow; a note where that is less."""
    settings = only_point(points)
    options = options_of(settings)
    if settings.trajectories <= options.most:
        return settings, options, []
    note = f"Each of the many points has experiment.most = {options.most:,} trajectories and no more."
    return dataclasses.replace(settings, trajectories=options.most), options, [note]
