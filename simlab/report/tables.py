"""Tables on disk, for analysis: the same rows as CSV and as Parquet."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from simlab.report.save import to_csv, write_whole

if TYPE_CHECKING:
    import pandas


def save_table(folder: str | os.PathLike, name: str, table: pandas.DataFrame) -> list[Path]:
    """Write `name`.csv and `name`.parquet into `folder`; returns the two paths.

    Floats in the CSV read back exactly. A column with text in some cells is text in Parquet, where a column
    has one type. Each file appears whole or not at all. Raises SimlabError where one cannot be written.
    """
    folder = Path(folder)
    buffer = io.BytesIO()
    table.apply(_one_type).to_parquet(buffer, index=False)
    contents = {
        folder / f"{name}.csv": to_csv(table),
        folder / f"{name}.parquet": buffer.getvalue(),
    }
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def _one_type(column: pandas.Series) -> pandas.Series:
    """The column, as text where it has text beside numbers: drafts of 4 and of [4,2,1], of two decoders."""
    kinds = {isinstance(value, str) for value in column.dropna()}
    return column.map(str, na_action="ignore") if kinds == {True, False} else column
