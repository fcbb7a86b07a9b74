"""`simlab status`: what the ledger holds."""

from __future__ import annotations

import json
from dataclasses import replace

from simlab.checks import check_count
from simlab.cli.config.compose import compose_points, taken_out
from simlab.cli.config.settings import output_from
from simlab.decoders import spelled_options
from simlab.errors import SimlabError
from simlab.text import columns

USAGE = """usage: simlab status [output=OUTPUT] [--check] [--json]
       simlab status shards=PARTS WORDS ...  [output=OUTPUT]

The tasks in OUTPUT/ledger.sqlite (default results): pair, decoder, seed, batches and trajectories done, and
the mean of N_rej so far; below them those of random environments: distribution, capacities, seed, batches and
environments done, and the mean of E[X] at the largest capacity. A task is simulated once, whoever asks for
it. --check reads everything instead and says in one line each what is not as it was written;
exit code 2 if there is anything.

With shards=8 and the words of a run (experiment=..., grids, sizes), what each of its eight parts still lacks
in this ledger, in tasks, batches and samples (trajectories or environments); of tasks that stop at a
half-width, at most.
"""


def main(words: list[str]) -> int:
    """Print a row a task; returns the exit code."""
    from simlab.runs import Ledger

    as_json, check = "--json" in words, "--check" in words
    given, words = taken_out([word for word in words if word not in ("--json", "--check")], ("shards",))
    points = compose_points(words)
    output = output_from(points[0])
    path = output / "ledger.sqlite"
    if not path.exists():
        raise SimlabError(
            f"no ledger {path}: simulate with simlab run, or name its folder with output=FOLDER"
        )
    if "shards" in given:
        return _shards(points, given["shards"], path, as_json)
    with Ledger(path) as ledger:
        if check:
            return _check(ledger)
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


def _check(ledger) -> int:
    """Read everything; a line a problem."""
    number = 0
    for number, problem in enumerate(ledger.problems(), 1):  # noqa: B007
        print(problem)
    if number:
        raise SimlabError(
            f"{ledger.path} has {number} problems: simlab run sets damaged batches aside and runs them again"
        )
    unsealed = ledger.unsealed()
    note = f"; {unsealed:,} batches of an older version are checked by their checksum and size alone"
    print(f"{ledger.path}: all is as it was written" + note * bool(unsealed))
    return 0


def _shards(points: list[dict], given: list, path, as_json: bool) -> int:
    """What each part of a run still lacks."""
    from simlab.cli.config.settings import settings_from
    from simlab.experiments import experiment_module
    from simlab.runs import Ledger
    from simlab.runs.plan import lacking
    from simlab.runs.shard import Shard

    count = check_count("shards", given[0], least=1, most=10_000)
    settings = [settings_from(config) for config in points]
    jobs = {job.task.id: job for job in experiment_module(settings[0].experiment).plan(settings).jobs}
    rows = []
    with Ledger(path) as ledger:
        for index in range(1, count + 1):
            shard = Shard(index, count)
            lacks = [lacking(replace(job, shard=shard), ledger) for job in jobs.values()]
            batches = sum(number for number, _ in lacks)
            rows.append(
                {
                    "shard": str(shard),
                    "tasks": sum(number > 0 for number, _ in lacks),
                    "batches": batches,
                    "samples": sum(samples for _, samples in lacks),
                }
            )
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(
            columns(
                [
                    {key: f"{value:,}" if key != "shard" else value for key, value in row.items()}
                    for row in rows
                ]
            )
        )
        print(f"\nwhat is lacking of {len(jobs)} tasks in {path}")
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
        "distribution": f"{name} ({', '.join(f'{key}={value}' for key, value in law.items())})",
        "capacities": f"{capacities[0]:,} .. {capacities[-1]:,}"
        if len(capacities) > 1
        else f"{capacities[0]:,}",
        "seed": str(task["seed"]),
        "batches": f"{task['batches']:,}",
        "environments": f"{task['environments']:,}",
        "E[X]": "" if task["mean_accepted"] is None else f"{task['mean_accepted']:.4f}",
    }
