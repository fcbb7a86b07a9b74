"""What the experiment on windows is told."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.checks import check_count
from simlab.experiments.common.draft_quality import dial_values
from simlab.experiments.common.options import listed_counts, listed_numbers
from simlab.experiments.common.settings import Settings, whole

MOST_WINDOW = 64
"""Of a window in a figure; of more nothing could be read."""

MOST_HORIZON = 1000
"""Of the memoryless chains: longer ones tell no more."""


@dataclass(frozen=True)
class Options:
    """The experiment's options, checked; see conf/experiment/windows.yaml.

    dial: rising values of the draft's quality: parts of the text for pair=corpus, else blurs. most:
    trajectories of a point.
    """

    acceptances: tuple[float, ...]
    horizon: int
    longest: int
    simulated: tuple[int, ...]
    ratios: tuple[float, ...]
    places: int
    blocks: tuple[int, ...]
    dial: tuple[float, ...]
    most: int


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    longest = _count(settings, "longest", MOST_WINDOW)
    return Options(
        listed_numbers(settings, "acceptances", least=0.0, most=1.0),
        _count(settings, "horizon", MOST_HORIZON),
        longest,
        listed_counts(settings, "simulated", most=longest),
        listed_numbers(settings, "ratios", above=0.0),
        _count(settings, "places", MOST_WINDOW),
        listed_counts(settings, "blocks", most=MOST_WINDOW),
        dial_values(settings),
        check_count("experiment.most", whole(settings.options.get("most"))),
    )


def _count(settings: Settings, name: str, most: int) -> int:
    return check_count(f"experiment.{name}", whole(settings.options.get(name)), most=most)
