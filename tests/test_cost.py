"""What tokens cost: times are sums, and what is no cost or no prediction is told."""

import numpy as np
import pytest

import simlab
from simlab import CostModel, SimlabError
from tests.exact import same


def test_times_are_those_of_what_is_drafted_and_called():
    cost, pair = CostModel(0.5, 4.0), simlab.pairs.paper(horizon=6)
    exact = simlab.predict(pair, simlab.Speculative(2, bonus=True))
    time = 0.5 * exact.expected_drafted_tokens + 4.0 * exact.expected_target_calls
    assert cost.expected_time(exact) == pytest.approx(time, rel=1e-14)
    assert cost.speedup(exact) == pytest.approx(6 * 4.0 / time, rel=1e-14) and cost.ratio == 0.125
    np.testing.assert_array_equal(cost.time(np.array([0, 2]), np.array([1, 1])), [4.0, 5.0])


@pytest.mark.parametrize(
    "decoder",
    [
        simlab.Autoregressive(),
        simlab.Speculative(4, bonus=True),
        simlab.ConfidenceSpeculative(),
        simlab.BlockSpeculative(4),
        simlab.AdaptiveSpeculative(simlab.Policy(np.full((1, 7), 3))),
    ],
    ids=lambda decoder: type(decoder).__name__,
)
def test_one_token_takes_one_call_and_gains_nothing(decoder):
    """Also where the sums over tokens miss 1 by rounding: 7 times 1/7, and rows off by 9e-10."""
    for rows in (np.full((1, 7, 7), 1 / 7), np.full((1, 7, 7), 1 / 7) * (1 + 9e-10)):
        prediction = simlab.predict(simlab.ChainPair(rows, rows, np.full(7, 1 / 7)), decoder)
        reason = "a horizon of one token leaves room for one call and no drafted token"
        same(prediction.expected_target_calls, 1.0, reason)
        for cost in (CostModel(0.3, 0.1), CostModel(0.05, 1.0)):
            same(cost.speedup(prediction), 1.0, reason)


@pytest.mark.parametrize("horizon", [1, 3, 49])
def test_decoding_by_the_target_alone_is_no_faster_than_itself(horizon):
    alone = simlab.predict(simlab.pairs.paper(horizon=horizon), simlab.Autoregressive())
    for target in (0.1, 1.0, 31.5):
        same(CostModel(0.05, target).speedup(alone), 1.0, "one product, T T_v, over itself")


def test_times_of_what_was_simulated():
    cost, pair, decoder = (
        CostModel(0.5, 4.0),
        simlab.pairs.paper(horizon=6),
        simlab.Speculative(2, bonus=True),
    )
    counts, exact = simlab.simulate(pair, decoder, trajectories=20_000), simlab.predict(pair, decoder)
    calls = counts.target_calls @ np.arange(7) / 20_000
    drafted = counts.drafted_tokens @ np.arange(counts.drafted_tokens.size) / 20_000
    assert cost.expected_time(counts) == pytest.approx(0.5 * drafted + 4 * calls, rel=1e-14)
    assert cost.speedup(counts) == pytest.approx(24 / (0.5 * drafted + 4 * calls), rel=1e-14)
    found = simlab.evidence.time_interval(counts.target_calls, counts.drafted_tokens, 0.5, 4.0, 1 - 1e-6)
    assert found.estimate == pytest.approx(cost.expected_time(counts), rel=1e-12)
    assert found.low < cost.expected_time(exact) < found.high
    with pytest.raises(SimlabError, match="were not counted"):
        cost.speedup(simlab.simulate(pair, simlab.Speculative(), trajectories=10))


@pytest.mark.parametrize("costs", [(1e-300, 1e300), (1e300, 1e-300)], ids=["too little", "too much"])
def test_costs_without_a_ratio(costs):
    with pytest.raises(SimlabError, match="too far apart"):
        CostModel(*costs)


@pytest.mark.parametrize("given", [None, 3.0, CostModel()], ids=["nothing", "a number", "a cost"])
def test_what_is_no_prediction_has_no_time(given):
    with pytest.raises(SimlabError, match="give a simlab.Prediction or simlab.Counts"):
        CostModel().speedup(given)
