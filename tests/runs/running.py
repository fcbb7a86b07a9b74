"""Starting runs as processes, watching and killing them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

DRIVER = Path(__file__).with_name("driver.py")
PATIENCE = 180.0  # seconds after which a run hangs; it may have to compile first


class Run:
    """A driver process in a process group of its own, as a shell would start it."""

    def __init__(
        self, ledger, backend: str = "serial", workers: int = 1, scale: int = 100, what: str = "trajectories"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(ledger), backend, str(workers), str(scale), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.steps: list[dict] = []
        self.results: dict | None = None
        self.errors = ""

    def step(self) -> dict | None:
        """The next look at the run, which does not go on behind our back; None when it has ended."""
        if self.steps:
            self.go_on()
        line = self.process.stdout.readline()
        if not line:
            return None
        read = json.loads(line)
        if "results" in read:
            self.results = read["results"]
            return None
        self.steps.append(read)
        return read

    def go_on(self) -> None:
        """Let the run continue to the next look."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def wait_until(self, condition) -> None:
        """Look on until condition(step) holds; fails if the run ends before."""
        while not condition(step := self.step()):
            assert step is not None, self.finish().errors

    def finish(self) -> Run:
        """Let the run go on by itself and look on until the process has ended."""
        try:
            rest, self.errors = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        for line in rest.splitlines():
            read = json.loads(line)
            if "results" in read:
                self.results = read["results"]
            else:
                self.steps.append(read)
        return self

    @property
    def simulated(self) -> int:
        return self.steps[-1]["simulated"]

    def workers(self) -> list[int]:
        """The process ids of its worker processes."""
        return [child for child in children(self.process.pid) if b"popen_loky" in command_line(child)]

    def with_busy_workers(self) -> list[int]:
        """Look on until worker processes have started and have work; their process ids."""
        self.wait_until(lambda step: step is not None and self.workers())
        # The run waits for us now and hands out nothing: a worker that has started uses no more time.
        before = None
        while (now := [cpu_ticks(worker) for worker in self.workers()]) != before or min(now) < 10:
            before = now
            time.sleep(0.3)
        for _ in range(3):
            assert self.step() is not None
        return self.workers()


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu_ticks(process: int) -> int:
    """User time, in hundredths of a second."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds: float = 60.0):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


def rows(ledger) -> list[tuple]:
    """All that a ledger holds, in one order."""
    with sqlite3.connect(ledger) as database:
        tasks = database.execute("SELECT * FROM tasks ORDER BY id").fetchall()
        found = database.execute("SELECT * FROM batches ORDER BY task, batch, trajectories").fetchall()
    database.close()
    return tasks + found


def saved_trajectories(ledger) -> int:
    with sqlite3.connect(ledger, timeout=30) as database:
        (total,) = database.execute("SELECT coalesce(sum(trajectories), 0) FROM batches").fetchone()
    database.close()
    return total
