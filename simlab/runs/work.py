"""What a worker does, in whatever process: build a task's tables once, then simulate batches.

Worker processes import this module: keep its imports few, their time is the time a run takes to start.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from simlab.runs.task import Numbered

SHARED = 64 << 20
"""Bytes of a task's tables from which the workers of one machine are threads over one copy of them: copies in
processes of their own would take the memory as often, and batches with such tables are so long that the
interpreter, which threads take turns in, does not matter."""

TABLES_KEPT = 256 << 20
"""Bytes of tables that a process keeps beside those it needs right now."""

_tables: OrderedDict[tuple, object] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Done:
    """The counts of some batches, in the order asked for, and the seconds that simulating them took."""

    counts: list
    seconds: float


def simulate_batches(task: Numbered, digest: str, batches: list[tuple[int, int]], subject) -> Done | None:
    """Simulate batches of a task, each (number, size), on the pair or distribution with this digest.

    Returns None if `subject` is None and this process does not hold the tables: ask again with the pair or
    distribution. So a large one travels to each process once, and not with every call.
    """
    tables = _tables_of(task, digest, subject)
    if tables is None:
        return None
    start = time.perf_counter()
    counts = [task.simulate(tables, batch, size) for batch, size in batches]
    return Done(counts, time.perf_counter() - start)


def _tables_of(task: Numbered, digest: str, subject):
    key = (digest, task.tables_key)
    with _lock:  # a cluster's worker may run several threads: one of them builds, the others wait
        if key not in _tables:
            if subject is None:
                return None
            _drop_old(keep=0, room=task.table_bytes(subject))
            _tables[key] = task.build_tables(subject)
        _tables.move_to_end(key)
        _drop_old(keep=1)
        return _tables[key]


def release_large_tables() -> None:
    """Drop this process's tables beyond TABLES_KEPT: the end of a run must not leave gigabytes behind."""
    with _lock:
        _drop_old(keep=0)


def _drop_old(keep: int, room: int = 0) -> None:
    sizes = {key: _bytes(tables) for key, tables in _tables.items()}
    while len(_tables) > keep and sum(sizes.values()) + room > TABLES_KEPT:
        key, _ = _tables.popitem(last=False)
        del sizes[key]


def _bytes(value) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if dataclasses.is_dataclass(value):
        return sum(_bytes(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        return sum(map(_bytes, value))
    return 0


def start_process(parent: int) -> None:
    """Prepare a local worker process: Ctrl-C is the parent's business, and so is the process's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_large_tables()
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def ready() -> int:
    """The process's id: an answer means that the process has started and imported all it needs."""
    return os.getpid()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)  # the parent was killed: nobody waits for a result


def _keep_large_tables() -> None:
    # loky takes a process that grew by 300 MB for one that leaks and replaces it, again and again: with
    # large tables each new process would build them, grow, and be replaced.
    from joblib.externals.loky import process_executor

    process_executor._USE_PSUTIL = False
