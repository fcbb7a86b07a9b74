"""`simlab verify`: every theorem as a check, on one pair or several, as a table or as JSON."""

from __future__ import annotations

import dataclasses

from simlab.cli.config.compose import compose_points
from simlab.cli.output.documents import plain, to_json
from simlab.cli.run import announce, execute
from simlab.errors import SimlabError

USAGE = """usage: simlab verify [only=PARTS] [key=value ...] [--json]
       simlab verify rule=RULE [parameter=value ...] [--json]

Checks each theorem and proposition of Yin et al. 2024, and block verification (Sun et al.), on a pair: two
numbers found independently of each other (formula, recursion, linear program, random search, simulation),
their difference, and up to which difference the statement stands. Settings are those of `simlab run`; of a
list of values each is checked:

  simlab verify
  simlab verify pair=corpus tier=paper
  simlab verify pair=file pair.path=my_pair.npz 'experiment.drafts=[2,8]' experiment.epsilon=0.3
  simlab verify pair=paper,mixture pair.horizon=20 --json
  simlab verify only="theorem 1, theorem 3"
  simlab verify 'only=*simulation*' pair=corpus

only=PARTS makes only the checks with these parts in their names, and simulates only what they need: theorem 1
to theorem 5, proposition 1, algorithm 4, sequence front, block verification, biased chain; formula, linear
program, random search, simulation, tokens. Several stand with commas between them, * stands for anything; a
part that is in no name is answered with all names.

rule=NAME or rule=MODULE:FUNCTION looks at a rule of acceptance instead (decoder=rule): is its output the
target for all rows? Answers with the smallest rows that refute it, in fractions, and exit code 1, or says
which rows were looked at. The parameters of a named rule are epsilon, delta, k, leniency and replacement:

  simlab verify rule=typical epsilon=0.1
  simlab verify rule=mypackage.rules:mine --json

What is simulated is kept in the ledger, as of `simlab run experiment=verify`, which this is. Exit code 1 if a
check FAILs.
"""


def main(words: list[str]) -> int:
    """Check every grid point by itself; returns the exit code."""
    if any(word.partition("=")[0] == "rule" for word in words):
        from simlab.cli.verify_rule import main as of_rule

        return of_rule(words)
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    for word in words:
        if word.lstrip("~+").partition("=")[0] == "experiment":
            raise SimlabError(f"{word}: simlab verify has its own experiment; give simlab run {word}")
    points = compose_points(["experiment=verify", *map(_spelled_out, words)])
    outcomes = []
    show_outcome = (lambda outcome, _: outcomes.append(outcome)) if as_json else announce
    code = execute([[point] for point in points], show_outcome=show_outcome)
    if as_json and code != 130:
        print(to_json(plain([_document(outcome) for outcome in outcomes])), end="")
    return code


def _spelled_out(word: str) -> str:
    """only=PARTS as the experiment's own setting, its commas as they are and not as a grid."""
    key, equals, parts = word.partition("=")
    if key != "only":
        return word
    parts = parts.strip().strip("\"'[]")
    if not equals or not parts.strip(" ,*"):
        raise SimlabError(f"{word}: expected parts of the checks' names, e.g. only='theorem 1'")
    quoted = parts.replace("\\", "\\\\").replace("'", "\\'")
    return f"experiment.only='{quoted}'"


def _document(outcome) -> dict:
    return {"title": outcome.title, "checks": [dataclasses.asdict(check) for check in outcome.checks]}
