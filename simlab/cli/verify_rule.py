"""`simlab verify rule=..`: is a rule of acceptance unbiased for all rows, or which are the smallest that
refute it?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction

from simlab.checks import as_integer, check_count
from simlab.cli.config.compose import taken_out
from simlab.cli.config.rule import PARAMETERS, rule_from
from simlab.errors import SimlabError
from simlab.verify.rules import DENOMINATORS, LARGEST, verify_rule

OWN = ("rule", "seed", *PARAMETERS)


def main(words: list[str]) -> int:
    """Verify the one rule named; returns 1 where it is biased."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    values, others = taken_out(words, OWN)
    if others:
        raise SimlabError(f"{others[0]}: simlab verify rule=.. has {', '.join(OWN[1:])}")
    for name, listed in values.items():
        if len(listed) > 1:
            raise SimlabError(f"{name}: expected one value")
    given = {name: as_integer(listed[0]) for name, listed in values.items()}
    parameters = {name: given.get(name) for name in PARAMETERS}
    rule = rule_from(given["rule"], parameters, words, setting="rule")
    check = verify_rule(rule, check_count("seed", given.get("seed", 0), least=0))
    print(json.dumps(_document(check), indent=1) if as_json else _told(check))
    return 0 if check.unbiased else 1


def _told(check) -> str:
    if check.unbiased:
        return (
            f"{check.name}: no counterexample. The output is the target for all {check.rows:,} pairs of rows "
            f"looked at (largest total variation {check.largest:.1g}): all of {_looked_at()}, and rows at "
            f"random of 2 to {LARGEST} tokens"
        )
    found = check.counterexample
    mend = (
        "another replacement would make these rows right: only the replacement is at fault"
        if found.least == 0
        else f"no replacement could mend more than to {_exact(found.least)}: too much is accepted"
    )
    lines = [
        f"{check.name} is biased; the smallest rows found, {len(found.draft)} tokens with denominator "
        f"{found.denominator}:",
        f"  draft   {_row(found.draft)}",
        f"  target  {_row(found.target)}",
        f"  accept  {_row(found.accept)}",
        f"  output  {_row(found.output)}",
        f"total variation {_exact(found.total_variation)} = {float(found.total_variation):.6g}; {mend}",
    ]
    return "\n".join(lines)


def _looked_at() -> str:
    told = [f"{states} tokens with denominators to {most}" for states, most in DENOMINATORS.items()]
    return ", ".join(told)


def _row(values: Sequence[Fraction]) -> str:
    return "  ".join(_exact(value) for value in values)


def _exact(value: Fraction) -> str:
    """The fraction, or six digits where its denominator is that of a float."""
    return str(value) if value.denominator < 10**12 else f"{float(value):.6g}"


def _document(check) -> dict:
    found = check.counterexample
    document = {"rule": check.name, "unbiased": check.unbiased, "rows": check.rows, "largest": check.largest}
    if found is None:
        return {**document, "counterexample": None}
    rows = {
        name: [str(value) for value in getattr(found, name)]
        for name in ("draft", "target", "accept", "output")
    }
    numbers = {name: str(getattr(found, name)) for name in ("total_variation", "least", "denominator")}
    return {**document, "counterexample": rows | numbers}
