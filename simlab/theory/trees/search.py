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
    DEPTH,
    FRONT,
    OWNER,
    ROW,
    TOKEN,
    Queue,
    before,
    highest,
    make_heap,
    new_queue,
    sift_down,
    sift_up,
    sort_front,
    unload,
)
from simlab.theory.trees.rows import READY, START, SortedRows, unsorted_rows, visit


class Found(NamedTuple):
    """Room for a search: nodes in order of choice, after the root, which is node 0 here.

    probability: float64 (capacity + 1, 4), column 0, and facts: int32 (capacity + 1, 8), are one memory, so
    that all that a node is asked for is fetched at once. Facts: its row, its depth, how many of its children
    are chosen, its owner and its token.
    """

    probability: np.ndarray
    facts: np.ndarray
    queue: Queue


@compiled
def room(capacity):
    """A Found for at most `capacity` nodes; memory is taken as they are found."""
    probability = np.empty((capacity + 1, 4))
    return Found(probability, probability.view(np.int32), new_queue(capacity))


@compiled
def find(chain, target, drafts: bool, time: int, token: int, steps: int, capacity: int, only_chain: bool):
    """The nodes of one search, (n,) each, in order of choice: owners, tokens, depths, probability and reach.

    chain: of the model that chooses, and target: both `read_only`; drafts: whether they differ. Owners are
    numbered from 0, the root is -1. only_chain: a chain and not a tree.
    """
    found, rows = room(capacity), unsorted_rows(chain, capacity + 1)
    if only_chain:
        count = greedy_chain(rows, time, token, steps, found)
    else:
        count = best_first(rows, time, token, steps, found)
    owners, tokens, depths = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
    probability = np.empty(count)
    for node in range(count):
        facts = found.facts[node + 1]
        owners[node], tokens[node], depths[node] = facts[OWNER] - 1, facts[TOKEN], facts[DEPTH]
        probability[node] = found.probability[node + 1, 0]
    reach = reach_of(target, time, found.facts, count)[1:] if drafts else probability
    return owners, tokens, depths, probability, reach


@compiled
def best_first(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the most probable prefixes after `token`, `steps` >= 1 deep; returns their number."""
    probability, facts, queue = found
    heap, front, keys, same, buckets, chunks, links, shift, lowest = queue
    _, values, tokens, places, _ = rows
    capacity, states, stationary = facts.shape[0] - 1, *size_of(rows)
    plant(rows, found, time, token)
    buckets[:] = 0
    free, used = -1, 0
    at_hand, closed, waiting = buckets.shape[0] - 1, 0, 0
    floor = (at_hand + lowest) << shift
    count = index = end = size = owner = 0
    on_top = False
    while count < capacity:
        for turn in range(2):  # the cursors of the owner and of the node chosen last; the root's, at first
            node = count if turn else owner
            row, rank, bits = facts[node, ROW], facts[node, CHILDREN], np.int64(0)
            if rank < states and facts[node, DEPTH] < steps and (count or not turn):
                if rank >= places[row, READY]:
                    visit(rows, row)
                bits = np.float64(probability[node, 0] * values[places[row, START] + rank]).view(np.int64)
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
            if bits <= 0 or bucket < closed:
                continue
            spot = buckets[bucket, 0]
            if spot % CHUNK == 0:
                chunk, free, used = (free, links[free], used) if free >= 0 else (used, free, used + 1)
                links[chunk] = spot // CHUNK - 1
                spot = chunk * CHUNK
            chunks[spot, 0], chunks[spot, 1] = bits, node
            buckets[bucket, 0], buckets[bucket, 1] = spot + 1, buckets[bucket, 1] + 1
            waiting += 1
            while waiting - buckets[closed, 1] >= capacity - count:
                waiting -= buckets[closed, 1]
                closed += 1
        if index == end and size == 0:
            at_hand = highest(buckets, at_hand)
            if at_hand < closed:
                return count
            floor = (at_hand + lowest) << shift if at_hand else 1
            number = buckets[at_hand, 1]
            free = unload(buckets[at_hand, 0], chunks, links, free, heap)
            buckets[at_hand, 0] = buckets[at_hand, 1] = index = 0
            waiting -= number
            end, size = (number, 0) if number <= FRONT else (0, number)
            if number <= FRONT:
                sort_front(heap, number, front, keys, same)
            else:
                make_heap(heap, number)
        if index < end and (size == 0 or before(front[index, 0], front[index, 1], heap[0, 0], heap[0, 1])):
            bits, owner, on_top = front[index, 0], front[index, 1], False
            index += 1
        else:
            bits, owner, on_top = heap[0, 0], heap[0, 1], True
        count += 1
        token = tokens[places[facts[owner, ROW], START] + facts[owner, CHILDREN]]
        probability[count, 0] = np.int64(bits).view(np.float64)
        add_child(facts, count, owner, token, states, stationary)
    return count


@compiled
def greedy_chain(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the chain of each most probable next token, `steps` deep at most; its length.

    It ends before a probability that is 0 in floating point.
    """
    probability, facts = found.probability, found.facts
    states, stationary = size_of(rows)
    plant(rows, found, time, token)
    for count in range(min(facts.shape[0] - 1, steps)):
        row = facts[count, ROW]
        if not rows.places[row, READY]:
            visit(rows, row)
        start = rows.places[row, START]
        chance = probability[count, 0] * rows.values[start]
        if chance == 0.0:
            return count
        probability[count + 1, 0] = chance
        add_child(facts, count + 1, count, rows.tokens[start], states, stationary)
    return min(facts.shape[0] - 1, steps)


@compiled
def add_child(facts, node, owner, token, states, stationary):
    """Make `node` the owner's next child, by that token: all of its facts."""
    step = facts[owner, ROW] // states
    facts[owner, CHILDREN] += 1
    facts[node, ROW] = token if stationary else (step + 1) * states + token
    facts[node, DEPTH], facts[node, CHILDREN] = facts[owner, DEPTH] + 1, 0
    facts[node, OWNER], facts[node, TOKEN] = owner, token


@compiled
def size_of(rows: SortedRows):
    """The chain's number of states, and whether it is stationary."""
    number, states = rows.bits.shape
    return states, number == states


@compiled
def plant(rows: SortedRows, found: Found, time: int, token: int):
    """Make the root node 0."""
    found.probability[0, 0] = 1.0
    states, stationary = size_of(rows)
    found.facts[0, ROW] = token if stationary else time * states + token
    found.facts[0, DEPTH] = found.facts[0, CHILDREN] = 0
    found.facts[0, OWNER], found.facts[0, TOKEN] = -1, token


@compiled
def reach_of(target, time, facts, count):
    """The target's probability of the root and of each of `count` nodes, (count + 1,)."""
    reach = np.empty(count + 1)
    reach[0] = 1.0
    for node in range(1, count + 1):
        owner = facts[node, OWNER]
        step = 0 if target.shape[0] == 1 else time + facts[owner, DEPTH]
        reach[node] = reach[owner] * target[step, facts[owner, TOKEN], facts[node, TOKEN]]
    return reach
