"""What a simulation returns: integer counts that add."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from simlab.errors import SimlabError

DEVIATION_LEVELS = 1024
"""A trajectory's deviation is counted in this many equal steps from 0 to 1."""


def _none() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts over simulated trajectories; `+` merges the counts of two sets of trajectories.

    rejections: int64 (T+1,), how many trajectories had n = 0..T rejections.
    tokens: int64 (T, V), how often token y was generated at position t.
    rejections_per_position: int64 (T,), how often position t was rejected.
    trajectories: how many trajectories were simulated.
    deviations: int64 (1025,) where the decoder is biased, else (0,). How many trajectories x, as sequences of
    generated tokens, had a deviation [1 - target(x)/output(x)]_+ of 0..1024 steps of 1/1024, both laws given
    the initial token. Steps are whole because each deviation was rounded up or down at random, with the
    probabilities that keep its mean: sum(levels * deviations) / (1024 * trajectories) estimates, without
    bias, the total variation between the laws of the output and the target as sequences.
    target_calls: int64 (T+1,) where the decoder drafts trees, else (0,). How many trajectories took n = 0..T
    target calls. The "rejections" of such a decoder are its bonus tokens: those that no tree had drafted.
    """

    rejections: np.ndarray
    tokens: np.ndarray
    rejections_per_position: np.ndarray
    trajectories: int
    deviations: np.ndarray = field(default_factory=_none)
    target_calls: np.ndarray = field(default_factory=_none)

    @classmethod
    def zero(cls, horizon: int, states: int) -> Counts:
        """The counts of no trajectories: the neutral element of `+`, for every decoder."""
        return cls(
            np.zeros(horizon + 1, np.int64),
            np.zeros((horizon, states), np.int64),
            np.zeros(horizon, np.int64),
            0,
        )

    @classmethod
    def merged(cls, parts: Iterable[Counts]) -> Counts:
        """All parts together; SimlabError where they do not belong together."""
        first, *others = parts
        return sum(others, first)

    def __add__(self, other: Counts) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        if self.tokens.shape != other.tokens.shape:
            raise SimlabError(
                f"counts of (T, V) = {self.tokens.shape} and {other.tokens.shape} do not belong together"
            )
        return Counts(
            self.rejections + other.rejections,
            self.tokens + other.tokens,
            self.rejections_per_position + other.rejections_per_position,
            self.trajectories + other.trajectories,
            _merged(self, other, "deviations", "levels of deviation"),
            _merged(self, other, "target_calls", "numbers of target calls"),
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and self.trajectories == other.trajectories
            and np.array_equal(self.rejections, other.rejections)
            and np.array_equal(self.tokens, other.tokens)
            and np.array_equal(self.rejections_per_position, other.rejections_per_position)
            and np.array_equal(self.deviations, other.deviations)
            and np.array_equal(self.target_calls, other.target_calls)
        )

    __hash__ = None


def _merged(one: Counts, other: Counts, name: str, told: str) -> np.ndarray:
    """The sum of what only some decoders count; counts of no trajectories go with any."""
    ours, theirs = getattr(one, name), getattr(other, name)
    if ours.size == theirs.size:
        return ours + theirs
    if not one.trajectories:
        return theirs
    if not other.trajectories:
        return ours
    raise SimlabError(
        f"counts with {ours.size} and {theirs.size} {told} do not belong together: they are of different "
        "decoders"
    )
