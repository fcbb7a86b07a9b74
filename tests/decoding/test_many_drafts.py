"""The joint distribution of the samplers with several children at each position against brute force; spoilt
ones are caught; what is counted, and what is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.decoders import RULES, MultiDraftSpeculative, call_sizes, longest_window
from simlab.decoding import build_tables, simulate_batch
from simlab.decoding.core.tables import AliasTable, residual_table
from simlab.decoding.many_drafts.points import accept, lay_out
from simlab.decoding.many_drafts.verifying import rule_tables
from simlab.decoding.simulate import record_paths
from simlab.errors import SimlabError
from tests.oracles.many_drafts import call_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes
from tests.oracles.windows import expected_by_position, marginal
from tests.strategies import pairs

N = 100_000
KINDS = [(rule, replacement) for rule in RULES for replacement in (True, False)]
KINDS.remove(("k-seq", False))


def joint(distribution):
    return marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))


def disagreements(distribution, counts, decoder, horizon) -> list:
    """Where calls, rejections, drafted tokens or positions contradict the distribution."""
    longest = longest_window(decoder, horizon)
    sizes = call_sizes(decoder, longest).astype(int)
    of = {
        "target_calls": lambda tokens, rejected, calls: len(calls),
        "rejections": lambda tokens, rejected, calls: sum(rejected),
        "drafted_tokens": lambda tokens, rejected, calls: sum(int(sizes[g]) for g, _ in calls),
    }
    found = []
    for name, function in of.items():
        sample = Counter({n: int(c) for n, c in enumerate(getattr(counts, name)) if c})
        found += [(name, *each) for each in mismatches(marginal(distribution, function), sample)]
    for name, means in expected_by_position(distribution, longest).items():
        observed = getattr(counts, f"{name}_by_position") / counts.trajectories
        # A trajectory has at most T calls: Hoeffding's inequality, at 1e-9 a position.
        wide = horizon * math.sqrt(math.log(2e9) / (2 * counts.trajectories))
        found += [(name, i) for i, mean in enumerate(means) if abs(observed[i] - float(mean)) > wide]
    nodes = counts.drafted_by_position * np.diff(sizes)
    return found + ["nodes"] * (counts.nodes_by_position.tolist() != nodes.tolist())


@pytest.mark.statistical
@pytest.mark.parametrize(("rule", "replacement"), KINDS)
def test_tokens_calls_and_drafted_tokens_follow_their_distribution(rule, replacement):
    shapes = [
        (3, 3, 0.3, (3, 1, 2)),
        (3, 4, 0.0, (2, 2)),
        (2, 4, 0.5, (4,)),
        (1, 4, 0.2, (2, 1)),
        (3, 1, 0, (2,)),
    ]
    for bonus in (True, False):
        for horizon, states, zeros, drafts in shapes:
            chains = rational_chains(horizon, states, seed=11, zeros=zeros)
            decoder = MultiDraftSpeculative(drafts, rule, replacement, bonus)
            tables, distribution = (
                build_tables(as_pair(*chains), decoder),
                call_distribution(*chains, decoder),
            )
            paths = record_paths(tables, N, np.random.SeedSequence(5))
            assert not mismatches(joint(distribution), outcomes(paths.tokens, paths.rejected))
            counts = simulate_batch(tables, N, np.random.SeedSequence(6))
            assert not disagreements(distribution, counts, decoder, horizon)


@pytest.mark.statistical
@pytest.mark.parametrize(("rule", "replacement"), KINDS)
def test_equal_rows_disjoint_supports_and_more_children_than_tokens(rule, replacement):
    target = [[[0, 0, 0.25, 0.75]] * 4] * 3
    for draft in (target, [[[0.5, 0.5, 0, 0]] * 4] * 3):
        decoder = MultiDraftSpeculative((3, 2), rule, replacement)
        counts = simulate_batch(
            build_tables(as_pair(draft, target, [1, 0, 0, 0]), decoder), 2000, np.random.SeedSequence(2)
        )
        accepted, reached = counts.accepted_by_position.sum(), counts.reached_by_position.sum()
        if draft is not target:
            assert accepted == 0
        elif rule != "match" or not replacement:  # both tokens are drawn, or the draft is the target
            assert accepted == reached


@pytest.mark.statistical
@given(pair=pairs(), kind=st.sampled_from(KINDS), drafts=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_any_pair_is_sampled_and_only_the_targets_tokens_come(pair, kind, drafts):
    decoder = MultiDraftSpeculative(drafts, *kind)
    paths = record_paths(build_tables(pair, decoder), 64, np.random.SeedSequence(1))
    last = np.concatenate([paths.initial[:, None], paths.tokens[:, :-1]], axis=1)
    assert (pair.target[np.arange(pair.horizon), last, paths.tokens] > 0).all()


@given(
    weights=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9),
    children=st.integers(1, 8),
)
def test_the_pieces_have_the_drafts_lengths_and_accept_what_they_should(weights, children):
    draft, target = (np.array(row, float) + (sum(row) == 0) for row in zip(*weights, strict=True))
    draft, target = draft / draft.sum(), target / target.sum()
    states, accepted = len(draft), np.empty(len(draft))
    ratios = np.where(draft > 0, target / np.where(draft > 0, draft, 1.0), np.where(target > 0, np.inf, 0.0))
    order = np.argsort(-ratios, kind="stable")
    alpha = accept(draft, target, order, children, accepted)
    starts, tokens = np.full(2 * states + 1, 2.0), np.zeros(2 * states + 1, np.uint16)
    room = np.empty((2, 2 * states + 2)), np.empty((2, states + 1)), np.empty(2 * states + 2, np.int64)
    lay_out(draft, order, children, alpha, accepted, room, starts, tokens)
    pieces = int((starts < 2).sum())
    ends = np.append(starts[1:pieces], 1.0)
    assert starts[0] == 0 and (np.diff(starts[:pieces]) >= 0).all()
    lengths, masses = np.zeros((2, states))
    for start, end, y in zip(starts[:pieces], ends, tokens[:pieces], strict=True):
        before = [min(1 - (1 - point) ** children, alpha) for point in (start, end)]
        lengths[y] += end - start
        masses[y] += before[1] - before[0]
    np.testing.assert_allclose(lengths, draft, atol=1e-12)
    np.testing.assert_allclose(masses, accepted, atol=1e-12)


@pytest.mark.statistical
def test_drafts_of_one_to_the_horizon_are_batch_decoding():
    pair = simlab.pairs.paper(6)
    decoder = MultiDraftSpeculative((3, 1, 1, 1, 1, 1), bonus=False)
    counts = simulate_batch(build_tables(pair, decoder), 20_000, np.random.SeedSequence(4))
    batch = simlab.predict(pair, simlab.BatchSpeculative(3))
    verdict = simlab.evidence.pmf_verdict(
        "N_rej", counts.rejections, batch.rejections_pmf, resolution=0.1, false_alarm=1e-6
    )
    assert str(verdict.status) == "PASS"
    assert counts.nodes_by_position.tolist() == (3 * counts.drafted_by_position).tolist()


# Negative controls: each rule, with a mistake of its own.


def caught(decoder, change) -> bool:
    chains = rational_chains(3, 4, seed=12, zeros=0.0)
    pair = as_pair(*chains)
    tables = build_tables(pair, decoder)
    paths = record_paths(replace(tables, rule=change(tables.rule, pair)), 2 * N, np.random.SeedSequence(1))
    return bool(
        mismatches(joint(call_distribution(*chains, decoder)), outcomes(paths.tokens, paths.rejected))
    )


def the_same(rule, pair):
    return rule


def against_the_target(rule, pair):
    """Every try as the first one."""
    limits = rule.limits.copy()
    limits[..., 0], limits[..., 1] = 0.0, 1.0
    return rule._replace(limits=limits)


def first_residual(rule, pair):
    """Corrected from [target - draft]_+ after any number of failures."""
    rest = residual_table(pair.draft_rows, pair.target_rows)
    return rule._replace(rest=AliasTable(*(part[None] for part in rest)))


def nothing_kept(rule, pair):
    return rule._replace(kept=np.zeros_like(rule.kept))


def one_child_more(rule, pair):
    return rule._replace(children=rule.children + 1)


def with_replacement(rule, pair):
    """Independent children in place of distinct ones."""
    name = "recursive" if hasattr(rule, "drafts") else "match"
    return rule_tables(pair, MultiDraftSpeculative((2,), name), np.array([2]))


def in_the_order_of_tokens(rule, pair):
    """The pieces of the draft's own distribution function: of optimal total, each token as it comes."""
    starts, tokens = np.full_like(rule.starts, 2.0), np.zeros_like(rule.tokens)
    starts[..., 0] = 0.0
    starts[..., 1 : pair.states] = np.cumsum(pair.draft_rows, axis=2)[..., :-1]
    tokens[..., : pair.states] = np.arange(pair.states)
    return rule._replace(starts=starts, tokens=tokens)


def the_first_of_the_set(rule, pair):
    """All that is accepted of a set goes to its lowest token."""
    shares = rule.shares.copy()
    shares[..., 0] = shares[..., -1]
    return rule._replace(shares=shares)


SPOILT = [
    ("recursive", True, against_the_target),
    ("recursive", True, first_residual),
    ("k-seq", True, first_residual),
    ("k-seq", True, one_child_more),
    ("greedy", True, nothing_kept),
    ("match", True, one_child_more),
    ("optimal", True, in_the_order_of_tokens),
    ("optimal", True, first_residual),
    ("recursive", False, with_replacement),
    ("match", False, with_replacement),
    ("optimal", False, the_first_of_the_set),
]


@pytest.mark.statistical
@pytest.mark.parametrize(("rule", "replacement", "change"), SPOILT)
def test_spoilt_tables_are_caught(rule, replacement, change):
    decoder = MultiDraftSpeculative((2,), rule, replacement)
    assert caught(decoder, change)
    assert not caught(decoder, the_same)


def test_sets_too_many_are_refused_in_one_line():
    pair = simlab.pairs.softmax(horizon=2, states=40)
    with pytest.raises(
        SimlabError, match=r"91,390 sets of 4 of V = 40 tokens.* at most 5,000: give fewer"
    ):
        build_tables(pair, MultiDraftSpeculative((4,), "optimal", replacement=False))


def test_trees_too_large_to_count_are_refused():
    with pytest.raises(SimlabError, match="give fewer drafts, or fewer steps"):
        build_tables(simlab.pairs.paper(), MultiDraftSpeculative((4,) * 12))
