"""The distribution of decoders with windows by brute force, in rational arithmetic, call by call.

Each call drafts a whole window: every sequence of drafted tokens is a branch, those behind a rejection
included, and so is each acceptance coin, each replacement and each bonus token. Nothing is simplified by
theory; see `enumerate`, whose helpers these are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

from simlab.decoders import (
    AdaptiveSpeculative,
    ConfidenceSpeculative,
    EmaSpeculative,
    HistorySpeculative,
    LadderSpeculative,
    StreakSpeculative,
)
from tests.oracles.enumerate import ONE, _outcomes, _residual, _row

Paths = tuple[tuple[tuple, tuple, tuple, Fraction], ...]


def call_distribution(draft, target, initial, decoder) -> dict[tuple[tuple, tuple, tuple], Fraction]:
    """P(tokens, rejected, calls), the initial token summed out; arguments as `joint_distribution`.

    calls: a tuple of (drafted tokens, accepted tokens), one for each target call, in order.
    """
    draft = [[_row(row) for row in step] for step in draft]
    target = [[_row(row) for row in step] for step in target]
    horizon = len(target)
    adaptive = isinstance(decoder, AdaptiveSpeculative)
    bonus = decoder.policy.bonus if adaptive else getattr(decoder, "bonus", True)

    def drafted(t: int, x: int, room: int, seen: tuple = ()) -> Iterator[tuple[tuple, Fraction]]:
        """All windows of at most `room` tokens from position t on, after token x; seen: the call's rows."""
        if room == 0:
            yield (), ONE
            return
        seen = (*seen, draft[t][x])
        if isinstance(decoder, ConfidenceSpeculative) and _unsure(decoder, seen):
            yield (), ONE
            return
        for y, mass in _outcomes(draft[t][x]):
            for others, rest in drafted(t + 1, y, room - 1, seen):
                yield (y, *others), mass * rest

    def verified(t: int, x: int, window: tuple) -> Iterator[tuple[tuple, tuple, Fraction]]:
        """What a call yields, of this window: (tokens, rejected, probability)."""
        if not window:
            if not bonus:
                yield (), (), ONE
                return
            for z, mass in _outcomes(target[t][x]):
                yield (z,), (False,), mass
            return
        y, *others = window
        accept = min(ONE, target[t][x][y] / draft[t][x][y])
        if accept:
            for tokens, flags, mass in verified(t + 1, y, tuple(others)):
                yield (y, *tokens), (False, *flags), accept * mass
        if accept != 1:
            for z, mass in _outcomes(_residual(target[t][x], draft[t][x])):
                yield (z,), (True,), (1 - accept) * mass

    @cache
    def rest(t: int, x: int, memory: tuple) -> Paths:
        """The distribution from position t on, after token x, where a call begins."""
        if t == horizon:
            return (((), (), (), ONE),)
        distribution: dict[tuple, Fraction] = defaultdict(Fraction)
        left = horizon - t - (1 if bonus else 0)
        room = min(memory[0], left) if memory else _room(decoder, t, x, left)
        for window, proposed in drafted(t, x, room):
            for tokens, flags, mass in verified(t, x, window):
                accepted = len(tokens) - (1 if flags[-1] or len(tokens) > len(window) else 0)
                learned = remembered(decoder, memory, len(window), accepted) if memory else ()
                for after, later, calls, tail in rest(t + len(tokens), tokens[-1], learned):
                    cell = tokens + after, flags + later, ((len(window), accepted), *calls)
                    distribution[cell] += proposed * mass * tail
        return tuple((*cell, mass) for cell, mass in distribution.items())

    distribution: dict[tuple, Fraction] = defaultdict(Fraction)
    for x, mass in _outcomes(_row(initial)):
        for *cell, share in rest(0, x, first_memory(decoder)):
            distribution[tuple(cell)] += mass * share
    return dict(distribution)


def first_memory(decoder) -> tuple:
    """What a rule with a memory knows before the first call: its window, then the rest; () without one."""
    match decoder:
        case HistorySpeculative():
            return (decoder.start,)
        case StreakSpeculative():
            return (decoder.start, ())
        case EmaSpeculative():
            narrow, widen = Fraction(str(decoder.narrow)), Fraction(str(decoder.widen))
            return (decoder.start, _nearest((narrow + widen) / 2, decoder.levels))
        case LadderSpeculative():
            return (decoder.start, Fraction(decoder.start - 1))
    return ()


def remembered(decoder, memory: tuple, drafted: int, accepted: int) -> tuple:
    """The same after a call, as each rule is told in words. A call whose drafted tokens were all accepted at
    the end of the text is the last one, so what it leaves does not matter."""
    window, *rest = memory
    whole = accepted == drafted
    move = 0
    match decoder:
        case HistorySpeculative():
            move = decoder.up if whole else -decoder.down
        case StreakSpeculative():
            outcomes = (*rest[0], whole)[-decoder.streak :]
            if len(outcomes) == decoder.streak and len(set(outcomes)) == 1:
                move, outcomes = (1 if whole else -1), ()
            rest = [outcomes]
        case EmaSpeculative():
            weight = Fraction(str(decoder.weight))
            average = _nearest((1 - weight) * rest[0] + weight * Fraction(accepted, window), decoder.levels)
            move = (average > Fraction(str(decoder.widen))) - (average < Fraction(str(decoder.narrow)))
            rest = [average]
        case LadderSpeculative():
            return _climbed(decoder, window, rest[0], accepted)
    return (max(decoder.shortest, min(decoder.longest, window + move)), *rest)


def _climbed(decoder: LadderSpeculative, window: int, average: Fraction, accepted: int) -> tuple:
    """The rung and the average after a call."""
    weight, up, down = (Fraction(str(part)) for part in (decoder.weight, decoder.up, decoder.down))
    average = _nearest((1 - weight) * average + weight * accepted, decoder.levels)
    below = [one for one in decoder.windows if one < window]
    while below and average <= below[-1] - Fraction(1, 2) + down:
        window = below.pop()
    above = [one for one in decoder.windows if one > window]
    while above and average > window - Fraction(1, 2) + up:
        window = above.pop(0)
    return window, average


def _nearest(number: Fraction, levels: int) -> Fraction:
    """The multiple of 1 / levels next to it; of two the larger."""
    below = number * levels // 1
    return Fraction(below + (number * levels - below >= Fraction(1, 2)), levels)


def _unsure(decoder: ConfidenceSpeculative, seen: tuple) -> bool:
    """Whether drafting stops before the token of the last of these rows."""
    if decoder.signal == "confidence":
        return max(seen[-1]) < Fraction(decoder.threshold)
    if decoder.signal == "entropy":
        return sum(-p * math.log(p) for p in seen[-1] if p) > decoder.threshold**2 + 1e-12
    if decoder.threshold == 0:
        return False
    hundredths = [round(100 * math.log(max(row))) for row in seen]
    return sum(hundredths) < round(100 * math.log(decoder.threshold))


def _room(decoder, t: int, x: int, left: int) -> int:
    """How many tokens a call drafts at most that begins at position t after token x with so much room."""
    window = decoder.policy.windows[t, x] if isinstance(decoder, AdaptiveSpeculative) else decoder.window
    return left if window is None else min(int(window), left)


def marginal(distribution: dict, of) -> dict:
    """The distribution of of(*cell): a function of the cells of `call_distribution`."""
    found: dict = defaultdict(Fraction)
    for cell, mass in distribution.items():
        found[of(*cell)] += mass
    return dict(found)


def expected_by_position(distribution: dict, longest: int) -> dict[str, list[Fraction]]:
    """Expected numbers of calls by position i = 1..longest in the window: those that draft i tokens or more
    ("drafted"), of those the ones whose first i - 1 ("reached") and first i ("accepted") are accepted."""
    found = {name: [Fraction(0)] * longest for name in ("drafted", "reached", "accepted")}
    for (_, _, calls), mass in distribution.items():
        for drafted, accepted in calls:
            for i in range(1, drafted + 1):
                found["drafted"][i - 1] += mass
                found["reached"][i - 1] += mass * (accepted >= i - 1)
                found["accepted"][i - 1] += mass * (accepted >= i)
    return found
