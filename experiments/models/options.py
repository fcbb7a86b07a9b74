"""What the experiment on real models is told, and what each of its parts shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.experiments.common.outcome import Exhibit
from simlab.experiments.common.settings import Settings, whole
from simlab.verify import Check

MOST_WINDOW = 64
"""Of a window in a figure; of more nothing could be read."""


@dataclass(frozen=True)
class Options:
    """The experiment's options, checked; see conf/experiment/models.yaml."""

    longest: int
    block: int
    resolution: float


def options_of(settings: Settings) -> Options:
    """The experiment's options. Raises SimlabError for those that are unknown or make no sense."""
    given = settings.options
    if unknown := sorted(set(given) - {"longest", "block", "resolution"}):
        raise SimlabError(f"no setting experiment.{unknown[0]}: models has longest, block and resolution")
    return Options(
        check_count("experiment.longest", whole(given.get("longest")), most=MOST_WINDOW),
        check_count("experiment.block", whole(given.get("block"))),
        check_number("experiment.resolution", given.get("resolution"), above=0.0),
    )


@dataclass(frozen=True)
class Shown:
    """What one part of the experiment adds to its outcome."""

    figures: list[Exhibit] = field(default_factory=list)
    tables: list[Exhibit] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
