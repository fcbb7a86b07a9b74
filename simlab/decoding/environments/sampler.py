"""Random environments, compiled: the best tree in an infinite tree whose rows are drawn as they are needed.

Each node's next-token distribution is an independent draw from one distribution. Given the environment, the
best tree of P nodes has the P most probable prefixes (a child is never more probable than its parent), and
E[X] is the sum of their probabilities: exact, so that the only noise is the environment's. A best-first
search draws a node's row when the node is chosen and not before. What it has seen until then does not depend
on that row, so the rows it draws are independent, each of the distribution. One search up to the largest
capacity answers all, since the trees are nested.

What is not drawn, and why nothing is lost by it (own):

- With P - n nodes still to be chosen, a frontier of twice as many is cut to its P - n largest; from then on a
  node that is not above the smallest of them, the *floor*, can change no sum, and is dropped.
- A floor from the start: once n nodes are chosen, the children of them and of the root that are not chosen
  themselves have a total probability of 1 and are at most n (V - 1) + V. So one of them has at least
  1 / (n (V - 1) + V), and no node below 1 / (P (V - 1) + 1) is ever chosen.
- A chosen node on the floor has no child above it: its row is not drawn.
- Dirichlet rows are broken off piece by piece until what is left is not above the floor. The mass of m tokens
  of the symmetric Dirichlet(a) divides between two groups as Beta(m_1 a, m_2 a), each group being again
  Dirichlet; and its first token in size-biased order takes Beta(1 + a, (m - 1) a) of it. Tokens have no names
  here, so that any order will do. Large masses are halved, small ones broken off token by token.
- Rows of a finite distribution are sorted once; reading one ends at the first entry that is not above the
floor.

Probabilities are floats, multiplied along the path. A capacity's sum is accumulated in the order of choice
with Neumaier's compensation and rounded to 2^-32 token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count
from simlab.decoding.core.alias import alias_row
from simlab.decoding.environments.counts import UNITS, EnvironmentCounts, check_capacities, in_order
from simlab.decoding.environments.elementary import exp
from simlab.decoding.environments.variates import gamma, new_stream, normal, uniform
from simlab.jit import compiled
from simlab.laws import Dirichlet, Law, Softmax, law_identity
from simlab.memory import check_fits

DIRICHLET, SOFTMAX, ROWS = 0, 1, 2
_SLACK = (
    64  # nodes of the frontier beyond twice what is to be chosen: short frontiers are not cut at each turn
)
_HALVED = 4.0  # a group of tokens is halved while its total concentration is above this
_MARGIN = 0.1  # of the first floor: rounding, and rows whose sums are off 1 by 1e-9


class LawTables(NamedTuple):
    """What the search knows of a distribution.

    kind: one of DIRICHLET, SOFTMAX, ROWS. states: V. parameter: concentration or scale. rows: float64 (K, V),
    each sorted, largest first. lengths: int64 (K,), how many entries are positive. shares, aliases: (K,), see
    `alias_row`. The last four are empty but for ROWS.
    """

    kind: int
    states: int
    parameter: float
    rows: np.ndarray
    lengths: np.ndarray
    shares: np.ndarray
    aliases: np.ndarray


@dataclass(frozen=True, eq=False)
class EnvironmentTables:
    """A distribution and the capacities (K,), ascending, of which E[X | environment] is asked."""

    law: LawTables
    capacities: np.ndarray


def environment_tables(law: Law, capacities: Sequence[int]) -> EnvironmentTables:
    """What `simulate_environments_batch` looks up, built once for any number of environments.

    Raises SimlabError for what is no distribution, for bad capacities, and where a search would not fit into
    memory.
    """
    law_identity(law)
    capacities = check_capacities(capacities)
    needed = 8 * (2 * capacities[-1] + law.states)
    check_fits(f"capacity = {capacities[-1]}: a search needs", needed, "a smaller capacity")
    return EnvironmentTables(_law_tables(law), np.array(capacities, np.int64))


def simulate_environments_batch(
    tables: EnvironmentTables, environments: int, seed: np.random.SeedSequence
) -> EnvironmentCounts:
    """E[X | environment] of `environments` >= 1 environments.

    The same tables, number and seed give the same counts on every machine.
    """
    environments = check_count("environments", environments)
    law, capacities = tables.law, tables.capacities
    most = int(capacities[-1])
    heap = np.empty(2 * most + _SLACK + 1)
    first_floor = _MARGIN / (most * (law.states - 1) + 1.0)
    # Of a single row nothing is random: one search stands for all.
    searches = 1 if len(law.rows) == 1 else environments
    accepted = np.empty((searches, capacities.size), np.int64)
    with np.errstate(over="ignore"):  # uncompiled, numpy would notice that the generator wraps around
        _search_all(law, capacities, first_floor, heap, new_stream(seed), accepted)
    if searches < environments:
        accepted = np.repeat(accepted, environments, axis=0)
    return EnvironmentCounts(capacities, in_order(accepted))


def _law_tables(law: Law) -> LawTables:
    if isinstance(law, Dirichlet):
        return LawTables(DIRICHLET, law.states, law.concentration, *_no_rows(law.states))
    if isinstance(law, Softmax):
        return LawTables(SOFTMAX, law.states, law.scale, *_no_rows(law.states))
    rows = -np.sort(-law.rows, axis=1)
    shares, aliases = np.empty(len(rows)), np.empty(len(rows), np.int64)
    alias_row(law.weights, shares, aliases, np.empty(len(rows), np.int64))
    # An entry above 1 is within the tolerance of a row's sum; no path may grow more probable.
    rows = np.ascontiguousarray(np.minimum(rows, 1.0))
    return LawTables(ROWS, law.states, 0.0, rows, (rows > 0).sum(axis=1), shares, aliases)


def _no_rows(states: int) -> tuple:
    return np.empty((0, states)), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)


# What has been seen and not chosen is the *frontier*, three arrays that the functions below share: `heap`,
# float64, a heap of probabilities with the largest on top; `counts`, int64 (2,), its size and how many nodes
# are still to be chosen; `floor`, float64 (1,), at or below which nodes are dropped. No tuple of them: taking
# an array out of one costs more than most of what is done with it.


@compiled
def _search_all(law, capacities, first_floor, heap, stream, accepted):
    counts, floor = np.zeros(2, np.int64), np.zeros(1)
    kind, states, parameter = law.kind, law.states, law.parameter
    rows, lengths, shares, aliases = law.rows, law.lengths, law.shares, law.aliases
    scratch = np.empty(states if kind == SOFTMAX else 0)
    sizes, masses = np.empty(64, np.int64), np.empty(64)
    most = capacities[capacities.size - 1]
    for n in range(accepted.shape[0]):
        counts[0], counts[1], floor[0] = 0, most, first_floor
        node, total, correction, answered = 1.0, 0.0, 0.0, 0
        for chosen in range(most + 1):
            if chosen > 0:  # before the first node there is the root
                node = _pop(heap, counts)
                # Neumaier's sum: nodes fall, so that the total is the larger of the two, or 0.
                new = total + node
                correction += (total - new) + node
                total = new
                if chosen == capacities[answered]:
                    accepted[n, answered] = np.int64((total + correction) * UNITS + 0.5)
                    answered += 1
            if chosen == most or node <= floor[0]:
                continue
            if kind == DIRICHLET:
                _expand_dirichlet(node, states, parameter, sizes, masses, heap, counts, floor, stream)
            elif kind == SOFTMAX:
                _expand_softmax(node, parameter, scratch, heap, counts, floor, stream)
            else:
                row = _draw_row(shares, aliases, stream)
                _expand_row(node, rows[row], lengths[row], heap, counts, floor)


@compiled
def _draw_row(shares, aliases, stream):
    """The number of a row, drawn from an alias table (K,)."""
    count = shares.size
    if count == 1:
        return 0
    index = uniform(stream) * count
    slot = min(np.int64(index), count - 1)
    return slot if index - slot < shares[slot] else aliases[slot]


@compiled
def _expand_row(node, row, length, heap, counts, floor):
    """The children of a node whose row (V,) is sorted and has `length` positive entries."""
    for rank in range(length):
        child = node * row[rank]
        if child <= floor[0]:
            break
        _push(child, heap, counts, floor)


@compiled
def _expand_softmax(node, scale, scratch, heap, counts, floor, stream):
    """The children of a node whose row is a softmax of normals; scratch: float64 (V,)."""
    states = scratch.size
    largest = -np.inf
    for y in range(states):
        scratch[y] = normal(stream)
        largest = max(largest, scratch[y])
    for y in range(states):
        scratch[y] = exp(scale * (scratch[y] - largest))
    total = 0.0
    for y in range(states):
        total += scratch[y]
    least = floor[0] * (total / node) * (1.0 - 1e-12)  # a little less: `_push` decides
    for y in range(states):
        if scratch[y] >= least:
            _push(node * (scratch[y] / total), heap, counts, floor)


@compiled
def _expand_dirichlet(node, states, concentration, sizes, masses, heap, counts, floor, stream):
    """The children of a node with a Dirichlet row; sizes, masses (64,): groups that are still undivided."""
    sizes[0], masses[0] = states, node
    groups = 1
    while groups > 0:
        groups -= 1
        size, mass = sizes[groups], masses[groups]
        while mass > floor[0] and size > 1 and size * concentration > _HALVED:
            half = size // 2
            one = gamma(half * concentration, stream)
            other = gamma((size - half) * concentration, stream)
            sizes[groups], masses[groups] = half, mass * (one / (one + other))
            groups += 1
            size, mass = size - half, mass * (other / (one + other))
        while mass > floor[0] and size > 1:
            size -= 1
            one, other = gamma(1.0 + concentration, stream), gamma(size * concentration, stream)
            _push(mass * (one / (one + other)), heap, counts, floor)
            mass *= other / (one + other)
        if size == 1:
            _push(mass, heap, counts, floor)


@compiled
def _push(node, heap, counts, floor):
    """Put a node into the frontier, unless it is not above the floor."""
    if node <= floor[0]:
        return
    counts[0] += 1
    _rise(heap, 0, counts[0] - 1, node)
    if counts[0] > 2 * counts[1] + _SLACK:
        _cut(heap, counts, floor)


@compiled
def _pop(heap, counts):
    """Take the most probable node out of the frontier: it is chosen."""
    best = heap[0]
    counts[0] -= 1
    counts[1] -= 1
    _sink(heap, 0, counts[0], heap[counts[0]])
    return best


@compiled
def _rise(heap, top, index, node):
    """Put a node where it belongs between a position that is free and the one at `top` above it."""
    while index > top:
        parent = (index - 1) >> 1
        if heap[parent] >= node:
            break
        heap[index] = heap[parent]
        index = parent
    heap[index] = node


@compiled
def _sink(heap, top, size, node):
    """Put a node where it belongs at or below the position `top`, which is free."""
    # Down to a leaf without looking at the node, and up again: what is put in is small, mostly.
    index = top
    while 2 * index + 2 < size:
        child = 2 * index + 1
        child += np.int64(heap[child + 1] > heap[child])  # a branch here is foretold wrongly
        heap[index] = heap[child]
        index = child
    if 2 * index + 2 == size:
        heap[index] = heap[size - 1]
        index = size - 1
    _rise(heap, top, index, node)


@compiled
def _cut(heap, counts, floor):
    """Keep as many of the largest nodes as are still to be chosen, and raise the floor to the smallest."""
    keep = counts[1]
    _select(heap, counts[0], keep)
    least = heap[0]
    for index in range(keep):
        least = min(least, heap[index])
    floor[0] = least
    counts[0] = keep
    for index in range(keep // 2 - 1, -1, -1):
        _sink(heap, index, keep, heap[index])


@compiled
def _select(values, size, keep):
    """Reorder values[:size] so that the `keep` largest come first, 1 <= keep < size (Hoare's quickselect)."""
    low, high = 0, size - 1
    while low < high:
        first, middle, last = values[low], values[(low + high) >> 1], values[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if keep - 1 <= right:
            high = right
        elif keep - 1 >= left:
            low = left
        else:
            return
