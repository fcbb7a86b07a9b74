"""The distribution of the target calls: against every path of tokens walked through its trees, and by another
road."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import BatchSpeculative, TreeSpeculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, corpus, mixture, paper
from simlab.theory import expected_rejections_per_position, expected_target_calls, predict
from simlab.theory.trees import calls
from tests.exact import close
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import examples, pairs
from tests.theory.plain_trees import calls_distribution, plain_chain, plain_tree

DECODERS = [
    TreeSpeculative(capacity, drafted_by, shape)
    for capacity in (1, 2, 4, 100)
    for drafted_by in ("target", "draft")
    for shape in ("tree", "chain")
]


def walked(pair, decoder):
    """(pmf of the calls (T+1,), pmf of the bonus tokens (T+1,), P(token t is one) (T,)), by brute force."""
    make = plain_tree if decoder.shape == "tree" else plain_chain
    size, drafted_by = decoder.capacity, decoder.drafted_by
    distribution = calls_distribution(pair, lambda time, token: make(pair, time, token, size, drafted_by))
    horizon = pair.horizon
    pmf, bonus_pmf, positions = np.zeros(horizon + 1), np.zeros(horizon + 1), np.zeros(horizon)
    for (count, bonus), mass in distribution.items():
        pmf[count] += float(mass)
        bonus_pmf[sum(bonus)] += float(mass)
        positions += float(mass) * np.array(bonus)
    return pmf, bonus_pmf, positions


def assert_agrees(pair, decoder):
    prediction = predict(pair, decoder)
    pmf, bonus_pmf, positions = walked(pair, decoder)
    np.testing.assert_allclose(prediction.target_calls_pmf, pmf, atol=1e-12)
    np.testing.assert_allclose(prediction.rejections_pmf, bonus_pmf, atol=1e-12)
    np.testing.assert_allclose(prediction.rejections_per_position, positions, atol=1e-12)
    counts = np.arange(pair.horizon + 1)
    mean = pmf @ counts
    assert prediction.expected_target_calls == pytest.approx(mean, abs=1e-12)
    assert prediction.expected_rejections == pytest.approx(bonus_pmf @ counts, abs=1e-12)
    assert prediction.variance == pytest.approx(bonus_pmf @ counts**2 - (bonus_pmf @ counts) ** 2, abs=1e-11)
    assert np.isnan(prediction.acceleration)
    assert prediction.tokens_per_call == pytest.approx(pair.horizon / mean, abs=1e-12)
    calls = expected_target_calls(pair, decoder)
    assert calls.shape == (pair.horizon + 1, pair.states) and (calls[-1] == 0).all()
    assert pair.initial @ calls[0] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize(
    ("states", "horizon", "seed"), [(2, 4, 0), (2, 4, 1), (3, 3, 2), (3, 4, 3), (1, 3, 4)]
)
def test_the_law_is_that_of_all_paths(states, horizon, seed, decoder):
    assert_agrees(as_pair(*rational_chains(horizon, states, seed)), decoder)


@examples(60)
@given(pairs(most_steps=4, most_states=3), st.sampled_from(DECODERS))
def test_and_so_it_is_for_odd_pairs(pair, decoder):
    assert_agrees(pair, decoder)


@pytest.mark.parametrize("decoder", [DECODERS[0], *DECODERS[2:4]], ids=str)
@pytest.mark.parametrize("changing", ["draft", "target"])
def test_where_one_model_is_stationary_and_the_other_is_not(changing, decoder):
    """Trees of a stationary draft are the same everywhere, but what leaves them is not."""
    pair = as_pair(*rational_chains(5, 2, seed=5))
    chains = {name: np.repeat(getattr(pair, name)[:1], 5, axis=0) for name in ("draft", "target")}
    chains[changing] = getattr(pair, changing)
    assert_agrees(ChainPair(chains["draft"], chains["target"], pair.initial), decoder)


def test_the_walk_sees_trees_that_are_one_node_short_and_a_horizon_that_is_off():
    """Control: what should be told apart is, by far more than rounding."""
    pair = as_pair(*rational_chains(4, 3, seed=3))
    pmf, _, _ = walked(pair, TreeSpeculative(4))
    assert np.abs(predict(pair, TreeSpeculative(3)).target_calls_pmf - pmf).max() > 1e-3
    assert np.abs(predict(pair, TreeSpeculative(4, "draft")).target_calls_pmf - pmf).max() > 1e-3
    distribution = calls_distribution(
        pair, lambda time, token: [node for node in plain_tree(pair, time, token, 4) if node[2] < 3]
    )
    mean = sum(count * float(mass) for (count, _), mass in distribution.items())
    assert abs(predict(pair, TreeSpeculative(4)).expected_target_calls - mean) > 1e-3


PAIRS = {
    "paper": paper(50),
    "corpus": corpus(horizon=30),
    "stationary": mixture(40, 6, concentration=0.2, stationary=True),
    "stationary target": ChainPair(paper(12, 4).draft, paper(12, 4, seed=2).target[[3] * 12], np.eye(4)[1]),
}


@pytest.mark.parametrize(
    "decoder",
    [TreeSpeculative(64), TreeSpeculative(200, "draft"), TreeSpeculative(10, shape="chain")],
    ids=str,
)
@pytest.mark.parametrize("name", PAIRS)
def test_both_roads_lead_to_the_mean_and_everything_adds_up(name, decoder):
    pair = PAIRS[name]
    prediction = predict(pair, decoder)
    assert pair.initial @ expected_target_calls(pair, decoder)[0] == pytest.approx(
        prediction.expected_target_calls, abs=1e-12
    )
    for pmf in (prediction.target_calls_pmf, prediction.rejections_pmf):
        assert pmf.sum() == pytest.approx(1, abs=1e-12) and (pmf >= 0).all()
    np.testing.assert_allclose(prediction.token_marginals.sum(axis=1), 1, atol=1e-12)
    assert prediction.rejections_per_position.sum() == pytest.approx(
        prediction.rejections_pmf @ np.arange(pair.horizon + 1), abs=1e-11
    )
    close(expected_rejections_per_position(pair, decoder), prediction.rejections_per_position)
    last = pair.initial
    for t in range(pair.horizon):
        last = last @ pair.target[t]
        np.testing.assert_allclose(prediction.token_marginals[t], last, atol=1e-12)
    assert prediction.output_chain is pair.target and prediction.sequence_kl == 0


@pytest.mark.parametrize("shape", ["tree", "chain"])
def test_what_is_shared_or_done_in_blocks_changes_nothing(monkeypatch, shape):
    """A stationary pair's trees are shared between starts, also where only the shallow ones are kept."""
    pair, decoder = PAIRS["stationary"], TreeSpeculative(20, shape=shape)
    shared, mean = predict(pair, decoder), expected_target_calls(pair, decoder)
    for kept, block in ((0, 2**22), (8 * 6 * 6 * 3, 1), (2**27, 200)):
        monkeypatch.setattr(calls, "_KEPT", kept)
        monkeypatch.setattr(calls, "_BLOCK", block)
        np.testing.assert_allclose(
            predict(pair, decoder).target_calls_pmf, shared.target_calls_pmf, atol=1e-13
        )
        np.testing.assert_allclose(expected_target_calls(pair, decoder), mean, atol=1e-12)


def test_one_token_takes_one_call_and_everything_known_takes_the_fewest():
    assert predict(paper(1), TreeSpeculative(3)).target_calls_pmf.tolist() == pytest.approx([0, 1])
    certain = ChainPair.stationary(np.eye(3), np.eye(3), np.eye(3)[0], 10)
    prediction = predict(certain, TreeSpeculative(4))
    assert prediction.target_calls_pmf[2] == 1 and prediction.tokens_per_call == 5
    assert prediction.rejections_per_position.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    whole = predict(paper(4, 2), TreeSpeculative(30))
    assert whole.target_calls_pmf[1] == pytest.approx(1) and whole.expected_rejections == 0


def test_a_better_tree_takes_fewer_calls():
    pair = PAIRS["paper"]
    means = [
        predict(pair, TreeSpeculative(capacity)).expected_target_calls for capacity in (1, 4, 16, 64, 256)
    ]
    assert (np.diff(means) < 0).all()
    by_draft = predict(pair, TreeSpeculative(64, "draft")).expected_target_calls
    chain = predict(pair, TreeSpeculative(64, shape="chain")).expected_target_calls
    assert means[3] < by_draft < chain


@pytest.mark.parametrize("decoder", [BatchSpeculative(2), "tree"], ids=str)
def test_calls_are_asked_of_trees_or_windows(decoder):
    with pytest.raises(SimlabError, match=r"give a decoder of windows|is not a decoder"):
        expected_target_calls(paper(5), decoder)
    with pytest.raises(SimlabError, match="drafts no trees"):
        calls.expected_accepted(paper(5), decoder, [1])
    with pytest.raises(SimlabError, match="is not a pair"):
        expected_target_calls(None, TreeSpeculative())
