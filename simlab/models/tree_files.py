"""The file of draft trees that were found with real models: a row a prefix, read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from simlab.checks import check_path, shortened
from simlab.errors import SimlabError
from simlab.models.small_files import write_small

ENDING = ".trees.parquet"
REACHES = ("target_reach", "draft_reach")
NUMBERS = ("sequence", "written", "target_entropy", "target_log2_moment")


@dataclass(frozen=True)
class RecordedTrees:
    """Draft trees of P nodes after n independent prefixes, and where they come from.

    sequence, kind: (n,), number and kind of the prompt. written: (n,), how many tokens the target wrote after
    it. target_reach, draft_reach: (n, P), the target's probability of the path to each node, in the order in
    which the target's probabilities, or the draft's, choose them; 0 where there are fewer. target_entropy,
    target_log2_moment: (n,), of the target's row after the prefix, in nats and nats^2.
    """

    sequence: np.ndarray
    kind: np.ndarray
    written: np.ndarray
    target_reach: np.ndarray
    draft_reach: np.ndarray
    target_entropy: np.ndarray
    target_log2_moment: np.ndarray
    provenance: dict[str, Any]

    def expected_accepted(self, drafted_by: str = "target") -> np.ndarray:
        """(n, P): E[X] of the tree of 1, 2, .., P nodes after each prefix, root and bonus token not counted.

        drafted_by: whose probabilities choose the nodes, "target" (no tree of as many nodes has more) or
        "draft". Raises SimlabError for another word.
        """
        if f"{drafted_by}_reach" not in REACHES:
            raise SimlabError(f"drafted_by = {drafted_by!r} is not valid; expected target or draft")
        return np.cumsum(getattr(self, f"{drafted_by}_reach"), axis=1)


def write_trees(path: Path, columns: dict[str, np.ndarray], provenance: dict) -> None:
    """Write what `record_trees` found, as Parquet; reaches as float32."""
    import pyarrow

    reaches = pyarrow.list_(pyarrow.float32())
    arrays = {
        name: pyarrow.array(values.tolist(), reaches if name in REACHES else None)
        for name, values in columns.items()
    }
    write_small(path, arrays, provenance)


def read_trees(path) -> RecordedTrees:
    """The trees of a file. Raises SimlabError for a file that holds none."""
    import pyarrow
    import pyarrow.parquet

    path = Path(check_path("trees", path)).expanduser()
    try:
        table = pyarrow.parquet.read_table(path)
        provenance = json.loads(table.schema.metadata[b"simlab"])
        columns = {name: np.array(table[name].to_pylist()) for name in ("kind", *NUMBERS)}
        columns |= {name: np.array(table[name].to_pylist(), float) for name in REACHES}
    except FileNotFoundError as error:
        raise SimlabError(f"{path}: no such file; give what simlab record trees=... wrote") from error
    except (OSError, KeyError, TypeError, ValueError, pyarrow.ArrowException) as error:
        raise SimlabError(
            f"{path} holds no trees ({shortened(str(error), 40)}); give what simlab record trees=... wrote"
        ) from error
    return RecordedTrees(**columns, provenance=provenance | {"file": path.name})


def bundled_tree_names() -> tuple[str, ...]:
    """The bundled pairs of which trees were found, by the names that `simlab.traces.bundled` takes."""
    names = [file.name for file in _folder().iterdir()]
    return tuple(sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING)))


def bundled_trees(name: str) -> RecordedTrees:
    """The trees of a bundled pair. Raises SimlabError, naming those that there are, for another name."""
    known = bundled_tree_names()
    if name not in known:
        raise SimlabError(f"no trees of {shortened(name)} are bundled; known are {', '.join(known)}")
    return read_trees(Path(str(_folder() / f"{name}{ENDING}")))


def _folder():
    return files("simlab.models") / "data"
