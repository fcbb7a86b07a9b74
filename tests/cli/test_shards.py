"""`shard=`, `simlab merge`, `simlab status`: a study shared out by hand, in real processes."""

from __future__ import annotations

import os
import shutil
import sqlite3

import pytest

from tests.cli.command import files, simlab

WORDS = "trajectories=7000 batch_size=1000 pair.horizon=6 decoder=batch decoder.drafts=1,2 run=serial".split()

pytestmark = pytest.mark.processes


def test_a_study_in_shards_is_the_study(tmp_path):
    simlab("run", *WORDS, "output=whole", cwd=tmp_path)
    for index in (1, 2, 3):
        done = simlab("run", *WORDS, f"shard={index}/3", f"output=part{index}", cwd=tmp_path)
        assert f"shard {index}/3 of 2 tasks is simulated" in done.stdout
    before = [(tmp_path / f"part{index}" / "ledger.sqlite").read_bytes() for index in (1, 2, 3)]
    lacking = simlab("status", *WORDS, "shards=3", "output=part1", "--json", cwd=tmp_path).stdout
    assert lacking.count('"batches": 0') == 1
    for _ in range(2):  # again: nothing changes
        done = simlab("merge", "all/ledger.sqlite", "part3", "part1/ledger.sqlite", "part2", cwd=tmp_path)
    assert done.stdout.count(" 0 new batches") == 3
    assert before == [(tmp_path / f"part{index}" / "ledger.sqlite").read_bytes() for index in (1, 2, 3)]
    done = simlab("run", *WORDS, "output=all", cwd=tmp_path)
    assert "/s," not in done.stderr  # no rate: nothing is simulated
    assert files(tmp_path / "all") == files(tmp_path / "whole")
    assert "all is as it was written" in simlab("status", "--check", "output=all", cwd=tmp_path).stdout


@pytest.mark.parametrize("words", ["shard=0/8", "shard=9/8", "shard=2", "shard=a/b"])
def test_shards_that_are_none(tmp_path, words):
    done = simlab("run", *WORDS, words, cwd=tmp_path, code=2)
    assert "is not a valid shard" in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_ledgers_that_cannot_be_merged(tmp_path):
    simlab("run", *WORDS, "shard=1/2", "output=one", cwd=tmp_path)
    (tmp_path / "text.sqlite").write_text("no database " * 400)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    with sqlite3.connect(tmp_path / "other" / "ledger.sqlite") as db:
        # Other counts that are sound: those of the same batch of another task.
        ((one,), (other,)) = db.execute("SELECT DISTINCT task FROM batches").fetchall()
        db.execute("DROP TABLE seals")
        db.execute(
            "UPDATE batches SET counts = (SELECT counts FROM batches WHERE task = ? LIMIT 1) WHERE task = ?",
            (other, one),
        )
    db.close()
    for words, message in [
        (("one", "one"), "into itself"),
        (("one", "missing.sqlite"), "no ledger missing.sqlite"),
        (("new.sqlite", "missing.sqlite"), "no ledger missing.sqlite"),
        (("one", "text.sqlite"), "is not a ledger"),
        (("one",), "takes two ledgers or more"),
        (("one", "other"), "disagree on batch"),
    ]:
        done = simlab("merge", *words, cwd=tmp_path, code=2)
        assert message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "new.sqlite").exists()
    assert one[:12] in done.stderr


def test_damaged_batches_and_torn_files_are_run_again_by_the_same_command(tmp_path):
    simlab("run", *WORDS, "output=whole", cwd=tmp_path)
    ledger = tmp_path / "results" / "ledger.sqlite"
    shutil.copytree(tmp_path / "whole", tmp_path / "results")
    with sqlite3.connect(ledger) as db:
        db.execute("UPDATE batches SET counts = (SELECT counts FROM batches WHERE batch = 2) WHERE batch = 4")
    db.close()
    done = simlab("status", "--check", cwd=tmp_path, code=2)
    assert done.stdout.count("the seal of the row disagrees") == 2
    done = simlab("run", *WORDS, cwd=tmp_path)
    assert done.stderr.count("1 damaged batches (4) are set aside and run again") == 2
    assert files(tmp_path / "results") == files(tmp_path / "whole")
    size = ledger.stat().st_size
    with open(ledger, "r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(4096))
    simlab("status", "--check", cwd=tmp_path, code=2)
    done = simlab("run", *WORDS, cwd=tmp_path)
    assert files(tmp_path / "results") == files(tmp_path / "whole")
    simlab("status", "--check", cwd=tmp_path)
