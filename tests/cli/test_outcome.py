"""outcome.json and timing.json: all that came out, the same wherever it ran, and what it took."""

from __future__ import annotations

import json
import math
from itertools import count
from types import SimpleNamespace

import pytest

from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import settings_from
from simlab.cli.main import main
from simlab.cli.output.documents import plain, settings_document, to_json
from simlab.experiments import study
from simlab.experiments.common.outcome import Outcome
from simlab.runs import work
from simlab.verify import Check

SMALL = ["run=serial", "trajectories=2000", "tier.running_average=200"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        assert main([*words]) == code, capsys.readouterr()
        return capsys.readouterr().out

    return call


def documents(folder, name="outcome.json"):
    return {path.parent.name: json.loads(path.read_text()) for path in folder.rglob(name)}


@pytest.mark.figures
def test_the_outcome_of_a_figure_says_where_it_comes_from(run, tmp_path):
    run("run", "experiment=fig2", *SMALL)
    (folder,) = (tmp_path / "results").glob("fig2-*")
    outcome = json.loads((folder / "outcome.json").read_text())
    assert outcome["title"] == "Figure 2 on paper" and outcome["experiment"] == "fig2"
    assert outcome["command"] == "simlab run experiment=fig2 trajectories=2000 tier.running_average=200"
    assert outcome["settings"]["pair.seed"] == 10 and outcome["settings"]["tier"] == "smoke"
    assert outcome["versions"].keys() >= {"simlab", "python", "numpy", "numba", "machine"}
    assert [task["trajectories"] for task in outcome["tasks"]] == [2000, 200]
    assert outcome["trajectories"] == 2200
    assert outcome["verdicts"] == [
        {key: value for key, value in verdict.items() if key != "experiment"}
        for verdict in json.loads((folder / "verdicts.json").read_text())
    ]
    (figure,) = outcome["figures"]
    assert figure["files"] == ["fig2.png", "fig2.svg", "fig2.csv"] and "rejections" in figure["caption"]
    assert all((folder / name).exists() for name in figure["files"])
    assert outcome["notes"] and outcome["checks"] == outcome["tables"] == []


def test_a_grid_lists_what_differs(run, tmp_path):
    run("run", "decoder=batch", "decoder.drafts=1,2", *SMALL)
    (outcome,) = documents(tmp_path).values()
    assert outcome["settings"]["decoder.drafts"] == [1, 2] and outcome["settings"]["decoder"] == "batch"
    assert [task["decoder"] for task in outcome["tasks"]] == [
        {"name": "batch", "drafts": 1},
        {"name": "batch", "drafts": 2},
    ]


def only_timing(folder, start: str) -> dict:
    """The timing.json of the one folder whose name starts so."""
    (found,) = [one for name, one in documents(folder, "timing.json").items() if name.startswith(start)]
    return found


@pytest.fixture
def clock(monkeypatch):
    """A second passes between any two looks of a worker at its clock."""
    monkeypatch.setattr(work, "time", SimpleNamespace(perf_counter=count().__next__))


def test_timing_is_of_all_that_was_simulated_whoever_asked_for_it(run, clock, tmp_path):
    run("run", "pair.horizon=4,5", *SMALL)
    first = only_timing(tmp_path, "study-paper-")
    assert first["simulating"]["trajectories"] == 4000 and first["simulating"]["worker_seconds"] == 2
    run("run", "pair.horizon=4,5", *SMALL)  # nothing is left to simulate: the times stay
    run("run", "pair.horizon=5", *SMALL)
    again = only_timing(tmp_path, "study-paper-horizon=4,5-")
    alone = only_timing(tmp_path, "study-paper-horizon=5-")
    assert again["simulating"] == first["simulating"]
    assert alone["simulating"] == {"trajectories": 2000, "worker_seconds": 1}
    assert alone["backend"] == {"name": "serial"} and alone["presenting"]["seconds"] >= 0


def test_settings_are_the_same_however_they_were_spelled():
    def settings(*words):
        points = [settings_from(config) for config in compose_points(words)]
        return settings_document(points, "smoke")

    assert settings("experiment=fig2") == settings("pair=paper", "experiment=fig2", "pair.horizon=50")
    assert settings("experiment=fig2") != settings("experiment=fig2", "pair.horizon=49")


def test_what_json_has_no_number_for_is_text():
    assert plain({"a": (math.inf, -math.inf, math.nan), 2: True}) == {"a": ["inf", "-inf", "nan"], "2": True}
    assert json.loads(to_json(plain({"x": 0.1, "n": None})), parse_constant=pytest.fail) == {
        "x": 0.1,
        "n": None,
    }


@pytest.mark.parametrize(("status", "code"), [("PASS", 0), ("INCONCLUSIVE", 0), ("FAIL", 1)])
def test_a_theorem_check_counts_as_a_verdict_does(run, monkeypatch, tmp_path, status, code):
    check = Check(
        "theorem 9", "own", "1 = 1", "left", 1.0, "right", math.inf, -math.inf, 1e-12, status, "all"
    )

    def present(planned, results):
        return Outcome("checked", tmp_path / "results" / "checked", checks=[check])

    monkeypatch.setattr(study, "present", present)
    out = run("run", *SMALL, code=code)
    assert status in out and "theorem 9" in out and " inf " in out
    assert documents(tmp_path)["checked"]["checks"][0]["right_value"] == "inf"
