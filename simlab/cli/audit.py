"""`simlab audit`: loads the verifier that the user names, audits it, prints the report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from simlab.cli.config.compose import taken_out
from simlab.cli.loading import load_function
from simlab.cli.output.documents import plain
from simlab.cli.process import told_of_ctrl_c
from simlab.errors import SimlabError

USAGE = """usage: simlab audit MODULE:FUNCTION|FILE.py:FUNCTION|transformers [key=value ...] [--json]

Is a verifier still exact? Plays it on rows from harmless to nasty, completes what it emits with draws from
the target, and tests the joint distribution. The verifier is a function

  verifier(draft_tokens, draft_probabilities, target_probabilities, rng) -> emitted tokens

of arrays (g,), (g, V), (g + 1, V) and a numpy Generator; it returns the accepted tokens and one more. A class
is made without arguments, and its instance called. `transformers` is the function of the installed Hugging
Face transformers (pip install 'simlab[models]').

  window=3           drafted tokens g
  states=4           tokens V of most instances; others have 2 and twice as many. states=[4] has 4 throughout
  false_alarm=1e-6   the largest probability that a right verifier FAILs
  resolution=0.01    the total variation of a token's distribution that a PASS excludes
  batched=false      the verifier takes B sequences at once: (B, g), (B, g, V), (B, g + 1, V)
  law=token|block    holds the number of accepted tokens to token or block verification too
  seed=0             of the rows, the drafts and the verifier's rng
  time_limit=10      seconds that one call may last
  seconds=60         stop then, INCONCLUSIVE unless the verifier has passed; without, as long as it takes

  simlab audit mypackage.sampling:verify window=4
  simlab audit my_verifier.py:verify law=token --json
  simlab audit transformers

Exit code 0 for PASS and INCONCLUSIVE, 1 for FAIL, 2 for a mistake in the input. From Python:
simlab.audit(verify).
"""

OWN = (
    "window",
    "states",
    "false_alarm",
    "resolution",
    "batched",
    "law",
    "seed",
    "time_limit",
    "seconds",
)


def main(words: list[str]) -> int:
    """Audit the one verifier named; returns the exit code."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    settings = _settings([word for word in words if "=" in word])
    named = [word for word in words if "=" not in word]
    if len(named) != 1:
        raise SimlabError(
            f"{' '.join(named) or 'no verifier'}: expected one verifier, module:function, file.py:function "
            "or transformers"
        )
    from simlab.auditing import audit

    verifier, name = _verifier(named[0])
    with told_of_ctrl_c():
        report = audit(verifier, progress=True, **settings)
    if as_json:
        print(json.dumps(plain({"verifier": name} | report.document()), indent=1))
    else:
        print(f"{name}\n{report}")
    if report.interrupted:
        return 130
    return 1 if report.outcome == "FAIL" else 0


def _settings(words: list[str]) -> dict:
    values, others = taken_out(words, OWN)
    if others:
        raise SimlabError(f"{others[0]}: simlab audit has {', '.join(OWN)}")
    for name, value in values.items():
        if len(value) > 1:
            raise SimlabError(f"{name}: expected one value; a list of sizes is states=[2,4]")
    settings = {name: value[0] for name, value in values.items()}
    if settings.get("seconds") is None:
        settings["seconds"] = math.inf
    return settings


def _verifier(named: str) -> tuple[Callable, str]:
    if named == "transformers":
        from simlab.auditing.clients import transformers_verifier, transformers_version

        return transformers_verifier(), f"transformers {transformers_version()}, _speculative_sampling"
    return load_function(named, "module:function, file.py:function or transformers"), named
