"""Many drafts at one position, enumerated in fractions: every sequence of drafts, every set of tokens.

Rows are lists of fractions. Nothing here sorts tokens or integrates, and no code is shared with `simlab`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

Row = list[Fraction]


def sequences(draft: Row, drafts: int, replacement: bool) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """Every sequence of drafts and its probability; shorter where all tokens of the draft are drafted."""

    def extended(drafted: tuple[int, ...], probability: Fraction):
        gone = set() if replacement else set(drafted)
        left = [token for token, mass in enumerate(draft) if mass and token not in gone]
        if len(drafted) == drafts or not left:
            yield drafted, probability
            return
        whole = sum(draft[token] for token in left)
        for token in left:
            yield from extended((*drafted, token), probability * draft[token] / whole)

    yield from extended((), Fraction(1))


def constructed(draft: Row, drafts: int, replacement: bool, construction: str):
    """The same for drafts of which the likeliest tokens are taken for certain."""
    sure = {"sampled": 0, "greedy": drafts - 1, "hub": min(1, drafts - 1)}[construction]
    likeliest = sorted(range(len(draft)), key=lambda token: (-draft[token], token))[:sure]
    likeliest = tuple(token for token in likeliest if draft[token])
    rest = [Fraction(0) if token in likeliest else mass for token, mass in enumerate(draft)]
    if not any(rest):
        yield likeliest, Fraction(1)
        return
    whole = sum(rest)
    drawn = sequences([mass / whole for mass in rest], drafts - sure, replacement)
    yield from ((likeliest + tokens, probability) for tokens, probability in drawn)


def draft_sets(listed) -> dict[frozenset[int], Fraction]:
    """P(S) of every set of drafted values."""
    sets: dict[frozenset[int], Fraction] = defaultdict(Fraction)
    for drafted, probability in listed:
        sets[frozenset(drafted)] += probability
    return sets


def optimal_by_cuts(sets: dict[frozenset[int], Fraction], target: Row) -> Fraction:
    """min over all W of target(W) + P(S is not within W)."""
    tokens = range(len(target))
    everything = (set(some) for size in range(len(target) + 1) for some in combinations(tokens, size))
    return min(
        sum((target[token] for token in within), Fraction(0))
        + sum((mass for drafted, mass in sets.items() if not drafted <= within), Fraction(0))
        for within in everything
    )


def optimal_by_linear_program(sets: dict[frozenset[int], Fraction], target: Row, order=()) -> float:
    """The most that a rule accepts, by HiGHS: flow from sets to the tokens in them.

    order: tokens; then the most that is accepted of these alone.
    """
    import numpy as np
    from scipy.optimize import linprog

    counted = set(order) or set(range(len(target)))
    edges = [(number, token) for number, drafted in enumerate(sets) for token in drafted & counted]
    if not edges:
        return 0.0
    limits = np.zeros((len(sets) + len(target), len(edges)))
    for column, (number, token) in enumerate(edges):
        limits[number, column] = limits[len(sets) + token, column] = 1.0
    most = [float(mass) for mass in [*sets.values(), *target]]
    return -linprog(-np.ones(len(edges)), A_ub=limits, b_ub=most, method="highs").fun
