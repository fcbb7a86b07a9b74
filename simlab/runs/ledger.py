"""The ledger: every finished batch, in one SQLite file.

Two tables: tasks(id, json) and batches(task, batch, trajectories, counts), without times or machine names,
so that two ledgers of the same work hold the same rows (a column `trajectories` counts environments where a
task does). A third, timings(task, trajectories, seconds), says
what the work took and is no result: it is made when the first time is written, and a ledger without it is
whole. One process writes in one transaction a flush, with a rollback journal: after kill -9 at any moment
the file holds every batch of the last finished flush and no half of one. Several processes may share a
ledger, for the same batch has the same counts whoever wrote it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.decoding.counts import Counts
from simlab.decoding.environments.counts import UNITS, EnvironmentCounts
from simlab.errors import SimlabError
from simlab.runs.blob import counts_from_bytes, counts_to_bytes
from simlab.runs.task import Numbered, canonical_json, hash_json

LEDGER_VERSION = 1
_APPLICATION = 0x53494D4C  # "SIML": tells a ledger from another program's database
_CHUNK = 256  # rows read at a time; between chunks other processes may write

_SCHEMA = """
CREATE TABLE tasks (id TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE batches (
    task TEXT NOT NULL, batch INTEGER NOT NULL, trajectories INTEGER NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (task, batch, trajectories)
);
"""

_TIMINGS = """
CREATE TABLE IF NOT EXISTS timings (
    task TEXT PRIMARY KEY, trajectories INTEGER NOT NULL, seconds REAL NOT NULL
)
"""

_ADD_TIMING = """
INSERT INTO timings VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE
SET trajectories = trajectories + excluded.trajectories, seconds = seconds + excluded.seconds
"""

_MENDS = {
    sqlite3.SQLITE_NOTADB: "is no ledger: give the path of a ledger, or of a file that does not exist yet",
    sqlite3.SQLITE_CORRUPT: "is damaged: move it away and run again, or rescue it with sqlite3's .recover",
    sqlite3.SQLITE_BUSY: "is locked by another process: wait for it, or end it, and run again",
    sqlite3.SQLITE_READONLY: "cannot be written: make the file and its folder writable, or give another path",
    sqlite3.SQLITE_PERM: "cannot be opened: make it readable and writable, or give another path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: make its folder writable, or give another path",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full: make room and run again; what was saved is safe",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check the disk and run again; what was saved is safe",
}


@dataclass(frozen=True)
class Timing:
    """What simulating took: seconds of the workers, added up, for so many trajectories or environments."""

    samples: int
    seconds: float


@dataclass(frozen=True)
class TaskSummary:
    """What a ledger holds of one task: its settings, batches, and so many of what it counts.

    unit: "trajectories" or "environments". mean: the mean number of rejections, or of right tokens at the
    largest capacity; None where there is no batch.
    """

    id: str
    settings: dict
    batches: int
    samples: int
    unit: str
    mean: float | None


class Ledger:
    """An open ledger; use it in a `with` block, or close it.

    path: the file, made with its folder if it is missing (unless create=False). timeout: seconds to wait for
    another process's lock. Raises SimlabError, in one line with the mend, for a file that is no ledger or one
    of another version, for a damaged, locked or unwritable one, and for a full disk.
    """

    def __init__(self, path: str | os.PathLike, *, create: bool = True, timeout: float = 60.0) -> None:
        self.path = Path(path)
        if not create and not self.path.exists():
            raise SimlabError(f"no ledger {self.path}: give the path of one that a run has written")
        if self.path.is_dir():
            raise SimlabError(f"the ledger {self.path} is a folder: give the path of a file")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SimlabError(f"cannot make the folder {self.path.parent}: {error.strerror}") from error
        with self._reported():
            self._db = sqlite3.connect(
                self.path, timeout=timeout, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._db.close()

    def add_task(self, task: Numbered) -> None:
        """Write the task's settings, where they are not there yet."""
        known = self._rows("SELECT 1 FROM tasks WHERE id = ?", (task.id,))
        if not known:
            with self._transaction():
                self._db.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?)", (task.id, canonical_json(task)))

    def save(
        self,
        rows: Iterable[tuple[str, int, int, Counts | EnvironmentCounts]],
        timings: Mapping[str, Timing] | None = None,
    ) -> None:
        """Write batches (task id, batch number, samples, counts) in one transaction.

        A batch that is there already stays as it is. timings: by task id, added to what is there.
        """
        encoded = [(task, batch, size, counts_to_bytes(counts)) for task, batch, size, counts in rows]
        taken = [(task, timing.samples, timing.seconds) for task, timing in (timings or {}).items()]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?)", encoded)
            if taken:
                self._db.execute(_TIMINGS)
                self._db.executemany(_ADD_TIMING, taken)

    def timings(self) -> dict[str, Timing]:
        """What simulating took, by task id, as far as it was written down.

        Batches that an adaptive job simulated and then did not need are in it; those that came from another
        ledger are only where this one had no timing of their task.
        """
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'timings'"):
            return {}
        rows = self._rows("SELECT task, trajectories, seconds FROM timings ORDER BY task")
        return {task: Timing(samples, seconds) for task, samples, seconds in rows}

    def batches(self, task: str) -> Iterator[tuple[int, int, Counts | EnvironmentCounts]]:
        """(batch number, samples, counts) of a task, by batch number and then samples.

        Streams: memory does not depend on how many there are. Raises SimlabError at a damaged batch.
        """
        for batch, size, blob in self._blobs(task):
            yield batch, size, self._decode(task, batch, blob)

    def read(self, task: str, batch: int, trajectories: int) -> Counts | EnvironmentCounts:
        """The counts of one batch, which must be there."""
        key = (task, batch, trajectories)
        rows = self._rows("SELECT counts FROM batches WHERE (task, batch, trajectories) = (?, ?, ?)", key)
        if not rows:
            raise SimlabError(f"the ledger {self.path} lost batch {batch} of task {task[:12]}: run again")
        return self._decode(task, batch, rows[0][0])

    def tasks(self) -> Iterator[TaskSummary]:
        """A summary of each task, by id. Of a batch that was run in part and in full, the full one counts."""
        for task, text in self._rows("SELECT id, json FROM tasks ORDER BY id"):
            sizes: dict[int, int] = {}
            settings = self._settings(task, text)
            observed, last = 0, 0
            for batch, size, counts in self.batches(task):
                total = _observed(counts)
                observed += total - (last if batch in sizes else 0)
                sizes[batch], last = size, total
            samples = sum(sizes.values())
            unit, scale = ("environments", UNITS) if "law" in settings else ("trajectories", 1)
            mean = observed / (scale * samples) if samples else None
            yield TaskSummary(task, settings, len(sizes), samples, unit, mean)

    def merge(self, other: str | os.PathLike) -> int:
        """Take over all tasks and batches of another ledger; returns how many batches were new.

        All or nothing: raises SimlabError, with nothing changed, where the other is no sound ledger, or
        where the two hold different counts for one batch (they come from different samplers).
        """
        with Ledger(other, create=False) as source:
            if os.path.samefile(self.path, source.path):
                return 0
            tasks = source._rows("SELECT id, json FROM tasks ORDER BY id")
            timings = source.timings()
            with self._transaction():
                for task, text in tasks:
                    source._settings(task, text)
                    self._db.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?)", (task, text))
                added = self._db.total_changes
                for task, _ in tasks:
                    for batch, size, blob in source._blobs(task):
                        source._decode(task, batch, blob)
                        self._insert_same(task, batch, size, blob, source.path)
                added = self._db.total_changes - added
                self._db.execute(_TIMINGS)
                for task, timing in timings.items():
                    row = (task, timing.samples, timing.seconds)
                    self._db.execute("INSERT OR IGNORE INTO timings VALUES (?, ?, ?)", row)
                return added

    def drop_damaged(self) -> int:
        """Delete the batches whose counts are damaged, so that the next run simulates them again."""
        damaged = []
        for (task,) in self._rows("SELECT DISTINCT task FROM batches ORDER BY task"):
            for batch, size, blob in self._blobs(task):
                try:
                    counts_from_bytes(blob)
                except SimlabError:
                    damaged.append((task, batch, size))
        with self._transaction():
            self._db.executemany("DELETE FROM batches WHERE (task, batch, trajectories) = (?, ?, ?)", damaged)
        return len(damaged)

    def _prepare(self) -> None:
        """Check that the file is a ledger of this version; make it one if it is empty."""
        with self._reported():
            # Rollback journal, not WAL: one file to copy, and it works on network file systems.
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = FULL")
        if self._is_empty():
            with self._transaction():
                if self._is_empty():  # still: another process may have been first
                    for statement in _SCHEMA.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._db.execute(f"PRAGMA user_version = {LEDGER_VERSION}")
        if self._pragma("application_id") != _APPLICATION:
            raise SimlabError(f"{self.path} is another program's database: give a ledger, or a new path")
        version = self._pragma("user_version")
        if version != LEDGER_VERSION:
            raise SimlabError(
                f"the ledger {self.path} has version {version} and this simlab reads {LEDGER_VERSION}: "
                "use the simlab that wrote it, or give another path"
            )

    def _is_empty(self) -> bool:
        return not self._rows("SELECT 1 FROM sqlite_master LIMIT 1") and self._pragma("application_id") == 0

    def _pragma(self, name: str) -> int:
        return self._rows(f"PRAGMA {name}")[0][0]

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        with self._reported():
            return self._db.execute(query, values).fetchall()

    def _blobs(self, task: str) -> Iterator[tuple[int, int, bytes]]:
        after = (-1, -1)
        while True:
            rows = self._rows(
                "SELECT batch, trajectories, counts FROM batches WHERE task = ? "
                "AND (batch, trajectories) > (?, ?) ORDER BY batch, trajectories LIMIT ?",
                (task, *after, _CHUNK),
            )
            yield from rows
            if len(rows) < _CHUNK:
                return
            after = rows[-1][:2]

    def _insert_same(self, task: str, batch: int, size: int, blob: bytes, origin: Path) -> None:
        key = (task, batch, size)
        held = self._rows("SELECT counts FROM batches WHERE (task, batch, trajectories) = (?, ?, ?)", key)
        if not held:
            self._db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (*key, blob))
        elif held[0][0] != blob:
            raise SimlabError(
                f"{self.path} and {origin} disagree on batch {batch} of task {task[:12]}: "
                "they come from different samplers; keep them apart"
            )

    def _decode(self, task: str, batch: int, blob: bytes) -> Counts | EnvironmentCounts:
        try:
            return counts_from_bytes(blob)
        except SimlabError as error:
            raise SimlabError(
                f"{self.path}, task {task[:12]}, batch {batch}: {error}; delete such batches with "
                f"simlab.runs.Ledger({str(self.path)!r}).drop_damaged() and run again"
            ) from error

    def _settings(self, task: str, text: str) -> dict:
        if not isinstance(text, str) or hash_json(text) != task:
            raise SimlabError(f"the ledger {self.path} is damaged: task {task[:12]} is not what its id says")
        return json.loads(text)

    @contextmanager
    def _transaction(self):
        with self._reported():
            # IMMEDIATE takes the write lock at once: a lock taken half-way could not be waited for.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reported(self):
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            mend = _MENDS.get(code & 0xFF) if code is not None else None
            raise SimlabError(f"the ledger {self.path} {mend or f'fails: {error}'}") from error


def _observed(counts: Counts | EnvironmentCounts) -> int:
    """The sum of what a task's mean is of: rejections, or right tokens at the largest capacity, in units."""
    if isinstance(counts, EnvironmentCounts):
        return sum(counts.accepted[:, -1].tolist())
    return int(np.dot(counts.rejections, np.arange(len(counts.rejections))))
