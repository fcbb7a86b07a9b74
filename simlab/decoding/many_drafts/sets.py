"""The optimal rule for distinct children: a flow from their sets to the tokens.

Each set of children brings its probability, each token takes at most its target probability. Token by token,
in the order of falling target/draft (equal ratios by the lower number), the flow into a token is made as
large as paths that augment it allow; what flows into the tokens before stays (Ford and Fulkerson 1956; so the
accepted parts are the first of all optimal ones in that order, the vertex that the greedy algorithm of
polymatroids finds). Given a set, a child is accepted with its share of the set's flow.

There are V over k sets: up to MOST_SETS for a row. A row of 35 sets takes 30 us, one of 1,000 some 10 ms.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from simlab.decoding.core.alias import pack_row
from simlab.decoding.core.bits import U0, U1
from simlab.decoding.core.chunks import replace
from simlab.decoding.core.tables import AliasTable, check_memory, distinct_steps, step_of, usable
from simlab.decoding.many_drafts.distinct import draw_distinct
from simlab.decoding.many_drafts.work import uniform
from simlab.errors import SimlabError
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair

MOST_SETS = 5000
NEGLIGIBLE = 1e-16
"""A flow below this is rounding."""


class Sets(NamedTuple):
    """draft: float64 (1 or S, V, V), what the children are drawn from. shares: float64 (C, S, V, n, k), by
    the rank of the sorted set, the probability that one of its first i children is accepted. ranks: int64
    (V + 1, k + 1), binomial coefficients. rest: an AliasTable, (C, S, V * V) each. children: int64 (C,)."""

    draft: np.ndarray
    shares: np.ndarray
    ranks: np.ndarray
    rest: AliasTable
    children: np.ndarray


def sets(pair: ChainPair, counts: np.ndarray) -> Sets:
    """The tables; counts: (C,), the children of each class. Raises SimlabError for more than MOST_SETS
    sets."""
    steps, states = distinct_steps(pair), pair.states
    most = int(min(max(counts), states))
    number = max(comb(states, size) for size in range(most + 1))
    if number > MOST_SETS:
        raise SimlabError(
            f"rule = 'optimal' with replacement = False: {number:,} sets of {most} of V = {states} tokens, a "
            f"flow through all of them for each row; simulate takes at most {MOST_SETS:,}: give fewer drafts"
        )
    shape = len(counts), steps, states
    check_memory(8 * int(np.prod(shape)) * number * most, "fewer drafts, tokens or steps")
    shares = np.zeros((*shape, number, most))
    rest = AliasTable(*(np.empty((*shape[:2], states**2), np.uint32) for _ in range(2)))
    ranks = np.array([[comb(n, size) for size in range(most + 1)] for n in range(states + 1)], np.int64)
    _pack_sets(pair.draft_rows, pair.target_rows, counts, ranks, shares, *rest)
    return Sets(pair.draft_rows, shares, ranks, rest, counts)


@compiled
def verify_sets(tables, c, t, count, states, scratch, work, state):
    """As `verify_tries`."""
    step = step_of(tables.shares[c], t)
    draft, shares = tables.draft[step_of(tables.draft, t)], tables.shares[c, step]
    most = shares.shape[2]
    drawn, failed = np.empty(most, np.int64), U0
    for i in range(count):
        x = work.origins[i]
        work.rest[:] = draft[x]
        size = 0
        while size < min(tables.children[c], most):
            y = draw_distinct(work.rest, state)
            if y < 0:
                break
            at = size
            while at > 0 and drawn[at - 1] > y:
                drawn[at] = drawn[at - 1]
                at -= 1
            drawn[at] = y
            size += 1
        rank = rank_of(drawn, size, -1, tables.ranks)
        level, rejected = uniform(state), True
        for number in range(size):
            if level < shares[x, rank, number]:
                scratch.tokens[i], rejected = np.uint16(drawn[number]), False
                break
        scratch.rejected[i] = np.uint16(rejected)
        scratch.chosen[failed] = np.uint32(i)
        failed += U1 if rejected else U0
    rest = AliasTable(tables.rest.entries[c, step], tables.rest.lows[c, step])
    replace(rest, work.origins, U0, states, failed, scratch, state)


@compiled
def rank_of(chosen, size, without, ranks):
    """The number of the rising set chosen[:size], without its member at index `without`, among all sets of
    its size in colexicographic order."""
    rank, at = 0, 0
    for i in range(size):
        if i != without:
            at += 1
            rank += ranks[chosen[i], at]
    return rank


@compiled
def next_set(chosen, size, states):
    """Make the next set in that order of a rising one; False behind the last."""
    for i in range(size):
        top = chosen[i + 1] if i + 1 < size else states
        if chosen[i] + 1 < top:
            chosen[i] += 1
            for j in range(i):
                chosen[j] = j
            return True
    return False


@compiled
def _pack_sets(draft, target, counts, ranks, shares, entries, lows):
    states, number, most = draft.shape[2], shares.shape[3], shares.shape[4]
    fraction, aliases = np.empty(states), np.empty(states, np.int64)
    stack, ratios, accepted = np.empty(states, np.int64), np.empty(states), np.empty(states)
    chances, members = np.empty((most + 1, number)), np.empty((number, most), np.int64)
    for step in range(entries.shape[1]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            proposed = 0
            for y in range(states):
                proposed += int(drafted[y] > 0.0)
                ratios[y] = -np.inf if drafted[y] <= 0.0 < goal[y] else 0.0
                if drafted[y] > 0.0:
                    ratios[y] = -(goal[y] / drafted[y])
            order = np.argsort(ratios, kind="mergesort")
            for c in range(counts.size):
                size = min(counts[c], proposed)
                count = find_chances(drafted, size, ranks, chances, members)
                flow = shares[c, step, x]
                find_flow(goal, order, size, count, chances[size], members, flow, accepted)
                to_shares(flow, chances[size], count, size)
                weights = np.maximum(goal - accepted, 0.0)
                usable(weights, goal)
                pack_row(weights, entries[c, step, row], lows[c, step, row], fraction, aliases, stack)


@compiled
def find_chances(drafted, size, ranks, chances, members):
    """Fill chances[size], P(the children are this set), by rank, and the sets' members; returns their
    number."""
    states = drafted.size
    chosen = np.empty(size + 1, np.int64)
    chances[0, 0] = 1.0
    number = 1
    for j in range(1, size + 1):
        for i in range(j):
            chosen[i] = i
        number, more = 0, True
        while more:
            found = 0.0
            for i in range(j):
                left = 0.0  # of the draft, when all the others are drawn
                at = 0
                for y in range(states):
                    if at < j and chosen[at] == y:
                        at += 1
                        if at - 1 != i:
                            continue
                    left += drafted[y]
                if left > 0.0:
                    before = chances[j - 1, rank_of(chosen, j, i, ranks)]
                    found += before * drafted[chosen[i]] / left
            chances[j, number] = found
            if j == size:
                members[number, :size] = chosen[:size]
            number += 1
            more = next_set(chosen, j, states)
    return number


@compiled
def find_flow(goal, order, size, count, chances, members, flow, accepted):
    """flow[s, i]: what flows from set s to its i-th member; accepted: into each token."""
    states = goal.size
    free = chances[:count].copy()
    came_set, came_token = np.empty(states, np.int64), np.empty(states, np.int64)
    queue = np.empty(states, np.int64)
    accepted[:] = 0.0
    for y in order:
        wanted = goal[y]
        for s in range(count):
            for i in range(size):
                if members[s, i] == y and free[s] > 0.0:
                    part = min(wanted, free[s])
                    flow[s, i] += part
                    free[s] -= part
                    wanted -= part
        while wanted > NEGLIGIBLE:
            part = augment(y, wanted, size, count, members, free, flow, came_set, came_token, queue)
            if part <= 0.0:
                break
            wanted -= part
        accepted[y] = goal[y] - wanted


@compiled
def augment(start, wanted, size, count, members, free, flow, came_set, came_token, queue):
    """One path that augments the flow into `start`; returns by how much, 0 where there is none."""
    came_set[:] = -1
    came_set[start] = count
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        token = queue[head]
        head += 1
        for s in range(count):
            at = index_of(members, s, size, token)
            if at < 0:
                continue
            if free[s] > NEGLIGIBLE:
                return push(s, token, start, wanted, size, members, free, flow, came_set, came_token)
            for i in range(size):
                other = members[s, i]
                if came_set[other] < 0 and flow[s, i] > NEGLIGIBLE:
                    came_set[other], came_token[other] = s, token
                    queue[tail] = other
                    tail += 1
    return 0.0


@compiled
def index_of(members, s, size, token):
    """Where the token stands in a set; -1 where it is not in it."""
    for i in range(size):
        if members[s, i] == token:
            return i
    return -1


@compiled
def push(last, token, start, wanted, size, members, free, flow, came_set, came_token):
    """Push along the path that ends at the free set `last` and `token`, back to `start`."""
    part, y = min(wanted, free[last]), token
    while y != start:
        s = came_set[y]
        part = min(part, flow[s, index_of(members, s, size, y)])
        y = came_token[y]
    free[last] -= part
    flow[last, index_of(members, last, size, token)] += part
    y = token
    while y != start:
        s = came_set[y]
        flow[s, index_of(members, s, size, y)] -= part
        flow[s, index_of(members, s, size, came_token[y])] += part
        y = came_token[y]
    return part


@compiled
def to_shares(flow, chances, count, size):
    """From flows to the probabilities, given the set, that one of its first members is accepted."""
    for s in range(count):
        for i in range(size):
            flow[s, i] = flow[s, i] / chances[s] if chances[s] > 0.0 else 0.0
            if i > 0:
                flow[s, i] += flow[s, i - 1]
