"""The WinRate study: the judge, the sizes, the verdicts and what they must catch."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from simlab.cli.main import main
from simlab.decoders import BiasedSpeculative
from simlab.decoding import sample_paths
from simlab.experiments.yin2024 import winrate
from simlab.pairs import dirichlet, paper
from simlab.theory import win_rates

pytestmark = pytest.mark.figures

SMALL = ["pair.horizon=8", "experiment.prompts=40", "experiment.pairs=300"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the study in an empty folder; returns its table and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        assert main(["run", "experiment=winrate", "run=serial", *words]) == code, capsys.readouterr()
        path = max((tmp_path / "results").rglob("matches.parquet"), key=lambda path: path.stat().st_mtime)
        return pd.read_parquet(path), capsys.readouterr()

    return call


def test_the_judge_adds_up_the_targets_log_probabilities():
    for pair in (paper(5), dirichlet(5, 4, stationary=True)):
        paths = sample_paths(pair, BiasedSpeculative(0.2), 200, seed=1)
        scores = winrate._judge(paths, winrate._log_likelihoods(pair))
        for score, start, tokens in zip(scores, paths.initial, paths.tokens, strict=True):
            last, likelihood = start, 1.0
            for t, token in enumerate(tokens):
                likelihood *= pair.target[t, last, token]
                last = token
            assert score == pytest.approx(np.log(likelihood), rel=1e-12)


def test_wins_ties_and_losses():
    own = np.array([-1.0, -2.0, -2.0, -np.inf, -np.inf, -5.0, -0.1 - 0.2 - 0.3])
    other = np.array([-2.0, -1.0, -2.0, -np.inf, -5.0, -np.inf, -0.3 - 0.2 - 0.1])
    assert own[-1] != other[-1]  # the same three numbers in another order
    np.testing.assert_array_equal(winrate._half_points(own, other), [2, 0, 1, 1, 0, 2, 1])


def test_the_table_is_what_the_theory_says(run):
    table, said = run(*SMALL)
    assert list(zip(table.epsilon, table.opponent, strict=True)) == [
        (epsilon, opponent) for epsilon in (0.1, 0.2, 0.4, 0.8) for opponent in ("target", "draft")
    ]
    assert set(table.verdict) <= {"PASS", "INCONCLUSIVE"} and "pythia" in said.out
    decoders = [
        (BiasedSpeculative(e), BiasedSpeculative(e, o)) for e, o in table[["epsilon", "opponent"]].values
    ]
    exact = win_rates(paper(8), decoders)
    told = table[["all_prompts_exact_low", "all_prompts_exact_high"]]
    np.testing.assert_allclose(told, exact, rtol=1e-12)
    assert (table.low < table.win_rate).all() and (table.win_rate < table.high).all()
    assert (table.all_prompts_low < table.low).all() and (table.high < table.all_prompts_high).all()
    assert (table.exact_low <= table.exact_high).all() and (table.exact_high - table.exact_low < 0.01).all()
    assert (table.prompts == 40).all() and (table.pairs == 300).all()
    assert (table.spread_of_prompts > 0).all() and ((table.ties >= 0) & (table.ties < 0.2)).all()


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_pass_whatever_the_seed(run, seed):
    words = ["experiment.prompts=100", "experiment.pairs=500", "experiment.epsilons=[0.05]", f"seed={seed}"]
    table, _ = run("pair.horizon=6", *words)
    assert table.verdict.tolist() == ["PASS", "PASS"]


def test_one_token_ties_often_and_is_exact(run):
    table, _ = run("pair.horizon=1", "experiment.pairs=400", "experiment.epsilons=[0,0.1,1]")
    assert set(table.verdict) == {"PASS"}
    assert np.allclose(table.exact_low, table.exact_high, rtol=0, atol=1e-12) and (table.ties > 0.05).all()
    # From epsilon = 1 on all three are the draft alone.
    assert table.exact_low[table.epsilon == 1].tolist() == pytest.approx([0.5, 0.5], abs=1e-12)


def test_another_opponent_or_epsilon_is_caught(run, monkeypatch):
    """Negative controls: the responses of one opponent are judged as the other's, then an epsilon's."""
    honest, words = winrate._responses, ["pair.horizon=20", "experiment.epsilons=[0.05]"]

    def swapped(settings, decoder, *rest):
        other = {"target": "draft", "draft": "target", "optimal": "optimal"}[decoder.replacement]
        return honest(settings, BiasedSpeculative(decoder.epsilon, other), *rest)

    def stricter(settings, decoder, *rest):
        epsilon = 0.0 if decoder.replacement == "target" else decoder.epsilon
        return honest(settings, BiasedSpeculative(epsilon, decoder.replacement), *rest)

    monkeypatch.setattr(winrate, "_responses", swapped)
    assert run(*words, code=1)[0].verdict.tolist() == ["FAIL", "FAIL"]
    monkeypatch.setattr(winrate, "_responses", stricter)
    assert run(*words, "seed=1", code=1)[0].verdict.tolist() == ["FAIL", "PASS"]


def test_the_same_command_leaves_the_same_bytes_and_another_seed_others(run, tmp_path):
    run(*SMALL)
    first = {path.name: path.read_bytes() for path in (tmp_path / "results").rglob("*inrate.*")}
    run(*SMALL)
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "results").rglob("*inrate.*")}
    assert set(first) == {"winrate.png", "winrate.svg", "winrate.csv"}
    before = pd.read_csv(next((tmp_path / "results").rglob("winrate.csv"))).win_rate
    again, _ = run(*SMALL, "seed=5")
    assert (again.win_rate != before).any()


def test_where_nothing_exact_is_computed_no_verdict_is_a_pass(run, monkeypatch):
    monkeypatch.setattr(winrate, "LARGEST", 10)
    table, said = run(*SMALL)
    assert set(table.verdict) == {"INCONCLUSIVE"} and "would take minutes" in said.out


def test_one_prompt_has_no_spread(run, tmp_path):
    table, _ = run("pair.horizon=4", "experiment.prompts=1", "experiment.epsilons=[0.1]")
    assert table.spread_of_prompts.isna().all()
    outcome = json.loads(next((tmp_path / "results").rglob("outcome.json")).read_text())
    assert [table["name"] for table in outcome["tables"]] == ["matches"] and outcome["tasks"] == []


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("experiment.epsilons=[]", "experiment.epsilons = [] is not valid; expected a list of numbers >= 0"),
        ("experiment.epsilons=0.1", "experiment.epsilons = 0.1 is not valid; expected a list"),
        (
            "experiment.epsilons=[-1]",
            "experiment.epsilons: epsilon = -1 is not valid; expected a finite number >= 0",
        ),
        (
            "experiment.epsilons=[nan]",
            "experiment.epsilons: epsilon = nan is not valid; expected a finite number",
        ),
        (
            "experiment.epsilons=[some]",
            "experiment.epsilons: epsilon = 'some' is not valid; expected a finite number",
        ),
        (
            "experiment.prompts=0",
            "experiment.prompts = 0 is not valid; expected a whole number of at least 1",
        ),
        ("experiment.pairs=2.5", "experiment.pairs = 2.5 is not valid; expected a whole number"),
        ("experiment.pairs=1000000000", "give at most 100,000,000 pairs in all"),
        ("pair.horizon=3,4", "draws one point"),
    ],
)
def test_mistakes_get_one_line(capsys, tmp_path, monkeypatch, word, complaint):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "experiment=winrate", word]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
