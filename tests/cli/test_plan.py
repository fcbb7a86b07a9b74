"""`simlab plan`: its numbers are the theory's, its intervals hold, its mistakes are one line."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import simlab
from simlab import CostModel
from simlab.cli.main import main
from simlab.theory import memoryless


@pytest.fixture
def drawn(capsys, tmp_path, monkeypatch):
    """Run `simlab plan` in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main(["plan", *words]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def plan(drawn, monkeypatch):
    """The same without the picture, which takes most of the time."""
    monkeypatch.setattr("simlab.cli.plan._draw", lambda plans, folder, *_: [folder / "picture"])
    return drawn


@pytest.fixture
def complaint(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rates.csv").write_text("position,acceptance\n1,0.8\n2,0.6\n3,0.4\n")

    def run(*words):
        assert main(["plan", *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1, printed
        return printed.err

    return run


COUNTS = "position,drafted,accepted\n1,1200,940\n2,1200,733\n3,1200,560\n4,1200,431\n5,1200,320\n"


def test_an_acceptance_gives_the_formulas(plan):
    document = json.loads(plan("acceptance=0.8", "cost.draft=0.1", "cost.target=2", "--json"))
    cost = CostModel(0.1, 2.0)
    assert document["acceptance"] == 0.8 and document["cost"] == {"draft": 0.1, "target": 2.0, "ratio": 0.05}
    assert document["best_window"] == memoryless.best_window(0.8, cost) == 8
    assert document["near"] == [list(memoryless.windows_within(0.8, cost, 0.02))] == [[6, 10]]
    assert [row["window"] for row in document["windows"]] == list(range(17))
    for row in document["windows"]:
        window = row["window"]
        assert row["tokens_per_call"] == pytest.approx(memoryless.tokens_per_call(0.8, window), rel=1e-12)
        assert row["drafted_per_call"] == window
        assert row["time_per_token"] == pytest.approx(memoryless.time_per_token(0.8, window, cost), rel=1e-12)
        assert row["speedup"] == pytest.approx(memoryless.speedup(0.8, window, cost), rel=1e-12)
        assert row["near"] == (6 <= window <= 10)


def test_the_table_marks_the_best_and_those_about_it(plan):
    printed = plan("acceptance=0.8")
    marked = {int(w): m for m, w in re.findall(r"^([*~ ])  (\d+) ", printed, re.M)}
    assert marked[8] == "*" and [w for w, m in marked.items() if m == "~"] == [6, 7, 9, 10]
    assert "best window 8: speed-up 3.092; windows 6 to 10 are within 2%" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.figures
def test_the_picture_its_numbers_and_the_same_bytes_again(drawn, tmp_path):
    (tmp_path / "rates.csv").write_text(COUNTS)
    folder = tmp_path / "results" / "plan"
    before = {}
    for words in ("acceptance=0.6,0.8", "rates=rates.csv", "rates=rates.csv"):
        printed = drawn(words)
        files = {path.name: path.read_bytes() for path in folder.glob(words.removesuffix(".csv") + "*")}
        assert sorted(Path(name).suffix for name in files) == [".csv", ".png", ".svg"]
        assert all(f"results/plan/{name}" in printed and len(name) < 64 for name in files)
        assert before.get(words, files) == files
        before[words] = files
    (tmp_path / "rates.csv").write_text(COUNTS.replace("940", "941"))
    drawn("rates=rates.csv")
    assert len(list(folder.glob("rates=rates-*.png"))) == 2
    rows = list(csv.DictReader((folder / "acceptance=0.6,0.8.csv").open()))
    assert [row["window"] for row in rows] == [str(window) for window in range(17)] * 2
    assert float(rows[17 + 8]["speedup"]) == pytest.approx(memoryless.speedup(0.8, 8, CostModel()), rel=1e-12)
    heading = next(folder.glob("rates=rates-*.csv")).read_text().partition("\n")[0].split(",")
    assert {"low", "high", "tokens_per_call", "cost_ratio"} <= set(heading)


@pytest.mark.figures
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["cost.draft=0.02", "acceptance=0.6,0.8"], "acceptance=0.6,0.8-cost.draft=0.02"),
        (["windows=[2,4]", "acceptance=0.8"], "acceptance=0.8-windows=2,4"),
        (["rates=[0.8,0.6]"], "rates=0.8,0.6"),
    ],
    ids=["the source first", "a list", "rates"],
)
def test_the_name_of_the_files_says_what_was_asked(drawn, tmp_path, words, name):
    drawn(*words)
    assert (tmp_path / "results" / "plan" / f"{name}.svg").exists()


def test_a_long_best_window_is_in_the_table(plan):
    document = json.loads(plan("acceptance=0.99", "cost.draft=0.001", "--json"))
    windows = [row["window"] for row in document["windows"]]
    assert document["best_window"] == 259 and windows == [*range(17), 32, 64, 128, 198, 256, 259, 341]
    assert document["near"] == [[198, 341]]


@pytest.mark.parametrize(
    ("words", "windows", "best", "near"),
    [
        (["longest=4"], [0, 1, 2, 3, 4], 4, [[4, 4]]),
        (["windows=[9,2,4,9]"], [0, 2, 4, 9], 9, [[9, 9]]),
        (["windows=7,10"], [0, 7, 10], 7, [[7, 10]]),
        (["windows=6"], [0, 6], 6, [[6, 6]]),
        (["windows=[1e1]"], [0, 10], 10, [[10, 10]]),
    ],
    ids=["longest", "a list", "commas", "one", "a float"],
)
def test_windows_that_are_asked_for(plan, words, windows, best, near):
    document = json.loads(plan("acceptance=0.8", *words, "--json"))
    assert [row["window"] for row in document["windows"]] == windows
    assert (document["best_window"], document["near"]) == (best, near)


def test_where_drafting_does_not_pay(plan):
    document = json.loads(plan("acceptance=0.5", "cost.draft=0.5", "--json"))
    assert document["best_window"] == 0 and document["best_speedup"] == 1 and document["near"] == []
    assert not any(row["near"] for row in document["windows"])
    printed = plan("acceptance=0", "cost.draft=0.5")
    assert "do not draft: the best of these, window 1, has speed-up 0.6667, against 1" in printed
    assert "no window pays unless the acceptance is above the cost ratio, 0.5" in printed


def test_certain_acceptance_has_no_best_window(plan):
    printed = plan("acceptance=1")
    assert (
        "best window 16" in printed and "longer windows are better still: the speed-up tends to 20" in printed
    )
    assert "better still" not in plan("acceptance=1", "longest=5")


def test_a_list_plans_each(plan):
    documents = json.loads(plan("acceptance=0.6,0.9", "cost.draft=0.01,0.1", "--json"))
    assert [(d["acceptance"], d["cost"]["draft"]) for d in documents] == [
        (0.6, 0.01), (0.9, 0.01), (0.6, 0.1), (0.9, 0.1)
    ]  # fmt: skip
    assert [d["best_window"] for d in documents] == [
        memoryless.best_window(a, CostModel(c)) for c in (0.01, 0.1) for a in (0.6, 0.9)
    ]


def test_measured_counts_have_intervals(plan, tmp_path):
    (tmp_path / "rates.csv").write_text(COUNTS)
    document = json.loads(plan("rates=rates.csv", "confidence=0.99", "--json"))
    rates = np.array([940, 733, 560, 431, 320]) / 1200
    expected = (1 + np.append(0, rates.cumsum())) / (1 + 0.05 * np.arange(6))
    np.testing.assert_allclose([row["speedup"] for row in document["windows"]], expected, rtol=1e-14)
    assert document["confidence"] == 0.99 and document["best_window"] == 5
    for row in document["windows"][1:]:
        assert row["low"] < row["speedup"] < row["high"]
    printed = plan("rates=rates.csv")
    assert "95% interval" in printed and "windows longer than 5 were not measured" in printed
    assert "by these intervals windows 4 and 5 could each be the best" in printed
    assert max(map(len, printed.partition("written")[0].splitlines())) <= 80


def test_an_interval_with_the_target_alone_in_it_is_told(plan, tmp_path):
    (tmp_path / "few.csv").write_text("position,drafted,accepted\n1,10,4\n2,8,2\n")
    printed = plan("rates=few.csv", "cost.draft=0.3")
    assert "by these intervals drafting may not pay at all" in printed
    assert "drafted falls from 10 to 8 by position" in printed


def test_counts_of_the_calls_that_came_so_far_are_noticed(plan, tmp_path):
    (tmp_path / "rates.csv").write_text("position,drafted,accepted\n1,1000,800\n2,800,600\n3,600,400\n")
    printed = plan("rates=rates.csv")
    assert "if it counts the calls that came so far" in printed and "drafted falls" not in printed


def test_many_rivals_are_told_in_a_line(plan, tmp_path):
    rows = [f"{place},100000,{int(1e5 * 0.99**place)}" for place in range(1, 101)]
    (tmp_path / "rates.csv").write_text("position,drafted,accepted\n" + "\n".join(rows))
    printed = plan("rates=rates.csv")
    rivals = next(line for line in printed.splitlines() if "could each be the best" in line)
    assert re.search(r"windows \d+ to \d+ could", rivals) and len(rivals) < 80


def test_a_home_folder_is_spelled_out(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.csv").write_text(COUNTS)
    assert "best window 5" in plan("rates='~/mine.csv'")


@pytest.mark.figures
def test_labels_tell_what_tells_plans_apart(monkeypatch, tmp_path):
    seen = []

    def draw(figure, plans, near):
        figure.add_subplot()
        seen.extend(plans)

    monkeypatch.setattr("simlab.report.planplot.draw_plans", draw)
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "pair=bernoulli,uniform", "pair.horizon=3,4", "longest=2"]) == 0
    assert [plan.label for plan in seen] == [
        f"pair {name}, horizon={horizon}" for name in ("bernoulli", "uniform") for horizon in (3, 4)
    ]
    assert main(["plan", "acceptance=0.999999"]) == 0
    assert seen[-1].label == "acceptance 0.999999"


def test_rates_without_counts_have_none(plan, tmp_path):
    (tmp_path / "rates.csv").write_text("position,acceptance\n1,0.8\n2,0.64\n3,0.2\n")
    document = json.loads(plan("rates=rates.csv", "cost.draft=0.25", "--json"))
    assert "confidence" not in document and "low" not in document["windows"][1]
    assert document["best_window"] == 2 and len(document["windows"]) == 4
    assert "not measured" not in plan("rates=rates.csv", "cost.draft=0.25")


def test_a_pair_is_planned_exactly(plan):
    words = ["pair=dirichlet", "pair.horizon=12", "pair.states=4", "cost.draft=0.15"]
    document = json.loads(plan(*words, "--json"))
    name = document["pair"].pop("name")
    pair = simlab.pairs.make_pair(name, **document["pair"])
    cost = CostModel(0.15, 1.0)
    best = simlab.best_window(pair, cost)
    assert document["best_window"] == best.window
    assert document["best_speedup"] == pytest.approx(best.speedup, rel=1e-12)
    assert [row["window"] for row in document["windows"]] == list(range(12))
    for row in document["windows"][1:]:
        exact = simlab.predict(pair, simlab.Speculative(row["window"], bonus=True))
        calls = exact.expected_target_calls
        assert row["tokens_per_call"] == pytest.approx(exact.tokens_per_call, rel=1e-12)
        assert row["drafted_per_call"] == pytest.approx(exact.expected_drafted_tokens / calls, rel=1e-12)
        assert row["speedup"] == pytest.approx(cost.speedup(exact), rel=1e-12)
    others = {other["rule"]: other["speedup"] for other in document["others"]}
    policy = simlab.AdaptiveSpeculative(simlab.optimal_policy(pair, cost))
    assert others["optimal policy"] == pytest.approx(cost.speedup(simlab.predict(pair, policy)), rel=1e-12)
    assert min(others["optimal policy"], others["confidence"]) >= best.speedup - 1e-12
    for name, decoder in (("history", simlab.HistorySpeculative()), ("streak", simlab.StreakSpeculative())):
        assert others[name] == pytest.approx(cost.speedup(simlab.predict(pair, decoder)), rel=1e-12)
    guess = memoryless.best_window(simlab.theory.mean_acceptance(pair), cost, longest=11)
    exact = cost.speedup(simlab.predict(pair, simlab.Speculative(guess, bonus=True)))
    assert others["memoryless formula"] == pytest.approx(exact, rel=1e-12) and exact <= best.speedup + 1e-12
    printed = plan(*words, "longest=2")
    assert "rule " in printed and "by position and token, 0 to 2" in printed


def test_block_verification_is_left_out_where_it_is_dear_and_that_is_told(plan, monkeypatch):
    words = ["pair=paper", "pair.horizon=5", "longest=2"]
    assert "block verification  window 2" in plan(*words)
    monkeypatch.setattr("simlab.planning.exact.DEAR", 5 * 7 * 7 - 1)
    assert "block verification  window 2" in plan(*words)  # so few prefixes are followed in no time
    monkeypatch.setattr("simlab.planning.exact.MANY", 5 * 7 * 7 * 8 - 1)
    printed = plan(*words)
    assert "block verification is left out" in printed and "optimal policy" in printed


def test_a_pair_with_room_for_no_draft(plan):
    printed = plan("pair=paper", "pair.horizon=1")
    assert "do not draft: there is nothing to draft" in printed


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing to plan from: give one of acceptance=0.8, acceptance_rate=0.6, "),
        (["cost.draft=0.1"], "nothing to plan from"),
        (["acceptance=0.8", "pair=corpus"], "acceptance and pair to plan from: give one of"),
        (["acceptance=0.8", "rates=rates.csv"], "acceptance and rates to plan from"),
        (["rates=rates.csv", "pair.horizon=9"], "rates and pair to plan from"),
        (["acceptance=1.2"], "acceptance = 1.2 is not valid; expected a finite number >= 0 and <= 1"),
        (["acceptance=-0.1"], "acceptance = -0.1"),
        (["acceptance=nan"], "acceptance = nan"),
        (["acceptance=high"], "acceptance = 'high'"),
        (["acceptance=null"], "nothing to plan from"),
        (["acceptance=0.8", "acceptance=0.9"], "acceptance is given twice"),
        (["~acceptance"], "~acceptance: leave acceptance out instead"),
        (["acceptance=0.8", "cost.draft=0"], "cost.draft = 0 is not valid; expected a finite number > 0"),
        (["acceptance=0.8", "cost.target=-1"], "cost.target = -1"),
        (["acceptance=0.8", "cost.verify=1"], "no setting cost.verify: cost has draft, target"),
        (
            ["acceptance=0.8", "windows=[0,1]"],
            "windows = 0 is not valid; expected a whole number of at least 1",
        ),
        (["acceptance=0.8", "windows=[]"], "windows = [] is not valid; expected at least one"),
        (["acceptance=0.8", "windows=[2.5]"], "windows = 2.5"),
        (["acceptance=0.8", "windows=few"], "windows = 'few'"),
        (["acceptance=0.8", "longest=0"], "longest = 0 is not valid; expected a whole number of at least 1"),
        (
            ["acceptance=0.8", "longest=1001"],
            "longest = 1001 is not valid; expected a whole number of at most 1000",
        ),
        (["acceptance=0.8", "longest=4,8"], "longest: give one number"),
        (["acceptance=0.8", "longest=4", "windows=[2]"], "windows and longest: give one of them"),
        (["acceptance=0.8", "confidence=0.9"], "confidence: only what is planned from measured counts"),
        (["acceptance=0.8", "decoder=batch"], "decoder=batch: simlab plan has acceptance, acceptance_rate, "),
        (["acceptance=0.8", "seed=1"], "seed=1: simlab plan has"),
        (["acceptance=0.8", "--csv"], "no option --csv: known are --json, --help"),
        (["acceptance"], "cannot read 'acceptance'"),
        (["rates=absent.csv"], "rates: no file absent.csv; expected the path of a CSV, or rates by position"),
        (
            ["rates=0.805,0.632,0.483"],
            "rates=0.805,0.632,0.483: no file 0.805; rates by position are given in brackets, rates=[0.805,",
        ),
        (["rates=0.8"], "rates by position are given in brackets, rates=[0.8]"),
        (["rates=[0.5,0.6]"], "rates, position 2: acceptance rises from 0.5 to 0.6"),
        (["acceptance=[0.8,0.6]"], "acceptance: expected one number in [0, 1]; rates by position are rates="),
        (["acceptance=64.4%"], "acceptance = '64.4%' is not valid; expected a finite number >= 0 and <= 1"),
        (["acceptance=0.8", "cost.target=1,1.2"], "cost.target=1,1.2: the times of forwards over 1, 2, 3.."),
        (["acceptance=0.8", "cost.target=[1,0.605]"], "by its last slope the table falls to 0 or below at 4"),
        (["acceptance=0.8", "cost.target=[]"], "cost.target: the table is empty"),
        (["acceptance=0.8", "cost.target={2: 1, 1: 1}"], "1 tokens come after 2: give each number once"),
        (
            ["acceptance=0.8", "cost.target=[1,-1]"],
            "cost.target of 2 tokens = -1 is not valid; expected a finite number > 0",
        ),
        (
            ["acceptance=0.8", "cost.target=[1,nan]"],
            "cost.target of 2 tokens = nan is not valid; expected a finite",
        ),
        (
            ["acceptance=0.8", "cost.target={base: 1}"],
            "cost.target = {'base': 1} is not valid; expected [t1,t2,..], {tokens",
        ),
        (["acceptance=0.8", "cost.target={4: 1}"], "the table starts at 4 tokens"),
        (["acceptance=0.8", "cost.target=1", "cost.target=2"], "cost.target is given twice"),
        (
            ["acceptance=0.8", "cost.overhead=-1"],
            "cost.overhead = -1 is not valid; expected a finite number >= 0",
        ),
        (
            ["acceptance=0.8", "cost.draft_call=[1]"],
            "cost.draft_call = [1] is not valid; expected a finite number >= 0",
        ),
        (
            ["acceptance=0.8", "concurrency=0"],
            "concurrency = 0 is not valid; expected a whole number of at least 1",
        ),
        (
            ["acceptance=0.8", "concurrency=1.5"],
            "concurrency = 1.5 is not valid; expected a whole number of at least 1",
        ),
        (["acceptance=0.8", "cost.target=absent.csv"], "a table, or a file that exists"),
        (["rates="], "rates = '' is not valid; expected the path of a file"),
        (["rates=null"], "rates = None is not valid; expected the path of a file"),
        (["rates=[rates.csv]"], "rates = ['rates.csv']: expected the path of a CSV, or rates by position"),
        (["acceptance=0.8", "cost.draft=1e-300", "cost.target=1e300"], "too far apart to compare"),
        (["rates=rates.csv", "windows=[2,9000]"], "a window of 9000, and 3 were measured: give at most 1003"),
        (["mean_length=2.6"], "mean_length: give the window it was measured with too, e.g. window=3"),
        (["mean_length=2.6", "window=3,4"], "window: give one number, the window measured"),
        (["rates=rates.csv", "confidence=1"], "confidence = 1 is not valid; expected a number below 1"),
        (["pair=papr"], "no pair 'papr'"),
        (
            ["pair=paper", "windows=[50]"],
            "windows: a window of 50, and with a horizon of 50 none is longer than 49",
        ),
        (
            ["pair=paper", "pair.horizon=1", "longest=2"],
            "with a horizon of 1 none is longer than 0: leave longest out",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(complaint, words, told):
    assert told in complaint(*words)


def test_help_says_how(capsys):
    assert main(["plan", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "position,drafted,accepted" in printed
    assert "This is not the acceptance rate that engines" in printed
    assert max(map(len, printed.splitlines())) <= 110


@pytest.mark.figures
def test_a_pdf_beside_the_figure_has_its_name(drawn, tmp_path):
    assert drawn("acceptance=0.8", "longest=3", "figures=pdf").endswith(
        "results/plan/acceptance=0.8-longest=3.pdf\n"
    )
    drawn("acceptance=0.8", "longest=3")
    folder = tmp_path / "results" / "plan"
    assert {path.suffix for path in folder.iterdir()} == {".png", ".svg", ".csv", ".pdf"}
    assert (folder / "acceptance=0.8-longest=3.pdf").read_bytes().startswith(b"%PDF-")
