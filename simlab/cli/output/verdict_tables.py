"""Verdicts and theorem checks as tables for the terminal, from documents (see `simlab.report.rows`)."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from simlab.report.rows import claim, number, verdict_row
from simlab.text import columns

PROSE = 120
"""The longest line of prose under a row."""


def verdict_table(verdicts: Sequence[Mapping], title: str) -> str:
    """Verdicts, as documents, under the heading `title`: a line each, or two where the terminal is narrow."""
    rows = [verdict_row(verdict, title) for verdict in verdicts]
    table = columns(rows)
    width = _terminal_width()
    if width is None or max(map(len, table.splitlines())) <= width:
        return table
    numbers = [{key: value for key, value in row.items() if key not in ("claim", "of")} for row in rows]
    heading, *lines = columns(numbers).splitlines()
    told = [f"{row['claim']} ({row['of']})" for row in rows]
    return "\n".join(
        [heading, *(f"{line}\n{_prose(text, 9)}" for line, text in zip(lines, told, strict=True))]
    )


def _terminal_width() -> int | None:
    """None for what is not a terminal, and takes a line each, for grep and the like."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _prose(text: str, indent: int) -> str:
    width = min(PROSE, max(_terminal_width() or PROSE, 40))
    space = " " * indent
    return "\n".join(textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space))


def check_table(checks: Sequence[Mapping], title: str) -> str:
    """Theorem checks, as documents, under the heading `title`: a line of numbers each, under it what is
    stated and what the numbers are.
    """
    heading, *lines = columns(
        [
            {
                "verdict": str(check["status"]),
                "check": claim(check["name"], title),
                "left": number(check["left_value"]),
                "right": number(check["right_value"]),
                "difference": number(check["difference"], 2),
                "tolerance": number(check["tolerance"], 2),
            }
            for check in checks
        ]
    ).splitlines()
    indent = heading.index("check")
    told = [heading]
    for line, check in zip(lines, checks, strict=True):
        numbers = f"left: {check['left']}; right: {check['right']}; {check['scope']}"
        told.append(line)
        told += [_prose(text, indent) for text in (check["statement"], numbers)]
    return "\n".join(told)
