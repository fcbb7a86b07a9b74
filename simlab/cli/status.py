"""`simlab status`: what the ledger holds."""

from __future__ import annotations

import json

from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import output_from
from simlab.decoders import spelled_options
from simlab.errors import SimlabError
from simlab.text import columns

USAGE = """usage: simlab status [output=OUTPUT] [--json]

The tasks in OUTPUT/ledger.sqlite (default results): pair, decoder, seed, batches and trajectories done, and
the mean of N_rej so far; below them those of random environments: law, capacities, seed, batches and
environments done, and the mean of E[X] at the largest capacity. A task is simulated once, whoever asks for
it.
"""


def main(words: list[str]) -> int:
    """Print a row a task; returns the exit code."""
    from simlab.runs import Ledger

    as_json = "--json" in words
    output = output_from(compose_points([word for word in words if word != "--json"])[0])
    path = output / "ledger.sqlite"
    if not path.exists():
        raise SimlabError(
            f"no ledger {path}: simulate with simlab run, or name its folder with output=FOLDER"
        )
    with Ledger(path) as ledger:
        tasks = [_document(summary) for summary in ledger.tasks()]
    if as_json:
        print(json.dumps(tasks, indent=1))
    elif tasks:
        kinds = {
            "trajectories": [_row(task) for task in tasks if "trajectories" in task],
            "environments": [_environment_row(task) for task in tasks if "environments" in task],
        }
        print("\n\n".join(columns(rows) for rows in kinds.values() if rows))
        totals = [f"{sum(task.get(kind, 0) for task in tasks):,} {kind}" for kind in kinds if kinds[kind]]
        print(f"\n{len(tasks)} tasks, {' and '.join(totals)} in {path}")
    else:
        print(f"no tasks in {path}")
    return 0


def _document(summary) -> dict:
    settings = summary.settings
    what, mean = ("law", "capacities"), "mean_accepted"
    if summary.unit == "trajectories":
        what, mean = ("pair", "decoder"), "mean_rejections"
    return {
        "task": summary.id,
        **{key: settings[key] for key in (*what, "seed", "batch_size")},
        "batches": summary.batches,
        summary.unit: summary.samples,
        mean: summary.mean,
    }


def _row(task: dict) -> dict[str, str]:
    pair, decoder = dict(task["pair"]), dict(task["decoder"])
    pair.pop("digest", None)
    name = pair.pop("generator", "arrays")
    return {
        "task": task["task"][:12],
        "pair": f"{name} ({', '.join(f'{key}={value}' for key, value in pair.items())})",
        "decoder": decoder.pop("name") + f" ({spelled_options(decoder)})" * bool(decoder),
        "seed": str(task["seed"]),
        "batches": f"{task['batches']:,}",
        "trajectories": f"{task['trajectories']:,}",
        "E[N_rej]": "" if task["mean_rejections"] is None else f"{task['mean_rejections']:.4f}",
    }


def _environment_row(task: dict) -> dict[str, str]:
    law = dict(task["law"])
    law.pop("digest", None)
    name = law.pop("law")
    capacities = task["capacities"]
    return {
        "task": task["task"][:12],
        "law": f"{name} ({', '.join(f'{key}={value}' for key, value in law.items())})",
        "capacities": f"{capacities[0]:,} .. {capacities[-1]:,}"
        if len(capacities) > 1
        else f"{capacities[0]:,}",
        "seed": str(task["seed"]),
        "batches": f"{task['batches']:,}",
        "environments": f"{task['environments']:,}",
        "E[X]": "" if task["mean_accepted"] is None else f"{task['mean_accepted']:.4f}",
    }
