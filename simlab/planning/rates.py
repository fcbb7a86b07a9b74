"""Acceptance by position in the window as engines log it: a CSV, a list or a table, every row checked."""

from __future__ import annotations

import csv
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.checks import integer_from_text
from simlab.errors import SimlabError

COLUMNS = (("position", "drafted", "accepted"), ("position", "acceptance"), ("position", "conditional"))
LARGEST = 2**62
KNOWN = " or ".join(",".join(names) for names in COLUMNS)
EXPECTED = "expected the path of a CSV, or rates by position, e.g. rates=[0.8,0.6,0.5]"


@dataclass(frozen=True, eq=False)
class Rates:
    """Acceptance by position in the window, 1..K.

    rates: floats (K,), entry i - 1: of the calls that drafted a token at position i, the part in which it was
    accepted, the tokens before it included. drafted, accepted: the counts behind them, int64 (K,), or None;
    low, high: the least and the most that accepted can be, where it comes from rounded rates.
    """

    rates: np.ndarray
    drafted: np.ndarray | None = None
    accepted: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class _Row:
    """A row as text, with what a message calls it."""

    where: str
    cells: list[str]


def read_rates(path: str | Path) -> Rates:
    """The rates in a CSV whose header says which of three forms it has.

    position,drafted,accepted: how many calls drafted a token at this position, counted from 1, and in how
    many of them it was accepted; neither can rise from one position to the next, as a token is drafted
    and accepted behind those before it only. Their ratio can, where an engine stops drafting early.
    position,acceptance: accepted/drafted, which cannot rise either. position,conditional: of the calls
    that accepted all tokens before it, the part that accepted this one. The columns in any order. Raises
    SimlabError, naming the line, for a row that is missing or cannot be, and for any other file.
    """
    path = Path(path)
    header, *rows = _lines(path)
    if not any(sorted(header.cells) == sorted(names) for names in COLUMNS):
        raise SimlabError(f"{header.where}: {_of_header(header.cells)}; expected one of the headers {KNOWN}")
    if not rows:
        raise SimlabError(f"{path}: there are no rows below the header: give one a position")
    return _rates(header.cells, rows)


def rates_from(given) -> Rates:
    """The rates in a list or an array (K,) of them, or in a table: a mapping or a DataFrame of columns.

    A list holds what the column `acceptance` does; columns are those of `read_rates`, where `position` may
    be left out. Raises SimlabError, naming the position, as `read_rates` does.
    """
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        names = list(given) if isinstance(given, Mapping) else list(given.columns)
        columns = {str(name): _texts(given[name]) for name in names}
    else:
        columns = {"acceptance": _texts(given)}
    header = list(columns)
    if not any(sorted({"position", *header}) == sorted(names) for names in COLUMNS):
        known = " or ".join(",".join(names[1:]) for names in COLUMNS)
        raise SimlabError(f"rates: {_of_header(header)}; expected the columns {known}")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise SimlabError("rates: give one number for each position, at least one, in every column")
    columns = {"position": [str(at + 1) for at in range(lengths.pop())], **columns}
    cells = zip(*columns.values(), strict=True)
    rows = [_Row(f"rates, position {at}", list(row)) for at, row in enumerate(cells, start=1)]
    return _rates(list(columns), rows)


def _texts(column) -> list[str]:
    """A column of numbers, each as it is written."""
    values = column.tolist() if hasattr(column, "tolist") else column
    try:
        values = list(values) if not isinstance(values, str | bytes) else None
    except TypeError:
        values = None
    if values is None or any(np.ndim(value) or isinstance(value, str) for value in values):
        raise SimlabError(f"rates = {reprlib.repr(column)}: {EXPECTED}")
    return [str(value) for value in values]


def _lines(path: Path) -> list[_Row]:
    """Each line of a CSV that is not blank, the header first."""
    if not path.exists():
        raise SimlabError(f"rates: no file {path}; {EXPECTED}")
    if not path.is_file():
        raise SimlabError(f"rates: {path} is not a regular file; expected a CSV")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except UnicodeDecodeError as error:
        raise SimlabError(f"{path} is not a text in UTF-8; expected a CSV") from error
    except csv.Error as error:
        raise SimlabError(f"{path}, line {reader.line_num}: {error}: give a CSV") from error
    rows = [_Row(f"{path}, line {line}", cells) for line, cells in rows if any(cells)]
    if not rows:
        raise SimlabError(f"{path} is empty: give a CSV with one of the headers {KNOWN}")
    return rows


def _of_header(header: list[str]) -> str:
    """What is wrong with a header that is not known."""
    known = {name for names in COLUMNS for name in names}
    if unknown := [name for name in header if name not in known]:
        return f"no column {', '.join(map(repr, unknown))}"
    if len(set(header)) < len(header):
        return "a column is named twice"
    return f"the columns {','.join(header)} are none of those known"


def _rates(header: list[str], rows: list[_Row]) -> Rates:
    table = [_numbers(header, row) for row in rows]
    _check_positions(rows, [numbers["position"] for numbers in table])
    if "drafted" in header:
        return _counted(rows, table)
    if "conditional" in header:
        return Rates(np.cumprod([numbers["conditional"] for numbers in table]))
    rates = np.array([numbers["acceptance"] for numbers in table])
    why = "the rate of all calls falls; name it conditional if it is of those that accepted all tokens before"
    _check_falling(rows, "acceptance", rates, why)
    return Rates(rates)


def _numbers(header: list[str], row: _Row) -> dict[str, float]:
    if len(row.cells) != len(header):
        raise SimlabError(f"{row.where}: {len(row.cells)} cells, the header has {len(header)}")
    named = zip(header, row.cells, strict=True)
    return {name: _number(f"{row.where}: {name}", name, text) for name, text in named}


def _number(called: str, name: str, text: str) -> float:
    if not text:
        raise SimlabError(f"{called} is missing")
    rate = name in ("acceptance", "conditional")
    try:
        value = float(text) if rate else integer_from_text(text)
    except (ValueError, OverflowError) as error:
        raise SimlabError(
            f"{called} = {text!r} is not valid; expected a {'number' if rate else 'whole number'}"
        ) from error
    if rate and not 0 <= value <= 1:  # nan too
        raise SimlabError(f"{called} = {text} is not valid; expected a rate in [0, 1]")
    if not rate and not 0 <= value < LARGEST:
        raise SimlabError(
            f"{called} = {text} is not valid; expected a whole number of at least 0, below 2^62"
        )
    return value


def _check_positions(rows: list[_Row], positions: list[int]) -> None:
    for expected, (row, position) in enumerate(zip(rows, positions, strict=True), start=1):
        if position == expected:
            continue
        if position < 1:
            raise SimlabError(f"{row.where}: position {position}: positions count from 1")
        wrong = (
            "is there twice" if position in positions[: expected - 1] else f"comes where {expected} should"
        )
        raise SimlabError(f"{row.where}: position {position} {wrong}: give 1, 2, 3, .. in this order")


def _check_falling(rows: list[_Row], name: str, values: np.ndarray, why: str) -> None:
    for at in range(1, len(values)):
        if values[at] > values[at - 1]:
            raise SimlabError(
                f"{rows[at].where}: {name} rises from {values[at - 1]:g} to {values[at]:g}: {why}"
            )


def _counted(rows: list[_Row], table: list[dict]) -> Rates:
    drafted, accepted = (np.array([row[name] for row in table], np.int64) for name in ("drafted", "accepted"))
    for row, tried, kept in zip(rows, drafted.tolist(), accepted.tolist(), strict=True):
        if kept > tried:
            raise SimlabError(
                f"{row.where}: accepted = {kept} of drafted = {tried} is not valid; "
                "expected at most that many"
            )
        if not tried:
            raise SimlabError(f"{row.where}: drafted = 0: leave positions out that no call reached")
    behind = "a token is {} behind those before it only"
    _check_falling(rows, "drafted", drafted, behind.format("drafted"))
    _check_falling(rows, "accepted", accepted, behind.format("accepted"))
    return Rates(accepted / drafted, drafted, accepted)
