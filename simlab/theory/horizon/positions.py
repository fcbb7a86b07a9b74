"""Where in a call drafted tokens are accepted, where every call drafts to the horizon (own).

For speculative, batch and biased decoding as Yin et al. (2024) have them: a call starts at t = 0 and after
each rejection, and drafts the R = T - t tokens to the horizon. Its start s is carried along: F[s, x].
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from simlab.theory.products import product


def places_to_horizon(
    steps: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], initial: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(drafted, reached, accepted) by place, (T,) each, as in `Prediction`.

    steps: for each t the rows (V, V) of (output, rejected at a call's first place, rejected at later ones).
    initial: (V,). Time O(T^2 V^2) as matrix products, memory O(T V).
    """
    starts, reached, accepted = np.zeros((3, horizon))
    now, going = np.array(initial), np.zeros((0, len(initial)))  # going: (s, V), by start
    for t, (output, rejected_first, rejected) in enumerate(steps):
        starts[t] = now.sum()
        after = np.vstack([product(going, output - rejected), product(now, output - rejected_first)])
        after[after < 1e-290] = 0.0  # subnormal numbers would slow the arithmetic
        places = t - np.arange(t + 1)
        reached[places] += np.append(going.sum(axis=1), starts[t])
        accepted[places] += after.sum(axis=1)
        now = product(going.sum(axis=0), rejected) + product(now, rejected_first)
        going = after
    return np.cumsum(starts)[::-1], reached, accepted
