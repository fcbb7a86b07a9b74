"""Saves what can be read of a damaged ledger into a fresh one; the damaged file is kept beside it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from simlab.errors import SimlabError
from simlab.runs.ledger import Ledger, is_task, opened

_SMALLEST_ROW = 64  # bytes that a row of `batches` takes at least: its task's id alone is as long


def rescue(path: str | os.PathLike) -> tuple[int, Path]:
    """Replace a damaged ledger by a fresh one with all its sound rows.

    Returns how many batches were saved, and where the damaged file is now: beside the ledger, under its name
    with `.damaged`, or `.damaged-2` and so on. Rows are read one by one, each by its number, so that a page
    that is torn takes only its own rows with it; a row is sound where its seal or, without one, its checksum
    and size agree. Nothing is changed before the fresh ledger is whole. Raises SimlabError where not even the
    list of tables can be read.
    """
    path = Path(path)
    fresh = _unused(path.with_name(path.name + ".rescued"))
    try:
        saved = _copy(path, fresh)
        kept = _unused(path.with_name(path.name + ".damaged"))
        os.rename(path, kept)
        os.rename(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return saved, kept


def _copy(path: Path, fresh: Path) -> int:
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        # The list of tables stands on the first page; without it nothing says what a page holds.
        source.execute("SELECT name FROM sqlite_master").fetchall()
        most = path.stat().st_size // _SMALLEST_ROW + 1
        tasks = [row for row in _rows(source, "tasks", "id, json", most) if is_task(*row)]
        seals = _seals(source)
        with Ledger(fresh) as ledger:
            ledger.insert_tasks(tasks)
            names = {task for task, _ in tasks}
            return ledger.insert_batches(
                row
                for row in _rows(source, "batches", "task, batch, trajectories, counts", most)
                if row[0] in names and _is_sound(row, seals.get(row[:3]))
            )
    except sqlite3.Error as error:
        raise SimlabError(
            f"the ledger {path} is damaged from its first page on ({error}), so that nothing of it can be "
            "saved: move it away and run again"
        ) from error
    finally:
        source.close()


def _rows(source: sqlite3.Connection, table: str, columns: str, most: int) -> Iterator[tuple]:
    """The rows of a table that can be read, each asked for by its number: no other row's page is touched."""
    try:
        ((last,),) = source.execute(f"SELECT max(rowid) FROM {table}").fetchall()
        last = min(last or 0, most)
    except sqlite3.Error:
        last = most
    for number in range(1, last + 1):
        try:
            yield from source.execute(
                f"SELECT {columns} FROM {table} NOT INDEXED WHERE rowid = ?", (number,)
            ).fetchall()
        except sqlite3.Error:
            continue


def _seals(source: sqlite3.Connection) -> dict[tuple, bytes]:
    """Seals by key, as far as they can be read from either end: a row without one is checked without it."""
    seals = {}
    for direction in ("ASC", "DESC"):
        order = f"ORDER BY task {direction}, batch {direction}, trajectories {direction}"
        try:
            for *key, seal in source.execute(f"SELECT task, batch, trajectories, seal FROM seals {order}"):
                seals[tuple(key)] = seal
        except sqlite3.Error:
            continue
        break
    return seals


def _is_sound(row: tuple, seal) -> bool:
    try:
        opened(*row, seal)
    except SimlabError:
        return False
    return True


def _unused(path: Path) -> Path:
    number, name = 1, path
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}-{number}")
    return name
