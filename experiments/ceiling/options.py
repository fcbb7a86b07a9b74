"""What the experiment on many drafts is told."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.checks import check_count, check_number
from simlab.experiments.common.draft_quality import dial_values
from simlab.experiments.common.options import listed_counts
from simlab.experiments.common.settings import Settings, whole


@dataclass(frozen=True)
class Options:
    """The experiment's options, checked; see conf/experiment/ceiling.yaml.

    searched: numbers of drafts, none for no search. dial: rising values of the draft's quality: parts of the
    text for pair=corpus, else blurs.
    """

    drafts: tuple[int, ...]
    simulated: tuple[int, ...]
    nodes: tuple[int, ...]
    most: int
    bernoulli: float
    target: float
    states: int
    uniform: int
    orders: int
    instances: int
    places: int
    searched: tuple[int, ...]
    dial: tuple[float, ...]


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""

    def count(name: str, most: int | None = None) -> int:
        return check_count(f"experiment.{name}", whole(settings.options.get(name)), most=most)

    def probability(name: str) -> float:
        return check_number(f"experiment.{name}", settings.options.get(name), least=0.0, most=1.0)

    states = count("states")
    return Options(
        listed_counts(settings, "drafts"),
        listed_counts(settings, "simulated"),
        listed_counts(settings, "nodes"),
        count("most"),
        probability("bernoulli"),
        probability("target"),
        states,
        count("uniform", most=states),
        count("orders"),
        count("instances"),
        count("places"),
        listed_counts(settings, "searched") if settings.options.get("searched") != [] else (),
        dial_values(settings),
    )
