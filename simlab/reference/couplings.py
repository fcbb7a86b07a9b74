"""Optimal rules for several children: which part of the target they accept, and which child gives it.

Tokens come in the order of falling target/draft, equal ratios by the lower number. Of all accepted parts a of
the target that some rule attains the first one in that order is taken: a as large as can be at the first
token, then at the second, and so on. It has the largest sum that there is, as has every one that is taken
token by token (the greedy algorithm of polymatroids: Edmonds 1970).

*Independent children.* A rule that accepts parts a exists if and only if a(W) <= F(draft(W)) for every set W
of tokens, F(m) = 1 - (1 - m)^k, the probability that a child lies in W (Hall's theorem). In the order above
this is a(first j) <= F(draft(first j)): see `simlab.theory.many_drafts`. For the rule, lay the tokens out on
[0, 1) in pieces, each token with its draft probability in all, and let a child stand at a uniform point of
its token's pieces: all children together are k independent uniform points, and the first of them has the
density F'. Where only points before `end` are accepted, F(end) = sum of a, the token whose pieces are J is
accepted with the integral of F' over J before `end`. The pieces are found token by token: the window, in
what is left of [0, 1) pushed together, of the token's length, whose integral is the token's a. There is one,
as the first window has too large an integral (a(first j) <= F) and the last one too small (the means
a/draft fall from token to token), and what is left for the other tokens is as it was (Hardy, Littlewood and
Polya's theorem on majorisation, made constructive).

*Distinct children.* A flow from the sets of children to the tokens, by paths that augment it: token by token.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

from simlab.errors import SimlabError
from simlab.reference.draws import residual

MOST_SETS = 4096
"""So many sets of distinct children this room follows."""


class Placed(NamedTuple):
    """pieces: by token, its intervals (low, high) of [0, 1). end: only a first child before it is accepted.
    corrected: the distribution of the corrected token, (V,)."""

    pieces: list[list[tuple[float, float]]]
    end: float
    corrected: list[float]


class Shared(NamedTuple):
    """shares: by (set of children, one of them), the probability that it is accepted. corrected: as above."""

    shares: dict[tuple[frozenset, int], float]
    corrected: list[float]


def order_of(draft, target) -> list[int]:
    """The tokens by falling target/draft, equal ones by the lower number."""

    def ratio(y: int) -> float:
        if not target[y] > 0:
            return 0.0
        return target[y] / draft[y] if draft[y] > 0 else float("inf")

    return sorted(range(len(draft)), key=lambda y: (-ratio(y), y))


@lru_cache(maxsize=4096)
def placed_children(draft, target, count: int) -> Placed:
    """The rule for independent children; draft, target: tuples (V,)."""
    order = [y for y in order_of(draft, target) if draft[y] > 0]
    accepted, mass, total = [0.0] * len(draft), 0.0, 0.0
    for y in order:
        mass = min(mass + draft[y], 1.0)
        after = min(total + target[y], 1 - (1 - mass) ** count)
        accepted[y], total = max(after - total, 0.0), max(after, total)

    def before(point: float) -> float:
        return min(1 - (1 - point) ** count, total)

    left, pieces = [(0.0, 1.0)], [[] for _ in draft]
    for number, y in enumerate(order):
        if number == len(order) - 1:
            pieces[y] = left
            break
        whole = sum(high - low for low, high in left)
        low, high = 0.0, max(whole - draft[y], 0.0)
        while low < (middle := (low + high) / 2) < high:
            window = _window(left, middle, draft[y])
            heavy = sum(before(end) - before(start) for start, end in window) >= accepted[y]
            low, high = (middle, high) if heavy else (low, middle)
        pieces[y] = _window(left, low, draft[y])
        left = _window(left, 0.0, low) + _window(left, low + draft[y], whole)
    return Placed(pieces, 1 - (1 - total) ** (1 / count), _corrected(target, accepted))


def _window(intervals, start: float, length: float) -> list[tuple[float, float]]:
    """The part of the intervals, pushed together, from `start` on."""
    found, at = [], 0.0
    for low, high in intervals:
        first, last = max(start - at, 0.0), min(start + length - at, high - low)
        if last > first:
            found.append((low + first, low + last))
        at += high - low
    return found


@lru_cache(maxsize=4096)
def shared_sets(draft, target, count: int) -> Shared:
    """The rule for distinct children. Raises SimlabError for more than MOST_SETS sets of them."""
    chances = set_chances(draft, count)
    free = dict(chances)
    flow: dict[tuple[frozenset, int], float] = {}
    accepted = [0.0] * len(draft)
    for y in order_of(draft, target):
        wanted = target[y]
        while wanted > 1e-15 and (path := _augmenting(y, free, flow)):
            amount = min(wanted, free[path[-1][0]], *(flow[step] for step in _taken(path)))
            for index, (each, token) in enumerate(path):
                flow[each, token] = flow.get((each, token), 0.0) + amount
                if index + 1 < len(path):
                    flow[each, path[index + 1][1]] -= amount
            free[path[-1][0]] -= amount
            accepted[y] += amount
            wanted -= amount
    shares = {key: value / chances[key[0]] for key, value in flow.items() if value > 0}
    return Shared(shares, _corrected(target, accepted))


def _taken(path) -> list[tuple[frozenset, int]]:
    """The flows that a path takes back: each set but the last gives to one token what the next one had."""
    return [(each, path[index + 1][1]) for index, (each, _) in enumerate(path[:-1])]


def _augmenting(start: int, free, flow):
    """[(set, token), ..]: the first set comes to `start`, each next one to the token that the set before had,
    the last one is free; None where there is no such path."""
    came: dict[int, tuple[frozenset, int] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        token = waiting.popleft()
        for each in free:
            if token not in each:
                continue
            if free[each] > 1e-15:
                path = [(each, token)]
                while came[path[0][1]] is not None:
                    path.insert(0, came[path[0][1]])
                return path
            for other in each:
                if other not in came and flow.get((each, other), 0.0) > 1e-15:
                    came[other] = (each, token)
                    waiting.append(other)
    return None


def set_chances(draft, count: int) -> dict[frozenset, float]:
    """The probability of each set of `count` distinct children, or of all that the draft proposes."""
    support = [y for y, p in enumerate(draft) if p > 0]
    count = min(count, len(support))
    if sum(comb(len(support), size) for size in range(count + 1)) > MOST_SETS:
        raise SimlabError(
            f"rule = 'optimal' with replacement = False: {comb(len(support), count):,} sets of {count} "
            f"children; the reference follows at most {MOST_SETS:,}: give fewer drafts, or simulate"
        )
    chances = {frozenset(): 1.0}
    for size in range(count):
        larger = {frozenset(each): 0.0 for each in combinations(support, size + 1)}
        for each, chance in chances.items():
            rest = sum(draft[y] for y in support if y not in each)
            for y in support:
                if y not in each:
                    larger[each | {y}] += chance * draft[y] / rest
        chances = larger
    return chances


def _corrected(target, accepted) -> list[float]:
    """What is left of the target, normalised; the target itself where nothing is."""
    return residual(target, accepted) if any(q > a for q, a in zip(target, accepted, strict=True)) else target
