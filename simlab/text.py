"""Plain text for the terminal that more than one room prints."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[dict[str, str]]) -> str:
    """Rows with the same keys as aligned columns under a heading."""
    keys = list(rows[0])
    lines = [keys, *([row[key] for key in keys] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(keys))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
