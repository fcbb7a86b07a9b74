"""Rows in falling order, sorted when a search first visits them, and each once; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled

RUN = 128
"""Runs of this many entries are sorted by counting what is larger than each, several at an instruction;
longer rows are merged from such runs. Entries are compared by their bits, as integers: floats that are not
negative are ordered as these are."""


class SortedRows(NamedTuple):
    """The rows of a chain as a search looks at them: row s * V + x is the one after token x at step s.

    chain: float64 (S, V, V), S = T, or 1 where the chain is stationary. values: float64 (S * V, V), each
    row's entries from the largest on; tokens: int32 (S * V, V), whose entries they are, the lower number
    first where entries are equal; ready: uint8 (S * V,), 1 where the two are filled in. Rows that are never
    visited take address space, and no memory.
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
    """Fill values and tokens, (V,) each, with the entries of `row` in falling order, ties as they were.

    O(V log V) for long rows.
    """
    states = row.size
    for start in range(0, states, RUN):
        end = min(start + RUN, states)
        sort_run(row[start:end], start, values[start:end], tokens[start:end])
    if states > RUN:
        spare_values, spare_tokens = np.empty(states), np.empty(states, np.int32)
        width = RUN
        while width < states:
            for start in range(0, states, 2 * width):
                merge(values, tokens, start, width, spare_values, spare_tokens)
            values[:], tokens[:] = spare_values, spare_tokens
            width *= 2


@compiled
def sort_run(entries, first, values, tokens):
    """Sort entries of tokens first, first + 1, ... by the number of those that are larger than each."""
    bits, equals = np.empty(RUN, np.int64), np.zeros(RUN, np.int64)
    for i in range(entries.size):
        bits[i] = np.float64(entries[i]).view(np.int64)
    for i in range(entries.size):
        before = 0
        for j in range(entries.size):
            before += bits[j] > bits[i]
        place = before + equals[before]
        equals[before] += 1
        values[place], tokens[place] = entries[i], first + i


@compiled
def merge(values, tokens, start, width, merged_values, merged_tokens):
    """Merge the falling runs [start, start + width) and the one after it, the first one's entry first."""
    left, middle = start, min(start + width, values.size)
    right, end = middle, min(start + 2 * width, values.size)
    place = start
    while left < middle and right < end:
        first = values[left] >= values[right]
        source = left if first else right
        merged_values[place], merged_tokens[place] = values[source], tokens[source]
        left += first
        right += not first
        place += 1
    for source in range(left, middle):
        merged_values[place], merged_tokens[place] = values[source], tokens[source]
        place += 1
    for source in range(right, end):
        merged_values[place], merged_tokens[place] = values[source], tokens[source]
        place += 1
