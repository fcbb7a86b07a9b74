"""The optimum over all verifications of many drafts, against enumeration and linear programs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from simlab import SimlabError
from simlab.theory import optimal_acceptance
from simlab.theory.many_drafts import meeting
from simlab.theory.many_drafts.optimal import optimal_rejected
from tests.exact import close
from tests.oracles import draft_sets
from tests.strategies import examples
from tests.theory.many_drafts.instances import floats, instances

KINDS = [
    (replacement, construction)
    for construction in ("sampled", "greedy", "hub")
    for replacement in (True, False)
]


@pytest.mark.parametrize(
    ("draft", "target", "drafts", "replaced", "distinct", "greedy"),
    [
        ([0.6, 0.3, 0.1], [0.1, 0.6, 0.3], 2, 0.74, 139 / 140, 0.95),
        ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], 2, 0.79, 701 / 840, 23 / 30),
        ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], 3, 0.871, 1.0, 14 / 15),
        ([0.3, 0.4, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], 2, 1.0, 1.0, 1.0),
    ],
)
def test_worked_cases(draft, target, drafts, replaced, distinct, greedy):
    close(optimal_acceptance(draft, target, drafts), replaced)
    close(optimal_acceptance(draft, target, drafts, replacement=False), distinct)
    close(optimal_acceptance(draft, target, drafts, construction="greedy"), greedy)


@pytest.mark.parametrize(("replacement", "construction"), KINDS)
@examples(40)
@given(instances())
def test_it_is_the_least_cut_over_all_sets(replacement, construction, instance):
    draft, target, drafts = instance
    sets = draft_sets.draft_sets(draft_sets.constructed(draft, drafts, replacement, construction))
    found = optimal_acceptance(*floats(draft, target), drafts, replacement, construction)
    close(found, float(draft_sets.optimal_by_cuts(sets, target)))


@pytest.mark.statistical
@pytest.mark.parametrize(("replacement", "construction"), KINDS)
@examples(15)
@given(instances())
def test_it_is_the_linear_program_s_and_so_is_what_is_rejected_of_the_first_tokens(
    replacement, construction, instance
):
    draft, target, drafts = instance
    sets = draft_sets.draft_sets(draft_sets.constructed(draft, drafts, replacement, construction))
    rows = floats(draft, target)
    found = optimal_acceptance(*rows, drafts, replacement, construction)
    close(found, draft_sets.optimal_by_linear_program(sets, target), 1e-8)
    rejected = optimal_rejected(*rows, drafts, replacement, construction)
    assert (rejected >= 0).all() and (rejected <= rows[1]).all()
    close(1 - rejected.sum(), found)
    accepted = np.array(rows[1]) - rejected
    for within in sets:  # such masses can be accepted together: Hall's condition
        outside = [token for token in range(len(draft)) if token not in within]
        missed = sum(mass for drafted, mass in sets.items() if not drafted & set(outside))
        assert accepted[outside].sum() <= 1 - float(missed) + 1e-12
    free = [token for token in range(len(draft)) if not _sure(token, draft, drafts, construction)]
    order = sorted(free, key=lambda token: -target[token] / draft[token] if draft[token] else -math.inf)
    for size in range(1, len(order) + 1):
        some = order[:size]
        if size < len(order) and draft[some[-1]] and draft[order[size]]:
            if target[some[-1]] * draft[order[size]] == target[order[size]] * draft[some[-1]]:
                continue  # a tie, whose order is by the token's number in floats
        best = draft_sets.optimal_by_linear_program(sets, target, some)
        close(accepted[some].sum(), best, 1e-8)


def _sure(token, draft, drafts, construction):
    sure = {"sampled": 0, "greedy": drafts - 1, "hub": min(1, drafts - 1)}[construction]
    return token in sorted(range(len(draft)), key=lambda other: (-draft[other], other))[:sure]


def test_masses_that_floats_can_hardly_tell_are_drafted_in_their_order():
    draft, target = [1.0, 3e-310, 1e-310, 0.0], [0.0, 0.4, 0.6, 0.0]
    close(optimal_acceptance(draft, target, 2, replacement=False), 0.4 + 0.25, 1e-9)
    close(optimal_acceptance([1 - 4e-20, 3e-20, 1e-20, 0.0], target, 2, replacement=False), 0.65)
    close(optimal_acceptance(draft, target, 3, replacement=False), 1.0)


def test_all_tokens_are_tried_by_more_distinct_drafts_than_there_are_and_in_the_limit():
    draft, target = [0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]
    for drafts, replacement in [(2, False), (3, False), (math.inf, False), (math.inf, True)]:
        close(optimal_acceptance(draft, target, drafts, replacement), 0.3)
    for drafts in (3, 4, math.inf):
        close(optimal_acceptance(draft, target, drafts, construction="greedy"), 0.3)
    close(optimal_acceptance(draft, target, 200), 0.3)


def test_one_draft_is_one_less_total_variation_however_it_is_chosen():
    random = np.random.default_rng(5)
    draft, target = random.dirichlet(np.ones(9), size=(2, 3)), random.dirichlet(np.ones(9), size=(2, 3))
    for replacement, construction in KINDS:
        found = optimal_acceptance(draft, target, 1, replacement, construction)
        close(found, np.minimum(draft, target).sum(axis=-1))


def test_rows_are_answered_one_by_one_and_more_drafts_accept_more():
    random = np.random.default_rng(6)
    draft, target = random.dirichlet(np.full(12, 0.3), size=(2, 3)), random.dirichlet(np.ones(12))
    for replacement, construction in KINDS:
        before = 0.0
        for drafts in (1, 2, 3, 5, 11, 12):
            found = optimal_acceptance(draft, target, drafts, replacement, construction)
            assert found.shape == (2, 3) and (found >= before - 1e-12).all() and (found <= 1).all()
            one = optimal_acceptance(draft[1, 2], target, drafts, replacement, construction)
            close(found[1, 2], one)
            before = found
    distinct = [optimal_acceptance(draft, target, drafts, replacement=False) for drafts in (2, 4)]
    assert (distinct[0] >= optimal_acceptance(draft, target, 2)).all()
    assert (distinct[1] >= optimal_acceptance(draft, target, 4)).all()


@pytest.mark.parametrize("drafts", [2, 5, 17])
def test_half_the_step_changes_nothing(drafts, monkeypatch):
    random = np.random.default_rng(7)
    draft = random.dirichlet(np.full(40, 0.2), size=30)
    draft = np.sort(draft, axis=1)[:, ::-1] ** np.array([[1.0], [2.0], [6.0]]).repeat(10, axis=0)
    draft /= draft.sum(axis=1, keepdims=True)
    before = meeting.meeting_without_replacement(draft, drafts)
    whole = meeting._step(drafts)
    monkeypatch.setattr(meeting, "_step", lambda drafts: whole / 2)
    close(meeting.meeting_without_replacement(draft, drafts), before, 1e-13)


def test_a_large_vocabulary():
    random = np.random.default_rng(8)
    draft, target = random.dirichlet(np.full(50_000, 0.1)), random.dirichlet(np.full(50_000, 0.1))
    ratio = np.argsort(target / np.maximum(draft, 1e-300))
    within, kept = np.cumsum(draft[ratio]), np.cumsum(target[ratio])
    close(optimal_acceptance(draft, target, 8), 1 + min(0.0, (kept - within**8).min()), 1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ([0.5, 0.5], [0.5, 0.5], 0),
            "drafts = 0 is not valid; expected a whole number of at least 1, or inf",
        ),
        (([0.5, 0.5], [0.5, 0.5], 2.5), "drafts = 2.5"),
        (([0.5, 0.5], [0.5, 0.5], math.nan), "drafts = nan"),
        (([0.5, 0.5], [0.5, 0.5], 2, "no"), "replacement = 'no'"),
        (([0.5, 0.5], [0.5, 0.5], 2, True, "best"), "known are sampled, greedy, hub"),
        (([0.5, 0.6], [0.5, 0.5], 2), "draft has sum 1.1 and least entry 0.5"),
        (([0.5, 0.5], [[1.0, 0.0], [1.5, -0.5]], 2), r"target\[1\] has sum 1 and least entry -0.5"),
        (([math.nan, 0.5], [0.5, 0.5], 2), "draft has sum nan"),
        (([0.5, 0.5], [0.3, 0.3, 0.4], 2), r"draft has shape \(2,\) and target \(3,\)"),
        ((0.5, [0.5, 0.5], 2), r"draft has shape \(\)"),
        ((["a"], [1.0], 2), "draft = "),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(SimlabError, match=words):
        optimal_acceptance(*arguments)
