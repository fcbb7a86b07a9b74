"""The queue of a best-first search: buckets for what is far, sorted when they are reached; compiled.

A heap of a million cursors spends its time waiting for memory, level by level. But a child is never more
probable than its parent, so what is put into the queue lies below what is taken out, mostly far below, and
need not be sorted yet: it goes into a bucket of cursors whose probabilities share their leading bits
(exponent and some of the mantissa). The highest bucket that is not empty is sorted when it is reached, some
dozens of cursors at a time: the front. The few cursors that fall into the bucket at hand, or above it (rows
with an entry above 1 by rounding), go into a heap beside the front, and so does a bucket of very many cursors
(ties).

Cursors that will not be reached are not kept: each waiting cursor stands for at least one node, so that once
as many wait at a bucket or above it as nodes are missing, the buckets below are closed.

A probability is its float64's bits as an integer: floats that are not negative are ordered as these are.
`search` puts cursors in and takes them out in its own loop: a call for each would count references to arrays,
and the search take 40% longer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled

CHUNK = 16
"""Cursors of a bucket lie together in chunks of this many."""
FRONT = 256
"""Buckets of up to this many cursors become the front."""
FINE = 7
"""An octave of probability has capacity / 2^FINE buckets, or half as many: fewer would be long to sort, more
would not stay in the cache."""
OCTAVES = 12
"""So many octaves below 1 / capacity have buckets of their own; the last bucket has the rest."""
ROW, DEPTH, CHILDREN, OWNER, TOKEN = range(2, 7)
"""Columns of search.Found.facts; 0 and 1 are the probability."""
_EXPONENT = 52
_ONE = 1023 << _EXPONENT


class Queue(NamedTuple):
    """A cursor is two int64: its probability's bits, and its owner.

    heap: int64 (capacity + 2, 2). front: (FRONT, 2), and keys and same (FRONT,), scratch for its order.
    buckets: int32 (B, 2), where the next cursor goes (0: nowhere yet) and how many there are. chunks:
    (C * CHUNK, 2). links: int32 (C,), the chunk before each, or the next free one. shift: the bits below a
    bucket. lowest: bucket 0, so that a cursor belongs to bucket max(0, (bits >> shift) - lowest).
    """

    heap: np.ndarray
    front: np.ndarray
    keys: np.ndarray
    same: np.ndarray
    buckets: np.ndarray
    chunks: np.ndarray
    links: np.ndarray
    shift: int
    lowest: int


@compiled
def new_queue(capacity):
    """A queue for a search for `capacity` nodes, with some dozens of cursors to a bucket."""
    digits = 0
    while capacity >> digits:
        digits += 1
    fine = min(18, max(3, digits - FINE))
    shift, size = _EXPONENT - fine, (digits + OCTAVES) << fine
    links = capacity // CHUNK + min(size, capacity) + 2
    # Memory is taken as it is touched.
    return Queue(
        np.empty((capacity + 2, 2), np.int64),
        np.empty((FRONT, 2), np.int64),
        np.empty(FRONT, np.int64),
        np.empty(FRONT, np.int64),
        np.empty((size, 2), np.int32),
        np.empty((links * CHUNK, 2), np.int64),
        np.empty(links, np.int32),
        shift,
        (_ONE >> shift) - size + 1,
    )


@compiled
def highest(buckets, bucket):
    """The highest bucket with cursors, from `bucket` on down; -1 where there is none."""
    while bucket >= 0 and buckets[bucket, 1] == 0:
        bucket -= 1
    return bucket


@compiled
def unload(end, chunks, links, free, into):
    """Write the cursors of a bucket, the last of which is before `end`, into `into`.

    Its chunks are free then, before those that were (-1: none); returns the first free one.
    """
    filled, chunk = 0, (end - 1) // CHUNK
    while chunk >= 0:
        for index in range(chunk * CHUNK, end):
            into[filled, 0], into[filled, 1] = chunks[index, 0], chunks[index, 1]
            filled += 1
        before = links[chunk]
        links[chunk] = free
        free, chunk, end = chunk, before, (before + 1) * CHUNK
    return free


@compiled
def sort_front(cursors, size, front, keys, same):
    """Sort cursors by the number of those that are more probable than each, equal ones by their owners."""
    for i in range(size):
        keys[i], same[i] = cursors[i, 0], 0
    for i in range(size):
        bits, owner, rank = cursors[i, 0], cursors[i, 1], 0
        for j in range(size):
            rank += keys[j] > bits
        index = rank + same[rank]
        same[rank] += 1
        while index > rank and front[index - 1, 1] > owner:
            front[index, 0], front[index, 1] = front[index - 1, 0], front[index - 1, 1]
            index -= 1
        front[index, 0], front[index, 1] = bits, owner


@compiled
def make_heap(cursors, size):
    """Let the first `size` cursors be a binary heap."""
    for index in range(size):
        sift_up(cursors, index, cursors[index, 0], cursors[index, 1])


@compiled
def before(bits, owner, other_bits, other_owner):
    """Whether one cursor comes before another."""
    return bits > other_bits or (bits == other_bits and owner < other_owner)


@compiled
def sift_up(heap, size, bits, owner):
    """Put a cursor into a binary heap; the new size."""
    index = size
    while index > 0:
        above = (index - 1) >> 1
        if before(heap[above, 0], heap[above, 1], bits, owner):
            break
        heap[index, 0], heap[index, 1] = heap[above, 0], heap[above, 1]
        index = above
    heap[index, 0], heap[index, 1] = bits, owner
    return size + 1


@compiled
def sift_down(heap, size, bits, owner):
    """Put a cursor in the place of the first one of a binary heap."""
    index = 0
    while 2 * index + 1 < size:
        below = 2 * index + 1
        if below + 1 < size and before(
            heap[below + 1, 0], heap[below + 1, 1], heap[below, 0], heap[below, 1]
        ):
            below += 1
        if before(bits, owner, heap[below, 0], heap[below, 1]):
            break
        heap[index, 0], heap[index, 1] = heap[below, 0], heap[below, 1]
        index = below
    heap[index, 0], heap[index, 1] = bits, owner
