"""The joint distribution of (tokens, rejected) of the compiled samplers against brute force; spoilt are
caught."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from simlab.decoders import Autoregressive, BatchSpeculative, Speculative
from simlab.decoding import build_tables, sample_paths
from simlab.decoding.core.tables import alias_table
from simlab.decoding.simulate import record_paths
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes

pytestmark = pytest.mark.statistical

DECODERS = [Autoregressive(), Speculative(), *(BatchSpeculative(m) for m in (1, 2, 3, 4))]
N = 200_000


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize(
    ("horizon", "states", "zeros"), [(3, 3, 0.3), (4, 2, 0.0), (2, 4, 0.5), (1, 5, 0.2), (3, 1, 0)]
)
def test_the_compiled_samplers_follow_the_joint_distribution(decoder, horizon, states, zeros):
    chains = rational_chains(horizon, states, seed=11, zeros=zeros)
    paths = sample_paths(as_pair(*chains), decoder, N, seed=5)
    assert not mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_draft_equal_to_target_never_rejects(decoder):
    draft, _, initial = rational_chains(3, 3, seed=2)
    paths = sample_paths(as_pair(draft, draft, initial), decoder, N, seed=8)
    assert not paths.rejected.any()
    assert not mismatches(
        joint_distribution(draft, draft, initial, decoder), outcomes(paths.tokens, paths.rejected)
    )


@pytest.mark.parametrize("decoder", [Speculative(), BatchSpeculative(3)], ids=str)
def test_disjoint_supports_always_reject(decoder):
    draft = [[["1/2", "1/2", 0, 0]] * 4] * 2
    target = [[[0, 0, "1/4", "3/4"]] * 4] * 2
    chains = draft, target, [1, 0, 0, 0]
    pair = as_pair([[[0.5, 0.5, 0, 0]] * 4] * 2, [[[0, 0, 0.25, 0.75]] * 4] * 2, [1, 0, 0, 0])
    paths = sample_paths(pair, decoder, N, seed=3)
    assert paths.rejected.all()
    assert not mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_the_initial_token_follows_its_law_and_carries_over(decoder):
    chains = rational_chains(2, 3, seed=4, zeros=0.0)
    paths = sample_paths(as_pair(*chains), decoder, N, seed=9)
    assert not mismatches(dict(enumerate(chains[2])), Counter(paths.initial.tolist()))
    for x in range(3):
        started = paths.initial == x
        distribution = joint_distribution(*chains[:2], [int(x == z) for z in range(3)], decoder)
        assert not mismatches(distribution, outcomes(paths.tokens[started], paths.rejected[started]))


# Negative controls: the same test must catch each of these, on the production kernels with spoilt tables.


def spoilt(decoder, change, chains):
    tables = build_tables(as_pair(*chains), decoder)
    paths = record_paths(change(tables), N, np.random.SeedSequence(1))
    return mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))


@pytest.fixture
def dense():
    return rational_chains(3, 3, seed=12, zeros=0.0)


def test_catches_replacing_from_the_target(dense):
    target = as_pair(*dense).target
    assert spoilt(Speculative(), lambda tables: replace(tables, residual=alias_table(target)), dense)


def test_catches_one_residual_too_few_after_the_last_failure(dense):
    assert spoilt(BatchSpeculative(2), lambda tables: replace(tables, final=tables.residual), dense)


def test_catches_one_residual_too_many_after_the_last_failure(dense):
    longer = build_tables(as_pair(*dense), BatchSpeculative(3))
    assert spoilt(BatchSpeculative(2), lambda tables: replace(tables, final=longer.final), dense)


def test_catches_the_later_tries_verified_against_the_target(dense):
    def unconditional(tables):
        limits = np.empty_like(tables.limits)
        limits[..., 0], limits[..., 1] = 0.0, 1.0
        return replace(tables, limits=limits)

    assert spoilt(BatchSpeculative(2), unconditional, dense)


def test_catches_acceptance_thresholds_that_are_slightly_off(dense):
    def looser(tables):
        drafts = tables.drafts
        quarters = drafts.records.copy().view(np.uint16).reshape(-1, 4)
        bars = quarters[:, 2:]
        bars[bars < 60_000] += 1_500  # an acceptance probability higher by 0.023
        records = quarters.view(np.uint64).reshape(drafts.records.shape)
        return replace(tables, drafts=drafts._replace(records=records))

    assert spoilt(Speculative(), looser, dense)
