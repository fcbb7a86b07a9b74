"""A table of a study as the page shows it: from CSV text to cells that can be read and sorted."""

from __future__ import annotations

import csv
import functools
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 2000
"""Rows that a page shows; the CSV has them all."""

LINE = 40
"""Characters of a cell that stand in one line."""

TASK = 8
"""Characters of a task's id that tell it from others."""

SPREAD = 100
"""Numbers whose sizes differ less than so many times can be shown with the same decimals."""

_WHOLE = re.compile(r"[+-]?\d+")
_TASK = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Cell:
    """text: as shown; full: as in the file, where that is more; sort: the number to sort by, "" for none."""

    text: str
    full: str
    sort: str


@dataclass(frozen=True)
class DataTable:
    """A table to show.

    shared: (column, value) of the columns in which all rows agree. columns: (name, kind) of the others, the
    kind being "number", "name" or "text", which may need several lines. rows: their cells. left_out: rows
    beyond those shown.
    """

    shared: list[tuple[str, str]]
    columns: list[tuple[str, str]]
    rows: list[list[Cell]]
    left_out: int


@functools.lru_cache(maxsize=256)  # a page asks for each table when it is read and when it is shown
def data_table(text: str) -> DataTable:
    """The table in a CSV text with one line of headings. Short lines count as filled up with empty cells."""
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    names, *values = lines or [[]]
    values = [line[: len(names)] + [""] * (len(names) - len(line)) for line in values]
    cells = list(zip(*values, strict=True)) or [()] * len(names)
    varies = [len(values) < 2 or len(set(column)) > 1 for column in cells]
    numeric = [_is_numeric(column) for column in cells]
    decimals = [_decimals(cells[i]) if numeric[i] else None for i in range(len(names))]
    kept = [i for i, varying in enumerate(varies) if varying]
    return DataTable(
        shared=[
            (names[i], _shown(cells[i][0], numeric[i]))
            for i in range(len(names))
            if not varies[i] and cells[i][0]
        ],
        columns=[(names[i], "number" if numeric[i] else _kind(cells[i])) for i in kept],
        rows=[[_cell(line[i], numeric[i], decimals[i]) for i in kept] for line in values[:SHOWN]],
        left_out=max(len(values) - SHOWN, 0),
    )


def _is_numeric(column: Sequence[str]) -> bool:
    """Whether a column holds numbers: at least one, and nothing else but empty cells."""
    return any(column) and all(not value or _number(value) is not None for value in column)


def _kind(column: Sequence[str]) -> str:
    longest = max((len(value) for value in column if not _TASK.fullmatch(value)), default=0)
    return "text" if longest > LINE else "name"


def _number(value: str) -> float | None:
    if _TASK.fullmatch(value):  # some are all digits, or digits and an e
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _decimals(column: Sequence[str]) -> int | None:
    """Decimals that all numbers of a column can be shown with, so that their points stand below each other:
    as many as any needs, and six digits for the largest. None for whole numbers and for those of very
    different sizes, which have six digits each.
    """
    numbers = [_number(value) for value in column if value]
    if any(_WHOLE.fullmatch(value) for value in column) or not all(map(math.isfinite, numbers)):
        return None
    texts = [f"{number:.6g}" for number in numbers]
    sizes = [abs(number) for number in numbers if number]
    if not sizes or max(sizes) >= SPREAD * min(sizes) or any("e" in text for text in texts):
        return None
    needed = max(len(text.partition(".")[2]) for text in texts)
    return min(needed, max(5 - math.floor(math.log10(max(sizes))), 0))


def _cell(value: str, numeric: bool, decimals: int | None) -> Cell:
    text = _shown(value, numeric) if decimals is None or not value else f"{_number(value):.{decimals}f}"
    sort = ""
    if numeric and value and not math.isnan(_number(value)):
        sort = repr(_number(value)).replace("inf", "Infinity")
    return Cell(text, value if text != value else "", sort)


def _shown(value: str, numeric: bool) -> str:
    """A cell as the page shows it: numbers to six digits, whole ones as they are, task ids cut short."""
    if numeric and value and not _WHOLE.fullmatch(value):
        number = _number(value)
        return f"{number:.6g}"
    return value[:TASK] if _TASK.fullmatch(value) else value
