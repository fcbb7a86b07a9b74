"""What a simulation returns: integer counts that add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.errors import SimlabError


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts over simulated trajectories; `+` merges the counts of two sets of trajectories.

    rejections: int64 (T+1,), how many trajectories had n = 0..T rejections.
    tokens: int64 (T, V), how often token y was generated at position t.
    rejections_per_position: int64 (T,), how often position t was rejected.
    trajectories: how many trajectories were simulated.
    """

    rejections: np.ndarray
    tokens: np.ndarray
    rejections_per_position: np.ndarray
    trajectories: int

    @classmethod
    def zero(cls, horizon: int, states: int) -> Counts:
        """The counts of no trajectories: the neutral element of `+`."""
        return cls(
            np.zeros(horizon + 1, np.int64),
            np.zeros((horizon, states), np.int64),
            np.zeros(horizon, np.int64),
            0,
        )

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
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and self.trajectories == other.trajectories
            and np.array_equal(self.rejections, other.rejections)
            and np.array_equal(self.tokens, other.tokens)
            and np.array_equal(self.rejections_per_position, other.rejections_per_position)
        )

    __hash__ = None
