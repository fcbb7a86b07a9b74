"""A run in a process of its own, for tests that kill it: a ledger, two fixed jobs and an adaptive one, or
jobs of random environments and one of trajectories among them.

Prints a line of JSON for each look at the run and waits for a line on stdin, or for the end of stdin, before
it goes on; prints the results at the end, a mistake or an interruption as `simlab run` would.

Usage: python driver.py LEDGER BACKEND WORKERS SCALE [environments]
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys

import simlab
from simlab.decoding.environments.counts import EnvironmentCounts
from simlab.runs import (
    Dask,
    EnvironmentTask,
    HalfWidth,
    Interrupted,
    Job,
    Ledger,
    Loky,
    Result,
    Serial,
    Slurm,
    Task,
    Trajectories,
    collect,
    engine,
    processes,
)

BATCH = 10_000


def jobs(scale: int) -> list[Job]:
    """Two fixed jobs, the second with a partial last batch, then an adaptive one; `scale` batches each."""
    pair = simlab.pairs.paper(horizon=50)
    identity = {"name": "paper", "horizon": 50}

    def task(seed: int) -> Task:
        return Task(identity, simlab.Speculative(), seed, BATCH)

    width = 13.5 / (scale * BATCH) ** 0.5  # reached after some four fifths of at_most
    return [
        Job(task(1), pair, Trajectories(scale * BATCH)),
        Job(task(2), pair, Trajectories(scale * BATCH - 7_777)),
        Job(task(1), pair, Trajectories(scale * BATCH)),
        Job(task(3), pair, HalfWidth(width, 0.95, scale * BATCH)),
    ]


def environment_jobs(scale: int) -> list[Job]:
    """A job of trajectories between two of environments, the last with rows that travel when asked for."""
    law = simlab.laws.Dirichlet(16, 0.3)
    rows = simlab.laws.rows_of_text(context=2)
    return [
        Job(EnvironmentTask(law, (1, 10, 1000), 1, 20), law, Trajectories(20 * scale)),
        Job(jobs(1)[0].task, jobs(1)[0].pair, Trajectories(5 * BATCH)),
        Job(EnvironmentTask(rows, (30, 2000), 2, 7), rows, Trajectories(7 * scale - 3)),
    ]


def digest(result: Result) -> dict:
    """What must be the same however a job was run."""
    counts = result.counts
    if isinstance(counts, EnvironmentCounts):
        return {
            "environments": counts.environments,
            "batches": len(result.batch_sums),
            "sha": hashlib.sha256(counts.accepted.tobytes()).hexdigest(),
        }
    parts = (counts.rejections, counts.tokens, counts.rejections_per_position, result.batch_sums)
    return {
        "trajectories": counts.trajectories,
        "batches": len(result.batch_sums),
        "sha": hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest(),
    }


def main(path: str, backend: str, workers: str, scale: str, what: str = "trajectories") -> None:
    # A shell that starts this in the background may have told it to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if backend.startswith("tcp:"):
        pool = Dask(backend)
    elif backend == "slurm":
        pool = Slurm(int(workers), memory="500MB", interface="lo", logs=f"{path}.logs", patience=120)
    else:
        pool = {"serial": Serial, "loky": lambda: Loky(int(workers))}[backend]()
    engine.FLUSH_SECONDS = 0.1  # many flushes in a run that is short,
    processes.WORTH_STARTING = 0.0  # and worker processes in it, too
    results = {}
    try:
        with Ledger(path) as ledger:
            chosen = environment_jobs if what == "environments" else jobs
            for step in collect(chosen(int(scale)), ledger=ledger, backend=pool):
                results.update({result.task.id: digest(result) for result in step.results})
                line = {
                    "done": step.done.samples,
                    "simulated": step.simulated,
                    "stopping": step.stopping,
                }
                print(json.dumps(line), flush=True)
                sys.stdin.readline()
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        sys.exit(130)
    except simlab.SimlabError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(json.dumps({"results": results}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
