"""Rows in falling order, sorted when a search first visits them, and each once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled

RUN = 8
"""Runs of this many entries are sorted by insertion before they are merged."""


class SortedRows(NamedTuple):
    """The rows of a chain as a search looks at them: row s * V + x is the one after token x at step s.

    chain: float64 (S, V, V), S = T, or 1 where the chain is stationary. values: float64 (S * V, V), each
    row's entries from the largest on; tokens: int32 (S * V, V), whose entries they are, the lower number first
    where entries are equal; ready: uint8 (S * V,), 1 where the two are filled in. Rows that are never visited
    take address space, and no memory.
    """

    chain: np.ndarray
    values: np.ndarray
    tokens: np.ndarray
    ready: np.ndarray


def unsorted_rows(chain: np.ndarray) -> SortedRows:
    """SortedRows of the distinct steps (S, V, V) of a chain, none of them sorted yet."""
    chain = np.ascontiguousarray(chain).view()
    chain.flags.writeable = False  # one type of array, so that the search is compiled once
    steps, states, _ = chain.shape
    shape = (steps * states, states)
    return SortedRows(chain, np.empty(shape), np.empty(shape, np.int32), np.zeros(shape[0], np.uint8))


@compiled
def sort_row(row, values, tokens):
    """Fill values and tokens, (V,) each, with the entries of `row` in falling order; equal ones as they stood.

    Merges sorted runs, two by two: O(V log V).
    """
    states = row.size
    for start in range(0, states, RUN):
        for i in range(start, min(start + RUN, states)):
            value, place = row[i], i
            while place > start and values[place - 1] < value:
                values[place], tokens[place] = values[place - 1], tokens[place - 1]
                place -= 1
            values[place], tokens[place] = value, i
    if states <= RUN:
        return
    spare_values, spare_tokens = np.empty(states), np.empty(states, np.int32)
    width = RUN
    while width < states:
        for start in range(0, states, 2 * width):
            _merge(values, tokens, start, width, spare_values, spare_tokens)
        values[:], tokens[:] = spare_values, spare_tokens
        width *= 2


@compiled
def _merge(values, tokens, start, width, merged_values, merged_tokens):
    """Merge the falling runs [start, start + width) and the one after it, the first one's entry first."""
    left, middle = start, min(start + width, values.size)
    right, end = middle, min(start + 2 * width, values.size)
    for place in range(start, end):
        if left < middle and (right == end or values[left] >= values[right]):
            merged_values[place], merged_tokens[place] = values[left], tokens[left]
            left += 1
        else:
            merged_values[place], merged_tokens[place] = values[right], tokens[right]
            right += 1
