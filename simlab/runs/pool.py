"""What every backend offers: a pool takes parcels and hands back outcomes, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simlab.runs.plan import Parcel
from simlab.runs.work import Done, simulate_batches


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a parcel: done, or failed with an error, or (neither) lost with the worker that died."""

    parcel: Parcel
    done: Done | None = None
    error: BaseException | None = None


class Pool(Protocol):
    """slots: parcels under way when all workers are busy. in_flight: parcels under way now. parcel_seconds:
    how long a parcel should take. waiting: for whom the parcels under way wait, in words; "" where they are
    worked at. one_copy: set before the first parcel where some task's tables are so large (SHARED) that the
    workers of this machine must share them.
    """

    slots: int
    parcel_seconds: float
    waiting: str
    one_copy: bool

    @property
    def in_flight(self) -> int: ...

    def wants(self) -> bool:
        """Whether `submit` would put another parcel to use."""

    def submit(self, parcel: Parcel) -> None: ...

    def wait(self, seconds: float) -> Outcome | None:
        """The next outcome, or None if there is none after so many seconds."""

    def expect(self, seconds: float) -> None:
        """Told how long what is left would take one worker."""

    def close(self, *, at_once: bool) -> None:
        """Let go of the workers, at once or when they are done."""


def simulate_here(parcel: Parcel) -> Outcome:
    """Simulate a parcel in this process and thread."""
    task, subject = parcel.job.task, parcel.job.subject
    try:
        return Outcome(parcel, simulate_batches(task, subject.digest, list(parcel.batches), subject))
    except Exception as error:  # whatever it is, it is reported with its task
        return Outcome(parcel, error=error)
