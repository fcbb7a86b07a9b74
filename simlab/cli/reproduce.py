"""`simlab reproduce`: every experiment, every figure, one file of verdicts and one page."""

from __future__ import annotations

from simlab.cli.config.reproduce_list import listed_experiments
from simlab.cli.config.settings import output_from
from simlab.cli.report import write_page
from simlab.cli.run import execute

USAGE = """usage: simlab reproduce [tier=smoke|paper] [key=value ...]

Runs every experiment that conf/config.yaml lists under `reproduce`, writes each one's figures and tables to
OUTPUT/<experiment>-<pair>/, all verdicts to OUTPUT/report/verdicts.json and the page that shows it all to
OUTPUT/report/index.html (output=OUTPUT, default results).
tier=smoke takes some minutes, tier=paper the paper's numbers of runs and beyond. What was simulated before
is not simulated again. Exit code 1 if a verdict FAILs.
"""


def main(words: list[str]) -> int:
    """Run the listed experiments with the given overrides on top; returns the exit code."""
    experiments = listed_experiments(words)
    output = output_from(experiments[0][0])
    code = execute(experiments, report=output / "report" / "verdicts.json")
    if code != 130:
        write_page(output, experiments)
    return code
