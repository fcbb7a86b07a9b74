"""Drafts that go on being used as long as they agree, against decoding whole drafts in fractions."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import simlab
from simlab import BatchSpeculative, SimlabError, Speculative
from simlab.theory.many_drafts import agreeing_rejections
from tests.exact import close

ROWS = [
    ([Fraction(3, 5), Fraction(2, 5)], [Fraction(1, 5), Fraction(4, 5)]),
    ([Fraction(1, 4), Fraction(3, 4)], [Fraction(2, 3), Fraction(1, 3)]),
]
"""(draft, target) after each of two tokens."""


def decoded(x: int, left: int, drafts: int) -> dict[tuple, Fraction]:
    """P(tokens, rejections) of so many tokens after x: every tuple of whole drafts, then every coin."""
    if not left:
        return {((), 0): Fraction(1)}
    found = defaultdict(Fraction)
    whole = list(product(range(2), repeat=left))
    for drawn in product(whole, repeat=drafts):
        probability = Fraction(1)
        for one in drawn:
            last = x
            for token in one:
                probability *= ROWS[last][0][token]
                last = token
        for outcome, mass in _verified(x, list(drawn), 0, left, drafts).items():
            found[outcome] += probability * mass
    return found


def _verified(x: int, alive: list[tuple], at: int, left: int, drafts: int) -> dict[tuple, Fraction]:
    """The same given the drafts that are alive after the token x, `at` positions on."""
    if at == left:
        return {((), 0): Fraction(1)}
    draft, target = ROWS[x]
    wanted, mass, found = list(target), Fraction(1), defaultdict(Fraction)

    def emit(token, share, rest, rejections):
        for (tokens, count), probability in rest.items():
            found[((token, *tokens), count + rejections)] += share * probability

    for one in alive:
        token = one[at]
        take = min(Fraction(1), wanted[token] / draft[token])
        if take:
            same = [other for other in alive if other[at] == token]
            emit(token, mass * take, _verified(token, same, at + 1, left, drafts), 0)
        mass *= 1 - take
        if not mass:
            return found
        wanted = [max(Fraction(0), q - p) for q, p in zip(wanted, draft, strict=True)]
        wanted = [q / sum(wanted) for q in wanted]
    for token, share in enumerate(wanted):
        if share:
            emit(token, mass * share, decoded(token, left - at - 1, drafts), 1)
    return found


@pytest.mark.parametrize(("drafts", "horizon"), [(1, 3), (2, 3), (3, 2)])
def test_it_is_what_decoding_every_tuple_of_whole_drafts_gives(drafts, horizon):
    draft, target = (np.array([[float(p) for p in pair[which]] for pair in ROWS]) for which in (0, 1))
    pair = simlab.ChainPair.stationary(draft, target, [0.5, 0.5], horizon)
    counts, tokens = np.zeros(horizon + 1), defaultdict(Fraction)
    for x in range(2):
        for (sequence, rejections), mass in decoded(x, horizon, drafts).items():
            counts[rejections] += float(mass) / 2
            tokens[x, sequence] += mass
    close(agreeing_rejections(pair, drafts), counts)
    for (x, sequence), mass in tokens.items():
        wanted = Fraction(1)
        for token in sequence:
            wanted *= ROWS[x][1][token]
            x = token
        assert mass == wanted


def test_one_draft_is_speculative_decoding_and_more_reject_less_than_batch_decoding():
    for pair in (simlab.pairs.paper(12), simlab.pairs.corpus(horizon=6, max_states=12)):
        close(agreeing_rejections(pair, 1), simlab.predict(pair, Speculative()).rejections_pmf)
        before = np.inf
        for drafts in (2, 4):
            found = agreeing_rejections(pair, drafts)
            mean = found @ np.arange(len(found))
            close(found.sum(), 1.0)
            assert mean < simlab.predict(pair, BatchSpeculative(drafts)).expected_rejections
            assert mean < before
            before = mean


def test_what_is_too_large_is_refused():
    with pytest.raises(SimlabError, match="drafts = 600 with 7 tokens: a recursion over 4,200 states"):
        agreeing_rejections(simlab.pairs.paper(3), 600)
    with pytest.raises(SimlabError, match="drafts = 0"):
        agreeing_rejections(simlab.pairs.paper(3), 0)
