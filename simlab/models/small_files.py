"""Small Parquet files with their provenance inside, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_small(path: Path, arrays: dict, provenance: dict) -> None:
    """Write arrays of pyarrow by column. Text and small numbers have dictionaries, real numbers are split.

    Numbers that differ from row to row are the smaller without a dictionary.
    """
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(arrays).replace_schema_metadata({"simlab": json.dumps(provenance)})
    values = {
        f"{field.name}.list.element" if pyarrow.types.is_list(field.type) else field.name: (
            field.type.value_type if pyarrow.types.is_list(field.type) else field.type
        )
        for field in table.schema
    }
    few = (pyarrow.types.is_string, pyarrow.types.is_int8)
    part = path.with_name(path.name + ".tmp")
    pyarrow.parquet.write_table(
        table,
        part,
        compression="zstd",
        compression_level=22,
        use_dictionary=[name for name, kind in values.items() if any(is_few(kind) for is_few in few)],
        use_byte_stream_split=[name for name, kind in values.items() if pyarrow.types.is_floating(kind)],
    )
    os.replace(part, path)
