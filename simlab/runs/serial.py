"""Runs in the calling process, one parcel after the other."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.runs.plan import PARCEL_SECONDS, Parcel
from simlab.runs.pool import Outcome, simulate_here


@dataclass(frozen=True)
class Serial:
    """One worker: the calling process itself."""

    def start(self) -> SerialPool:
        return SerialPool()


class SerialPool:
    """See `Pool`. `wait` does the work."""

    slots = 1
    parcel_seconds = PARCEL_SECONDS
    waiting = ""
    one_copy = True

    def __init__(self) -> None:
        self._parcel: Parcel | None = None

    @property
    def in_flight(self) -> int:
        return self._parcel is not None

    def wants(self) -> bool:
        return self._parcel is None

    def submit(self, parcel: Parcel) -> None:
        self._parcel = parcel

    def wait(self, seconds: float) -> Outcome:
        parcel, self._parcel = self._parcel, None
        return simulate_here(parcel)

    def expect(self, seconds: float) -> None:
        pass

    def close(self, *, at_once: bool) -> None:
        pass
