"""Temperature, top-k and top-p of any pair from the command line, and rows in float32 from a file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import pair_from
from simlab.cli.main import main
from simlab.pairs import ChainPair, make_pair, pair_identity, paper
from simlab.runs import Task


def rejections(pair) -> float:
    return simlab.predict(pair, simlab.Speculative()).expected_rejections


def predicted(capsys, *words):
    assert main(["predict", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_acceptance_against_temperature_is_one_line(capsys):
    found = predicted(capsys, "pair.horizon=6", "pair.processing.temperature=0,0.5,1,2")
    pair = paper(6)
    for document, temperature in zip(found, (0, 0.5, 1, 2), strict=True):
        expected = rejections(pair.processed(temperature=temperature))
        assert document["expected_rejections"] == pytest.approx(expected, rel=1e-12)
        assert document["pair"]["processing.temperature"] == temperature
        own = make_pair(document["pair"].pop("name"), **document["pair"])
        assert own.digest == pair.processed(temperature=temperature).digest
    assert main(["predict", "pair.horizon=6", "pair.processing.temperature=0.5"]) == 0
    assert "processing.temperature=0.5)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["bernoulli", "corpus", "dirichlet", "mixture", "paper", "softmax", "uniform"]
)
def test_every_generator_has_all_settings(capsys, name):
    settings = {"temperature": 0.8, "top_k": 3, "top_p": 0.9}
    settings |= {
        f"draft_{key}": value for key, value in [("temperature", 1.5), ("top_k", 4), ("top_p", 0.95)]
    }
    words = [f"pair.processing.{key}={value}" for key, value in settings.items()]
    found = predicted(capsys, f"pair={name}", "pair.horizon=3", *words)
    expected = rejections(make_pair(name, horizon=3).processed(**settings))
    assert found["expected_rejections"] == pytest.approx(expected, rel=1e-12)


def test_a_file_of_float32_rows_is_normalised_and_processed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = paper(3, 5).draft.astype(np.float32), paper(3, 5).target.astype(np.float32)
    np.savez("mine.npz", draft=rows[0], target=rows[1], initial=np.eye(5)[2])
    pair = ChainPair(*rows, np.eye(5)[2])
    found = predicted(capsys, "pair=file", "pair.path=mine.npz", "pair.processing.top_k=2,5")
    for document, top_k in zip(found, (2, 5), strict=True):
        expected = rejections(pair.processed(top_k=top_k))
        assert document["expected_rejections"] == pytest.approx(expected, rel=1e-12)


def identity(*words):
    (config,) = compose_points(words)
    name, options = pair_from(config)
    return pair_identity(make_pair(name, **options), name, **options)


@pytest.mark.commands
def test_a_pair_without_processing_is_the_task_it_was_and_one_with_it_another():
    plain = Task(pair_identity(paper(4), "paper", horizon=4), simlab.Speculative(), 0)
    for words in ([], ["pair.processing.temperature=1.0"], ["pair.processing.top_k=7"]):
        task = Task(identity("pair.horizon=4", *words), simlab.Speculative(), 0)
        assert task.id == plain.id
    others = [["temperature=0.5"], ["temperature=2"], ["draft_temperature=2"], ["top_k=6"], ["top_p=0.5"]]
    ids = {plain.id}
    for words in others:
        told = [f"pair.processing.{word}" for word in words]
        ids.add(Task(identity("pair.horizon=4", *told), simlab.Speculative(), 0).id)
    assert len(ids) == 1 + len(others)


def test_a_study_says_the_processing_in_its_table_and_its_folder(capsys, tmp_path):
    grid = "pair.processing.temperature=0.5,1"
    words = ["pair.horizon=3", "pair.states=3", "trajectories=2000", f"output={tmp_path}", "run=serial"]
    assert main(["run", *words, grid]) in (0, 1)
    assert "processing.temperature=0.5" in capsys.readouterr().out
    (folder,) = [path.parent for path in tmp_path.glob("*/study.csv")]
    assert "temperature" in folder.name
    table = pd.read_csv(folder / "study.csv")
    assert table["pair.processing.temperature"].tolist() == [0.5, 1]
    assert table["task"].nunique() == 2
    for _, row in table.iterrows():
        expected = rejections(paper(3, 3).processed(temperature=row["pair.processing.temperature"]))
        assert row["rejections_exact"] == pytest.approx(expected, rel=1e-12)
        assert row["rejections_low"] - 0.3 < expected < row["rejections_high"] + 0.3
    settings = json.loads((folder / "outcome.json").read_text())["settings"]
    assert settings["pair.processing.temperature"] == [0.5, 1]
    assert main(["run", *words]) in (0, 1)
    (plain,) = [path for path in tmp_path.glob("*/study.csv") if path.parent != folder]
    assert not [name for name in pd.read_csv(plain) if "processing" in name]


def test_the_help_says_what_a_file_holds_and_how_to_process(capsys):
    assert main(["predict", "--help"]) == 0
    told = capsys.readouterr().out
    for word in ("np.savez(", "initial", "horizon", "pair.processing.temperature", "top_p", "draft_top_k"):
        assert word in told
