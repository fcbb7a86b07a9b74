"""What an experiment is told: one point (pair, decoder, sizes), and how it turns points into jobs."""

from __future__ import annotations

import functools
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simlab.checks import as_integer
from simlab.cost import CostModel
from simlab.decoders import Decoder
from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.pairs import ChainPair, make_pair, pair_identity
from simlab.runs import HalfWidth, Job, Task, Trajectories
from simlab.verify import Check

SAID = ("experiment", "pair", "tier", "running_average", "trajectories", "environments")
"""Overrides that an outcome's title says anyway, or that only make the numbers finer."""

RUNNING_AVERAGE_BATCH = 100  # the paper draws its running averages after 100 N runs


@dataclass(frozen=True)
class Settings:
    """One point of an experiment, composed and checked.

    experiment: the module that plans and presents; title: the name of its folder and files.
    options: the experiment's own settings. pair_name, pair_options: as `simlab.pairs.make_pair` takes them.
    trajectories: of a task, or at most where half_width (rejections) is given. confidence: of intervals
    in tables and pictures. running_average: trajectories behind a running average. cost: what a drafted token
    and a target call take, for speed-ups. command: what makes it. variant: what tells it from the same
    experiment with the configs' own settings, fit for a folder's name.
    """

    experiment: str
    title: str
    options: Mapping[str, Any]
    pair_name: str
    pair_options: Mapping[str, Any]
    decoder: Decoder
    seed: int
    trajectories: int
    half_width: float | None
    confidence: float
    batch_size: int
    running_average: int
    cost: CostModel
    output: Path
    command: str
    variant: str


@dataclass(frozen=True)
class Exhibit:
    """A figure or a table on disk. name: of its files, without their endings. caption: what it shows and how
    to read it, a sentence or a few of plain text. files: one a format (PNG, SVG, CSV; CSV, Parquet).
    """

    name: str
    caption: str
    files: list[Path]


@dataclass(frozen=True)
class Outcome:
    """What an experiment leaves: verdicts, theorem checks, figures, tables and remarks for the reader."""

    title: str
    folder: Path
    verdicts: list[Verdict] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    figures: list[Exhibit] = field(default_factory=list)
    tables: list[Exhibit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Every file of every figure and table."""
        return [path for exhibit in (*self.figures, *self.tables) for path in exhibit.files]


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


def folder_of(settings: Settings, *names: str) -> Path:
    """The experiment's own folder: other settings have other folders, so that none overwrites another."""
    return settings.output / "-".join(filter(None, [settings.title, *names, settings.variant]))


def heading(settings: Settings, title: str) -> str:
    """The title with the overrides that tell this outcome from others of the same experiment and pair."""
    words = shlex.split(settings.command)[2:]
    told = [word for word in words if word.partition("=")[0].removeprefix("tier.") not in SAID]
    return ", ".join([title, *told])


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
    pair = make_pair(name, **json.loads(options))
    return pair, pair_identity(pair, name, **json.loads(options))


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


def stop_of(settings: Settings) -> Trajectories | HalfWidth:
    """When the point's jobs stop: at their size, or at the half-width that is given."""
    if settings.half_width is None:
        return Trajectories(settings.trajectories)
    return HalfWidth(settings.half_width, settings.confidence, settings.trajectories)


def running_average_job(
    settings: Settings, decoder: Decoder | None = None, horizon: int | None = None
) -> Job:
    """The job behind a running average: batches of 100 trajectories, `running_average` in all."""
    main = job(settings, decoder, horizon)
    task = Task(main.task.pair, main.task.decoder, main.task.seed, RUNNING_AVERAGE_BATCH)
    return Job(task, main.pair, Trajectories(settings.running_average))


whole = as_integer


def only_point(points: list[Settings]) -> Settings:
    """The point of an experiment that draws one; SimlabError for a grid."""
    if len(points) != 1:
        raise SimlabError(
            f"experiment {points[0].experiment} draws one point and the grid has {len(points)}: "
            "use experiment=study, or --multirun for a figure a point"
        )
    return points[0]
