"""A ledger written by version 207d745, before counts were open: it stays readable, and the same work has the
same ids and the same bytes today. Block verification alone draws other numbers since then, under other ids.

`data/old_ledger.sqlite` is what that version's `run(jobs(), ledger=...)` wrote.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from simlab import (
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ChainPair,
    Speculative,
    TreeSpeculative,
)
from simlab.laws import Rows
from simlab.runs import EnvironmentTask, Job, Ledger, Task, Trajectories, run

OLD = Path(__file__).with_name("data") / "old_ledger.sqlite"
BATCH = 200
DECODERS = (
    Speculative(),
    BatchSpeculative(2),
    BiasedSpeculative(0.25),
    TreeSpeculative(3),
    Speculative(2, bonus=True),
)


def jobs() -> list[Job]:
    """A full and a partial batch of each kind; the probabilities are sixteenths, exact on every machine."""
    draft = np.array([[8, 4, 4], [2, 12, 2], [4, 4, 8]]) / 16
    target = np.array([[4, 8, 4], [6, 8, 2], [2, 2, 12]]) / 16
    pair = ChainPair.stationary(draft, target, np.array([8, 4, 4]) / 16, 4)
    identity = {"digest": pair.digest}
    law = Rows(np.array([[8, 4, 4], [12, 2, 2]]) / 16, np.array([0.75, 0.25]))
    return [
        *(
            Job(Task(identity, decoder, seed, BATCH), pair, Trajectories(BATCH + 50))
            for seed, decoder in enumerate(DECODERS)
        ),
        Job(EnvironmentTask(law, (1, 4, 20), 5, 10), law, Trajectories(13)),
    ]


def rows(path: Path) -> dict[str, set]:
    """All of a ledger but its times."""
    with sqlite3.connect(path) as db:
        return {name: set(db.execute(f"SELECT * FROM {name}")) for name in ("tasks", "batches")}


def block_job() -> Job:
    pair = jobs()[0].subject
    return Job(Task({"digest": pair.digest}, BlockSpeculative(2), 5, BATCH), pair, Trajectories(BATCH + 50))


def without_block(old: dict[str, set]) -> dict[str, set]:
    (block,) = {id for id, json in old["tasks"] if '"name":"block"' in json}
    return {name: {row for row in all_rows if row[0] != block} for name, all_rows in old.items()}


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copy(OLD, tmp_path / "old.sqlite"))


def test_the_same_work_has_the_same_ids_and_bytes(tmp_path):
    with Ledger(tmp_path / "new.sqlite") as ledger:
        run(jobs(), ledger=ledger)
    assert rows(tmp_path / "new.sqlite") == without_block(rows(OLD))
    formats = {blob[:4] for *_, blob in rows(tmp_path / "new.sqlite")["batches"]}
    assert formats == {b"SLC1", b"SLC2", b"SLC3", b"SLC4", b"SLE1"}


def test_an_old_ledger_is_read_and_nothing_is_simulated_again(old, monkeypatch):
    fresh = run(jobs())

    def again(*_):
        raise AssertionError("simulated again")

    for kind in (Task, EnvironmentTask):
        monkeypatch.setattr(kind, "simulate", again)
    with Ledger(old) as ledger:
        held = run(jobs(), ledger=ledger)
    assert len(held) == len(DECODERS) + 1
    assert {task: result.counts for task, result in held.items()} == {
        task: result.counts for task, result in fresh.items()
    }


def test_a_lost_batch_would_be_simulated_again(old, monkeypatch):
    """Control: of what the test above relies on."""
    with sqlite3.connect(old) as db:
        db.execute("DELETE FROM batches WHERE batch = 1")
    sizes, simulate = [], Task.simulate

    def noted(task, tables, batch, size):
        sizes.append(size)
        return simulate(task, tables, batch, size)

    monkeypatch.setattr(Task, "simulate", noted)
    with Ledger(old) as ledger:
        run(jobs(), ledger=ledger)
    assert sizes == [50] * len(DECODERS)
    assert without_block(rows(old)) == without_block(rows(OLD))


def test_block_verification_is_simulated_anew_and_its_old_batches_stay(old):
    with Ledger(old) as ledger:
        run([block_job()], ledger=ledger)
    kept, added = rows(OLD), rows(old)
    assert kept["batches"] < added["batches"] and kept["tasks"] < added["tasks"]
    ((id, json),) = added["tasks"] - kept["tasks"]
    assert id == block_job().task.id and '"sampler":2' in json
