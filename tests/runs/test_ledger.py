"""The ledger: what goes in comes out, once; damage, locks and full disks end in one line and lose nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

from simlab import SimlabError, Speculative
from simlab.decoding import Counts
from simlab.runs import Ledger, Task, Timing
from simlab.runs.ledger import LedgerWarning
from simlab.runs.rescue import rescue


def some_counts(number: int, trajectories: int = 100) -> Counts:
    random = np.random.default_rng(number)
    rejections = random.multinomial(trajectories, np.full(4, 0.25))
    tokens = random.multinomial(trajectories, np.full(5, 0.2), size=3)
    return Counts(rejections, tokens, random.integers(0, trajectories, 3), trajectories)


def a_task(seed: int = 0) -> Task:
    return Task({"name": "test"}, Speculative(), seed, 100)


def fill(path, task: Task, batches, size: int = 100) -> None:
    with Ledger(path) as ledger:
        ledger.add_task(task)
        ledger.save((task.id, batch, size, some_counts(batch, size)) for batch in batches)


def rows(path) -> list[tuple]:
    with sqlite3.connect(path) as database:
        tasks = database.execute("SELECT * FROM tasks ORDER BY id").fetchall()
        return tasks + database.execute("SELECT * FROM batches ORDER BY task, batch, trajectories").fetchall()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "ledger.sqlite"


def test_what_goes_in_comes_out_in_order(path):
    task = a_task()
    fill(path, task, [5, 0, 300, 2])
    with Ledger(path, create=False) as ledger:
        found = list(ledger.batches(task.id))
        assert [(batch, size) for batch, size, _ in found] == [(0, 100), (2, 100), (5, 100), (300, 100)]
        assert all(counts == some_counts(batch) for batch, _, counts in found)
        assert ledger.read(task.id, 5, 100) == some_counts(5)
        assert list(ledger.batches(a_task(1).id)) == []


def test_many_batches_are_read_in_chunks(path):
    task = a_task()
    fill(path, task, range(1000))
    with Ledger(path) as ledger:
        assert [batch for batch, _, _ in ledger.batches(task.id)] == list(range(1000))


def test_two_ledgers_of_the_same_work_hold_the_same_rows(tmp_path):
    fill(tmp_path / "a", a_task(), range(10))
    fill(tmp_path / "b", a_task(), [7, 3])
    fill(tmp_path / "b", a_task(), reversed(range(10)))
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_summaries(path):
    task, empty = a_task(), a_task(1)
    fill(path, task, range(4))
    fill(path, task, [4], size=60)  # a partial last batch, run in full later
    fill(path, task, [4], size=100)
    with Ledger(path) as ledger:
        ledger.add_task(empty)
        found = {summary.id: summary for summary in ledger.tasks()}
    counts = [some_counts(batch) for batch in range(5)]
    summary = found[task.id]
    assert (summary.batches, summary.samples, summary.unit) == (5, 500, "trajectories")
    assert summary.settings["pair"] == {"name": "test"} and summary.settings["seed"] == 0
    assert summary.mean == sum(int(c.rejections @ np.arange(4)) for c in counts) / 500
    assert (found[empty.id].batches, found[empty.id].mean) == (0, None)


@pytest.mark.statistical
def test_summaries_take_the_same_memory_however_many_batches(path):
    task = a_task()

    def peak() -> int:
        with Ledger(path) as ledger:
            tracemalloc.start()
            list(ledger.tasks())
            top = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return top

    fill(path, task, range(300))
    small = peak()
    fill(path, task, range(300, 2000))
    assert peak() < small + 250_000  # the batches' numbers; the counts would be 2 MB


def test_merging(tmp_path):
    first, second = a_task(0), a_task(1)
    fill(tmp_path / "a", first, range(6))
    fill(tmp_path / "b", first, range(4, 9))
    fill(tmp_path / "b", second, range(3))
    fill(tmp_path / "all", first, range(9))
    fill(tmp_path / "all", second, range(3))
    before = rows(tmp_path / "b")
    with Ledger(tmp_path / "a") as ledger:
        assert ledger.merge(tmp_path / "b") == 6
        assert ledger.merge(tmp_path / "b") == 0
        assert ledger.merge(tmp_path / "a") == 0
    assert rows(tmp_path / "a") == rows(tmp_path / "all")
    assert rows(tmp_path / "b") == before


def test_timings_add_up_and_are_no_result(tmp_path):
    task, other = a_task(), a_task(1)
    fill(tmp_path / "a", task, range(3))
    before = rows(tmp_path / "a")
    with Ledger(tmp_path / "a") as ledger:
        assert ledger.timings() == {}  # as in ledgers from before timings were kept
        ledger.save([], {task.id: Timing(100, 0.5)})
        ledger.save([], {task.id: Timing(300, 0.25), other.id: Timing(7, 2.0)})
        assert ledger.timings() == {task.id: Timing(400, 0.75), other.id: Timing(7, 2.0)}
    assert rows(tmp_path / "a") == before
    with Ledger(tmp_path / "b") as ledger:
        ledger.save([], {other.id: Timing(5, 1.0)})
        for _ in range(2):
            ledger.merge(tmp_path / "a")
            assert ledger.timings() == {task.id: Timing(400, 0.75), other.id: Timing(5, 1.0)}


def test_merging_is_all_or_nothing(tmp_path):
    task = a_task()
    fill(tmp_path / "a", task, range(3))
    with Ledger(tmp_path / "b") as other:
        other.add_task(task)
        other.save([(task.id, 9, 100, some_counts(9)), (task.id, 2, 100, some_counts(1000))])
    before = rows(tmp_path / "a")
    with Ledger(tmp_path / "a") as ledger, pytest.raises(SimlabError, match="disagree on batch 2"):
        ledger.merge(tmp_path / "b")
    assert rows(tmp_path / "a") == before
    with Ledger(tmp_path / "a") as ledger, pytest.raises(SimlabError, match="no ledger"):
        ledger.merge(tmp_path / "missing")
    damage(tmp_path / "b", task, 2)
    with (
        Ledger(tmp_path / "a") as ledger,
        pytest.raises(SimlabError, match="batch 2: the counts are damaged"),
    ):
        ledger.merge(tmp_path / "b")
    assert rows(tmp_path / "a") == before


def damage(path, task: Task, batch: int) -> None:
    with sqlite3.connect(path) as database:
        ((blob,),) = database.execute("SELECT counts FROM batches WHERE batch = ?", (batch,)).fetchall()
        spoiled = blob[:8] + bytes([blob[8] ^ 1]) + blob[9:]
        database.execute("UPDATE batches SET counts = ? WHERE batch = ?", (spoiled, batch))
    database.close()


def test_a_damaged_batch_is_named_and_can_be_dropped(path):
    task = a_task()
    fill(path, task, range(5))
    sound = rows(path)
    damage(path, task, 3)
    with Ledger(path) as ledger:
        with pytest.raises(SimlabError, match=r"batch 3: the counts are damaged.*drop_damaged") as caught:
            list(ledger.batches(task.id))
        assert "\n" not in str(caught.value)
        with pytest.raises(SimlabError, match="damaged"):
            list(ledger.tasks())
        assert ledger.drop_damaged() == 1
        assert ledger.drop_damaged() == 0
        assert [batch for batch, _, _ in ledger.batches(task.id)] == [0, 1, 2, 4]
    fill(path, task, [3])
    assert rows(path) == sound


def test_a_damaged_task_is_named(path):
    task = a_task()
    fill(path, task, range(2))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tasks SET json = replace(json, 'test', 'tost')")
    database.close()
    with Ledger(path) as ledger, pytest.raises(SimlabError, match="not what its id says"):
        list(ledger.tasks())


def test_files_that_are_no_ledger(tmp_path):
    (tmp_path / "text").write_text("hello " * 1000)
    (tmp_path / "short").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    with sqlite3.connect(tmp_path / "foreign") as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    for name, message in [
        ("text", "is not a ledger"),
        ("short", "is not a ledger"),
        ("folder", "is a folder"),
        ("foreign", "another program's database"),
        ("text/below", "cannot make the folder"),
    ]:
        with pytest.raises(SimlabError, match=message) as caught:
            Ledger(tmp_path / name)
        assert "\n" not in str(caught.value)
    Ledger(tmp_path / "empty").close()  # what a process leaves that was killed as it made the file
    with pytest.raises(SimlabError, match="no ledger"):
        Ledger(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    assert (tmp_path / "text").read_text() == "hello " * 1000


def test_a_ledger_of_another_version(path):
    fill(path, a_task(), [0])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SimlabError, match="has version 99"):
        Ledger(path)


def test_a_ledger_with_damaged_pages(path):
    task = a_task()
    fill(path, task, range(300))
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 8192))
    with pytest.raises(SimlabError, match="is damaged"):
        with Ledger(path) as ledger:
            list(ledger.batches(task.id))


def test_a_locked_ledger(path):
    task = a_task()
    fill(path, task, [0])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SimlabError, match="locked by another process"):
        Ledger(path, timeout=0.1)
    holder.execute("ROLLBACK")
    with Ledger(path, timeout=0.1) as ledger:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SimlabError, match="locked by another process"):
            ledger.save([(task.id, 1, 100, some_counts(1))])
        assert len(list(ledger.batches(task.id))) == 1  # reading goes on
        holder.execute("ROLLBACK")
        ledger.save([(task.id, 1, 100, some_counts(1))])
        assert len(list(ledger.batches(task.id))) == 2
    holder.close()


def test_a_full_disk_loses_nothing(path):
    task = a_task()
    fill(path, task, range(100))
    before = rows(path)
    with Ledger(path) as ledger:
        ledger._db.execute("PRAGMA max_page_count = 1")  # no page more than there are: SQLite's own disk-full
        with pytest.raises(SimlabError, match="disk is full"):
            ledger.save((task.id, batch, 100, some_counts(batch)) for batch in range(100, 1000))
        assert len(list(ledger.batches(task.id))) == 100
    assert rows(path) == before
    fill(path, task, range(100, 200))
    assert len(rows(path)) == 201


@pytest.mark.processes
def test_a_file_that_may_not_grow_loses_nothing(path):
    task = a_task()
    fill(path, task, range(100))
    before = rows(path)
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size},) * 2)
from tests.runs.test_ledger import *
try:
    fill({str(path)!r}, a_task(), range(100, 1000))
except SimlabError as error:
    print(error)
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    assert "what was saved" in output.stdout and output.stdout.count("\n") == 1
    assert rows(path) == before


READ_ONLY = """
import os, sys
from tests.runs.test_ledger import *
task, another, counts, folder = a_task(0), a_task(1), some_counts(7), sys.argv[1]
task.id, another.id
if os.geteuid() == 0:
    os.setuid(65534)  # permissions do not bind root
def attempt(action):
    try:
        print("done", action())
    except SimlabError as error:
        print(error)
ledger = Ledger(folder + "/ledger")
attempt(lambda: len(list(ledger.batches(task.id))))
attempt(lambda: ledger.add_task(task))
attempt(lambda: ledger.add_task(another))
attempt(lambda: ledger.save([(task.id, 7, 100, counts)]))
attempt(lambda: Ledger(folder + "/other"))
attempt(lambda: Ledger(folder + "/below/other"))
"""


@pytest.mark.processes
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_ledger_that_may_not_be_written_can_be_read():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger")
        fill(path, a_task(), range(3))
        before = rows(path)
        path.chmod(0o444)
        os.chmod(folder, 0o555)
        command = [sys.executable, "-c", READ_ONLY, folder]
        output = subprocess.run(command, capture_output=True, text=True)
        os.chmod(folder, 0o755)
        assert rows(path) == before
    assert output.returncode == 0, output.stderr
    lines = output.stdout.splitlines()
    assert lines[:2] == ["done 3", "done None"]
    assert "cannot be written" in lines[2] and "cannot be written" in lines[3]
    assert "cannot be opened" in lines[4] and "cannot make the folder" in lines[5]
    assert len(lines) == 6


@pytest.mark.processes
def test_two_processes_make_and_fill_one_ledger_at_once(path):
    script = """
import sys
from tests.runs.test_ledger import *
for batch in range(60):
    fill(sys.argv[1], a_task(batch % 3), [batch])
"""
    crowd = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in crowd:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    other = path.with_name("alone")
    for batch in range(60):
        fill(other, a_task(batch % 3), [batch])
    assert rows(path) == rows(other)


def test_counts_under_another_batchs_key_are_noticed(path):
    task = a_task()
    fill(path, task, range(6))
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE batches SET counts = (SELECT counts FROM batches WHERE batch = 5) WHERE batch = 4"
        )
    database.close()
    with Ledger(path) as ledger:
        with pytest.raises(SimlabError, match=r"batch 4: .*the seal of the row disagrees"):
            list(ledger.batches(task.id))
        assert len(list(ledger.problems())) == 1
        with pytest.warns(LedgerWarning, match=r"1 damaged batches \(4\) are set aside and run again"):
            assert [batch for batch, _, _ in ledger.sound_batches(task.id)] == [0, 1, 2, 3, 5]
        assert list(ledger.problems()) == []
        assert len(ledger._rows("SELECT * FROM damaged")) == 1


def test_without_a_seal_the_size_is_held_against_the_counts(path):
    task = a_task()
    fill(path, task, range(2))
    fill(path, task, [2], size=60)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE seals")  # as a simlab without seals left it
        database.execute(
            "UPDATE batches SET counts = (SELECT counts FROM batches WHERE batch = 1) WHERE batch = 2"
        )
    database.close()
    with Ledger(path) as ledger, pytest.raises(SimlabError, match="they count 100, not 60"):
        list(ledger.batches(task.id))


@pytest.mark.parametrize(
    "column, value", [("batch", "'five'"), ("counts", "7"), ("counts", "'text'"), ("trajectories", "1.5")]
)
def test_a_cell_of_the_wrong_type_is_one_line(path, column, value):
    task = a_task()
    fill(path, task, range(3))
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE batches SET {column} = {value} WHERE batch = 1")
    database.close()
    with Ledger(path) as ledger:
        with pytest.raises(SimlabError, match="the row is damaged: its") as caught:
            list(ledger.batches(task.id))
        assert "\n" not in str(caught.value)
        with pytest.warns(LedgerWarning):
            assert [batch for batch, _, _ in ledger.sound_batches(task.id)] == [0, 2]
        assert list(ledger.problems()) == []


@pytest.mark.statistical
def test_every_flipped_byte_is_noticed_or_changes_nothing(path, tmp_path):
    """One byte at a time: what is read as sound is what was written, under its own number."""
    task = a_task()
    fill(path, task, range(40))
    written = {batch: some_counts(batch) for batch in range(40)}
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    noticed = 0
    for place in random.choice(np.arange(100, len(whole)), 300, replace=False):
        other = tmp_path / "flipped"
        other.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << random.integers(8)]) + whole[place + 1 :]
        )
        try:
            with Ledger(other) as ledger, warnings.catch_warnings():
                warnings.simplefilter("ignore", LedgerWarning)
                ledger.add_task(task)
                found = list(ledger.sound_batches(task.id))
        except SimlabError as error:
            assert "\n" not in str(error)
            noticed += 1
            continue
        assert all(counts == written[batch] for batch, _, counts in found)
        assert len({batch for batch, _, _ in found}) == len(found)
        noticed += len(found) < 40
    assert noticed > 20  # most of a small file is free space


def test_a_ledger_is_never_changed_by_who_only_reads(path):
    fill(path, a_task(), range(3))
    before = path.read_bytes()
    with Ledger(path, readonly=True) as ledger:
        assert len(list(ledger.batches(a_task().id))) == 3
        with pytest.raises(SimlabError, match="cannot be written"):
            ledger.save([(a_task().id, 4, 100, some_counts(4))])
    assert path.read_bytes() == before


def test_what_can_be_read_of_a_torn_file_is_rescued(path):
    task = a_task()
    fill(path, task, range(300))
    sound, torn = rows(path), path.stat().st_size * 2 // 3
    with open(path, "r+b") as file:
        file.seek(torn // 4096 * 4096)
        file.write(os.urandom(8192))
    damaged = path.read_bytes()
    saved, kept = rescue(path)
    assert kept.read_bytes() == damaged
    assert 100 < saved < 300
    assert set(rows(path)) < set(sound)
    with Ledger(path) as ledger:
        assert list(ledger.problems()) == []
    fill(path, task, range(300))
    assert rows(path) == sound


@pytest.mark.parametrize("change", ["json = 5", "json = replace(json, '1', '2')", "id = x'00'"])
def test_damaged_settings_are_written_anew_by_the_run_that_needs_them(path, change):
    task = a_task()
    fill(path, task, range(2))
    sound = rows(path)
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE tasks SET {change}")
    database.close()
    with Ledger(path) as ledger:
        with pytest.raises(SimlabError, match="simlab run writes the settings of its tasks anew"):
            list(ledger.tasks())
        with pytest.warns(LedgerWarning, match="the settings of 1 tasks were damaged"):
            ledger.add_task(task)
    assert rows(path) == sound
