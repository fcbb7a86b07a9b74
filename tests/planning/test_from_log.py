"""Plans from logs: the same numbers as from the counts, costs that logs measured, rules that stop early."""

import io
import json
import sys
import types

import numpy as np
import pytest

import simlab
from simlab import CostModel, SimlabError
from simlab.cli.main import main
from simlab.planning.policy import guessed_drafts
from tests.planning.logs import writers

COST = CostModel(2.1, 31.5)


@pytest.fixture
def log(tmp_path):
    def write(text: str, name: str = "engine.log") -> str:
        (tmp_path / name).write_text(text + "\n")
        return str(tmp_path / name)

    return write


@pytest.fixture
def command(capsys, monkeypatch):
    """`simlab plan` without its picture: the exit code, and what it printed."""
    monkeypatch.setattr("simlab.cli.plan._draw", lambda plans, folder, *_: [folder / "picture"])

    def run(*words):
        code = main(["plan", *words])
        printed = capsys.readouterr()
        return code, printed.out or printed.err

    return run


def test_counts_out_of_a_log_are_planned_as_counts(log):
    plan = simlab.plan(log=log(writers.vllm(120, [94, 73, 56], 360)), cost=COST)
    same = simlab.plan(rates={"drafted": [120] * 3, "accepted": [94, 73, 56]}, cost=COST)
    np.testing.assert_allclose([plan.speedup, plan.low, plan.high], [same.speedup, same.low, same.high])
    assert plan.best == same.best and "read: vLLM: 120 calls, 360 drafted, 223 accepted" in str(plan)


def test_rounded_rates_widen_the_interval(log):
    calls, accepted = 40_000, [31_000, 24_000, 18_000]
    plan = simlab.plan(log=log(writers.vllm(calls, accepted, 3 * calls)), cost=COST)
    exact = simlab.plan(log=log(writers.request(calls, accepted, 3 * calls)), cost=COST)
    assert (plan.low[1:] < exact.low[1:]).all() and (exact.high[1:] < plan.high[1:]).all()
    assert (plan.high - plan.low < exact.high - exact.low + 0.01).all()


def test_averages_out_of_a_log_are_planned_as_averages(log):
    plan = simlab.plan(log=log(writers.sglang(2.17, 0.54)), cost=COST)
    same = simlab.plan(mean_length=2.17, window=3, cost=COST)
    np.testing.assert_allclose(plan.speedup, same.speedup)
    plain = log("draft acceptance rate = 0.64479 (  167 accepted /   259 generated)")
    with pytest.raises(
        SimlabError, match="167 accepted of 259 drafted tokens, but not how many tokens a call"
    ):
        simlab.plan(log=plain)
    rate = simlab.plan(acceptance_rate=167 / 259, window=3, cost=COST)
    np.testing.assert_allclose(simlab.plan(log=plain, window=3, cost=COST).speedup, rate.speedup)


MEASURED = (
    "       eval time =    2296.72 ms /   256 tokens (    8.97 ms per token,   111.46 tokens per second)\n"
    + writers.statistics(87, [70, 55, 42], 259, times=", dur(b,g,a) = 0.005, 325.555, 0.114 ms")
)


def test_measured_costs_are_used_if_none_are_given_and_said(log, command):
    path = log(MEASURED)
    plan = simlab.plan(log=path)
    assert plan.cost.draft == pytest.approx(1.257, abs=1e-3) and plan.cost.alone == pytest.approx(
        22.66, abs=0.01
    )
    assert "cost: measured by the log" in str(plan)
    code, printed = command(f"log={path}", "cost.draft=2.1", "cost.target=31.5")
    assert code == 0 and "cost: as given; not what the log has measured, draft 1.257 ms" in printed
    assert simlab.plan(log=path, cost=COST).cost == COST
    code, printed = command(f"log={path}", "--json")
    assert json.loads(printed)["cost"]["draft"] == pytest.approx(1.257, abs=1e-3)


RAGGED = {"drafted": [430, 400, 300], "accepted": [346, 272, 208]}


def test_an_engine_that_stops_early_is_planned_as_its_rule():
    """Against every call of such an engine, one by one."""
    plan = simlab.plan(rates=RAGGED, cost=COST)
    drafts = [3] * 300 + [2] * 100 + [1] * 30
    for cap in (1, 2, 3):
        time = sum(31.5 + 2.1 * min(draft, cap) for draft in drafts)
        tokens = 430 + sum(RAGGED["accepted"][:cap])
        assert plan.speedup[cap] == pytest.approx(31.5 * tokens / time, rel=1e-12)
        assert plan.drafted_per_call[cap] == pytest.approx(sum(min(d, cap) for d in drafts) / 430, rel=1e-12)
    assert "not as a window" in str(plan) and "346/430, 272/400, 208/300" in str(plan)
    with pytest.raises(SimlabError, match="the engine drafted at most 3"):
        simlab.plan(rates=RAGGED, longest=4)


def test_a_log_with_ragged_drafts_is_a_rule_too(log):
    plan = simlab.plan(log=log(writers.slot(430, [346, 272, 208], 1130)), cost=COST)
    same = simlab.plan(rates=RAGGED, cost=COST)
    assert plan.speedup[3] == pytest.approx(same.speedup[3], rel=1e-3)
    assert "stops drafting early" in str(plan) and "taken to fall geometrically" in str(plan)
    proposed = '{"spec_correct_drafts_histogram": [84, 74, 64, 208], "spec_proposed_drafts_histogram": '
    plan = simlab.plan(log=log(proposed + '[0, 30, 100, 300], "spec_num_proposed_drafts": 1130}'), cost=COST)
    np.testing.assert_allclose(plan.speedup, same.speedup, rtol=1e-12)


@pytest.mark.parametrize(("calls", "drafted"), [(430, 1130), (430, 826), (430, 1290), (1000, 900)])
def test_guessed_drafts_are_possible_ones(calls, drafted):
    accepted = np.array([346, 272, 208])
    guess = guessed_drafts(calls, drafted, accepted)
    assert (accepted <= guess).all() and (guess <= calls).all() and (np.diff(guess) <= 0).all()
    assert abs(int(guess.sum()) - drafted) <= 3


def test_several_logs_are_planned_each_and_all_together(log, command, tmp_path):
    one, two = (
        log(writers.vllm(120, [94, 73], 240), "a.log"),
        log(writers.request(80, [40, 20], 160), "b.log"),
    )
    log("nothing of interest", "c.log")
    for words in (f"log={one},{two}", f"log={tmp_path}"):
        code, printed = command(words, "--json")
        plans = json.loads(printed)
        assert code == 0 and [plan["read"]["calls"] for plan in plans] == [120, 80, 200]
        assert plans[2]["log"] == "all together" and plans[2]["read"]["accepted_by_position"] == [134, 93]
    code, printed = command(f"log={tmp_path}")
    assert "left out: " in printed and "c.log: no statistic of speculative decoding found" in printed
    assert simlab.plan(log=[one, two]).source["read"]["calls"] == 200
    assert simlab.plan(log=tmp_path).source["read"]["calls"] == 200


def test_logs_of_different_windows_are_planned_one_by_one(log, command):
    one, two = log(writers.vllm(120, [94, 73], 240), "a.log"), log(writers.vllm(80, [40], 80), "b.log")
    code, printed = command(f"log={one},{two}")
    assert code == 0 and "the logs have windows 2, 1: they are planned one by one, not together" in printed
    with pytest.raises(SimlabError, match="the logs have windows 2, 1"):
        simlab.plan(log=[one, two])


def test_two_engines_in_one_log_have_a_plan_each(log, command):
    path = log(
        "\n".join([writers.vllm(120, [94, 73], 240), writers.sglang(2.17, 0.54), writers.vllm(9, [5], 9)])
    )
    plans = json.loads(command(f"log={path}", "--json")[1])
    assert [(plan["read"]["engine"], plan["read"]["window"]) for plan in plans] == [
        ("vLLM", 2), ("vLLM", 1), ("SGLang", 3)
    ]  # fmt: skip


def test_a_pipe_is_read_once_for_several_loads(monkeypatch, command):
    text = (writers.vllm(120, [94, 73], 240) + "\n").encode()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(text))))
    code, printed = command("log=-", "cost.draft=1", "cost.target=[10,11,12]", "concurrency=1,2")
    assert code == 0 and "best window by load: log of standard input: vLLM" in printed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing", "no statistic of speculative decoding found. Looked for JSON with acceptance_histogram"),
        ("\0\1", "is not a text"),
        (writers.vllm(10, [8, 6], 20).replace("Drafted: 20", "Drafted: 2"), "accepted = 14 of drafted = 2"),
        ("draft acceptance rate = 0.57 (  171 accepted /   297 generated)", "give window=3 or so"),
    ],
    ids=["nothing", "binary", "contradiction", "window"],
)
def test_mistakes_are_one_line(log, command, text, told):
    code, printed = command(f"log={log(text)}")
    assert code == 2 and told in printed and printed.count("\n") == 1
