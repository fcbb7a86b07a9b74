"""Decoding with draft trees: its joint distribution, its target calls, and its trees node by node."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import DRAFTED_BY, SHAPES, Autoregressive, Speculative, TreeSpeculative
from simlab.decoding import Counts, build_tables, simulate_batch
from simlab.decoding.core import forest as trees
from simlab.decoding.core.forest import sorted_rows
from simlab.decoding.draft_tree import ranked_table
from simlab.decoding.simulate import record_paths, starting_from
from simlab.errors import SimlabError
from simlab.evidence import marginals_verdict, mean_verdict, pmf_verdict
from simlab.pairs import ChainPair, corpus
from simlab.reference.tree import draft_tree
from simlab.theory import predict
from tests.decoding.test_simulate import paper, seeded
from tests.oracles.enumerate import joint_distribution, target_calls
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes
from tests.strategies import examples, pairs

N = 100_000
CAPACITIES = (1, 2, 4, 7, 1000)
DECODERS = [TreeSpeculative(*each) for each in product(CAPACITIES, DRAFTED_BY, SHAPES)]


def uniform_chains():
    """All prefixes of one depth are equally probable: every choice is a tie."""
    row = [Fraction(1, 4)] * 4
    return [[row] * 4] * 3, [[row] * 4] * 3, row


def tied_chains():
    """Equal entries within rows, and children that are as probable as nodes of other branches."""
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    rows = [[quarter, half, quarter], [half, half, 0], [0, half, half]]
    return [rows] * 4, [rows[::-1]] * 4, [half, quarter, quarter]


def certain_chains():
    """Rows with one token only, in draft and target, now the same and now another one."""
    shift = [[Fraction(y == (x + 1) % 3) for y in range(3)] for x in range(3)]
    stay = [[Fraction(y == x) for y in range(3)] for x in range(3)]
    return [shift, stay, shift, shift], [shift, shift, shift, stay], [Fraction(1, 2), Fraction(1, 2), 0]


def disjoint_chains():
    """The target never gives what the draft gives."""
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    return [[[half, half, 0, 0]] * 4] * 3, [[[0, 0, quarter, 3 * quarter]] * 4] * 3, [1, 0, 0, 0]


def chains_of(horizon, states, zeros):
    """Of a few random instances the one with the most sequences, for some give next to none."""
    some = [rational_chains(horizon, states, seed, zeros) for seed in range(11, 16)]
    return max(some, key=lambda chains: len(joint_distribution(*chains, Autoregressive())))


SIZES = [(3, 3, 0.3), (4, 2, 0.0), (3, 4, 0.4), (1, 5, 0.2), (1, 1, 0.0), (4, 1, 0.0)]
CHAINS = {f"T={t} V={v}": chains_of(t, v, zeros) for t, v, zeros in SIZES}
CHAINS |= {
    "uniform": uniform_chains(),
    "tied": tied_chains(),
    "certain": certain_chains(),
    "disjoint": disjoint_chains(),
}


def law_of_calls(distribution: dict) -> dict:
    calls: dict[int, Fraction] = {}
    for (_, rejected), mass in distribution.items():
        calls[target_calls(rejected)] = calls.get(target_calls(rejected), Fraction(0)) + mass
    return calls


def histogram(counts: np.ndarray) -> Counter:
    return Counter({n: int(times) for n, times in enumerate(counts) if times})


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("chains", CHAINS)
def test_tokens_bonus_tokens_and_calls_follow_the_oracle(chains, decoder):
    """False alarm at most 2e-6: the joint distribution of tokens and bonus tokens, and the distribution of
    the calls."""
    chains = CHAINS[chains]
    tables, distribution = build_tables(as_pair(*chains), decoder), joint_distribution(*chains, decoder)
    paths, counts = record_paths(tables, N, seeded(5)), simulate_batch(tables, N, seeded(5))
    assert not mismatches(distribution, outcomes(paths.tokens, paths.rejected))
    assert not mismatches(law_of_calls(distribution), histogram(counts.target_calls))


@pytest.mark.parametrize("seed", range(3))
def test_each_start_has_the_law_of_its_own(seed):
    chains, decoder = rational_chains(3, 3, seed + 20, zeros=0.1), TreeSpeculative(4, "draft")
    tables = build_tables(as_pair(*chains), decoder)
    for x in range(3):
        paths = record_paths(starting_from(tables, x), N, seeded(seed))
        distribution = joint_distribution(*chains[:2], [int(x == y) for y in range(3)], decoder)
        assert not mismatches(distribution, outcomes(paths.tokens, paths.rejected))


# Negative controls: the same test must catch each of these, on the production kernels with spoilt tables.


@pytest.fixture
def dense():
    return rational_chains(3, 3, seed=12, zeros=0.0)


def spoilt(decoder, chains, change):
    paths = record_paths(change(build_tables(as_pair(*chains), decoder)), N, seeded(1))
    return mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))


@pytest.mark.parametrize("decoder", [TreeSpeculative(4), TreeSpeculative(2, "draft", "chain")], ids=str)
def test_catches_children_in_another_order(dense, decoder):
    pair = as_pair(*dense)

    def reordered(tables):
        chooser = pair.target if decoder.drafted_by == "target" else pair.draft
        return replace(tables, target=ranked_table(pair.target, np.uint16(2) - sorted_rows(chooser)[1]))

    assert not spoilt(decoder, dense, lambda tables: tables)
    assert spoilt(decoder, dense, reordered)


@pytest.mark.parametrize("capacity", [2, 3, 4, 8])
@pytest.mark.parametrize("drafted_by", DRAFTED_BY)
def test_catches_a_tree_that_is_one_node_short(dense, capacity, drafted_by):
    shorter = build_tables(as_pair(*dense), TreeSpeculative(capacity - 1, drafted_by))
    assert spoilt(TreeSpeculative(capacity, drafted_by), dense, lambda _: shorter)


def test_catches_a_tree_of_the_other_model_and_the_other_shape(dense):
    for other in (TreeSpeculative(4, "draft"), TreeSpeculative(4, "target", "chain")):
        tables = build_tables(as_pair(*dense), other)
        assert spoilt(TreeSpeculative(4), dense, lambda _, tables=tables: tables)


def test_catches_a_tree_that_ignores_the_horizon(dense):
    """The tree for one more token in the place of the one for the tokens that are left."""
    target = as_pair(*dense).target[0]
    pair = ChainPair.stationary(target, target, [1, 0, 0], 3)
    tables = build_tables(pair, TreeSpeculative(3))
    roots = tables.forest.roots.copy()
    roots[1:3] = roots[:2]  # with two tokens left, then one, those of three and two
    longer = replace(tables, forest=tables.forest._replace(roots=roots))
    chains = [target.tolist()] * 3, [target.tolist()] * 3, [1, 0, 0]
    distribution = joint_distribution(*chains, TreeSpeculative(3))
    for spoilt_tables, caught in ((tables, False), (longer, True)):
        paths = record_paths(spoilt_tables, N, seeded(2))
        assert bool(mismatches(distribution, outcomes(paths.tokens, paths.rejected))) == caught


@pytest.mark.parametrize("wrong", [False, True])
def test_catches_bonus_tokens_drawn_from_the_draft(dense, wrong):
    """In NumPy, for capacity 1: the target's token where it was drafted, else a draw from the draft."""
    pair, random, decoder = as_pair(*dense), np.random.default_rng(3), TreeSpeculative(1)

    def draws(rows):
        return (random.random(N)[:, None] >= rows.cumsum(-1)[:, :-1]).sum(1)

    last, drafted, tokens, rejected = draws(np.tile(pair.initial, (N, 1))), False, [], []
    for t in range(3):
        best = pair.target[t].argmax(-1)[last]
        found = draws(pair.target[t][last])
        bonus = drafted | (found != best)  # one token was drafted: behind it comes the bonus token
        again = draws(pair.draft[t][last])
        last = np.where(bonus, again, found) if wrong else found
        drafted = ~bonus
        tokens.append(last)
        rejected.append(bonus)
    sample = outcomes(np.array(tokens).T, np.array(rejected).T)
    assert bool(mismatches(joint_distribution(*dense, decoder), sample)) == wrong


def test_catches_tokens_of_the_draft(dense):
    draft = as_pair(*dense).draft
    drawn = ranked_table(draft, sorted_rows(as_pair(*dense).target)[1])
    assert spoilt(TreeSpeculative(4), dense, lambda tables: replace(tables, target=drawn))


@pytest.mark.statistical
def test_catches_calls_that_are_off_by_one_at_the_horizon(dense):
    """A call that ends with the last token, bonus or not, counts once: neither never nor twice."""
    decoder = TreeSpeculative(3)
    counts = simulate_batch(build_tables(as_pair(*dense), decoder), N, seeded(6))
    calls = law_of_calls(joint_distribution(*dense, decoder))
    assert not mismatches(calls, histogram(counts.target_calls))
    bonus = np.append(counts.rejections, 0)
    for wrong in (bonus[:-1], np.append(0, bonus)):  # the last call forgotten; one too many after a bonus
        assert mismatches(calls, histogram(wrong))


# The trees themselves.


def paths_of(search, size) -> list[tuple[int, ...]]:
    paths: list[tuple[int, ...]] = []
    for v in range(size):
        above = paths[search.parents[v]] if search.parents[v] >= 0 else ()
        paths.append((*above, int(search.tokens[v])))
    return paths


def grown(pair, decoder, time, token) -> list[tuple[int, ...]]:
    rows = pair.target_rows if decoder.drafted_by == "target" else pair.draft_rows
    order, _ = sorted_rows(rows)
    search = trees.new_search(min(decoder.capacity, 5000))
    chain = decoder.shape == "chain"
    return paths_of(
        search, trees.grow(order, rows, time, token, pair.horizon, decoder.capacity, chain, search)
    )


def planted(pair, decoder, time, token) -> set[tuple[int, ...]]:
    """The tree as it is laid out, from the root down, no deeper than the horizon."""
    chooser = pair.target_rows if decoder.drafted_by == "target" else pair.draft_rows
    _, all_ranks = sorted_rows(chooser)
    forest = build_tables(pair, decoder).forest
    found, waiting = set(), [((), int(forest.nodes[int(forest.roots[time]) + token]))]
    while waiting:
        path, word = waiting.pop()
        if time + len(path) == pair.horizon:
            continue
        x = path[-1] if path else token
        ranks = all_ranks[(time + len(path)) % len(all_ranks), x]
        for y in np.flatnonzero(ranks < word % 2**trees.CHILDREN).tolist():
            found.add((*path, y))
            waiting.append(((*path, y), int(forest.nodes[(word >> trees.CHILDREN) + int(ranks[y])])))
    return found


@examples(80)
@given(pairs())
def test_trees_are_the_references_node_by_node(pair):
    """The order of choice, too: ties, zeros, masses that underflow, any horizon and last token."""
    for drafted_by, shape in product(DRAFTED_BY, SHAPES):
        chooser = (pair.target if drafted_by == "target" else pair.draft).tolist()
        for capacity in (1, 3, 12, 200):
            decoder = TreeSpeculative(capacity, drafted_by, shape)
            for time, token in {(0, 0), (pair.horizon - 1, pair.states - 1), (pair.horizon // 2, 0)}:
                expected = draft_tree(chooser, time, token, decoder)
                assert grown(pair, decoder, time, token) == expected
                assert planted(pair, decoder, time, token) == set(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_trees_of_a_text_are_the_references(shape):
    """Rows counted from a text are full of equal entries."""
    pair = corpus(horizon=5)
    for drafted_by, capacity, time in ((DRAFTED_BY[0], 60, 0), (DRAFTED_BY[1], 200, 2)):
        chooser = (pair.target if drafted_by == "target" else pair.draft).tolist()
        decoder = TreeSpeculative(capacity, drafted_by, shape)
        for token in range(0, pair.states, 25):
            expected = draft_tree(chooser, time, token, decoder)
            assert grown(pair, decoder, time, token) == expected
            assert planted(pair, decoder, time, token) == set(expected)


def test_uniform_rows_fill_level_by_level_by_token_number():
    pair = as_pair(*uniform_chains())
    expected = [*product(range(4)), *product(range(4), range(4)), *product(*[range(4)] * 3)]
    for capacity in (1, 4, 5, 20, 84, 85, 10**6):
        assert grown(pair, TreeSpeculative(capacity), 0, 2) == expected[:capacity]
        assert planted(pair, TreeSpeculative(capacity), 0, 2) == set(expected[:capacity])


def test_a_stationary_chooser_has_one_tree_for_each_depth():
    """As many levels of trees as the deepest tree has, and no more, whatever the horizon."""
    pair = corpus(horizon=1000)
    forests = [build_tables(pair.with_horizon(t), TreeSpeculative(20)).forest for t in (40, 1000)]
    assert forests[0].nodes.size == forests[1].nodes.size
    assert len(set(forests[1].roots[:1000].tolist())) <= 20
    chain = build_tables(pair, TreeSpeculative(20, shape="chain")).forest
    assert chain.nodes.size == pair.states * 21
    draft_only = ChainPair(pair.with_horizon(3).draft, paper(3, pair.states).target, pair.initial)
    shared = build_tables(draft_only, TreeSpeculative(20, "draft")).forest
    assert len(set(shared.roots[:3].tolist())) == 3


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("decoder", [TreeSpeculative(9), TreeSpeculative(30, "draft")], ids=str)
@pytest.mark.parametrize("states", [1, 2, 5, 9])
def test_every_single_token_walks_its_tree(states, decoder, seed):
    """No statistics: each path of tokens has the bonus tokens that the reference's trees give it, those among
    them whose draws took more bits than their first (some 4 in 65,536, 55 here) like all others."""
    pair = paper(3, states)
    paths = record_paths(build_tables(pair, decoder), N * 3, seeded(seed))
    chooser = (pair.target if decoder.drafted_by == "target" else pair.draft).tolist()
    drafted = functools.cache(lambda time, token: set(draft_tree(chooser, time, token, decoder)))
    tokens = np.column_stack([paths.initial, paths.tokens])
    distinct, which = np.unique(tokens, axis=0, return_inverse=True)
    expected = np.zeros((len(distinct), 3), bool)
    for row, path in enumerate(distinct.tolist()):
        begin = 0
        for t in range(3):
            expected[row, t] = tuple(path[begin + 1 : t + 2]) not in drafted(begin, path[begin])
            begin = t + 1 if expected[row, t] else begin
    assert np.array_equal(expected[which.ravel()], paths.rejected)


# Counts.


@examples(60)
@given(pairs())
def test_any_legal_pair_is_simulated(pair):
    alone = simulate_batch(build_tables(pair, Autoregressive()), 300, seeded(1))
    for decoder in (
        TreeSpeculative(1),
        TreeSpeculative(3, "draft"),
        TreeSpeculative(10**6, "draft", "chain"),
    ):
        counts = simulate_batch(build_tables(pair, decoder), 300, seeded(1))
        assert np.array_equal(counts.tokens, alone.tokens)  # the target's, and from the same random numbers
        assert counts.deviations.shape == (0,) and counts.target_calls.shape == (pair.horizon + 1,)
        assert counts.trajectories == counts.rejections.sum() == counts.target_calls.sum() == 300
        n = np.arange(pair.horizon + 1)
        assert counts.rejections @ n == counts.rejections_per_position.sum()
        inside_at_the_end = 300 - counts.rejections_per_position[-1]
        assert counts.target_calls @ n == counts.rejections @ n + inside_at_the_end
        assert counts.target_calls[0] == 0


@pytest.mark.parametrize("drafted_by", DRAFTED_BY)
def test_a_tree_of_all_that_can_come_takes_one_call(drafted_by):
    pair = paper(4, states=3)
    counts = simulate_batch(build_tables(pair, TreeSpeculative(120, drafted_by)), 1000, seeded(3))
    assert counts.target_calls.tolist() == [0, 1000, 0, 0, 0] and counts.rejections[0] == 1000


def test_a_tree_without_the_targets_tokens_takes_a_call_a_token():
    pair = as_pair(*disjoint_chains())
    counts = simulate_batch(build_tables(pair, TreeSpeculative(100, "draft")), 1000, seeded(3))
    assert counts.target_calls.tolist() == [0, 0, 0, 1000] == counts.rejections.tolist()


def test_certain_tokens_come_capacity_plus_one_a_call():
    shift = np.roll(np.eye(5), 1, axis=1)
    pair = ChainPair.stationary(shift, shift, np.eye(5)[0], 23)
    for capacity, shape in product((1, 3, 22, 23, 50), SHAPES):
        counts = simulate_batch(build_tables(pair, TreeSpeculative(capacity, shape=shape)), 7, seeded(0))
        assert counts.target_calls[-(-23 // (capacity + 1))] == 7


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pair", "decoder"),
    [
        (paper(50), TreeSpeculative(16)),
        (paper(20, states=12), TreeSpeculative(9, "draft")),
        (corpus(horizon=30), TreeSpeculative(64, "draft")),
        (corpus(horizon=30), TreeSpeculative(8, shape="chain")),
    ],
    ids=["paper", "paper, by the draft", "corpus, by the draft", "corpus, chain"],
)
def test_the_sampler_agrees_with_the_theory(pair, decoder, seed):
    """False alarm 1e-6 a verdict. Control: the theory of an eighth more nodes is refuted."""
    counts = simulate_batch(build_tables(pair, decoder), N, seeded(seed))
    exact = predict(pair, decoder)
    calls, all_tokens = counts.target_calls, (counts.tokens, N, exact.token_marginals)
    verdicts = [
        mean_verdict("E", calls, exact.expected_target_calls, resolution=1),
        pmf_verdict("law", calls, exact.target_calls_pmf, resolution=0.1),
        pmf_verdict("bonus", counts.rejections, exact.rejections_pmf, resolution=0.1),
        marginals_verdict("tokens", *all_tokens, resolution=0.1),
    ]
    assert {verdict.status for verdict in verdicts} == {"PASS"}
    other = predict(pair, replace(decoder, capacity=decoder.capacity * 9 // 8 + 1))
    if decoder.shape == "tree":
        assert mean_verdict("E", calls, other.expected_target_calls, resolution=1).status == "FAIL"
        assert pmf_verdict("law", calls, other.target_calls_pmf, resolution=0.1).status == "FAIL"


def test_target_calls_add_up_and_belong_to_trees():
    tables = build_tables(paper(3), TreeSpeculative(4))
    one, other = (simulate_batch(tables, 500, child) for child in seeded(5).spawn(2))
    nothing = Counts.zero(3, 7)
    both = nothing + one + other
    assert both.target_calls.sum() == 1000 and both == other + one
    assert one + nothing == nothing + one == one != other
    spoilt_calls = one.target_calls.copy()
    spoilt_calls[[1, 2]] += 1, -1
    assert replace(one, target_calls=spoilt_calls) != one
    plain = simulate_batch(build_tables(paper(3), Speculative()), 500, seeded(5))
    for left, right in ((one, plain), (plain, one)):
        with pytest.raises(SimlabError, match="target calls do not belong together"):
            left + right


@pytest.mark.parametrize("horizon", [1, 40])
@pytest.mark.parametrize("stationary", [False, True], ids=["changing", "stationary"])
def test_trees_that_do_not_fit_are_refused_before_anything_is_allocated(monkeypatch, horizon, stationary):
    """A capacity may be any number: what counts is how many sequences there are."""
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 2**28)
    pair = paper(horizon)
    if stationary:
        pair = ChainPair.stationary(pair.draft[0], pair.target[0], pair.initial, horizon)
    build_tables(pair, TreeSpeculative(1000))
    if horizon == 1:
        build_tables(pair, TreeSpeculative(10**15))
    else:
        with pytest.raises(SimlabError, match=r"need [0-9.]+ GiB of memory, .* a smaller capacity"):
            build_tables(pair, TreeSpeculative(10**15))


def test_a_long_horizon_has_room_for_all_certain_tokens():
    """One sequence, however long it is, and however large the capacity."""
    pair = ChainPair.stationary(np.eye(2), np.eye(2), [1, 0], 2000)
    counts = simulate_batch(build_tables(pair, TreeSpeculative(10**12)), 5, seeded(0))
    assert counts.target_calls[1] == 5
