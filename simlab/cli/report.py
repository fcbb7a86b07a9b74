"""`simlab report`: everything that the results folder holds, on one page and on the terminal."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from simlab.cli.config.reproduce_list import base_configuration, listed_experiments
from simlab.cli.config.settings import output_from, settings_from
from simlab.cli.output.documents import settings_document
from simlab.cli.output.verdict_tables import check_table, verdict_table
from simlab.errors import SimlabError
from simlab.report.rows import by_status, tally

USAGE = """usage: simlab report [output=OUTPUT] [key=value ...]

Writes OUTPUT/report/index.html (default results): one file that needs no other, with every verdict, theorem
check, figure and table that `simlab run` and `simlab reproduce` left in OUTPUT, and prints the verdicts.
What `simlab reproduce` would have made and is not there is named, with the command that makes it; give it
the same settings as simlab reproduce got, if any. Nothing is simulated. Exit code 1 if a verdict or a check
FAILed; what is missing or cannot be read is a line of warning, and no mistake as long as there is something
to show.
"""

DEFAULT_OUTPUT = "results"
SIZES = ("trajectories", "tier", "running_average")
"""Settings that only make the numbers finer: an experiment is there at any size."""


def main(words: list[str]) -> int:
    """Print the verdicts and checks, write the page; returns the exit code."""
    from simlab.report.collect import collect_results

    output = output_from(base_configuration(words))
    found = collect_results(output)
    if not found.experiments:
        _warn(found.problems)
        raise SimlabError(f"no results in {output}: make them with {_reproduce(words)}")
    experiments, missing = _in_order(found.experiments, listed_experiments(words))
    _print_tables(experiments, "verdicts", verdict_table)
    _print_tables(experiments, "checks", check_table)
    print("\n" + "\n".join(_tallies(experiments)))
    _write(output, experiments, missing, found.problems)
    judged = [one for experiment in experiments for one in (*experiment["verdicts"], *experiment["checks"])]
    return 1 if any(one["status"] == "FAIL" for one in judged) else 0


def write_page(output: Path, listed: Sequence[Sequence[dict]]) -> None:
    """Write the page of a results folder. listed: the points of each experiment that should be there."""
    from simlab.report.collect import collect_results

    found = collect_results(output)
    _write(output, *_in_order(found.experiments, listed), found.problems)


def _write(output: Path, experiments: list[dict], missing: list[dict], problems: list[str]) -> None:
    from simlab.report.page import render_page
    from simlab.report.save import write_whole

    path = output / "report" / "index.html"
    write_whole(path, render_page(experiments, missing, problems).encode(errors="backslashreplace"))
    _warn([*problems, *(f"missing, made by {one['command']}" for one in missing)])
    print(f"wrote {path}")


def _in_order(experiments: Sequence[dict], listed: Sequence[Sequence[dict]]) -> tuple[list[dict], list[dict]]:
    """The experiments, those that `simlab reproduce` lists first and in its order, then a user's own; and the
    command of each listed one that is not there.
    """
    left = {experiment["folder"]: experiment for experiment in experiments}
    ordered, missing = [], []
    for configs in listed:
        points = [settings_from(config) for config in configs]
        wanted = _identity(points[0].experiment, settings_document(points, None))
        matching = [
            name for name, one in left.items() if _identity(one["experiment"], one["settings"]) == wanted
        ]
        ordered += [left.pop(name) for name in matching]
        if not matching:
            missing.append({"command": points[0].command + _elsewhere(configs[0]["output"])})
    return [*ordered, *left.values()], missing


def _elsewhere(output: str) -> str:
    """The word that names the output folder, as a shell and then Hydra read it; none for the usual folder."""
    if output == DEFAULT_OUTPUT:
        return ""
    if re.fullmatch(r"[A-Za-z0-9_./+-]+", output):
        return f" output={output}"
    escaped = output.replace("\\", "\\\\").replace('"', '\\"')
    return " " + shlex.quote(f'output="{escaped}"')


def _identity(experiment: str, settings: Mapping) -> tuple:
    """What makes it this experiment, at whatever size."""
    return experiment, {key: value for key, value in settings.items() if key not in SIZES}


def _print_tables(experiments: Sequence[Mapping], key: str, table: Callable[[list, str], str]) -> None:
    for experiment in by_status(experiments, key):
        if experiment[key]:
            print(f"\n{experiment['title']}\n{table(experiment[key], experiment['title'])}")


def _tallies(experiments: Sequence[Mapping]) -> list[str]:
    verdicts, checks = (
        [one["status"] for experiment in experiments for one in experiment[key]]
        for key in ("verdicts", "checks")
    )
    return [tally(verdicts)] + [tally(checks, "theorem check")] * bool(checks)


def _reproduce(words: Sequence[str]) -> str:
    return shlex.join(["simlab", "reproduce", *words])


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"simlab: {line}", file=sys.stderr)
