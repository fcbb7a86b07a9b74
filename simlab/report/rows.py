"""Verdicts and checks as rows of text: the terminal and the page show the same ones.

A verdict or a check comes as a document, a mapping as `dataclasses.asdict` makes it or as JSON holds it:
numbers, or "inf", "-inf" and "nan", which JSON has no numbers for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

STATUSES = ("FAIL", "INCONCLUSIVE", "PASS")
"""The worst first."""


def verdict_row(verdict: Mapping, title: str = "") -> dict[str, str]:
    """A verdict as a row: what came out, of which claim, what it rests on. title: of the heading."""
    return {
        "verdict": str(verdict["status"]),
        "claim": claim(verdict["name"], title),
        "of": verdict["statistic"].partition(", the furthest")[0],
        "estimate": number(verdict["estimate"]),
        "interval": f"[{number(verdict['low'])}, {number(verdict['high'])}]",
        "exact": claimed(verdict),
        "would see": number(verdict["detectable"], 2),
        "sample size": f"{verdict['trajectories']:,}",
    }


def claimed(verdict: Mapping) -> str:
    """What the number should be, by the verdict's kind: 2.5, <= 2.5 for a bound, 0.4 ± 0.05 for a rate."""
    exact = number(verdict["exact"])
    if verdict["kind"] == "bound":
        return f"<= {exact}"
    return f"{exact} ± {number(verdict['allowance'], 2)}" if verdict["kind"] == "rate" else exact


def claim(name: str, title: str) -> str:
    """The name of a claim under the heading `title`, which need not be said again."""
    for said in (title, title.partition(",")[0]):
        if said and name.startswith(said):
            return name[len(said) :].lstrip(" :,") or name
    return name


def closest_call(verdicts: Iterable[Mapping]) -> tuple[float, Mapping] | None:
    """The verdict whose exact value is furthest out of its interval, and how far that is: 0 in the middle of
    it, 1 at its end, more outside. An estimate that keeps a bound is in the middle, as is one that is off a
    rate by no more than is allowed. None where there are no verdicts.
    """
    calls = [(_way_out(verdict), verdict) for verdict in verdicts]
    return max(calls, key=lambda call: call[0], default=None)


def _way_out(verdict: Mapping) -> float:
    estimate, exact, low, high = (float(verdict[key]) for key in ("estimate", "exact", "low", "high"))
    way, room = abs(exact - estimate), (high - estimate if exact > estimate else estimate - low)
    way = max(way - float(verdict.get("allowance", 0.0)), 0.0)
    if way == 0 or room == math.inf or (verdict["kind"] == "bound" and exact > estimate):
        return 0.0
    return way / room if room > 0 else math.inf


def check_row(check: Mapping) -> dict[str, str]:
    """A theorem check as a row: what came out, the two numbers, and how far apart they may be."""
    return {
        "verdict": str(check["status"]),
        "check": check["name"],
        "left": f"{check['left']} = {number(check['left_value'])}",
        "right": f"{check['right']} = {number(check['right_value'])}",
        "difference": number(check["difference"], 2),
        "tolerance": number(check["tolerance"], 2),
        "scope": check["scope"],
    }


def number(value, digits: int = 6) -> str:
    """A number with so many significant digits, as in 16.4049, 2.2e-16 and inf."""
    return f"{float(value):.{digits}g}"


def count_statuses(statuses: Iterable[str]) -> dict[str, int]:
    """How many there are of each status, the worst first; those that do not occur are left out."""
    found = [str(status) for status in statuses]
    return {status: found.count(status) for status in STATUSES if status in found}


def tally(statuses: Iterable[str], noun: str = "verdict") -> str:
    """As in "12 verdicts: 1 FAIL, 11 PASS"."""
    counts = count_statuses(statuses)
    total = sum(counts.values())
    parts = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{total:,} {noun}{'s' * (total != 1)}" + (f": {parts}" if parts else "")


def by_status(experiments: Iterable[Mapping], key: str) -> list[dict]:
    """Experiments with their "verdicts" or "checks" the worst first, and those experiments first that have
    the worst. The terminal and the page both show them in this order.
    """
    ordered = [
        {**experiment, key: sorted(experiment[key], key=lambda one: rank(one["status"]))}
        for experiment in experiments
    ]
    return sorted(ordered, key=lambda one: rank(one[key][0]["status"]) if one[key] else len(STATUSES))


def rank(status: str) -> int:
    """0 for the worst status, more for a better one."""
    return STATUSES.index(status)
