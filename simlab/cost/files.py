"""Tables of the time of a forward, read from files: one's own, or what llama.cpp's benchmarks print.

Each format becomes records, rows with named cells; which columns they have says what they are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from simlab.checks import integer_from_text
from simlab.cost.table import TimeTable, as_time, from_relative
from simlab.errors import SimlabError

EXPECTED = (
    "expected a CSV with the columns tokens,time or tokens,relative, or the output of llama-bench or "
    "llama-batched-bench as md, csv, json or jsonl"
)
MILLISECONDS = 1000.0
"""What llama.cpp's benchmarks measured in seconds, or as tokens a second, is read in milliseconds."""


def read_times(path: str | Path, name: str = "table") -> TimeTable:
    """The table in a file, of the format that its columns tell; `name` is what messages call it.

    - tokens,time: the time of a forward over so many tokens, in the unit of the file, in rising order.
    - tokens,relative: the time per token of a batch of so many tokens, relative to one token alone: the table
      then is in units of a forward over one token.
    - llama-bench (pp N is a forward over N tokens, tg over 1, and is taken where both say 1) and
      llama-batched-bench (a step of text generation of B sequences is a forward over B tokens), as md, csv,
      json or jsonl: in milliseconds, rows in any order.
    - JSON: [t1, t2, ..] or {tokens: time}.

    Raises SimlabError, naming the file, for what is not such a file, rows that cannot be, two times for one
    number of tokens, and tables that `TimeTable` refuses.
    """
    path = Path(path).expanduser()
    where = f"{name}: {path}"
    text = _text(path, name)
    records = _records(text, where)
    if isinstance(records, TimeTable):
        return records
    reader = next((read for columns, read in READERS if columns <= records[0].keys()), None)
    if reader is None:
        raise SimlabError(f"{where} has the columns {', '.join(records[0])[:80]}; {EXPECTED}")
    return reader(records, where)


def _text(path: Path, name: str) -> str:
    if not path.exists():
        raise SimlabError(
            f"{name} = {str(path)!r} is not valid; "
            "expected a finite number > 0, a table, or a file that exists"
        )
    if not path.is_file():
        raise SimlabError(f"{name}: {path} is not a regular file; {EXPECTED}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise SimlabError(f"{name}: {path} is not a text in UTF-8 that can be read; {EXPECTED}") from error
    if not text.strip():
        raise SimlabError(f"{name}: {path} is empty; {EXPECTED}")
    return text


def _records(text: str, where: str) -> list[dict[str, str]] | TimeTable:
    """Rows by column, names in lower case; or a table, where JSON holds one as it is."""
    lines = text.strip().splitlines()
    if text.lstrip()[0] in "[{":
        return _from_json(text, lines, where)
    piped = [line for line in lines if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("| \t").split("|")] for line in piped]
    rows = [row for row in rows if any(cell.strip(":-") for cell in row)]
    if not rows:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        rows = [row for row in rows if any(row)]
    header = [cell.lower() for cell in rows[0]]
    wrong = next((row for row in rows if len(row) != len(header)), None)
    if wrong is not None:
        raise SimlabError(
            f"{where}: the row {','.join(wrong)[:60]!r} has {len(wrong)} cells, the first has {len(header)}"
        )
    if len(rows) < 2:
        raise SimlabError(f"{where}: there are no rows below the header; {EXPECTED}")
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def _from_json(text: str, lines: list[str], where: str) -> list[dict[str, str]] | TimeTable:
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = [json.loads(line) for line in lines if line.lstrip().startswith("{")]
        except ValueError as error:
            raise SimlabError(f"{where} is not JSON that can be read; {EXPECTED}") from error
    if isinstance(found, Mapping) and all(re.fullmatch(r"\d+", key) for key in found):
        return as_time(where, {int(key): time for key, time in found.items()})
    if isinstance(found, Mapping):
        found = [found]
    if not found or not all(isinstance(row, Mapping) for row in found):
        return as_time(where, found)
    return [{key.lower(): str(cell) for key, cell in row.items()} for row in found]


def _own(records: list[dict], where: str) -> TimeTable:
    tokens = [_whole(row, "tokens", where) for row in records]
    return as_time(where, _once(tokens, [_number(row, "time", where) for row in records], where))


def _relative(records: list[dict], where: str) -> TimeTable:
    tokens = [_whole(row, "tokens", where) for row in records]
    return from_relative(where, tokens, [_number(row, "relative", where) for row in records])


def _bench(records: list[dict], where: str) -> TimeTable:
    """llama-bench as csv, json or jsonl."""
    prompt, generated = [], []
    for row in records:
        read, made = _whole(row, "n_prompt", where), _whole(row, "n_gen", where)
        if bool(read) == bool(made):
            continue  # pp + tg in one test: not one forward
        time = MILLISECONDS * 1e-9 * _number(row, "avg_ns", where)
        (prompt if read else generated).append((read, time) if read else (1, time / made))
    return _joined(prompt, generated, where)


def _bench_table(records: list[dict], where: str) -> TimeTable:
    """llama-bench as md: pp512 or tg128, at a depth or not, and tokens a second with their deviation."""
    prompt, generated = [], []
    for row in records:
        test = re.fullmatch(r"(pp|tg) ?(\d+)( @ d\d+)?", row["test"])
        if not test:
            continue
        rate = _number({"t/s": re.split("±|\\+/-", row["t/s"])[0]}, "t/s", where)
        if rate <= 0:
            raise SimlabError(f"{where}: t/s = {rate:g} of {row['test']} is not valid; expected a rate > 0")
        tokens = int(test[2]) if test[1] == "pp" else 1
        (prompt if test[1] == "pp" else generated).append((tokens, MILLISECONDS * tokens / rate))
    return _joined(prompt, generated, where)


def _batched(columns: tuple[str, str]) -> Callable:
    """llama-batched-bench; columns: how it calls the sequences and the seconds of generation."""
    width, seconds = columns

    def read(records: list[dict], where: str) -> TimeTable:
        steps = [_whole(row, "tg", where) for row in records]
        if 0 in steps:
            raise SimlabError(f"{where}: TG = 0: no text generation was measured: run it with -ntg 32")
        rows = [
            (_whole(row, width, where), MILLISECONDS * _number(row, seconds, where) / step)
            for row, step in zip(records, steps, strict=True)
        ]
        return _joined(rows, [], where)

    return read


def _joined(prompt: list, generated: list, where: str) -> TimeTable:
    """Rows in rising order; where both measured one token, as text generation did."""
    if generated:
        prompt = [row for row in prompt if row[0] != 1] + generated
    if not prompt:
        raise SimlabError(f"{where}: no row has the time of one forward; {EXPECTED}")
    rows = sorted(prompt)
    return as_time(where, _once([row[0] for row in rows], [row[1] for row in rows], where))


def _once(tokens: list[int], times: list[float], where: str) -> dict[int, float]:
    table: dict[int, float] = {}
    for count, time in zip(tokens, times, strict=True):
        if count in table:
            raise SimlabError(
                f"{where}: two times for {count} token{'s' * (count != 1)}, {table[count]:g} and {time:g}: "
                "give the rows of one model at one context length"
            )
        table[count] = time
    return table


def _whole(row: Mapping[str, str], column: str, where: str) -> int:
    try:
        return integer_from_text(row[column])
    except (KeyError, ValueError, OverflowError) as error:
        raise SimlabError(
            f"{where}: {column} = {row.get(column)!r} is not valid; expected a whole number"
        ) from error


def _number(row: Mapping[str, str], column: str, where: str) -> float:
    try:
        return float(row[column])
    except (KeyError, ValueError) as error:
        raise SimlabError(
            f"{where}: {column} = {row.get(column)!r} is not valid; expected a number"
        ) from error


READERS = (
    ({"tokens", "time"}, _own),
    ({"tokens", "relative"}, _relative),
    ({"n_prompt", "n_gen", "avg_ns"}, _bench),
    ({"test", "t/s"}, _bench_table),
    ({"b", "tg", "t_tg s"}, _batched(("b", "t_tg s"))),
    ({"pl", "tg", "t_tg"}, _batched(("pl", "t_tg"))),
)
"""By the columns that tell a format, what reads it."""
