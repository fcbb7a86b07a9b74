"""The best-first search for the most probable prefixes, compiled.

Each chosen node, and the root, has a cursor: its most probable child that is not chosen yet. The next node is
the best cursor's; choosing it moves that cursor to the next sibling and opens one at the new node, so that a
row of V entries is looked at one entry at a time. Of two cursors the one with the higher probability comes
first, of equal ones the one whose owner was chosen first (siblings never meet); see `queue`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled
from simlab.theory.trees.queue import (
    CHILDREN,
    CHUNK,
    CLOSED,
    DEPTH,
    END,
    FETCHED,
    FLOOR,
    HEAP,
    OWNER,
    ROW,
    TOKEN,
    WAITING,
    Queue,
    advance,
    before,
    clear,
    fetch,
    new_chunk,
    new_queue,
    sift_down,
    sift_up,
)
from simlab.theory.trees.rows import SortedRows, visit


class Found(NamedTuple):
    """Room for a search: nodes in order of choice, after the root, which is node 0 here.

    probability: float64 (capacity + 1, 4), column 0, and facts: int32 (capacity + 1, 8), are one memory, so
    that all that a node is asked for is fetched at once. Facts: its row, its depth, how many of its children
    are chosen, its owner and its token.
    """

    probability: np.ndarray
    facts: np.ndarray
    queue: Queue


def room(capacity: int) -> Found:
    """A Found for at most `capacity` nodes; memory is taken as they are found."""
    probability = np.empty((capacity + 1, 4))
    return Found(probability, probability.view(np.int32), new_queue(capacity))


@compiled
def best_first(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the most probable prefixes after `token`, `steps` >= 1 deep; returns their number."""
    probability, facts, queue = found
    state, heap, front, loaded, same, buckets, chunks, links, shift, lowest = queue
    chain, slots, _, values, tokens, ready, _ = rows
    capacity, states, stationary = facts.shape[0] - 1, chain.shape[1], chain.shape[0] == 1
    clear(queue)
    plant(rows, found, time, token)
    count = index = end = size = owner = 0
    floor, on_top = state[FLOOR], False
    while count < capacity:
        for turn in range(2):  # the cursors of the owner and of the node chosen last; the root's, at first
            node = count if turn else owner
            row, rank, bits = facts[node, ROW], facts[node, CHILDREN], np.int64(0)
            if rank < states and facts[node, DEPTH] < steps and (count or not turn):
                if rank >= ready[row]:
                    visit(rows, row)
                bits = np.float64(probability[node, 0] * values[slots[row], rank]).view(np.int64)
            if on_top and not turn:  # the owner's cursor is the heap's first one still
                if bits >= floor:
                    sift_down(heap, size, bits, node)
                    continue
                size -= 1
                sift_down(heap, size, heap[size, 0], heap[size, 1])
            if bits >= floor:
                size = sift_up(heap, size, bits, node)
                continue
            bucket = max(0, (bits >> shift) - lowest)
            if bits <= 0 or bucket < state[CLOSED]:
                continue
            spot = buckets[bucket, 0]
            if spot % CHUNK == 0:
                spot = new_chunk(state, links, spot // CHUNK - 1) * CHUNK
            chunks[spot, 0], chunks[spot, 1] = bits, node
            buckets[bucket, 0], buckets[bucket, 1] = spot + 1, buckets[bucket, 1] + 1
            state[WAITING] += 1
            while state[WAITING] - buckets[state[CLOSED], 1] >= capacity - count:
                state[WAITING] -= buckets[state[CLOSED], 1]
                state[CLOSED] += 1
        if index == end and size == 0:
            if not advance(state, heap, front, loaded, same, buckets, chunks, links, shift, lowest):
                return count
            index, end, size, floor = 0, state[END], state[HEAP], state[FLOOR]
            state[FETCHED] = fetch(front, end, facts, slots, values, tokens)
        if index < end and (size == 0 or before(front[index, 0], front[index, 1], heap[0, 0], heap[0, 1])):
            bits, owner, on_top = front[index, 0], front[index, 1], False
            index += 1
        else:
            bits, owner, on_top = heap[0, 0], heap[0, 1], True
        count += 1
        row, rank = facts[owner, ROW], facts[owner, CHILDREN]
        facts[owner, CHILDREN] = rank + 1
        token = tokens[slots[row], rank]
        probability[count, 0] = np.int64(bits).view(np.float64)
        facts[count, ROW] = token if stationary else (row // states + 1) * states + token
        facts[count, DEPTH], facts[count, CHILDREN] = facts[owner, DEPTH] + 1, 0
        facts[count, OWNER], facts[count, TOKEN] = owner, token
    return count


@compiled
def greedy_chain(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the chain of each most probable next token, `steps` deep at most; its length.

    It ends before a probability that is 0 in floating point.
    """
    probability, facts = found.probability, found.facts
    states, stationary = rows.chain.shape[1], rows.chain.shape[0] == 1
    plant(rows, found, time, token)
    for count in range(min(facts.shape[0] - 1, steps)):
        row = facts[count, ROW]
        if not rows.ready[row]:
            visit(rows, row)
        slot = rows.slots[row]
        chance = probability[count, 0] * rows.values[slot, 0]
        if chance == 0.0:
            return count
        token = rows.tokens[slot, 0]
        facts[count, CHILDREN] = 1
        probability[count + 1, 0] = chance
        facts[count + 1, ROW] = token if stationary else (row // states + 1) * states + token
        facts[count + 1, DEPTH], facts[count + 1, CHILDREN] = count + 1, 0
        facts[count + 1, OWNER], facts[count + 1, TOKEN] = count, token
    return min(facts.shape[0] - 1, steps)


@compiled
def plant(rows: SortedRows, found: Found, time: int, token: int):
    """Make the root node 0."""
    found.probability[0, 0] = 1.0
    found.facts[0, ROW] = token if rows.chain.shape[0] == 1 else time * rows.chain.shape[1] + token
    found.facts[0, DEPTH] = found.facts[0, CHILDREN] = 0
    found.facts[0, OWNER], found.facts[0, TOKEN] = -1, token
