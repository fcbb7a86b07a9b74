"""How sure a position is to be accepted: h = S/(S + 1 - p), S = sum of [p target - draft]_+, by the running
ratio p.

S takes a sum over all tokens, which is for the few. h rises with p, as S does and 1 - p falls; so h at the
ends of a cell of p bounds it in between, and the first 16 bits of a uniform decide where they lie outside of
the bounds.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.core.bits import U16
from simlab.jit import compiled

FEWEST, MOST = 128, 1024
UNSURE = 65535
"""The largest number of 16 bits never decides, so that bounds up to 1 fit 16 bits."""


def cells_of(states: int) -> int:
    """Cells of p, a power of 2: the more tokens a sum has, the fewer are the asks for it."""
    return min(max(1 << (states // 2).bit_length() - 1 if states > 1 else 1, FEWEST), MOST)


def read_only(rows: np.ndarray) -> np.ndarray:
    """Rows as kernels know them: contiguous and not to be written, or they would be compiled twice."""
    rows = np.ascontiguousarray(rows).view()
    rows.flags.writeable = False
    return rows


def bounded_chances(draft: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bounds of h, total variations of the rows): uint32 (S, V * (cells + 1)), float64 (S, V).

    Bounds by row and cell of p, the last one being p = 1: the first 16 bits of uniforms that surely accept
    lie below the low half, those of uniforms that surely do not lie at or above the high half.
    """
    draft, target = read_only(draft), read_only(target)
    steps, states = max(len(draft), len(target)), draft.shape[2]
    bounds = np.empty((steps, draft.shape[1] * (cells_of(states) + 1)), np.uint32)
    distances = np.empty((steps, draft.shape[1]))
    _bound(draft, target, bounds, distances)
    return bounds, distances


@compiled
def excess(draft, target, share):
    """The sum of [share * target - draft]_+ over two rows."""
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0  # which do not wait for each other
    whole = draft.size // 4 * 4
    for y in range(0, whole, 4):
        first += max(share * target[y] - draft[y], 0.0)
        second += max(share * target[y + 1] - draft[y + 1], 0.0)
        third += max(share * target[y + 2] - draft[y + 2], 0.0)
        fourth += max(share * target[y + 3] - draft[y + 3], 0.0)
    for y in range(whole, draft.size):
        first += max(share * target[y] - draft[y], 0.0)
    return (first + second) + (third + fourth)


@compiled
def _bound(draft, target, bounds, distances):
    """Fill the cells with h at their ends, and one step of 16 bits beyond for the rounding."""
    states = draft.shape[1]
    cells = bounds.shape[1] // states - 1
    targets, drafts = np.empty(cells + 2), np.empty(cells + 2)
    for step in range(bounds.shape[0]):
        rows = draft[step if draft.shape[0] > 1 else 0], target[step if target.shape[0] > 1 else 0]
        for x in range(states):
            drafted, goal = rows[0][x], rows[1][x]
            distances[step, x] = excess(drafted, goal, 1.0)
            for cell in range(cells + 2):
                targets[cell] = drafts[cell] = 0.0
            for y in range(goal.size):  # p target > draft from the first end of a cell behind draft/target on
                if goal[y] > drafted[y]:
                    end = int(drafted[y] / goal[y] * cells) + 1
                    targets[end] += goal[y]
                    drafts[end] += drafted[y]
            goals, draws, low = 0.0, 0.0, np.uint32(0)
            for cell in range(cells):
                goals, draws = goals + targets[cell + 1], draws + drafts[cell + 1]
                share, high = (cell + 1) / cells, np.uint32(UNSURE)  # of the last cell: h may leap at p = 1
                mass = max(share * goals - draws, 0.0)
                if cell + 1 < cells:
                    chance = 65536.0 * mass / (mass + 1.0 - share)
                    high = np.uint32(min(chance + 2.0, float(UNSURE)))
                bounds[step, x * (cells + 1) + cell] = np.uint32(high << U16) | low
                if cell + 1 < cells:
                    low = np.uint32(max(chance - 1.0, 0.0))
            bounds[step, x * (cells + 1) + cells] = (UNSURE << U16) | UNSURE
