"""Which rules are looked at: the options of the experiment, checked, and the families that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simlab import rules
from simlab.checks import check_count
from simlab.experiments.common.options import listed_numbers
from simlab.experiments.common.settings import Settings, whole


@dataclass(frozen=True)
class Family:
    """A named rule along its parameter. values: those that are simulated, rising; fine: those of an exact
    line beside them; make: the rule of a value."""

    label: str
    parameter: str
    values: tuple[float, ...]
    fine: tuple[float, ...]
    make: Callable[[float], Callable]


@dataclass(frozen=True)
class Options:
    """The options of the experiment, checked; see conf/experiment/rules.yaml."""

    families: tuple[Family, ...]
    window: int
    queries: int
    most: int


UNBIASED = {
    "speculative": rules.Speculative(),
    "token match": rules.TokenMatch(),
    "greedy match": rules.GreedyMatch(),
}
"""The rules whose output is the target's."""

DEFAULTS = {
    **UNBIASED,
    "lenient": rules.Lenient(),
    "over-acceptance": rules.OverAcceptance(),
    "typical": rules.Typical(),
    "top-k relaxed": rules.TopKRelaxed(),
}
"""Every named rule as it is without parameters: those of the table and of the speed-ups."""


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    given = settings.options
    k = check_count("experiment.k", whole(given.get("k")))
    leniencies = listed_numbers(settings, "leniencies", above=0.0, most=1.0)
    families = (
        Family(
            "lenient", "leniency", leniencies, tuple(np.geomspace(0.02, 1, 5).tolist()),
            lambda value: rules.Lenient(float(value)),
        ),
        Family(
            "over-acceptance", "epsilon", listed_numbers(settings, "epsilons", least=0.0),
            tuple((0.5 * np.linspace(0, 1, 6) ** 2).tolist()),
            lambda value: rules.OverAcceptance(float(value)),
        ),
        Family(
            "typical", "epsilon", listed_numbers(settings, "typical", least=0.0),
            tuple(np.geomspace(0.0005, 0.6, 7).tolist()),
            lambda value: rules.Typical(float(value), float(value) ** 0.5),
        ),
        Family(
            "top-k relaxed", "delta", listed_numbers(settings, "deltas", least=0.0),
            tuple(np.linspace(0.05, 0.9, 7).tolist()),
            lambda value: rules.TopKRelaxed(k, float(value)),
        ),
    )  # fmt: skip
    return Options(
        families,
        check_count("experiment.window", whole(given.get("window"))),
        check_count("experiment.queries", whole(given.get("queries"))),
        check_count("experiment.most", whole(given.get("most"))),
    )
