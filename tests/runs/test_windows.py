"""Runs of decoders with windows: the same counts for any number of workers, kept, merged and refused."""

from __future__ import annotations

import pickle

import pytest

import simlab
from simlab.decoding import Counts
from simlab.runs import Job, Ledger, Loky, Task, Trajectories, collect, run
from tests.decoding.test_windows import decoders
from tests.runs.running import rows

PAIR, IDENTITY = simlab.pairs.paper(horizon=6), {"name": "paper", "horizon": 6}
DECODERS = {name: decoders(6, 7)[name] for name in ("2", "2 bonus", "adaptive")}
DECODERS["sure"] = simlab.ConfidenceSpeculative(0.26, None)
DECODERS["block"] = simlab.BlockSpeculative(3)


def jobs(trajectories: int = 5700) -> list[Job]:
    """Batches of 1000."""
    size = Trajectories(trajectories)
    return [Job(Task(IDENTITY, each, 3, 1000), PAIR, size) for each in DECODERS.values()]


def counts_of(results: dict) -> dict:
    return {name: result.counts for name, result in results.items()}


@pytest.fixture(scope="module")
def alone():
    return counts_of(run(jobs()))


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_counts(alone, workers):
    """Threads, as the run is short; what travels to processes is tested below."""
    assert counts_of(run(jobs(), backend=Loky(workers))) == alone


def test_a_job_that_travelled_gives_the_same_counts(alone):
    for job in jobs():
        task = pickle.loads(pickle.dumps(job.task))
        assert task == job.task
        tables = task.build_tables(job.subject)
        parts = [task.simulate(tables, batch, size) for batch, size in enumerate([1000] * 5 + [700])]
        assert Counts.merged(parts) == alone[task.id]


@pytest.mark.parametrize("name", DECODERS)
def test_the_public_door_takes_windows(name):
    one, again = (simlab.simulate(PAIR, DECODERS[name], trajectories=5700, seed=3) for _ in range(2))
    assert one == again
    assert one.trajectories == 5700 == one.target_calls.sum() == one.drafted_tokens.sum()


def test_what_the_ledger_keeps_is_not_run_again_and_merges(alone, tmp_path):
    with Ledger(tmp_path / "one") as ledger:
        run(jobs(2000), ledger=ledger)
    with Ledger(tmp_path / "other") as ledger:
        run(jobs(), ledger=ledger)
    with Ledger(tmp_path / "one") as ledger:
        assert ledger.merge(tmp_path / "other") > 0
        *_, last = collect(jobs(), ledger=ledger)
    assert last.simulated == 0
    assert {result.task.id: result.counts for result in last.results} == alone
    assert rows(tmp_path / "one") == rows(tmp_path / "other")
