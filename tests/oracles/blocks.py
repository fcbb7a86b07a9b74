"""The distribution of block verification by brute force, in rational arithmetic, call by call; and of
mistaken ones.

Each call drafts a whole window: every sequence of drafted tokens is a branch, and so is every position at
which verification may stop, with the probability that the printed coins (Sun et al. 2024, arXiv 2403.10444)
give it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

from tests.oracles.enumerate import ONE, ZERO, _outcomes, _row


def capped(share: Fraction, ratio: Fraction) -> Fraction:
    """p_i from p_{i-1} and target/draft."""
    return min(share * ratio, ONE)


def excess(share: Fraction, target, draft) -> tuple[Fraction, ...]:
    """[share * target - draft]_+, not normalised."""
    return tuple(max(share * goal - drafted, ZERO) for goal, drafted in zip(target, draft, strict=True))


def block_chance(share: Fraction, target, draft) -> Fraction:
    """h_i at a position before the window's end."""
    whole = sum(excess(share, target, draft))
    return whole / (whole + 1 - share) if whole + 1 != share else ONE


def separate(chances: list[Fraction]) -> list[Fraction]:
    """P(tau = i): the last i whose own uniform is at most h_i; chances: h_0 = 1 .. h_g."""
    distribution = []
    for i, chance in enumerate(chances):
        for later in chances[i + 1 :]:
            chance *= 1 - later
        distribution.append(chance)
    return distribution


@dataclass(frozen=True)
class Rules:
    """A verification: how running ratios grow, its chance h before the end and at it, what tau the chances
    make, and the weights of the token behind tau < g."""

    grow: Callable = capped
    chance: Callable = block_chance
    last: Callable = lambda share: share
    stops: Callable = separate
    weights: Callable = excess


def greedy_chance(share: Fraction, target, draft) -> Fraction:
    """Accepts each prefix with the most that any verification can, min(1, its target/draft)."""
    going = sum(min(share * goal, drafted) for goal, drafted in zip(target, draft, strict=True))
    return 1 - (1 - min(share, ONE)) / (1 - going) if going != 1 else ONE


def one_uniform(chances: list[Fraction]) -> list[Fraction]:
    """P(tau = i) where one uniform serves all positions."""
    highest = [max(chances[i:], default=ZERO) for i in range(len(chances) + 1)]
    return [now - later for now, later in pairwise(highest)]


BLOCK = Rules()


def uncapped(share: Fraction, ratio: Fraction) -> Fraction:
    """The ratio of the whole prefix."""
    return share * ratio


def at_most_one(share: Fraction) -> Fraction:
    """The chance of the whole window, of a ratio that is not capped."""
    return min(share, ONE)


MISTAKES = {
    "ratio not capped": Rules(
        uncapped, lambda share, target, draft: block_chance(min(share, ONE), target, draft), at_most_one
    ),
    "residual of p = 1": Rules(weights=lambda share, target, draft: excess(ONE, target, draft)),
    "one uniform": Rules(stops=one_uniform),
    "h is the ratio": Rules(chance=lambda share, target, draft: share),
    "greedy, target unchanged": Rules(uncapped, greedy_chance, at_most_one),
}


def call_distribution(draft, target, initial, decoder, rules: Rules = BLOCK) -> dict[tuple, Fraction]:
    """P(tokens, rejected, calls), the initial token summed out; arguments as `enumerate.joint_distribution`.

    calls: a tuple of (drafted tokens, accepted tokens), one for each target call, in order.
    """
    draft = [[_row(row) for row in step] for step in draft]
    target = [[_row(row) for row in step] for step in target]
    horizon = len(target)

    def windows(t: int, x: int, room: int) -> Iterator[tuple[tuple, Fraction]]:
        if room == 0:
            yield (), ONE
            return
        for y, mass in _outcomes(draft[t][x]):
            for others, rest in windows(t + 1, y, room - 1):
                yield (y, *others), mass * rest

    def verified(t: int, window: tuple) -> Iterator[tuple[int, int, Fraction]]:
        """(tau, the token behind it, probability) of a window: the last token, and the drafted ones."""
        shares = [ONE]
        for i, (x, y) in enumerate(pairwise(window)):
            shares.append(rules.grow(shares[-1], target[t + i][x][y] / draft[t + i][x][y]))
        end = len(window) - 1
        rows = [(target[t + i][x], draft[t + i][x]) for i, x in enumerate(window)]
        chances = [ONE, *(rules.chance(shares[i], *rows[i]) for i in range(1, end))]
        if end:
            chances.append(rules.last(shares[end]))
        for tau, mass in enumerate(rules.stops(chances)):
            if mass:
                weights = rows[tau][0] if tau == end else rules.weights(shares[tau], *rows[tau])
                whole = sum(weights)
                for z, weight in _outcomes(weights if whole else rows[tau][0]):
                    yield tau, z, mass * weight / (whole or 1)

    @cache
    def rest(t: int, x: int) -> tuple:
        """The distribution from position t on, after token x, where a call begins."""
        if t == horizon:
            return (((), (), (), ONE),)
        distribution: dict[tuple, Fraction] = defaultdict(Fraction)
        room = horizon - t - 1 if decoder.window is None else min(decoder.window, horizon - t - 1)
        for window, proposed in windows(t, x, room):
            for tau, z, mass in verified(t, (x, *window)):
                flags = (*[False] * tau, tau < room)
                for after, later, calls, tail in rest(t + tau + 1, z):
                    cell = (*window[:tau], z, *after), flags + later, ((room, tau), *calls)
                    distribution[cell] += proposed * mass * tail
        return tuple((*cell, mass) for cell, mass in distribution.items())

    distribution: dict[tuple, Fraction] = defaultdict(Fraction)
    for x, mass in _outcomes(_row(initial)):
        for *cell, share in rest(0, x):
            distribution[tuple(cell)] += mass * share
    return dict(distribution)
