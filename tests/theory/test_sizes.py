"""What exact numbers and samplers' tables are said to take, against what NumPy allocated."""

from __future__ import annotations

import tracemalloc

import pytest

import simlab
from simlab.decoding import build_tables
from simlab.decoding.simulate import table_bytes
from simlab.errors import SimlabError
from simlab.pairs import make_pair
from simlab.pairs.size import PairSize
from simlab.planning.exact import plan_bytes
from simlab.theory import sequence_total_variation
from simlab.theory.sizes import predict_bytes, total_variation_bytes

pytestmark = pytest.mark.statistical  # as slow as those: what is large enough to be measured takes its time

DECODERS = {
    "autoregressive": simlab.Autoregressive(),
    "speculative": simlab.Speculative(),
    "batch": simlab.BatchSpeculative(4),
    "biased": simlab.BiasedSpeculative(0.1),
    "windows": simlab.Speculative(4, bonus=True),
    "history": simlab.HistorySpeculative(),
    "block": simlab.BlockSpeculative(2),
    "several": simlab.MultiDraftSpeculative((3, 2)),
    "rule": simlab.RuleSpeculative(simlab.rules.Typical(), window=3),
}
SHAPES = {
    "changing": {"states": 90, "horizon": 24},
    "stationary": {"states": 250, "horizon": 16, "stationary": True},
}
SLACK = 2**20
"""Bytes that do not grow with the pair."""


def peak_of(call) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", params=SHAPES)
def pair(request):
    return make_pair("mixture", **SHAPES[request.param])


@pytest.mark.parametrize("name", DECODERS)
def test_exact_numbers_take_what_was_said(pair, name):
    decoder = DECODERS[name]
    simlab.predict(make_pair("paper", horizon=3), decoder)  # imports and compiles
    said, peak = predict_bytes(PairSize.of(pair), decoder), peak_of(lambda: simlab.predict(pair, decoder))
    assert 0.9 * peak - SLACK < said < 2.5 * peak + SLACK


@pytest.mark.parametrize("name", DECODERS)
def test_tables_take_what_was_said(pair, name):
    decoder = DECODERS[name]
    build_tables(make_pair("paper", horizon=3), decoder)
    said = table_bytes(PairSize.of(pair), decoder)
    peak = peak_of(lambda: build_tables(pair, decoder))
    assert 0.9 * peak - SLACK < said < 2 * peak + SLACK


def test_total_variation_takes_what_was_said(monkeypatch):
    monkeypatch.setattr("simlab.theory.bias.total_variation.WORK", 2e7)
    pair, decoder = make_pair("mixture", states=40, horizon=12), DECODERS["biased"]
    assert total_variation_bytes(PairSize.of(pair), DECODERS["speculative"]) == 0
    said = total_variation_bytes(PairSize.of(pair), decoder)
    peak = peak_of(lambda: sequence_total_variation(pair, decoder))
    assert 0.9 * peak < said < 2.5 * peak + 64 * SLACK


def test_a_plan_takes_what_was_said(pair, monkeypatch):
    for name in ("DEAR", "MANY"):  # without block verification, which has a test of its own above
        monkeypatch.setattr(f"simlab.planning.exact.{name}", 0)
    cost = simlab.CostModel(0.1, 1.0)
    simlab.plan(pair=make_pair("paper", horizon=3), cost=cost)
    said, peak = plan_bytes(PairSize.of(pair)), peak_of(lambda: simlab.plan(pair=pair, cost=cost))
    assert 0.8 * peak - SLACK < said < 3 * peak + SLACK


def test_exact_numbers_that_do_not_fit_are_refused_before_anything_is_built(monkeypatch):
    pair = make_pair("uniform", states=2000, target_states=5)
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 2**26)
    with pytest.raises(SimlabError, match=r"exact numbers take 0.\d GiB of memory, more than there is"):
        simlab.predict(pair, simlab.BiasedSpeculative(0.1))
