"""Checks on many drafts pass where they should, and fail where a rule or the optimum is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import simlab
from simlab.theory.many_drafts import (
    Acceptance,
    acceptance,
    optimal_acceptance,
    recursive_guarantee,
)
from simlab.verify import many_drafts, worst_drafts
from simlab.verify.check import Undecided
from simlab.verify.places import places
from tests.exact import close
from tests.oracles import draft_sets
from tests.strategies import examples, pairs
from tests.theory.many_drafts.instances import floats, instances


@pytest.mark.statistical
@examples(15)
@given(pairs(most_states=4))
def test_every_check_passes_on_any_pair(pair):
    some = places(pair, 5)
    found = [many_drafts.check_program(some), *many_drafts.check_rules(some, (1, 2, 3, 5))]
    assert [check.name for check in found if check.status == "FAIL"] == []
    assert all(check.status == "PASS" for check in found[1:])


def test_a_wrong_optimum_is_found(monkeypatch):
    some = places(simlab.pairs.paper(2), 6)
    assert many_drafts.check_program(some).status == "PASS"
    monkeypatch.setattr(many_drafts, "optimal_acceptance", lambda *args: optimal_acceptance(*args) + 1e-6)
    assert many_drafts.check_program(some).status == "FAIL"


def test_a_rule_that_takes_too_much_or_too_little_is_found(monkeypatch):
    some = places(simlab.pairs.paper(2), 6)

    def off(factor, wrong):
        def told(rule, *args):
            found = acceptance(rule, *args)
            return Acceptance(found.accepted * (factor if rule == wrong else 1.0), found.rejected)

        return told

    for factor, wrong, names in [
        (1.3, "recursive", ["the ceiling with replacement", "the ceiling without replacement", "one draft"]),
        (0.5, "k-seq", ["K-SEQ near the ceiling", "one draft"]),
    ]:
        monkeypatch.setattr(many_drafts, "acceptance", off(factor, wrong))
        failed = {check.name for check in many_drafts.check_rules(some, (1, 2, 3)) if check.status == "FAIL"}
        assert failed == {f"many drafts, {name}" for name in names}


@examples(30)
@given(instances())
def test_the_sets_of_drafts_have_their_probabilities(instance):
    draft, _, drafts = instance
    for replacement in (True, False):
        exact = draft_sets.draft_sets(draft_sets.sequences(draft, drafts, replacement))
        found = many_drafts.set_probabilities(np.array(floats(draft)[0]), drafts, replacement)
        assert {one for one in found if found[one] > 0} <= set(exact)
        close([found.get(one, 0.0) for one in exact], [float(mass) for mass in exact.values()])


def test_what_the_solver_leaves_open_is_undecided(monkeypatch):
    sets = {frozenset({0}): 0.5, frozenset({0, 1}): 0.5}
    close(many_drafts.most_accepted(sets, np.array([0.7, 0.3])), 1.0)
    monkeypatch.setattr(many_drafts, "ACCURACY", -1.0)
    with pytest.raises(Undecided, match="leaves the optimum between 1 and 1"):
        many_drafts.most_accepted(sets, np.array([0.5, 0.5]))


@pytest.mark.statistical
def test_an_adversary_finds_the_guarantee_of_recursive_rejection_and_nothing_below(monkeypatch):
    found = {(drafts, 2): worst_drafts.worst_rows("recursive", drafts, 2) for drafts in (2, 5)}
    for (drafts, _), worst in found.items():
        bound = recursive_guarantee(drafts)
        assert bound - 1e-12 <= worst.ratio <= bound + 0.01
        accepted = acceptance("recursive", worst.draft, worst.target, drafts).probability
        close(worst.ratio, accepted / optimal_acceptance(worst.draft, worst.target, drafts))
    assert worst_drafts.check_guarantee(found).status == "PASS"
    monkeypatch.setattr(worst_drafts, "recursive_guarantee", lambda drafts: 0.9)
    assert worst_drafts.check_guarantee(found).status == "FAIL"
