"""Shards: disjoint, together complete, and after merging the same rows as one undisturbed run."""

from __future__ import annotations

import random
import sqlite3
import warnings
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import SimlabError, Speculative
from simlab.pairs import paper
from simlab.runs import HalfWidth, Job, Ledger, Loky, Serial, Task, Trajectories, collect, run
from simlab.runs import ledger as ledger_module
from simlab.runs.plan import lacking
from simlab.runs.shard import WHOLE, Shard
from tests.runs.running import rows

PAIR = paper(horizon=12)
SIZE = 1000


def a_job(stop, seed: int = 0) -> Job:
    return Job(Task({"name": "paper", "horizon": 12}, Speculative(), seed, SIZE), PAIR, stop)


@given(st.integers(1, 9), st.integers(0, 40), st.integers(0, 2**48 - 1))
def test_shards_are_disjoint_and_complete(count, batches, first):
    task = f"{first:012x}" + "0" * 52
    parts = [list(Shard(index, count).numbers(task, batches)) for index in range(1, count + 1)]
    assert sorted(number for part in parts for number in part) == list(range(batches))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for index, part in enumerate(parts, 1):
        assert all(Shard(index, count).has(task, number) == (number in part) for number in range(batches))


@pytest.mark.parametrize("total", [SIZE, 7 * SIZE, 12_345])
def test_a_jobs_parts_add_up_to_its_size(total):
    parts = [replace(a_job(Trajectories(total)), shard=Shard(index, 5)) for index in range(1, 6)]
    assert sum(part.at_most for part in parts) == total == a_job(Trajectories(total)).at_most


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "2/", "/8", "2/0", "a/b", "1.5/2", "", "2/8/9", None])
def test_what_is_not_a_shard_is_refused_in_one_line(text):
    with pytest.raises(SimlabError, match="is not a valid shard; expected") as caught:
        Shard.parse(text)
    assert "\n" not in str(caught.value)


def test_a_shard_is_spelled_as_it_is_read():
    assert Shard.parse(" 2/8 ") == Shard(2, 8) and str(Shard(2, 8)) == "2/8" and Shard.parse("1/1") == WHOLE


@pytest.mark.parametrize("backend", [Serial(), pytest.param(Loky(2), marks=pytest.mark.processes)], ids=repr)
def test_merged_shards_are_the_rows_of_one_run_and_nothing_is_run_again(tmp_path, backend):
    jobs = [a_job(Trajectories(12_345), seed) for seed in range(3)] + [a_job(Trajectories(700), 9)]
    with Ledger(tmp_path / "whole") as ledger:
        whole = run(jobs, ledger=ledger)
    for index in range(1, 5):
        with Ledger(tmp_path / str(index)) as ledger:
            parts = [replace(job, shard=Shard(index, 4)) for job in jobs]
            *_, last = collect(parts, ledger=ledger, backend=backend)
            assert last.simulated == sum(part.at_most for part in parts)
            assert all(lacking(part, ledger) == (0, 0) for part in parts)
    order = [*range(1, 5), 2]
    random.Random(1).shuffle(order)
    with Ledger(tmp_path / "merged") as ledger:
        for index in order:
            ledger.merge(tmp_path / str(index))
        *_, last = steps = list(collect(jobs, ledger=ledger))
        assert last.simulated == 0
        again = {result.task.id: result for step in steps for result in step.results}
    assert rows(tmp_path / "merged") == rows(tmp_path / "whole")
    assert all(again[name].counts == whole[name].counts for name in whole)


def test_what_is_lacking_is_counted_by_shard(tmp_path):
    job = a_job(Trajectories(10_500))
    with Ledger(tmp_path / "one") as ledger:
        run([replace(job, shard=Shard(1, 3))], ledger=ledger)
        lacks = [lacking(replace(job, shard=Shard(index, 3)), ledger) for index in (1, 2, 3)]
        assert lacks[0] == (0, 0)
        assert sum(batches for batches, _ in lacks) == 11 - len(replace(job, shard=Shard(1, 3)).numbers)
        assert lacking(job, ledger)[1] == sum(samples for _, samples in lacks)


def test_an_adaptive_job_over_shards_ends_as_alone(tmp_path):
    job = a_job(HalfWidth(0.05, 0.9, 10**7))
    with Ledger(tmp_path / "alone") as ledger:
        alone = run([job], ledger=ledger)[job.task.id]
    ran = 0
    for index in (1, 2, 3):
        with Ledger(tmp_path / str(index)) as ledger:
            run([replace(job, shard=Shard(index, 3))], ledger=ledger)
            ran += len(list(ledger.batches(job.task.id)))
    # Each part stops about where all together have enough: not after the whole job, and not at once.
    assert len(alone.batch_sums) / 2 < ran < 3 * len(alone.batch_sums)
    with Ledger(tmp_path / "merged") as ledger:
        for index in (3, 1, 2):
            ledger.merge(tmp_path / str(index))
        merged = run([job], ledger=ledger)[job.task.id]
    assert merged.counts == alone.counts


def test_more_shards_than_batches_leave_some_without_work(tmp_path):
    for stop in (Trajectories(500), HalfWidth(0.5, 0.9, 900)):
        job = a_job(stop)
        idle = 0
        for index in range(1, 6):
            part = replace(job, shard=Shard(index, 5))
            result = run([part])[job.task.id]
            idle += result.counts.trajectories == 0
            assert (result.counts.trajectories == 0) == (len(part.numbers) == 0)
        assert idle == 4


@pytest.mark.parametrize("stop", [Trajectories(10_500), HalfWidth(0.001, 0.9, 10_500)])
def test_what_is_lacking_is_found_by_reading_no_row_for_another_shard_and_damage_lacks(
    tmp_path, monkeypatch, stop
):
    job, path, read = a_job(stop), tmp_path / "ledger", []
    with Ledger(path) as ledger:
        run([job], ledger=ledger)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE batches SET counts = zeroblob(9) WHERE batch = 4")
    database.close()
    check = ledger_module.check_row
    monkeypatch.setattr(ledger_module, "check_row", lambda *row: (read.append(row[1]), check(*row)))
    with warnings.catch_warnings(), Ledger(path) as ledger:
        warnings.simplefilter("ignore", ledger_module.LedgerWarning)
        lacks = [lacking(replace(job, shard=Shard(index, 3)), ledger) for index in (1, 2, 3)]
    assert sum(batches for batches, _ in lacks) == 1 and sum(samples for _, samples in lacks) == 1000
    assert set(read) == set(range(11)) and len(read) <= 22  # an adaptive job reads twice what it counts
