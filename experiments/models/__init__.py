"""Real models: what their traces predict, held against the decoders that were run with them.

Everything is read from what the package carries (`simlab.traces.bundled`, `simlab.models.bundled_runs`);
nothing is simulated here, and no model is loaded. One module a figure; each takes the pairs, and returns what
it adds to the outcome (`options.Shown`). The pair and the decoder that settings name make no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.models.agreement import present_agreement
from simlab.experiments.models.along import present_along
from simlab.experiments.models.batches import present_batches
from simlab.experiments.models.draft_trees import present_draft_trees
from simlab.experiments.models.front import present_front
from simlab.experiments.models.options import Options, options_of
from simlab.experiments.models.rejections import present_rejections
from simlab.experiments.models.temperatures import present_temperatures
from simlab.experiments.models.texts import Recorded, draft_of, recorded_pairs
from simlab.experiments.models.windows import present_windows
from simlab.experiments.models.winning import present_winning
from simlab.runs import Result

TITLE = "Real models"

PANELS = (
    present_rejections,
    present_windows,
    present_batches,
    present_front,
    present_winning,
    present_draft_trees,
    present_along,
    present_temperatures,
    present_agreement,
)
"""In the order of the page."""


def plan(points: list[Settings]) -> Planned[Options]:
    """No jobs. Raises SimlabError for options that are unknown or make no sense."""
    settings = only_point(points)
    return Planned(settings, [], options_of(settings))


def present(planned: Planned[Options], results: Mapping[str, Result]) -> Outcome:
    """The figures and tables of all parts, their verdicts, checks and notes."""
    told = Presentation(planned.settings, TITLE, results)
    pairs = recorded_pairs()
    parts = [panel(told, pairs, planned.parts) for panel in PANELS]
    return told.outcome(
        verdicts=[one for part in parts for one in part.verdicts],
        checks=[one for part in parts for one in part.checks],
        figures=[one for part in parts for one in part.figures],
        tables=[one for part in parts for one in part.tables],
        notes=[_who(pairs), *(one for part in parts for one in part.notes)],
        unused=("pair", "decoder"),
    )


def _who(pairs: tuple[Recorded, ...]) -> str:
    """Which models these are, and what drafts were made of them."""
    targets = sorted({pair.trace.provenance["target"] for pair in pairs})
    drafts = ", ".join(f"{pair.label} ({draft_of(pair.trace)})" for pair in pairs)
    return f"Target: {', '.join(targets)}. Drafts made from it: {drafts}."
