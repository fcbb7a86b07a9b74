"""Tables and counts: what the counts say, what they depend on, and what is refused."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import Autoregressive, BatchSpeculative, BiasedSpeculative, Speculative, TreeSpeculative
from simlab.decoding import Counts, build_tables, simulate_batch
from simlab.decoding.core import tables
from simlab.decoding.core.chunks import CHUNK
from simlab.decoding.simulate import BLOCK, record_paths
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import examples, pairs

UNBIASED = [Autoregressive(), Speculative(), *(BatchSpeculative(m) for m in (1, 2, 5))]
BIASED = BiasedSpeculative(0.05, "target")
TREES = [TreeSpeculative(6), TreeSpeculative(3, "draft"), TreeSpeculative(3, "target", "chain")]
DECODERS = [*UNBIASED, BIASED, *TREES]


def seeded(n: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(n)


def paper(horizon: int, states: int = 7) -> ChainPair:
    random = np.random.RandomState(10)
    rows = [random.rand(horizon, states, states) for _ in range(2)]
    return ChainPair(*(r / r.sum(-1, keepdims=True) for r in rows), np.full(states, 1 / states))


@examples(60)
@given(pairs())
def test_any_legal_pair_is_simulated_within_its_support(pair):
    for decoder in UNBIASED:
        counts = simulate_batch(build_tables(pair, decoder), 300, seeded(1))
        assert counts.deviations.shape == counts.target_calls.shape == (0,)
        assert counts.trajectories == counts.rejections.sum() == 300
        assert (counts.tokens.sum(axis=1) == 300).all()
        assert counts.rejections @ np.arange(pair.horizon + 1) == counts.rejections_per_position.sum()
        reachable = pair.initial > 0
        for t in range(pair.horizon):
            reachable = (pair.target[t][reachable] > 0).any(axis=0)
            assert not counts.tokens[t][~reachable].any()


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("trajectories", [1, 33, CHUNK, CHUNK + 1, BLOCK + 777])
def test_counts_are_those_of_the_paths(decoder, trajectories):
    tables = build_tables(paper(3, states=9), decoder)
    counts = simulate_batch(tables, trajectories, seeded(4))
    paths = record_paths(tables, trajectories, seeded(4))
    assert paths.tokens.shape == paths.rejected.shape == (trajectories, 3)
    assert np.array_equal(np.bincount(paths.rejected.sum(axis=1), minlength=4), counts.rejections)
    assert np.array_equal(paths.rejected.sum(axis=0), counts.rejections_per_position)
    for t in range(3):
        assert np.array_equal(np.bincount(paths.tokens[:, t], minlength=9), counts.tokens[t])


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("decoder", "exact"),
    [
        (Autoregressive(), 0.0),
        (Speculative(), 16.404890),
        (BatchSpeculative(1), 16.404890),
        (BatchSpeculative(2), 15.002349),
        (BatchSpeculative(4), 14.090080),
        (BatchSpeculative(16), 13.026362),
        (BatchSpeculative(400), 12.165307),
    ],
    ids=str,
)
def test_the_mean_number_of_rejections(decoder, exact):
    """Published recipe, values of two independent programs. False alarm below 1e-6: 5.1 standard errors of a
    mean of 60,000, normal to that precision here. A mean that is off by 5.1 + 4.8 of them, asserted to be
    less than 0.14 (0.135 at speculative decoding's 0.0136), is missed with probability below 1e-6."""
    n = 60_000
    counts = simulate_batch(build_tables(paper(50), decoder), n, seeded(6))
    values = np.arange(51)
    mean = counts.rejections @ values / n
    error = math.sqrt((counts.rejections @ values**2 / n - mean**2) / n)
    assert abs(mean - exact) <= 5.1 * error + 1e-6
    assert (5.1 + 4.8) * error < 0.14


FROZEN = {
    Autoregressive(): ([10000, 0, 0, 0, 0], [1447, 1565, 1256, 1480, 989, 1762, 1501]),
    Speculative(): ([2091, 4040, 2865, 914, 90], [1457, 1539, 1227, 1464, 1009, 1789, 1515]),
    BatchSpeculative(3): ([2463, 4803, 2394, 333, 7], [1456, 1558, 1298, 1455, 990, 1748, 1495]),
    BIASED: ([4266, 4122, 1392, 207, 13], [1016, 1394, 1393, 1302, 1251, 2016, 1628]),
    TREES[0]: ([0, 1210, 8692, 97, 1], [1447, 1565, 1256, 1480, 989, 1762, 1501]),
    TREES[1]: ([0, 0, 3949, 5131, 920], [1447, 1565, 1256, 1480, 989, 1762, 1501]),
    TREES[2]: ([0, 662, 2194, 4131, 3013], [1447, 1565, 1256, 1480, 989, 1762, 1501]),
}
TARGET_CALLS = [[0, 0, 8856, 1136, 8], [0, 0, 1599, 6663, 1738], [0, 237, 1552, 4103, 4108]]
DEVIATIONS = [2967, 7033, 4014449]


@pytest.mark.parametrize("decoder", FROZEN, ids=str)
def test_same_seed_same_counts_on_every_machine(decoder):
    """Frozen numbers: the stream and the tables are part of the contract. A change here voids old ledgers."""
    counts = simulate_batch(build_tables(paper(4), decoder), 10_000, seeded(2024))
    assert (counts.rejections.tolist(), counts.tokens[3].tolist()) == FROZEN[decoder]


@pytest.mark.parametrize(("decoder", "calls"), [*zip(TREES, TARGET_CALLS, strict=True)], ids=range(3))
def test_same_seed_same_target_calls(decoder, calls):
    counts = simulate_batch(build_tables(paper(4), decoder), 10_000, seeded(2024))
    assert counts.target_calls.tolist() == calls


def test_same_seed_same_deviations():
    """Frozen too: trajectories that do not deviate, those that do, and the sum of their levels."""
    deviations = simulate_batch(build_tables(paper(4), BIASED), 10_000, seeded(2024)).deviations
    assert [deviations[0], deviations[1:].sum(), deviations @ np.arange(1025)] == DEVIATIONS


def test_seeds_matter_and_children_differ():
    tables = build_tables(paper(4), Speculative())
    first, second = (simulate_batch(tables, 5000, child) for child in seeded(0).spawn(2))
    assert first != second
    assert first == simulate_batch(tables, 5000, seeded(0).spawn(1)[0])


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_a_stationary_pair_keeps_one_copy_and_gives_the_same_counts(decoder):
    draft, target, initial = as_pair(*rational_chains(1, 5, seed=3)).__reduce__()[1][:3]
    folded = ChainPair.stationary(draft[0], target[0], initial, 6)
    unfolded = ChainPair(np.repeat(draft, 6, 0), np.repeat(target, 6, 0), initial)
    half = ChainPair(folded.draft, unfolded.target, initial)
    one, many, mixed = (build_tables(pair, decoder) for pair in (folded, unfolded, half))
    assert simulate_batch(one, 5000, seeded(1)) == simulate_batch(many, 5000, seeded(1))
    assert simulate_batch(mixed, 5000, seeded(1)) == simulate_batch(many, 5000, seeded(1))
    steps = {len(array) for array in _arrays(one) if array.ndim > 1}
    assert steps == {1}


def _arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays(part)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _arrays(getattr(value, name))


def test_refusals_are_one_clear_line(monkeypatch):
    pair = paper(2)
    with pytest.raises(SimlabError, match="exact limit is for predict; simulate takes a finite number"):
        build_tables(pair, BatchSpeculative(math.inf))
    with pytest.raises(SimlabError, match="is not a decoder"):
        build_tables(pair, "speculative")
    with pytest.raises(SimlabError, match="trajectories = 0"):
        simulate_batch(build_tables(pair, Speculative()), 0, seeded(0))
    one = np.ones((1, 1))
    with pytest.raises(SimlabError, match="T = 65536"):
        build_tables(ChainPair.stationary(one, one, np.ones(1), 65_536), Speculative())
    with pytest.raises(SimlabError, match=r"need 1\.5 GiB"):
        monkeypatch.setattr("simlab.memory.available_memory", lambda: 2**30)
        build_tables(pair, BatchSpeculative(7_200_000))


def test_no_memory_is_one_clear_line(monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("simlab.decoding.speculative.draft_table", exhausted)
    with pytest.raises(SimlabError, match="GiB of memory, more than there is"):
        build_tables(paper(2), Speculative())


def test_too_many_tokens_are_refused_before_anything_is_allocated():
    class Huge:
        states, horizon = 65_537, 1
        draft_rows = target_rows = (None,)

    with pytest.raises(SimlabError, match="V = 65537"):
        tables.check_size(Huge(), 1)


def test_the_longest_horizon_fits_its_fields():
    draft, target = np.array([[1.0, 0.0]] * 2), np.array([[0.0, 1.0]] * 2)
    pair = ChainPair.stationary(draft, target, [1.0, 0.0], 65_535)
    counts = simulate_batch(build_tables(pair, Speculative()), 3, seeded(0))
    assert counts.rejections[65_535] == 3


def test_counts_add_up():
    tables = build_tables(paper(3), BatchSpeculative(2))
    parts = [simulate_batch(tables, 500, child) for child in seeded(5).spawn(3)]
    whole = sum(parts, Counts.zero(3, 7))
    assert whole.trajectories == 1500 == whole.rejections.sum()


def test_deviations_add_up_and_belong_to_biased_decoders():
    tables = build_tables(paper(3), BIASED)
    one, other = (simulate_batch(tables, 500, child) for child in seeded(5).spawn(2))
    nothing = Counts.zero(3, 7)
    both = nothing + one + other
    assert both.deviations.shape == (1025,)
    assert both.deviations.sum() == 1000
    assert one + nothing == nothing + one == one != other
    assert both == other + one
    spoilt = one.deviations.copy()
    spoilt[[0, 1]] += 1, -1
    assert replace(one, deviations=spoilt) != one
    plain = simulate_batch(build_tables(paper(3), Speculative()), 500, seeded(5))
    for left, right in ((one, plain), (plain, one)):
        with pytest.raises(SimlabError, match="levels of deviation do not belong together"):
            left + right


UNCOMPILED = """
import numba, numpy as np, sys
from simlab.decoders import Autoregressive, BatchSpeculative, BiasedSpeculative, Speculative
from simlab.decoders import AdaptiveSpeculative, ConfidenceSpeculative, TreeSpeculative
from simlab.decoding import build_tables, simulate_batch
from tests.decoding.test_simulate import paper, seeded
from tests.oracles.pairs import as_pair, rational_chains
for pair in (paper(3, 3), paper(2, 9), as_pair(*rational_chains(2, 3, 1)), paper(1, 1)):
    biased = [BiasedSpeculative(0.05, distribution) for distribution in ("optimal", "target", "draft")]
    trees = [TreeSpeculative(5), TreeSpeculative(2, "draft"), TreeSpeculative(3, "draft", "chain")]
    table = np.random.default_rng(2).integers(0, 3, (pair.horizon, pair.states))
    windows = [Speculative(1), Speculative(2, True), AdaptiveSpeculative(table), ConfidenceSpeculative(0.35)]
    for decoder in (Autoregressive(), Speculative(), BatchSpeculative(3), *biased, *trees, *windows):
        counts = simulate_batch(build_tables(pair, decoder), 70, seeded(3))
        print(counts.rejections.tolist(), counts.tokens.tolist(), counts.rejections_per_position.tolist())
        print(counts.deviations.tolist(), counts.target_calls.tolist(), counts.drafted_tokens.tolist())
        print(counts.drafted_by_position, counts.reached_by_position, counts.accepted_by_position)
print(numba.config.DISABLE_JIT, file=sys.stderr)
"""


@pytest.mark.processes
def test_uncompiled_python_gives_the_same_counts():
    outputs = []
    for disabled in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", UNCOMPILED],
            capture_output=True,
            text=True,
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.split()[-1] == disabled
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
