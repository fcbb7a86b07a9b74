"""Traces in files: Parquet, CSV and JSON lines, each with the provenance inside.

All three hold the same head, a JSON object {"simlab_trace": 1, "rows": .., "provenance": {..}}: Parquet in
its metadata under the key simlab_trace, CSV as a comment before the header ("# " and the object), JSON lines
as the first line. A file made by other means may leave it out. `rows` tells a torn file from a whole one.
Numbers are written with all their digits.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from simlab.checks import check_path, shortened
from simlab.errors import SimlabError
from simlab.traces.columns import REQUIRED, column_of
from simlab.traces.trace import Trace

FORMAT = 1
KEY = "simlab_trace"
ENDINGS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
CHUNK = 1 << 16
TIGHT, TIGHT_ROWS = 22, 100_000
"""zstd's level for traces of up to so many rows, a few seconds' work at most; longer ones have its own."""


def write(trace: Trace, path) -> None:
    """As `Trace.write` says."""
    path, ending = _path(path)
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _opened_to_write(part, ending) as file:
            writers[ending.removesuffix(".gz")](trace, file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path) -> Trace:
    """As `Trace.read` says."""
    import pyarrow

    path, ending = _path(path)
    if not path.exists():
        raise SimlabError(f"no file {path}: give the path of a trace")
    if not path.is_file():
        raise SimlabError(f"{path} is not a regular file; expected a trace")
    try:
        head, rows, columns = _loaded(path, ending)
    except (pyarrow.ArrowException, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SimlabError(f"{path} cannot be read as a trace: {' '.join(str(error).split())}") from error
    try:
        _check_complete(head, rows, columns)
        return Trace(**columns, provenance=head.get("provenance"))
    except SimlabError as error:
        raise SimlabError(f"{path}: {error}") from error


def _loaded(path: Path, ending: str) -> tuple[dict, int, dict]:
    """The head, the number of rows and the columns of a file. The table ends here: it takes as much again."""
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_jsonl}
    with _opened_to_read(path, ending) as file:
        head, table = readers[ending.removesuffix(".gz")](file)
    names = table.column_names
    if len(set(names)) < len(names):
        raise ValueError(f"column {max(names, key=names.count)} is there twice")
    return head, table.num_rows, {name: table.column(name).to_numpy() for name in names}


def _path(path) -> tuple[Path, str]:
    path = Path(check_path("path", path)).expanduser()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return path, ending
    raise SimlabError(f"{path}: the ending of a trace's file is one of {', '.join(ENDINGS)}")


@contextmanager
def _opened_to_write(path: Path, ending: str) -> Iterator[io.BufferedIOBase]:
    with open(path, "wb") as file:
        if ending.endswith(".gz"):
            # No name and no time of writing inside: the same trace has the same bytes.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield packed
        else:
            yield file


@contextmanager
def _opened_to_read(path: Path, ending: str) -> Iterator[io.BufferedIOBase]:
    with gzip.open(path) if ending.endswith(".gz") else open(path, "rb") as file:
        yield file


def _head(trace: Trace) -> str:
    head = {KEY: FORMAT, "rows": len(trace), "provenance": dict(trace.provenance)}
    return json.dumps(head, ensure_ascii=False)


def _checked_head(text: str | bytes) -> dict:
    try:
        head = json.loads(text)
    except ValueError as error:
        raise ValueError(f"its head is not JSON ({error})") from error
    if not isinstance(head, dict) or head.get(KEY) != FORMAT:
        raise ValueError(f"its head is not that of a trace of format {FORMAT}: {shortened(head)}")
    return head


def _table(trace: Trace):
    import pyarrow

    def of(name: str):
        column = column_of(name)
        if not column.is_text:
            return pyarrow.array(trace.column(name))
        values, codes = {}, []
        for value in trace.by_sequence(name):
            codes.append(values.setdefault(value, len(values)))
        indices = pyarrow.array(np.repeat(np.array(codes, np.int32), trace.lengths))
        return pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(list(values), pyarrow.string()))

    return pyarrow.table({name: of(name) for name in trace.names})


def _write_parquet(trace: Trace, file) -> None:
    import pyarrow.parquet

    table = _table(trace)
    floats = [name for name in trace.names if column_of(name).dtype == "float64"]
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({KEY: _head(trace)}),
        file,
        compression="zstd",
        compression_level=TIGHT if len(trace) <= TIGHT_ROWS else None,
        use_dictionary=[name for name in trace.names if name not in floats],
        use_byte_stream_split=floats,
    )


def _read_parquet(file):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(file)
    metadata = table.schema.metadata or {}
    return _checked_head(metadata[KEY.encode()]) if KEY.encode() in metadata else {}, table


def _write_csv(trace: Trace, file) -> None:
    import pyarrow.csv

    file.write(f"# {_head(trace)}\n".encode())
    table = _table(trace)
    for start in range(0, len(trace), CHUNK):
        options = pyarrow.csv.WriteOptions(include_header=start == 0)
        pyarrow.csv.write_csv(_plain(table.slice(start, CHUNK)), file, options)


def _plain(table):
    """The table with text in place of its dictionaries."""
    import pyarrow

    fields = [
        pyarrow.field(field.name, pyarrow.string())
        if pyarrow.types.is_dictionary(field.type)
        else pyarrow.field(field.name, field.type)
        for field in table.schema
    ]
    return table.cast(pyarrow.schema(fields))


def _read_csv(file):
    import pyarrow.csv

    first = file.readline()
    head = _checked_head(first.removeprefix(b"#").decode()) if first.startswith(b"#") else {}
    header = file.readline() if head else first
    names = header.decode("utf-8-sig").strip().replace('"', "").split(",")
    table = pyarrow.csv.read_csv(
        file,
        pyarrow.csv.ReadOptions(column_names=[name.strip() for name in names]),
        pyarrow.csv.ParseOptions(newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types={field.name: field.type for field in _schema(names)},
            null_values=["", "nan", "NaN", "NULL", "null", "NA"],
        ),
    )
    return head, table


def _schema(names):
    """The types of these columns in text files. Raises SimlabError for one that is not known."""
    import pyarrow

    types = {"int64": pyarrow.int64(), "int32": pyarrow.int64(), "float64": pyarrow.float64()}
    types["text"] = pyarrow.string()
    return pyarrow.schema([(name, types[column_of(name).dtype]) for name in map(str.strip, names)])


def _write_jsonl(trace: Trace, file) -> None:
    file.write(f"{_head(trace)}\n".encode())
    names = trace.names
    columns = [trace.column(name) for name in names]
    for start in range(0, len(trace), CHUNK):
        cells = zip(*(column[start : start + CHUNK].tolist() for column in columns), strict=True)
        lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in cells)
        file.write("".join(f"{line}\n" for line in lines).encode())


def _read_jsonl(file):
    import pyarrow.json

    first, head = file.readline(), {}
    if first.lstrip().startswith(f'{{"{KEY}"'.encode()):
        head, first = _checked_head(first), file.readline()
    row = json.loads(first)
    if not isinstance(row, dict):
        raise ValueError("its first row is not a JSON object")
    rest = io.BytesIO(first + file.read())
    schema = _schema(row)
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    return head, pyarrow.json.read_json(rest, parse_options=options)


def _check_complete(head: dict, rows: int, columns: dict) -> None:
    """SimlabError for missing columns, and for other than the rows announced."""
    if missing := [name for name in REQUIRED if name not in columns]:
        raise SimlabError(f"no column {missing[0]}; a trace has at least {', '.join(REQUIRED)}")
    announced = head.get("rows", rows)
    if announced != rows:
        raise SimlabError(f"the file is torn: it has {rows} rows, its head says {announced}")
