"""The draft trees that a sampler walks: found once for each position where a call may begin, and laid out.

*Search.* Best first. The candidates are the next child of each node that is chosen already, the root among
them, in the order of the row sorted by falling probability; the most probable one is chosen, of equal ones
the one whose parent was chosen first. A binary heap holds one candidate a parent: O(P log P) for P nodes.

*Where a call may begin.* After any token at any time; but a tree depends on the time only through its rows
and through the number of tokens left, R, which bounds its depth. Where the chooser is stationary there is
one tree for each token and R, and if none is deeper than D, all R >= D share one. A chain that is too long
for the horizon is walked no further than the horizon: one will do.

*Layout.* The children of a node lie side by side in the order of its row, and are the first ones of it: a
token that stands at position r of the sorted row is a child if r < the number of children, and lies r behind
the first. A node is one word: where its first child lies, and how many there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.decoding.core.bits import U
from simlab.decoding.core.tables import check_memory, step_of
from simlab.jit import compiled

CHILDREN = 17
"""The low bits of a node's word, which hold its number of children, 0..65536."""
SHIFT, MASK = U(CHILDREN), U(2**CHILDREN - 1)
_ROOT = -1
_NODE_BYTES, _SEARCH_BYTES = 8, 80


class Forest(NamedTuple):
    """All trees.

    nodes: uint64 (N,), the position of the first child << CHILDREN | the number of children. roots: uint64
    (T+1,): the root at time t after token x is nodes[roots[t] + x]; roots[T], where no call begins, is 0.
    """

    nodes: np.ndarray
    roots: np.ndarray


class Search(NamedTuple):
    """One tree, its nodes in the order of choice, and the heap of candidates, one a parent."""

    tokens: np.ndarray  # int64
    parents: np.ndarray  # int64: _ROOT for the root's children
    ranks: np.ndarray  # int64: positions in the sorted row
    depths: np.ndarray  # int64: from 1
    probabilities: np.ndarray  # float64: products along the path
    children: np.ndarray  # int64: how many were chosen
    firsts: np.ndarray  # int64: where they lie
    candidates: np.ndarray  # float64: a heap of probabilities, with
    origins: np.ndarray  # int64: parents, and
    indices: np.ndarray  # int64: ranks


def new_search(nodes: int) -> Search:
    """Room for a tree of at most so many nodes."""
    ints, floats = (lambda size, kind=kind: np.empty(size, kind) for kind in (np.int64, np.float64))
    tree = ints(nodes), ints(nodes), ints(nodes), ints(nodes), floats(nodes), ints(nodes), ints(nodes)
    return Search(*tree, floats(nodes + 1), ints(nodes + 1), ints(nodes + 1))


def grow_forest(rows: np.ndarray, order: np.ndarray, horizon: int, decoder: TreeSpeculative) -> Forest:
    """Find and lay out all trees. Raises SimlabError, before it takes the memory, where they do not fit.

    rows: the chooser's, float64 (S, V, V), S = 1 where it is stationary, else T. order: `sorted_rows` of it.
    """
    chain, capacity = decoder.shape == "chain", decoder.capacity
    left = _lefts(rows, order, horizon, capacity, chain)
    if chain:
        sizes = np.repeat(np.minimum(left, capacity)[:, None], rows.shape[1], axis=1)
    else:
        sizes = np.array(list(itertools.islice(_sizes(rows, horizon, capacity), len(left))))
    nodes, search = np.empty(_room(sizes), np.uint64), new_search(int(sizes.max()))
    used = _plant(order, rows, left, horizon, capacity, chain, search, nodes)
    # The last level serves all earlier times: they have at least as many tokens left.
    level = np.minimum(horizon - np.arange(horizon), len(left)) - 1
    roots = np.append(level * rows.shape[1], 0).astype(np.uint64)
    return Forest(nodes[:used], roots)


def _lefts(rows, order, horizon: int, capacity: int, chain: bool) -> np.ndarray:
    """The numbers of tokens left for which there are trees of their own, int64, rising: see the module."""
    deepest = min(horizon, capacity)
    if len(rows) > 1:
        return np.arange(1, horizon + 1)
    if chain:
        return np.array([deepest])
    largest = np.zeros(rows.shape[1], np.int64)
    for sizes in itertools.islice(_sizes(rows, horizon, capacity), deepest):
        if np.array_equal(sizes, largest):
            break
        largest = sizes
    _room(largest)
    search = new_search(int(largest.max()))
    return np.arange(1, _depth(order, rows, horizon - deepest, horizon, capacity, search) + 1)


def _room(sizes: np.ndarray) -> int:
    """The nodes of trees of these sizes, roots included. Raises SimlabError where they do not fit."""
    nodes = int(sizes.sum()) + sizes.size
    needed = _NODE_BYTES * nodes + _SEARCH_BYTES * int(sizes.max())
    check_memory(needed, "a smaller capacity, fewer tokens or steps, or a stationary pair")
    return nodes


def _sizes(rows: np.ndarray, horizon: int, capacity: int) -> Iterator[np.ndarray]:
    """At most how many nodes the trees with 1, 2, .. horizon tokens left have, int64 (V,) by the last token:
    as many as there are sequences of positive probability, but no more than the capacity."""
    sizes = np.zeros(rows.shape[1], np.int64)
    for step in reversed(range(horizon)):
        sizes = _one_longer(rows[step_of(rows, step)], sizes, capacity)
        yield sizes


def sorted_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order, ranks) of rows (S, V, V), uint16 (S, V, V) each: the tokens by falling probability, equal ones
    by number; and at each token its position among them.
    """
    order, ranks = (np.empty(rows.shape, np.uint16) for _ in range(2))
    indices = np.broadcast_to(np.arange(rows.shape[1], dtype=np.uint16), rows.shape[1:])
    for step in range(len(rows)):
        order[step] = np.argsort(-rows[step], axis=-1, kind="stable")
        np.put_along_axis(ranks[step], order[step].astype(np.int64), indices, axis=-1)
    return order, ranks


@compiled
def _one_longer(rows, sizes, capacity):
    """How many sequences follow each token, from how many follow the next one; cut off at the capacity."""
    longer = np.empty_like(sizes)
    for x in range(sizes.size):
        found = 0
        for y in range(sizes.size):
            if rows[x, y] > 0.0:
                found += 1 + sizes[y]
                if found >= capacity:
                    found = capacity
                    break
        longer[x] = found
    return longer


@compiled
def _depth(order, rows, time, horizon, capacity, search):
    """The depth of the deepest tree at this time."""
    depth = 0
    for x in range(rows.shape[1]):
        for v in range(grow(order, rows, time, x, horizon, capacity, False, search)):
            depth = max(depth, search.depths[v])
    return depth


@compiled
def _plant(order, rows, left, horizon, capacity, chain, search, nodes):
    """Grow and lay out a tree for each number of tokens left and each last token; the positions used."""
    states = rows.shape[1]
    used = left.size * states
    for level in range(left.size):
        for x in range(states):
            size = grow(order, rows, horizon - left[level], x, horizon, capacity, chain, search)
            used = lay_out(search, size, level * states + x, used, nodes)
    return used


@compiled
def grow(order, rows, time, token, horizon, capacity, chain, search):
    """Find the tree at this time after this token: fill `search`, return the number of nodes.

    order: `sorted_rows` of the chooser's rows, (S, V, V). chain: only the first child of each node.
    """
    waiting = propose(order, rows, time, token, 0, 1.0, _ROOT, search, 0)
    size = 0
    while waiting > 0 and size < capacity:
        probability, parent, rank = search.candidates[0], search.origins[0], search.indices[0]
        waiting = drop(search, waiting)
        depth, above, last = 0, 1.0, token
        if parent != _ROOT:
            depth, above, last = search.depths[parent], search.probabilities[parent], search.tokens[parent]
        chosen = np.int64(order[step_of(order, time + depth), last, rank])
        search.tokens[size], search.parents[size], search.ranks[size] = chosen, parent, rank
        search.depths[size], search.probabilities[size] = depth + 1, probability
        if not chain and rank + 1 < rows.shape[1]:
            waiting = propose(order, rows, time + depth, last, rank + 1, above, parent, search, waiting)
        if time + depth + 1 < horizon:
            waiting = propose(order, rows, time + depth + 1, chosen, 0, probability, size, search, waiting)
        size += 1
    return size


@compiled
def propose(order, rows, time, last, rank, above, parent, search, waiting):
    """Make the child at `rank` of a node of probability `above` a candidate, unless it is impossible.

    Returns the number of candidates.
    """
    step = step_of(rows, time)
    probability = above * rows[step, last, order[step, last, rank]]
    if not probability > 0.0:
        return waiting
    index = waiting
    while index > 0:
        over = (index - 1) // 2
        if not comes_first(probability, parent, search.candidates[over], search.origins[over]):
            break
        move(search, over, index)
        index = over
    search.candidates[index], search.origins[index], search.indices[index] = probability, parent, rank
    return waiting + 1


@compiled
def drop(search, waiting):
    """Take the first candidate away; returns the number of those left."""
    waiting -= 1
    probability, parent, rank = search.candidates[waiting], search.origins[waiting], search.indices[waiting]
    index = 0
    while 2 * index + 1 < waiting:
        under = 2 * index + 1
        beside = under + 1
        if beside < waiting and comes_first(
            search.candidates[beside], search.origins[beside], search.candidates[under], search.origins[under]
        ):
            under = beside
        if not comes_first(search.candidates[under], search.origins[under], probability, parent):
            break
        move(search, under, index)
        index = under
    search.candidates[index], search.origins[index], search.indices[index] = probability, parent, rank
    return waiting


@compiled
def comes_first(probability, parent, other_probability, other_parent):
    """Whether a candidate is chosen before another one; a parent has one at a time."""
    return probability > other_probability or (probability == other_probability and parent < other_parent)


@compiled
def move(search, index, to):
    """Move a candidate within the heap."""
    search.candidates[to] = search.candidates[index]
    search.origins[to] = search.origins[index]
    search.indices[to] = search.indices[index]


@compiled
def lay_out(search, size, root, begin, nodes):
    """Write a tree's root to nodes[root] and its nodes from `begin` on; returns where the next may begin."""
    children, firsts = search.children, search.firsts
    children[:size] = 0
    below = 0
    for v in range(size):
        if search.parents[v] == _ROOT:
            below += 1
        else:
            children[search.parents[v]] += 1
    nodes[root] = word(begin, below)
    free = begin + below
    for v in range(size):
        firsts[v] = free
        free += children[v]
        first = begin if search.parents[v] == _ROOT else firsts[search.parents[v]]
        nodes[first + search.ranks[v]] = word(firsts[v], children[v])
    return free


@compiled
def word(first, children):
    """A node as one word."""
    return (U(first) << SHIFT) | U(children)
