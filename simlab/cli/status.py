"""`simlab status`: what the ledger holds."""

from __future__ import annotations

import json

from simlab.cli.compose import compose_points
from simlab.cli.settings import output_from
from simlab.cli.tables import columns
from simlab.errors import SimlabError

USAGE = """usage: simlab status [output=OUTPUT] [--json]

The tasks in OUTPUT/ledger.sqlite (default results): pair, decoder, seed, batches and trajectories done, and
the mean of N_rej so far. A task is simulated once, whoever asks for it.
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
        print(columns([_row(task) for task in tasks]))
        total = sum(task["trajectories"] for task in tasks)
        print(f"\n{len(tasks)} tasks, {total:,} trajectories in {path}")
    else:
        print(f"no tasks in {path}")
    return 0


def _document(summary) -> dict:
    return {
        "task": summary.id,
        "pair": summary.settings["pair"],
        "decoder": summary.settings["decoder"],
        "seed": summary.settings["seed"],
        "batch_size": summary.settings["batch_size"],
        "batches": summary.batches,
        "trajectories": summary.trajectories,
        "mean_rejections": summary.mean,
    }


def _row(task: dict) -> dict[str, str]:
    pair, decoder = dict(task["pair"]), dict(task["decoder"])
    pair.pop("digest", None)
    name = pair.pop("generator", "arrays")
    return {
        "task": task["task"][:12],
        "pair": f"{name} ({', '.join(f'{key}={value}' for key, value in pair.items())})",
        "decoder": " ".join([decoder.pop("name"), *(f"{key}={value}" for key, value in decoder.items())]),
        "seed": str(task["seed"]),
        "batches": f"{task['batches']:,}",
        "trajectories": f"{task['trajectories']:,}",
        "E[N_rej]": "" if task["mean_rejections"] is None else f"{task['mean_rejections']:.4f}",
    }
