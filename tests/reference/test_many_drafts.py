"""The references of several children at each position against brute force; mistaken rules are caught."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import simlab
from simlab import reference
from simlab.decoders import RULES, MultiDraftSpeculative
from simlab.errors import SimlabError
from simlab.reference import multi_draft
from simlab.reference.multi_draft import Child, Verified
from tests.oracles.many_drafts import call_distribution, position
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches
from tests.oracles.windows import marginal

N = 12_000
KINDS = [(rule, replacement) for rule in RULES for replacement in (True, False)]
KINDS.remove(("k-seq", False))


@pytest.mark.statistical
@pytest.mark.parametrize(("rule", "replacement"), KINDS)
def test_the_references_follow_the_joint_distribution(rule, replacement):
    for horizon, states, zeros, drafts, bonus in [(3, 3, 0.2, (3, 1), True), (2, 4, 0.4, (2, 2), False)]:
        chains, decoder = (
            rational_chains(horizon, states, 3, zeros),
            MultiDraftSpeculative(drafts, rule, replacement, bonus),
        )
        paths = reference.simulate(as_pair(*chains), decoder, N, random.Random(7))
        joint = marginal(
            call_distribution(*chains, decoder), lambda tokens, rejected, calls: (tokens, rejected)
        )
        assert not mismatches(joint, Counter((tuple(tokens), tuple(flags)) for tokens, flags in paths))


DRAFT, TARGET = [0.5, 0.25, 0.125, 0.125], [0.0625, 0.1875, 0.4375, 0.3125]


def one_residual_too_few(draft, target, count, rng):
    """Recursive rejection that corrects from the last try's target."""
    found = multi_draft.recursive(draft, target, count, rng)
    if found.accepted is None:
        found = found._replace(replacement=found.children[-1].residual_target)
    return found


def corrected_from_the_target(draft, target, count, rng):
    """K-SEQ that corrects from the target."""
    found = multi_draft.k_seq(draft, target, count, rng)
    return found if found.accepted is not None else found._replace(replacement=target)


def the_likeliest_kept(draft, target, count, rng):
    """Greedy drafting that accepts its likeliest token whenever the drawn one fails."""
    found = multi_draft.greedy(draft, target, count, rng)
    return found if found.accepted == count - 1 else Verified(found.children, 0)


def matched_by_a_second_draw(draft, target, count, rng):
    """Sampler match that corrects from a fresh draw of the target."""
    found = multi_draft.match(draft, target, count, rng)
    return found._replace(token=None)


def any_child_before_the_end(draft, target, count, rng):
    """The optimal rule, but for a child that stands at a fresh point after it won."""
    found = multi_draft.optimal(draft, target, count, rng)
    y = multi_draft.draw(draft, rng)
    return found if found.accepted is None else Verified([Child(y)], 0)


def children_put_back(draft, target, count, rng):
    """Distinct children's rejection with independent ones."""
    return multi_draft.recursive(draft, target, count, rng)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("rule", "replacement", "verify"),
    [
        ("recursive", True, one_residual_too_few),
        ("k-seq", True, corrected_from_the_target),
        ("greedy", True, the_likeliest_kept),
        ("match", True, matched_by_a_second_draw),
        ("optimal", True, any_child_before_the_end),
        ("recursive", False, children_put_back),
    ],
)
def test_mistaken_rules_are_caught(rule, replacement, verify):
    decoder = MultiDraftSpeculative((2,), rule, replacement)
    expected = position(DRAFT, TARGET, 2, decoder)
    assert mismatches(expected, sampled(verify))
    assert not mismatches(expected, sampled(multi_draft.rule_of(decoder)))


def sampled(verify) -> Counter:
    rng, found = random.Random(5), Counter()
    for _ in range(2 * N):
        one = verify(DRAFT, TARGET, 2, rng)
        if one.accepted is None:
            token = multi_draft.draw(one.replacement, rng) if one.token is None else one.token
        else:
            token = one.children[one.accepted].token
        found[token, one.accepted is not None] += 1
    return found


def test_a_trace_lists_the_children_of_accepted_tokens():
    decoder = MultiDraftSpeculative((3, 2), "recursive")
    for call in simlab.trace_one(simlab.pairs.paper(20), decoder, seed=3).calls:
        for depth in range(min(call.accepted + 1, 2)):
            children = [one for one in call.drafted if one.position == call.position + depth]
            if not children:  # near the horizon
                continue
            assert [one.draft for one in children] == list(range((3, 2)[depth]))
            accepted = [one for one in children if one.outcome == "accepted"]
            assert [one.token for one in accepted] == list(call.tokens[depth : depth + 1]) * (
                depth < call.accepted
            )
            tried = [one for one in children if one.coin is not None]
            assert [one.coin < one.acceptance for one in tried] == [one in accepted for one in tried]


def test_sets_too_many_are_refused_in_one_line():
    pair = simlab.pairs.softmax(horizon=2, states=40)
    with pytest.raises(SimlabError, match=r"91,390 sets of 4 children.* at most 4,096"):
        simlab.trace_one(pair, MultiDraftSpeculative((4,), "optimal", replacement=False))
