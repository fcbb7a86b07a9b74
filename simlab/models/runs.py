"""The file of decoders that were run: a row a text and run, read without torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from simlab.checks import check_path, shortened
from simlab.errors import SimlabError

COUNTS = ("sequence", "tokens", "rejections", "target_calls")
LISTS = ("drafted_by_position", "accepted_by_position", "first_tokens", "first_ranks", "rank_cells")


ENDING = ".runs.parquet"


@dataclass(frozen=True)
class Run:
    """One decoder on n independent texts, arrays (n,) or (n, ...), and where they come from.

    name: horizon, windowK, batchM or assistedK. tokens, rejections, target_calls: whole numbers (n,).
    drafted_by_position, accepted_by_position: calls by position in the window (n, K), one column for those
    that draft to the horizon. first_tokens: (n, 2), -1 where the text is shorter. first_ranks: (n, 2), nan
    there: `simlab.models.draws.rank_mass` of the first two tokens, uniform if they follow the target.
    rank_cells: (n, 16), how many tokens of the text have their rank in each sixteenth of [0, 1).
    """

    name: str
    sequence: np.ndarray
    kind: np.ndarray
    tokens: np.ndarray
    rejections: np.ndarray
    target_calls: np.ndarray
    drafted_by_position: np.ndarray
    accepted_by_position: np.ndarray
    first_tokens: np.ndarray
    first_ranks: np.ndarray
    rank_cells: np.ndarray
    provenance: dict[str, Any]


def write_runs(path: Path, columns: dict[str, np.ndarray], provenance: dict) -> None:
    """Write what `run_decoders` counted, as Parquet."""
    import pyarrow
    import pyarrow.parquet

    types = dict.fromkeys(LISTS, pyarrow.list_(pyarrow.int32())) | {
        "first_ranks": pyarrow.list_(pyarrow.float32())
    }
    arrays = {
        name: pyarrow.array([json.loads(value) for value in values], types[name])
        if name in LISTS
        else pyarrow.array(values.astype(np.int32) if name in COUNTS else values.tolist())
        for name, values in columns.items()
    }
    table = pyarrow.table(arrays).replace_schema_metadata({"simlab": json.dumps(provenance)})
    part = path.with_name(path.name + ".tmp")
    pyarrow.parquet.write_table(table, part, compression="zstd", compression_level=19)
    os.replace(part, path)


def read_runs(path) -> dict[str, Run]:
    """The decoders that were run, by name. Raises SimlabError for a file that holds none."""
    import pyarrow
    import pyarrow.parquet

    path = Path(check_path("runs", path)).expanduser()
    try:
        table = pyarrow.parquet.read_table(path)
        provenance = json.loads(table.schema.metadata[b"simlab"])
        columns = {name: table[name].to_pylist() for name in ("run", "kind", *COUNTS, *LISTS)}
    except FileNotFoundError as error:
        raise SimlabError(f"{path}: no such file; give what simlab record run=... wrote") from error
    except (OSError, KeyError, TypeError, ValueError, pyarrow.ArrowException) as error:
        raise SimlabError(
            f"{path} holds no runs ({shortened(str(error), 40)}); give what simlab record run=... wrote"
        ) from error
    names = np.array(columns.pop("run"))
    provenance |= {"file": path.name}
    return {
        str(name): Run(str(name), **_arrays(columns, np.flatnonzero(names == name)), provenance=provenance)
        for name in dict.fromkeys(names.tolist())
    }


def bundled_run_names() -> tuple[str, ...]:
    """The bundled pairs with which decoders were run, by the names that `simlab.traces.bundled` takes."""
    names = [file.name for file in _folder().iterdir()]
    return tuple(sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING)))


def bundled_runs(name: str) -> dict[str, Run]:
    """The decoders that were run with a bundled pair, by their names, as `read_runs` returns them.

    Raises SimlabError, naming those that there are, for a pair that was not run.
    """
    known = bundled_run_names()
    if name not in known:
        raise SimlabError(f"no runs of {shortened(name)} are bundled; known are {', '.join(known)}")
    runs = read_runs(Path(str(_folder() / f"{name}{ENDING}")))
    assisted = _folder() / f"{name}.assisted.parquet"
    return runs | (read_runs(Path(str(assisted))) if assisted.is_file() else {})


def _folder():
    return files("simlab.models") / "data"


def _arrays(columns: dict[str, list], rows: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {}
    for name, values in columns.items():
        chosen = [values[row] for row in rows]
        if name in ("first_tokens", "first_ranks"):
            chosen = [[*value, np.nan, np.nan][:2] for value in chosen]
            arrays[name] = np.array(chosen, float)
        else:
            arrays[name] = np.array(chosen)
    arrays["first_tokens"] = np.nan_to_num(arrays["first_tokens"], nan=-1).astype(np.int64)
    return arrays
