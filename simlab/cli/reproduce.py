"""`simlab reproduce`: every experiment, every figure, one file of verdicts and one page."""

from __future__ import annotations

from collections import Counter

from simlab.cli.config.compose import taken_out
from simlab.cli.config.reproduce_list import listed_experiments
from simlab.cli.config.settings import output_from
from simlab.cli.report import write_page
from simlab.cli.run import announce, execute, print_judged
from simlab.errors import SimlabError

USAGE = """usage: simlab reproduce [tier=smoke|paper] [verbose=true] [key=value ...]

Runs every experiment that conf/config.yaml lists under `reproduce`, writes each one's figures and tables to
OUTPUT/<experiment>-<pair>/, all verdicts to OUTPUT/report/verdicts.json and the page that shows it all to
OUTPUT/report/index.html (output=OUTPUT, default results).
tier=smoke takes some minutes, tier=paper the paper's numbers of runs and beyond. What was simulated before
is not simulated again. It prints a line an experiment, with the seconds that judging and drawing took, and in
full each verdict that is not PASS; verbose=true prints all of them. Exit code 1 if a verdict FAILs.
"""

STATUSES = ("PASS", "INCONCLUSIVE", "FAIL")


def main(words: list[str]) -> int:
    """Run the listed experiments with the given overrides on top; returns the exit code."""
    given, words = taken_out(words, ("verbose",))
    (verbose,) = given.get("verbose", [False])
    if not isinstance(verbose, bool):
        raise SimlabError(f"verbose = {verbose!r} is not a choice; expected true or false")
    experiments = listed_experiments(words)
    output = output_from(experiments[0][0])
    report = output / "report" / "verdicts.json"
    code = execute(experiments, report=report, show_outcome=announce if verbose else announce_briefly)
    if code != 130:
        write_page(output, experiments)
    return code


def announce_briefly(outcome, seconds: float) -> None:
    """One line for an experiment: its folder, its verdicts, seconds and first figure; then each verdict and
    check that is not PASS, in full.
    """
    judged = [*outcome.verdicts, *outcome.checks]
    counts = Counter(str(one.status) for one in judged)
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no verdicts"
    shown = outcome.files[0] if outcome.files else outcome.folder
    print(f"{outcome.folder.name:<18} {told:<24} {seconds:5.1f} s  {shown}", flush=True)
    verdicts, checks = (
        [one for one in some if str(one.status) != "PASS"] for some in (outcome.verdicts, outcome.checks)
    )
    print_judged(outcome, verdicts, checks)
