"""`simlab run` with Hydra's own flags: --cfg, --help, --config-dir, and --multirun with its launchers.

Each job of a --multirun simulates and draws its point, in whatever process a launcher starts it. In the end
this process draws the table of all points, from the ledger that the jobs share, as the grid without
--multirun would.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from simlab.cli.config.compose import compose_points, hydra_application, one_line_errors, telling, together
from simlab.cli.run import execute
from simlab.errors import SimlabError

_FAILED_FLAG = "SIMLAB_FAILED_FLAG"  # a file that a job writes to, in whatever process it runs


def through_hydra(words: list[str]) -> int:
    """Let Hydra's own command line take over; returns the exit code."""
    with one_line_errors(words), tempfile.TemporaryDirectory() as folder:
        failed = Path(folder) / "failed"
        os.environ[_FAILED_FLAG] = str(failed)
        try:
            flags = hydra_application(words, _job)
        except SystemExit as stop:  # a job's, which has said why
            return int(stop.code or 0)
        tables = _tables(words, flags.overrides) if flags.multirun else []
        codes = [_draw(configs) for configs in tables]
        return max([int(failed.exists()), *codes])


def _job(config) -> None:
    """One job of a Hydra run. It may run in another process: mistakes and verdicts leave as exit codes."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    words = list(HydraConfig.get().overrides.task)
    try:
        if config.get("grid"):
            configs = compose_points(words)
        else:
            configs = [OmegaConf.to_container(config, resolve=True)]
            configs[0]["command"] = telling(words)
        code = execute([configs])
    except SimlabError as error:
        print(f"simlab: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if code == 1:
        Path(os.environ[_FAILED_FLAG]).write_text("a verdict FAILed")
    elif code:
        raise SystemExit(code)


def _tables(words: list[str], overrides: list[str]) -> list[list[dict]]:
    """The composed points of each table that the jobs leave undone, under the search path of their flags."""
    found: list[list[dict]] = []

    def compose(_config) -> None:
        try:
            tables, sharded = together(overrides)
            points = [compose_points(table) for table in tables]
        except SimlabError as error:
            print(f"simlab: there is no table of all points: {error}", file=sys.stderr)
        else:
            found.extend(configs for configs in points if sharded or len(configs) > 1)

    flags = [word for word in words if word not in (*overrides, "-m", "--multirun")]
    hydra_application(flags, compose)
    return found


def _draw(configs: list[dict]) -> int:
    """Draw a table; returns the exit code."""
    from simlab.experiments.common.settings import OnlyPoint

    try:
        return execute([configs])
    except OnlyPoint:  # a figure a point: the jobs have drawn them
        return 0
