"""The same tasks on a Dask cluster: a real scheduler, real workers, one of them killed; the same bytes."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

import simlab
from simlab import SimlabError
from simlab.pairs import paper
from simlab.runs import Dask, Job, Ledger, Task, Trajectories, collect, run
from simlab.runs import cluster as cluster_module
from simlab.runs.cluster import ClusterPool
from simlab.runs.plan import Parcel
from simlab.runs.progress import describe
from tests.runs.driver import jobs
from tests.runs.running import PATIENCE, Run, children, command_line, rows, saved_trajectories, wait_for

pytestmark = pytest.mark.processes
distributed = pytest.importorskip("distributed")
Client, LocalCluster = distributed.Client, distributed.LocalCluster

SCALE = 100


OPTIONS = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--no-dashboard", "--host", "127.0.0.1")


class Cluster:
    """A scheduler on this machine's loopback, and workers as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        self.start("scheduler", "--scheduler-file", str(self.file), "--host", "127.0.0.1", "--port", "0")
        wait_for(lambda: self.file.exists() and self.file.stat().st_size > 0, 30)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, *arguments: str, path: Path | None = None) -> subprocess.Popen:
        environment = dict(os.environ) | ({"PYTHONPATH": str(path)} if path else {})
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
                cwd=self.file.parent,  # not the checkout, which -m would import from
            )
        )
        return self.processes[-1]

    def worker(self, *more: str, path: Path | None = None) -> subprocess.Popen:
        return self.start("worker", "--scheduler-file", str(self.file), *OPTIONS, *more, path=path)

    @property
    def scheduler(self) -> subprocess.Popen:
        return self.processes[0]


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


def test_a_worker_of_the_cluster_is_killed_half_way_and_nothing_is_lost(cluster, tmp_path):
    address, workers = cluster.address, [cluster.worker(), cluster.worker()]
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


@dataclass(frozen=True)
class Inside:
    """A cluster of eight workers inside this process."""

    def start(self) -> ClusterPool:
        options = {"processes": False, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
        return ClusterPool(lambda: LocalCluster(8, threads_per_worker=1, **options), "it", None)


def test_eight_workers_give_the_same_bytes(tmp_path):
    jobs = [a_job(), a_job(BIASED)]
    with Ledger(tmp_path / "alone") as alone, Ledger(tmp_path / "together") as together:
        expected, found = run(jobs, ledger=alone), run(jobs, ledger=together, backend=Inside())
    assert [found[job.task.id].counts for job in jobs] == [expected[job.task.id].counts for job in jobs]
    assert rows(tmp_path / "together") == rows(tmp_path / "alone")


def test_a_local_cluster_takes_over_from_the_threads_that_begin_and_is_ended(monkeypatch):
    own, begun, workers_came = cluster_module.simulate_here, [], threading.Event()

    def simulate_here(parcel):
        begun.append(parcel)
        assert workers_came.wait(PATIENCE)
        return own(parcel)

    monkeypatch.setattr(cluster_module, "simulate_here", simulate_here)
    jobs = [a_job(), a_job(BIASED)]
    alone, together = run(jobs), {}
    for step in collect(jobs, backend=Dask(workers=2)):
        together.update({result.task.id: result for result in step.results})
        if step.simulated:
            workers_came.set()
    assert [together[job.task.id].counts for job in jobs] == [alone[job.task.id].counts for job in jobs]
    assert len(begun) == 2
    wait_for(lambda: not [child for child in children(os.getpid()) if b"spawn_main" in command_line(child)])


COUNTING = """
import functools
from simlab.pairs import pair

if not hasattr(pair, "arrived"):  # Dask loads this file twice
    pair.arrived, restore = 0, pair._restore

    @functools.wraps(restore)  # under its name it is pickled
    def arrive(*parts):
        pair.arrived += 1
        return restore(*parts)

    pair._restore = arrive
"""
ARRIVED = "__import__('simlab.pairs.pair').pairs.pair.arrived"


def test_a_pair_travels_to_each_worker_once_and_to_one_that_replaces_it(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ClusterPool, "parcel_seconds", 0.0)  # a batch a parcel
    (tmp_path / "counting.py").write_text(COUNTING)
    counting = ("--preload", "counting.py")
    first, _ = cluster.worker(*counting), cluster.worker(*counting)
    pair = paper(horizon=5)
    jobs = [
        Job(Task({"digest": pair.digest}, decoder, 0, 1000), pair, Trajectories(60_500))
        for decoder in (PLAIN, BIASED)
    ]
    alone, together = run(jobs), {}
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        for step in collect(jobs, backend=Dask(cluster.address)):
            together.update({result.task.id: result for result in step.results})
            # While Dask still holds the pair for somebody, it would make it anew where its holder dies.
            held = any("simlab-pair" in str(key) for key in client.who_has())
            if step.simulated and not held and first.poll() is None:
                assert list(client.run(eval, ARRIVED).values()) == [1, 1]
                first.kill()
                first.wait()
                cluster.worker(*counting)
                wait_for(lambda: len(client.nthreads()) == 2)
        assert list(client.run(eval, ARRIVED).values()) == [1, 1]
    assert first.poll() is not None
    assert [together[job.task.id].counts for job in jobs] == [alone[job.task.id].counts for job in jobs]


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
    with pytest.raises(SimlabError, match="expected a scheduler's, e.g. tcp://127.0.0.1:8786"):
        Dask(address)


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SimlabError, match=r"pip install simlab\[cluster\]"):
        run([a_job()], backend=Dask())


def test_bad_numbers_of_workers():
    with pytest.raises(SimlabError, match="workers = 0"):
        Dask(workers=0)


def test_random_environments_on_the_cluster(cluster, tmp_path):
    cluster.worker()
    serial = Run(tmp_path / "serial", "serial", 1, 20, "environments").finish()
    done = Run(tmp_path / "dask", cluster.address, 2, 20, "environments").finish()
    assert done.process.returncode == 0, done.errors
    assert done.results == serial.results
    assert rows(tmp_path / "dask") == rows(tmp_path / "serial")


@pytest.mark.parametrize("how", ["edited", "old"])
def test_a_worker_with_another_simlab_is_refused_in_one_line_and_nothing_is_kept(cluster, tmp_path, how):
    other = tmp_path / "other"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(simlab.__file__).parent, other / "simlab", ignore=ignored)
    if how == "edited":
        with open(other / "simlab" / "decoding" / "batch.py", "a") as file:
            file.write("# another sampler\n")
    else:  # a simlab that does not know the question
        (other / "simlab" / "runs" / "build.py").unlink()
    cluster.worker(path=other)
    with Ledger(tmp_path / "ledger") as ledger, pytest.raises(SimlabError) as caught:
        run([a_job()], ledger=ledger, backend=Dask(cluster.address))
    assert "runs other code (" in str(caught.value) and "\n" not in str(caught.value)
    assert saved_trajectories(tmp_path / "ledger") == 0


def test_without_a_worker_the_run_says_for_whom_it_waits_and_gives_up(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "PATIENCE", 1.5)
    steps = []
    with pytest.raises(SimlabError, match="no worker has come to the Dask scheduler at .* start workers"):
        for step in collect([a_job()], backend=Dask(cluster.address)):
            steps.append(step)
    assert any(step.waiting.startswith("waiting for a worker of the Dask scheduler at") for step in steps)
    assert not any("preparing" in describe(step) for step in steps if step.waiting)


def test_one_ctrl_c_ends_the_wait_for_a_worker(cluster, tmp_path):
    run = Run(tmp_path / "ledger", cluster.address)
    run.wait_until(lambda step: step["done"] == 0)
    os.killpg(run.process.pid, signal.SIGINT)
    run.finish()
    assert run.process.returncode == 130 and run.errors.count("\n") == 1, run.errors


def test_all_workers_gone_is_one_line_and_what_is_finished_stays(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "PATIENCE", 1.5)
    worker = cluster.worker()
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    with (
        Ledger(tmp_path / "ledger") as ledger,
        pytest.raises(SimlabError, match="all workers are gone from the Dask scheduler at .* start workers"),
    ):
        for step in collect(jobs(2000), ledger=ledger, backend=Dask(cluster.address)):
            if step.simulated:
                worker.kill()
    assert saved_trajectories(tmp_path / "ledger") > 0


@pytest.mark.parametrize("again", [False, True])
def test_a_scheduler_that_goes_is_one_line_and_what_is_finished_stays(cluster, tmp_path, again):
    cluster.worker()
    port = cluster.address.rpartition(":")[2]
    killed = False
    with (
        Ledger(tmp_path / "ledger") as ledger,
        pytest.raises(SimlabError, match="is gone or was started anew.* run again") as caught,
    ):
        for step in collect(jobs(2000), ledger=ledger, backend=Dask(cluster.address)):
            if step.simulated and not killed:
                killed = True
                cluster.scheduler.kill()
                cluster.scheduler.wait()
                if again:
                    cluster.start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    assert killed and "\n" not in str(caught.value)
    assert saved_trajectories(tmp_path / "ledger") > 0


def test_a_scheduler_that_does_not_answer_is_waited_for_and_then_is_one_line(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(cluster_module, "_DEAF_SECONDS", 2.0)
    steps = []
    try:
        with pytest.raises(SimlabError, match="the Dask scheduler at .* has not answered for 2 s"):
            for step in collect([a_job()], backend=Dask(cluster.address)):
                steps.append(step)
                if "worker" in step.waiting:
                    os.kill(cluster.scheduler.pid, signal.SIGSTOP)
    finally:
        os.kill(cluster.scheduler.pid, signal.SIGCONT)
    assert steps[-1].waiting.startswith("waiting for the Dask scheduler at")


@pytest.mark.parametrize(
    ("paused", "ended", "told"),
    [
        (2, 0, r"all workers \(2\) are paused at their memory limit on it for 0 s"),
        (0, 3, r"all workers were ended at their memory limit \(3 times\) on it"),
        (0, 0, "no worker has come to it"),
    ],
)
def test_workers_without_memory_are_told_with_the_mend(paused, ended, told):
    pool = ClusterPool(lambda: "", "it", 0.0)
    pool._messages.put(cluster_module._Workers(0, 0, math.inf, paused, ended))
    with pytest.raises(SimlabError, match=told) as caught:
        pool.wait(1.0)
    assert ("give them more memory (dask worker --memory-limit)" in str(caught.value)) == (paused + ended > 0)


def test_a_task_whose_workers_were_ended_at_their_memory_limit_says_so():
    pool = ClusterPool(lambda: "", "it", None)
    pool._note(cluster_module._Workers(1, 1, math.inf, ended=4))
    killed = distributed.scheduler.KilledWorker("task", None, 3)
    outcome = pool._outcome(Parcel(a_job(), ((0, 1000),)), None, killed)
    assert "its workers were ended at their memory limit (4 times): give them more mem" in str(outcome.error)


def test_what_was_sent_to_a_worker_that_is_gone_is_taken_back_and_its_memory_is_told_in_the_end():
    pool, job = ClusterPool(lambda: "", "it", None), a_job()
    for deaths, there in ((0, False), (0, True), (3, False)):
        pool._futures[deaths] = (Parcel(job, ((0, 1000),), deaths), None, None, "tcp://one")
        pool._note(cluster_module._Workers(1, 1, math.inf, 0, 4, frozenset({"tcp://one"} if there else ())))
        outcome = pool.wait(0.0) if not there else None
        assert (outcome is None) == there == (pool.in_flight == 1)
        pool._futures.clear()
    assert "its workers were ended at their memory limit (4 times)" in str(outcome.error)
    pool._messages.put((0, None, None))  # what comes twice is heard once
    assert pool.wait(0.0) is None
