"""Rules of acceptance by brute force, in rational arithmetic, call by call; see `enumerate` and `windows`.

The named rules are written here a second time, from their definitions, in fractions. Any other rule is asked
in floats, and its answer taken at its exact binary value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import exp, log

import numpy as np

from simlab import rules
from tests.oracles.enumerate import ONE, ZERO, _outcomes, _row

Paths = tuple[tuple[tuple, tuple, tuple, Fraction], ...]


def call_distribution(draft, target, initial, decoder) -> dict[tuple[tuple, tuple, tuple], Fraction]:
    """P(tokens, rejected, calls) of a `RuleSpeculative`, as `windows.call_distribution`."""
    draft = [[_row(row) for row in step] for step in draft]
    target = [[_row(row) for row in step] for step in target]
    assumed = draft
    if decoder.assumed_draft is not None:
        steps = np.broadcast_to(decoder.assumed_draft, (len(target), *decoder.assumed_draft.shape[1:]))
        assumed = [[_row(row) for row in step] for step in steps.tolist()]
    horizon = len(target)

    @cache
    def verdict(t: int, x: int):
        return answer(decoder.rule, assumed[t][x], target[t][x])

    def proposed(t: int, x: int):
        if isinstance(decoder.rule, rules.GreedyMatch):
            best = draft[t][x].index(max(draft[t][x]))
            return [(best, ONE)]
        if hasattr(decoder.rule, "propose"):
            return _outcomes(_exact(decoder.rule.propose(_floats(draft[t][x]))))
        return _outcomes(draft[t][x])

    def drafted(t: int, x: int, room: int) -> Iterator[tuple[tuple, Fraction]]:
        if room == 0:
            yield (), ONE
            return
        for y, mass in proposed(t, x):
            for others, rest in drafted(t + 1, y, room - 1):
                yield (y, *others), mass * rest

    def verified(t: int, x: int, window: tuple) -> Iterator[tuple[tuple, tuple, Fraction]]:
        if not window:
            if not decoder.bonus:
                yield (), (), ONE
                return
            for z, mass in _outcomes(target[t][x]):
                yield (z,), (False,), mass
            return
        y, *others = window
        accept, replacement = verdict(t, x)
        if accept[y]:
            for tokens, flags, mass in verified(t + 1, y, tuple(others)):
                yield (y, *tokens), (False, *flags), accept[y] * mass
        if accept[y] != 1:
            for z, mass in _outcomes(_normalised(replacement[y])):
                yield (z,), (True,), (1 - accept[y]) * mass

    @cache
    def rest(t: int, x: int) -> Paths:
        if t == horizon:
            return (((), (), (), ONE),)
        distribution: dict[tuple, Fraction] = defaultdict(Fraction)
        left = horizon - t - (1 if decoder.bonus else 0)
        room = left if decoder.window is None else min(decoder.window, left)
        for window, chance in drafted(t, x, room):
            for tokens, flags, mass in verified(t, x, window):
                accepted = len(tokens) - (1 if flags[-1] or len(tokens) > len(window) else 0)
                for after, later, calls, tail in rest(t + len(tokens), tokens[-1]):
                    cell = tokens + after, flags + later, ((len(window), accepted), *calls)
                    distribution[cell] += chance * mass * tail
        return tuple((*cell, mass) for cell, mass in distribution.items())

    distribution: dict[tuple, Fraction] = defaultdict(Fraction)
    for x, mass in _outcomes(_row(initial)):
        for *cell, share in rest(0, x):
            distribution[tuple(cell)] += mass * share
    return dict(distribution)


def answer(rule, draft, target):
    """(accept (V,), replacement: a row of weights for each rejected token) in fractions."""
    every = range(len(target))
    capped = lambda over, under: min(ONE, over / under) if under else ONE  # noqa: E731
    best = [Fraction(int(z == target.index(max(target)))) for z in every]
    match rule:
        case rules.Speculative():
            return [capped(target[y], draft[y]) for y in every], [_excess(target, draft)] * len(target)
        case rules.Lenient(leniency=leniency):
            accept = [capped(target[y], Fraction(leniency) * draft[y]) for y in every]
            return accept, [_excess(target, draft)] * len(target)
        case rules.OverAcceptance(epsilon=epsilon, replacement=replacement):
            accept = [capped(target[y] + Fraction(epsilon), draft[y]) for y in every]
            passed = [draft[y] * accept[y] for y in every]
            known = {"target": target, "draft": draft, "residual": _excess(target, draft)}
            return accept, [known.get(replacement) or _excess(target, passed)] * len(target)
        case rules.TokenMatch():  # GreedyMatch too
            others = [[ZERO if z == y else target[z] for z in every] for y in every]
            return list(target), others
        case rules.Typical(epsilon=epsilon, delta=delta):
            entropy = -sum(float(q) * log(q) for q in target if q)
            threshold = min(epsilon, delta * exp(-entropy))
            return [ONE if q > threshold else ZERO for q in target], [best] * len(target)
        case rules.TopKRelaxed(k=k, delta=delta):
            top = sorted(every, key=lambda y: (-target[y], y))[:k]
            least = max(target) - Fraction(delta)
            return [ONE if y in top and target[y] >= least else ZERO for y in every], [best] * len(target)
    accept, replacement = rule(_floats(draft), _floats(target))
    replacement = np.asarray(replacement, float)
    rows = replacement if replacement.ndim == 2 else [replacement] * len(target)
    return _exact(accept), [_exact(row) for row in rows]


def _floats(row) -> np.ndarray:
    return np.array([float(value) for value in row])


def _exact(row) -> list[Fraction]:
    return [Fraction(float(value)) for value in row]


def _excess(target, draft) -> list[Fraction]:
    """[target - draft]_+ as it is; zeros where nothing can be rejected."""
    return [max(q - p, ZERO) for q, p in zip(target, draft, strict=True)]


def _normalised(row) -> list[Fraction]:
    whole = sum(row)
    return [value / whole for value in row]
