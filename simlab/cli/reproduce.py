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
    experiments = [compose_points(listed) for listed in _listed(base[0]["reproduce"], words)]
    return execute(experiments, report=output_from(base[0]) / "report" / "verdicts.json")


def _listed(experiments, words: list[str]) -> list[list[str]]:
    """The overrides of each experiment, with those of the command line on top, each list once."""
    if not isinstance(experiments, list) or not experiments:
        raise SimlabError(f"reproduce = {experiments!r}: give a list of lists of overrides")
    given = {word.lstrip("~+").partition("=")[0] for word in words}
    lists: dict[tuple[str, ...], None] = {}
    for listed in experiments:
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise SimlabError(f"reproduce: {listed!r} is no list of overrides, e.g. [experiment=fig2]")
        lists[(*(word for word in listed if word.partition("=")[0] not in given), *words)] = None
    return [list(overrides) for overrides in lists]
