"""Rules that the tests of several rooms look at, named ones and some of a user's own."""

from __future__ import annotations

import numpy as np
import pytest

from simlab import rules


def half(draft, target):
    """Accept by a fair coin, replace by the target's mirror image."""
    return np.full(len(draft), 0.5), target[::-1]


def by_token(draft, target):
    """Another replacement for each rejected token, some as plain lists, none normalised."""
    others = np.tile(np.arange(1.0, len(draft) + 1) / len(draft), (len(draft), 1))
    np.fill_diagonal(others, 0.25)
    return [0.25 + 0.5 * (y % 2) for y in range(len(draft))], others.tolist()


class Reversed:
    """Proposes the draft's mirror image, and accepts half of what the target likes."""

    def propose(self, draft):
        return draft[::-1]

    def __call__(self, draft, target):
        return target / 2, np.eye(len(target))[0]


def named(one) -> str:
    """A name for the id of a test, the same in every process: str() of a function has its address."""
    return getattr(one, "__name__", type(one).__name__) if " at 0x" in str(one) else str(one)


NAMED = [
    rules.Speculative(),
    rules.OverAcceptance(0.125, "optimal"),
    rules.OverAcceptance(0.125, "target"),
    rules.OverAcceptance(0.25, "draft"),
    rules.OverAcceptance(0.0, "residual"),
    rules.Lenient(0.5),
    rules.TokenMatch(),
    rules.GreedyMatch(),
    rules.Typical(0.2, 0.6),
    rules.TopKRelaxed(2, 0.3),
]
EXACT = [one for one in NAMED if not getattr(one, "is_biased", True)]
EVERY = [*NAMED, half, by_token, Reversed()]
QUICK = (2, 7, 11)
SOME_QUICK = [
    pytest.param(one, marks=[] if index in QUICK else pytest.mark.statistical)
    for index, one in enumerate(EVERY)
]
"""Every rule; of those with windows the quick tier takes three."""
WINDOWS = [{}, {"window": 1}, {"window": 2}, {"window": 2, "bonus": True}, {"bonus": True}]
