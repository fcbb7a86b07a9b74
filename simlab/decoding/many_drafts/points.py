"""The optimal rule for independent children: the first of k uniform points.

Lay the tokens of a row out on [0, 1) in pieces, each token with its draft probability in all. A child drawn
by inverting this distribution function stands at the uniform point that drew it. The first point, the
smallest, has the density F', F(m) = 1 - (1 - m)^k; its token is accepted if it lies before the row's end,
F(end) = alpha. So the rule accepts of a token the integral of F' over its pieces before the end.

*What it accepts.* In the order of falling target/draft, equal ratios by the lower number, the accepted parts
a have the sums G_j = min(G_(j-1) + target, F(draft of the first j)), alpha = G_V: as much of each token as
can be after those before it (own argument: no rule passes a(W) <= F(draft(W)), G attains it on every set W
that begins the order, and a/draft falls along the order, by induction from the concavity of F, so that other
sets ask for less).

*The pieces.* Each token in turn gets a window of its length in what is left of [0, 1), pushed together, with
the integral of min(F, alpha)' over it equal to its a. The mean a/draft falls from token to token, so that a
window is never further left than the one before, but for what that one jumped over: what is left stands on a
stack of intervals to the left of `right`, and all that lies to the right of it. O(V log V) and V bisections
a row. The layout exists by Hardy, Littlewood and Polya: the means a/draft are majorised by F'.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.alias import pack_row
from simlab.decoding.core.bits import U0, U1, U11, UNIT
from simlab.decoding.core.chunks import replace
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import AliasTable, distinct_steps, step_of, usable
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair


class Points(NamedTuple):
    """starts: float64 (C, S, V, P), where the pieces of a row begin, rising, 2.0 behind the last. tokens:
    uint16 (C, S, V, P), theirs. ends: float64 (C, S, V). rest: an AliasTable, (C, S, V * V) each, of the
    target without what is accepted. children: int64 (C,)."""

    starts: np.ndarray
    tokens: np.ndarray
    ends: np.ndarray
    rest: AliasTable
    children: np.ndarray


def points(pair: ChainPair, counts: np.ndarray) -> Points:
    """The tables; counts: (C,), the children of each class."""
    steps, states = distinct_steps(pair), pair.states
    pieces = 2 * states + 1
    shape = len(counts), steps, states
    starts, tokens = np.full((*shape, pieces), 2.0), np.zeros((*shape, pieces), np.uint16)
    ends = np.empty(shape)
    rest = AliasTable(*(np.empty((*shape[:2], states**2), np.uint32) for _ in range(2)))
    _pack_points(pair.draft_rows, pair.target_rows, counts, starts, tokens, ends, *rest)
    return Points(starts, tokens, ends, rest, counts)


@compiled
def verify_points(tables, c, t, count, states, scratch, work, state):
    """As `verify_tries`."""
    step = step_of(tables.starts[c], t)
    starts, labels, ends = tables.starts[c, step], tables.tokens[c, step], tables.ends[c, step]
    first = work.points
    for i in range(count):
        first[i] = 1.0
    for _ in range(tables.children[c]):
        fill(state, scratch.words, count)
        for i in range(count):
            first[i] = min(first[i], np.float64(scratch.words[i] >> U11) * UNIT)
    failed = U0
    for i in range(count):
        x, point = work.origins[i], first[i]
        low, high = 0, starts.shape[1]
        while high - low > 1:
            middle = (low + high) // 2
            if starts[x, middle] <= point:
                low = middle
            else:
                high = middle
        scratch.tokens[i] = labels[x, low]
        rejected = point >= ends[x]
        scratch.rejected[i] = np.uint16(rejected)
        scratch.chosen[failed] = np.uint32(i)
        failed += U1 if rejected else U0
    rest = AliasTable(tables.rest.entries[c, step], tables.rest.lows[c, step])
    replace(rest, work.origins, U0, states, failed, scratch, state)


@compiled
def _pack_points(draft, target, counts, starts, tokens, ends, entries, lows):
    states = draft.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, ratios, accepted = np.empty(states, np.int64), np.empty(states), np.empty(states)
    room = np.empty((2, 2 * states + 2)), np.empty((2, states + 1)), np.empty(2 * states + 2, np.int64)
    for step in range(entries.shape[1]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            for y in range(states):
                ratios[y] = -np.inf if drafted[y] <= 0.0 < goal[y] else 0.0
                if drafted[y] > 0.0:
                    ratios[y] = -(goal[y] / drafted[y])
            order = np.argsort(ratios, kind="mergesort")
            for c in range(counts.size):
                alpha = accept(drafted, goal, order, counts[c], accepted)
                ends[c, step, x] = 1.0 - (1.0 - alpha) ** (1.0 / counts[c])
                lay_out(
                    drafted, order, counts[c], alpha, accepted, room, starts[c, step, x], tokens[c, step, x]
                )
                weights = np.maximum(goal - accepted, 0.0)
                usable(weights, goal)
                pack_row(weights, entries[c, step, row], lows[c, step, row], shares, aliases, stack)


@compiled
def accept(drafted, goal, order, children, accepted):
    """Fill in how much of each token is accepted; returns alpha."""
    mass = alpha = 0.0
    for y in order:
        mass = min(mass + drafted[y], 1.0)
        after = max(min(alpha + goal[y], 1.0 - (1.0 - mass) ** children), alpha)
        accepted[y] = after - alpha
        alpha = after
    return alpha


@compiled
def _before(point, children, alpha):
    return min(1.0 - (1.0 - point) ** children, alpha)


@compiled
def lay_out(drafted, order, children, alpha, accepted, room, starts, tokens):
    """Write the row's pieces, sorted. room: found pieces (2, n) as start and end, the stack of intervals on
    the left, (2, m), and the tokens of the pieces, (n,)."""
    found, left, owners = room
    count, depth, right, last = 0, 0, 0.0, -1
    for y in order:
        if drafted[y] > 0.0:
            last = y
    for y in order:
        length, wanted = drafted[y], accepted[y]
        if length <= 0.0:
            continue
        if y == last:
            break
        begin = right
        if _between(right, min(right + length, 1.0), children, alpha) >= wanted:
            begin = _shifted(right, length, wanted, children, alpha)
            if begin > right:
                left[0, depth], left[1, depth] = right, begin
                depth += 1
        else:
            length, wanted, depth, count = _from_left(
                y, length, wanted, right, children, alpha, left, depth, found, owners, count
            )
        right = min(begin + length, 1.0)
        if right > begin:
            found[0, count], found[1, count], owners[count] = begin, right, y
            count += 1
    for i in range(depth):
        found[0, count], owners[count] = left[0, i], last
        count += 1
    if right < 1.0:
        found[0, count], owners[count] = right, last
        count += 1
    rising = np.argsort(found[0, :count])
    for i in range(count):
        starts[i], tokens[i] = found[0, rising[i]], np.uint16(owners[rising[i]])
    starts[0] = 0.0


@compiled
def _between(low, high, children, alpha):
    return _before(high, children, alpha) - _before(low, children, alpha)


@compiled
def _shifted(right, length, wanted, children, alpha):
    """The last start from `right` on whose window of this length holds at least `wanted`, by bisection."""
    low, high = right, max(1.0 - length, right)
    while True:
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            return low
        if _between(middle, min(middle + length, 1.0), children, alpha) >= wanted:
            low = middle
        else:
            high = middle


@compiled
def _from_left(y, length, wanted, right, children, alpha, left, depth, found, owners, count):
    """Take from the stack until the rest of the window, from `right` on, holds what is wanted.

    Returns that rest's length, what it is to hold, the stack's depth and the number of pieces.
    """
    while depth > 0:
        low, high = left[0, depth - 1], left[1, depth - 1]
        size = min(high - low, length)
        mass = _between(high - size, high, children, alpha)
        if size == high - low and mass + _between(right, right + length - size, children, alpha) <= wanted:
            part = size
            depth -= 1
        else:
            part, more = 0.0, size
            while True:
                middle = 0.5 * (part + more)
                if middle <= part or middle >= more:
                    break
                mass = _between(high - middle, high, children, alpha)
                if mass + _between(right, right + length - middle, children, alpha) <= wanted:
                    part = middle
                else:
                    more = middle
            left[1, depth - 1] = high - part
        if part > 0.0:
            found[0, count], found[1, count], owners[count] = high - part, high, y
            count += 1
            wanted -= _between(high - part, high, children, alpha)
            length -= part
        if part < size or part < high - low:
            break
    return max(length, 0.0), wanted, depth, count
