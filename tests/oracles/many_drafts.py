"""Several children at each position of a call, by brute force and in rational arithmetic.

Each rule is a function of (draft row, target row, children, decoder) that lists all that can happen at one
position: every sequence of children is a branch, and every coin, every token that the target draws and every
corrected token. Nothing is simplified by theory. gamma of K-SEQ, an irrational number, is a rational one just
above it. The optimal rule is an exact flow from sets of children to tokens; `greedy_vertex` finds what it
accepts in another way, from all subsets of the tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations, product

from tests.oracles.enumerate import ONE, ZERO, _outcomes, _residual, _row

Branch = tuple[int, bool, Fraction]
"""A token, whether it is an accepted child, and a probability."""


def independent(draft, children: int) -> Iterator[tuple[tuple, Fraction]]:
    """All sequences of independent children."""
    for drawn in product([y for y, _ in _outcomes(draft)], repeat=children):
        mass = ONE
        for y in drawn:
            mass *= draft[y]
        yield drawn, mass


def without_replacement(draft, children: int) -> Iterator[tuple[tuple, Fraction]]:
    """All sequences of distinct children, at most as many as the draft proposes."""
    left = sum(draft)
    if not children or not left:
        yield (), ONE
        return
    for y, mass in _outcomes(draft):
        rest = tuple(ZERO if z == y else p for z, p in enumerate(draft))
        for others, more in without_replacement(rest, children - 1):
            yield (y, *others), mass / left * more


def sequences(draft, children: int, decoder) -> Iterator[tuple[tuple, Fraction]]:
    """All sequences of children of the decoder."""
    return (independent if decoder.replacement else without_replacement)(draft, children)


def recursive(draft, target, children: int, decoder) -> Iterator[Branch]:
    """Each child against what the failures before have left."""
    for drawn, mass in sequences(draft, children, decoder):
        goal, rest = target, draft
        for y in drawn:
            accept = min(ONE, goal[y] / rest[y])
            if accept:
                yield y, True, mass * accept
            mass *= 1 - accept
            if not mass:
                break
            goal = _residual(goal, rest)
            if not decoder.replacement and rest[y] != 1:
                rest = tuple(ZERO if z == y else p / (1 - rest[y]) for z, p in enumerate(rest))
        if mass:
            yield from ((z, False, mass * share) for z, share in _outcomes(goal))


def gamma_above(draft, target, children: int) -> Fraction:
    """A rational number just above gamma, or 1."""

    def holds(gamma: Fraction) -> bool:
        beta = sum(min(p, q / gamma) for p, q in zip(draft, target, strict=True))
        return 1 - (1 - beta) ** children <= gamma * beta

    if holds(ONE):
        return ONE
    low, high = ONE, Fraction(children)
    for _ in range(44):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def k_seq(draft, target, children: int, decoder) -> Iterator[Branch]:
    """Each child with the same chance."""
    gamma = gamma_above(draft, target, children)
    accept = [min(ONE, q / (gamma * p)) if p else ZERO for p, q in zip(draft, target, strict=True)]
    beta = sum(p * chance for p, chance in zip(draft, accept, strict=True))
    share = (1 - (1 - beta) ** children) / beta if beta else ZERO
    rest = [q - p * chance * share for p, q, chance in zip(draft, target, accept, strict=True)]
    if min(rest) < 0:
        raise AssertionError("K-SEQ accepts more than the target has")
    for drawn, mass in independent(draft, children):
        for y in drawn:
            if accept[y]:
                yield y, True, mass * accept[y]
            mass *= 1 - accept[y]
        if mass:
            yield from ((z, False, mass * value / sum(rest)) for z, value in _outcomes(rest))


def match(draft, target, children: int, decoder) -> Iterator[Branch]:
    """The target draws."""
    for drawn, mass in sequences(draft, children, decoder):
        yield from ((z, z in drawn, mass * goal) for z, goal in _outcomes(target))


def greedy(draft, target, children: int, decoder) -> Iterator[Branch]:
    """The likeliest children, and one of the rest."""
    order = sorted((y for y, _ in _outcomes(draft)), key=lambda y: (-draft[y], y))
    top = order[: children - 1]
    rest = [ZERO if y in top else p for y, p in enumerate(draft)]
    if not sum(rest):
        yield from ((z, z in top, goal) for z, goal in _outcomes(target))
        return
    rest = [p / sum(rest) for p in rest]
    for y, mass in _outcomes(rest):
        accept = min(ONE, target[y] / rest[y])
        if accept:
            yield y, True, mass * accept
        if accept != 1:
            goal = _residual(target, rest)
            yield from ((z, z in top, mass * (1 - accept) * share) for z, share in _outcomes(goal))


def falling(draft, target) -> list[int]:
    """The tokens by falling target/draft, equal ratios by the lower number."""

    def key(y: int):
        if not draft[y]:
            return (0 if target[y] else 1, ZERO, y)
        return (1, -target[y] / draft[y], y)

    return sorted(range(len(draft)), key=key)


def optimal(draft, target, children: int, decoder) -> Iterator[Branch]:
    """A flow from sets of children to tokens; a child is accepted with its share of its set's flow."""
    chances: dict[frozenset, Fraction] = defaultdict(Fraction)
    for drawn, mass in sequences(draft, children, decoder):
        chances[frozenset(drawn)] += mass
    flow = lexicographic_flow(chances, target, falling(draft, target))
    accepted = [sum(part for (_, z), part in flow.items() if z == y) for y in range(len(draft))]
    rest = [q - a for q, a in zip(target, accepted, strict=True)]
    for each, mass in chances.items():
        kept = ZERO
        for y in each:
            if part := flow.get((each, y), ZERO):
                yield y, True, part
                kept += part
        if kept != mass:
            yield from ((z, False, (mass - kept) * value / sum(rest)) for z, value in _outcomes(rest))


def lexicographic_flow(chances: dict, target, order) -> dict[tuple[frozenset, int], Fraction]:
    """By (set, token): as much into each token in turn as can be, what the ones before got staying theirs."""
    flow: dict[tuple[frozenset, int], Fraction] = defaultdict(Fraction)
    free = dict(chances)

    def path_to(token: int, seen: set) -> list | None:
        """[(set, token), .., (free set, token)], each set but the last taken from the next token."""
        seen.add(token)
        for each in free:
            if token in each and free[each]:
                return [(each, token)]
        for each in free:
            if token in each:
                for other in each:
                    if other not in seen and flow[each, other] and (path := path_to(other, seen)):
                        return [(each, token), *path]
        return None

    for y in order:
        wanted = target[y]
        while wanted and (path := path_to(y, set())):
            taken = [(each, path[index + 1][1]) for index, (each, _) in enumerate(path[:-1])]
            part = min(wanted, free[path[-1][0]], *(flow[one] for one in taken))
            for one in path:
                flow[one] += part
            for one in taken:
                flow[one] -= part
            free[path[-1][0]] -= part
            wanted -= part
    return {key: part for key, part in flow.items() if part}


def greedy_vertex(draft, target, children: int, decoder) -> list[Fraction]:
    """What the optimal rule accepts of each token: in falling order as much as every set of tokens allows."""
    hits: dict[frozenset, Fraction] = defaultdict(Fraction)
    for drawn, mass in sequences(draft, children, decoder):
        hits[frozenset(drawn)] += mass
    accepted, before = [ZERO] * len(draft), []
    for y in falling(draft, target):
        bounds = [target[y]]
        for size in range(len(before) + 1):
            for others in combinations(before, size):
                reached = sum(mass for each, mass in hits.items() if each & {y, *others})
                bounds.append(reached - sum(accepted[z] for z in others))
        accepted[y] = min(bounds)
        before.append(y)
    return accepted


RULES: dict[str, Callable] = {
    "recursive": recursive,
    "k-seq": k_seq,
    "optimal": optimal,
    "match": match,
    "greedy": greedy,
}


def position(draft, target, children: int, decoder) -> dict[tuple[int, bool], Fraction]:
    """P(token, accepted) at one position, after a token with these rows."""
    found: dict[tuple[int, bool], Fraction] = defaultdict(Fraction)
    for token, accepted, mass in RULES[decoder.rule](_row(draft), _row(target), children, decoder):
        found[token, accepted] += mass
    return {cell: mass for cell, mass in found.items() if mass}


def call_distribution(draft, target, initial, decoder, position=position) -> dict[tuple, Fraction]:
    """P(tokens, rejected, calls), the initial token summed out; arguments as `enumerate.joint_distribution`.

    calls: a tuple of (positions, accepted tokens), one for each target call, in order. position: what may
    happen at one.
    """
    horizon = len(target)

    @cache
    def outcomes(t: int, x: int, children: int) -> dict[tuple[int, bool], Fraction]:
        return position(draft[t][x], target[t][x], children, decoder)

    @cache
    def call(t: int, x: int, at: int, left: int) -> tuple:
        """((tokens, flags, mass), ..) of the rest of a call whose next position is number `at`; `left`
        positions are to come."""
        if not left:
            if not decoder.bonus:
                return (((), (), ONE),)
            return tuple(((z,), (False,), mass) for z, mass in _outcomes(_row(target[t][x])))
        found: dict[tuple, Fraction] = defaultdict(Fraction)
        for (y, accepted), mass in outcomes(t, x, decoder.drafts[at]).items():
            if not accepted:
                found[(y,), (True,)] += mass
                continue
            for tokens, flags, rest in call(t + 1, y, at + 1, left - 1):
                found[(y, *tokens), (False, *flags)] += mass * rest
        return tuple((*cell, mass) for cell, mass in found.items())

    @cache
    def rest(t: int, x: int) -> tuple:
        if t == horizon:
            return (((), (), (), ONE),)
        found: dict[tuple, Fraction] = defaultdict(Fraction)
        positions = min(len(decoder.drafts), horizon - t - decoder.bonus)
        for tokens, flags, mass in call(t, x, 0, positions):
            accepted = len(tokens) - (flags[-1] or len(tokens) > positions)
            for after, later, calls, tail in rest(t + len(tokens), tokens[-1]):
                found[tokens + after, flags + later, ((positions, accepted), *calls)] += mass * tail
        return tuple((*cell, mass) for cell, mass in found.items())

    distribution: dict[tuple, Fraction] = defaultdict(Fraction)
    for x, mass in _outcomes(_row(initial)):
        for *cell, share in rest(0, x):
            distribution[tuple(cell)] += mass * share
    return dict(distribution)
