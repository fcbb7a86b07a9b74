"""From a point to its pair and its jobs, and what an experiment plans."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from simlab.decoders import Decoder
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair, make_pair, pair_identity
from simlab.runs import HalfWidth, Job, Task, Trajectories

RUNNING_AVERAGE_BATCH = 100  # the paper draws its running averages after 100 N runs

Parts = TypeVar("Parts")


@dataclass(frozen=True, eq=False)
class Planned(Generic[Parts]):
    """What an experiment's `plan` makes of its points, and what its `present` takes beside the results.

    settings: of the point, or of the first one. jobs: all that is to be simulated; a job that stands there
    twice runs once. parts: whatever the experiment wants to know again when it presents.
    """

    settings: Settings
    jobs: list[Job]
    parts: Parts = None


def instance(settings: Settings, horizon: int | None = None) -> tuple[ChainPair, dict]:
    """The point's pair and its identity, at another horizon if one is given and the pair can have it.

    A nonstationary pair from a file keeps its own horizon where it is shorter.
    """
    options = dict(settings.pair_options)
    if horizon is not None:
        if settings.pair_name == "file":
            own = instance(settings)[0]
            horizon = horizon if own.is_stationary else min(horizon, own.horizon)
        options["horizon"] = horizon
    return _made(settings.pair_name, options)


def pair_of(name: str, options: Mapping[str, Any]) -> ChainPair:
    """The pair that a generator makes with these options, which `instance` then need not make again."""
    return _made(name, dict(options))[0]


def job(settings: Settings, decoder: Decoder | None = None, horizon: int | None = None) -> Job:
    """The point's own job, or the same with another decoder or horizon."""
    pair, identity = instance(settings, horizon)
    task = Task(
        pair=identity,
        decoder=settings.decoder if decoder is None else decoder,
        seed=settings.seed,
        batch_size=settings.batch_size,
    )
    return Job(task, pair, stop_of(settings))


def running_average_job(
    settings: Settings, decoder: Decoder | None = None, horizon: int | None = None
) -> Job:
    """The job behind a running average: batches of 100 trajectories, `running_average` in all."""
    main = job(settings, decoder, horizon)
    task = Task(main.task.pair, main.task.decoder, main.task.seed, RUNNING_AVERAGE_BATCH)
    return Job(task, main.pair, Trajectories(settings.running_average))


def stop_of(settings: Settings) -> Trajectories | HalfWidth:
    """When the point's jobs stop: at their size, or at the half-width that is given."""
    if settings.half_width is None:
        return Trajectories(settings.trajectories)
    return HalfWidth(settings.half_width, settings.confidence, settings.trajectories)


def looks_of(job: Job) -> int:
    """At how many sizes the job may stop: one, or after each batch."""
    return -(-job.stop.at_most // job.task.batch_size) if isinstance(job.stop, HalfWidth) else 1


def _made(name: str, options: dict) -> tuple[ChainPair, dict]:
    return _instance(name, json.dumps(options, sort_keys=True), _state_of(options.get("path")))


def _state_of(path) -> tuple | None:
    """What tells a file from another of the same name, in another folder or at another time."""
    if not isinstance(path, str) or not os.path.exists(path):
        return None
    found = os.stat(path)
    return os.path.abspath(path), found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=8)
def _instance(name: str, options: str, state: tuple | None) -> tuple[ChainPair, dict]:
    """Remembered, for all points of a grid and the command line before them ask for the same pair."""
    pair = make_pair(name, **json.loads(options))
    return pair, pair_identity(pair, name, **json.loads(options))
