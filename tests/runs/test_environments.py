"""Random environments in runs: ids, bytes, ledger, progress and stopping; the same bytes whatever happens."""

from __future__ import annotations

import hashlib
import io
import pickle
import random
import re
import shutil
import signal
import sqlite3
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import simlab
from simlab import SimlabError
from simlab.decoding.environments.counts import UNITS, EnvironmentCounts, in_order
from simlab.decoding.environments.sampler import environment_tables, simulate_environments_batch
from simlab.laws import Dirichlet, Rows, Softmax, Zipf, rows_of_text
from simlab.runs import (
    EnvironmentTask,
    HalfWidth,
    Job,
    Ledger,
    Loky,
    Serial,
    Task,
    Trajectories,
    canonical_json,
    collect,
    run,
    show,
)
from simlab.runs.blob import counts_from_bytes, counts_to_bytes
from simlab.runs.plan import Amount
from tests.runs.driver import digest, environment_jobs
from tests.runs.running import Run, children, rows, wait_for
from tests.runs.running import alive as is_alive
from tests.runs.test_stopping import Shuffled

LAW = Dirichlet(8, 0.4)
CAPACITIES = (1, 5, 40)


def task(seed: int = 0, size: int | None = 16, law=LAW) -> EnvironmentTask:
    return EnvironmentTask(law, CAPACITIES, seed, size)


def job(seed: int = 0, number: int = 100, law=LAW) -> Job:
    return Job(task(seed, law=law), law, Trajectories(number))


def directly(some: EnvironmentTask, law, sizes: list[int]) -> EnvironmentCounts:
    tables = environment_tables(law, some.capacities)
    parts = [
        simulate_environments_batch(tables, size, some.seed_sequence(batch))
        for batch, size in enumerate(sizes)
    ]
    return EnvironmentCounts.merged(parts)


# Tasks.


def test_the_id_is_the_hash_of_the_canonical_json():
    text = (
        '{"batch_size":16,"capacities":[1,5,40],"law":{"concentration":0.4,"law":"dirichlet","states":8},'
        '"schema":1,"seed":3}'
    )
    assert canonical_json(task(3)) == text
    assert task(3).id == hashlib.sha256(text.encode()).hexdigest()


def test_equal_settings_have_one_id_and_every_change_another():
    others = [
        EnvironmentTask(Dirichlet(np.int32(8), 0.4), [1, 5, np.int64(40)], np.uint8(0), 16),
        EnvironmentTask(simlab.laws.law_identity(LAW), CAPACITIES, 0, 16),
        pickle.loads(pickle.dumps(task())),
    ]
    assert {*others, task()} == {task()}
    different = [
        task(1),
        task(size=17),
        task(law=Dirichlet(9, 0.4)),
        task(law=Dirichlet(8, 0.5)),
        task(law=Softmax(8, 0.4)),
        EnvironmentTask(LAW, (1, 5), 0, 16),
        EnvironmentTask(LAW, (1, 5, 41), 0, 16),
        task(law=Rows([[0.5, 0.5]], [1.0])),
        task(law=Rows([[0.5, 0.5], [1, 0]], [0.5, 0.5])),
        task(law=Rows([[0.5, 0.5], [1, 0]], [0.25, 0.75])),
    ]
    assert len({task().id, *(one.id for one in different)}) == 11
    assert task() != Task({}, simlab.Speculative()) and task() != 3


def test_a_task_is_small_however_large_its_law():
    law = rows_of_text(context=2)
    assert len(pickle.dumps(EnvironmentTask(law, (1, 2)))) < 2000 < law.nbytes


def test_a_batch_takes_about_as_long_whatever_the_capacity():
    sizes = [EnvironmentTask(LAW, (capacity,)).batch_size for capacity in (1, 64, 1000, 10**5, 10**7)]
    assert sizes == [256, 256, 65, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: task(-1), "seed = -1"),
        (lambda: task(size=0), "batch_size = 0"),
        (lambda: task(law="dirichlet"), "distribution is of type str"),
        (lambda: EnvironmentTask(LAW, (3, 2)), "capacities: 2 comes after 3"),
        (lambda: Job(task(), Dirichlet(9, 0.4), Trajectories(1)), "of another distribution than Dirichlet"),
        (lambda: Job(task(), simlab.pairs.bernoulli(), Trajectories(1)), "distribution is of type ChainPair"),
        (lambda: Job(Task({}, simlab.Speculative()), LAW, Trajectories(1)), "Dirichlet is not a pair"),
        (
            lambda: Job(task(), LAW, HalfWidth(0.1)),
            "half_width = 0.1: a run of environments has a fixed size",
        ),
    ],
)
def test_mistakes_are_one_line(make, message):
    with pytest.raises(SimlabError) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_error_in_a_worker_names_its_task():
    law = Zipf(4)
    some = EnvironmentTask(law, (2**31 - 1,))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simlab.memory.available_memory", lambda: 2**30)
        with pytest.raises(
            SimlabError, match=rf"task {some.id[:12]} \(environments of law=zipf, .*needs 32.0 GiB"
        ):
            run([Job(some, law, Trajectories(1))])


# Bytes.

accepted = st.integers(1, 4).flatmap(
    lambda count: arrays(
        np.int64, st.tuples(st.integers(0, 5), st.just(count)), elements=st.integers(0, 2**62)
    )
)


@given(accepted)
def test_what_is_encoded_is_decoded(values):
    counts = EnvironmentCounts(np.arange(1, values.shape[1] + 1), in_order(values))
    blob = counts_to_bytes(counts)
    assert (
        counts_from_bytes(blob) == counts
        and blob[:4] == b"SLE1"
        and counts_to_bytes(counts_from_bytes(blob)) == blob
    )


def test_the_bytes_stay_as_they_are():
    counts = EnvironmentCounts(np.array([1, 300]), np.array([[5, 2**33], [7, 2**34]]))
    assert counts_to_bytes(counts).hex() == "534c45310201ac02020580808080200780808080406fa271ea"
    blob = counts_to_bytes(directly(task(), LAW, [16, 4]))
    assert hashlib.sha256(blob).hexdigest()[:16] == "d29ed553a8c07195"


@given(st.data())
def test_damaged_bytes_are_noticed(data):
    blob = counts_to_bytes(EnvironmentCounts(np.array([1, 300]), np.array([[5, 2**33], [7, 2**34]])))
    place = data.draw(st.integers(0, len(blob) - 1))
    wrong = bytearray(blob)
    wrong[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(bytes(wrong))
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(blob[:place])


@pytest.mark.parametrize(
    "numbers", [[0], [2], [2, 1, 300, 1, 5], [2, 1, 300, 2, 5, 6, 7], [900, 1], [0, 5]], ids=str
)
def test_numbers_that_do_not_fit_together_are_noticed(numbers):
    import zlib

    from simlab.runs.blob import _varints

    body = b"SLE1" + _varints(np.array(numbers, np.uint64))
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(body + zlib.crc32(body).to_bytes(4, "little"))


# Runs.


@pytest.mark.parametrize(
    "backend",
    [Serial(), Loky(2), Shuffled(1), Shuffled(2, losses=0.3)],
    ids=["serial", "loky", "random", "lossy"],
)
def test_a_run_is_its_batches_whoever_computes_them(tmp_path, backend):
    jobs = [job(1, 100), job(2, 3), job(1, 100, Zipf(5)), job(1, 100)]
    with Ledger(tmp_path / "ledger") as ledger:
        results = run(jobs, ledger=ledger, backend=backend)
        for each in jobs:
            number = each.stop.total
            sizes = [16] * (number // 16) + [number % 16] * (number % 16 > 0)
            result = results[each.task.id]
            assert result.counts == directly(each.task, each.subject, sizes)
            assert result.counts.environments == number
            assert result.batch_sums.tolist() == [[size] for size in sizes]
        *_, again = collect(jobs, ledger=ledger)
        assert again.simulated == 0 and again.done == again.planned
        assert {result.task.id: result.counts for result in again.results} == {
            name: result.counts for name, result in results.items()
        }


def test_a_larger_number_goes_on_where_the_smaller_ended(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        run([job(1, 40)], ledger=ledger)
        *_, last = collect([job(1, 100)], ledger=ledger)
        assert last.simulated == 100 - 32  # the partial batch is run again in full
    assert last.results[0].counts == run([job(1, 100)])[task(1).id].counts


def test_trajectories_and_environments_in_one_run(tmp_path):
    pair = simlab.pairs.paper(horizon=5)
    other = Job(Task({"name": "paper"}, simlab.Speculative(), 0, 1000), pair, Trajectories(5000))
    with Ledger(tmp_path / "ledger") as ledger:
        *_, last = steps = list(collect([job(1, 50), other, job(2, 50)], ledger=ledger))
        assert last.done == last.planned == last.new == Amount(5000, 100, 5000 + 100 * 40)
        assert (last.trajectories_done, last.trajectories, last.simulated) == (5000, 5000, 5100)
        assert last.seconds_left == 0
        results = {result.task.id: result for step in steps for result in step.results}
        assert results[other.task.id].counts == run([other])[other.task.id].counts
        summaries = {summary.id: summary for summary in ledger.tasks()}
        timings = ledger.timings()
    values = results[task(1).id].counts.accepted[:, -1]
    summary = summaries[task(1).id]
    assert (summary.unit, summary.samples, summary.batches) == ("environments", 50, 4)
    assert summary.mean == sum(values.tolist()) / (50 * UNITS)
    assert summaries[other.task.id].unit == "trajectories"
    assert timings[task(1).id].samples == 50 and timings[other.task.id].samples == 5000


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        (
            [job(1, 1500)],
            r"1/1 tasks, 1.5k/1.5k environments, \S+/s, 0:00 left, [0-9a-f]{8}: \d\.\d+ right tokens of 40\n",
        ),
        (
            [
                job(1, 50),
                Job(Task({}, simlab.Speculative(), 0, 1000), simlab.pairs.paper(), Trajectories(2000)),
            ],
            r"2/2 tasks, 2k/2k trajectories, 50/50 environments, 0:00 left, \w{8}: \S+ ± \S+ rejections\n",
        ),
    ],
    ids=["environments", "both"],
)
def test_progress_counts_what_is_simulated(jobs, line):
    stream = io.StringIO()
    show(collect(jobs), stream)
    assert re.fullmatch(line, stream.getvalue())


def test_many_parts_are_put_together_in_time():
    """More batches than are held apart, and looks at the counts in between."""
    some = EnvironmentTask(LAW, (1, 3), 0, 1)
    steps = list(collect([Job(some, LAW, Trajectories(300))], backend=Shuffled(5)))
    assert steps[-1].results[0].counts == directly(some, LAW, [1] * 300)
    assert steps[-1].accepted[0] == 3 and 0 < steps[-1].accepted[1] < 3


def test_counts_of_another_kind_in_the_ledger_are_told(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        run([job(1, 16)], ledger=ledger)
        other = EnvironmentCounts.zero([1, 2]) + EnvironmentCounts(
            np.array([1, 2]), np.zeros((16, 2), np.int64)
        )
    with sqlite3.connect(tmp_path / "ledger") as database:
        database.execute("UPDATE batches SET counts = ?", (counts_to_bytes(other),))
        database.execute("DROP TABLE seals")  # sealed, they would be damaged counts
    database.close()
    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(SimlabError, match=f"task {task(1).id[:12]}: the ledger holds other counts"):
            run([job(1, 16)], ledger=ledger)


def test_ledgers_merge(tmp_path):
    for number, name in ((32, "one"), (100, "other")):
        with Ledger(tmp_path / name) as ledger:
            run([job(1, number)], ledger=ledger)
    with Ledger(tmp_path / "one") as ledger:
        assert ledger.merge(tmp_path / "other") == 5
        *_, last = collect([job(1, 100)], ledger=ledger)
        assert last.simulated == 0
    assert rows(tmp_path / "one") == rows(tmp_path / "other")


# Processes.

SCALE = 25


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """(results, ledger) of an undisturbed run with one worker."""
    ledger = tmp_path_factory.mktemp("environments") / "ledger"
    done = Run(ledger, scale=SCALE, what="environments").finish()
    assert done.results is not None, done.errors
    return done.results, ledger


def assert_same(reference, done: Run, ledger) -> None:
    assert done.process.returncode == 0, done.errors
    assert done.results == reference[0] and rows(ledger) == rows(reference[1])


@pytest.mark.processes
def test_any_number_of_workers(reference, tmp_path):
    done = Run(tmp_path / "ledger", "loky", 3, SCALE, "environments")
    started = set()
    while done.step() is not None:
        started.update(done.workers())
    done.finish()
    assert len(started) == 2
    assert_same(reference, done, tmp_path / "ledger")
    results = run(environment_jobs(SCALE))
    assert {name: digest(result) for name, result in results.items()} == reference[0]


@pytest.mark.processes
def test_kill_9_at_a_random_moment_and_the_same_command_again(reference, tmp_path):
    ledger = tmp_path / "ledger"
    killed = Run(ledger, "loky", 2, SCALE, "environments")
    share = random.random()
    killed.wait_until(lambda step: step["done"] > share * 20 * SCALE)
    orphans = children(killed.process.pid)
    killed.go_on()
    time.sleep(random.random() / 10)
    killed.process.kill()
    killed.finish()
    assert killed.process.returncode == -signal.SIGKILL
    wait_for(lambda: not any(map(is_alive, orphans)))
    saved = len(rows(ledger))
    again = Run(ledger, "loky", 2, SCALE, "environments").finish()
    assert_same(reference, again, ledger)
    assert saved <= len(rows(ledger))
    shutil.copy(ledger, tmp_path / "copy")
    third = Run(tmp_path / "copy", "serial", 1, SCALE, "environments").finish()
    assert_same(reference, third, tmp_path / "copy")
    assert third.simulated == 0
