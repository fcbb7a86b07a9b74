"""RUNS: tasks with content-hashed ids, batches, workers, the ledger, stopping rules, progress.

Names are loaded when they are asked for: a worker process needs one small module of this package, and the
time it takes to start is time in which nothing is simulated.
"""

from importlib import import_module

_HOMES = {
    "BATCH_SIZE": "task",
    "Dask": "cluster",
    "EnvironmentTask": "environment_task",
    "HalfWidth": "stopping",
    "Interrupted": "engine",
    "Job": "plan",
    "Ledger": "ledger",
    "Loky": "processes",
    "Progress": "progress",
    "Result": "plan",
    "Serial": "serial",
    "Slurm": "slurm",
    "Task": "task",
    "TaskSummary": "ledger",
    "Timing": "ledger",
    "Trajectories": "stopping",
    "canonical_json": "task",
    "collect": "engine",
    "local_backend": "engine",
    "run": "engine",
    "show": "progress",
    "simulate": "engine",
    "simulate_environments": "engine",
    "task_id": "task",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
