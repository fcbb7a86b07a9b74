"""The command as a process: streams that are closed, signals at any moment, files that look like modules."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import SIMLAB, files, simlab

pytestmark = pytest.mark.processes

WORDS = "run run=serial trajectories=2000 pair.horizon=4 decoder.window=1,2".split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    simlab(*WORDS, cwd=folder)
    return files(folder)


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    command = ["bash", "-o", "pipefail", "-c", line.replace("SIMLAB", f"{SIMLAB} {' '.join(WORDS)}")]
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    "line", ["SIMLAB | head -c 1", "SIMLAB | true", "SIMLAB >&-", "SIMLAB 2>&-", "SIMLAB <&- >&- 2>&-"]
)
def test_the_run_goes_on_whatever_becomes_of_its_streams(tmp_path, whole, line):
    done = shell(line, tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert files(tmp_path) == whole


def test_an_exit_code_stays_true_when_nobody_reads(tmp_path):
    done = shell(f"{SIMLAB} predict pair=papr 2>&- | true", tmp_path)
    assert done.returncode == 2


def test_what_the_encoding_lacks_is_spelled_out(tmp_path):
    done = shell(
        f"SIMLAB; {SIMLAB} show pair=corpus pair.horizon=9",
        tmp_path,
        PYTHONIOENCODING="ascii",
    )
    assert done.returncode == 0 and done.stdout.isascii() and "Traceback" not in done.stderr


def test_a_name_that_is_not_utf_8_is_one_line(tmp_path):
    done = subprocess.run(
        [SIMLAB, "predict", "pair=corpus", b"pair.path='caf\xe9.txt'"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert rb"pair.path='caf\xe9.txt' is not UTF-8" in done.stderr


def _hears_signals(process: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "words",
    [
        ["run", "run=serial", "trajectories=3e6", "pair.horizon=6"],
        ["predict", "pair=corpus", "decoder=block"],
    ],
    ids=" ".join,
)
def test_a_signal_at_any_moment_is_one_line(tmp_path, words, number):
    process = subprocess.Popen(
        [SIMLAB, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not _hears_signals(process.pid):
        time.sleep(0.002)
    time.sleep(random.random() * 1.5)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=120)
    assert "Traceback" not in output + errors and "Exception" not in errors
    if process.returncode:  # it may have been done before
        assert process.returncode == 128 + number
        (line,) = [line for line in errors.splitlines() if line.startswith("simlab: ")]
        told = {signal.SIGINT: ("stopped", "interrupted")}.get(number, (f"ended by {number.name}",))
        assert line.removeprefix("simlab: ").startswith(told)


SCRIPT = """
import time
from simlab.runs.processes import worker_processes
from simlab.runs.work import ready

if __name__ == "__main__":
    executor = worker_processes(1)
    executor.submit(ready).result()
    executor.shutdown()
"""


def test_files_that_look_like_modules_are_not_executed(tmp_path, whole):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    (elsewhere / "script.py").write_text(SCRIPT)
    for name in ("queue", "concurrent", "joblib", "signal", "struct", "numpy", "hydra_plugins"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write('{name} ')\n")
    done = subprocess.run(
        [sys.executable, elsewhere / "script.py"], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    simlab(*WORDS, cwd=here)
    (here / "mine.py").write_text("import queue\n\ndef verify(*_):\n    return [0]\n")
    subprocess.run([SIMLAB, "audit", "mine:verify"], cwd=here, capture_output=True, check=False)
    assert not (tmp_path / "executed").exists(), (tmp_path / "executed").read_text()
