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
    Time O(T^2 V^2) as matrix products, memory O(T V).
    """

    def __init__(self, initial: np.ndarray, horizon: int):
        self._starts, self._reached, self._accepted = np.zeros((3, horizon))
        self._now, self._going = np.array(initial), np.zeros((0, len(initial)))  # going: (s, V), by start

    def move(self, step: Step) -> None:
        """Go one position on."""
        t = len(self._going)
        self._starts[t] = self._now.sum()
        after = np.vstack(
            [
                product(self._going, step.output - step.rejected),
                product(self._now, step.output - step.rejected_fresh),
            ]
        )
        after[after < NEGLIGIBLE] = 0.0
        indices = t - np.arange(t + 1)
        self._reached[indices] += np.append(self._going.sum(axis=1), self._starts[t])
        self._accepted[indices] += after.sum(axis=1)
        rejected = product(self._going.sum(axis=0), step.rejected)
        self._now = rejected + product(self._now, step.rejected_fresh)
        self._going = after

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(drafted, reached, accepted), (T,) each, as in `Prediction`, once all T steps are made."""
        return np.cumsum(self._starts)[::-1], self._reached, self._accepted
