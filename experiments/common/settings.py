"""What an experiment is told: one point (pair, decoder, sizes, levels) and the overrides that made it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simlab.checks import as_integer
from simlab.cost import CostModel
from simlab.decoders import Decoder
from simlab.errors import SimlabError
from simlab.evidence import Judging


@dataclass(frozen=True)
class Override:
    """One setting that a command gave: its word, key=value, and the values where it sweeps (key=1,2)."""

    word: str
    swept: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What is set, without the signs (+, ~) that Hydra has before it."""
        return self.word.partition("=")[0].lstrip("+~")

    @property
    def group(self) -> str:
        """The section that the key is in, or that it chooses: decoder of decoder=batch, decoder.drafts=2."""
        return re.split(r"[./@]", self.key, maxsplit=1)[0]

    @property
    def values(self) -> tuple[str, ...]:
        """The text of each value, without quotes; one unless it sweeps."""
        return self.swept or (self.word.partition("=")[2].strip("\"'"),)


@dataclass(frozen=True)
class Settings:
    """One point of an experiment, composed and checked.

    experiment: the module that plans and presents; title: the name of its folder and files.
    options: the experiment's own settings. pair_name, pair_options: as `simlab.pairs.make_pair` takes them.
    trajectories: of a task, or at most where half_width (rejections) is given. confidence: of intervals
    in tables and pictures; judging: the levels of verdicts. running_average: trajectories behind a running
    average. cost: what a drafted token and a target call take, for speed-ups. overrides: what the command
    that makes it says beside the configs, but for where and how it runs. figures: formats of figures beside
    PNG and SVG.
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
    overrides: tuple[Override, ...] = ()
    judging: Judging = field(default_factory=Judging)
    figures: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that makes it, as a shell reads it."""
        return shlex.join(["simlab", "run", *(override.word for override in self.overrides)])


whole = as_integer


class OnlyPoint(SimlabError):
    """An experiment that draws one point has a grid."""


def only_point(points: list[Settings]) -> Settings:
    """The point of an experiment that draws one. Raises OnlyPoint for a grid."""
    if len(points) != 1:
        raise OnlyPoint(
            f"experiment {points[0].experiment} draws one point and the grid has {len(points)}: "
            "use experiment=study, or --multirun for a figure a point"
        )
    return points[0]
