"""`simlab run`: simulate, hold against the theory, draw; also what `simlab reproduce` is made of."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simlab.cli.compose import CONFIG_MODULE, clear_hydra_error, compose_points
from simlab.cli.settings import backend_from, output_from, settings_from
from simlab.cli.tables import columns
from simlab.errors import SimlabError

EXPERIMENTS = ("study", "fig2", "fig5")
_FAILED_FLAG = "SIMLAB_FAILED_FLAG"  # a file that a job of --multirun touches, in whatever process it runs


def main(words: list[str]) -> int:
    """Run the composed experiment; a flag (--cfg, --help, --multirun, ...) hands over to Hydra."""
    if any(word.startswith("-") for word in words):
        return _through_hydra(words)
    return run(words)


def run(overrides: Sequence[str]) -> int:
    """Run one experiment over its grid; prints verdicts and files; returns the exit code."""
    configs = compose_points(overrides)
    return execute([configs])


def execute(experiments: Sequence[Sequence[dict]], report: Path | None = None) -> int:
    """Run experiments, each given by the configurations of its points; returns 1 if a verdict FAILed, else 0.

    All simulate first, as one list of tasks (what two of them share runs once), then each presents.
    `report`: a verdicts.json for all of them together.
    """
    from simlab.runs import Interrupted, Ledger, run_jobs

    first = experiments[0][0]
    output = output_from(first)
    backend = backend_from(first)
    planned = []
    for configs in experiments:
        points = [settings_from(config) for config in configs]
        if points[0].experiment not in EXPERIMENTS:
            raise SimlabError(f"no experiment {points[0].experiment!r}: known are {', '.join(EXPERIMENTS)}")
        module = importlib.import_module(f"simlab.experiments.{points[0].experiment}")
        planned.append((module, points, module.jobs(points)))
    _make_folder(output)
    try:
        with Ledger(output / "ledger.sqlite") as ledger:
            results = run_jobs([job for _, _, jobs in planned for job in jobs], ledger, backend)
    except Interrupted as stopped:
        print(f"simlab: {stopped}", file=sys.stderr)
        return 130
    outcomes = [module.present(points, results) for module, points, _ in planned]
    for outcome in outcomes:
        _announce(outcome)
    if report is not None:
        _write_verdicts(report, outcomes)
        print(f"\nwrote {report}")
    failed = any(verdict.status == "FAIL" for outcome in outcomes for verdict in outcome.verdicts)
    return 1 if failed else 0
