"""Verdicts and theorem checks as tables for the terminal, from documents (see `simlab.report.rows`)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from simlab.cli.tables import columns
from simlab.report.rows import number, verdict_row

WIDTH = 120
"""Of lines of prose under a row."""


def verdict_table(verdicts: Sequence[Mapping]) -> str:
    """Verdicts, as documents, a line each."""
    return columns([verdict_row(verdict) for verdict in verdicts])


def check_table(checks: Sequence[Mapping]) -> str:
    """Theorem checks, as documents: a line of numbers each, under it the statement and what they are."""
    heading, *lines = columns(
        [
            {
                "verdict": str(check["status"]),
                "check": check["name"],
                "left": number(check["left_value"]),
                "right": number(check["right_value"]),
                "difference": number(check["difference"], 2),
                "tolerance": number(check["tolerance"], 2),
            }
            for check in checks
        ]
    ).splitlines()
    indent = " " * heading.index("check")
    told = [heading]
    for line, check in zip(lines, checks, strict=True):
        numbers = f"left: {check['left']}; right: {check['right']}; {check['scope']}"
        told.append(line)
        for text in (check["statement"], numbers):
            told += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(told)
