"""The settings of runs on a SLURM cluster, and what they are to dask-jobqueue."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError

_SCHEDULERLESS_SECONDS = 60  # a worker that finds no scheduler ends: a killed run leaves no jobs behind
_TIME = re.compile(r"\d+|\d+:\d+|\d+:\d+:\d+|\d+-\d+|\d+-\d+:\d+|\d+-\d+:\d+:\d+|infinite|unlimited", re.I)
_MEMORY = re.compile(r"\d+(\.\d+)? ?[KMGT]i?B?", re.I)


@dataclass(frozen=True)
class Slurm:
    """`workers` jobs on a SLURM cluster, each a Dask worker with `cores` threads; one that ends is replaced.

    queue: the partition. account. time: of a job, as sbatch spells it (minutes, hours:minutes:seconds, ...).
    memory: of a job, e.g. "2GB". None: the cluster's default. interface: the network interface on which
    scheduler and workers talk ("ib0"); None: the host's address. directives: further options of sbatch
    ("--constraint=skylake"). prologue: lines of shell before the worker ("module load python"). logs: a
    folder that all nodes see; the jobs' logs are removed at the end of a run that did what it should.
    patience: seconds without any worker, waiting in the queue included, after which a run gives up; None:
    never.

    Needs `pip install simlab[slurm]`, and the same simlab, numba and Python on the nodes at the same path.
    Raises SimlabError for bad settings; the pool raises it where SLURM's commands or Dask are missing, a job
    is refused, jobs end before their worker has come, or nobody comes.
    """

    workers: int = 4
    queue: str | None = None
    account: str | None = None
    time: str | int | None = "01:00:00"
    memory: str | None = "2GB"
    cores: int = 1
    interface: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    logs: str = "slurm-logs"
    patience: float | None = 86400.0

    def __post_init__(self) -> None:
        for name in ("workers", "cores"):
            object.__setattr__(self, name, check_count(f"run.{name}", getattr(self, name), least=1))
        for name in ("queue", "account", "interface"):
            _check_word(name, getattr(self, name))
        for name in ("directives", "prologue"):
            object.__setattr__(self, name, _lines(name, getattr(self, name)))
        if stray := [line for line in self.directives if not line.startswith("-")]:
            raise SimlabError(
                f"run.directives: {stray[0]!r} is not valid; expected an option of sbatch, e.g. --qos=low"
            )
        self._check_limits()
        if not isinstance(self.logs, str) or not self.logs.strip() or re.search('[\n"]', self.logs):
            raise SimlabError(f"run.logs = {self.logs!r} is not valid; expected a folder")
        if self.patience is not None:
            check_number("run.patience", self.patience, above=0.0)

    def _check_limits(self) -> None:
        time = None if isinstance(self.time, bool) else _TIME.fullmatch(str(self.time))
        if self.time is not None and not (time and re.search("[1-9]|i|u", time[0], re.I)):
            raise SimlabError(
                f"run.time = {self.time!r} is not valid; expected minutes or hours:minutes:seconds, "
                "e.g. 01:00:00"
            )
        if self.memory is not None and not (
            isinstance(self.memory, str) and _MEMORY.fullmatch(self.memory.strip())
        ):
            raise SimlabError(
                f"run.memory = {self.memory!r} is not valid; expected a size with unit, e.g. 2GB"
            )

    def start(self):
        from simlab.runs.slurm_pool import SlurmPool

        return SlurmPool(self)


def cluster_arguments(settings: Slurm, name: str) -> dict:
    """What dask_jobqueue.SLURMCluster is told for these settings; name: of the jobs."""
    logs = Path(settings.logs).expanduser().absolute()
    skipped = []
    if settings.time is None:
        skipped.append("#SBATCH -t ")
    if settings.memory is None:
        skipped.append("#SBATCH --mem=")
    return {
        "queue": settings.queue,
        "account": settings.account,
        "walltime": None if settings.time is None else str(settings.time),
        "memory": settings.memory or "1GB",
        "cores": settings.cores,
        "processes": 1,  # the samplers hold no lock of the interpreter: threads are enough
        "nanny": False,  # the job is the worker: where it dies SLURM sees it
        "interface": settings.interface,
        "death_timeout": _SCHEDULERLESS_SECONDS,
        # exec: the job's process is the worker, which SLURM can end. -P: no file of the working folder is
        # taken for a module. SLURM limits the memory, not Dask, which would pause a worker.
        "python": f"exec {shlex.quote(sys.executable)} -P",
        "worker_extra_args": ["--memory-limit", "0", "--no-dashboard"],
        # Dask-jobqueue would write the folder of the logs without quotes. What is preempted is replaced:
        # SLURM's own second start of it would be one more.
        "job_extra_directives": [
            *(f'--{stream}="{logs}/%x-%j.{end}"' for stream, end in (("output", "out"), ("error", "err"))),
            "--no-requeue",
            *settings.directives,
        ],
        "job_directives_skip": skipped,
        "job_script_prologue": list(settings.prologue),
        "job_name": name,
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }


def _check_word(name: str, value) -> None:
    if value is not None and (not isinstance(value, str) or not re.fullmatch(r"[^\s]+", value)):
        raise SimlabError(f"run.{name} = {value!r} is not valid; expected one word, or null")


def _lines(name: str, value) -> tuple[str, ...]:
    lines = [value] if isinstance(value, str) and not value.startswith("[") else value
    if not isinstance(lines, list | tuple) or not all(
        isinstance(line, str) and line.isprintable() for line in lines
    ):
        raise SimlabError(
            f"run.{name} = {value!r} is not valid; expected a list of lines, e.g. run.{name}=['one','two']"
        )
    return tuple(line for line in lines if line.strip())
