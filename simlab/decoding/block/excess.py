"""What verifying blocks looks up: the excess [p target - draft]_+ of each row, and chances to accept, by p.

h = S/(S + 1 - p), S = sum of [p target - draft]_+, p the running ratio. The tokens of each row are sorted by
falling target/draft once, with running sums of both distributions: those of positive excess are the first
ones, S is the difference of two running sums, and inverting the running sum draws a token from [p target -
draft]_+. Both are found by bisection, for many rows side by side: no step is a branch to be foretold, and the
look-ups of one step do not wait for each other.

Bisecting is for the few. h rises with p, as S does and 1 - p falls; so h at the ends of a cell of p bounds it
in between, and the first 16 bits of a uniform decide where they lie outside of the bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U0, U1, U16, U
from simlab.decoding.core.tables import distinct_steps
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair

RATIO, TARGET, DRAFT = range(3)
CELLS = 128
"""Cells of p: one ask in some hundred is not decided by them, and those of V = 1000 rows fit the L2 cache."""
UNSURE = 65535
"""The largest number of 16 bits never decides, so that bounds up to 1 fit 16 bits."""


class Excess(NamedTuple):
    """Rows sorted by falling target/draft.

    tokens: uint16 (S, V * V). sums: float64 (S, V * V, 3), side by side as they are looked up together:
    target/draft, inf where only the target has mass, 0 where it has none; and the running sums of both
    distributions. chances: uint32 (S, V * (CELLS + 1)), by row and cell of p, the last one being p = 1: the
    first 16 bits of uniforms that surely accept lie below the low half, those of uniforms that surely do not
    lie at or above the high half.
    """

    tokens: np.ndarray
    sums: np.ndarray
    chances: np.ndarray


def sorted_rows(pair: ChainPair) -> tuple[np.ndarray, Excess]:
    """(target/draft of each row's tokens, float64 (S, V * V); the rows sorted by it)."""
    steps, states = distinct_steps(pair), pair.states
    shape = steps, states * states
    ratios, sums = np.empty(shape), np.empty((*shape, 3))
    excess = Excess(np.empty(shape, np.uint16), sums, np.empty((steps, states * (CELLS + 1)), np.uint32))
    for step in range(steps):
        draft, target = (rows[step if len(rows) > 1 else 0] for rows in (pair.draft_rows, pair.target_rows))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(target > 0, target / draft, 0.0)
        order = np.argsort(-ratio, axis=1, kind="stable")
        ratios[step] = ratio.ravel()
        excess.tokens[step] = order.ravel()
        sums[step, :, RATIO] = np.take_along_axis(ratio, order, axis=1).ravel()
        for position, rows in ((TARGET, target), (DRAFT, draft)):
            sums[step, :, position] = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1).ravel()
    _bound_chances(sums, states, excess.chances)
    return ratios, excess


@compiled
def sum_excess(sums, rows, shares, states, count, positive, masses):
    """How many of a row's sorted tokens have share * target > draft, and the sum of their excess.

    sums: of one step. rows: uint32, where the rows begin; shares, masses: float64; positive: uint32.
    """
    for k in range(count):
        positive[k] = np.uint32(0)
    left = states
    while left > U0:
        half = max(left >> U1, U1)
        for k in range(count):
            last = U(rows[k]) + U(positive[k]) + half - U1
            more = shares[k] * sums[last, RATIO] > 1.0
            positive[k] = np.uint32(U(positive[k]) + (half if more else U0))
        left = left - half if left > U1 else U0
    for k in range(count):
        last = U(rows[k]) + U(max(positive[k], np.uint32(1))) - U1
        mass = shares[k] * sums[last, TARGET] - sums[last, DRAFT]
        masses[k] = mass if (mass > 0.0) & (positive[k] > 0) else 0.0


@compiled
def find_excess(sums, rows, shares, levels, states, count, positive, found):
    """The first sorted token at which the running sum of a row's excess is over its level, one of those of
    positive excess whatever the rounding; 0 where there is none."""
    for k in range(count):
        found[k] = np.uint32(0)
    left = states
    while left > U0:
        half = max(left >> U1, U1)
        for k in range(count):
            token = U(found[k]) + half - U1
            last, share = U(rows[k]) + token, shares[k]
            below = share * sums[last, TARGET] - sums[last, DRAFT] <= levels[k]
            more = below & (token + U1 < U(positive[k]))
            found[k] = np.uint32(U(found[k]) + (half if more else U0))
        left = left - half if left > U1 else U0


@compiled
def _bound_chances(sums, states, chances):
    """Fill the cells with h at their ends, and one step of 16 bits beyond for the rounding."""
    wide = U(states)
    rows, shares = np.empty(states, np.uint32), np.empty(states)
    positive, masses, lows = np.empty(states, np.uint32), np.empty(states), np.empty(states, np.uint32)
    for x in range(states):
        rows[x] = np.uint32(x * states)
    for step in range(sums.shape[0]):
        lows[:] = 0
        for cell in range(CELLS + 1):
            share = min((cell + 1) / CELLS, 1.0)
            shares[:] = share
            sum_excess(sums[step], rows, shares, wide, wide, positive, masses)
            for x in range(states):
                high = np.uint32(UNSURE)  # from the last cell on: h may leap at p = 1
                if cell + 1 < CELLS:
                    chance = 65536.0 * masses[x] / (masses[x] + 1.0 - share)
                    high = np.uint32(min(chance + 2.0, float(UNSURE)))
                low = lows[x] if cell < CELLS else np.uint32(UNSURE)
                chances[step, x * (CELLS + 1) + cell] = np.uint32(high << U16) | low
                if cell + 1 < CELLS:
                    lows[x] = np.uint32(max(chance - 1.0, 0.0))
