"""Progress of a run: what `collect` yields, and how it is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from simlab.evidence import Interval
    from simlab.runs.plan import Result
    from simlab.runs.task import Task

CONFIDENCE = 0.95
LINE_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Progress:
    """One look at a run.

    jobs_done of jobs; trajectories_done of trajectories (adaptive jobs: at most so many), both with what the
    ledger held; simulated: trajectories that this run has simulated, in `seconds`. task: the one worked on
    last; rejections: its histogram so far; sequence: (mean, low, high) if it stops by its half-width.
    results: those finished since the last look. stopping: Ctrl-C was pressed, what is under way is finished.
    """

    jobs_done: int
    jobs: int
    trajectories_done: int
    trajectories: int
    simulated: int
    seconds: float
    task: Task | None
    rejections: np.ndarray | None
    sequence: tuple[float, float, float] | None
    results: tuple[Result, ...]
    stopping: bool

    @cached_property
    def interval(self) -> Interval | None:
        """The current task's mean number of rejections: the confidence sequence, or a 95 % interval."""
        # Computed when it is asked for: a run that nobody watches does not pay for it.
        from simlab.evidence import Interval, mean_interval

        if self.sequence is not None:
            return Interval(*self.sequence)
        if self.rejections is None or not self.rejections.any():
            return None
        return mean_interval(self.rejections, CONFIDENCE)

    @property
    def rate(self) -> float:
        """Trajectories simulated per second, since the start."""
        return self.simulated / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; for adaptive jobs at most. None before anything was simulated."""
        if self.simulated == 0:
            return None
        return (self.trajectories - self.trajectories_done) / self.rate


def gather(steps: Iterator[Progress]) -> dict[str, Result]:
    """Run to the end; the results by task id."""
    return {result.task.id: result for step in steps for result in step.results}


def describe(step: Progress) -> str:
    """One line: tasks, trajectories, rate, time left, the current mean and its half-width."""
    parts = [f"{step.jobs_done}/{step.jobs} tasks"]
    parts.append(f"{_short(step.trajectories_done)}/{_short(step.trajectories)} trajectories")
    if step.simulated:
        parts.append(f"{_short(step.rate)}/s")
        parts.append(f"{_clock(step.seconds_left)} left")
    elif step.jobs_done < step.jobs:
        parts.append("preparing (samplers are compiled once and kept on disk)")
    if (interval := step.interval) is not None:
        half_width = (interval.high - interval.low) / 2
        parts.append(f"{step.task.id[:8]}: {interval.estimate:.6g} ± {half_width:.2g} rejections")
    if step.stopping:
        parts.append("finishing what is under way; Ctrl-C again stops at once")
    return ", ".join(parts)


def show(steps: Iterator[Progress], stream: TextIO | None = None) -> dict[str, Result]:
    """Run to the end, showing progress on `stream` (stderr): one live line on a terminal, else a plain line
    every 5 seconds and at the end. Returns the results by task id.
    """
    stream = stream or sys.stderr
    drawn = _live(steps, stream) if stream.isatty() else _lines(steps, stream)
    try:
        return gather(drawn)
    finally:
        drawn.close()
        steps.close()  # the run itself: its workers end now and not when it is collected


def _written(text: str, stream: TextIO) -> str:
    """`text` in characters that the stream can write."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return text.replace("±", "+-")
    return text


def _lines(steps: Iterator[Progress], stream: TextIO) -> Iterator[Progress]:
    printed = time.monotonic()
    step = None
    try:
        for step in steps:
            if time.monotonic() - printed >= LINE_SECONDS:
                print(_written(describe(step), stream), file=stream, flush=True)
                printed = time.monotonic()
            yield step
    finally:
        if step is not None:
            print(_written(describe(step), stream), file=stream, flush=True)


def _live(steps: Iterator[Progress], stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(file=stream), auto_refresh=False, redirect_stdout=False) as live:
        for step in steps:
            live.update(
                Text(_written(describe(step), stream), overflow="ellipsis", no_wrap=True), refresh=True
            )
            yield step


def _short(number: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
