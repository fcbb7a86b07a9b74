"""Workers of one machine with large tables are threads over one copy of them, whoever started them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

import simlab
from simlab.errors import SimlabError
from simlab.pairs import paper
from simlab.runs import Dask, Job, Loky, Task, Trajectories, cluster, engine, processes, run, work
from simlab.runs.cluster import ClusterPool, _Workers
from simlab.runs.plan import Parcel
from tests.runs.running import children, command_line

PAIR = paper(horizon=6)


def a_job(seed: int = 0) -> Job:
    return Job(Task({"digest": PAIR.digest}, simlab.Speculative(), seed, 500), PAIR, Trajectories(20_000))


@pytest.fixture
def built(monkeypatch) -> list:
    """All tables count as large; those that this process has built."""
    for room in (engine, processes, work):
        monkeypatch.setattr(room, "SHARED", 1)
    monkeypatch.setattr(processes, "WORTH_STARTING", 0.0)
    work._tables.clear()
    found = []
    build = Task.build_tables
    monkeypatch.setattr(Task, "build_tables", lambda *of: found.append(build(*of)) or found[-1])
    return found


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in /proc")
@pytest.mark.parametrize("backend", [Loky(4), Dask(workers=4)], ids=["loky", "dask"])
def test_workers_share_one_copy_of_large_tables_and_count_the_same(built, monkeypatch, backend):
    monkeypatch.setattr(ClusterPool, "close", seen_before(ClusterPool.close, found := []))
    monkeypatch.setattr(processes.ProcessPool, "close", seen_before(processes.ProcessPool.close, found))
    counts = run([a_job()], backend=backend)[a_job().task.id].counts
    assert len(built) == 1 and not [one for one in found[0] if b"tracker" not in command_line(one)]
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr(work, "_tables", type(work._tables)())
        assert run([a_job()])[a_job().task.id].counts == counts


def seen_before(close, found: list):
    """`close`, and beforehand the processes that there are."""

    def closed(pool, **options):
        found.append(children(os.getpid()))
        return close(pool, **options)

    return closed


def test_tables_that_are_no_longer_asked_for_make_room_before_larger_ones_are_built(monkeypatch):
    held = []
    monkeypatch.setattr(work, "TABLES_KEPT", 0)
    monkeypatch.setattr(Task, "build_tables", lambda *_: held.append(len(work._tables)) or object())
    work._tables.clear()
    for seed in (0, 1):
        task = Task({"digest": PAIR.digest}, simlab.BatchSpeculative(2 + seed), seed)
        work._tables_of(task, PAIR.digest, PAIR)
    work._tables.clear()
    assert held == [0, 0]


def test_processes_that_do_not_fit_are_not_started(monkeypatch):
    monkeypatch.setattr(processes, "available_memory", lambda: 0.0)
    pool = Loky(3).start()
    pool.expect(math.inf)
    monkeypatch.setattr(pool, "_start_processes", lambda: pytest.fail("started"))
    assert pool.wait(0.0) is None
    monkeypatch.setattr(processes, "available_memory", lambda: 2.0**40)
    with pytest.raises(pytest.fail.Exception, match="started"):
        pool.wait(0.0)


def test_a_dask_worker_with_too_little_memory_is_refused_before_the_pair_travels():
    pool = ClusterPool(lambda: pytest.fail("asked"), "the Dask scheduler at X", None)
    job = a_job()
    needed = job.subject.nbytes + job.task.table_bytes(job.subject)
    pool._note(_Workers(1, 1, needed - 1))
    with pytest.raises(
        SimlabError, match="a worker of the Dask scheduler at X, and one has a limit of 0.0 GiB"
    ):
        pool._send(Parcel(job, ((0, 1),)))
    assert cluster.memory_limit(WorkerWithLimit(0)) == math.inf
    assert cluster.memory_limit(WorkerWithLimit(7)) == 7


class WorkerWithLimit:
    def __init__(self, limit: int) -> None:
        self.memory_manager = type("", (), {"memory_limit": limit})
