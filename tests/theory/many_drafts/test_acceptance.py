"""What every rule accepts and rejects, token by token, against enumeration in fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from simlab import SimlabError
from simlab.theory import optimal_acceptance
from simlab.theory.many_drafts import RULES, acceptance, recursive_guarantee
from simlab.theory.many_drafts.acceptance import best_gamma
from tests.exact import close
from tests.oracles import draft_rules
from tests.strategies import examples
from tests.theory.many_drafts.instances import floats, instances

WORKED = {  # rule: with one row of values for each of the instances below
    "match": (0.447, 0.35, 0.4646, 0.487),
    "recursive": (0.7, 0.72, 0.768, 0.93),
    "k-seq": (0.713939, 0.75, 0.79395, 0.96),
    "optimal": (0.74, 0.79, 0.871, 1.0),
    "greedy": (0.95, 0.766667, 0.933333, 1.0),
}
INSTANCES = (
    ([0.6, 0.3, 0.1], [0.1, 0.6, 0.3], 2),
    ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], 2),
    ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], 3),
    ([0.3, 0.4, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], 2),
)


def test_worked_cases():
    for number, instance in enumerate(INSTANCES):
        for rule, values in WORKED.items():
            close(acceptance(rule, *instance).probability, values[number], 5e-7)
    distinct = [float(acceptance("recursive", *one, replacement=False).probability) for one in INSTANCES]
    close(distinct, [0.925, 107 / 140, 0.84029761904761905, 0.95])
    gammas = [best_gamma(np.array([one[0]]), np.array([one[1]]), one[2])[0] for one in INSTANCES[:2]]
    close(gammas, [1.534847, 1.5], 5e-7)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("rule", ["recursive", "match", "greedy"])
@examples(40)
@given(instances())
def test_it_is_what_enumeration_of_all_drafts_gives(rule, replacement, instance):
    draft, target, drafts = instance
    found = acceptance(rule, *floats(draft, target), drafts, replacement)
    enumerated = {
        "recursive": lambda: draft_rules.recursive(*instance, replacement),
        "match": lambda: draft_rules.match(*instance, replacement),
        "greedy": lambda: draft_rules.greedy(*instance),
    }[rule]()
    for masses, exact in zip(found, floats(*enumerated), strict=True):
        close(masses, exact)


@examples(40)
@given(instances())
def test_k_seq_is_what_enumeration_gives_and_a_smaller_gamma_would_take_too_much(instance):
    draft, target, drafts = instance
    rows = [np.array([row]) for row in floats(draft, target)]
    gamma = best_gamma(*rows, drafts)[0]
    exact = draft_rules.k_seq(*instance, Fraction(gamma))
    found = acceptance("k-seq", *floats(draft, target), drafts)
    for masses, wanted in zip(found, floats(*exact), strict=True):
        close(masses, wanted)
    assert 1 <= gamma <= drafts
    if gamma > 1 + 1e-6 and sum(exact[0]) < 1 - 1e-6:
        _, rejected = draft_rules.k_seq(*instance, Fraction(gamma * (1 - 1e-6)))
        assert min(rejected) < 0


@examples(60)
@given(instances(most_drafts=4))
def test_the_order_that_is_proved_holds_on_any_instance(instance):
    """The optimum is above every rule, K-SEQ within 1 - 1/e of it, and distinct drafts do not do worse."""
    *rows, drafts = *floats(*instance[:2]), instance[2]
    best = {kind: optimal_acceptance(*rows, drafts, kind) for kind in (True, False)}
    greedy = optimal_acceptance(*rows, drafts, construction="greedy")
    for rule in RULES:
        for kind in (True, False):
            if rule == "k-seq" and not kind:
                continue
            found = float(acceptance(rule, *rows, drafts, kind).probability)
            assert found <= (greedy if rule == "greedy" else best[kind]) + 1e-12
    assert float(acceptance("k-seq", *rows, drafts).probability) >= (1 - 1 / math.e) * best[True] - 1e-12
    one, distinct = (
        float(acceptance("recursive", *rows, drafts, kind).probability) for kind in (True, False)
    )
    assert distinct >= one - 1e-12 and best[False] >= best[True] - 1e-12


def test_one_draft_is_speculative_decoding_under_every_rule_but_match():
    random = np.random.default_rng(1)
    draft, target = random.dirichlet(np.ones(6), size=(2, 4))
    for rule in RULES:
        found = acceptance(rule, draft, target, 1)
        close(found.accepted, draft * target if rule == "match" else np.minimum(draft, target))


def test_in_the_limit_every_rule_accepts_what_the_draft_can_propose():
    draft, target = [[0.5, 0.5, 0.0, 0.0]], [[0.1, 0.2, 0.3, 0.4]]
    for rule in RULES:
        for replacement in (True, False):
            if rule != "k-seq" or replacement:
                found = acceptance(rule, draft, target, math.inf, replacement)
                close(found.rejected, [[0.0, 0.0, 0.3, 0.4]])
        close(acceptance(rule, draft, target, 5000).probability, [0.3], 1e-3)
    close(acceptance("recursive", draft, target, 2, False).residual, [[0.0, 0.0, 3 / 7, 4 / 7]])
    assert np.isnan(acceptance("match", [1.0, 0.0], [1.0, 0.0], 2).residual).all()


def test_masses_far_apart_lose_no_digits():
    draft, target = [1.0, 3e-20, 1e-20], [0.2, 0.3, 0.5]
    close(acceptance("match", draft, target, 2, False).accepted, [0.2, 0.225, 0.125])
    exact = draft_rules.recursive(
        [1 - Fraction(4, 10**20), Fraction(3, 10**20), Fraction(1, 10**20)],
        [Fraction(2, 10), Fraction(3, 10), Fraction(5, 10)],
        2,
        False,
    )
    close(acceptance("recursive", draft, target, 2, False).accepted, floats(exact[0])[0])


def test_what_cannot_be_had_is_refused():
    rows = np.full(60, 1 / 60), np.arange(60) / 1770
    with pytest.raises(
        SimlabError, match="no rule 'best' of verifying many drafts: known are recursive, k-seq"
    ):
        acceptance("best", *rows, 2)
    with pytest.raises(SimlabError, match="k-seq verifies independent drafts"):
        acceptance("k-seq", *rows, 2, False)
    with pytest.raises(SimlabError, match=r"5 drafts without replacement of 60 tokens.*1.17e\+07 of a row"):
        acceptance("recursive", *rows, 5, False)
    with pytest.raises(SimlabError, match=r"2.05e\+08 of all 1000 rows"):
        acceptance("recursive", np.full((1000, 60), 1 / 60), rows[1], 4, False)
    with pytest.raises(SimlabError, match="drafts = 0"):
        acceptance("match", *rows, 0)


@examples(100)
@given(instances(most_states=4, most_drafts=6))
def test_recursive_rejection_accepts_its_guaranteed_part_of_the_optimum(instance):
    *rows, drafts = *floats(*instance[:2]), instance[2]
    found = float(acceptance("recursive", *rows, drafts).probability)
    assert found >= recursive_guarantee(drafts) * optimal_acceptance(*rows, drafts) - 1e-12


@pytest.mark.parametrize("drafts", [2, 3, 7, 40])
def test_two_tokens_attain_the_guarantee_of_recursive_rejection(drafts):
    rest = (drafts / (2 * drafts - 1)) ** (1 / (drafts - 1))
    rows = [1 - rest, rest], [1 - rest**drafts, rest**drafts]
    close(optimal_acceptance(*rows, drafts), 1.0)
    close(acceptance("recursive", *rows, drafts).probability, recursive_guarantee(drafts))


def test_the_guarantee_falls_from_one_to_three_quarters():
    values = [recursive_guarantee(drafts) for drafts in (1, 2, 3, 10, 1000, 10**9, math.inf)]
    close(values[:2], [1.0, 23 / 27])
    close(values[-1], 0.75)
    assert all(after <= before for before, after in itertools.pairwise(values))
    with pytest.raises(SimlabError, match="drafts = 0"):
        recursive_guarantee(0)
