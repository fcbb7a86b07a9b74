"""Finished pieces of a recording, in a folder beside the file: what is there is not lost.

A piece is the sequences START to STOP (exclusive) of one kind, a file KIND-START-STOP.npz that is
renamed into place when it is whole and on disk. `settings.json` says which recording it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simlab.errors import SimlabError


class Parts:
    """The folder OUT.part of the recording that will be the file `out`."""

    def __init__(self, out: Path, identity: dict) -> None:
        """identity: what makes the recording what it is, as JSON can say it.

        Raises SimlabError if the folder holds pieces of another recording, naming what differs.
        """
        self.folder = out.with_name(out.name + ".part")
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "settings.json"
        if not file.exists():
            _write(file, json.dumps(identity, indent=1).encode())
        begun = json.loads(file.read_text())
        identity = json.loads(json.dumps(identity))
        if begun != identity:
            key = next(key for key in {**begun, **identity} if begun.get(key) != identity.get(key))
            raise SimlabError(
                f"{self.folder} holds a recording with {key} = {begun.get(key)}, not {identity.get(key)}; go "
                "on with that one, give another out=, or remove the folder"
            )

    def blocks(self, kind: str, sequences: int, batch: int) -> Iterator[tuple[int, int, bool]]:
        """(start, stop, whether it is there) of the pieces of a kind, in order, that make up 0..sequences."""
        there = dict(self._there(kind))
        start = 0
        while start < sequences:
            known = start in there
            later = min((begun for begun in there if begun > start), default=sequences)
            stop = there[start] if known else min(start + batch, later, sequences)
            yield start, stop, known
            start = stop

    def load(self, kind: str, start: int, stop: int) -> dict[str, np.ndarray]:
        """The arrays of a piece."""
        with np.load(self._file(kind, start, stop), allow_pickle=False) as file:
            return dict(file)

    def save(self, kind: str, start: int, stop: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep a piece."""
        import io

        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        _write(self._file(kind, start, stop), buffer.getvalue())

    def remove(self) -> None:
        """Done: the recording is in its file."""
        shutil.rmtree(self.folder)

    def _file(self, kind: str, start: int, stop: int) -> Path:
        return self.folder / f"{kind}-{start:06}-{stop:06}.npz"

    def _there(self, kind: str) -> Iterator[tuple[int, int]]:
        for path in self.folder.glob(f"{kind}-*.npz"):
            if found := re.fullmatch(rf"{re.escape(kind)}-(\d+)-(\d+)\.npz", path.name):
                yield int(found[1]), int(found[2])


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
