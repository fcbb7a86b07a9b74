"""Runs in real processes: the same bytes for any number of workers, through kill -9, Ctrl-C and company."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runs.running import Run, alive, children, rows, saved_trajectories, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in /proc"),
]


AHEAD = 64 * 10_000
"""Trajectories that an adaptive job's workers may have run beyond its end: counted as work, used nowhere."""


@dataclass
class Reference:
    """What an undisturbed run with one worker left."""

    results: dict
    rows: list[tuple]
    ledger: Path
    trajectories: int


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Reference:
    ledger = tmp_path_factory.mktemp("reference") / "ledger"
    run = Run(ledger).finish()
    assert run.results is not None, run.errors
    return Reference(run.results, rows(ledger), ledger, saved_trajectories(ledger))


def assert_same(reference: Reference, run: Run, ledger) -> None:
    assert run.process.returncode == 0, run.errors
    assert run.results == reference.results
    assert rows(ledger) == reference.rows


def test_the_adaptive_job_stops_before_its_limit(reference):
    """Otherwise the tests below would test fixed jobs only."""
    batches = sorted(result["batches"] for result in reference.results.values())
    assert batches[1:] == [100, 100] and 50 < batches[0] < 100


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers(reference, tmp_path, workers):
    run = Run(tmp_path / "ledger", "loky", workers)
    started = set()
    while run.step() is not None:
        started.update(run.workers())
    run.finish()
    assert len(started) == workers - 1
    assert_same(reference, run, tmp_path / "ledger")
    wait_for(lambda: not any(map(alive, started)))


def test_all_that_is_saved_is_not_run_again(reference, tmp_path):
    shutil.copy(reference.ledger, tmp_path / "ledger")
    run = Run(tmp_path / "ledger", "loky", 2).finish()
    assert_same(reference, run, tmp_path / "ledger")
    assert run.simulated == 0


@pytest.mark.parametrize(("backend", "workers"), [("serial", 1), ("loky", 2)])
def test_kill_9_at_a_random_moment_and_the_same_command_again(reference, tmp_path, backend, workers):
    ledger = tmp_path / "ledger"
    orphans: set[int] = set()
    for _ in range(2):
        run = Run(ledger, backend, workers)
        share = random.random()
        run.wait_until(lambda step, share=share: step["done"] > share * 0.9 * reference.trajectories)
        orphans.update(children(run.process.pid))
        run.process.kill()
        run.finish()
        assert run.results is None
    wait_for(lambda: not any(map(alive, orphans)))  # workers do not outlive their run
    saved = saved_trajectories(ledger)
    run = Run(ledger, backend, workers).finish()
    assert_same(reference, run, ledger)
    assert 0 <= run.simulated - (reference.trajectories - saved) <= AHEAD


def test_kill_9_of_a_worker(reference, tmp_path):
    run = Run(tmp_path / "ledger", "loky", 3)
    victim = wait_for(run.workers)[0]
    run.wait_until(lambda step: step["done"] > 0.2 * reference.trajectories)
    os.kill(victim, signal.SIGKILL)
    later = set()
    while run.step() is not None:
        later.update(run.workers())
    run.finish()
    assert_same(reference, run, tmp_path / "ledger")
    assert later - {victim}


def test_two_runs_on_one_ledger_at_once(reference, tmp_path):
    ledger = tmp_path / "ledger"
    both = [Run(ledger), Run(ledger, "loky", 2)]
    for run in both:
        run.finish()
    for run in both:
        assert_same(reference, run, ledger)


def test_the_first_ctrl_c_saves_what_is_under_way(reference, tmp_path):
    ledger = tmp_path / "ledger"
    run = Run(ledger, "loky", 2)
    workers = wait_for(run.workers)
    run.wait_until(lambda step: step["done"] > 0.3 * reference.trajectories)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: to the run and all its workers
    run.finish()
    assert run.process.returncode == 130
    assert run.errors.count("\n") == 1 and "run the same command again" in run.errors
    assert run.steps[-1]["stopping"]
    saved = saved_trajectories(ledger)
    assert run.steps[-1]["done"] - AHEAD <= saved <= run.steps[-1]["done"]
    wait_for(lambda: not any(map(alive, workers)))
    assert_same(reference, Run(ledger, "loky", 2).finish(), ledger)


def test_ctrl_c_in_a_fixed_job_saves_every_batch(tmp_path):
    run = Run(tmp_path / "ledger", "loky", 2, scale=2000)
    run.wait_until(lambda step: step["done"] > 1_000_000)
    os.killpg(run.process.pid, signal.SIGINT)
    run.finish()
    assert run.process.returncode == 130
    assert run.steps[-1]["done"] == run.simulated == saved_trajectories(tmp_path / "ledger") > 1_000_000


def test_the_second_ctrl_c_stops_at_once(reference, tmp_path):
    ledger = tmp_path / "ledger"
    run = Run(ledger, "loky", 2)
    workers = wait_for(run.workers)
    run.wait_until(lambda step: step["done"] > 0.3 * reference.trajectories)
    flushed = rows(ledger)
    for worker in workers:  # what is under way does not end by itself
        os.kill(worker, signal.SIGSTOP)
    os.killpg(run.process.pid, signal.SIGINT)
    try:
        run.wait_until(lambda step: step["stopping"])
        os.killpg(run.process.pid, signal.SIGINT)
        run.finish()
    finally:
        for worker in workers:
            if alive(worker):
                os.kill(worker, signal.SIGKILL)
    assert run.process.returncode == 130
    assert "stopped at once" in run.errors
    assert set(flushed) <= set(rows(ledger))
    assert_same(reference, Run(ledger, "loky", 2).finish(), ledger)


def test_merged_ledgers_of_two_machines_finish_as_one(reference, tmp_path):
    from simlab.runs import Ledger

    for name, share in (("a", 0.2), ("b", 0.6)):
        run = Run(tmp_path / name)
        run.wait_until(lambda step, share=share: step["done"] > share * reference.trajectories)
        run.process.kill()
        run.finish()
    with Ledger(tmp_path / "a") as ledger:
        ledger.merge(tmp_path / "b")
    saved = saved_trajectories(tmp_path / "a")
    assert saved >= saved_trajectories(tmp_path / "b")
    run = Run(tmp_path / "a").finish()
    assert_same(reference, run, tmp_path / "a")
    assert 0 <= run.simulated - (reference.trajectories - saved) <= AHEAD


def test_a_worker_process_imports_what_it_needs_and_no_more():
    script = (
        "import sys, simlab.runs.work;"
        "print([name for name in ('pandas', 'matplotlib', 'hydra', 'omegaconf', 'rich', 'dask', 'sqlite3',"
        "'scipy.special', 'simlab.runs.engine') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert output.stdout.strip() == "[]", output
