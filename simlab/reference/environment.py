"""Random environments, slow and obvious: NumPy draws whole rows, and all children go into a heap."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np

from simlab.laws import Dirichlet, Law, Softmax

DrawRow = Callable[[np.random.Generator], Sequence]


def row_of(law: Law) -> DrawRow:
    """What draws a row of a law: probabilities (V,), in any order."""
    if isinstance(law, Dirichlet):
        return lambda random: random.dirichlet(np.full(law.states, law.concentration))
    if isinstance(law, Softmax):
        return lambda random: _softmax(law.scale * random.standard_normal(law.states))
    return lambda random: law.rows[random.choice(len(law.rows), p=law.weights)]


def accepted_in_environment(draw_row: DrawRow, capacities: Sequence[int], random) -> list:
    """E[X | environment] for each of the ascending capacities: the sum of the P most probable prefixes.

    A prefix's row is drawn when the prefix is chosen. Sums are of the type of the rows' entries: rationals
    where these are.
    """
    frontier = [-entry for entry in draw_row(random)]
    heapq.heapify(frontier)
    total, sums = 0, []
    for chosen in range(1, capacities[-1] + 1):
        node = -heapq.heappop(frontier)
        total += node
        if chosen in capacities:
            sums.append(total)
        for entry in draw_row(random):
            heapq.heappush(frontier, -node * entry)
    return sums


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
