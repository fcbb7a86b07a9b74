"""Several drafted tokens, children, at each position of a call: rules of verification, one function each.

A rule takes the draft's and the target's row after the last token, lists (V,), and how many children there
are. It draws them, verifies them, and says what happened (`Verified`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from simlab.decoders import MultiDraftSpeculative
from simlab.reference.couplings import placed_children, shared_sets
from simlab.reference.draws import Chains, draw, residual
from simlab.reference.trace import NOBODY


class Child(NamedTuple):
    """A drafted token. acceptance, coin: None where it had no turn of its own, or no coin decides.
    residual_target: what stood in the target's place, where that is not the target."""

    token: int
    acceptance: float | None = None
    coin: float | None = None
    residual_target: list[float] | None = None


class Verified(NamedTuple):
    """children: in the order of drafting. accepted: which of them, or None; then the corrected token is one
    drawn from `replacement`, or is `token` where the rule has drawn it from there already."""

    children: list[Child]
    accepted: int | None
    replacement: list[float] | None = None
    token: int | None = None


class Call(NamedTuple):
    """One target call: at how many positions it drafted, and at how many a child was accepted."""

    positions: int
    accepted: int


def decode(
    chains: Chains, start: int, decoder: MultiDraftSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt.

    Of the tree that a call drafts only the children of accepted tokens are drawn: nothing looks at others.
    A bonus token is not rejected: "rejected" are the corrected tokens.
    """
    tokens, rejected, _ = decode_calls(chains.draft, chains.target, start, decoder, rng, watcher)
    return tokens, rejected


def decode_calls(
    draft, target, start: int, decoder: MultiDraftSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool], list[Call]]:
    """`decode`, and the target calls one after the other."""
    horizon, verify = len(target), rule_of(decoder)
    tokens: list[int] = []
    rejected: list[bool] = []
    calls: list[Call] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        watcher.call(begin, tokens[-1] if tokens else start)
        positions = min(len(decoder.drafts), horizon - begin - decoder.bonus)
        for children in decoder.drafts[:positions]:
            t, x = len(tokens), tokens[-1] if tokens else start
            found = verify(draft[t][x], target[t][x], children, rng)
            watcher.verified(t, x, found.children, found.accepted)
            if found.accepted is None:
                watcher.replaced(found.replacement)
                token = draw(found.replacement, rng) if found.token is None else found.token
                tokens.append(token)
                rejected.append(True)
                break
            tokens.append(found.children[found.accepted].token)
            rejected.append(False)
        accepted = len(tokens) - begin - any(rejected[begin:])
        calls.append(Call(positions, accepted))
        if decoder.bonus and accepted == positions:
            t, x = len(tokens), tokens[-1] if tokens else start
            watcher.bonus(target[t][x])
            tokens.append(draw(target[t][x], rng))
            rejected.append(False)
    return tokens, rejected, calls


def rule_of(decoder: MultiDraftSpeculative):
    """The function that verifies the children at one position."""
    rules = {
        ("recursive", True): recursive,
        ("recursive", False): recursive_distinct,
        ("k-seq", True): k_seq,
        ("optimal", True): optimal,
        ("optimal", False): optimal_distinct,
        ("match", True): match,
        ("match", False): match_distinct,
        ("greedy", True): greedy,
        ("greedy", False): greedy,
    }
    return rules[decoder.rule, decoder.replacement]


def recursive(draft, target, count: int, rng) -> Verified:
    """Tried in order, each against what the failures before have left of the target."""
    children, goal = [], target
    drafted = [draw(draft, rng) for _ in range(count)]
    for number, y in enumerate(drafted):
        acceptance, coin = min(1.0, goal[y] / draft[y]), rng.random()
        children.append(Child(y, acceptance, coin, goal))
        if coin < acceptance:
            return Verified([*children, *map(Child, drafted[number + 1 :])], number)
        goal = residual(goal, draft)
    return Verified(children, None, goal)


def recursive_distinct(draft, target, count: int, rng) -> Verified:
    """The same where each child is drawn from what the others have left of the draft."""
    children, goal = [], target
    for number, (y, rest) in enumerate(distinct(draft, count, rng)):
        acceptance, coin = min(1.0, goal[y] / rest[y]), rng.random()
        children.append(Child(y, acceptance, coin, goal))
        if coin < acceptance:
            return Verified(children, number)
        goal = residual(goal, rest)
    return Verified(children, None, goal)


def distinct(draft, count: int, rng):
    """(child, the distribution that it is drawn from), one after the other, until none is left to draw."""
    rest = list(draft)
    for _ in range(count):
        whole = sum(rest)
        if whole <= 0:
            return
        rest = [value / whole for value in rest]
        y = draw(rest, rng)
        yield y, rest
        rest = [0.0 if z == y else value for z, value in enumerate(rest)]


def k_seq(draft, target, count: int, rng) -> Verified:
    """Tried in order, each with the same chance min(1, target/(gamma draft))."""
    gamma, beta = gamma_of(tuple(draft), tuple(target), count)
    children = []
    drafted = [draw(draft, rng) for _ in range(count)]
    for number, y in enumerate(drafted):
        acceptance, coin = min(1.0, target[y] / (gamma * draft[y])), rng.random()
        children.append(Child(y, acceptance, coin))
        if coin < acceptance:
            return Verified([*children, *map(Child, drafted[number + 1 :])], number)
    share = (1 - (1 - beta) ** count) / beta if beta > 0 else 0.0
    rest = [max(q - min(p, q / gamma) * share, 0.0) for p, q in zip(draft, target, strict=True)]
    return Verified(children, None, rest if sum(rest) > 0 else target)


@lru_cache(maxsize=4096)
def gamma_of(draft, target, count: int) -> tuple[float, float]:
    """(gamma, beta): the smallest gamma in [1, k] with 1 - (1 - beta)^k <= gamma beta, by bisection."""

    def beta_of(gamma: float) -> float:
        return min(sum(min(p, q / gamma) for p, q in zip(draft, target, strict=True)), 1.0)

    def holds(gamma: float) -> bool:
        beta = beta_of(gamma)
        return 1 - (1 - beta) ** count <= gamma * beta

    if count == 1 or holds(1.0):
        return 1.0, beta_of(1.0)
    low, high = 1.0, float(count)
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high, beta_of(high)


def match(draft, target, count: int, rng) -> Verified:
    """The target draws; its token is accepted where a child is the same."""
    drafted = [draw(draft, rng) for _ in range(count)]
    return _matched(drafted, target, rng)


def match_distinct(draft, target, count: int, rng) -> Verified:
    """The same with distinct children."""
    drafted = [y for y, _ in distinct(draft, count, rng)]
    return _matched(drafted, target, rng)


def _matched(drafted, target, rng) -> Verified:
    z = draw(target, rng)
    children = list(map(Child, drafted))
    return Verified(children, drafted.index(z)) if z in drafted else Verified(children, None, target, z)


def greedy(draft, target, count: int, rng) -> Verified:
    """The likeliest children, and one drawn from the rest, which alone has a coin."""
    order = sorted((y for y, p in enumerate(draft) if p > 0), key=lambda y: (-draft[y], y))
    top = order[: count - 1]
    children = list(map(Child, top))
    rest = [0.0 if y in top else p for y, p in enumerate(draft)]
    if sum(rest) > 0:
        rest = [p / sum(rest) for p in rest]
        y = draw(rest, rng)
        acceptance, coin = min(1.0, target[y] / rest[y]), rng.random()
        children.append(Child(y, acceptance, coin))
        if coin < acceptance:
            return Verified(children, len(children) - 1)
        goal = residual(target, rest)
    else:
        goal = target
    z = draw(goal, rng)
    return Verified(children, top.index(z)) if z in top else Verified(children, None, goal, z)


def optimal(draft, target, count: int, rng) -> Verified:
    """Each child stands somewhere between 0 and 1; the first one is accepted if it stands before `end`."""
    placed = placed_children(tuple(draft), tuple(target), count)
    children = []
    for _ in range(count):
        y = draw(draft, rng)
        number = draw([high - low for low, high in placed.pieces[y]], rng)
        low, high = placed.pieces[y][number]
        children.append((low + rng.random() * (high - low), y))
    first = min(range(count), key=lambda number: children[number][0])
    told = [Child(y, *((placed.end, at) if i == first else ())) for i, (at, y) in enumerate(children)]
    if children[first][0] < placed.end:
        return Verified(told, first)
    return Verified(told, None, placed.corrected)


def optimal_distinct(draft, target, count: int, rng) -> Verified:
    """The set of the children says which of them is accepted, with which probability."""
    drafted = [y for y, _ in distinct(draft, count, rng)]
    shared = shared_sets(tuple(draft), tuple(target), count)
    shares = [shared.shares.get((frozenset(drafted), y), 0.0) for y in drafted]
    level = rng.random()
    for number, share in enumerate(shares):
        level -= share
        if level < 0:
            return Verified(list(map(Child, drafted)), number)
    return Verified(list(map(Child, drafted)), None, shared.corrected)
