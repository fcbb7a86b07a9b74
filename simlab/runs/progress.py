"""Progress of a run: what `collect` yields, and how it is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

import numpy as np

from simlab.progress import clock_time

if TYPE_CHECKING:
    from simlab.decoding.counts import Counts
    from simlab.decoding.environments.counts import EnvironmentCounts
    from simlab.evidence import Interval
    from simlab.runs.environment_task import EnvironmentTask
    from simlab.runs.plan import Amount, Result
    from simlab.runs.task import Task

CONFIDENCE = 0.95
LINE_SECONDS = 5.0

SURE = 0.05
"""The share of a run's work that is done before the time left is told."""


@dataclass(frozen=True, eq=False)
class Progress:
    """One look at a run.

    jobs_done of jobs; done of planned (of adaptive jobs at most so much), both with what the ledger held;
    new: what this run has simulated, in `seconds`. task: the one worked on last; counts: its counts so far;
    sequence: (mean, low, high) if it stops by its half-width. results: those finished since the last look.
    stopping: Ctrl-C was pressed, what is under way is finished. waiting: for whom it waits, "" while work is
    done.
    """

    jobs_done: int
    jobs: int
    done: Amount
    planned: Amount
    new: Amount
    seconds: float
    task: Task | EnvironmentTask | None
    counts: Counts | EnvironmentCounts | None
    sequence: tuple[float, float, float] | None
    results: tuple[Result, ...]
    stopping: bool
    waiting: str = ""

    @property
    def trajectories_done(self) -> int:
        """Trajectories of `trajectories` in all that are done."""
        return self.done.trajectories

    @property
    def trajectories(self) -> int:
        return self.planned.trajectories

    @property
    def simulated(self) -> int:
        """Trajectories and environments that this run has simulated."""
        return self.new.samples

    @property
    def rejections(self) -> np.ndarray | None:
        """The current task's histogram of rejections; None where it has none."""
        return getattr(self.counts, "rejections", None)

    @property
    def accepted(self) -> tuple[int, float] | None:
        """(largest capacity, mean of E[X | environment] there) of a task of environments."""
        environments = getattr(self.counts, "environments", 0)
        if not environments:
            return None
        return int(self.counts.capacities[-1]), float(self.counts.values[:, -1].mean())

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
        """Trajectories and environments simulated per second, since the start."""
        return self.simulated / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the present rate of work; for adaptive jobs at most.

        None before a SURE share of this run's work is done: until then the seconds are those of compilation
        and of starting workers, and a rate taken from them promises hours for a job of minutes.
        """
        left = self.planned.work - self.done.work
        if self.new.work <= SURE * (self.new.work + left):
            return None
        return left / self.new.work * self.seconds


def gather(steps: Iterator[Progress]) -> dict[str, Result]:
    """Run to the end; the results by task id."""
    return {result.task.id: result for step in steps for result in step.results}


def describe(step: Progress) -> str:
    """One line: tasks, trajectories and environments, rate, time left, the current mean and its half-width.

    There is no rate where a run has both kinds: it would be of neither.
    """
    parts = [f"{step.jobs_done}/{step.jobs} tasks"]
    planned = {unit: getattr(step.planned, unit) for unit in ("trajectories", "environments")}
    units = [unit for unit, number in planned.items() if number] or ["trajectories"]
    parts += [f"{_short(getattr(step.done, unit))}/{_short(planned[unit])} {unit}" for unit in units]
    if step.simulated:
        parts += [f"{_short(step.rate)}/s"] if len(units) == 1 else []
        left = step.seconds_left
        parts.append("estimating the time left" if left is None else f"{clock_time(left)} left")
    elif step.jobs_done < step.jobs and not step.waiting:
        parts.append("preparing (tables are built; samplers are compiled once and kept on disk)")
    if step.waiting:
        parts.append(step.waiting)
    if (interval := step.interval) is not None:
        half_width = (interval.high - interval.low) / 2
        parts.append(f"{step.task.id[:8]}: {interval.estimate:.6g} ± {half_width:.2g} rejections")
    if step.accepted is not None:
        capacity, mean = step.accepted
        parts.append(f"{step.task.id[:8]}: {mean:.4g} right tokens of {capacity}")
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

    # Lines printed meanwhile go above the live one, unless standard output is led elsewhere.
    redirect = sys.stdout.isatty()
    with Live(console=Console(file=stream), auto_refresh=False, redirect_stdout=redirect) as live:
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
