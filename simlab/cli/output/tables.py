"""Plain text tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from simlab.text import columns


def text_table(rows: Sequence[dict[str, str]], settings: Sequence[str] = ()) -> str:
    """Rows with the same keys as aligned columns; `settings` that all rows share stand once, above them.

    One row alone reads better as lines of key and value.
    """
    if len(rows) == 1:
        return _lines(rows[0])
    shared = {key: rows[0][key] for key in settings if all(row[key] == rows[0][key] for row in rows)}
    kept = [{key: value for key, value in row.items() if key not in shared} for row in rows]
    return "\n\n".join(filter(None, [_lines(shared), columns(kept)]))


def _lines(row: dict[str, str]) -> str:
    width = max(map(len, row), default=0)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in row.items())
