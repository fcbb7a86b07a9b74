"""Rows in falling order, sorted when a search first visits them, as far as it goes; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled

RUN = 128
"""Runs of this many entries are sorted by counting what is larger than each, several at an instruction;
longer rows are merged from such runs. Entries are compared by their bits, as integers: floats that are not
negative are ordered as these are."""
SHARE = 1 / 8
"""A visit sorts the entries above this share of the largest; the others only once all these are used up."""


class SortedRows(NamedTuple):
    """The rows of a chain as a search looks at them: row s * V + x is the one after token x at step s.

    chain: float64 (S, V, V), S = T, or 1 where the chain is stationary. slots: int32 (S * V,), where a
    visited row is; used: int32 (1,), how many there are. values: float64 (S * V, V), the entries of a slot
    from the largest on; tokens: int32 (S * V, V), whose entries they are, the lower number first where
    entries are equal; ready: int32 (S * V,), how many of a row's entries are in order. The others follow, in
    any order, where ready is not 0. spare: int64 (3, max(V, RUN)), scratch. Rows that are never visited take
    address space, and no memory; those that are lie together.
    """

    chain: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    values: np.ndarray
    tokens: np.ndarray
    ready: np.ndarray
    spare: np.ndarray


def unsorted_rows(chain: np.ndarray) -> SortedRows:
    """SortedRows of the distinct steps (S, V, V) of a chain, none of them sorted yet."""
    chain = np.ascontiguousarray(chain).view()
    chain.flags.writeable = False  # one type of array, so that the search is compiled once
    steps, states, _ = chain.shape
    shape = (steps * states, states)
    return SortedRows(
        chain,
        np.zeros(shape[0], np.int32),
        np.zeros(1, np.int32),
        np.empty(shape),
        np.empty(shape, np.int32),
        np.zeros(shape[0], np.int32),
        np.empty((3, max(states, RUN)), np.int64),
    )


@compiled
def visit(rows: SortedRows, row):
    """Bring more of a row's entries into falling order, the largest ones at its first visit."""
    chain, slots, used, ready = rows.chain, rows.slots, rows.used, rows.ready
    if not ready[row]:
        slots[row] = used[0]
        used[0] += 1
    slot, states = slots[row], chain.shape[1]
    entries = chain[row // states, row % states]
    ready[row] = sort_more(entries, rows.values[slot], rows.tokens[slot], ready[row], rows.spare)


@compiled
def sort_more(row, values, tokens, ready, spare):
    """Bring more of a row's entries, of which `ready` are, into falling order; returns how many then are.

    O(V log V) for long rows.
    """
    if not ready:
        for y in range(row.size):
            values[y], tokens[y] = row[y], y
    end = ready + part(values[ready:], tokens[ready:], SHARE * largest_of(values[ready:]), spare)
    sort(values[ready:end], tokens[ready:end], spare)
    return end


@compiled
def largest_of(values):
    """The largest entry; four at a time, which do not wait for each other."""
    first = second = third = fourth = 0.0
    whole = values.size // 4 * 4
    for i in range(0, whole, 4):
        first, second = max(first, values[i]), max(second, values[i + 1])
        third, fourth = max(third, values[i + 2]), max(fourth, values[i + 3])
    for i in range(whole, values.size):
        first = max(first, values[i])
    return max(max(first, second), max(third, fourth))


@compiled
def part(values, tokens, least, spare):
    """Move the entries from `least` on before the others, each part as it stands; how many they are."""
    end = others = 0
    for i in range(values.size):  # which it is cannot be foretold: without a branch
        value, token = values[i], tokens[i]
        values[end], tokens[end] = value, token
        spare[0, others], spare[1, others] = np.float64(value).view(np.int64), token
        end += value >= least
        others += value < least
    for i in range(others):
        values[end + i], tokens[end + i] = np.int64(spare[0, i]).view(np.float64), spare[1, i]
    return end


@compiled
def sort(values, tokens, spare):
    """Sort entries and their tokens, (n,) each, by falling value, equal ones as they stand."""
    size = values.size
    for start in range(0, size, RUN):
        sort_run(values[start : start + RUN], tokens[start : start + RUN], spare)
    if size > RUN:
        spare_values, spare_tokens = np.empty(size), np.empty(size, np.int32)
        width = RUN
        while width < size:
            for start in range(0, size, 2 * width):
                merge(values, tokens, start, width, spare_values, spare_tokens)
            values[:], tokens[:] = spare_values, spare_tokens
            width *= 2


@compiled
def sort_run(values, tokens, spare):
    """Sort up to RUN entries by the number of those that are larger than each."""
    bits, held, equals = spare[0], spare[1], spare[2]
    for i in range(values.size):
        bits[i], held[i], equals[i] = np.float64(values[i]).view(np.int64), tokens[i], 0
    for i in range(values.size):
        before = 0
        for j in range(values.size):
            before += bits[j] > bits[i]
        index = before + equals[before]
        equals[before] += 1
        values[index], tokens[index] = np.int64(bits[i]).view(np.float64), held[i]


@compiled
def merge(values, tokens, start, width, merged_values, merged_tokens):
    """Merge the falling runs [start, start + width) and the one after it, the first one's entry first."""
    left, middle = start, min(start + width, values.size)
    right, end = middle, min(start + 2 * width, values.size)
    index = start
    while left < middle and right < end:
        first = values[left] >= values[right]
        source = left if first else right
        merged_values[index], merged_tokens[index] = values[source], tokens[source]
        left += first
        right += not first
        index += 1
    for source in range(left, middle):
        merged_values[index], merged_tokens[index] = values[source], tokens[source]
        index += 1
    for source in range(right, end):
        merged_values[index], merged_tokens[index] = values[source], tokens[source]
        index += 1
