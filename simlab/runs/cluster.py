"""Runs on a Dask cluster: one that is given by its scheduler's address, or a local one that is started."""

from __future__ import annotations

import queue
import re
import time
import uuid
import warnings
from collections import OrderedDict
from dataclasses import dataclass

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.laws import Law
from simlab.pairs.pair import ChainPair
from simlab.runs.plan import Parcel
from simlab.runs.pool import Outcome
from simlab.runs.processes import _sigint_ignored
from simlab.runs.work import simulate_batches

CONNECT_SECONDS = 15.0
_QUEUED = 2
_COUNT_SECONDS = 5.0  # how often the cluster is asked how many threads it has
_SUBJECTS_KEPT = 2


@dataclass(frozen=True)
class Dask:
    """A Dask cluster: at `address` (e.g. "tcp://host:8786"), or a local one of `workers` processes.

    Needs `pip install simlab[cluster]`, and simlab on the workers. Raises SimlabError for a bad number; the
    pool raises it where Dask is missing or the scheduler does not answer.
    """

    address: str | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", check_count("workers", self.workers, least=1))
        # Dask's client waits half a minute over an address that is none.
        if self.address is not None and not re.fullmatch(r"(\w+://)?[^\s/]+:\d+", str(self.address)):
            raise SimlabError(f"address = {self.address!r}: give a scheduler's, e.g. tcp://127.0.0.1:8786")

    def start(self) -> ClusterPool:
        return ClusterPool(self.address, self.workers)


class ClusterPool:
    """See `Pool`. Dask itself runs a dead worker's tasks again elsewhere; what it gives up on comes back."""

    def __init__(self, address: str | None, workers: int) -> None:
        self._settings = (address, workers)
        self._client = self._cluster = None
        self._session = uuid.uuid4().hex[:8]
        self._sent = 0
        self._futures: dict[int, tuple] = {}  # held, for Dask forgets a task whose future is gone
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._subjects: OrderedDict[str, object] = OrderedDict()
        self._slots = _QUEUED
        self._counted = 0.0

    @property
    def slots(self) -> int:
        if self._client is not None and time.monotonic() - self._counted > _COUNT_SECONDS:
            self._slots = _QUEUED * max(1, sum(self._client.nthreads().values()))
            self._counted = time.monotonic()
        return self._slots

    @property
    def in_flight(self) -> int:
        return len(self._futures)

    def wants(self) -> bool:
        return len(self._futures) < self.slots

    def submit(self, parcel: Parcel) -> None:
        if self._client is None:  # not before there is something to do
            self._connect()
        number, task = self._sent, parcel.job.task
        self._sent += 1
        subject = self._subject(parcel.job.subject)
        future = self._client.submit(
            simulate_batches,
            task,
            parcel.job.subject.digest,
            list(parcel.batches),
            subject,
            key=f"simlab-{task.id[:8]}-{self._session}-{number}",
            pure=False,
        )
        self._futures[number] = (parcel, future)
        future.add_done_callback(lambda _: self._messages.put(number))

    def wait(self, seconds: float) -> Outcome | None:
        try:
            parcel, future = self._futures.pop(self._messages.get(timeout=seconds))
        except queue.Empty:
            return None
        return self._outcome(parcel, future)

    def expect(self, seconds: float) -> None:
        pass

    def close(self, *, at_once: bool) -> None:
        self._futures.clear()
        self._subjects.clear()
        for part in (self._client, self._cluster):
            if part is not None:
                part.close(timeout=5)
        self._client = self._cluster = None

    def _outcome(self, parcel: Parcel, future) -> Outcome:
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            try:
                return Outcome(parcel, future.result(timeout=60))
            except Exception:  # its only copy went down with a worker, or with the scheduler
                return Outcome(parcel)
        if future.status != "error":
            return Outcome(parcel)
        error = future.exception(timeout=60)
        if isinstance(error, KilledWorker):
            error = SimlabError("its workers died again and again: give them more memory and run again")
        elif isinstance(error, ImportError):
            error = SimlabError(f"the cluster's workers lack a package ({error}): install simlab on them")
        return Outcome(parcel, error=error)

    def _subject(self, subject: ChainPair | Law):
        # A task that returns the pair or distribution, and not scattered data: if the one worker that holds
        # it dies, the scheduler sends it to another.
        if subject.digest not in self._subjects:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph")
                key = f"simlab-pair-{subject.digest[:16]}-{self._session}-{self._sent}"
                self._subjects[subject.digest] = self._client.submit(_same, subject, key=key, pure=False)
        self._subjects.move_to_end(subject.digest)
        if len(self._subjects) > _SUBJECTS_KEPT:
            self._subjects.popitem(last=False)
        return self._subjects[subject.digest]

    def _connect(self) -> None:
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise SimlabError("Dask is not installed: pip install simlab[cluster]") from error
        address, workers = self._settings
        if address is None:
            with _sigint_ignored():  # the workers inherit it: Ctrl-C is this process's business
                self._cluster = LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0
                )
        try:
            self._client = Client(self._cluster or address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise SimlabError(
                f"no Dask scheduler at {address}: start it, or mend the address ({reason})"
            ) from error


def _same(subject):
    return subject
