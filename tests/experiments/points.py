"""Points of experiments as the command line would compose them, and their results without a ledger."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from simlab.cost import CostModel
from simlab.decoders import Speculative
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.common.settings import Override, Settings
from simlab.runs import Job, Result, simulate


def point(experiment: str, options: dict, *, output: Path, trajectories: int, **more) -> Settings:
    """The settings of one point: pair=paper, fixed size, unless `more` says otherwise."""
    fields = {
        "experiment": experiment,
        "title": experiment,
        "options": options,
        "pair_name": "paper",
        "pair_options": {"horizon": 50, "states": 7, "seed": 10},
        "decoder": Speculative(),
        "seed": 0,
        "trajectories": trajectories,
        "half_width": None,
        "confidence": 0.95,
        "batch_size": 1 << 17,
        "running_average": 1000,
        "cost": CostModel(draft=0.05, target=1),
        "output": output,
        "overrides": overrides(more.pop("command", f"simlab run experiment={experiment}")),
    }
    return Settings(**{**fields, **more})


def overrides(command: str) -> tuple[Override, ...]:
    """The settings that a command gives, each with one value."""
    return tuple(Override(word) for word in shlex.split(command)[2:])


def told(settings: Settings, results: dict[str, Result], title: str = "x") -> Presentation:
    """What the figures of an outcome share."""
    return Presentation(settings, title, results, settings.pair_name)


def simulated(jobs: list[Job]) -> dict[str, Result]:
    """What the jobs leave, each simulated in one batch."""
    results = {}
    for one in jobs:
        counts = simulate(
            one.pair, one.task.decoder, trajectories=one.stop.at_most, seed=one.task.seed, workers=1
        )
        n = np.arange(len(counts.rejections))
        sums = np.array([[counts.trajectories, counts.rejections @ n, counts.rejections @ n**2]])
        results[one.task.id] = Result(one.task, counts, sums)
    return results


def table(outcome, name: str) -> pd.DataFrame:
    """The numbers of a figure whose only file is its CSV; what is empty there is missing, words are words."""
    (exhibit,) = [one for one in outcome.figures if one.name == name]
    (path,) = exhibit.files
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
