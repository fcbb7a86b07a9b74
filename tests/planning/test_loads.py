"""Costs as they are measured: what plans say of them, and the best window for each load."""

from __future__ import annotations

import json

import numpy as np
import pytest

import simlab
from simlab import CostModel, SimlabError
from simlab.cli.main import main
from simlab.planning import LoadPlans

RATES = [0.805, 0.632, 0.483]
CARRIED = [*RATES, 0.483 * 0.483 / 0.632]
"""The last conditional rate carried on."""
RELATIVE = [1, 0.605, 0.473, 0.408, 0.374, 0.351, 0.334, 0.320, 0.313, 0.300]
STAIRS = {1: 30.75, 4: 37.3, 8: 75.7}


@pytest.mark.parametrize(
    ("rates", "cost", "window", "speedup"),
    [
        (RATES, CostModel(10.35, 30.74), 2, 1.456),
        (RATES, CostModel(10.35, 30.74, draft_call=10.9), 3, 1.235),
        (CARRIED, CostModel(10.35, {"base": 300, "per_token": 109}, draft_call=10.9), 3, 1.535),
    ],
)
def test_what_verification_and_a_drafting_call_cost_decide_the_window(rates, cost, window, speedup):
    plan = simlab.plan(rates=rates, cost=cost)
    assert plan.best == window
    assert plan.best_speedup == pytest.approx(speedup, abs=5e-4)


def test_drafting_loses_where_each_verified_token_costs_much():
    cost = CostModel(10.35, {"relative": RELATIVE, "time": 30.74}, draft_call=10.9)
    plan = simlab.plan(rates=RATES, cost=cost)
    assert plan.best == 0
    assert plan.speedup[1:].max() == pytest.approx(0.996, abs=5e-4)


def test_each_load_has_the_plan_that_it_has_alone():
    cost = CostModel(3, STAIRS, draft_call=2)
    plans = simlab.plan(rates=[0.8, 0.6, 0.5, 0.4], cost=cost, concurrency=[16, 1, 2])
    assert isinstance(plans, LoadPlans)
    assert [row["window"] for row in plans.rows()] == [3, 1, 0]
    for row, load in zip(plans.rows(), (1, 2, 16), strict=True):
        alone = simlab.plan(rates=[0.8, 0.6, 0.5, 0.4], cost=cost, concurrency=load)
        assert (row["concurrency"], row["window"]) == (load, alone.best)
        assert row["speedup"] == pytest.approx(alone.best_speedup, rel=1e-12)
        best = alone.time_per_token[alone.windows == alone.best][0]
        assert row["throughput"] == pytest.approx(load / best, rel=1e-12)
    assert plans.schedule() == [[1, 1, 3], [2, 15, 1], [16, 16, 0]]
    assert simlab.plan(acceptance=0.8, concurrency=[1, 4]).schedule() == [[1, 4, 8]]
    assert str(plans).count("\n") == 7
    assert len(plans.table()) == 3


def test_every_source_takes_every_cost():
    cost = CostModel({1: 0.3, 4: 0.4}, {1: 2, 4: 2.5, 16: 6}, draft_call=0.2, overhead=0.1, concurrency=2)
    for source in (
        {"acceptance": 0.7},
        {"acceptance_rate": 0.6, "window": 3},
        {"mean_length": 2.6, "window": 3},
        {"rates": RATES},
        {"pair": simlab.pairs.paper(horizon=6)},
    ):
        plan = simlab.plan(**source, cost=cost)
        assert plan.speedup[0] == pytest.approx(1.0, rel=1e-12)
        assert plan.throughput == pytest.approx(2 / plan.time_per_token, rel=1e-12)
        full = plan.drafted_per_call == plan.windows
        expected = cost.call_time(plan.windows) / plan.tokens_per_call
        if "pair" not in source:
            assert full.all()
            assert plan.time_per_token[1:] == pytest.approx(expected[1:], rel=1e-12)


def test_a_pair_is_planned_by_the_times_of_its_windows():
    pair = simlab.pairs.paper(horizon=12)
    cost = CostModel(0.1, {1: 1.0, 3: 1.1, 4: 2.0, 8: 2.1}, overhead=0.05)
    plan = simlab.plan(pair=pair, cost=cost)
    times = simlab.theory.window_times(pair, cost)
    assert plan.time_per_token == pytest.approx(times[plan.windows] / 12, rel=1e-12)
    assert plan.best == np.argmin(times)
    named = {other["rule"]: other["speedup"] for other in plan.others}
    assert named["optimal policy"] >= plan.best_speedup * (1 - 1e-12)


@pytest.mark.commands
def test_the_command_prints_one_table_and_the_schedule(capsys, tmp_path):
    (tmp_path / "times.csv").write_text("tokens,time\n1,30.75\n4,37.3\n8,75.7\n")
    words = ["plan", "rates=[0.8,0.6,0.5,0.4]", "cost.draft=3", "cost.draft_call=2", "concurrency=1,2,16"]
    tables = [f"cost.target='{tmp_path}/times.csv'", "cost.target={1: 30.75, 4: 37.3, 8: 75.7}"]
    documents = []
    for table in tables:
        assert main([*words, table, "--json"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    assert documents[0]["num_speculative_tokens_per_batch_size"] == [[1, 1, 3], [2, 15, 1], [16, 16, 0]]
    assert [load["window"] for load in documents[0]["loads"]] == [3, 1, 0]
    assert documents[0]["plans"][1]["cost"] == {
        "draft": 3.0, "target": {"1": 30.75, "4": 37.3, "8": 75.7}, "draft_call": 2.0, "concurrency": 2,
        "ratio": pytest.approx(3 / (30.75 + (37.3 - 30.75) / 3)),
    }  # fmt: skip
    assert main([*words, tables[1], f"output={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "best window by load: rates 0.8, 0.6, 0.5, 0.4\n\nconcurrency  window  tokens/call" in printed
    assert "\n16           0       1.0000 " in printed


@pytest.mark.parametrize("loads", [[], [1, 1], [0], [1, 2.5]])
def test_loads_that_are_none_are_told(loads):
    with pytest.raises(SimlabError, match="concurrency = "):
        simlab.plan(rates=RATES, concurrency=loads)
