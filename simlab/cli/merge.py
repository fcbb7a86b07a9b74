"""`simlab merge`: the ledgers of several machines become one."""

from __future__ import annotations

import os
from pathlib import Path

from simlab.errors import SimlabError

USAGE = """usage: simlab merge INTO.sqlite FROM.sqlite [FROM.sqlite ...]

Copies the batches of the ledgers FROM into the ledger INTO, which is made if it is missing. What INTO holds
already stays as it is: the order does not matter, and merging again changes nothing. The ledgers FROM are
only read. A folder stands for the ledger.sqlite in it. After it, the command that was run in shards draws
without simulating, with output=FOLDER of INTO.

Each ledger is merged in one transaction: after an interruption the same command ends the same. Two different
counts for the same batch, a damaged ledger, and a file that is not a ledger are refused, in one line, with
nothing of that ledger taken.
"""


def main(words: list[str]) -> int:
    """Merge; returns the exit code."""
    from simlab.runs import Ledger

    if len(words) < 2:
        raise SimlabError("simlab merge takes two ledgers or more: simlab merge INTO.sqlite FROM.sqlite ...")
    into, *origins = map(_ledger_of, words)
    for origin in origins:  # all are looked at before INTO is made or changed
        if origin.exists() and into.exists() and os.path.samefile(origin, into):
            raise SimlabError(f"{origin} cannot be merged into itself; expected another ledger")
        Ledger(origin, readonly=True).close()
    with Ledger(into) as ledger:
        for origin in origins:
            print(f"{origin}: {ledger.merge(origin):,} new batches", flush=True)
    print(f"wrote {into}")
    return 0


def _ledger_of(word: str) -> Path:
    path = Path(word).expanduser()
    return path / "ledger.sqlite" if path.is_dir() else path
