"""`simlab check-policy`: loads the stopping rule that the user names, checks it, prints what was found."""

from __future__ import annotations

import json

from simlab.cli.config.compose import taken_out
from simlab.cli.loading import load_function
from simlab.errors import SimlabError

USAGE = """usage: simlab check-policy MODULE:FUNCTION|FILE.py:FUNCTION [window=3] [states=2] [--json]

Can a rule for how many drafted tokens are verified bias the output? It can if it looks at a token before it
decides whether that token is verified. The rule is a function

  rule(accepted, drafted, rows) -> True or False: stop drafting now? Asked before each token is drawn
                                -> or a whole number: how many of the drafted tokens are verified? Asked
                                   when all are drafted; the others are dropped

of the tokens accepted so far, the g tokens drafted in this call, and the draft's distributions (g + 1, V), of
each drafted token and of the one that would come next. It must answer the same when asked the same again.

  window=3    the largest g
  states=2    tokens V of the instances that are tried; without, 2 and 3

A rule that looks ahead is shown the smallest instance found whose output is not the target's, in fractions.

  simlab check-policy my_rules.py:stop
  simlab check-policy mypackage.scheduling:verified window=5 --json

Exit code 0 for PASS, 1 for FAIL, 2 for a mistake in the input or a rule that crashes, is random or keeps
state. From Python: simlab.check_policy(stop).
"""

OWN = ("window", "states")


def main(words: list[str]) -> int:
    """Check the one rule named; returns the exit code."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    named = [word for word in words if "=" not in word]
    values, others = taken_out([word for word in words if "=" in word], OWN)
    if others:
        raise SimlabError(f"{others[0]}: simlab check-policy has {', '.join(OWN)}")
    for name, value in values.items():
        if len(value) > 1:
            raise SimlabError(f"{name}: expected one value")
    if len(named) != 1:
        raise SimlabError(
            f"{' '.join(named) or 'no rule'}: expected one rule, module:function or file.py:function"
        )
    from simlab.auditing import check_policy

    report = check_policy(load_function(named[0]), **{name: value[0] for name, value in values.items()})
    if as_json:
        print(json.dumps({"rule": named[0]} | report.document(), indent=1))
    else:
        print(f"{named[0]}\n{report}")
    return 0 if report.non_anticipating else 1
