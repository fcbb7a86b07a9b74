"""Which random environments the speed of light is measured in: distributions by their settings, and random
ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.experiments.common.settings import Settings, whole
from simlab.laws import LAWS, Dirichlet, Rows, Softmax, Zipf, make_law
from simlab.theory.speed_of_light import cap

LARGEST_CAPACITY = 10**7
"""A tree of so many nodes takes an environment a minute."""


@dataclass(frozen=True, eq=False)
class Options:
    """The experiment's own settings, checked.

    laws: of figure (1). capacities: rising. environments: of each distribution. random: of figure (4), by
    family;
    random_capacities, random_environments: theirs. search: how many random rows the search for a violation
    begins with.
    """

    laws: tuple
    capacities: tuple[int, ...]
    environments: int
    random: Mapping[str, tuple]
    random_capacities: tuple[int, ...]
    random_environments: int
    search: int


def options_of(settings: Settings) -> Options:
    """The options of a point; SimlabError, one line, for what cannot be run."""
    options = settings.options
    sizes = {
        name: check_count(f"experiment.{name}", whole(options.get(name)))
        for name in ("environments", "random_environments", "search")
    }
    laws_wanted = check_count("experiment.random_laws", whole(options.get("random_laws")), least=0)
    seed = check_count("experiment.random_seed", whole(options.get("random_seed")), least=0)
    return Options(
        laws=_laws(settings),
        capacities=_capacities("capacities", options.get("capacities")),
        random=random_laws(laws_wanted, seed),
        random_capacities=_capacities("random_capacities", options.get("random_capacities")),
        **sizes,
    )


def random_laws(number: int, seed: int) -> dict[str, tuple]:
    """`number` distributions with random settings, shared out among four families, the same for the same
    seed.

    Their vocabularies have 4 to 64 tokens. The last family mixes two rows, one that is nearly certain and one
    that is uniform: it has a large second moment for its entropy.
    """
    random = np.random.RandomState(seed % 2**32)
    makers = {
        "Dirichlet": lambda states: Dirichlet(states, _between(random, 0.02, 3.0)),
        "softmax": lambda states: Softmax(states, _between(random, 0.5, 8.0)),
        "Zipf": lambda states: Zipf(states, _between(random, 0.3, 4.0)),
        "certain or uniform": lambda states: _two_rows(random, states),
    }
    families = {name: [] for name in makers}
    for index in range(number):
        name = list(makers)[index % len(makers)]
        states = round(_between(random, 4, 64))
        families[name].append(makers[name](states))
    return {name: tuple(laws) for name, laws in families.items() if laws}


def _between(random, low: float, high: float) -> float:
    """Log-uniform between the two."""
    return float(low * (high / low) ** random.uniform())


def _two_rows(random, states: int) -> Rows:
    rest = _between(random, 0.001, 0.1)
    certain = np.full(states, rest / (states - 1))
    certain[0] = 1 - rest
    weight = random.uniform(0.2, 0.95)
    return Rows(
        np.array([certain, np.full(states, 1 / states)]),
        np.array([weight, 1 - weight]),
        source=f"{states} tokens, certain or uniform",
    )


def _laws(settings: Settings) -> tuple:
    wanted = settings.options.get("laws")
    if not isinstance(wanted, list) or not wanted:
        raise SimlabError(
            f"experiment.laws = {wanted!r} is not valid; expected a list of distributions, e.g. "
            "[{name: dirichlet, states: 64, concentration: 0.1}]"
        )
    return tuple(map(_law, wanted))


def _law(wanted):
    """The distribution that one entry of experiment.laws names."""
    if not isinstance(wanted, Mapping) or not isinstance(wanted.get("name"), str):
        known = ", ".join(LAWS)
        raise SimlabError(f"experiment.laws has {wanted!r}: give {{name: NAME, ...}}, known are {known}")
    options = {key: value for key, value in wanted.items() if key != "name"}
    try:
        law = make_law(wanted["name"], **options)
        cap(law, 1)  # refuses what has no moments, before anything runs
        return law
    except SimlabError as error:
        raise SimlabError(f"experiment.laws: {error}") from error


def _capacities(name: str, wanted) -> tuple[int, ...]:
    if not isinstance(wanted, list) or not wanted:
        raise SimlabError(
            f"experiment.{name} = {wanted!r} is not valid; "
            "expected a list of whole numbers, e.g. [1, 10, 100]"
        )
    capacities = tuple(check_count(f"experiment.{name}", whole(one), most=LARGEST_CAPACITY) for one in wanted)
    if any(later <= one for one, later in itertools.pairwise(capacities)):
        raise SimlabError(
            f"experiment.{name} = {list(capacities)} is not valid; expected each once, the smaller first"
        )
    return capacities
