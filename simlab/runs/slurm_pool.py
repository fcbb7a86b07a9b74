"""Runs on a SLURM cluster: Dask's own SLURMCluster (dask-jobqueue) submits jobs, each of one Dask worker.

Dask-jobqueue writes the job's script, submits and cancels. It does not see a job that ends before its worker
has come, and says nothing of a refused one: so SLURM is asked for the jobs now and then, and what has ended
is submitted anew under another name.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from simlab.errors import SimlabError
from simlab.runs.cluster import ClusterPool, check_dask
from simlab.runs.slurm import Slurm, cluster_arguments

COMMANDS = ("sbatch", "squeue", "scancel")
"""What must be on the PATH."""

_ASK_SECONDS = 10.0  # how often SLURM is asked for the jobs
_ASK_SOON_SECONDS = 1.0  # for a while after something has changed
_SOON_SECONDS = 30.0
_COMMAND_SECONDS = 30.0
_STARTS = 3  # so many jobs in a row that end without their worker are no accident
_NEVER = {
    "AccountNotAllowed",
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSNotAllowed",
}
"""Reasons of a pending job that no waiting mends."""


class SlurmPool(ClusterPool):
    """See `Pool`: a cluster's pool that keeps so many jobs submitted and says what SLURM says of them."""

    memory_setting = "run.memory"

    def __init__(self, settings: Slurm) -> None:
        super().__init__(self._open, "the SLURM cluster", settings.patience)
        self._settings = settings
        self._job_name = f"simlab-{uuid.uuid4().hex[:8]}"
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # of the next two, which Dask's thread writes
        self._jobs: dict[str, str] = {}  # by the worker's name: its job's id
        self._refused: dict[str, str] = {}  # likewise: what sbatch said
        self._came: set[str] = set()  # names of workers
        self._barren = 0  # jobs in a row that ended before their worker came
        self._listed_at = self._changed = 0.0
        self._seen: set[str] = set()
        self._standing = ""

    @property
    def waiting(self) -> str:
        text = super().waiting
        return f"{text} ({self._standing})" if text and self._standing else text

    @property
    def mend(self) -> str:
        standing = f" (its jobs: {self._standing})" if self._standing else ""
        return f"ask squeue why{standing}, give another run.queue or more run.patience"

    def check(self) -> None:
        check_commands()
        check_dask("slurm")
        _import_jobqueue()

    def tend(self) -> None:
        """Look which workers have come and which jobs have ended, and submit those anew."""
        # dict.values: Dask's thread may change its sorted dictionary meanwhile.
        workers = {worker.name for worker in list(dict.values(self._cluster.scheduler.workers))}
        now = time.monotonic()
        if workers - self._came:
            self._barren = 0
        if workers != self._seen:
            self._changed = now
        self._seen, self._came = workers, self._came | workers
        with self._lock:
            jobs, refused = dict(self._jobs), dict(self._refused)
        if len(refused) == self._settings.workers:
            raise SimlabError(
                f"SLURM refused the job: {next(iter(refused.values()))}: mend run.queue, run.account, "
                "run.time, run.memory or run.directives"
            )
        pause = _ASK_SOON_SECONDS if now - self._changed < _SOON_SECONDS else _ASK_SECONDS
        if now - self._listed_at < pause:
            return
        self._listed_at = now
        listed = self._listed()
        if listed is None:  # SLURM's controller does not answer; the workers may go on all the same
            return
        self._standing = _told(listed)
        if never := {state for state in listed.values() if state.partition(" ")[2].strip("()") in _NEVER}:
            raise SimlabError(
                f"SLURM will never start the job, {min(never)}: mend run.time, run.queue, run.account"
            )
        settled = len(jobs) + len(refused) == self._settings.workers
        ended = {name: job for name, job in jobs.items() if job not in listed}
        self._replace(ended, refused if settled else {})

    def close(self, *, at_once: bool) -> None:
        try:
            with suppress(Exception):  # whatever Dask finds wrong in the end: what follows ends the jobs
                super().close(at_once=at_once)
        finally:
            if self._watcher is not None:
                _run("scancel", f"--name={self._job_name}")
                self._remove_logs(all_of_them=not at_once)

    def _open(self):
        from dask_jobqueue import SLURMCluster

        logs = Path(self._settings.logs).expanduser()
        try:
            logs.mkdir(parents=True, exist_ok=True)
            cluster = self._cluster = SLURMCluster(
                job_cls=_job_class(self._submitted, self._refuse),
                **cluster_arguments(self._settings, self._job_name),
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise SimlabError(
                f"cannot start Dask's scheduler for SLURM ({reason}): mend run.interface or run.logs"
            ) from error
        self._submit_jobs(self._settings.workers)
        return cluster

    def _submit_jobs(self, number: int, ended: Iterable[str] = ()) -> None:
        """Submit so many jobs in the place of those that ended, under names that no job had before: Dask
        closes whatever has the name of a worker that was lost some time ago."""
        cluster = self._cluster

        def change() -> None:
            for name in ended:
                cluster.worker_spec.pop(name, None)
                cluster.workers.pop(name, None)
            for _ in range(number):
                cluster.worker_spec[f"{self._job_name}-{next(self._numbers)}"] = cluster.new_spec
            cluster.scale(len(cluster.worker_spec))

        cluster.loop.add_callback(change)

    def _replace(self, ended: dict[str, str], refused: dict[str, str]) -> None:
        """Submit again what has ended, and what was refused: it may be a limit on jobs for the moment."""
        with self._lock:
            for name in ended:
                del self._jobs[name]
            for name in refused:
                del self._refused[name]
        self._barren += sum(name not in self._came for name in ended)
        if self._barren >= _STARTS:
            raise SimlabError(
                f"{self._barren} jobs ended before their worker came{self._last_line(ended)}: see the logs "
                f"in {self._settings.logs}, and mend run.prologue, run.interface, run.memory or run.time"
            )
        if ended:
            self._changed = time.monotonic()
        if ended or refused:
            self._submit_jobs(len(ended) + len(refused), (*ended, *refused))

    def _submitted(self, name: str, job: str) -> None:
        with self._lock:
            self._jobs[name] = job

    def _refuse(self, name: str, text: str) -> None:
        with self._lock:
            self._refused[name] = text

    def _listed(self) -> dict[str, str] | None:
        """What SLURM says of each job that has not ended, by its id: "PENDING (Resources)"."""
        out = _run("squeue", "--noheader", f"--name={self._job_name}", "--format=%i %T (%r)")
        if out is None:
            return None
        states = dict(line.strip().partition(" ")[::2] for line in out.splitlines() if line.strip())
        return {job: state for job, state in states.items() if not state.startswith("COMPLETING")}

    def _logs(self) -> list[Path]:
        return sorted(Path(self._settings.logs).expanduser().glob(f"{self._job_name}-*"))

    def _last_line(self, ended: dict[str, str]) -> str:
        """The last that a job said, as " (...)"."""
        for log in reversed(self._logs()):
            if log.suffix == ".err" and any(f"-{job}." in log.name for job in ended.values()):
                lines = log.read_text(errors="replace").split("\n")
                if said := [line.strip() for line in lines if line.strip()]:
                    return f" ({said[-1][:200]})"
        return ""

    def _remove_logs(self, *, all_of_them: bool) -> None:
        try:
            for log in self._logs() if all_of_them else ():
                log.unlink(missing_ok=True)
            Path(self._settings.logs).expanduser().rmdir()
        except OSError:  # some are kept, another run's lie there, or a node still writes
            pass


def check_commands() -> None:
    """Raise SimlabError where SLURM's commands are not on the PATH."""
    if absent := [command for command in COMMANDS if shutil.which(command) is None]:
        raise SimlabError(
            f"run=slurm looked for {', '.join(COMMANDS)} on the PATH and found no {' and no '.join(absent)}: "
            "run it where SLURM's commands are, or use run=dask, or shard= with any other scheduler"
        )


def _import_jobqueue() -> None:
    """Import dask-jobqueue, which takes Ctrl-C for itself when it is imported, and give Ctrl-C back."""
    before = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue  # noqa: F401
    except ImportError as error:
        raise SimlabError("dask-jobqueue is not installed: pip install simlab[slurm]") from error
    except ValueError as error:  # of signal.signal
        raise SimlabError(
            "dask-jobqueue can be loaded in the main thread only: start the run there"
        ) from error
    if before is not None and signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)


def _job_class(submitted, refused):
    """Dask-jobqueue's job, which tells what became of its submission: what it raises nobody hears."""
    from dask_jobqueue.slurm import SLURMJob
    from distributed.core import Status

    class Job(SLURMJob):
        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError, ValueError) as error:
                refused(self.name, _refusal(str(error)))
                self.status = Status.running  # without a job: closing it does nothing
            else:
                submitted(self.name, self.job_id)

    return Job


def _refusal(text: str) -> str:
    """What sbatch said, of dask-jobqueue's many lines, in one."""
    _, found, said = text.partition("stderr:\n")
    lines = (said if found else text).splitlines()
    kept = [line.strip().removeprefix("sbatch: ").removeprefix("error: ") for line in lines if line.strip()]
    return "; ".join(dict.fromkeys(kept)) or "without a word"


def _told(listed: dict[str, str]) -> str:
    """How many jobs are in which state: "1 RUNNING, 2 PENDING (Resources)"."""
    states = [state.removesuffix(" (None)") for state in listed.values()]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "none is left"


def _run(*words: str) -> str | None:
    """What a command says; None where it fails."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
