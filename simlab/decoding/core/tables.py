"""What the samplers look up, and whether it fits.

S is the number of distinct steps: 1 where both chains are stationary, else T. Rows are flat: entry
x * V + slot belongs to last token x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.alias import acceptance_threshold, pack_row, pack_rows
from simlab.decoding.core.bits import LOW32, U16, U32
from simlab.errors import SimlabError
from simlab.jit import compiled
from simlab.memory import check_fits, gibibytes
from simlab.pairs.pair import ChainPair

LARGEST = 65535


class AliasTable(NamedTuple):
    """Rows to draw from: entries, lows uint32 (S, V * V), or (V,) for the initial distribution; see
    alias.py."""

    entries: np.ndarray
    lows: np.ndarray


class DraftTable(NamedTuple):
    """Rows to draft from, each slot with the acceptance thresholds of both tokens it can give.

    records: uint64 (S, V * V), to be seen as pairs of uint32: the slot's alias entry, and the upper 16 bits
    of two acceptance thresholds, the alias's << 16 | the slot's, so that one look-up gives it all. lows:
    uint32 (S, V * V), the lower 32 bits of the slots' thresholds. acceptance_lows: uint32 (S, V * V), those
    of the tokens' acceptance.
    """

    records: np.ndarray
    lows: np.ndarray
    acceptance_lows: np.ndarray


def distinct_steps(pair: ChainPair) -> int:
    """S: 1 where both chains are stationary, else T."""
    return max(len(pair.draft_rows), len(pair.target_rows))


def check_size(pair: ChainPair, needed: int) -> None:
    """Raises SimlabError where the samplers' 16-bit fields or the memory there is are too small for a pair
    and tables of so many bytes."""
    if pair.states > LARGEST + 1:
        raise SimlabError(f"V = {pair.states}: simulate takes at most {LARGEST + 1} tokens")
    if pair.horizon > LARGEST:
        raise SimlabError(f"T = {pair.horizon}: simulate takes at most {LARGEST} steps")
    check_memory(needed)


MEND = "fewer tokens, steps or drafts, or a stationary pair"


def check_memory(needed: int, mend: str = MEND) -> None:
    """Raises SimlabError where so many more bytes are not available."""
    check_fits("the sampler's tables need", needed, mend)


def memory_error(needed: int, mend: str = MEND) -> SimlabError:
    """The error for tables that turned out not to fit."""
    return SimlabError(
        f"the sampler's tables need {gibibytes(needed)} of memory, more than there is; expected {mend}"
    )


def alias_table(chain: np.ndarray) -> AliasTable:
    """The alias table of rows (S, V, V)."""
    steps, states = chain.shape[:2]
    table = AliasTable(*(np.empty((steps, states * states), np.uint32) for _ in range(2)))
    pack_rows(chain, *table)
    return table


def initial_table(initial: np.ndarray) -> AliasTable:
    """The alias table of the one row `initial` (V,)."""
    states = initial.size
    table = AliasTable(*(np.empty(states, np.uint32) for _ in range(2)))
    pack_row(initial, *table, np.empty(states), np.empty(states, np.int64), np.empty(states, np.int64))
    return table


def draft_table(draft: np.ndarray, target: np.ndarray, epsilon: float = 0.0) -> DraftTable:
    """The table that drafts from `draft` and verifies against `target` + epsilon, (1 or S, V, V) each."""
    steps, states = max(len(draft), len(target)), draft.shape[1]
    shape = (steps, states * states)
    table = DraftTable(np.empty(shape, np.uint64), np.empty(shape, np.uint32), np.empty(shape, np.uint32))
    _pack_drafts(draft, target, epsilon, table.records.view(np.uint32), table.lows, table.acceptance_lows)
    return table


@compiled
def step_of(rows, step):
    """The index of a step's rows: 0 where they are kept once."""
    return step if rows.shape[0] > 1 else 0


@compiled
def _pack_drafts(draft, target, epsilon, halves, lows, acceptance_lows):
    states = draft.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, needed = np.empty(states, np.int64), np.empty(states, np.uint64)
    entries = np.empty(states, np.uint32)
    for step in range(lows.shape[0]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            pack_row(drafted, entries, lows[step, row], shares, aliases, stack)
            for y in range(states):
                needed[y] = acceptance_threshold(goal[y] + epsilon, drafted[y])
                acceptance_lows[step, row][y] = np.uint32(needed[y] & LOW32)
            for y in range(states):
                bars = ((needed[aliases[y]] >> U32) << U16) | (needed[y] >> U32)
                halves[step, 2 * (x * states + y)] = entries[y]
                halves[step, 2 * (x * states + y) + 1] = np.uint32(bars)


@compiled
def _pack_residual(draft, target, entries, lows):
    states = draft.shape[2]
    shares, aliases, weights = np.empty(states), np.empty(states, np.int64), np.empty(states)
    stack = np.empty(states, np.int64)
    for step in range(entries.shape[0]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            for y in range(states):
                weights[y] = max(goal[y] - drafted[y], 0.0)
            usable(weights, goal)
            row = slice(x * states, (x + 1) * states)
            pack_row(weights, entries[step, row], lows[step, row], shares, aliases, stack)


@compiled
def usable(weights, otherwise):
    """Put `otherwise` in the place of a row of zeros, which no rejection can reach."""
    for y in range(weights.size):
        if weights[y] > 0.0:
            return
    for y in range(weights.size):  # numba takes seconds to compile weights[:] = otherwise
        weights[y] = otherwise[y]


def residual_table(draft: np.ndarray, target: np.ndarray) -> AliasTable:
    """The alias table of [target - draft]_+, (1 or S, V, V) each."""
    steps, states = max(len(draft), len(target)), draft.shape[1]
    table = AliasTable(*(np.empty((steps, states * states), np.uint32) for _ in range(2)))
    _pack_residual(draft, target, *table)
    return table
