"""Distributions that are given by a formula: frozen settings, checked, each with a text for figures."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import ClassVar

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError

MOST_STATES = 2**24
"""The largest vocabulary of a law: one row of it takes 128 MiB."""


MOST_CONCENTRATION = 1e12
"""The largest concentration: such rows are uniform to six digits."""


def check_states(states) -> int:
    """`states` as a whole number in 1..MOST_STATES; SimlabError otherwise."""
    if isinstance(states, Real) and states == math.inf:
        raise SimlabError(
            "states = inf is not valid; expected a finite vocabulary; on an infinite one the entropy may be "
            "infinite and no bound holds"
        )
    return check_count("states", states, least=1, most=MOST_STATES)


class _Family:
    """A distribution that is given by a few numbers."""

    nbytes: ClassVar[int] = 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the distribution's family and settings: two distributions agree if theirs do."""
        return hashlib.sha256(repr((type(self).__name__, dataclasses.astuple(self))).encode()).hexdigest()


@dataclass(frozen=True)
class Dirichlet(_Family):
    """Each row is a draw from the symmetric Dirichlet(a, ..., a) on V tokens.

    states: V, 1 to 2^24. concentration: a in (0, 1e12]: small for rows that are nearly certain, 1 for the
    uniform distribution on the simplex, large for rows that are nearly uniform. Raises SimlabError for
    anything else.
    """

    states: int = 64
    concentration: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", check_states(self.states))
        value = check_number("concentration", self.concentration, above=0.0, most=MOST_CONCENTRATION)
        object.__setattr__(self, "concentration", value)

    @property
    def label(self) -> str:
        """A short text for figures."""
        return f"Dirichlet({self.concentration:g}), V = {self.states}"


@dataclass(frozen=True)
class Softmax(_Family):
    """Each row is the softmax of V independent logits, `scale` times N(0, 1).

    states: V, 1 to 2^24. scale: finite, >= 0 (0: every row is uniform). Raises SimlabError for anything else.
    """

    states: int = 64
    scale: float = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", check_states(self.states))
        object.__setattr__(self, "scale", check_number("scale", self.scale, least=0.0))

    @property
    def label(self) -> str:
        """A short text for figures."""
        return f"softmax of {self.scale:g} N(0, 1), V = {self.states}"


@dataclass(frozen=True)
class Zipf(_Family):
    """Each row is a random permutation of the one row proportional to 1, 2^-s, ..., V^-s.

    The permutations make no difference to how many drafted tokens are right, so that such an environment is
    deterministic in all that is measured of it. states: V, 1 to 2^24. exponent: s, finite, >= 0 (0: uniform
    rows). Raises SimlabError for anything else.
    """

    states: int = 64
    exponent: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", check_states(self.states))
        object.__setattr__(self, "exponent", check_number("exponent", self.exponent, least=0.0))

    @property
    def label(self) -> str:
        """A short text for figures."""
        return f"Zipf({self.exponent:g}), V = {self.states}"

    @property
    def rows(self) -> np.ndarray:
        """The row, most probable token first, float64 (1, V)."""
        weights = np.arange(1, self.states + 1, dtype=float) ** -self.exponent
        return (weights / weights.sum())[None]

    @property
    def weights(self) -> np.ndarray:
        """The probability of the row: [1.]."""
        return np.ones(1)
