"""What the experiment on draft trees is told."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.checks import check_count
from simlab.experiments.common.draft_quality import dial_values
from simlab.experiments.common.options import listed_counts
from simlab.experiments.common.settings import Settings, whole

MOST_NODES = 256
"""Of a tree that is drawn; of more nothing could be read."""


@dataclass(frozen=True)
class Options:
    """The experiment's options, checked; see conf/experiment/trees.yaml.

    dial: rising values of the draft's quality: parts of the text for pair=corpus, else blurs.
    """

    capacities: tuple[int, ...]
    simulated: tuple[int, ...]
    nodes: int
    compared: tuple[int, ...]
    dial: tuple[float, ...]


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    dial = dial_values(settings)
    return Options(
        listed_counts(settings, "capacities"),
        listed_counts(settings, "simulated"),
        check_count("experiment.nodes", whole(settings.options.get("nodes")), most=MOST_NODES),
        listed_counts(settings, "compared"),
        dial,
    )
