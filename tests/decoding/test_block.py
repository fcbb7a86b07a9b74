"""Block verification, simulated: its joint distribution, its calls and positions, and spoilt samplers that
are caught."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import Autoregressive, BlockSpeculative, Speculative
from simlab.decoding import build_tables, simulate_batch
from simlab.decoding.block.chances import bounded_chances
from simlab.decoding.simulate import record_paths, starting_from
from simlab.errors import SimlabError
from simlab.evidence import marginals_verdict, mean_verdict, pmf_verdict
from simlab.pairs import ChainPair, corpus, mixture
from simlab.reference import block_verification as plain
from simlab.theory import predict
from tests.decoding.test_simulate import paper, seeded
from tests.oracles.blocks import BLOCK, MISTAKES, call_distribution
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes
from tests.oracles.windows import marginal
from tests.strategies import examples, pairs

N = 100_000
WINDOWS = (1, 2, 3, None)
SIZES = [(3, 3, 0.3), (4, 2, 0.0), (3, 3, 0.0), (4, 3, 0.4), (1, 5, 0.2), (4, 1, 0.0)]


def flags(tokens, rejected, calls):
    return tokens, rejected


def whole_calls(tokens, rejected, calls):
    return len(calls), sum(drafted for drafted, _ in calls)


@pytest.mark.statistical
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("horizon", "states", "zeros"), SIZES)
def test_tokens_and_calls_follow_the_oracle(window, horizon, states, zeros):
    """False alarm at most 4e-6: tokens with corrections, calls, drafted tokens, and acceptance by
    position."""
    chains = rational_chains(horizon, states, seed=11, zeros=zeros)
    decoder = BlockSpeculative(window)
    tables, distribution = build_tables(as_pair(*chains), decoder), call_distribution(*chains, decoder)
    paths, counts = record_paths(tables, N, seeded(5)), simulate_batch(tables, N, seeded(5))
    assert not mismatches(marginal(distribution, flags), outcomes(paths.tokens, paths.rejected))
    for histogram, place in ((counts.target_calls, 0), (counts.drafted_tokens, 1)):
        counted = marginal(distribution, lambda *cell, place=place: whole_calls(*cell)[place])
        assert not mismatches(counted, Counter({n: int(c) for n, c in enumerate(histogram) if c}))
    assert counts.rejections @ np.arange(horizon + 1) == paths.rejected.sum()
    assert np.array_equal(counts.rejections_per_position, paths.rejected.sum(axis=0))


@pytest.mark.parametrize("window", [2, None])
@pytest.mark.parametrize(("horizon", "states", "seed"), [(3, 3, 3), (4, 2, 8), (2, 1, 2)])
def test_the_reference_follows_the_joint_law_and_the_law_of_calls(window, horizon, states, seed):
    chains, rng, decoder = rational_chains(horizon, states, seed), random.Random(7), BlockSpeculative(window)
    pair = as_pair(*chains)
    draft, target = pair.draft.tolist(), pair.target.tolist()
    start = int(np.argmax(pair.initial))
    distribution = call_distribution(*chains[:2], [int(x == start) for x in range(states)], decoder)
    found: Counter = Counter()
    for _ in range(20_000):
        tokens, rejected, calls = plain.decode_calls(draft, target, start, decoder, rng)
        found[tuple(tokens), tuple(rejected), tuple(map(tuple, calls))] += 1
    assert not mismatches(distribution, found)


@pytest.mark.parametrize("seed", range(3))
def test_each_start_has_the_law_of_its_own(seed):
    chains, decoder = rational_chains(3, 3, seed + 20, zeros=0.1), BlockSpeculative(2)
    tables = build_tables(as_pair(*chains), decoder)
    for x in range(3):
        paths = record_paths(starting_from(tables, x), N, seeded(seed))
        assert (paths.initial == x).all()
        distribution = joint_distribution(*chains[:2], [int(x == y) for y in range(3)], decoder)
        assert not mismatches(distribution, outcomes(paths.tokens, paths.rejected))


# Negative controls: the same test must catch each of these.


@pytest.fixture
def dense():
    return rational_chains(3, 3, seed=12, zeros=0.0)


def distance(one: dict, other: dict) -> float:
    return float(sum(abs(one.get(cell, 0) - other.get(cell, 0)) for cell in one.keys() | other.keys()) / 2)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_catches_each_mistaken_verification(mistake):
    """Draws from the exact distribution of the mistake, by NumPy; from the right distribution nothing is
    caught. Of some instances the one on which the mistake makes the largest difference: on others it makes
    next to none."""
    distributions, decoder = [], BlockSpeculative(2)
    for number in range(12, 24):
        chains = rational_chains(3, 3, number, zeros=0.0)
        distributions.append(
            [
                marginal(call_distribution(*chains, decoder, rules), flags)
                for rules in (BLOCK, MISTAKES[mistake])
            ]
        )
    right, wrong = max(distributions, key=lambda both: distance(*both))
    for seed in range(3):
        for distribution, caught in ((wrong, True), (right, False)):
            weights = np.array([float(mass) for mass in distribution.values()])
            drawn = np.random.default_rng(seed).multinomial(N, weights)
            sample = Counter(
                {cell: int(times) for cell, times in zip(distribution, drawn, strict=True) if times}
            )
            assert bool(mismatches(right, sample)) == caught


def spoilt(chains, change, window=2):
    tables = build_tables(as_pair(*chains), BlockSpeculative(window))
    paths = record_paths(change(tables), N, seeded(1))
    return mismatches(
        joint_distribution(*chains, BlockSpeculative(window)), outcomes(paths.tokens, paths.rejected)
    )


def test_catches_spoilt_tables(dense):
    """On the production kernels: ratios a tenth too large, chances, corrections or rows of another pair, a
    bonus of the draft, a window that is one short."""
    other = build_tables(as_pair(*rational_chains(3, 3, seed=13, zeros=0.0)), BlockSpeculative(2))
    assert not spoilt(dense, lambda tables: tables)
    assert spoilt(dense, lambda tables: replace(tables, ratios=tables.ratios * 1.1))
    for name in ("bounds", "residual"):
        assert spoilt(dense, lambda tables, name=name: replace(tables, **{name: getattr(other, name)}))
    assert spoilt(dense, lambda tables: replace(deciding_nothing(tables), rows=other.rows))
    assert spoilt(
        dense, lambda tables: replace(tables, distances=1 + 0 * tables.distances, target=tables.draft)
    )
    assert spoilt(dense, lambda tables: replace(tables, target=tables.draft))
    shorter = build_tables(as_pair(*dense), BlockSpeculative(1))
    assert spoilt(dense, lambda tables: shorter)


# Counts.


@examples(60)
@given(pairs())
def test_any_legal_pair_is_simulated(pair):
    for window in WINDOWS:
        counts = simulate_batch(build_tables(pair, BlockSpeculative(window)), 300, seeded(1))
        n = np.arange(pair.horizon + 1)
        assert counts.trajectories == counts.rejections.sum() == counts.target_calls.sum() == 300
        assert (counts.tokens.sum(axis=1) == 300).all()
        assert counts.rejections @ n == counts.rejections_per_position.sum()
        assert counts.accepted_by_position.sum() == 300 * pair.horizon - counts.calls
        drafted = counts.drafted_tokens @ np.arange(len(counts.drafted_tokens))
        assert drafted == counts.drafted_by_position.sum()
        assert (counts.drafted_by_position >= counts.reached_by_position).all()
        assert (counts.reached_by_position >= counts.accepted_by_position).all()
        assert (counts.reached_by_position[1:] <= counts.accepted_by_position[:-1]).all()
        reachable = predict(pair, Autoregressive()).token_marginals > 0
        assert not counts.tokens[~reachable].any()  # no token that the target cannot give


def test_equal_models_accept_all_and_disjoint_ones_nothing():
    shift = np.roll(np.eye(5), 1, axis=1)
    pair = ChainPair.stationary(shift, shift, np.eye(5)[0], 23)
    for window in (1, 3, 22, None):
        counts = simulate_batch(build_tables(pair, BlockSpeculative(window)), 7, seeded(0))
        assert counts.target_calls[-(-23 // ((window or 22) + 1))] == 7 and counts.rejections[0] == 7
    draft, target = [[[0.5, 0.5, 0, 0]] * 4] * 3, [[[0, 0, 0.25, 0.75]] * 4] * 3
    pair = ChainPair(np.array(draft), np.array(target), np.eye(4)[0])
    counts = simulate_batch(build_tables(pair, BlockSpeculative(3)), 1000, seeded(3))
    assert counts.target_calls.tolist() == [0, 0, 0, 1000] and counts.rejections[2] == 1000


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pair", "window"),
    [(paper(50), 4), (paper(20, states=12), 3), (mixture(30, states=10), 4), (corpus(horizon=30), 2)],
    ids=["paper", "many states", "mixture", "corpus"],
)
def test_the_sampler_agrees_with_the_theory(pair, window, seed):
    """False alarm 1e-6 a verdict. Control: token verification, whose calls are more, is refuted."""
    counts = simulate_batch(build_tables(pair, BlockSpeculative(window)), N, seeded(seed))
    exact = predict(pair, BlockSpeculative(window))
    assert exact.error_bound < 1e-4
    calls, all_tokens = counts.target_calls, (counts.tokens, N, exact.token_marginals)
    verdicts = [
        mean_verdict("E", calls, exact.expected_target_calls, resolution=1),
        pmf_verdict("law", calls, exact.target_calls_pmf, resolution=0.1),
        pmf_verdict("corrected", counts.rejections, exact.rejections_pmf, resolution=0.1),
        marginals_verdict("tokens", *all_tokens, resolution=0.1),
    ]
    assert {verdict.status for verdict in verdicts} == {"PASS"}
    for name in ("drafted_by_position", "reached_by_position", "accepted_by_position"):
        # A count a trajectory lies in 0..T: eight standard errors at most, by Popoviciu's inequality.
        off = np.abs(getattr(counts, name) / N - getattr(exact, name))
        assert (off < 8 * pair.horizon / 2 / np.sqrt(N)).all()
    token = predict(pair, Speculative(window, True))
    assert mean_verdict("E", calls, token.expected_target_calls, resolution=1).status == "FAIL"


def test_the_same_counts_however_the_batch_is_made():
    tables = build_tables(paper(9), BlockSpeculative(3))
    one, again = (simulate_batch(tables, 700, seeded(4)) for _ in range(2))
    other = simulate_batch(tables, 700, seeded(5))
    assert one == again != other and (one + other).trajectories == 1400
    alone = build_tables(paper(9), Speculative(3, True))
    windowed = simulate_batch(alone, 700, seeded(4))
    assert windowed.target_calls.shape == one.target_calls.shape


def deciding_nothing(tables):
    """Cells of chances that leave every position to be asked to the exact chance."""
    return replace(tables, bounds=np.full_like(tables.bounds, 65535 << 16))


@pytest.mark.parametrize(("window", "zeros"), [(1, 0.3), (2, 0.3), (None, 0.3), (2, 0.0)])
def test_exact_chances_follow_the_oracle_too(window, zeros):
    """Without cells, and so do corrections from either table of proposals alone, and from none. With zeros
    hardly a chance is asked for; where there are none a wrong one shows."""
    chains = rational_chains(3, 3, seed=11, zeros=zeros)
    tables, distribution = (
        deciding_nothing(build_tables(as_pair(*chains), BlockSpeculative(window))),
        joint_distribution(*chains, BlockSpeculative(window)),
    )
    # Proposed from p target where p < distances: everywhere, nowhere; and shifted rows propose in vain.
    for distance in (2.0, 0.0):
        paths = record_paths(replace(tables, distances=tables.distances * 0 + distance), N, seeded(7))
        assert not mismatches(distribution, outcomes(paths.tokens, paths.rejected))


@pytest.mark.parametrize("states", [1, 3, 7, 300])
def test_cells_of_chances_hold_the_chance(states):
    """Between the ends of a cell too; from sums of the rows, which find nothing by cells."""
    draft, target = np.random.default_rng(states).dirichlet(np.full(states, 0.3), size=(2, 1, 1))
    bounds, distances = bounded_chances(draft, target)
    assert distances[0, 0] == pytest.approx(np.maximum(target - draft, 0).sum(), abs=1e-12)
    cells = bounds.size - 1
    shares = np.append((np.arange(cells) + np.linspace(0, 0.999, 7)[:, None]).ravel() / cells, 1.0)
    masses = np.maximum(shares[:, None] * target[0] - draft[0], 0.0).sum(axis=1)
    chances = np.divide(masses, masses + 1 - shares, out=np.ones_like(masses), where=shares < 1)
    found = bounds[0, (shares * cells).astype(int)]
    assert (chances * 65536 >= (found & 65535) - 1e-6).all() or states == 1
    assert ((chances * 65536 <= (found >> 16)) | (found >> 16 == 65535)).all()
    width = (found >> 16).astype(int) - (found & 65535)
    assert states < 7 or np.median(width) < 65536 * 8 / cells  # and decide most


def test_too_many_drafted_tokens_are_refused():
    pair = ChainPair.stationary(np.eye(2), np.eye(2), [1, 0], 20_000)
    with pytest.raises(SimlabError, match="window"):
        build_tables(pair, BlockSpeculative(None))
