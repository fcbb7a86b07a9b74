"""`simlab run`, `reproduce` and `status`, in process: every config in the smoke tier, grids, verdicts."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from simlab.cli.config.reproduce_list import listed_experiments
from simlab.cli.config.settings import settings_from
from simlab.cli.main import main
from simlab.cost import CostModel
from simlab.decoders import (
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    MultiDraftSpeculative,
    Speculative,
    TreeSpeculative,
)
from simlab.experiments import EXPERIMENTS, experiment_module
from simlab.pairs import mixture, pair_identity, paper
from simlab.runs import Ledger, Task
from simlab.theory import optimal_policy, predict, sequence_total_variation
from tests.exact import same

PAIRS = ["paper", "dirichlet", "softmax", "mixture", "bernoulli", "uniform", "corpus", "file"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        assert main([*words]) == code, capsys.readouterr()
        return capsys.readouterr().out

    return call


def told(exact):
    """`exact`, written out and read again, by this or another machine's arithmetic."""
    return pytest.approx(exact, rel=1e-12, abs=1e-15)


def only(tmp_path, name):
    """The one file of that name under the results."""
    (path,) = (tmp_path / "results").rglob(name)
    return path


def _words(pair, tmp_path):
    if pair in ("bernoulli", "uniform"):
        return [f"pair={pair}", "pair.horizon=20"]  # of one token, a running average is too short to tell
    if pair != "file":
        return [f"pair={pair}"]
    paper(20, 5, seed=3).save(tmp_path / "mine.npz")
    return ["pair=file", "pair.path=mine.npz"]


@pytest.mark.figures
@pytest.mark.parametrize(
    ("experiment", "pair"),
    [*(("fig2", pair) for pair in PAIRS), *(("fig5", pair) for pair in ("paper", "corpus", "file"))],
)
def test_every_figure_runs_on_every_pair_in_the_smoke_tier(run, tmp_path, experiment, pair):
    out = run("run", f"experiment={experiment}", "tier=smoke", "run=serial", *_words(pair, tmp_path))
    folder = only(tmp_path, f"{experiment}.png").parent
    assert folder.name.startswith(f"{experiment}-{pair}")
    for ending in ("png", "svg", "csv"):
        assert (folder / f"{experiment}.{ending}").stat().st_size > 1000
    table = pd.read_csv(folder / f"{experiment}.csv")
    assert (table.low <= table.simulated + 1e-12).all() and (table.simulated <= table.high + 1e-12).all()
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert {verdict["status"] for verdict in verdicts} == {"PASS"}, out
    assert ("The paper prints E[N_rej] = 16.41" in out) == (experiment == "fig2" and pair == "paper")


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", ["autoregressive", "speculative", "batch", "biased", "tree"])
@pytest.mark.parametrize("pair", ["paper", "corpus"])
def test_every_decoder_runs_in_a_study(run, tmp_path, decoder, pair):
    run("run", f"decoder={decoder}", f"pair={pair}", "run=serial", "trajectories=400000")
    table = pd.read_parquet(only(tmp_path, "study.parquet"))
    assert table[["verdict", "verdict_law", "verdict_tokens"]].values.tolist() == [["PASS"] * 3]
    assert table.decoder.tolist() == [decoder] and table.trajectories.tolist() == [400000]
    assert (table.rejections_low <= table.rejections_exact).all()
    assert (table.rejections_exact <= table.rejections_high).all()
    # A table without biased decoders, or trees, has the columns that it had before there were any.
    if decoder == "biased":
        assert table.verdict_total_variation.tolist() == ["PASS"]
    else:
        assert not [name for name in table if "total_variation" in name or name == "kl"]
    if decoder == "tree":
        assert table.verdict_bonus_tokens.tolist() == ["PASS"]
    else:
        assert not [name for name in table if "call" in name or "bonus" in name]


@pytest.mark.statistical
def test_a_grid_of_several_drafts(run, tmp_path):
    out = run("run", "decoder=batch,multidraft", "pair.horizon=4", "run=serial", "trajectories=400000")
    table = pd.read_parquet(only(tmp_path, "study.parquet"))
    assert table["decoder.drafts"].tolist() == ["4", "[4,2,1]"]
    verdicts = table[[name for name in table if name.startswith("verdict")]]
    assert set(verdicts.iloc[1]) == {"PASS"}, out
    exact = predict(paper(4), MultiDraftSpeculative())
    row = table.iloc[1]
    assert row.drafted_tokens_exact == told(exact.expected_drafted_tokens)
    assert row.drafted_tokens == pytest.approx(exact.expected_drafted_tokens, rel=0.01)
    assert row.speedup == pytest.approx(row.speedup_exact, rel=0.02)


@pytest.mark.statistical
def test_a_grid_of_biased_decoders(run, tmp_path):
    words = ["decoder=biased", "decoder.epsilon=0.1,0.2", "decoder.replacement=optimal,draft"]
    out = run("run", *words, "pair.horizon=6", "run=serial", "trajectories=400000")
    table = pd.read_parquet(only(tmp_path, "study.parquet"))
    points = [(epsilon, law) for epsilon in (0.1, 0.2) for law in ("optimal", "draft")]
    assert list(zip(table["decoder.epsilon"], table["decoder.replacement"], strict=True)) == points
    assert set(table[[name for name in table if name.startswith("verdict")]].values.flat) == {"PASS"}
    for point, (_, row) in zip(points, table.iterrows(), strict=True):
        decoder = BiasedSpeculative(*point)
        exact, bracket = predict(paper(6), decoder), sequence_total_variation(paper(6), decoder)
        assert (row.rejections_exact, row.kl) == told((exact.expected_rejections, exact.sequence_kl))
        assert (row.total_variation_exact_low, row.total_variation_exact_high) == told(tuple(bracket))
        assert row.total_variation_low < row.total_variation < row.total_variation_high
        assert row.total_variation == pytest.approx(bracket.middle, abs=0.01)
    assert (
        out.count("sequence total variation") == 4
        and out.count("tokens follow the predicted distribution") == 4
    )


@pytest.mark.statistical
def test_a_grid_of_tree_decoders(run, tmp_path):
    words = ["decoder=tree", "decoder.capacity=1,4,16", "decoder.drafted_by=target,draft"]
    out = run("run", *words, "pair.horizon=12", "run=serial", "trajectories=400000")
    table = pd.read_parquet(only(tmp_path, "study.parquet"))
    points = list(itertools.product((1, 4, 16), ("target", "draft")))
    assert list(zip(table["decoder.capacity"], table["decoder.drafted_by"], strict=True)) == points
    assert set(table[[name for name in table if name.startswith("verdict")]].values.flat) == {"PASS"}
    for point, (_, row) in zip(points, table.iterrows(), strict=True):
        exact = predict(paper(12), TreeSpeculative(*point))
        assert row.target_calls_exact == told(exact.expected_target_calls)
        assert row.tokens_per_call_exact == told(exact.tokens_per_call) and pd.isna(row.acceleration_exact)
        assert row.rejections_exact == told(exact.expected_rejections)
        assert row.rejections_exact < row.target_calls_exact
        assert row.target_calls_low < row.target_calls < row.target_calls_high
        assert row.target_calls == pytest.approx(row.target_calls_exact, abs=0.02)
    assert out.count("E[target calls]") == out.count("distribution of target calls") == 6
    assert out.count("tokens follow the target") == out.count("E[bonus tokens]") == 6
    assert "N_rej" not in out
    assert len(json.loads(run("status", "--json"))) == 6


WINDOWS = {
    "decoder=speculative decoder.window=3 decoder.bonus=true": Speculative(3, True),
    "decoder=speculative decoder.window=2": Speculative(2),
    "decoder=block decoder.window=3": BlockSpeculative(3),
    "decoder=confidence decoder.threshold=0.3 decoder.window=4": ConfidenceSpeculative(0.3, 4),
    "decoder=confidence decoder.threshold=0.1 decoder.window=4 decoder.signal=cumulative": (
        ConfidenceSpeculative(0.1, 4, "cumulative")
    ),
}


@pytest.mark.statistical
@pytest.mark.parametrize("words", WINDOWS)
def test_every_decoder_of_windows_runs_in_a_study(run, tmp_path, words):
    run("run", *words.split(), "pair.horizon=7", "run=serial", "trajectories=400000", "cost.draft=0.2")
    (row,) = pd.read_parquet(only(tmp_path, "study.parquet")).to_dict("records")
    exact = predict(paper(7), WINDOWS[words])
    cost = CostModel(0.2, 1)
    assert [row[name] for name in row if name.startswith("verdict")] == ["PASS"] * 6
    for name, value in {
        "target_calls": exact.expected_target_calls,
        "drafted_tokens": exact.expected_drafted_tokens,
        "speedup": cost.speedup(exact),
    }.items():
        assert row[f"{name}_exact"] == told(value)
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        assert row[name] == pytest.approx(value, rel=0.01)
    assert row["acceptance_rate_exact"] == told(exact.acceptance_rate)
    assert row["acceptance_rate"] == pytest.approx(exact.acceptance_rate, abs=0.01)
    assert row["tokens_per_call"] == pytest.approx(row["tokens_per_call_exact"], rel=0.01)
    assert (row["cost.draft"], row["cost.target"]) == (0.2, 1)


@pytest.mark.statistical
def test_policies_are_optimal_or_read_and_named_by_their_digest(run, tmp_path):
    words = ["pair.horizon=6", "run=serial", "trajectories=100000", "cost.draft=0.3"]
    policy = optimal_policy(paper(6), CostModel(0.3, 1))
    np.save(tmp_path / "mine.npy", policy.windows)
    np.savetxt(tmp_path / "mine.csv", policy.windows, fmt="%d", delimiter=",")
    for name in ("optimal", "mine.npy", "mine.csv"):
        run("run", "decoder=adaptive", f"decoder.policy={name}", *words)
    tables = [pd.read_csv(path) for path in (tmp_path / "results").rglob("study.csv")]
    assert len(tables) == 3 and {table["decoder.policy"][0] for table in tables} == {policy.digest}
    assert len({table.task[0] for table in tables}) == 1
    (status,) = json.loads(run("status", "--json"))
    assert status["decoder"] == {"name": "adaptive", "policy": policy.digest, "bonus": True}
    assert f"adaptive (bonus, policy={policy.digest[:8]})" in run("status")
    other = run("predict", "decoder=adaptive", "cost.draft=0.3", "pair.horizon=6", "--json")
    assert json.loads(other)["decoder"]["windows"] == policy.windows.tolist()
    cheap = json.loads(run("predict", "decoder=adaptive", "cost.draft=0.01", "pair.horizon=6", "--json"))
    assert np.sum(cheap["decoder"]["windows"]) > policy.windows.sum()


@pytest.mark.statistical
def test_windows_beside_other_decoders_in_one_table(run, tmp_path):
    words = ["pair.horizon=5", "run=serial", "trajectories=20000"]
    run("run", "decoder=speculative,tree,block,batch", *words)
    table = pd.read_csv(only(tmp_path, "study.csv"))
    assert table.drafted_tokens.isna().tolist() == [True, True, False, True]
    assert table.drafted_tokens_exact.isna().tolist() == [False, True, False, False]
    assert table.verdict_drafted_tokens.isna().tolist() == [True, True, False, True]
    assert table.target_calls.isna().tolist() == [True, False, False, True]
    assert table.speedup_exact[0] == told(CostModel(0.05, 1).speedup(predict(paper(5), Speculative())))


@pytest.mark.statistical
@pytest.mark.parametrize("wrong", ["target_calls", "drafted_tokens"])
def test_calls_and_drafted_tokens_of_another_window_fail(run, tmp_path, wrong):
    """Negative control: one histogram alone is another decoder's; all else is right."""
    from simlab import simulate

    decoders = [Speculative(window, True) for window in (3, 4)]
    counts, other = (simulate(paper(6), decoder, trajectories=100_000) for decoder in decoders)
    histogram = getattr(other, wrong)[: len(getattr(counts, wrong))]
    histogram = histogram + (counts.trajectories - histogram.sum()) * (np.arange(len(histogram)) == 1)
    task = Task(pair_identity(paper(6), "paper", horizon=6), decoders[0], 0)
    (tmp_path / "results").mkdir()
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        ledger.add_task(task)
        ledger.save([(task.id, 0, 100_000, dataclasses.replace(counts, **{wrong: histogram}))])
    words = ["decoder.window=3", "decoder.bonus=true", "pair.horizon=6", "trajectories=100_000", "run=serial"]
    run("run", *words, code=1)
    verdicts = json.loads(only(tmp_path, "verdicts.json").read_text())
    failed = [verdict["name"].split(": ")[1] for verdict in verdicts if verdict["status"] == "FAIL"]
    calls = ["E[target calls]", "distribution of target calls"]
    assert failed == (calls if wrong == "target_calls" else ["E[drafted tokens]"])


@pytest.mark.statistical
def test_trees_beside_other_decoders_in_one_table(run, tmp_path):
    run("run", "decoder=speculative,tree,biased", "pair.horizon=6", "run=serial", "trajectories=20000")
    table = pd.read_csv(only(tmp_path, "study.csv"))
    assert table.target_calls.isna().tolist() == [True, False, True]
    assert table.verdict_bonus_tokens.isna().tolist() == [True, False, True]
    assert table.verdict_total_variation.isna().tolist() == [True, True, False]
    exact = [
        predict(paper(6), decoder) for decoder in (Speculative(), TreeSpeculative(), BiasedSpeculative())
    ]
    assert table.target_calls_exact.tolist() == told([one.expected_target_calls for one in exact])
    assert table.loc[1, ["total_variation_exact_low", "total_variation_exact_high", "kl"]].tolist() == [0] * 3


@pytest.mark.statistical
def test_calls_of_another_capacity_fail(run, tmp_path):
    """Negative control: the calls alone are another decoder's; all else is right."""
    from simlab import simulate

    decoders = [TreeSpeculative(capacity) for capacity in (8, 9)]
    counts, other = (simulate(paper(6), decoder, trajectories=100_000) for decoder in decoders)
    task = Task(pair_identity(paper(6), "paper", horizon=6), decoders[0], 0)
    (tmp_path / "results").mkdir()
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        ledger.add_task(task)
        ledger.save([(task.id, 0, 100_000, dataclasses.replace(counts, target_calls=other.target_calls))])
    words = ["decoder=tree", "decoder.capacity=8", "pair.horizon=6", "trajectories=100_000", "run=serial"]
    run("run", *words, code=1)
    verdicts = json.loads(only(tmp_path, "verdicts.json").read_text())
    failed = [verdict["name"].split(": ")[1] for verdict in verdicts if verdict["status"] == "FAIL"]
    assert failed == ["E[target calls]", "distribution of target calls"]


@pytest.mark.statistical
def test_biased_and_unbiased_decoders_in_one_table(run, tmp_path):
    run("run", "decoder=speculative,biased", "pair.horizon=6", "run=serial", "trajectories=20000")
    table = pd.read_csv(only(tmp_path, "study.csv"))
    assert table.decoder.tolist() == ["speculative", "biased"]
    assert table.total_variation.isna().tolist() == [True, False]
    assert table.verdict_total_variation.isna().tolist() == [True, False]
    assert table.loc[0, ["total_variation_exact_low", "total_variation_exact_high", "kl"]].tolist() == [0] * 3


@pytest.mark.statistical
def test_deviations_of_another_epsilon_fail(run, tmp_path):
    """Negative control: the deviations alone are another decoder's; all else is right."""
    from simlab import simulate

    decoders = [BiasedSpeculative(epsilon, "target") for epsilon in (0.01, 0.02)]
    counts, other = (simulate(paper(6), decoder, trajectories=100_000) for decoder in decoders)
    task = Task(pair_identity(paper(6), "paper", horizon=6), decoders[0], 0)
    (tmp_path / "results").mkdir()
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        ledger.add_task(task)
        ledger.save([(task.id, 0, 100_000, dataclasses.replace(counts, deviations=other.deviations))])
    words = ["decoder=biased", "decoder.epsilon=0.01", "decoder.replacement=target", "pair.horizon=6"]
    run("run", *words, "trajectories=100_000", "run=serial", code=1)
    verdicts = json.loads(only(tmp_path, "verdicts.json").read_text())
    assert [verdict["name"].split(": ")[1] for verdict in verdicts if verdict["status"] == "FAIL"] == [
        "sequence total variation"
    ]


@pytest.mark.statistical
def test_a_grid_on_the_command_line_is_one_tidy_table(run, tmp_path):
    words = ["decoder=batch", "decoder.drafts=1,2,4,8", "pair.horizon=50,100", "run=serial"]
    run("run", *words, "trajectories=20000")
    table = pd.read_csv(only(tmp_path, "study.csv"))
    assert table[["decoder.drafts", "pair.horizon"]].values.tolist() == [
        [drafts, horizon] for drafts in (1, 2, 4, 8) for horizon in (50, 100)
    ]
    pd.testing.assert_frame_equal(table, pd.read_parquet(only(tmp_path, "study.parquet")), check_dtype=False)
    assert table.task.nunique() == 8
    for _, row in table.iterrows():
        exact = predict(paper(row["pair.horizon"]), BatchSpeculative(row["decoder.drafts"]))
        assert row.rejections_exact == told(exact.expected_rejections)


@pytest.mark.statistical
def test_a_grid_in_a_config_and_over_pairs(run, tmp_path):
    run("run", "experiment=drafts", "trajectories=2000", "run=serial", "pair.horizon=9")
    table = pd.read_csv(only(tmp_path, "drafts.csv"))
    assert table["decoder.drafts"].tolist() == [1, 2, 4, 8] and (table["pair.horizon"] == 9).all()
    run("run", "pair=corpus,mixture", "pair.horizon=5", "trajectories=2000", "run=serial")
    table = pd.read_csv(only(tmp_path, "study.csv"))
    assert table.pair.tolist() == ["corpus", "mixture"]
    assert table["pair.blur"].isna().tolist() == [True, False]


@pytest.mark.statistical
def test_a_run_may_stop_at_a_half_width(run, tmp_path):
    run("run", "half_width=0.05", "trajectories=10_000_000", "batch_size=4096", "run=serial")
    table = pd.read_csv(only(tmp_path, "study.csv"))
    row = table.iloc[0]
    assert row.trajectories < 1_000_000 and row.trajectories % 4096 == 0
    assert (row.rejections_high - row.rejections_low) / 2 <= 0.05
    verdicts = json.loads(only(tmp_path, "verdicts.json").read_text())
    assert verdicts[0]["method"] == "confidence sequence"
    assert all("at each of 2442 sizes" in verdict["method"] for verdict in verdicts[1:])


@pytest.mark.figures
def test_other_settings_never_overwrite_a_figure(run, tmp_path):
    words = ["run", "experiment=fig2", "run=serial", "trajectories=2000", "tier.running_average=200"]
    for more in ([], ["pair.seed=11"], ["decoder=batch"], ["pair.horizon=9", "confidence=0.99"]):
        run(*words, *more)
    made = sorted(path.parent.name for path in (tmp_path / "results").rglob("fig2.png"))
    assert len(made) == 4 and all(len(name) < 60 for name in made)
    for start in ("confidence=0.99-horizon=9-", "decoder=batch-", "seed=11-"):
        assert any(start in name for name in made), made


@pytest.mark.figures
def test_figures_as_pdf_lie_in_the_same_folder_and_the_page_reads_them(run, tmp_path):
    words = ["run", "experiment=fig2", "run=serial", "trajectories=2000", "tier.running_average=200"]
    run(*words)
    folder = only(tmp_path, "fig2.png").parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    out = run(*words, "figures=pdf")
    assert str(only(tmp_path, "fig2.pdf").relative_to(tmp_path)) in out
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("fig2.png", "fig2.svg", "fig2.csv", "verdicts.json"):
        assert after[name] == before[name]
    assert "fig2.pdf" in json.loads(after["outcome.json"])["figures"][0]["files"]
    run("report")
    assert "fig2.pdf" in (tmp_path / "results" / "report" / "index.html").read_text()


def test_a_sample_too_small_to_tell_is_inconclusive_not_a_pass(run, tmp_path):
    run("run", "trajectories=50", "run=serial")
    verdicts = json.loads(only(tmp_path, "verdicts.json").read_text())
    assert {verdict["status"] for verdict in verdicts} == {"INCONCLUSIVE"}


@pytest.mark.statistical
def test_a_verdict_that_fails_makes_the_exit_code_1(run, tmp_path):
    """Negative control: the ledger is fed with honest counts of another pair under this task's name."""
    from simlab import simulate

    task = Task(pair_identity(paper(50), "paper"), Speculative(), 0)
    other = mixture(50, 7)
    (tmp_path / "results").mkdir()
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        ledger.add_task(task)
        ledger.save([(task.id, 0, 100_000, simulate(other, Speculative(), trajectories=100_000))])
    out = run("run", "trajectories=100_000", "run=serial", code=1)
    assert out.count("FAIL") == 3


SOME = "reproduce=[['experiment=fig2'],['experiment=fig3'],['experiment=fig2','pair=corpus']]"


@pytest.mark.figures
def test_reproduce_runs_what_is_listed_and_writes_one_file_of_verdicts(run, tmp_path):
    """A part of the list: each experiment has tests of its own, and the next test plans them all."""
    sizes = ["trajectories=30000", "tier.running_average=1000"]
    out = run("reproduce", "tier=smoke", "output=here", SOME, *sizes)
    verdicts = json.loads((tmp_path / "here" / "report" / "verdicts.json").read_text())["verdicts"]
    experiments = {verdict["experiment"] for verdict in verdicts}
    assert experiments == {"Figure 2 on paper", "Figure 3", "Figure 2 on corpus"}
    assert not [verdict for verdict in verdicts if verdict["status"] == "FAIL"]
    assert f"{len(verdicts)} verdicts: " in out
    status = json.loads(run("status", "output=here", "--json"))
    assert {task["trajectories"] for task in status} == {1000, 30000}
    assert "tasks" in run("status", "output=here")
    assert (tmp_path / "here" / "report" / "index.html").stat().st_size > 100_000


@pytest.mark.statistical
def test_reproduce_lists_every_experiment_and_each_can_be_planned():
    planned = []
    for configs in listed_experiments(["tier=smoke"]):
        points = [settings_from(config) for config in configs]
        module = experiment_module(points[0].experiment)
        planned.append(points[0].experiment)
        assert all(job.task.id for job in module.plan(points).jobs)
    assert set(planned) == set(EXPERIMENTS)


def test_predictions_as_a_table_and_as_json(run, tmp_path):
    assert "16.404890" in run("predict")
    rows = run("predict", "decoder=batch", "decoder.drafts=1,2,inf", "pair.horizon=50").splitlines()
    assert ["15.002349" in row for row in rows[-3:]] == [False, True, False]
    document = json.loads(run("predict", "decoder=batch", "decoder.drafts=inf", "--json"))
    assert document["decoder"] == {"name": "batch", "drafts": "inf"}
    pmf = np.array(document["rejections_pmf"])
    assert pmf @ np.arange(51) == pytest.approx(document["expected_rejections"], abs=1e-12)
    assert np.shape(document["token_marginals"]) == (50, 7)
    assert [point["horizon"] for point in json.loads(run("predict", "pair.horizon=3,4", "--json"))] == [3, 4]
    assert json.loads(run("predict", "pair=mixture", "pair.blur=0", "--json"))["acceleration"] > 1e10


def test_predictions_as_a_csv_file(run, tmp_path):
    words = ["pair.horizon=5", "decoder.window=null,2", "cost.draft=0.1"]
    printed = run("predict", *words, "csv=new/sizes.csv")
    assert printed.endswith("written: new/sizes.csv\n")
    text = (tmp_path / "new" / "sizes.csv").read_text()
    assert text.splitlines()[2].startswith("paper,5,7,10,5,7,speculative,2,")  # whole numbers stay whole
    rows = list(csv.DictReader(text.splitlines()))
    documents = json.loads(run("predict", *words, "csv=again.csv", "--json"))
    assert (tmp_path / "again.csv").read_text() == text
    for row, document in zip(rows, documents, strict=True):
        for name in ("expected_rejections", "tokens_per_call", "acceptance_rate", "speedup"):
            assert float(row[name]) == document[name]
        assert float(row["sd"]) == pytest.approx(math.sqrt(document["variance"]), rel=1e-12)
        law, median = np.cumsum(document["rejections_pmf"]), int(row["rejections_median"])
        assert law[median] >= 0.5 and (law[:median] < 0.5).all()
    assert [row["acceleration"] == "" for row in rows] == [one["acceleration"] is None for one in documents]


def test_a_biased_prediction_as_csv_brackets_its_total_variation(run, tmp_path):
    words = ["pair.horizon=4", "decoder=biased", "decoder.epsilon=0,0.2"]
    documents = json.loads(run("predict", *words, "csv=bias.csv", "--json"))
    rows = list(csv.DictReader((tmp_path / "bias.csv").read_text().splitlines()))
    for row, document in zip(rows, documents, strict=True):
        told = {end: float(row[f"total_variation_{end}"]) for end in ("low", "high")}
        assert told == document["total_variation"]
        assert float(row["sequence_kl"]) == document["sequence_kl"]


@pytest.mark.commands
def test_predictions_of_biased_decoding(run):
    words = ["decoder=biased", "pair.horizon=4"]
    grid = run("predict", *words, "decoder.epsilon=0,0.1", "decoder.replacement=optimal,target").splitlines()
    heading, *rows = grid[-5:]
    assert heading.split()[-2:] == ["TV", "KL"]
    assert rows[0].split()[-2:] == ["0.000000", "0.000000"]
    for row, (epsilon, law) in zip(rows, itertools.product((0, 0.1), ("optimal", "target")), strict=True):
        decoder = BiasedSpeculative(epsilon, law)
        bracket, kl = sequence_total_variation(paper(4), decoder), predict(paper(4), decoder).sequence_kl
        assert row.split()[-2:] == [f"{bracket.low:.6f}", f"{kl:.6f}"]
    document = json.loads(run("predict", *words, "decoder.epsilon=0.1", "--json"))
    assert document["decoder"] == {"name": "biased", "epsilon": 0.1, "replacement": "optimal"}
    exact = predict(paper(4), BiasedSpeculative(0.1))
    assert document["sequence_kl"] == told(exact.sequence_kl)
    assert document["total_variation"]["low"] <= document["total_variation"]["high"]
    np.testing.assert_allclose(document["output_chain"], exact.output_chain, rtol=1e-12)
    assert "TV" not in run("predict") and "total_variation" not in json.loads(run("predict", "--json"))
    mixed = run("predict", "decoder=speculative,biased", "pair.horizon=4").splitlines()
    assert mixed[-2].split()[-2:] == ["0.000000", "0.000000"]
    assert run("predict", "decoder=biased").splitlines()[-2].split()[-2] == "to"  # a bracket, at T = 50


def test_predictions_of_trees(run):
    words = ["decoder=tree", "pair.horizon=9"]
    grid = run("predict", *words, "decoder.capacity=1,8", "decoder.drafted_by=target,draft").splitlines()
    heading, *rows = grid[-5:]
    assert heading.split()[-2:] == ["E[calls]", "tokens/call"]
    for row, point in zip(rows, itertools.product((1, 8), ("target", "draft")), strict=True):
        exact = predict(paper(9), TreeSpeculative(*point))
        printed = [f"{exact.expected_target_calls:.6f}", f"{exact.tokens_per_call:.4f}"]
        assert row.split()[-2:] == printed
    assert "calls" not in run("predict")
    for decoder, settings in (("tree", TreeSpeculative()), ("speculative", Speculative())):
        document = json.loads(run("predict", f"decoder={decoder}", "pair.horizon=9", "--json"))
        exact = predict(paper(9), settings)
        assert document["expected_target_calls"] == told(exact.expected_target_calls)
        assert document["tokens_per_call"] == told(9 / exact.expected_target_calls)
        assert document["target_calls_pmf"] == told(exact.target_calls_pmf.tolist())


def test_predictions_of_windows(run):
    words = ["pair.horizon=9", "cost.draft=0.1"]
    out = run("predict", *words, "decoder.window=1,4", "decoder.bonus=true,false").splitlines()
    heading, *rows = out[-5:]
    assert heading.split()[-5:] == ["E[calls]", "tokens/call", "E[drafted]", "accepted", "speed-up"]
    assert max(map(len, out)) <= 100 and "cost  draft=0.1, target=1" in out
    for row, point in zip(rows, itertools.product((1, 4), (True, False)), strict=True):
        exact = predict(paper(9), Speculative(*point))
        numbers = [exact.expected_target_calls, exact.tokens_per_call, exact.expected_drafted_tokens]
        numbers += [exact.acceptance_rate, CostModel(0.1, 1).speedup(exact)]
        assert row.split()[-5:] == [f"{number:.4f}" for number in numbers]
    single = run("predict", *words, "decoder=block")
    assert "5%, median, 95%" in single and "speed-up" in single
    plain = run("predict", *words)
    assert "speed-up" not in plain and "cost" not in plain


def test_predictions_of_windows_as_json_leave_nothing_out(run):
    document = json.loads(run("predict", "decoder=confidence", "pair.horizon=9", "--json"))
    exact = predict(paper(9), ConfidenceSpeculative())
    for name in ("expected_drafted_tokens", "expected_accepted_tokens", "acceptance_rate", "tokens_per_call"):
        assert document[name] == told(getattr(exact, name))
    for name in ("drafted_by_position", "reached_by_position", "accepted_by_position"):
        assert document[name] == told(getattr(exact, name).tolist())
    assert document["cost"] == {"draft": 0.05, "target": 1}
    assert document["speedup"] == told(CostModel(0.05, 1).speedup(exact))
    none = json.loads(run("predict", "decoder=tree", "pair.horizon=3", "--json"))
    assert none["speedup"] is none["expected_drafted_tokens"] is None and none["drafted_by_position"] == []
    limit = json.loads(run("predict", "decoder=batch", "decoder.drafts=inf", "--json"))
    assert limit["expected_drafted_tokens"] == "inf" and limit["speedup"] == 0
    alone = json.loads(run("predict", "decoder.bonus=true", "pair.horizon=1", "--json"))
    assert alone["acceptance_rate"] is None
    same(alone["speedup"], 1.0, "one token takes exactly one call, whatever the sum over tokens rounds to")


def test_an_output_that_the_target_cannot_give_diverges(run, tmp_path):
    np.savez(tmp_path / "mine.npz", draft=np.eye(2)[None], target=np.eye(2)[None, ::-1], initial=[1, 0])
    words = ["pair=file", "pair.path=mine.npz", "decoder=biased", "decoder.replacement=draft"]
    assert "inf" in run("predict", *words).splitlines()[-1]
    assert json.loads(run("predict", *words, "--json"))["sequence_kl"] == "inf"
    run("run", *words, "trajectories=1000", "run=serial")
    assert pd.read_csv(only(tmp_path, "study.csv")).kl.tolist() == [np.inf]


def test_help_is_there_for_every_command(run):
    for words in ([], ["--help"], ["predict", "--help"], ["reproduce", "-h"], ["status", "--help"]):
        assert "usage: simlab" in run(*words)
    assert run("--version").startswith("simlab ")
