"""What tokens cost: times are sums, and what is no cost or no prediction is told."""

import numpy as np
import pytest

import simlab
from simlab import CostModel, SimlabError


def test_times_are_those_of_what_is_drafted_and_called():
    cost, pair = CostModel(0.5, 4.0), simlab.pairs.paper(horizon=6)
    exact = simlab.predict(pair, simlab.Speculative(2, bonus=True))
    time = 0.5 * exact.expected_drafted_tokens + 4.0 * exact.expected_target_calls
    assert cost.expected_time(exact) == pytest.approx(time, rel=1e-15)
    assert cost.speedup(exact) == pytest.approx(6 * 4.0 / time, rel=1e-15) and cost.ratio == 0.125
    np.testing.assert_array_equal(cost.time(np.array([0, 2]), np.array([1, 1])), [4.0, 5.0])


@pytest.mark.parametrize("costs", [(1e-300, 1e300), (1e300, 1e-300)], ids=["too little", "too much"])
def test_costs_without_a_ratio(costs):
    with pytest.raises(SimlabError, match="too far apart"):
        CostModel(*costs)


@pytest.mark.parametrize("given", [None, 3.0, CostModel()], ids=["nothing", "a number", "a cost"])
def test_what_is_no_prediction_has_no_time(given):
    with pytest.raises(SimlabError, match="is no simlab.Prediction"):
        CostModel().speedup(given)
