"""Random environments, compiled: the best tree in an infinite tree whose rows are drawn as they are needed.

Each node's next-token distribution is an independent draw from one law. Given the environment, the best tree
of P nodes has the P most probable prefixes (a child is never more probable than its parent), and E[X] is the
sum of their probabilities: exact, so that the only noise is the environment's. A best-first search draws a
node's row when the node is chosen and not before. What it has seen until then does not depend on that row, so
the rows it draws are independent, each of the law. One search up to the largest capacity answers all, since
the trees are nested.

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
- Rows of a finite law are sorted once; reading one ends at the first entry that is not above the floor.

Probabilities are floats, multiplied along the path. A capacity's sum is accumulated in the order of choice
with Neumaier's compensation and rounded to 2^-32 token.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count
from simlab.decoding.alias import alias_row
from simlab.decoding.elementary import exp
from simlab.decoding.environment_counts import UNITS, EnvironmentCounts, check_capacities, in_order
from simlab.decoding.variates import gamma, new_stream, normal, uniform
from simlab.errors import SimlabError
from simlab.jit import compiled
from simlab.laws import Dirichlet, Law, Softmax, law_identity

DIRICHLET, SOFTMAX, ROWS = 0, 1, 2
_SLACK = (
    64  # nodes of the frontier beyond twice what is to be chosen: short frontiers are not cut at each turn
)
_HALVED = 4.0  # a group of tokens is halved while its total concentration is above this
_MARGIN = 0.1  # of the first floor: rounding, and rows whose sums are off 1 by 1e-9


class LawTables(NamedTuple):
    """What the search knows of a law.

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


class Frontier(NamedTuple):
    """Nodes that have been seen and not chosen: a heap of probabilities, largest first.

    heap: float64, its first `counts[0]` entries. counts: int64 (2,): the heap's size, and how many nodes are
    still to be chosen. floor: float64 (1,): what is not above it is dropped. logits: float64 (V,), scratch.
    """

    heap: np.ndarray
    counts: np.ndarray
    floor: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True, eq=False)
class EnvironmentTables:
    """A law and the capacities (K,), ascending, of which E[X | environment] is asked."""

    law: LawTables
    capacities: np.ndarray


def environment_tables(law: Law, capacities: Sequence[int]) -> EnvironmentTables:
    """What `simulate_environments_batch` looks up, built once for any number of environments.

    Raises SimlabError for what is no law, for bad capacities, and where a search would not fit into memory.
    """
    law_identity(law)
    capacities = check_capacities(capacities)
    needed = 8 * (2 * capacities[-1] + law.states)
    if needed > _physical_memory():
        raise SimlabError(
            f"capacity = {capacities[-1]}: a search needs {needed / 2**30:.1f} GiB, more than there is: "
            "give a smaller capacity"
        )
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
    frontier = Frontier(
        np.empty(2 * most + _SLACK + 1),
        np.zeros(2, np.int64),
        np.zeros(1),
        np.empty(law.states if law.kind == SOFTMAX else 0),
    )
    first_floor = _MARGIN / (most * (law.states - 1) + 1.0)
    # Of a single row nothing is random: one search stands for all.
    searches = 1 if len(law.rows) == 1 else environments
    accepted = np.empty((searches, capacities.size), np.int64)
    with np.errstate(over="ignore"):  # uncompiled, numpy would notice that the generator wraps around
        _search_all(law, capacities, first_floor, frontier, new_stream(seed), accepted)
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


def _physical_memory() -> float:
    """Bytes; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")


@compiled
def _search_all(law, capacities, first_floor, frontier, stream, accepted):
    for n in range(accepted.shape[0]):
        frontier.floor[0] = first_floor
        _search(law, capacities, frontier, stream, accepted[n])


@compiled
def _search(law, capacities, frontier, stream, accepted):
    """One environment: E[X] for each of the capacities (K,), in units, into `accepted` (K,)."""
    most = capacities[capacities.size - 1]
    frontier.counts[0], frontier.counts[1] = 0, most
    _expand(1.0, law, frontier, stream)
    total, correction = 0.0, 0.0
    answered = 0
    for chosen in range(1, most + 1):
        node = _pop(frontier)
        frontier.counts[1] -= 1
        new = total + node
        correction += (total - new) + node if total >= node else (node - new) + total
        total = new
        if chosen == capacities[answered]:
            accepted[answered] = np.int64((total + correction) * UNITS + 0.5)
            answered += 1
        if chosen < most and node > frontier.floor[0]:
            _expand(node, law, frontier, stream)


@compiled
def _expand(node, law, frontier, stream):
    """Draw the row of a node with this probability and put its children into the frontier."""
    if law.kind == DIRICHLET:
        _expand_dirichlet(node, law.states, law.parameter, frontier, stream)
    elif law.kind == SOFTMAX:
        _expand_softmax(node, law.states, law.parameter, frontier, stream)
    else:
        row = _draw_row(law, stream)
        for rank in range(law.lengths[row]):
            child = node * law.rows[row, rank]
            if child <= frontier.floor[0]:
                break
            _push(child, frontier)


@compiled
def _draw_row(law, stream):
    """The number of a row, drawn from the law's weights."""
    count = law.shares.size
    if count == 1:
        return 0
    place = uniform(stream) * count
    slot = min(np.int64(place), count - 1)
    return slot if place - slot < law.shares[slot] else law.aliases[slot]


@compiled
def _expand_softmax(node, states, scale, frontier, stream):
    logits = frontier.logits
    largest = -np.inf
    for y in range(states):
        logits[y] = normal(stream)
        largest = max(largest, logits[y])
    total = 0.0
    for y in range(states):
        logits[y] = exp(scale * (logits[y] - largest))
        total += logits[y]
    least = frontier.floor[0] * (total / node) * (1.0 - 1e-12)
    for y in range(states):
        if logits[y] >= least:
            _push(node * (logits[y] / total), frontier)


@compiled
def _expand_dirichlet(node, states, concentration, frontier, stream):
    sizes, masses = np.empty(64, np.int64), np.empty(64)
    sizes[0], masses[0] = states, node
    groups = 1
    while groups > 0:
        groups -= 1
        size, mass = sizes[groups], masses[groups]
        if mass <= frontier.floor[0]:
            continue
        if size > 1 and size * concentration > _HALVED:
            half = size // 2
            share, rest = _shares(half * concentration, (size - half) * concentration, stream)
            sizes[groups], masses[groups] = half, mass * share
            sizes[groups + 1], masses[groups + 1] = size - half, mass * rest
            groups += 2
        else:
            _break_off(size, mass, concentration, frontier, stream)


@compiled
def _break_off(size, mass, concentration, frontier, stream):
    """The tokens of a group that share `mass`, in size-biased order, as long as they may matter."""
    while size > 1 and mass > frontier.floor[0]:
        size -= 1
        share, rest = _shares(1.0 + concentration, size * concentration, stream)
        _push(mass * share, frontier)
        mass *= rest
    if size == 1:
        _push(mass, frontier)


@compiled
def _shares(first, second, stream):
    """Beta(first, second) and 1 less it, by two gammas: neither loses digits where it is small."""
    one, other = gamma(first, stream), gamma(second, stream)
    return one / (one + other), other / (one + other)


@compiled
def _push(node, frontier):
    """Put a node into the frontier, unless it is not above the floor."""
    if node <= frontier.floor[0]:
        return
    heap, place = frontier.heap, frontier.counts[0]
    frontier.counts[0] += 1
    while place > 0:
        parent = (place - 1) >> 1
        if heap[parent] >= node:
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = node
    if frontier.counts[0] > 2 * frontier.counts[1] + _SLACK:
        _cut(frontier)


@compiled
def _pop(frontier):
    """Take the most probable node out of the frontier."""
    heap = frontier.heap
    best = heap[0]
    frontier.counts[0] -= 1
    size = frontier.counts[0]
    _sink(heap, 0, size, heap[size])
    return best


@compiled
def _sink(heap, place, size, node):
    """Put a node where it belongs in the heap below a place that is free."""
    child = 2 * place + 1
    while child < size:
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= node:
            break
        heap[place] = heap[child]
        place = child
        child = 2 * place + 1
    heap[place] = node


@compiled
def _cut(frontier):
    """Keep as many of the largest nodes as are still to be chosen, and raise the floor to the smallest."""
    heap, keep = frontier.heap, frontier.counts[1]
    _select(heap, frontier.counts[0], keep)
    floor = heap[0]
    for place in range(keep):
        floor = min(floor, heap[place])
    frontier.floor[0] = floor
    frontier.counts[0] = keep
    for place in range(keep // 2 - 1, -1, -1):
        _sink(heap, place, keep, heap[place])


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
