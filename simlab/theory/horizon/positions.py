"""Where in a call drafted tokens are accepted, where every call drafts to the horizon (own).

For speculative, batch and biased decoding as Yin et al. (2024) have them: a call starts at t = 0 and after
each rejection, and drafts the R = T - t tokens to the horizon. Its start s is carried along: F[s, x].
"""

from __future__ import annotations

import numpy as np

from simlab.theory.horizon.steps import Step
from simlab.theory.products import NEGLIGIBLE, product


class CallPositions:
    """The calls that draft, reach and accept each position in the window, fed step by step.

    initial: (V,). A recursion of its own beside that of the counts, so that each step is made once for both.
    Of starts the oldest are dropped once all their masses are negligible: time O(T L V^2) as matrix products,
    memory O(T + L V), where L is at most T, and some 670 / log(1 / acceptance).
    """

    def __init__(self, initial: np.ndarray, horizon: int):
        self._starts, self._reached, self._accepted = np.zeros((3, horizon))
        self._now = np.array(initial)
        self._going = np.zeros((0, len(initial)))  # by start, the oldest first
        self._time = 0

    def move(self, step: Step) -> None:
        """Go one position on."""
        t, going = self._time, self._going
        self._starts[t] = self._now.sum()
        after = np.vstack(
            [
                product(going, step.output - step.rejected),
                product(self._now, step.output - step.rejected_fresh),
            ]
        )
        after[after < NEGLIGIBLE] = 0.0
        by_age = np.arange(len(after))[::-1]
        self._reached[by_age] += np.append(going.sum(axis=1), self._starts[t])
        self._accepted[by_age] += after.sum(axis=1)
        rejected = product(going.sum(axis=0), step.rejected)
        self._now = rejected + product(self._now, step.rejected_fresh)
        oldest = 0
        while oldest < len(after) - 1 and not after[oldest].any():
            oldest += 1
        self._going, self._time = after[oldest:], t + 1

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(drafted, reached, accepted), (T,) each, as in `Prediction`, once all T steps are made."""
        return np.cumsum(self._starts)[::-1], self._reached, self._accepted
