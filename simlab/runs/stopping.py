"""When a job has seen enough: by the batches' numbers only, never by the clock or by who came first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from simlab.checks import check_count
from simlab.errors import SimlabError


@dataclass(frozen=True)
class Trajectories:
    """Exactly `total` trajectories (>= 1): full batches, then the rest as a partial one.

    A later, larger total runs the partial batch again in full. Raises SimlabError for a bad total.
    """

    total: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", check_count("trajectories", self.total, least=1))

    @property
    def at_most(self) -> int:
        """The trajectories that this rule can ask for."""
        return self.total


@dataclass(frozen=True)
class HalfWidth:
    """The first K batches whose confidence sequence for the mean number of rejections is narrow enough.

    Stops at the smallest K at which the sequence over batches 0..K-1 has a half-width <= `width`
    (rejections per trajectory, > 0; of decoding with trees the bonus tokens), or at `at_most` trajectories.
    The interval covers the mean with probability >= `confidence` (in (0, 1)) although K depends on the data,
    for it holds at all K at once (`simlab.evidence.confidence_sequence`). Raises SimlabError for values out
    of range.
    """

    width: float
    confidence: float = 0.95
    at_most: int = 100_000_000

    def __post_init__(self) -> None:
        if not _is_real(self.width) or not 0 < self.width < math.inf:
            raise SimlabError(
                f"width = {self.width!r} is not valid; expected a half-width above 0, in rejections"
            )
        if not _is_real(self.confidence) or not 0 < self.confidence < 1:
            raise SimlabError(
                f"confidence = {self.confidence!r} is not valid; expected a probability between 0 and 1"
            )
        object.__setattr__(self, "width", float(self.width))
        object.__setattr__(self, "confidence", float(self.confidence))
        object.__setattr__(self, "at_most", check_count("at_most", self.at_most, least=1))


Stop = Trajectories | HalfWidth


def _is_real(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
