"""`simlab run --multirun`: a figure a point, and in the end one table of all, as the grid without it has."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from simlab.cli import multirun
from simlab.cli.config.compose import together
from simlab.cli.main import main
from tests.cli.command import files

WORDS = "trajectories=3000 batch_size=1000 pair.horizon=6 run=serial".split()


def test_what_only_says_where_is_no_axis_of_the_table():
    words = [
        "seed=1,2",
        "+hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "pair=paper,mixture",
        "run=serial,loky",
    ]
    assert together(words) == ([["seed=1,2", "pair=paper,mixture", "run=serial"]], False)
    tables, sharded = together(["seed=1", "shard=1/2,2/2", "output=a,b", "experiment=fig2,study"])
    assert sharded
    assert tables == [["seed=1", f"output={o}", f"experiment={e}"] for o in "ab" for e in ("fig2", "study")]


@pytest.mark.commands
def test_a_grid_over_multirun_ends_in_the_table_of_the_grid(tmp_path):
    grid = [*WORDS, "decoder=batch", "decoder.drafts=1,2"]
    assert main(["run", *grid, f"output={tmp_path / 'grid'}"]) == 0
    assert main(["run", "--multirun", *grid, f"output={tmp_path / 'multi'}"]) == 0
    table = files(tmp_path / "grid")
    assert len({Path(name).parent for name in table}) == 1
    assert table.items() <= files(tmp_path / "multi").items()


@pytest.mark.commands
def test_shards_over_multirun_end_in_the_table_of_the_whole(tmp_path, capsys):
    assert main(["run", *WORDS, f"output={tmp_path / 'whole'}"]) == 0
    assert main(["run", "-m", *WORDS, "shard=1/2,2/2", f"output={tmp_path / 'shards'}"]) == 0
    assert files(tmp_path / "shards").items() >= files(tmp_path / "whole").items()


@pytest.mark.commands
def test_a_sweep_that_is_no_grid_and_one_of_single_figures_say_so_or_nothing(tmp_path, capsys):
    assert main(["run", "-m", *WORDS, "pair=glob(paper)", f"output={tmp_path / 'a'}"]) == 0
    assert "there is no table of all points: pair=glob(paper)" in capsys.readouterr().err
    (tmp_path / "mine" / "pair").mkdir(parents=True)
    (tmp_path / "mine" / "pair" / "ours.yaml").write_text("name: paper\nhorizon: 4\nstates: 3\nseed: 1\n")
    words = ["--config-dir", str(tmp_path / "mine"), "-m", *WORDS[:2], "run=serial", "pair=paper,ours"]
    assert main(["run", *words, f"output={tmp_path / 'b'}"]) == 0
    tables = [path.read_text().count("\n") for path in (tmp_path / "b").rglob("study.csv")]
    assert sorted(tables) == [
        2,
        2,
        3,
    ]  # with the heading: each alone, though they share a generator, and both


def test_a_mistake_of_a_job_in_another_process_is_one_line_and_its_exit_code(tmp_path, monkeypatch, capsys):
    def application(words, job):  # a launcher: its jobs say what they have to say in a file
        for end in ((0, ""), (2, "no such thing"), (2, "no such thing")):
            with tempfile.NamedTemporaryFile("w", dir=os.environ[multirun._CODES], delete=False) as file:
                json.dump(end, file)

    monkeypatch.setattr(multirun, "hydra_application", application)
    assert main(["run", "-m", *WORDS, "seed=1,2", f"output={tmp_path}"]) == 2
    assert capsys.readouterr().err == "simlab: no such thing\n"
    assert list((tmp_path / "multirun").iterdir()) == []


def test_what_submitit_raises_is_one_line(monkeypatch, tmp_path, capsys):
    def application(words, job):
        error = type("FailedJobError", (RuntimeError,), {"__module__": "submitit.core.utils"})
        raise error("Traceback\nsbatch: error: invalid partition\n")

    monkeypatch.setattr(multirun, "hydra_application", application)
    assert main(["run", "-m", *WORDS, "seed=1,2", f"output={tmp_path}"]) == 2
    assert capsys.readouterr().err.endswith("failed: Traceback; sbatch: error: invalid partition\n")
