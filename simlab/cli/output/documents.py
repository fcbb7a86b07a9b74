"""What a run leaves for the page: outcome.json, with all that came out, and timing.json, with what it took.

Paths are relative to the experiment's folder, and nothing in outcome.json depends on where or how it ran: the
same settings leave the same bytes. Times do not, so they lie in a file of their own.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from simlab.decoders import decoder_name, decoder_options
from simlab.report.collect import SCHEMA

OUTCOME = "outcome.json"
TIMING = "timing.json"
LIBRARIES = ("simlab", "numpy", "numba", "scipy", "pandas", "matplotlib")


def outcome_document(outcome, points: Sequence, tier: str | None, jobs: Iterable, results: Mapping) -> dict:
    """What outcome.json holds, fit for strict JSON (inf and nan are text).

    outcome: the experiment's `Outcome`. points: its `Settings`; tier: the name of their sizes. jobs: what it
    asked for; results: by task id.
    """
    jobs = list(jobs)
    tasks = {job.task.id: _task(job, results[job.task.id]) for job in jobs}
    return plain(
        {
            "schema": SCHEMA,
            "title": outcome.title,
            "experiment": points[0].experiment,
            "command": points[0].command,
            "settings": settings_document(points, tier),
            "versions": versions(),
            "tasks": list(tasks.values()),
            **_samples((job.task.unit, tasks[job.task.id][job.task.unit]) for job in _distinct(jobs)),
            "verdicts": [dataclasses.asdict(verdict) for verdict in outcome.verdicts],
            "checks": [dataclasses.asdict(check) for check in outcome.checks],
            "figures": [_exhibit(exhibit, outcome.folder) for exhibit in outcome.figures],
            "tables": [_exhibit(exhibit, outcome.folder) for exhibit in outcome.tables],
            "notes": outcome.notes,
        }
    )


def settings_document(points: Sequence, tier: str | None) -> dict:
    """The settings of all points, flat, as overrides spell them.

    One that differs between the points has the list of its values, in the order of the grid:
    {"pair.horizon": 50, "decoder.drafts": [1, 2]}.
    """
    spelled = [{**_settings(point), "tier": tier} for point in points]
    document = {}
    for key in dict.fromkeys(key for one in spelled for key in one):
        values = [one[key] for one in spelled if key in one]
        distinct = [value for at, value in enumerate(values) if value not in values[:at]]
        document[key] = distinct[0] if len(distinct) == 1 else distinct
    return plain(document)


def timing_document(jobs: Iterable, timings: Mapping, presenting: float, backend) -> dict:
    """What timing.json holds.

    jobs: of the experiment; timings: the ledger's, by task id. presenting: seconds of predicting, judging and
    drawing, by the clock. backend: the one of the run that presented; what earlier runs simulated may have
    come from another.
    """
    taken = [(job.task.unit, timings[job.task.id]) for job in _distinct(jobs) if job.task.id in timings]
    return {
        "schema": SCHEMA,
        "simulating": {
            **_samples((unit, timing.samples) for unit, timing in taken),
            "worker_seconds": round(sum(timing.seconds for _, timing in taken), 3),
        },
        "presenting": {"seconds": round(presenting, 3)},
        "backend": {"name": type(backend).__name__.lower(), **dataclasses.asdict(backend)},
        "cores": os.cpu_count(),
    }


def versions() -> dict[str, str]:
    """The versions that the numbers and pictures came from, and the kind of machine."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:  # simlab itself, run from a source tree
            continue
    return {**found, "machine": f"{platform.system()} {platform.machine()}"}


def plain(value):
    """`value` in what strict JSON can say: text for inf and nan, lists for tuples, text for paths."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Path):
        return value.as_posix()
    return value if value is None or isinstance(value, bool | int) else str(value)


def to_json(document) -> str:
    """A document as the text of a file."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _settings(point) -> dict:
    return {
        **{f"experiment.{key}": value for key, value in point.options.items()},
        "pair": point.pair_name,
        **{f"pair.{key}": value for key, value in point.pair_options.items()},
        "decoder": _decoder(point.decoder)["name"],
        **{f"decoder.{key}": value for key, value in decoder_options(point.decoder).items()},
        "seed": point.seed,
        "trajectories": point.trajectories,
        "half_width": point.half_width,
        "confidence": point.confidence,
        "batch_size": point.batch_size,
        "running_average": point.running_average,
        **{f"cost.{key}": value for key, value in point.cost.document().items()},
        **{f"judging.{key}": value for key, value in point.judging.changed.items()},
    }


def _task(job, result) -> dict:
    task = job.task
    if task.unit == "environments":
        what = {"law": task.law, "capacities": list(task.capacities)}
        done = {"environments": result.counts.environments}
    else:
        what = {"pair": task.pair, "decoder": _decoder(task.decoder)}
        done = {"trajectories": result.counts.trajectories}
    return {"id": task.id, **what, "seed": task.seed, "batch_size": task.batch_size, **done}


def _distinct(jobs: Iterable) -> list:
    return list({job.task.id: job for job in jobs}.values())


def _samples(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """How many trajectories in all, and environments where there are any."""
    counted = list(counted)
    totals = {
        unit: sum(number for one, number in counted if one == unit)
        for unit in ("trajectories", "environments")
    }
    return totals if totals["environments"] else {"trajectories": totals["trajectories"]}


def _decoder(decoder) -> dict:
    return {"name": decoder_name(decoder), **decoder_options(decoder)}


def _exhibit(exhibit, folder: Path) -> dict:
    files = [os.path.relpath(path, folder) for path in exhibit.files]
    return {
        "name": exhibit.name,
        "caption": exhibit.caption,
        "files": [Path(file).as_posix() for file in files],
    }
