"""The same tasks on a Dask cluster: a real scheduler, real workers, one of them killed; the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import simlab
from simlab import SimlabError
from simlab.pairs import paper
from simlab.runs import Dask, Job, Ledger, Task, Trajectories, collect, run
from tests.runs.driver import jobs
from tests.runs.running import Run, children, command_line, rows, wait_for

pytestmark = pytest.mark.processes
pytest.importorskip("distributed")

SCALE = 100


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def cluster(tmp_path):
    """(address, two worker processes) of a cluster on this machine's loopback."""
    place = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(place), "--host", "127.0.0.1", "--no-dashboard")
    processes = [start("scheduler", "--port", "0", *common)]
    options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
    processes += [start("worker", *common, *options) for _ in range(2)]
    try:
        wait_for(lambda: place.exists() and place.stat().st_size > 0, 30)
        yield json.loads(place.read_text())["address"], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_worker_of_the_cluster_is_killed_half_way_and_nothing_is_lost(cluster, tmp_path):
    address, workers = cluster
    serial = Run(tmp_path / "serial", "serial", 1, SCALE).finish()
    run = Run(tmp_path / "dask", address, 2, SCALE)
    whole = serial.steps[-1]["done"]
    run.wait_until(lambda step: step["done"] > 0.5 * whole)
    os.kill(workers[0].pid, signal.SIGKILL)
    run.finish()
    assert run.process.returncode == 0, run.errors
    assert run.results == serial.results
    assert rows(tmp_path / "dask") == rows(tmp_path / "serial")
    assert workers[1].poll() is None

    # And the run itself killed, half-way through the same work: what is saved is not run again.
    interrupted = Run(tmp_path / "again", address, 2, SCALE)
    interrupted.wait_until(lambda step: step["done"] > 0.5 * whole)
    os.killpg(interrupted.process.pid, signal.SIGINT)
    interrupted.finish()
    assert interrupted.process.returncode == 130, interrupted.errors
    with Ledger(tmp_path / "again") as ledger:
        *_, last = collect(jobs(SCALE), ledger=ledger, backend=Dask(address))
    assert rows(tmp_path / "again") == rows(tmp_path / "serial")
    assert last.simulated < 0.6 * whole


PLAIN, BIASED = simlab.Speculative(), simlab.BiasedSpeculative(0.1, "target")


def a_job(decoder=PLAIN) -> Job:
    pair = paper(horizon=5)
    return Job(Task({"digest": pair.digest}, decoder, 0, 1000), pair, Trajectories(20_500))


def test_a_local_cluster_is_started_and_ended():
    jobs = [a_job(), a_job(BIASED)]
    alone, together = run(jobs), run(jobs, backend=Dask(workers=2))
    assert [together[job.task.id].counts for job in jobs] == [alone[job.task.id].counts for job in jobs]
    wait_for(lambda: not [child for child in children(os.getpid()) if b"spawn_main" in command_line(child)])


def test_an_error_on_the_cluster_names_its_task():
    pair = paper(horizon=5)
    task = Task({}, simlab.BatchSpeculative(10**15))
    with pytest.raises(SimlabError, match=f"task {task.id[:12]} .*tables need"):
        run([Job(task, pair, Trajectories(10))], backend=Dask(workers=1))


def test_no_scheduler_at_the_address(monkeypatch):
    monkeypatch.setattr("simlab.runs.cluster.CONNECT_SECONDS", 0.5)
    with pytest.raises(SimlabError, match="no Dask scheduler at") as caught:
        run([a_job()], backend=Dask("tcp://127.0.0.1:9"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["nonsense", "http://x", "", "tcp://host:", 8786])
def test_an_address_that_is_none(address):
    with pytest.raises(SimlabError, match="give a scheduler's, e.g. tcp://127.0.0.1:8786"):
        Dask(address)


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SimlabError, match=r"pip install simlab\[cluster\]"):
        run([a_job()], backend=Dask())


def test_bad_numbers_of_workers():
    with pytest.raises(SimlabError, match="workers = 0"):
        Dask(workers=0)


def test_random_environments_on_the_cluster(cluster, tmp_path):
    serial = Run(tmp_path / "serial", "serial", 1, 20, "environments").finish()
    done = Run(tmp_path / "dask", cluster[0], 2, 20, "environments").finish()
    assert done.process.returncode == 0, done.errors
    assert done.results == serial.results
    assert rows(tmp_path / "dask") == rows(tmp_path / "serial")
