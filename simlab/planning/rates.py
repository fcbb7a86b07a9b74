"""Acceptance by position as serving engines log it: a CSV, every row of it checked."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.errors import SimlabError

COLUMNS = (("position", "drafted", "accepted"), ("position", "acceptance"), ("position", "conditional"))
LARGEST = 2**62
KNOWN = " or ".join(",".join(names) for names in COLUMNS)


@dataclass(frozen=True, eq=False)
class Rates:
    """Acceptance by place in the window, 1..K.

    rates: floats (K,), entry i - 1: of the calls that drafted a token at place i, the part in which it was
    accepted, the tokens before it included. drafted, accepted: the counts behind them, int64 (K,), or None.
    """

    rates: np.ndarray
    drafted: np.ndarray | None = None
    accepted: np.ndarray | None = None


def read_rates(path: str | Path) -> Rates:
    """The rates in a CSV whose header says which of three forms it has.

    position,drafted,accepted: how many calls drafted a token at this position, counted from 1, and in how
    many of them it was accepted; neither can rise from one position to the next, as a token is drafted and
    accepted behind those before it only. position,acceptance: accepted/drafted, which cannot rise either.
    position,conditional: of the calls that accepted all tokens before it, the part that accepted this one.
    The columns in any order. Raises SimlabError, naming the line, for a row that is missing or cannot be,
    and for a file that is none.
    """
    path = Path(path)
    rows = _rows(path)
    header = _header(path, rows)
    lines = [line for line, _ in rows[1:]]
    table = [_row(path, line, header, cells) for line, cells in rows[1:]]
    if not table:
        raise SimlabError(f"{path}: there are no rows below the header: give one a position")
    _check_positions(path, lines, [row["position"] for row in table])
    if "drafted" in header:
        return _counted(path, lines, table)
    if "conditional" in header:
        return Rates(np.cumprod([row["conditional"] for row in table]))
    rates = np.array([row["acceptance"] for row in table])
    _check_falling(
        path, lines, "acceptance", rates, "an unconditional rate falls, name it conditional if not"
    )
    return Rates(rates)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Each row that is not blank with the number of its line."""
    if not path.exists():
        raise SimlabError(f"rates: no file {path}")
    if not path.is_file():
        raise SimlabError(f"rates: {path} is no regular file: give a CSV")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except UnicodeDecodeError as error:
        raise SimlabError(f"{path} is no text in UTF-8: give a CSV") from error
    except csv.Error as error:
        raise SimlabError(f"{path}, line {reader.line_num}: {error}: give a CSV") from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise SimlabError(f"{path} is empty: give a CSV with one of the headers {KNOWN}")
    return rows


def _header(path: Path, rows: list[tuple[int, list[str]]]) -> list[str]:
    line, header = rows[0]
    known = {name for names in COLUMNS for name in names}
    where = f"{path}, line {line}"
    unknown = [name for name in header if name not in known]
    if unknown:
        raise SimlabError(
            f"{where}: no column {', '.join(map(repr, unknown))}: give one of the headers {KNOWN}"
        )
    if len(set(header)) < len(header):
        raise SimlabError(f"{where}: a column is named twice: give one of the headers {KNOWN}")
    if not any(sorted(header) == sorted(names) for names in COLUMNS):
        raise SimlabError(
            f"{where}: the columns {','.join(header)} are none of {KNOWN}: give one of these headers"
        )
    return header


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, float]:
    if len(cells) != len(header):
        raise SimlabError(f"{path}, line {line}: {len(cells)} cells, the header has {len(header)}")
    return {
        name: _cell(f"{path}, line {line}: {name}", name, text)
        for name, text in zip(header, cells, strict=True)
    }


def _cell(told: str, name: str, text: str) -> float:
    if not text:
        raise SimlabError(f"{told} is missing")
    rate = name in ("acceptance", "conditional")
    try:
        value = float(text) if rate else whole_number(text)
    except (ValueError, OverflowError) as error:
        raise SimlabError(f"{told} = {text!r}: give a {'number' if rate else 'whole number'}") from error
    if rate and not 0 <= value <= 1:  # nan too
        raise SimlabError(f"{told} = {text}: give a rate in [0, 1]")
    if not rate and not 0 <= value < LARGEST:
        raise SimlabError(f"{told} = {text}: give a whole number of at least 0, below 2^62")
    return value


def whole_number(text: str) -> int:
    """12, and 12.0 or 1e3 as well: tables with a gap write all counts so."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise
        return int(value)


def _check_positions(path: Path, lines: list[int], positions: list[int]) -> None:
    for expected, (line, position) in enumerate(zip(lines, positions, strict=True), start=1):
        if position == expected:
            continue
        if position < 1:
            raise SimlabError(f"{path}, line {line}: position {position}: positions count from 1")
        wrong = (
            "is there twice" if position in positions[: expected - 1] else f"comes where {expected} should"
        )
        raise SimlabError(f"{path}, line {line}: position {position} {wrong}: give 1, 2, 3, .. in this order")


def _check_falling(path: Path, lines: list[int], name: str, values: np.ndarray, why: str) -> None:
    for at in range(1, len(values)):
        if values[at] > values[at - 1]:
            raise SimlabError(
                f"{path}, line {lines[at]}: {name} rises from {values[at - 1]:g} to {values[at]:g}: {why}"
            )


def _counted(path: Path, lines: list[int], table: list[dict]) -> Rates:
    drafted, accepted = (np.array([row[name] for row in table], np.int64) for name in ("drafted", "accepted"))
    for line, tried, kept in zip(lines, drafted.tolist(), accepted.tolist(), strict=True):
        if kept > tried:
            raise SimlabError(
                f"{path}, line {line}: accepted = {kept} of drafted = {tried}: give at most that"
            )
        if not tried:
            raise SimlabError(f"{path}, line {line}: drafted = 0: leave positions out that no call reached")
    behind = "a token is {} behind those before it only"
    _check_falling(path, lines, "drafted", drafted, behind.format("drafted"))
    _check_falling(path, lines, "accepted", accepted, behind.format("accepted"))
    rates = accepted / drafted
    _check_falling(
        path, lines, "accepted/drafted", rates,
        "calls that drafted further are others than those that did not; measure with one window",
    )  # fmt: skip
    return Rates(rates, drafted, accepted)
