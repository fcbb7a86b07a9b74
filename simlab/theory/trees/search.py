"""The best-first search for the most probable prefixes, compiled.

Each chosen node, and the root, has a cursor: its most probable child that is not chosen yet. The next node is
the best cursor's; choosing it moves that cursor to the next sibling and opens one at the new node, so that a
row of V entries is looked at one entry at a time. Cursors are compared by (probability, owner): the higher
probability first, then the owner that was chosen first; siblings never meet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled
from simlab.theory.trees.rows import SortedRows, sort_row


class Found(NamedTuple):
    """Room for a search: nodes in order of choice, after the root, which is node 0 here.

    owners int32, tokens int32, depth int32, probability float64, children int32 (how many of a node's
    children are chosen): (capacity + 1,) each.
    """

    owners: np.ndarray
    tokens: np.ndarray
    depth: np.ndarray
    probability: np.ndarray
    children: np.ndarray


def room(capacity: int) -> Found:
    """A Found for at most `capacity` nodes; memory is taken as they are found."""
    size = capacity + 1
    owners, tokens, depth, children = (np.empty(size, np.int32) for _ in range(4))
    return Found(owners, tokens, depth, np.empty(size), children)


@compiled
def best_first(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the most probable prefixes after `token`, `steps` >= 1 deep; returns their number."""
    capacity, states = found.owners.size - 1, rows.chain.shape[1]
    stationary = rows.chain.shape[0] == 1
    heap_chance, heap_owner = np.empty(capacity + 2), np.empty(capacity + 2, np.int32)
    size = 0
    found.owners[0], found.tokens[0], found.depth[0] = -1, token, 0
    found.probability[0], found.children[0] = 1.0, 0
    count, opened = 0, 0
    while True:
        # A cursor at the first child of the node chosen last.
        if found.depth[opened] < steps:
            row = found.tokens[opened] + (0 if stationary else (time + found.depth[opened]) * states)
            if not rows.ready[row]:
                sort_row(rows.chain[row // states, row % states], rows.values[row], rows.tokens[row])
                rows.ready[row] = 1
            chance = found.probability[opened] * rows.values[row, 0]
            if chance > 0.0:
                size = push(heap_chance, heap_owner, size, chance, opened)
        if size == 0 or count == capacity:
            return count
        chance, owner = heap_chance[0], heap_owner[0]
        count += 1
        row = found.tokens[owner] + (0 if stationary else (time + found.depth[owner]) * states)
        rank = found.children[owner]
        found.children[owner] = rank + 1
        found.owners[count], found.tokens[count] = owner, rows.tokens[row, rank]
        found.depth[count], found.probability[count] = found.depth[owner] + 1, chance
        found.children[count] = 0
        opened = count
        chance = found.probability[owner] * rows.values[row, rank + 1] if rank + 1 < states else 0.0
        size = replace_top(heap_chance, heap_owner, size, chance, owner)


@compiled
def push(chances, owners, size, chance, owner):
    """Put a cursor into the heap; returns the new size."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if chances[above] > chance or (chances[above] == chance and owners[above] < owner):
            break
        chances[place], owners[place] = chances[above], owners[above]
        place = above
    chances[place], owners[place] = chance, owner
    return size + 1


@compiled
def replace_top(chances, owners, size, chance, owner):
    """Put a cursor in the place of the best one, or only take that out where its chance is 0; the new size."""
    if chance == 0.0:
        size -= 1
        chance, owner = chances[size], owners[size]
    place = 0
    while 2 * place + 1 < size:
        below = 2 * place + 1
        if below + 1 < size and (
            chances[below + 1] > chances[below]
            or (chances[below + 1] == chances[below] and owners[below + 1] < owners[below])
        ):
            below += 1
        if chance > chances[below] or (chance == chances[below] and owner < owners[below]):
            break
        chances[place], owners[place] = chances[below], owners[below]
        place = below
    chances[place], owners[place] = chance, owner
    return size


@compiled
def greedy_chain(rows: SortedRows, time: int, token: int, steps: int, found: Found):
    """Fill `found` with the chain of each most probable next token, `steps` deep at most; returns its length.

    It ends before a probability that is 0 in floating point.
    """
    states, stationary = rows.chain.shape[1], rows.chain.shape[0] == 1
    found.owners[0], found.tokens[0], found.depth[0] = -1, token, 0
    found.probability[0], found.children[0] = 1.0, 0
    count = 0
    while count < min(found.owners.size - 1, steps):
        row = found.tokens[count] + (0 if stationary else (time + count) * states)
        if not rows.ready[row]:
            sort_row(rows.chain[row // states, row % states], rows.values[row], rows.tokens[row])
            rows.ready[row] = 1
        chance = found.probability[count] * rows.values[row, 0]
        if chance == 0.0:
            break
        found.children[count] = 1
        count += 1
        found.owners[count], found.tokens[count], found.depth[count] = count - 1, rows.tokens[row, 0], count
        found.probability[count], found.children[count] = chance, 0
    return count
