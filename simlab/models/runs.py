"""The file of decoders that were run: a row a text and run, read without torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from simlab.checks import check_path, shortened
from simlab.errors import SimlabError
from simlab.models.small_files import write_small

COUNTS = ("sequence", "tokens", "rejections", "target_calls")
LISTS = ("drafted_by_position", "accepted_by_position", "first_tokens", "first_ranks", "rank_cells")
ALONG = ("outcomes", "acceptances", "fresh_acceptances")
"""A number a token of the text."""

PARTS = 4096
"""Acceptances are kept as whole numbers of so many parts of 1."""


ENDING, BESIDE = ".runs.parquet", (".assisted.parquet", ".biased.parquet")
"""Of the files of a bundled pair; what was run by transformers, or with a bias, may stand beside."""


@dataclass(frozen=True)
class Run:
    """One decoder on n independent texts, arrays (n,) or (n, ...), and where they come from.

    name: horizon, windowK, batchM or assistedK. tokens, rejections, target_calls: whole numbers (n,).
    drafted_by_position, accepted_by_position: calls by position in the window (n, K), one column for those
    that draft to the horizon. first_tokens: (n, 2), -1 where the text is shorter. first_ranks: (n, 2), nan
    there: `simlab.models.draws.rank_mass` of the first two tokens, uniform if they follow the target.
    rank_cells: (n, 16), how many tokens of the text have their rank in each sixteenth of [0, 1).

    Along the texts, (n, T), T the most tokens: outcomes, how each token came, 0 as the replacement of a
    rejected one, 1 as it was drafted, 2 straight from the target, -1 behind the text's end. acceptances:
    min(1, draft / target) of the token, to 1/8192; fresh_acceptances the same at the start of a call of batch
    decoding; nan where it is not known and behind the end. prompt: (n,), its number in the file.
    log_likelihood: (n,), of the text under the target, in nats. None in files of before they were kept.
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
    prompt: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None
    outcomes: np.ndarray | None = None
    acceptances: np.ndarray | None = None
    fresh_acceptances: np.ndarray | None = None


def coded(acceptances: list[float]) -> list[int]:
    """Probabilities as whole numbers of 4096ths, -1 for nan."""
    return [-1 if math.isnan(one) else round(PARTS * one) for one in acceptances]


def write_runs(path: Path, columns: dict[str, np.ndarray], provenance: dict) -> None:
    """Write what `run_decoders` counted, as Parquet."""
    import pyarrow

    types = dict.fromkeys((*LISTS, *ALONG), pyarrow.list_(pyarrow.int32())) | {
        "first_ranks": pyarrow.list_(pyarrow.float32()),
        "outcomes": pyarrow.list_(pyarrow.int8()),
        "log_likelihood": pyarrow.float32(),
    }
    arrays = {
        name: pyarrow.array([json.loads(value) for value in values], types[name])
        if name in (*LISTS, *ALONG)
        else pyarrow.array(values.astype(np.int32) if name in COUNTS else values.tolist(), types.get(name))
        for name, values in columns.items()
    }
    write_small(path, arrays, provenance)


def read_runs(path) -> dict[str, Run]:
    """The decoders that were run, by name. Raises SimlabError for a file that holds none."""
    import pyarrow
    import pyarrow.parquet

    path = Path(check_path("runs", path)).expanduser()
    try:
        table = pyarrow.parquet.read_table(path)
        provenance = json.loads(table.schema.metadata[b"simlab"])
        there = [name for name in ("prompt", "log_likelihood", *ALONG) if name in table.column_names]
        columns = {name: table[name].to_pylist() for name in ("run", "kind", *COUNTS, *LISTS, *there)}
    except FileNotFoundError as error:
        raise SimlabError(f"{path}: no such file; give what simlab record run=... wrote") from error
    except (OSError, KeyError, TypeError, ValueError, pyarrow.ArrowException) as error:
        raise SimlabError(
            f"{path} holds no runs ({shortened(str(error), 40)}); give what simlab record run=... wrote"
        ) from error
    names = np.array(columns.pop("run"))
    provenance |= {"file": path.name}
    return {
        str(name): Run(
            str(name), **_arrays(columns, np.flatnonzero(names == name), provenance), provenance=provenance
        )
        for name in dict.fromkeys(names.tolist())
    }


def bundled_run_names() -> tuple[str, ...]:
    """The bundled pairs with which decoders were run, by the names that `simlab.traces.bundled` takes."""
    names = [file.name for file in _folder().iterdir()]
    return tuple(sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING)))


def bundled_runs(name: str) -> dict[str, Run]:
    """The decoders that were run with a bundled pair, by their names, as `read_runs` returns them, those of
    transformers and the biased ones among them.

    Raises SimlabError, naming those that there are, for a pair that was not run.
    """
    known = bundled_run_names()
    if name not in known:
        raise SimlabError(f"no runs of {shortened(name)} are bundled; known are {', '.join(known)}")
    beside = [_folder() / f"{name}{ending}" for ending in (ENDING, *BESIDE)]
    return {
        run: found for file in beside if file.is_file() for run, found in read_runs(Path(str(file))).items()
    }


def _folder():
    return files("simlab.models") / "data"


def _arrays(columns: dict[str, list], rows: np.ndarray, provenance: dict) -> dict[str, np.ndarray]:
    arrays = {}
    for name, values in columns.items():
        chosen = [values[row] for row in rows]
        if name in ("first_tokens", "first_ranks"):
            chosen = [[*value, np.nan, np.nan][:2] for value in chosen]
            arrays[name] = np.array(chosen, float)
        elif name in ALONG:
            arrays[name] = _padded(chosen, provenance["tokens"])
        else:
            arrays[name] = np.array(chosen)
    arrays["first_tokens"] = np.nan_to_num(arrays["first_tokens"], nan=-1).astype(np.int64)
    for name in {"acceptances", "fresh_acceptances"} & set(arrays):
        arrays[name] = np.where(arrays[name] < 0, np.nan, arrays[name] / PARTS)
    return arrays


def _padded(lists: list[list[int]], tokens: int) -> np.ndarray:
    """(n, tokens), -1 behind the end of each list."""
    found = np.full((len(lists), tokens), -1)
    for row, values in enumerate(lists):
        found[row, : len(values)] = values
    return found
