"""`simlab.plan` is what `simlab plan` prints, for every source; and what it says beside the table."""

import json

import numpy as np
import pandas
import pytest

import simlab
from simlab import CostModel, SimlabError, WindowPlan
from simlab.cli.main import main

COUNTS = "position,drafted,accepted\n1,1200,940\n2,1200,733\n3,1200,560\n"
COST = ["cost.draft=10.35", "cost.target=30.74"]
RATES = [0.805, 0.632, 0.483]


@pytest.fixture
def printed(capsys, tmp_path, monkeypatch):
    """The document and the text that the command prints, in a folder with counts.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts.csv").write_text(COUNTS)
    monkeypatch.setattr("simlab.cli.plan._draw", lambda *_: [])

    def run(*words):
        assert main(["plan", *words, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert main(["plan", *words]) == 0
        return document, capsys.readouterr().out.partition("\n\nwritten")[0]

    return run


@pytest.mark.parametrize(
    ("words", "keywords"),
    [
        (["acceptance=0.8"], {"acceptance": 0.8}),
        (["acceptance=0.8", "windows=[100,200]"], {"acceptance": 0.8, "windows": [100, 200]}),
        (["acceptance=1", "longest=3"], {"acceptance": 1, "longest": 3}),
        (["rates=counts.csv", "confidence=0.9"], {"rates": "counts.csv", "confidence": 0.9}),
        (["rates=[0.805,0.632,0.483]"], {"rates": RATES}),
        (["rates=[0.805,0.632,0.483]", "longest=2"], {"rates": np.array(RATES), "longest": 2}),
        (
            ["rates={drafted:[90,90],accepted:[60,30]}"],
            {"rates": {"drafted": [90, 90], "accepted": [60, 30]}},
        ),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_the_command_line_only_spells_it(printed, words, keywords):
    document, text = printed(*words, *COST)
    plan = simlab.plan(**keywords, cost=CostModel(10.35, 30.74))
    assert plan.document() == document
    assert str(plan) == text


def test_a_pair_is_told_by_its_size_in_python(printed):
    document, text = printed("pair=paper", "pair.horizon=6")
    plan = simlab.plan(pair=simlab.pairs.paper(6))
    assert plan.document() == {**document, "pair": {"states": 7, "horizon": 6}}
    assert str(plan).splitlines()[1:] == text.splitlines()[1:]
    assert plan.label == "pair of 7 states, horizon 6"


def test_the_table_is_a_data_frame():
    plan = simlab.plan(rates=pandas.DataFrame({"drafted": [90, 80], "accepted": [60, 30]}))
    table = plan.table()
    assert list(table) == [
        "window", "tokens_per_call", "drafted_per_call", "time_per_token", "speedup", "low", "high", "near"
    ]  # fmt: skip
    assert table.to_dict("records") == plan.document()["windows"]
    assert list(simlab.plan(acceptance=0.8).table().columns)[-2:] == ["speedup", "near"]


def test_a_plan_is_readable():
    plan = simlab.plan(rates=RATES, cost=CostModel(10.35, 30.74))
    assert isinstance(plan, WindowPlan) and plan.best == 2
    assert plan.best_speedup == pytest.approx((1 + 0.805 + 0.632) / (1 + 2 * 10.35 / 30.74), rel=1e-12)
    assert repr(plan) == (
        "WindowPlan(rates 0.805, 0.632, 0.483; best window 2: speed-up 1.456; windows 2 and 3 are within 2%)"
    )
    assert repr(plan)[11:36] in str(plan) and plan.summary in str(plan)


@pytest.mark.parametrize(
    "rates",
    [
        RATES,
        tuple(RATES),
        np.array(RATES),
        np.array(RATES, np.float32),
        pandas.Series(RATES, index=[7, 8, 9]),
        {"acceptance": RATES},
        pandas.DataFrame({"position": [1, 2, 3], "acceptance": RATES}),
        {"conditional": [0.805, 0.632 / 0.805, 0.483 / 0.632]},
    ],
    ids=["list", "tuple", "array", "float32", "series", "dict", "frame", "conditional"],
)
def test_ways_to_give_the_same_rates(rates):
    found = simlab.plan(rates=rates).tokens_per_call
    np.testing.assert_allclose(found, 1 + np.append(0, np.cumsum(RATES)), rtol=1e-7)


def test_many_rates_have_a_short_label():
    plan = simlab.plan(rates=[0.9**i for i in range(1, 31)])
    assert plan.label.endswith("(30 positions)") and len(plan.label) < 70


LONGEST = "the best window is the longest looked at"


@pytest.mark.parametrize(
    ("keywords", "remark"),
    [
        ({"acceptance": 0.8, "longest": 4}, "; longer windows may be better: give longest=8"),
        ({"acceptance": 0.8, "windows": [2, 4]}, "; longer windows may be better: give longest=8 instead"),
        ({"acceptance": 0.8, "longest": 8}, "; by the formula no longer one is better"),
        ({"acceptance": 0.8, "longest": 9}, None),
        ({"acceptance": 0.8}, None),
        ({"acceptance": 1.0}, "; longer windows are better still: the speed-up tends to 20"),
        ({"acceptance": 1.0, "longest": 1000}, "; longer windows may be better: give windows=[2000]"),
        ({"acceptance": 0.01}, None),
        ({"rates": RATES}, ""),
        ({"rates": RATES, "longest": 2}, "; longer windows may be better: give longest=3"),
        ({"rates": RATES, "windows": 2}, "; longer windows may be better: give longest=3 instead of windows"),
        ({"rates": RATES, "cost": CostModel(10.35, 30.74)}, None),
        ({"pair": 30, "longest": 3}, "; longer windows may be better: give longest=6"),
        ({"pair": 30, "windows": [1, 2]}, "; longer windows may be better: give longest=4 instead"),
        ({"pair": 4}, "; the horizon has no room for a longer one"),
        ({"pair": 30}, None),
    ],
    ids=str,
)
def test_the_longest_window_looked_at_is_told_where_it_is_the_best(keywords, remark):
    if "pair" in keywords:
        keywords = {**keywords, "pair": simlab.pairs.paper(keywords["pair"])}
    plan = simlab.plan(**keywords)
    found = [line.removeprefix(LONGEST) for line in plan.remarks if line.startswith(LONGEST)]
    assert (remark is None) == (found == [])
    assert remark is None or found[0].startswith(remark)


@pytest.mark.parametrize(
    ("keywords", "remark"),
    [
        ({"acceptance": 0.8, "windows": [100, 200]}, "window 8, which was not asked for, has speed-up 3.092"),
        (
            {"rates": [0.5, 0.1, 0.0], "windows": 3, "cost": CostModel(0.3)},
            "window 1, which was not asked for",
        ),
        ({"rates": [0.1, 0.1], "windows": 2, "cost": CostModel(0.3)}, "nor does any other window that was"),
        ({"pair": "far", "windows": [8], "cost": CostModel(0.2)}, "window 2, which was not asked for"),
        ({"acceptance": 0.2, "windows": [4], "cost": CostModel(0.3)}, "no window pays unless the acceptance"),
    ],
    ids=str,
)
def test_windows_asked_for_that_do_not_pay_are_no_advice_against_drafting(keywords, remark):
    if keywords.get("pair") == "far":
        draft, target = [[0.5, 0.5]] * 2, [[0.1, 0.9]] * 2
        keywords = {**keywords, "pair": simlab.ChainPair.stationary(draft, target, [1, 0], 40)}
    plan = simlab.plan(**keywords)
    assert plan.best == 0 and plan.best_speedup == 1 and "do not draft" not in str(plan)
    assert plan.summary.startswith("none of the windows asked for pays: the best of them, window ")
    assert any(remark in line for line in plan.remarks)


def test_rates_without_counts_say_that_they_have_no_intervals():
    plan = simlab.plan(rates=RATES, confidence=0.9)
    assert plan.confidence is None and any(line.startswith("no intervals") for line in plan.remarks)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "nothing to plan from: give one of acceptance=0.8"),
        ({"acceptance": 0.8, "rates": RATES}, "acceptance and rates to plan from"),
        (
            {"acceptance": [0.8, 0.9]},
            "acceptance: expected one number in [0, 1]; rates by position are rates=",
        ),
        (
            {"acceptance": "64.4%"},
            "acceptance = '64.4%' is not valid; expected a finite number >= 0 and <= 1",
        ),
        ({"acceptance": 64.4}, "acceptance = 64.4"),
        ({"acceptance": 0.8, "confidence": 0.9}, "confidence: only what is planned from measured counts"),
        ({"acceptance": 0.8, "cost": 0.05}, "cost = 0.05 is not valid; expected a simlab.CostModel"),
        ({"acceptance": 0.8, "windows": [2], "longest": 3}, "windows and longest: give one of them"),
        (
            {"acceptance": 0.8, "windows": np.array([1.5])},
            "windows = 1.5 is not valid; expected a whole number",
        ),
        (
            {"rates": 0.8},
            "rates = 0.8: expected the path of a CSV, or rates by position, e.g. rates=[0.8,0.6",
        ),
        ({"rates": ["80%"]}, "rates = ['80%']: expected the path of a CSV, or rates by position"),
        ({"rates": [[0.8], [0.6]]}, "expected the path of a CSV, or rates by position"),
        ({"rates": np.zeros((100, 100))}, "expected the path of a CSV, or rates by position"),
        ({"rates": [80.5]}, "rates, position 1: acceptance = 80.5 is not valid; expected a rate in [0, 1]"),
        (
            {"rates": [0.5, float("nan")]},
            "rates, position 2: acceptance = nan is not valid; expected a rate in [0, 1]",
        ),
        (
            {"rates": [0.5, 0.6]},
            "rates, position 2: acceptance rises from 0.5 to 0.6: the rate of all calls falls",
        ),
        ({"rates": []}, "rates: give one number for each position, at least one"),
        ({"rates": {"drafted": [9, 9], "accepted": [8]}}, "rates: give one number for each position"),
        ({"rates": {"drafted": [9], "accepted": [10]}}, "rates, position 1: accepted = 10 of drafted = 9"),
        (
            {"rates": {"drafted": [9]}},
            "rates: the columns drafted are none of those known; expected the columns",
        ),
        ({"rates": {"model": [9]}}, "rates: no column 'model'; expected the columns drafted,accepted or acc"),
        ({"rates": RATES, "windows": 4000}, "a window of 4000, and 3 were measured: give at most 1003"),
        ({"mean_length": 2.6}, "mean_length: give the window it was measured with too, e.g. window=3"),
        (
            {"mean_length": 4.6, "window": 3},
            "mean_length = 4.6 is not valid; expected a finite number >= 1 and <= 4",
        ),
        (
            {"acceptance_rate": 64, "window": 3},
            "acceptance_rate = 64 is not valid; expected a finite number >= 0 and <= 1",
        ),
        ({"acceptance": 0.6, "window": 3}, "window: only acceptance_rate and mean_length and log take"),
        ({"rates": RATES, "confidence": 1}, "confidence = 1 is not valid; expected a number below 1"),
        (
            {"rates": "absent.csv"},
            "rates: no file absent.csv; expected the path of a CSV, or rates by position",
        ),
        ({"pair": np.zeros((99, 99))}, "pair: ndarray is not a pair; expected a simlab.ChainPair"),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_one_line(keywords, message):
    with pytest.raises(SimlabError) as caught:
        simlab.plan(**keywords)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
