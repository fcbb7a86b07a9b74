"""Trajectories are independent: the joint distribution of pairs of neighbours; coupled ones are caught."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from simlab.decoders import Autoregressive, BatchSpeculative, BiasedSpeculative, Speculative
from simlab.decoding import sample_paths
from simlab.decoding.core.chunks import CHUNK
from simlab.decoding.core.randomness import LANES, seed_state
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches

pytestmark = pytest.mark.statistical

N = 400_000
CHAINS = rational_chains(2, 2, seed=6, zeros=0.0)
DECODERS = [Autoregressive(), Speculative(), BatchSpeculative(3), BiasedSpeculative(0.1, "target")]


def codes(decoder, seed) -> np.ndarray:
    """One number for each trajectory: the digits of its tokens and rejections."""
    paths = sample_paths(as_pair(*CHAINS), decoder, N, seed)
    return (paths.tokens.astype(int) * 2 + paths.rejected) @ [1, 4]


independent = cache(codes)


def contradictions(codes, decoder, lag):
    """Where pairs (i, i + lag) that share no trajectory contradict the product of their distributions; error
    1e-6."""
    single = {
        sum((y * 2 + r) * 4**t for t, (y, r) in enumerate(zip(*cell, strict=True))): mass
        for cell, mass in joint_distribution(*CHAINS, decoder).items()
    }
    distribution = {16 * a + b: single[a] * single[b] for a in single for b in single}
    left = np.arange(N - lag)
    left = left[left // lag % 2 == 0]
    return mismatches(distribution, Counter((16 * codes[left] + codes[left + lag]).tolist()))


@pytest.mark.parametrize("lag", [1, 2, 3, 4, LANES, 2 * LANES, 4 * LANES, CHUNK])
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_neighbours_are_independent(decoder, lag):
    assert not contradictions(independent(decoder, 3), decoder, lag)


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_catches_lanes_that_agree(decoder, monkeypatch):
    """The production kernels on a generator whose lanes are pairwise alike: words come twice in a row."""

    def alike(seed, generators):
        state = seed_state(seed, generators)
        state[:, 1:LANES:2] = state[:, 0:LANES:2]
        return state

    monkeypatch.setattr("simlab.decoding.simulate.seed_state", alike)
    assert contradictions(codes(decoder, 3), decoder, 2)  # a word holds the draws of two trajectories


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_catches_one_pair_in_twenty_that_agrees(decoder):
    spoilt = independent(decoder, 3).copy()
    spoilt[1::40] = spoilt[::40]
    assert contradictions(spoilt, decoder, 1)
