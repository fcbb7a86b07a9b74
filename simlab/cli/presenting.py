"""Experiments present themselves side by side, each as soon as its tasks are simulated.

Theory and pictures take as long as the simulation, and each experiment's are its own affair: with more than
one worker they are made in processes of their own, beside the simulation of what comes later.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, as_completed, wait

from simlab.cli.process import look_for_garbage_seldom
from simlab.errors import SimlabError
from simlab.experiments import experiment_module
from simlab.progress import stepping
from simlab.runs.processes import signals_blocked, worker_processes
from simlab.runs.work import SHARED

Done = Callable[[int, object, float], None]
"""Called with an experiment's number, its Outcome and the seconds that presenting took."""


SECONDS = {
    "fig4": 13, "models": 9, "windows": 8, "ceiling": 7, "verify": 5, "trees": 5, "light": 5, "audit": 5,
    "rules": 4, "winrate": 3,
}  # fmt: skip
"""About what presenting takes at smoke sizes, of others 1. When nothing is left to be simulated the longest
start first: else the last to start would keep one process busy while the others have nothing to do."""


class Presenters:
    """Presents planned experiments: in `processes` worker processes, or in this one where that is 1.

    names: of the experiments. done: called in this process as each is presented; in what order depends on the
    machine, so what is written must not. results: by task id, so far. Raises what `present` raises, and
    SimlabError where a process dies. Use it as a context: entering it starts the processes, which import what
    they need while this one plans, and leaving it ends them.
    """

    def __init__(self, names: Sequence[str], processes: int, done: Done) -> None:
        self._names = names
        self._processes = min(processes, len(names))
        self._waiting: dict[int, tuple[str, object]] = {}
        self._done = done
        self.results: dict[str, object] = {}
        self._running: dict[Future, int] = {}
        self._executor = None

    def __enter__(self) -> Presenters:
        if self._processes > 1:
            self._executor = worker_processes(self._processes)
            with signals_blocked():  # the processes inherit it
                for _ in range(self._processes):
                    self._executor.submit(prepare, self._names)
        return self

    def __exit__(self, *_) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, kill_workers=True)
            self._executor = None

    def expect(self, plans: Sequence) -> None:
        """Take what `plan` returned of each experiment. Pairs so large that workers share one copy of their
        tables are presented in this process."""
        self._waiting = dict(enumerate(zip(self._names, plans, strict=True)))
        if any(job.subject.nbytes >= SHARED for plan in plans for job in plan.jobs):
            self.__exit__()
            self._processes = 1

    def along(self, steps: Iterator) -> Iterator:
        """The steps of a run (`simlab.runs.Progress`), presenting what its results make ready."""
        try:
            for step in steps:
                self.results.update({result.task.id: result for result in step.results})
                if self._processes > 1:
                    self._start_ready()
                    self._book(wait(self._running, timeout=0).done)
                yield step
        finally:
            steps.close()  # the run itself: its workers end now and not when it is collected

    def finish(self) -> None:
        """Present what is left: all tasks are simulated."""
        if self._processes <= 1:
            for number in stepping(list(self._waiting), "exact numbers and figures"):
                self._done(number, *present_experiment(*self._parts(number)))
            return
        self._start_ready()
        total = sum(map(self._seconds, self._running.values()))
        for _ in stepping(self._finishing(), "exact numbers and figures", total):
            pass

    def _start_ready(self) -> None:
        # In their order: a later one may want a sampler that the simulation has yet to compile, and would
        # compile it a second time.
        ready = list(itertools.takewhile(self._is_ready, self._waiting))
        if len(ready) == len(self._waiting):
            ready.sort(key=lambda number: -self._seconds(number))
        for number in ready:
            future = self._executor.submit(present_experiment, *self._parts(number))
            self._running[future] = number

    def _finishing(self) -> Iterator[None]:
        """A step for each second's worth of what is presented."""
        while self._running:
            finished = next(as_completed(self._running))
            number = self._running[finished]
            self._book([finished])
            yield from itertools.repeat(None, self._seconds(number))

    def _seconds(self, number: int) -> int:
        return SECONDS.get(self._names[number], 1)

    def _is_ready(self, number: int) -> bool:
        return all(job.task.id in self.results for job in self._waiting[number][1].jobs)

    def _parts(self, number: int) -> tuple:
        name, planned = self._waiting.pop(number)
        return name, planned, {job.task.id: self.results[job.task.id] for job in planned.jobs}

    def _book(self, finished: Iterable[Future]) -> None:
        for future in finished:
            number = self._running.pop(future)
            try:
                outcome, seconds = future.result()
            except BrokenExecutor as error:
                raise SimlabError(
                    "a process that drew figures died, killed from outside or for lack of memory: "
                    "give fewer workers (run.workers=1) and run again"
                ) from error
            self._done(number, outcome, seconds)


def prepare(names: Sequence[str]) -> None:
    """Make this process ready to present these experiments: import what that takes."""
    import pandas  # noqa: F401
    import scipy.optimize  # noqa: F401

    import simlab.report  # noqa: F401

    for name in names:
        experiment_module(name)
    look_for_garbage_seldom()


def present_experiment(name: str, planned, results) -> tuple[object, float]:
    """(the experiment's Outcome, the seconds it took)."""
    start = time.perf_counter()
    outcome = experiment_module(name).present(planned, results)
    return outcome, time.perf_counter() - start
