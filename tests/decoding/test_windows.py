"""Windows, compiled: the joint distribution against brute force, calls and positions recounted from the
paths; spoilt samplers are caught.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import (
    AdaptiveSpeculative,
    ConfidenceSpeculative,
    Speculative,
    has_bonus,
    longest_window,
    most_drafted,
)
from simlab.decoders.policy import Policy
from simlab.decoding import Counts, build_tables, sample_paths, simulate_batch
from simlab.decoding.core.calls import FEW_POSITIONS
from simlab.decoding.core.chunks import CHUNK
from simlab.decoding.core.tables import alias_table
from simlab.decoding.simulate import BLOCK, record_paths
from simlab.decoding.windows import doubts_of
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from tests.decoding.test_simulate import paper, seeded
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes
from tests.oracles.windows import call_distribution, expected_by_position, marginal
from tests.strategies import examples, pairs

N = 200_000
PLACES = ("drafted", "reached", "accepted")


def policy(
    horizon: int, states: int, bonus: bool = True, seed: int = 0, most: int = 3
) -> AdaptiveSpeculative:
    """Windows drawn at random; some 0, some longer than there is room, where it may be."""
    windows = np.random.default_rng(seed).integers(0 if bonus else 1, most + 1, (horizon, states))
    return AdaptiveSpeculative(Policy(windows, bonus))


def decoders(horizon: int, states: int) -> dict:
    return {
        "1": Speculative(1),
        "2": Speculative(2),
        "1 bonus": Speculative(1, bonus=True),
        "2 bonus": Speculative(2, bonus=True),
        "long bonus": Speculative(9, bonus=True),
        "all bonus": Speculative(bonus=True),
        "adaptive": policy(horizon, states),
        "adaptive without": policy(horizon, states, bonus=False),
        "sure": ConfidenceSpeculative(0.45, 2),
        "surer": ConfidenceSpeculative(0.55, None),
        "never stops": ConfidenceSpeculative(0.0, 2),
        "always stops": ConfidenceSpeculative(1.0, 2),
        "entropy": ConfidenceSpeculative(0.85, 3, "entropy"),
        "product": ConfidenceSpeculative(0.3, 3, "cumulative"),
        "product to the end": ConfidenceSpeculative(0.12, None, "cumulative"),
    }


NAMES = list(decoders(1, 1))
SHAPES = [(4, 3, 0.0), (3, 3, 0.3), (5, 2, 0.2), (2, 4, 0.5), (1, 4, 0.2), (3, 1, 0)]


@pytest.mark.statistical
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("horizon", "states", "zeros"), SHAPES)
def test_tokens_calls_and_drafted_tokens_follow_their_distribution(name, horizon, states, zeros):
    chains, decoder = rational_chains(horizon, states, seed=21, zeros=zeros), decoders(horizon, states)[name]
    distribution, tables = call_distribution(*chains, decoder), build_tables(as_pair(*chains), decoder)
    paths = record_paths(tables, N, seeded(5))
    joint = marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    assert not mismatches(joint, outcomes(paths.tokens, paths.rejected))
    assert not disagreements(
        distribution, simulate_batch(tables, N, seeded(6)), longest_window(decoder, horizon)
    )


def disagreements(distribution: dict, counts: Counts, longest: int) -> list:
    """Where calls, rejections, drafted tokens or positions contradict the distribution: at most 4e-6 for a
    sound sampler.

    The sums by position are normal to that precision: 6 standard errors, of the exact variance, each.
    """
    of = {
        "target_calls": lambda tokens, rejected, calls: len(calls),
        "rejections": lambda tokens, rejected, calls: sum(rejected),
        "drafted_tokens": lambda tokens, rejected, calls: sum(drafted for drafted, _ in calls),
    }
    found = []
    for name, function in of.items():
        sample = Counter({n: int(c) for n, c in enumerate(getattr(counts, name)) if c})
        found += [(name, *each) for each in mismatches(marginal(distribution, function), sample)]
    for name, means in expected_by_position(distribution, longest).items():
        for place, mean in enumerate(means):
            cell = marginal(distribution, lambda t, r, calls, n=name, i=place + 1: _calls_at(calls, n, i))
            spread = sum(mass * (value - mean) ** 2 for value, mass in cell.items())
            observed = getattr(counts, f"{name}_by_position")[place] / counts.trajectories
            if abs(observed - mean) > 6 * math.sqrt(spread / counts.trajectories) + 1e-12:
                found.append((name, place + 1, float(mean), observed))
    return found


def _calls_at(calls, name: str, i: int) -> int:
    """How many of a trajectory's calls draft, reach or accept position i."""
    drafted = [call for call in calls if call[0] >= i]
    least = {"drafted": 0, "reached": i - 1, "accepted": i}[name]
    return sum(accepted >= least for _, accepted in drafted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("equal", [False, True])
def test_disjoint_supports_and_equal_rows(name, equal):
    """All drafted tokens rejected, or none: the calls are certain but for what a policy or doubt decides."""
    target = [[[0, 0, 0.25, 0.75]] * 4] * 3
    chains = target if equal else [[[0.5, 0.5, 0, 0]] * 4] * 3, target, [1, 0, 0, 0]
    decoder = decoders(3, 4)[name]
    counts = simulate_batch(build_tables(as_pair(*chains), decoder), 20_000, seeded(2))
    assert not disagreements(call_distribution(*chains, decoder), counts, longest_window(decoder, 3))
    assert counts.accepted_by_position.sum() == (counts.reached_by_position.sum() if equal else 0)


def recounted(pair: ChainPair, decoder, paths) -> dict:
    """Calls and positions told from the paths alone: where a call begins, what it drafts and how it ends
    follows from the last tokens and the rejections; but for the tokens that a draft in doubt adds behind a
    rejection.
    """
    horizon, longest, bonus = pair.horizon, longest_window(decoder, pair.horizon), has_bonus(decoder)
    unsure = np.zeros((horizon, pair.states), bool)
    if isinstance(decoder, ConfidenceSpeculative):
        unsure = pair.draft.max(axis=-1) < decoder.threshold
    found = {name: np.zeros(longest, np.int64) for name in PLACES}
    calls, drafted = np.zeros(horizon + 1, np.int64), np.zeros(most_drafted(decoder, horizon) + 1, np.int64)
    for tokens, rejected, start in zip(paths.tokens, paths.rejected, paths.initial, strict=True):
        last, t, number, proposed = [start, *tokens], 0, 0, 0
        while t < horizon:
            most = min(_window(decoder, t, last[t]), horizon - t - bonus)
            accepted = 0
            while (
                accepted < most
                and not rejected[t + accepted]
                and not unsure[t + accepted, last[t + accepted]]
            ):
                accepted += 1
            stopped = accepted < most and unsure[t + accepted, last[t + accepted]]
            reached = accepted + (accepted < most and not stopped)
            number, proposed = number + 1, proposed + most
            found["drafted"][:most] += 1
            found["reached"][:reached] += 1
            found["accepted"][:accepted] += 1
            t += accepted + (reached > accepted or bonus)
        calls[number] += 1
        drafted[proposed] += 1
    return {"target_calls": calls, "drafted_tokens": drafted} | {
        f"{k}_by_position": v for k, v in found.items()
    }


def _window(decoder, t: int, x: int) -> int:
    if isinstance(decoder, AdaptiveSpeculative):
        return int(decoder.policy.windows[t, x])
    return 10**6 if decoder.window is None else decoder.window


def assert_recounted(pair: ChainPair, decoder, trajectories: int, seed: int = 4) -> Counts:
    """Everything that the counts say of calls is what the paths say."""
    tables = build_tables(pair, decoder)
    counts = simulate_batch(tables, trajectories, seeded(seed))
    paths = record_paths(tables, trajectories, seeded(seed))
    expected = recounted(pair, decoder, paths)
    if isinstance(decoder, ConfidenceSpeculative):
        assert (counts.drafted_by_position <= expected.pop("drafted_by_position")).all()
        assert (counts.drafted_by_position >= counts.reached_by_position).all()
        del expected["drafted_tokens"]
    for name, value in expected.items():
        assert getattr(counts, name).dtype == np.int64
        assert np.array_equal(getattr(counts, name), value), name
    assert counts.drafted_tokens.sum() == counts.target_calls.sum() == counts.rejections.sum() == trajectories
    assert counts.drafted_tokens @ np.arange(counts.drafted_tokens.size) == counts.drafted_by_position.sum()
    kept = counts.trajectories * pair.horizon - counts.accepted_by_position.sum()
    assert kept == (counts.calls if has_bonus(decoder) else counts.rejections_per_position.sum())
    rejected = counts.reached_by_position.sum() - counts.accepted_by_position.sum()
    assert rejected == counts.rejections_per_position.sum() == paths.rejected.sum()
    assert np.array_equal(np.bincount(paths.rejected.sum(1), minlength=pair.horizon + 1), counts.rejections)
    assert np.array_equal(paths.rejected.sum(axis=0), counts.rejections_per_position)
    for t in range(pair.horizon):
        assert np.array_equal(np.bincount(paths.tokens[:, t], minlength=pair.states), counts.tokens[t])
    return counts


WINDOWS = st.none() | st.integers(1, 6)


@st.composite
def cases(draw):
    """Any legal pair and any decoder with a window that fits it."""
    pair = draw(pairs())
    shape, seed, bonus = (pair.horizon, pair.states), draw(st.integers(0, 99)), draw(st.booleans())
    plain = st.builds(Speculative, st.integers(1, 6), st.booleans()) | st.just(Speculative(bonus=True))
    sure = st.builds(ConfidenceSpeculative, st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), WINDOWS)
    adaptive = st.just(policy(*shape, bonus, seed, most=6))
    return pair, draw(plain | sure | adaptive)


@examples(150)
@given(cases())
def test_any_legal_pair_and_window(case):
    pair, decoder = case
    counts = assert_recounted(pair, decoder, 130)
    reachable = pair.initial > 0
    for t in range(pair.horizon):
        reachable = (pair.target[t][reachable] > 0).any(axis=0)
        assert not counts.tokens[t][~reachable].any()


@pytest.mark.parametrize("name", ["2", "2 bonus", "adaptive", "adaptive without", "sure"])
@pytest.mark.parametrize("trajectories", [1, 33, CHUNK + 1])
def test_calls_are_those_of_the_paths_in_chunks_of_any_size(name, trajectories):
    assert_recounted(paper(4, states=9), decoders(4, 9)[name], trajectories)


@pytest.mark.parametrize("horizon", [FEW_POSITIONS - 1, FEW_POSITIONS + 2, 60])
@pytest.mark.parametrize("kind", ["bonus", "without", "adaptive", "sure"])
def test_long_windows_are_counted_by_position(kind, horizon):
    """Counting by comparing up to FEW_POSITIONS positions and by incrementing beyond; mostly accepted
    tokens."""
    random = np.random.default_rng(3)
    draft, noise = random.dirichlet(np.full(5, 0.3), size=(2, horizon, 5))
    pair = ChainPair(draft, 0.95 * draft + 0.05 * noise, np.full(5, 0.2))
    windows = random.integers(0, horizon, (horizon, 5))
    decoder = {
        "bonus": Speculative(bonus=True),
        "without": Speculative(horizon),
        "adaptive": AdaptiveSpeculative(windows),
        "sure": ConfidenceSpeculative(0.35, None),
    }[kind]
    counts = assert_recounted(pair, decoder, 250)
    assert counts.reached_by_position[FEW_POSITIONS - 4 :].any() or kind == "sure"


@pytest.mark.statistical
def test_blocks_of_trajectories_do_not_mix():
    """More trajectories than a block holds: nothing of one block's last calls is left in the next."""
    pair, decoder = paper(3), Speculative(2, bonus=True)
    counts = simulate_batch(build_tables(pair, decoder), BLOCK + 777, seeded(4))
    paths = record_paths(build_tables(pair, decoder), BLOCK + 777, seeded(4))
    # A rejection of one of the first two tokens begins another call; the third token is a bonus token.
    assert not paths.rejected[:, 2].any()
    calls = 1 + paths.rejected[:, :2].sum(axis=1)
    assert np.array_equal(np.bincount(calls, minlength=4), counts.target_calls)


@pytest.mark.parametrize("states", [1, 7, 100])
def test_other_names_for_one_rule_give_the_same_counts(states):
    """The same random numbers too: the plain sampler's where there is no bonus token and one window."""
    pair = paper(6, states)
    plain, window, fixed = (
        simulate_batch(build_tables(pair, decoder), 5000, seeded(1))
        for decoder in (Speculative(), Speculative(6), Speculative(3, bonus=True))
    )
    assert plain.target_calls.size == plain.drafted_tokens.size == plain.drafted_by_position.size == 0
    assert np.array_equal(window.tokens, plain.tokens)
    assert np.array_equal(window.rejections, plain.rejections)
    assert np.array_equal(window.rejections_per_position, plain.rejections_per_position)
    table = np.full((6, states), 3)
    others = AdaptiveSpeculative(table), ConfidenceSpeculative(0.0, 3)
    for other in others:
        assert simulate_batch(build_tables(pair, other), 5000, seeded(1)) == fixed
    none = simulate_batch(build_tables(pair, AdaptiveSpeculative(0 * table)), 5000, seeded(1))
    assert none.target_calls[6] == 5000 == none.drafted_tokens[0]
    assert not none.drafted_by_position.any()
    assert not none.rejections[1:].any()


@pytest.mark.parametrize("name", ["2", "2 bonus", "adaptive", "adaptive without", "sure"])
def test_a_stationary_pair_keeps_one_copy_and_gives_the_same_counts(name):
    draft, target, initial = rational_chains(1, 5, seed=3)
    one = as_pair(draft, target, initial)
    folded = ChainPair.stationary(one.draft[0], one.target[0], one.initial, 6)
    unfolded = ChainPair(np.repeat(one.draft, 6, 0), np.repeat(one.target, 6, 0), one.initial)
    half = ChainPair(folded.draft, unfolded.target, one.initial)
    decoder = decoders(6, 5)[name]
    tables = [build_tables(pair, decoder) for pair in (folded, unfolded, half)]
    counts = [simulate_batch(each, 5000, seeded(1)) for each in tables]
    assert counts[0] == counts[1] == counts[2]
    assert tables[0].drafts.records.shape == (1, 25)
    assert tables[0].target.entries.shape == (1, 25 if has_bonus(decoder) else 0)


def test_the_longest_horizon_fits_its_fields():
    """All rejected, where a call drafts two tokens; and all accepted, in one call of the longest window."""
    draft, target = np.array([[1.0, 0.0]] * 2), np.array([[0.0, 1.0]] * 2)
    pair = ChainPair.stationary(draft, target, [1.0, 0.0], 65_535)
    counts = simulate_batch(build_tables(pair, Speculative(2, bonus=True)), 3, seeded(0))
    assert counts.target_calls[65_535] == 3 == counts.drafted_tokens[-1]
    same = ChainPair.stationary(draft, draft, [1.0, 0.0], 5_700)
    for decoder, calls in ((Speculative(bonus=True), 1), (Speculative(256, bonus=True), 23)):
        counts = simulate_batch(build_tables(same, decoder), 3, seeded(0))
        assert counts.target_calls[calls] == 3 == counts.drafted_tokens[5_700 - calls]


FROZEN = {
    "2": [
        [1457, 1539, 1227, 1464, 1009, 1789, 1515],
        [0, 0, 4472, 5206, 322],
        [0, 0, 0, 0, 4472, 4614, 592, 322],
        [25850, 20914],
        [17462, 9666],
    ],
    "2 bonus": [
        [1426, 1532, 1308, 1450, 974, 1731, 1579],
        [0, 0, 7602, 2073, 325],
        [0, 0, 4695, 1968, 2423, 914],
        [16219, 13337],
        [10941, 6336],
    ],
    "adaptive": [
        [1455, 1591, 1321, 1419, 901, 1744, 1569],
        [0, 357, 4988, 3697, 958],
        [0, 1229, 4523, 2574, 1197, 376, 101],
        [16240, 7651, 1380],
        [10833, 3554, 357],
    ],
    "sure": [
        [1454, 1559, 1263, 1496, 927, 1769, 1532],
        [0, 87, 984, 3874, 5055],
        [3419, 4368, 1807, 375, 28, 2, 1],
        [7252, 1773, 210],
        [5049, 967, 87],
    ],
}


@pytest.mark.parametrize("name", FROZEN)
def test_same_seed_same_counts_on_every_machine(name):
    """Frozen numbers: the stream and the tables are part of the contract. A change here voids old ledgers."""
    decoder = ConfidenceSpeculative(0.26, None) if name == "sure" else decoders(4, 7)[name]
    counts = simulate_batch(build_tables(paper(4), decoder), 10_000, seeded(2024))
    by_position = counts.drafted_by_position, counts.accepted_by_position
    found = counts.tokens[3], counts.target_calls, counts.drafted_tokens, *by_position
    assert [part.tolist() for part in found] == FROZEN[name]


def test_refusals_are_one_clear_line():
    pair = paper(3)
    with pytest.raises(SimlabError, match=r"policy is for \(T, V\) = \(3, 6\), the pair has \(3, 7\)"):
        build_tables(pair, policy(3, 6))
    with pytest.raises(SimlabError, match=r"policy is for"):
        sample_paths(pair, policy(4, 7), 1, 0)
    flat = np.ones((1, 1))
    long = ChainPair.stationary(flat, flat, np.ones(1), 6000)
    with pytest.raises(
        SimlabError, match="17,997,000 tokens, more than the 16,777,215 that are counted: give"
    ):
        build_tables(long, Speculative(bonus=True))
    assert build_tables(long, Speculative(2790, bonus=True)).most_drafted < 2**24


def test_counts_of_windows_add_up_and_stay_apart():
    tables = build_tables(paper(3), Speculative(2, bonus=True))
    one, other = (simulate_batch(tables, 500, child) for child in seeded(5).spawn(2))
    nothing = Counts.zero(3, 7)
    both = nothing + one + other
    assert both.trajectories == 1000 == both.target_calls.sum() == both.drafted_tokens.sum()
    assert both.calls == one.calls + other.calls
    assert both == other + one != one
    assert one + nothing == nothing + one == one
    for name in ("drafted_tokens", "drafted_by_position", "reached_by_position", "accepted_by_position"):
        changed = getattr(one, name).copy()
        changed[0] += 1
        assert replace(one, **{name: changed}) != one
    for decoder in (Speculative(), Speculative(1, bonus=True), Speculative(2)):
        stranger = simulate_batch(build_tables(paper(3), decoder), 10, seeded(0))
        for left, right in ((one, stranger), (stranger, one)):
            with pytest.raises(SimlabError, match="do not belong together"):
                left + right


# Negative controls: each is caught by the tests above, on the production kernels with spoilt tables.


@pytest.fixture(scope="module")
def dense():
    return rational_chains(4, 3, seed=12, zeros=0.0)


def caught(decoder, change, chains) -> tuple[bool, bool]:
    """Whether spoilt tables are caught by the distribution of tokens and rejections, and by the counts of
    calls."""
    tables = change(build_tables(as_pair(*chains), decoder))
    distribution, paths = call_distribution(*chains, decoder), record_paths(tables, N, seeded(1))
    joint = marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    counts = simulate_batch(tables, N, seeded(2))
    wrong = disagreements(distribution, counts, longest_window(decoder, len(chains[0])))
    return bool(mismatches(joint, outcomes(paths.tokens, paths.rejected))), bool(wrong)


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", [Speculative(2, bonus=True), ConfidenceSpeculative(0.45, 3)], ids=str)
def test_what_is_not_spoilt_is_not_caught(decoder, dense):
    assert caught(decoder, lambda tables: tables, dense) == (False, False)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "decoder",
    [Speculative(2, bonus=True), ConfidenceSpeculative(0.45, 3), policy(4, 3)],
    ids=["2", "sure", "policy"],
)
def test_catches_a_bonus_token_from_the_draft(decoder, dense):
    draft = as_pair(*dense).draft
    assert caught(decoder, lambda tables: replace(tables, target=alias_table(draft)), dense)[0]


@pytest.mark.statistical
def test_catches_a_bonus_token_from_the_residual(dense):
    decoder = Speculative(1, bonus=True)
    assert caught(decoder, lambda tables: replace(tables, target=tables.residual), dense)[0]


@pytest.mark.statistical
def test_catches_a_window_that_drafts_the_last_token(dense):
    """min(window, R) in place of min(window, R - 1) with the bonus token."""

    def longer(tables):
        limits = np.minimum(2, np.arange(4, 0, -1))[:, None].astype(np.uint16)
        return replace(tables, limits=limits, most_drafted=7)  # room to count what should not be drafted

    assert caught(Speculative(2, bonus=True), longer, dense) == (True, True)


@pytest.mark.statistical
def test_catches_a_window_too_short_by_one_at_the_horizon(dense):
    def shorter(tables):
        limits = np.maximum(np.minimum(2, np.arange(4, 0, -1) - 2), 0)[:, None].astype(np.uint16)
        return replace(tables, limits=limits)

    assert caught(Speculative(2, bonus=True), shorter, dense) == (True, True)


@pytest.mark.statistical
def test_catches_a_policy_read_a_step_late(dense):
    def late(tables):
        limits = np.minimum(np.roll(tables.limits, 1, axis=0), np.arange(3, -1, -1)[:, None]).astype(
            np.uint16
        )
        return replace(tables, limits=limits)

    assert caught(policy(4, 3), late, dense) == (True, True)


@pytest.mark.statistical
def test_catches_confidence_read_at_the_wrong_token(dense):
    decoder = ConfidenceSpeculative(0.45, 3)
    rolled = caught(decoder, lambda tables: replace(tables, doubts=np.roll(tables.doubts, 1, axis=1)), dense)
    assert rolled == (True, True)


@pytest.mark.statistical
def test_catches_the_last_row_where_the_product_is_asked_for_and_other_spoilt_signals(dense):
    decoder = ConfidenceSpeculative(0.2, 3, "cumulative")
    assert caught(decoder, lambda tables: tables, dense) == (False, False)
    last_row = doubts_of(as_pair(*dense), ConfidenceSpeculative(0.45, 3))
    assert caught(decoder, lambda tables: replace(tables, doubts=last_row, doubt_limit=0), dense)[1]
    assert caught(decoder, lambda tables: replace(tables, doubt_limit=tables.doubt_limit - 40), dense)[1]
    entropy = ConfidenceSpeculative(0.9, 3, "entropy")
    assert caught(entropy, lambda tables: tables, dense) == (False, False)
    assert caught(entropy, lambda tables: replace(tables, doubts=tables.doubts[:, ::-1].copy()), dense)[1]


@pytest.mark.statistical
def test_catches_a_draft_that_never_goes_on_behind_a_rejection(dense):
    """The counts of drafted tokens, which nothing else sees."""
    decoder = ConfidenceSpeculative(0.45, 3)
    distribution, tables = call_distribution(*dense, decoder), build_tables(as_pair(*dense), decoder)
    counts = simulate_batch(tables, N, seeded(2))
    assert counts.drafted_by_position.sum() > counts.reached_by_position.sum()
    short = replace(counts, drafted_by_position=counts.reached_by_position)
    assert disagreements(distribution, short, 3)
