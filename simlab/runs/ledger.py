"""The ledger: every finished batch, in one SQLite file.

Two tables: tasks(id, json) and batches(task, batch, trajectories, counts), without times or machine names,
so that two ledgers of the same work hold the same rows (a column `trajectories` counts environments where a
task does). Three more are made when they are first needed. seals(task, batch, trajectories, seal) holds a
digest of each row with its key: counts that stand under another batch's key, because a page of an index was
damaged or somebody edited the file, are noticed as surely as damaged counts are. Batches of a simlab that
wrote no seals are checked as far as they can be. timings(task, trajectories, seconds) says what the work
took and is not a result. damaged holds the rows that were set aside.

One process writes in one transaction a flush, with a rollback journal: after kill -9 at any moment the file
holds every batch of the last finished flush and no half of one. Several processes may share a ledger, for the
same batch has the same counts whoever wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import warnings
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
ALL = range(1)
"""Batches of all numbers, which are those that a step of 1 reaches."""
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

_SEALS = """
CREATE TABLE IF NOT EXISTS seals (
    task TEXT NOT NULL, batch INTEGER NOT NULL, trajectories INTEGER NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (task, batch, trajectories)
) WITHOUT ROWID
"""

_SEAL_OF_ROW = """(
    SELECT seal FROM seals
    WHERE (task, batch, trajectories) = (batches.task, batches.batch, batches.trajectories)
)"""

_DAMAGED = """
CREATE TABLE IF NOT EXISTS damaged (task, batch, trajectories, counts, seal, reason TEXT NOT NULL)
"""

_ADD_TIMING = """
INSERT INTO timings VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE
SET trajectories = trajectories + excluded.trajectories, seconds = seconds + excluded.seconds
"""

_MENDS = {
    sqlite3.SQLITE_NOTADB: "is not a ledger; expected the path of one, or of a file that does not exist",
    sqlite3.SQLITE_CORRUPT: "is damaged: simlab run rescues what can be read of it, and keeps the file "
    "beside it",
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


class DamagedLedger(SimlabError):
    """Pages of the file cannot be read as a database's. `simlab.runs.rescue` saves what can be read."""


class LedgerWarning(UserWarning):
    """Batches of a ledger were damaged, and are run again."""


class Ledger:
    """An open ledger; use it in a `with` block, or close it.

    path: the file, made with its folder if it is missing (unless create=False). timeout: seconds to wait for
    another process's lock. readonly: the file is never changed, and must be there.
    Raises SimlabError, in one line with the mend, for a file that is not a ledger or one of another version,
    for a damaged, locked or unwritable one, and for a full disk.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        create: bool = True,
        timeout: float = 60.0,
        readonly: bool = False,
    ) -> None:
        self.path = Path(path)
        self._tasks_are_sound = False  # as far as is known
        if not (create and not readonly) and not self.path.exists():
            raise SimlabError(f"no ledger {self.path}: give the path of one that a run has written")
        if self.path.is_dir():
            raise SimlabError(f"the ledger {self.path} is a folder: give the path of a file")
        if not readonly:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SimlabError(f"cannot make the folder {self.path.parent}: {error.strerror}") from error
        name = f"{self.path.absolute().as_uri()}?mode=ro" if readonly else self.path
        with self._reported():
            self._db = sqlite3.connect(
                name, timeout=timeout, isolation_level=None, check_same_thread=False, uri=readonly
            )
        self._db.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged byte is not a traceback
        try:
            self._prepare(readonly)
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
        """Write the task's settings, where they are not there yet; the first time, drop damaged ones."""
        if not self._tasks_are_sound:
            self._drop_damaged_tasks()
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
            self._db.execute(_SEALS)
            for row in encoded:
                self._insert(*row)
            if taken:
                self._db.execute(_TIMINGS)
                self._db.executemany(_ADD_TIMING, taken)

    def insert_tasks(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write rows (task id, canonical JSON) as they are, where they are not there yet."""
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO tasks VALUES (?, ?)", rows)

    def insert_batches(self, rows: Iterable[tuple[str, int, int, bytes]]) -> int:
        """Write sound rows (task id, batch number, samples, counts as bytes); how many were new."""
        with self._transaction():
            self._db.execute(_SEALS)
            return sum(self._insert(*row) for row in rows)

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
        for row in self._blobs(task):
            yield row[0], row[1], self._decode(task, *row)

    def sound_batches(
        self, task: str, numbers: range = ALL
    ) -> Iterator[tuple[int, int, Counts | EnvironmentCounts]]:
        """Like `batches`, of these numbers, but sets aside the damaged ones, in the table `damaged`: they are
        run again.

        Says so in one warning. Raises DamagedLedger where the file itself is damaged.
        """
        damaged = []
        for row in self._blobs(task, numbers):
            try:
                counts = self._decode(task, *row)
            except SimlabError as error:
                damaged.append((row, str(error.__cause__ or error)))
                continue
            yield row[0], row[1], counts
        if damaged:
            self._set_aside(task, damaged)
            numbers = ", ".join(str(batch) for (batch, *_), _ in damaged[:5]) + ", ..." * (len(damaged) > 5)
            warnings.warn(
                f"{self.path}, task {task[:12]}: {len(damaged)} damaged batches ({numbers}) are set aside "
                "and run again",
                LedgerWarning,
                stacklevel=2,
            )

    def held(self, task: str, numbers: range = ALL) -> Iterator[tuple[int, int]]:
        """(batch number, samples) of the sound batches with these numbers. Changes nothing, and where rows
        have seals looks at those alone: ten times as fast as reading the counts."""
        for batch, size, blob, seal in self._blobs(task, numbers):
            try:
                if seal is None:
                    opened(task, batch, size, blob, seal)
                else:
                    check_row(task, batch, size, blob, seal)
            except SimlabError:
                continue
            yield batch, size

    def read(self, task: str, batch: int, trajectories: int) -> Counts | EnvironmentCounts:
        """The counts of one batch, which must be there."""
        key = (task, batch, trajectories)
        rows = self._rows(
            f"SELECT {self._columns} FROM batches WHERE (task, batch, trajectories) = (?, ?, ?)", key
        )
        if not rows:
            raise SimlabError(f"the ledger {self.path} lost batch {batch} of task {task[:12]}: run again")
        return self._decode(task, *rows[0])

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

        All or nothing: raises SimlabError, with nothing changed, where the other is not a sound ledger, or
        where the two hold different counts for one batch (they come from different samplers). The other is
        opened for reading only.
        """
        with Ledger(other, readonly=True) as source:
            if os.path.samefile(self.path, source.path):
                return 0
            tasks = source._rows("SELECT id, json FROM tasks ORDER BY id")
            timings = source.timings()
            with self._transaction():
                self._db.execute(_SEALS)
                for task, text in tasks:
                    source._settings(task, text)
                    self._db.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?)", (task, text))
                added = 0
                for task, _ in tasks:
                    for row in source._blobs(task):
                        source._decode(task, *row)
                        added += self._insert_same(task, *row[:3], source.path)
                self._db.execute(_TIMINGS)
                for task, timing in timings.items():
                    row = (task, timing.samples, timing.seconds)
                    self._db.execute("INSERT OR IGNORE INTO timings VALUES (?, ?, ?)", row)
                return added

    def drop_damaged(self) -> int:
        """Delete the batches whose counts are damaged, so that the next run simulates them again."""
        dropped = 0
        for (task,) in self._rows("SELECT DISTINCT task FROM batches ORDER BY task"):
            damaged = []
            for row in self._blobs(task):
                try:
                    self._decode(task, *row)
                except SimlabError as error:
                    damaged.append((row, str(error)))
            if damaged:
                self._set_aside(task, damaged, keep=False)
            dropped += len(damaged)
        return dropped

    def problems(self) -> Iterator[str]:
        """Read everything; in one line each, what is not as it was written. Nothing where all is sound.

        Rows without a seal are checked by their own checksum and their size alone.
        """
        for (text,) in self._rows("PRAGMA integrity_check(20)"):
            if text != "ok":
                yield f"{self.path}: {' '.join(str(text).split())}"
        known = set()
        for task, text in self._rows("SELECT id, json FROM tasks ORDER BY id"):
            known.add(task)
            try:
                self._settings(task, text)
            except SimlabError as error:
                yield str(error)
        for (task,) in self._rows("SELECT DISTINCT task FROM batches ORDER BY task"):
            if task not in known:
                yield f"{self.path}: batches of task {str(task)[:12]!r}, which no row of the tasks names"
            for row in self._blobs(task):
                try:
                    self._decode(task, *row)
                except SimlabError as error:
                    yield str(error)

    def unsealed(self) -> int:
        """How many batches have no seal: whether they stand under their own key is not known."""
        rows = self._rows(f"SELECT 1 FROM (SELECT {self._columns} FROM batches) WHERE seal IS NULL")
        return len(rows)

    def _drop_damaged_tasks(self) -> None:
        """Delete rows whose settings are not what their id says: whoever needs a task writes it anew."""
        rows = self._rows("SELECT rowid, id, json FROM tasks")
        damaged = [(number,) for number, task, text in rows if not is_task(task, text)]
        if damaged:
            with self._transaction():
                self._db.executemany("DELETE FROM tasks WHERE rowid = ?", damaged)
            warnings.warn(
                f"{self.path}: the settings of {len(damaged)} tasks were damaged; each is written anew by "
                "the run that needs it",
                LedgerWarning,
                stacklevel=3,
            )
        self._tasks_are_sound = True

    def _prepare(self, readonly: bool) -> None:
        """Check that the file is a ledger of this version; make it one if it is empty and may change."""
        if not readonly:
            with self._reported():
                # Rollback journal, not WAL: one file to copy, and it works on network file systems.
                self._db.execute("PRAGMA journal_mode = DELETE")
                self._db.execute("PRAGMA synchronous = FULL")
        if not readonly and self._is_empty():
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

    @property
    def _columns(self) -> str:
        seals = self._rows("SELECT 1 FROM sqlite_master WHERE name = 'seals'")
        return "batch, trajectories, counts, " + (f"{_SEAL_OF_ROW} AS seal" if seals else "NULL AS seal")

    def _is_empty(self) -> bool:
        return not self._rows("SELECT 1 FROM sqlite_master LIMIT 1") and self._pragma("application_id") == 0

    def _pragma(self, name: str) -> int:
        return self._rows(f"PRAGMA {name}")[0][0]

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        with self._reported():
            return self._db.execute(query, values).fetchall()

    def _blobs(self, task: str, numbers: range = ALL) -> Iterator[tuple[int, int, bytes, bytes | None]]:
        after, columns = (-1, -1), self._columns
        # A number that is damaged into text or a blob sorts behind all others and is nobody's: read it too.
        ours = "" if numbers == ALL else "AND (typeof(batch) != 'integer' OR (batch - ?) % ? = 0) "
        which = () if numbers == ALL else (numbers.start, numbers.step)
        while True:
            rows = self._rows(
                f"SELECT {columns} FROM batches WHERE task = ? AND (batch, trajectories) > (?, ?) {ours}"
                "ORDER BY batch, trajectories LIMIT ?",
                (task, *after, *which, _CHUNK),
            )
            yield from rows
            if len(rows) < _CHUNK:
                return
            after = rows[-1][:2]

    def _insert(self, task: str, batch: int, size: int, blob: bytes) -> bool:
        """Write a row and its seal, if there is none yet; in a transaction, with the table of seals there."""
        key = (task, int(batch), int(size))
        done = self._db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?)", (*key, blob))
        if done.rowcount:
            self._db.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?, ?)", (*key, _seal(*key, blob)))
        return bool(done.rowcount)

    def _insert_same(self, task: str, batch: int, size: int, blob: bytes, origin: Path) -> bool:
        key = (task, batch, size)
        held = self._rows(
            f"SELECT {self._columns} FROM batches WHERE (task, batch, trajectories) = (?, ?, ?)", key
        )
        if not held:
            self._insert(*key, blob)
        elif held[0][2] != blob:
            self._decode(task, *held[0])  # damage is told as such
            raise SimlabError(
                f"{self.path} and {origin} disagree on batch {batch} of task {task[:12]}: "
                "they come from different samplers; keep them apart"
            )
        return not held

    def _decode(self, task: str, batch, size, blob, seal) -> Counts | EnvironmentCounts:
        try:
            return opened(task, batch, size, blob, seal)
        except SimlabError as error:
            raise SimlabError(
                f"{self.path}, task {str(task)[:12]}, batch {batch!r}: {error}; simlab run sets such "
                f"batches aside and runs them again, simlab.runs.Ledger({str(self.path)!r}).drop_damaged() "
                "deletes them"
            ) from error

    def _set_aside(self, task: str, damaged: list[tuple[tuple, str]], keep: bool = True) -> None:
        with self._transaction():
            if keep:
                self._db.execute(_DAMAGED)
            for (batch, size, blob, seal), reason in damaged:
                if keep:
                    self._db.execute(
                        "INSERT INTO damaged VALUES (?, ?, ?, ?, ?, ?)",
                        (task, batch, size, blob, seal, reason),
                    )
                self._db.execute(
                    "DELETE FROM batches WHERE task = ? AND batch IS ? AND trajectories IS ?",
                    (task, batch, size),
                )

    def _settings(self, task: str, text: str) -> dict:
        if not is_task(task, text):
            raise SimlabError(
                f"the ledger {self.path} is damaged: task {str(task)[:12]} is not what its id says; "
                "simlab run writes the settings of its tasks anew"
            )
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
            # A file that is not a database's at all may still be somebody else's: it is never rescued.
            kind = (
                DamagedLedger if code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT else SimlabError
            )
            mend = mend or f"fails: {' '.join(str(error).split())}"
            raise kind(f"the ledger {self.path} {mend}") from error


def is_task(task, text) -> bool:
    """Whether a row of `tasks` is what its id says."""
    return isinstance(text, str) and hash_json(text) == task


def _seal(task: str, batch: int, size: int, blob: bytes) -> bytes:
    return hashlib.blake2b(f"{task},{batch},{size},".encode() + blob, digest_size=8).digest()


def check_row(task: str, batch, size, blob, seal) -> None:
    """SimlabError where a row is not what was sealed under this key, or is of a wrong type."""
    for name, value, kind in (("batch", batch, int), ("trajectories", size, int), ("counts", blob, bytes)):
        if not isinstance(value, kind):
            raise SimlabError(f"the row is damaged: its {name} is of type {type(value).__name__}")
    if seal is not None and seal != _seal(task, batch, size, blob):
        raise SimlabError("the counts are damaged, or another batch's: the seal of the row disagrees")


def opened(task: str, batch, size, blob, seal) -> Counts | EnvironmentCounts:
    """The counts of a row; SimlabError where the row is not what was written under this key."""
    check_row(task, batch, size, blob, seal)
    counts = counts_from_bytes(blob)
    held = len(counts.accepted) if isinstance(counts, EnvironmentCounts) else counts.trajectories
    if held != size:
        raise SimlabError(f"the counts are damaged, or another batch's: they count {held}, not {size}")
    return counts


def _observed(counts: Counts | EnvironmentCounts) -> int:
    """The sum of what a task's mean is of: rejections, or right tokens at the largest capacity, in units."""
    if isinstance(counts, EnvironmentCounts):
        return sum(counts.accepted[:, -1].tolist())
    return int(np.dot(counts.rejections, np.arange(len(counts.rejections))))
