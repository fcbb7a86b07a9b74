"""Runs in real processes: the same bytes for any number of workers, through kill -9, Ctrl-C and company."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError

import pytest

import simlab
from simlab.errors import SimlabError
from simlab.pairs import paper
from simlab.runs import Job, Ledger, Task, Trajectories, collect, engine, processes, run
from simlab.runs.plan import Parcel
from simlab.runs.pool import simulate_here
from simlab.runs.work import start_process
from tests.runs.driver import digest, jobs
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


def assert_finishes_the_same(reference: Reference, ledger) -> int:
    """Finish the jobs of an interrupted ledger in this process; the trajectories that took."""
    with Ledger(ledger) as opened:
        *_, last = steps = list(collect(jobs(100), ledger=opened))
    assert {r.task.id: digest(r) for step in steps for r in step.results} == reference.results
    assert rows(ledger) == reference.rows
    return last.simulated


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
    run = Run(ledger, backend, workers)
    share = random.random()
    run.wait_until(lambda step: step["done"] > share * 0.7 * reference.trajectories)
    orphans = children(run.process.pid)
    run.go_on()
    time.sleep(random.random() / 10)  # anywhere between two looks, or in the middle of a flush
    run.process.kill()
    run.finish()
    assert run.process.returncode == -signal.SIGKILL
    wait_for(lambda: not any(map(alive, orphans)))  # workers do not outlive their run
    saved = saved_trajectories(ledger)
    run = Run(ledger, backend, workers).finish()
    assert_same(reference, run, ledger)
    assert 0 <= run.simulated - (reference.trajectories - saved) <= AHEAD


def test_kill_9_of_a_worker(reference, tmp_path):
    run = Run(tmp_path / "ledger", "loky", 3)
    victim = run.with_busy_workers()[0]
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
    for each in both:
        each.finish()
    for each in both:
        assert_same(reference, each, ledger)


def test_the_first_ctrl_c_saves_what_is_under_way(reference, tmp_path):
    ledger = tmp_path / "ledger"
    run = Run(ledger, "loky", 2)
    workers = run.with_busy_workers()
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: to the run and all its workers
    run.finish()
    assert run.process.returncode == 130
    assert run.errors.count("\n") == 1 and "run the same command again" in run.errors
    assert run.steps[-1]["stopping"]
    saved = saved_trajectories(ledger)
    assert run.steps[-1]["done"] - AHEAD <= saved <= run.steps[-1]["done"]
    wait_for(lambda: not any(map(alive, workers)))
    assert_finishes_the_same(reference, ledger)


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
    workers = run.with_busy_workers()
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
    assert_finishes_the_same(reference, ledger)


def test_merged_ledgers_of_two_machines_finish_as_one(reference, tmp_path):
    first, second, _, adaptive = jobs(100)
    part = Job(second.task, second.pair, Trajectories(400_000))
    for name, done in (("a", [first]), ("b", [part, adaptive])):
        with Ledger(tmp_path / name) as ledger:
            run(done, ledger=ledger)
    with Ledger(tmp_path / "a") as ledger:
        ledger.merge(tmp_path / "b")
    assert assert_finishes_the_same(reference, tmp_path / "a") == second.stop.total - 400_000


def test_a_worker_process_imports_what_it_needs_and_no_more():
    script = (
        "import sys, simlab.runs.work;"
        "print([name for name in ('pandas', 'matplotlib', 'hydra', 'omegaconf', 'rich', 'dask', 'sqlite3',"
        "'scipy.special', 'simlab.runs.engine') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert output.stdout.strip() == "[]", output


def hold_much_memory(megabytes: int) -> int:
    import builtins

    import numpy as np

    builtins.held = np.ones(megabytes << 17)
    return os.getpid()


@pytest.mark.parametrize(("initializer", "stays"), [(start_process, True), (None, False)])
def test_a_worker_with_large_tables_is_not_taken_for_one_that_leaks(initializer, stays):
    pytest.importorskip("psutil")  # without it joblib does not look
    from joblib.externals.loky import ProcessPoolExecutor

    arguments = {"initializer": initializer, "initargs": (os.getpid(),)} if initializer else {}
    executor = ProcessPoolExecutor(1, **arguments)
    try:
        before = executor.submit(os.getpid).result()
        time.sleep(1.1)  # it looks once a second
        executor.submit(hold_much_memory, 400).result()
        assert (executor.submit(os.getpid).result() == before) is stays
    finally:
        executor.shutdown(kill_workers=True)


def test_a_large_pair_travels_to_a_process_that_asks_for_it(monkeypatch):
    sent = []
    original = processes.ProcessPool._send

    def spied(pool, parcel, pair):
        sent.append(pair)
        original(pool, parcel, pair)

    monkeypatch.setattr(processes.ProcessPool, "_send", spied)
    pair = simlab.pairs.dirichlet(states=40, horizon=20, seed=1)
    job = Job(Task({"digest": pair.digest}, simlab.Speculative(), 0, 1000), pair, Trajectories(40_000))
    parcels = [Parcel(job, ((2 * number, 1000), (2 * number + 1, 1000))) for number in range(20)]
    pool = processes.ProcessPool(2)
    try:
        pool.expect(100.0)
        wait_for(lambda: (pool.wait(0.1), pool._started)[1])
        waiting, outcomes = list(parcels), []
        end = time.monotonic() + 120  # it may have to compile first
        while len(outcomes) < len(parcels) and time.monotonic() < end:
            while waiting and pool.wants():
                pool.submit(waiting.pop())
            if (outcome := pool.wait(1.0)) is not None:
                outcomes.append(outcome)
    finally:
        pool.close(at_once=True)
    for outcome in outcomes:
        assert outcome.done.counts == simulate_here(outcome.parcel).done.counts
    assert {outcome.parcel for outcome in outcomes} == set(parcels)
    travels = sum(pair is not None for pair in sent)
    assert sent[0] is None and 0 < travels <= 2  # the process had two parcels when it was new


def test_more_threads_than_the_system_starts_are_one_line_and_leave_none_behind(monkeypatch):
    started = []

    def start(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(SimlabError, match="workers = 1000000: the system starts only 3 threads"):
        simlab.simulate(paper(4), simlab.Speculative(), trajectories=10, seed=1, workers=1_000_000)
    for thread in started:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in started)


def test_threads_that_overlap_leave_the_environment_as_it_was(monkeypatch):
    for before in (None, "0"):
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
        if before is not None:
            monkeypatch.setenv("PYTHONSAFEPATH", before)
        first, second = processes.safe_path(), processes.safe_path()
        first.__enter__()
        second.__enter__()
        assert os.environ["PYTHONSAFEPATH"] == "1"
        first.__exit__(None, None, None)
        assert os.environ["PYTHONSAFEPATH"] == "1"
        second.__exit__(None, None, None)
        assert os.environ.get("PYTHONSAFEPATH") == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "out of memory: give fewer workers"),
        (PicklingError("Could not pickle the task to send it to the workers."), "out of memory: give fewer"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_an_error_in_a_worker_is_one_line_with_the_mend(error, told):
    if isinstance(error, PicklingError):  # as loky says it, with the cause as text
        error.__cause__ = Exception("Traceback ...\nMemoryError\n")
    assert engine._told(error).startswith(told)
