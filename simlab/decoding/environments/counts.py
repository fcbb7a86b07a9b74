"""What a simulation of random environments returns: integers that merge in any order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from simlab.checks import check_count, shortened
from simlab.errors import SimlabError

UNITS = 2**32
"""Units of `EnvironmentCounts.accepted` in a token."""

MOST_CAPACITY = 2**31 - 1
"""The largest capacity: its sum, at most as many tokens, has 31 bits before the point and 32 behind it."""


def check_capacities(capacities) -> tuple[int, ...]:
    """`capacities` as ascending whole numbers in 1..2^31 - 1; a single number is a list of one."""
    listed = [capacities] if isinstance(capacities, Integral) else capacities
    if isinstance(listed, str | bytes) or not isinstance(listed, Sequence | np.ndarray) or not len(listed):
        raise SimlabError(
            f"capacities = {capacities!r} is not valid; expected a list of whole numbers, ascending"
        )
    checked = tuple(check_count("capacity", value, least=1, most=MOST_CAPACITY) for value in listed)
    for low, high in itertools.pairwise(checked):
        if low >= high:
            raise SimlabError(f"capacities: {high} comes after {low}: give them ascending, each once")
    return checked


@dataclass(frozen=True, eq=False)
class EnvironmentCounts:
    """How many drafted tokens are right, environment by environment; `+` puts two sets of them together.

    capacities: int64 (K,), ascending. accepted: int64 (n, K), E[X | environment] of the best tree of each
    capacity, rounded to 2^-32 token, in units of that. Its rows are in lexicographical order, not in that in
    which they were simulated, so that merging is commutative and associative.
    """

    capacities: np.ndarray
    accepted: np.ndarray

    def __repr__(self) -> str:
        capacities = shortened(self.capacities.tolist())
        return f"EnvironmentCounts({len(self.accepted):,} environments, capacities {capacities})"

    @classmethod
    def zero(cls, capacities: Sequence[int]) -> EnvironmentCounts:
        """The counts of no environments: the neutral element of `+`."""
        capacities = np.asarray(capacities, np.int64)
        return cls(capacities, np.zeros((0, capacities.size), np.int64))

    @classmethod
    def merged(cls, parts: Iterable[EnvironmentCounts]) -> EnvironmentCounts:
        """All parts together, in any order; SimlabError where their capacities differ."""
        parts = list(parts)
        capacities = parts[0].capacities
        for part in parts[1:]:
            if not np.array_equal(capacities, part.capacities):
                raise SimlabError(
                    f"counts of capacities {capacities.tolist()} and {part.capacities.tolist()} "
                    "do not belong together"
                )
        return cls(capacities, in_order(np.concatenate([part.accepted for part in parts])))

    @property
    def environments(self) -> int:
        """n, how many environments were simulated."""
        return len(self.accepted)

    @property
    def values(self) -> np.ndarray:
        """E[X | environment] in tokens, float64 (n, K): root and bonus token excluded."""
        return self.accepted / float(UNITS)

    def __add__(self, other: EnvironmentCounts) -> EnvironmentCounts:
        if not isinstance(other, EnvironmentCounts):
            return NotImplemented
        return EnvironmentCounts.merged([self, other])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, EnvironmentCounts)
            and np.array_equal(self.capacities, other.capacities)
            and np.array_equal(self.accepted, other.accepted)
        )

    __hash__ = None


def in_order(accepted: np.ndarray) -> np.ndarray:
    """The rows of `accepted` (n, K) in lexicographical order."""
    return accepted[np.lexsort(accepted.T[::-1])]
