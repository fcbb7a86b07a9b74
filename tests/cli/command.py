"""The installed `simlab` command, as a user runs it: another process, another folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SIMLAB = Path(sys.executable).parent / "simlab"


def simlab(*words: str, cwd: Path, code: int = 0, env: dict | None = None) -> subprocess.CompletedProcess:
    """Run the command in `cwd` and check its exit code."""
    done = subprocess.run(
        [SIMLAB, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but the ledger and what says how long it took, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "ledger.sqlite" not in path.name and path.name != "timing.json"
    }
