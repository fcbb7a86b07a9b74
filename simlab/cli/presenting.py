"""Experiments present themselves side by side, each as soon as its tasks are simulated.

Theory and pictures take as long as the simulation, and each experiment's are its own affair: with more than
one worker they are made in processes of their own, beside the simulation of what comes later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from simlab.errors import SimlabError
from simlab.experiments import experiment_module
from simlab.progress import stepping
from simlab.runs.processes import worker_processes

Done = Callable[[int, object, float], None]
"""Called with an experiment's number, its Outcome and the seconds that presenting took."""


class Presenters:
    """Presents planned experiments: in `processes` worker processes, or in this one where that is 1.

    experiments: (name, what its `plan` returned) of each. done: called in this process as each is presented;
    in what order depends on the machine, so what is written must not. results: by task id, so far. Raises
    what `present` raises, and SimlabError where a process dies. Use it as a context: leaving it ends the
    processes.
    """

    def __init__(self, experiments: Sequence[tuple[str, object]], processes: int, done: Done) -> None:
        self._waiting = dict(enumerate(experiments))
        self._processes = min(processes, len(experiments))
        self._done = done
        self.results: dict[str, object] = {}
        self._running: dict[Future, int] = {}
        self._executor = None

    def __enter__(self) -> Presenters:
        return self

    def __exit__(self, *_) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, kill_workers=True)

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
        while self._running:
            self._book(wait(self._running, return_when=FIRST_COMPLETED).done)

    def _start_ready(self) -> None:
        # In their order: a later one may want a sampler that the simulation has yet to compile, and would
        # compile it a second time.
        for number, (_, planned) in list(self._waiting.items()):
            if not all(job.task.id in self.results for job in planned.jobs):
                return
            if self._executor is None:
                self._executor = worker_processes(self._processes)
            future = self._executor.submit(present_experiment, *self._parts(number))
            self._running[future] = number

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


def present_experiment(name: str, planned, results) -> tuple[object, float]:
    """(the experiment's Outcome, the seconds it took)."""
    start = time.perf_counter()
    outcome = experiment_module(name).present(planned, results)
    return outcome, time.perf_counter() - start
