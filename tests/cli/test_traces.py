"""`simlab predict trace=FILE` and `simlab plan trace=FILE` say what Python says, and mistakes in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas
import pytest

import simlab
from simlab.cli.main import main


@pytest.fixture
def trace(tmp_path, monkeypatch) -> simlab.Trace:
    """A small trace, also in t.csv of the working folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    ids = np.repeat(np.arange(40), 8)
    target = random.uniform(0.2, 1, len(ids))
    draft = np.minimum(target * random.uniform(0.3, 1.5, len(ids)), 1)
    made = simlab.Trace(
        ids, draft, target, draft_confidence=np.maximum(draft, 0.5), provenance={"models": ["a", "b"]}
    )
    made.write("t.csv")
    return made


def _json(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_predict_says_what_python_says(trace, capsys):
    words = ["predict", "trace=t.csv", "decoder.window=1,4", "decoder.bonus=true", "cost.draft=0.1"]
    documents = _json(capsys, *words)
    for window, found in zip((1, 4), documents, strict=True):
        exact = simlab.predict(trace, simlab.Speculative(window, bonus=True))
        assert found["tokens_per_call"] == pytest.approx(exact.tokens_per_call, rel=1e-12)
        assert found["accepted_by_position"] == pytest.approx(exact.accepted_by_position.tolist(), rel=1e-12)
        assert found["target_calls_pmf"] == pytest.approx(exact.target_calls_pmf.tolist(), abs=1e-12)
        low, high = found["intervals"]["tokens_per_call"]
        assert exact.interval("tokens_per_call")[1:] == pytest.approx((low, high), rel=1e-9)
        speedup = simlab.CostModel(0.1, 1).speedup(exact)
        assert found["speedup"]["lower"] == found["speedup"]["upper"] == pytest.approx(speedup, rel=1e-12)
        assert found["trace"]["provenance"] == {"models": ["a", "b"]}
        assert found["rao_blackwell_rejections"] is None  # no column total_variation
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "tokens/call" in table and "95% interval" in table and "speculative (window=4, bonus)" in table


def test_drafted_tokens_of_confidence_are_a_bracket(trace, capsys):
    found = _json(capsys, "predict", "trace=t.csv", "decoder=confidence", "decoder.threshold=0.55")
    exact = simlab.predict(trace, simlab.ConfidenceSpeculative(0.55))
    assert [*found["drafted_tokens"].values()] == pytest.approx([*exact.drafted_tokens], rel=1e-12)
    assert found["speedup"]["lower"] < found["speedup"]["upper"]
    assert found["expected_drafted_tokens"] is None and "acceptance_rate" not in found["intervals"]
    assert main(["predict", "trace=t.csv", "decoder=confidence", "decoder.threshold=0.55"]) == 0
    assert " to " in capsys.readouterr().out.partition("E[drafted]")[2].splitlines()[0]
    table = _json(capsys, "predict", "trace=t.csv", "decoder=confidence", "cost.target=[1,2]")
    assert table["speedup"] == {"lower": None, "upper": None}


def test_a_table_is_written(trace, capsys):
    words = ["predict", "trace=t.csv", "decoder=speculative,confidence,autoregressive", "csv=out.csv"]
    assert main(words) == 0
    assert "written: out.csv" in capsys.readouterr().out
    table = pandas.read_csv("out.csv", index_col="decoder")
    exact = simlab.predict(trace, simlab.Speculative())
    assert table.tokens_per_call["speculative"] == pytest.approx(exact.tokens_per_call, rel=1e-12)
    assert table.columns[0] == "trace" and table.speedup_low["autoregressive"] == 1.0


def test_several_traces_are_a_table(trace, capsys):
    trace.write("u.jsonl")
    assert main(["predict", "trace=t.csv,u.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "t.csv" in out and "u.jsonl" in out


@pytest.mark.parametrize(
    "cost", [simlab.CostModel(0.1, 1), simlab.CostModel(0.1, [1.0, 1.5, 1.6], 0.05, 0.01)]
)
def test_a_plan_is_made_of_predictions(trace, cost):
    plan = simlab.plan(trace=trace, cost=cost)
    assert plan.windows.tolist() == list(range(8))  # texts of 8 tokens have room for 7
    for row, window in enumerate(plan.windows.tolist()):
        exact = simlab.predict(
            trace, simlab.Speculative(window, bonus=True) if window else simlab.Autoregressive()
        )
        assert plan.speedup[row] == pytest.approx(cost.speedup(exact), rel=1e-12)
        assert plan.tokens_per_call[row] == pytest.approx(exact.tokens_per_call, rel=1e-12)
        assert plan.low[row] <= plan.speedup[row] <= plan.high[row]
        if window:
            alone = exact.speedup_interval(cost)
            assert plan.low[row] <= alone.low <= alone.estimate <= alone.high <= plan.high[row]
            assert alone.estimate == pytest.approx(plan.speedup[row], rel=1e-9)
    assert plan.best == plan.windows[plan.speedup.argmax()]
    assert plan.others[0]["rule"] == "memoryless formula"
    assert any("40 independent sequences" in remark for remark in plan.remarks)


def test_plan_prints_what_python_says(trace, capsys, monkeypatch):
    monkeypatch.setattr("simlab.cli.plan._draw", lambda *_: [])
    found = _json(capsys, "plan", "trace=t.csv", "cost.draft=0.2", "confidence=0.9", "windows=[2,3]")
    plan = simlab.plan(trace="t.csv", cost=simlab.CostModel(0.2), confidence=0.9, windows=[2, 3])
    assert found["best_window"] == plan.best and found["trace"]["path"] == "t.csv"
    assert [row["low"] for row in found["windows"]] == pytest.approx(plan.low.tolist(), rel=1e-12)
    assert main(["plan", "trace=t.csv", "windows=[2,3]"]) == 0
    out = capsys.readouterr().out
    assert "trace t.csv: 40 sequences, 320 tokens" in out and "95% interval" in out


@pytest.mark.figures
def test_plan_draws(trace, capsys):
    assert main(["plan", "trace=t.csv", "longest=3"]) == 0
    assert "results/plan/trace=t-longest=3" in capsys.readouterr().out


def test_texts_of_one_token_have_no_room():
    plan = simlab.plan(trace=simlab.Trace([0, 1], [0.5, 0.5], [0.5, 0.5]))
    assert plan.best == 0 and plan.windows.tolist() == [0]
    assert "texts of 1 token have no room for a drafted token" in plan.remarks


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("predict trace=none.csv", "no file none.csv"),
        ("plan trace=none.csv", "no file none.csv"),
        ("predict trace=torn.csv", "torn.csv.*torn"),
        ("plan trace=torn.csv", "torn.csv.*torn"),
        ("predict trace=t.csv decoder=batch", "column batch_rejection_4, which this one lacks"),
        ("predict trace=t.csv decoder=block", "a trace cannot predict block"),
        ("predict trace=t.csv decoder=adaptive", "takes its policy of a pair"),
        ("predict trace=t.csv pair=corpus", "pair=corpus: simlab predict trace=FILE has decoder"),
        ("predict trace=t.csv decoder.window=0", "window = 0"),
        ("predict trace=t.csv confidence=2", "confidence = 2"),
        ("predict trace=true", "trace = True is not valid; expected the path of a file"),
        ("plan trace=t.csv pair=corpus", "trace and pair to plan from|pair and trace to plan from"),
        ("plan trace=t.csv windows=[8]", "a window of 8, and the longest text has 8 tokens"),
        ("plan trace=t.csv confidence=1", "confidence = 1"),
    ],
)
def test_mistakes_are_one_line(trace, capsys, words, said):
    lines = Path("t.csv").read_text().splitlines(keepends=True)
    Path("torn.csv").write_text("".join(lines[:-1]))
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error), error


def test_only_traces_are_planned_from():
    with pytest.raises(simlab.SimlabError, match="trace: int is not a trace"):
        simlab.plan(trace=3)
