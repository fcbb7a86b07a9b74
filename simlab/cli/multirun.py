"""`simlab run` with Hydra's own flags: --cfg, --help, --config-dir, and --multirun with its launchers.

Each job of a --multirun simulates and draws its point, in whatever process a launcher starts it. In the end
this process draws the table of all points, from the ledger that the jobs share, as the grid without
--multirun would.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from simlab.cli.config.compose import (
    compose_points,
    hydra_application,
    hydra_flags,
    one_line_errors,
    telling,
    together,
)
from simlab.cli.run import execute, make_folder
from simlab.errors import SimlabError

_CODES = "SIMLAB_EXIT_CODES"  # a folder in which a job leaves how it ended, in whatever process it runs
_this_process = False


def through_hydra(words: list[str]) -> int:
    """Let Hydra's own command line take over; returns the exit code."""
    with one_line_errors(words):
        flags = hydra_flags(words)
        with _exit_codes(flags) as codes:
            try:
                with _launcher_errors():
                    hydra_application(words, _job)
            except SystemExit as stop:  # a job's of this process, which has said why
                return int(stop.code or 0)
            ends = [json.loads(file.read_text()) for file in codes.iterdir()]
        for said in sorted({said for _, said in ends if said}):
            print(f"simlab: {said}", file=sys.stderr)
        worst = max((code for code, _ in ends), default=0)
        if worst > 1:
            return worst
        tables = _tables(words, flags.overrides) if flags.multirun else []
        return max([worst, *(_draw(configs) for configs in tables)])


@contextmanager
def _exit_codes(flags):
    """The folder for exit codes, where all machines of a --multirun see it: in its output."""
    global _this_process
    shared = None
    if flags.multirun:
        tables, _ = together(flags.overrides)
        given = [word.partition("=")[2] for word in tables[0] if word.startswith("output=")]
        if not given or "$" not in given[0]:
            shared = Path(given[0].strip("'\"") if given else "results").expanduser() / "multirun"
            make_folder(shared)
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        os.environ[_CODES] = os.path.abspath(folder)
        _this_process = True
        yield Path(folder)


@contextmanager
def _launcher_errors():
    """Turn what submitit raises of jobs that were refused or died into one line."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "submitit":
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise SimlabError(f"a job of submitit's failed: {'; '.join(lines[-2:])}") from error


def _job(config) -> None:
    """One job of a Hydra run. It may run in another process: exit code and mistake leave in a file."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    code, said = 2, ""
    words = list(HydraConfig.get().overrides.task)
    try:
        if config.get("grid"):
            configs = compose_points(words)
        else:
            configs = [OmegaConf.to_container(config, resolve=True)]
            configs[0]["command"] = telling(words)
        code = execute([configs])
    except SimlabError as error:
        said = str(error)
    if code > 1 and _this_process:
        if said:
            print(f"simlab: {said}", file=sys.stderr)
        raise SystemExit(code)
    with tempfile.NamedTemporaryFile("w", dir=os.environ[_CODES], delete=False) as file:
        json.dump((code, said), file)


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
