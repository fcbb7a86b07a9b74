"""Tasks of random environments on the command line: documents, status and the page say what was simulated."""

from __future__ import annotations

import json
import re

import pytest

import simlab
from simlab.cli.main import main
from simlab.experiments import study
from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Outcome, figure_metadata
from simlab.laws import Dirichlet, rows_of_pair
from simlab.runs import EnvironmentTask, Job, Task, Trajectories

PAIR = simlab.pairs.paper(horizon=4)
LAWS = (Dirichlet(8, 0.25), rows_of_pair(PAIR, source="rows of a paper"))
JOBS = [
    *(Job(EnvironmentTask(law, (1, 30), 5), law, Trajectories(40)) for law in LAWS),
    Job(Task({"generator": "paper", "horizon": 4}, simlab.Speculative(), 5, 1000), PAIR, Trajectories(2000)),
]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Call a command line where the study has these jobs; returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "plan", lambda points: Planned(points[0], JOBS))
    monkeypatch.setattr(study, "present", lambda planned, results: Outcome("Laws", tmp_path / "results/laws"))

    def call(*words):
        assert main([*words]) == 0, capsys.readouterr()
        return capsys.readouterr().out

    return call


def test_the_documents_count_environments_apart_from_trajectories(command, tmp_path):
    command("run", "run=serial")
    outcome = json.loads((tmp_path / "results/laws/outcome.json").read_text())
    assert (outcome["trajectories"], outcome["environments"]) == (2000, 80)
    first, second, third = outcome["tasks"]
    assert first == {
        "id": JOBS[0].task.id,
        "law": {"law": "dirichlet", "states": 8, "concentration": 0.25},
        "capacities": [1, 30],
        "seed": 5,
        "batch_size": 256,
        "environments": 40,
    }
    assert second["law"]["source"] == "rows of a paper" and third["trajectories"] == 2000
    timing = json.loads((tmp_path / "results/laws/timing.json").read_text())
    assert (timing["simulating"]["trajectories"], timing["simulating"]["environments"]) == (2000, 80)
    assert timing["simulating"]["worker_seconds"] >= 0


def test_status_shows_both_kinds(command):
    command("run", "run=serial")
    out = command("status")
    assert re.search(r"task +pair +decoder", out) and re.search(r"task +distribution +capacities", out)
    assert (
        "dirichlet (states=8, concentration=0.25)" in out or "dirichlet (concentration=0.25, states=8)" in out
    )
    assert "1 .. 30" in out and "source=rows of a paper" in out
    assert "3 tasks, 2,000 trajectories and 80 environments in" in out
    documents = {one["task"]: one for one in json.loads(command("status", "--json"))}
    one = documents[JOBS[0].task.id]
    assert (one["environments"], one["batches"], one["capacities"]) == (40, 1, [1, 30])
    (value,) = simlab.runs.run(JOBS[:1]).values()
    assert one["mean_accepted"] == pytest.approx(value.counts.values[:, -1].mean(), rel=1e-12)
    assert documents[JOBS[2].task.id]["mean_rejections"] > 0


@pytest.mark.figures
def test_the_page_says_what_was_simulated(command, tmp_path):
    command("run", "run=serial")
    command("report")
    page = (tmp_path / "results/report/index.html").read_text()
    assert "2,000 trajectories of 1 task" in page and "80 random environments of 2 tasks" in page
    assert "2,000; 80 environments" in page
    assert "1 task of 2,000 trajectories; 2 tasks of 40 environments; 80 in all" in page
    assert (
        "dirichlet (states 8; concentration 0.25)" in page
        or "dirichlet (concentration 0.25; states 8)" in page
    )
    assert "rows of a paper (" in page and "2 tasks of random environments" in page and "1 to 30" in page


def test_a_document_that_is_torn_is_told(command, tmp_path, capsys):
    command("run", "run=serial")
    path = tmp_path / "results/laws/outcome.json"
    document = json.loads(path.read_text())
    del document["tasks"][0]["law"]
    path.write_text(json.dumps(document))
    assert main(["report"]) == 2
    assert "laws: outcome.json is incomplete: KeyError 'law'" in capsys.readouterr().err


def test_a_figure_says_how_many_environments():
    results = simlab.runs.run(JOBS)
    metadata = figure_metadata("simlab run", JOBS, [results[job.task.id] for job in JOBS])
    assert metadata["Environments"] == "40, 40" and metadata["Trajectories"] == "2000"
