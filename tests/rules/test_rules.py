"""Rules of acceptance: what the named ones answer, what is refused, and what a rule is as tables."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

import simlab
from simlab import RuleSpeculative, SimlabError, rules
from tests.oracles import acceptance as oracle
from tests.oracles.pairs import as_pair, rational_chains
from tests.rules.examples import NAMED, named
from tests.strategies import examples, pairs

DRAFT, TARGET = np.array([0.5, 0.25, 0.25, 0.0]), np.array([0.25, 0.0, 0.25, 0.5])


@pytest.mark.parametrize("rule", NAMED, ids=named)
def test_a_named_rule_answers_as_its_definition_in_fractions(rule):
    for seed in range(8):
        draft, target, _ = rational_chains(1, 4, seed=seed)
        for p, q in zip(draft[0], target[0], strict=True):
            tables = RuleSpeculative(rule).on(as_pair([[p] * 4], [[q] * 4], [1, 0, 0, 0])).rule
            accept, rows = oracle.answer(rule, list(p), list(q))
            drafted = tables.proposed[0, 0] > 0
            assert tables.accept[0, 0][drafted] == pytest.approx(np.array(accept, float)[drafted], abs=1e-15)
            for y in np.flatnonzero(drafted):
                if accept[y] == 1:
                    continue
                wanted = np.array([value / sum(rows[y]) for value in rows[y]], float)
                given_row = tables.replacement[0, 0]
                assert (given_row[y] if given_row.ndim == 2 else given_row) == pytest.approx(
                    wanted, abs=1e-15
                )


def test_typical_acceptance_keeps_what_is_likely_enough_and_replaces_by_the_likeliest():
    target = np.array([0.4, 0.4, 0.15, 0.05])
    accept, replacement = rules.Typical(epsilon=0.1, delta=10)(None, target)
    assert accept.tolist() == [1, 1, 1, 0] and replacement.tolist() == [1, 0, 0, 0]
    entropy = -(target * np.log(target)).sum()
    accept, _ = rules.Typical(epsilon=1, delta=0.3)(None, target)
    assert accept.tolist() == (target > 0.3 * np.exp(-entropy)).astype(float).tolist()


def test_top_k_takes_the_lower_numbers_of_equally_likely_tokens():
    accept, replacement = rules.TopKRelaxed(k=2, delta=1)(None, np.array([0.2, 0.3, 0.3, 0.2]))
    assert accept.tolist() == [0, 1, 1, 0] and replacement.tolist() == [0, 1, 0, 0]
    accept, _ = rules.TopKRelaxed(k=3, delta=0.05)(None, np.array([0.2, 0.5, 0.3]))
    assert accept.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: rules.Lenient(0), "leniency = 0"),
        (lambda: rules.Lenient(1.5), "leniency = 1.5"),
        (lambda: rules.OverAcceptance(-0.1), "epsilon = -0.1"),
        (lambda: rules.OverAcceptance(0.1, "nothing"), "no replacement 'nothing'"),
        (lambda: rules.Typical(float("nan")), "epsilon = nan"),
        (lambda: rules.TopKRelaxed(0), "k = 0"),
        (lambda: RuleSpeculative("typcal"), "rule = 'typcal'"),
        (lambda: RuleSpeculative(rules.Typical), r"Typical is a class: give Typical\(\)"),
        (lambda: RuleSpeculative(rules.Typical(), window=0), "window = 0"),
        (lambda: RuleSpeculative(rules.Typical(), bonus=1), "bonus = 1"),
        (lambda: RuleSpeculative(rules.Typical(), assumed_draft=[[0.5, 0.6]] * 2), "assumed_draft"),
        (lambda: RuleSpeculative(rules.Typical(), assumed_draft=[1.0]), r"shape \(1,\)"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(make, told):
    with pytest.raises(SimlabError, match=told) as raised:
        make()
    assert "\n" not in str(raised.value)


def counting():
    calls = []

    def rule(draft, target):
        calls.append(1)
        return np.full(4, min(1.0, len(calls) / 100)), target

    return rule


class Proposes:
    def __init__(self, row):
        self.row = row

    def propose(self, draft):
        return self.row

    def __call__(self, draft, target):
        return np.ones(4), target


ONES = np.ones(4)
WRONG = {
    "returned shape": (lambda p, q: (np.ones(3), q), r"accept of shape \(3,\); expected \(4,\)"),
    "replacement's shape": (lambda p, q: (ONES, np.ones((4, 3))), r"replacement of shape \(4, 3\)"),
    "no pair": (lambda p, q: ONES, r"returned \[1, 1, 1, 1\]; expected \(accept, replacement\)"),
    "nan": (lambda p, q: (ONES * np.nan, q), r"accept\[0\] = nan"),
    "nan where a row divides": (lambda p, q: (np.minimum(1, q / p * 0), q), r"accept\[3\] = nan"),
    "infinite": (lambda p, q: (ONES, q / 0), r"replacement\[0\] = inf"),
    "above one": (lambda p, q: (ONES * 1.5, q), r"accept\[0\] = 1.5; expected a probability in \[0, 1\]"),
    "below zero": (lambda p, q: (ONES / 2, q - p), r"replacement\[0\] = -0.25"),
    "mass on nothing": (lambda p, q: (ONES / 2, q * 0), "puts mass on nothing"),
    "mass on nothing, of one token": (
        lambda p, q: (ONES / 2, np.diag([1.0, 0, 1, 1])),
        "replacement of token 1 that puts mass on nothing",
    ),
    "text": (lambda p, q: ("many", q), "accept = 'many'; expected numbers"),
    "an array of text": (lambda p, q: (np.array(["a"] * 4), q), r"accept = array\(.*; expected numbers"),
    "complex numbers": (lambda p, q: (q + 0j, q), r"accept = array\(.*; expected numbers"),
    "leaves": (lambda p, q: exec("raise SystemExit(3)"), "raised SystemExit: 3"),
    "raises": (lambda p, q: 1 / 0, "raised ZeroDivisionError"),
    "changes its arguments": (lambda p, q: (p.sort(), q), "raised ValueError"),
    "random": (
        lambda p, q: (np.random.default_rng().random(4), q),
        "answers two calls with the same rows differently",
    ),
    "counts its calls": (counting(), "answers two calls"),
    "proposes too much": (Proposes([1.0, 1, 0, 0]), "proposes .*sums to 2"),
    "proposes nothing": (Proposes([0.0, 0, 0, 0]), "proposes .*sums to 0"),
    "proposes too few": (Proposes([1.0]), r"proposes of shape \(1,\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_named_with_the_rows_that_show_it(name):
    rule, told = WRONG[name]
    pair = simlab.ChainPair.stationary([DRAFT] * 4, [TARGET] * 4, [1, 0, 0, 0], 3)
    for ask in (
        lambda: simlab.predict(pair, RuleSpeculative(rule)),
        lambda: simlab.simulate(pair, RuleSpeculative(rule, 2), trajectories=10),
        lambda: simlab.trace_one(pair, RuleSpeculative(rule)),
    ):
        with pytest.raises(SimlabError, match=told) as raised:
            ask()
        message = str(raised.value)
        assert "\n" not in message and "position 0 after token" in message
        assert (
            "differently" in message or "draft [0.5, 0.25, 0.25, 0], target [0.25, 0, 0.25, 0.5]" in message
        )


def test_nothing_need_replace_what_is_never_rejected():
    pair = simlab.ChainPair.stationary([DRAFT] * 4, [TARGET] * 4, [1, 0, 0, 0], 3)
    never = RuleSpeculative(lambda p, q: (ONES, q * 0))
    assert simlab.predict(pair, never).expected_rejections == 0
    assert simlab.simulate(pair, never, trajectories=100).rejections[0] == 100


def test_weights_are_normalised_and_torch_tensors_taken():
    pair = simlab.ChainPair.stationary([DRAFT] * 4, [TARGET] * 4, [1, 0, 0, 0], 3)
    tables = RuleSpeculative(lambda p, q: (ONES / 4, [0.25, 0.25, 0, 0])).on(pair).rule
    assert tables.replacement[0, 0].tolist() == [0.5, 0.5, 0, 0]


def test_a_rule_is_asked_for_each_distinct_row_and_tables_are_of_one_pair():
    asked = []

    def rule(draft, target):
        asked.append(1)
        return np.ones(len(draft)), target

    pair = simlab.pairs.paper(6)
    decoder = RuleSpeculative(rule, 2).on(pair)
    assert len(asked) == 2 * 6 * 7 and decoder.on(pair) is decoder
    assert decoder.name.endswith(
        "test_a_rule_is_asked_for_each_distinct_row_and_tables_are_of_one_pair.<locals>.rule"
    )
    with pytest.raises(SimlabError, match="tables of rule .* are of another pair"):
        simlab.predict(simlab.pairs.paper(7), decoder)


def test_equal_tables_are_equal_whatever_they_are_called():
    pair = simlab.pairs.paper(4)
    one, two = (RuleSpeculative(rule, 2).on(pair) for rule in (rules.Lenient(1.0), rules.Speculative()))
    assert one == two and hash(one) == hash(two)
    assert one != RuleSpeculative(rules.Lenient(0.5), 2).on(pair)
    assert one != RuleSpeculative(rules.Lenient(1.0), 3).on(pair)
    assert RuleSpeculative(rules.Typical()) == RuleSpeculative(rules.Typical())
    rows = pair.draft_rows
    assert RuleSpeculative(rules.Typical(), None, False, rows) != RuleSpeculative(rules.Typical())


def test_an_assumed_draft_is_what_the_rule_is_told():
    """theory of a mismatch: y ~ draft, verified as if from another row (field note: .5 .3 .2)."""
    draft, believed, target = [0.625, 0.375, 0], [0.5, 0.3, 0.2], [0.4, 0.6, 0]
    pair = simlab.ChainPair.stationary([draft] * 3, [target] * 3, [1, 0, 0], 1)
    decoder = RuleSpeculative(rules.Speculative(), assumed_draft=[believed] * 3)
    assert decoder.is_biased and not RuleSpeculative(rules.Speculative()).is_biased
    assert simlab.predict(pair, decoder).token_marginals[0] == pytest.approx([0.5, 0.5, 0], abs=1e-15)
    matched = RuleSpeculative(rules.TokenMatch(), assumed_draft=[believed] * 3)
    assert not matched.is_biased
    assert simlab.predict(pair, matched).token_marginals[0] == pytest.approx(target, abs=1e-15)
    with pytest.raises(SimlabError, match="assumed_draft has shape"):
        simlab.predict(simlab.pairs.paper(4), decoder)


@pytest.mark.statistical
@given(pairs(most_steps=2))
@examples(20)
def test_odd_pairs_have_tables_for_every_named_rule(pair):
    for rule in NAMED:
        decoder = RuleSpeculative(rule, window=2, bonus=True)
        exact = simlab.predict(pair, decoder)
        assert exact.token_marginals.sum(axis=1) == pytest.approx(1, abs=1e-9)
        assert len(simlab.trace_one(pair, decoder, seed=1).tokens) == pair.horizon


def test_the_reference_draws_each_replacement_from_its_own_row():
    draft, target = [[[1.0, 0, 0]] * 3], [[[0, 0.5, 0.5]] * 3]
    pair = simlab.ChainPair(draft, target, [1, 0, 0])

    def rule(p, q):
        return np.zeros(3), np.eye(3)[[2, 0, 1]]

    tokens = [t for t, _ in simlab.reference.simulate(pair, RuleSpeculative(rule), 20, random.Random(1))]
    assert tokens == [[2]] * 20
    assert Fraction(1) == sum(
        oracle.call_distribution(draft, target, [1, 0, 0], RuleSpeculative(rule)).values()
    )
