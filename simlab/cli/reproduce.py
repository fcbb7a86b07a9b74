"""`simlab reproduce`: every experiment, every figure, one file of verdicts."""

from __future__ import annotations

from simlab.cli.compose import compose_points
from simlab.cli.run import execute
from simlab.cli.settings import output_from
from simlab.errors import SimlabError

USAGE = """usage: simlab reproduce [tier=smoke|paper] [key=value ...]

Runs every experiment that conf/config.yaml lists under `reproduce`, writes each one's figures and tables to
OUTPUT/<experiment>-<pair>/ and all verdicts to OUTPUT/report/verdicts.json (output=OUTPUT, default results).
tier=smoke takes a minute or two, tier=paper the paper's numbers of runs and beyond. What was simulated before
is not simulated again. Exit code 1 if a verdict FAILs.
"""


def main(words: list[str]) -> int:
    """Run the listed experiments with the given overrides on top; returns the exit code."""
    base = compose_points(words)
    if len(base) != 1:
        raise SimlabError("simlab reproduce takes single values: a grid belongs to simlab run")
    experiments = [compose_points([*listed, *words]) for listed in base[0]["reproduce"]]
    return execute(experiments, report=output_from(base[0]) / "report" / "verdicts.json")
