"""The distribution of E[X | environment] in rationals, by going through all environments that make a
difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction


def accepted_distribution(rows: Sequence[Sequence], weights: Sequence, capacities: Sequence[int]) -> dict:
    """{(E[X | environment] for each of the ascending capacities): its probability}, all of them rationals.

    A node has row k with probability weights[k], independently of all others. Which rows the nodes below the
    last one chosen have makes no difference, so that there are K^P cases for the largest capacity P.
    """
    distribution: dict = defaultdict(Fraction)

    def choose(frontier: list, sums: tuple, probability: Fraction) -> None:
        if len(sums) > capacities[-1]:
            distribution[tuple(sums[capacity] for capacity in capacities)] += probability
            return
        best = max(frontier)
        rest = list(frontier)
        rest.remove(best)
        for row, weight in zip(rows, weights, strict=True):
            children = [best * Fraction(entry) for entry in row if entry]
            choose(rest + children, (*sums, sums[-1] + best), probability * Fraction(weight))

    for row, weight in zip(rows, weights, strict=True):  # the root's
        choose([Fraction(entry) for entry in row if entry], (Fraction(0),), Fraction(weight))
    return dict(distribution)


def accepted_alone(row: Sequence, capacities: Sequence[int]) -> list[Fraction]:
    """The same where every node has this one row: the sums of the P most probable of all prefixes, sorted.

    All prefixes of up to as many tokens as are needed are made and sorted; nothing is searched.
    """
    most = capacities[-1]
    entries = sorted((Fraction(entry) for entry in row if entry), reverse=True)
    best: list = []
    level = [Fraction(1)]
    while (
        True
    ):  # the prefixes of one more token, of which none but the `most` largest can be among the largest
        level = sorted((prefix * entry for prefix in level for entry in entries), reverse=True)[:most]
        best = sorted(best + level, reverse=True)[:most]
        if len(best) == most and level[0] <= best[-1]:
            return [sum(best[:capacity], Fraction(0)) for capacity in capacities]
