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
START, READY, WHOLE = range(3)
"""Columns of SortedRows.places."""
_LOWEST = np.iinfo(np.int64).min


class SortedRows(NamedTuple):
    """The rows of a chain as a search looks at them: row s * V + x is the one after token x at step s.

    bits: int64 (S * V, V), the chain's own memory; S = T, or 1 where the chain is stationary. values: float64
    (E,), the entries of visited rows, each row's from the largest on; tokens: int32 (E,), whose entries they
    are, the lower number first where entries are equal. places: int64 (S * V + 1, 3), where a row's entries
    start, how many are there, and whether there is room for all of them; the last one starts where nothing is
    yet. spare: int64 (3, V + 1), scratch. What is not used takes address space, and no memory.
    """

    bits: np.ndarray
    values: np.ndarray
    tokens: np.ndarray
    places: np.ndarray
    spare: np.ndarray


def read_only(chain: np.ndarray) -> np.ndarray:
    """The distinct steps (S, V, V) of a chain as the one type of array that searches are compiled for."""
    chain = np.ascontiguousarray(chain).view()
    chain.flags.writeable = False
    return chain


@compiled
def unsorted_rows(chain, most):
    """SortedRows of a chain that is `read_only`, none sorted yet, of which at most `most` will be visited."""
    states = chain.shape[1]
    number = chain.shape[0] * states
    room = (states + states // 2) * min(number, most)
    return SortedRows(
        chain.reshape((number, states)).view(np.int64),
        np.empty(room),
        np.empty(room, np.int32),
        np.zeros((number + 1, 3), np.int64),
        np.empty((3, states + 1), np.int64),
    )


@compiled
def visit(rows: SortedRows, row):
    """Bring more of a row's entries into falling order, the largest ones at its first visit.

    All that are equal come at once, so that those that are missing are less than those that are there. What
    the first visit finds gets no more room than it takes, as most rows are visited once; the second moves it
    to where all of the row has room. So a row takes 3 V / 2 entries at most.
    """
    bits, values, tokens, places, spare = rows
    states, start, known = bits.shape[1], places[row, START], places[row, READY]
    size = gather(bits, row, values[start + known - 1] if known else np.inf, spare)
    if not places[row, WHOLE]:
        end = places[-1, START]
        for i in range(known):
            values[end + i], tokens[end + i] = values[start + i], tokens[start + i]
        start = places[row, START] = end
        places[row, WHOLE] = known or size > states // 2
        places[-1, START] += states if places[row, WHOLE] else size
    places[row, READY] += size
    sort(spare, size, values, tokens, start + known)


@compiled
def sort(spare, size, values, tokens, start):
    """Write the entries in `spare` from `start` on, in falling order: runs, which are merged, O(n log n)."""
    for first in range(0, size, RUN):
        sort_run(spare, first, min(first + RUN, size), values, tokens, start)
    width = RUN
    while width < size:
        for first in range(0, size, 2 * width):
            merge(values, tokens, start, first, width, size, spare)
        width *= 2


@compiled
def gather(bits, row, bound, spare):
    """Write the largest of a row's entries below a bound, and their tokens, into `spare`; how many."""
    bound = np.float64(bound).view(np.int64)
    largest, least = 0, _LOWEST  # of zeros, which may be -0.0
    for y in range(bits.shape[1]):
        largest = max(largest, bits[row, y] if bits[row, y] < bound else 0)
    if largest:
        least = np.float64(SHARE * np.int64(largest).view(np.float64)).view(np.int64)
    count, width = np.uint64(0), np.uint64(bound - least)
    for y in range(bits.shape[1]):  # which it is cannot be foretold: without a branch
        spare[0, count], spare[1, count] = bits[row, y], y
        count += np.uint64(np.uint64(bits[row, y] - least) < width)
    return np.int64(count)


@compiled
def sort_run(spare, first, end, values, tokens, start):
    """Write up to RUN entries by the number of those that are larger than each, equal ones as they stand."""
    for i in range(first, end):
        spare[2, i] = 0
    for i in range(first, end):
        bits, before = spare[0, i], first
        for j in range(first, end):
            before += spare[0, j] > bits
        index = before + spare[2, before]
        spare[2, before] += 1
        values[start + index], tokens[start + index] = np.int64(bits).view(np.float64), spare[1, i]


@compiled
def merge(values, tokens, start, first, width, size, spare):
    """Merge the sorted runs from `first` and `first + width` on, equal entries of the first one before.

    values[start : start + size] and their tokens are the entries; the first run is copied out of the way.
    """
    middle, end = min(first + width, size), min(first + 2 * width, size)
    for i in range(first, middle):
        spare[0, i], spare[1, i] = np.float64(values[start + i]).view(np.int64), tokens[start + i]
    left, right, index = first, middle, start + first
    while left < middle and right < end:
        earlier = np.int64(spare[0, left]).view(np.float64)
        if earlier >= values[start + right]:
            values[index], tokens[index] = earlier, spare[1, left]
            left += 1
        else:
            values[index], tokens[index] = values[start + right], tokens[start + right]
            right += 1
        index += 1
    for i in range(left, middle):
        values[index], tokens[index] = np.int64(spare[0, i]).view(np.float64), spare[1, i]
        index += 1
