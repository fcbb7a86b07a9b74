"""The on-disk cache: loaded by the next process, voided by an edit in any file, never in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simlab
from simlab.jit import CheckedFiles

pytestmark = pytest.mark.processes

SCRIPT = """
import numpy as np
from simlab.decoding.core.randomness import seed_state, spare_word
state = seed_state(np.random.SeedSequence(1))
spare_word(state)
stats = spare_word.stats
print(spare_word.__module__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, without caches."""
    shutil.copytree(
        Path(simlab.__file__).parent, tmp_path / "code/simlab", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "code/simlab"


KERNEL = """
from typing import NamedTuple
from simlab.jit import compiled

class Pair(NamedTuple):
    one: float

@compiled
def spare_word(pair):
    return pair.one

spare_word(Pair(1.0))
"""


def hits_and_misses(package: Path, home: Path, script: str = SCRIPT) -> tuple[int, int]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=package.parent,
        capture_output=True,
        text=True,
        env={**kept, "PYTHONPATH": str(package.parent), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    module, hits, misses = done.stdout.split()
    assert module == "simlab.decoding.core.randomness"
    return int(hits), int(misses)


def test_a_warm_process_loads_and_an_edit_in_another_file_or_damage_is_noticed(package, tmp_path):
    assert hits_and_misses(package, tmp_path) == (0, 1)
    assert hits_and_misses(package, tmp_path) == (1, 0)
    neighbour = package / "decoding/environments/counts.py"
    neighbour.write_text(neighbour.read_text() + "# edited\n")
    assert hits_and_misses(package, tmp_path) == (0, 1)
    assert hits_and_misses(package, tmp_path) == (1, 0)
    for file in (package / "decoding/core/__pycache__").glob("*.spare_word-*.nbc"):
        file.write_bytes(broken(file.read_bytes(), "flipped"))
    assert hits_and_misses(package, tmp_path) == (0, 1)


def test_a_class_that_was_renamed_is_compiled_anew(package, tmp_path):
    randomness = package / "decoding/core/randomness.py"
    script = SCRIPT.partition("state =")[0].replace("seed_state, ", "") + SCRIPT[SCRIPT.index("stats =") :]
    for name in ("Pair", "Twin"):
        randomness.write_text(KERNEL.replace("Pair", name))
        assert hits_and_misses(package, tmp_path, script) == (0, 1)
        assert hits_and_misses(package, tmp_path, script) == (1, 0)


def test_a_folder_that_cannot_be_written_moves_the_cache_to_the_user(package, tmp_path):
    (package / "decoding/core/__pycache__").write_text("in the way, also of root")
    home = tmp_path / "home"
    home.mkdir()
    assert hits_and_misses(package, home) == (0, 1)
    assert hits_and_misses(package, home) == (1, 0)
    assert list(home.rglob("*.nbi"))


def test_no_folder_at_all_compiles_anew(package, tmp_path):
    (package / "decoding/core/__pycache__").write_text("in the way, also of root")
    home = tmp_path / "home"
    home.write_text("in the way too")
    assert [hits_and_misses(package, home) for _ in range(2)] == [(0, 1)] * 2


def broken(data: bytes, how: str) -> bytes:
    """The bytes of a file, damaged."""
    if how == "empty":
        return b""
    if how == "torn":
        return data[: len(data) // 2]
    if how == "flipped":  # in the machine code, or in the last entry of the index
        return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    return np.random.default_rng(1).bytes(len(data))


DAMAGE = ("empty", "torn", "flipped", "random")


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_is_as_if_it_were_not_there_and_is_written_anew(tmp_path, suffix, how):
    files = CheckedFiles(str(tmp_path), "name", "stamp")
    assert files.load("key") is None
    files.save("key", ("machine code", bytes(100)))
    assert files.load("key") == ("machine code", bytes(100))
    (file,) = tmp_path.glob(f"*.{suffix}")
    file.write_bytes(broken(file.read_bytes(), how))
    assert files.load("key") is None
    files.save("key", ("machine code", bytes(100)))
    assert files.load("key") == ("machine code", bytes(100))
