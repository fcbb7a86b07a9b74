"""The installed command in real processes: same bytes however it runs, kill -9, Hydra's flags, a wheel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import SIMLAB, files, simlab

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parent.parent.parent
SMALL = ["trajectories=300000", "tier.running_average=1000", "batch_size=30000"]


def _rows(ledger: Path) -> list[tuple]:
    with sqlite3.connect(ledger) as db:
        rows = db.execute("SELECT * FROM batches ORDER BY task, batch, trajectories").fetchall()
    db.close()
    return rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files and ledger rows of a run in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    simlab("run", "experiment=fig5", "run=serial", *SMALL, cwd=folder)
    return files(folder / "results"), _rows(folder / "results" / "ledger.sqlite")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_leaves_the_same_bytes(undisturbed, tmp_path, workers):
    simlab("run", "experiment=fig5", f"run.workers={workers}", f"output={tmp_path}/out", *SMALL, cwd=tmp_path)
    assert files(tmp_path / "out") == undisturbed[0]
    assert _rows(tmp_path / "out" / "ledger.sqlite") == undisturbed[1]


def test_killed_and_called_again_it_leaves_the_same_bytes(undisturbed, tmp_path):
    words = [SIMLAB, "run", "experiment=fig5", "run.workers=2", *SMALL]
    ledger = tmp_path / "results" / "ledger.sqlite"
    killed = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (ledger.exists() and _saved(ledger)):
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = set(_rows(ledger))
    simlab(*words[1:], cwd=tmp_path)
    assert files(tmp_path / "results") == undisturbed[0]
    assert _rows(ledger) == undisturbed[1]
    assert before <= set(undisturbed[1])


def _saved(ledger: Path) -> bool:
    try:
        return bool(_rows(ledger))
    except sqlite3.OperationalError:
        return False


def test_drawing_again_samples_nothing(tmp_path):
    first = simlab("run", "experiment=fig2", *SMALL, cwd=tmp_path)
    before = files(tmp_path / "results")
    again = simlab("run", "experiment=fig2", *SMALL, cwd=tmp_path)
    assert "/s" in first.stderr and "/s" not in again.stderr  # no rate where nothing was simulated
    assert files(tmp_path / "results") == before
    assert again.stdout == first.stdout


def test_exact_numbers_are_the_same_bytes_for_any_number_of_blas_threads():
    """Two threads add a product of this size in another order than one: without the limit in
    `simlab.cli.main` the last digits differ."""
    words = ["predict", "pair=dirichlet", "pair.states=300", "pair.horizon=20", "--json"]
    one, two = (
        subprocess.run(
            [SIMLAB, *words], capture_output=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": n}
        ).stdout
        for n in "12"
    )
    assert one == two


def test_hydras_own_flags(tmp_path):
    out = simlab("run", "experiment=fig2", "pair=corpus", "--cfg", "job", cwd=tmp_path).stdout
    assert "draft_fraction: 0.02" in out and "name: fig2" in out
    assert (
        "pair: bernoulli, corpus, dirichlet, file, mixture, paper, softmax, uniform"
        in simlab("run", "--help", cwd=tmp_path).stdout
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_hydras_own_sweeps(tmp_path, launcher):
    words = ["experiment=fig2", "pair=paper,mixture", "pair.horizon=8", "run=serial", *SMALL, *launcher]
    simlab("run", "--multirun", *words, cwd=tmp_path)
    made = sorted(path.parent.name for path in (tmp_path / "results").rglob("fig2.png"))
    assert ["-".join(name.split("-")[:2]) for name in made] == ["fig2-mixture", "fig2-paper"]
    assert all("horizon=8" in name for name in made)


def test_a_users_own_config_folder(tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "dial.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /pair: mixture\n"
        "experiment: {name: study, title: dial}\ngrid: {pair.blur: [0.1, 0.5], pair.horizon: 4}\n"
    )
    simlab("run", "--config-dir", "mine", "experiment=dial", "run=serial", *SMALL, cwd=tmp_path)
    (table,) = (tmp_path / "results").rglob("dial.csv")
    assert len(table.read_text().splitlines()) == 3


def test_output_that_does_not_fit_on_the_disk(tmp_path):
    """A file size limit stands in for a full disk: writing beyond it fails in the same way."""
    script = f"ulimit -f 16; exec '{SIMLAB}' run experiment=fig2 run=serial {' '.join(SMALL)}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    complaint = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and complaint.startswith("simlab: "), done.stderr
    assert "Traceback" not in done.stderr
    simlab("run", "experiment=fig2", "run=serial", *SMALL, cwd=tmp_path)


def test_a_wheel_carries_conf_and_experiments(tmp_path):
    source = tmp_path / "source"
    for name in ("simlab", "experiments", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", tmp_path, source], check=True, timeout=300)
    (wheel,) = tmp_path.glob("simlab-*.whl")
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    where = [sys.executable, "-c", "import simlab, simlab.conf; print(simlab.__file__, simlab.conf.__file__)"]
    found = subprocess.run(where, env=env, cwd=elsewhere, capture_output=True, text=True, check=True).stdout
    assert found.count(str(tmp_path / "site")) == 2
    uncompiled = {**env, "NUMBA_DISABLE_JIT": "1"}  # the copy would compile all samplers anew
    few = ["trajectories=300", "tier.running_average=100", "pair.horizon=5"]
    simlab("run", "experiment=fig2", "run=serial", *few, cwd=elsewhere, env=uncompiled)
    assert list((elsewhere / "results").rglob("fig2.png"))
    simlab("report", cwd=elsewhere, env=env)
    assert "<h2>Figure 2 on paper" in (elsewhere / "results" / "report" / "index.html").read_text()
    document = json.loads(simlab("predict", "--json", cwd=elsewhere, env=env).stdout)
    assert document["horizon"] == 50
