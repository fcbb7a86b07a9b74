"""What rules take that stop at an unsure row: many thresholds, windows and costs in one pass forward (own).

A call that starts at s is after a accepted tokens at t = s + a. Where the row there is unsure, or a is the
window, or t = T - 1, it ends with the bonus token; else its mass M_a moves to M_a min(draft, target), and its
rejected part starts the next call. So the starts of calls are found from the first on. What a call takes
that starts at (t, x) is c(0) + sum_i (c(i) - c(i-1)) H_i(t, x), up to its window, with H_i the probability
that it drafts at least i tokens along the draft's own chain: starts and H are found once for all costs.
`backward` finds the same numbers for one cost from the last token on.
"""

from __future__ import annotations

import numpy as np

from simlab.pairs.pair import ChainPair
from simlab.theory.products import product
from simlab.theory.windows.rules import Rules, steps


def rule_times(pair: ChainPair, rules: Rules, windows: np.ndarray, call_times: np.ndarray) -> np.ndarray:
    """E[time for T tokens], (J, W, C), of J rules of confidence by W windows at C costs.

    rules: with thresholds and the bonus token; their own windows are not looked at. windows: (W,), whole
    numbers >= 1. call_times: (C, K + 1), what a call of 0..K tokens costs, K the longest window.
    """
    horizon, many = pair.horizon, len(rules.thresholds)
    windows = np.minimum(windows, horizon - 1)
    stopped = [rules.stopped(draft) for draft in pair.draft_rows] * (horizon if pair.is_stationary else 1)
    starts = np.stack([_starts(pair, stopped, many, int(window)) for window in windows])
    longest = int(windows.max())
    more = np.diff(call_times[:, : longest + 1], axis=1)
    found = starts.sum(axis=(1, 3))[..., None] * call_times[:, 0]
    at_least = np.ones((many, longest + 1, pair.states))  # H_i(t + 1, x)
    for t, step in steps(pair, backwards=True):
        if longest:
            ahead = product(at_least[:, :-1].reshape(-1, pair.states), step.draft.T)
            at_least[:, 1:] = ahead.reshape(many, longest, -1) * ~stopped[t][:, None]
        for at, window in enumerate(windows):
            most = min(int(window), horizon - 1 - t)
            drafted = (at_least[:, 1 : most + 1] @ starts[at, t][..., None])[..., 0]
            found[at] += drafted @ more[:, :most].T
    return found.swapaxes(0, 1)


def _starts(pair: ChainPair, stopped: list[np.ndarray], many: int, window: int) -> np.ndarray:
    """P(a call starts at t after token x), (T, J, V), of J rules with one window."""
    starts = np.zeros((pair.horizon, many, pair.states))
    starts[0] = pair.initial
    mass = np.zeros((window + 1, many, pair.states))  # by accepted tokens
    for t, step in steps(pair):
        if t == pair.horizon - 1:
            return starts
        mass[0] = starts[t]
        going = np.where(stopped[t], 0.0, mass[:-1])
        ended, rejected = mass.sum(axis=0) - going.sum(axis=0), going.sum(axis=0)
        starts[t + 1] = product(ended, step.target) + product(rejected, step.rejected)
        mass[1:] = product(going.reshape(-1, pair.states), step.accepted).reshape(mass[1:].shape)
    return starts
