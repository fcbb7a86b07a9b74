"""A distribution with finitely many rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simlab.errors import SimlabError

SUM_TOLERANCE = 1e-9
"""How far a sum of probabilities may lie from 1, as for the rows of a pair."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Each node's row is row k of `rows` with probability `weights[k]`.

    rows: float64 (K, V), each summing to 1 within 1e-9. weights: float64 (K,), summing to 1 within 1e-9.
    source: where the rows come from, a few words for figures. The arrays are held as read-only copies. Two
    distributions are equal if their numbers and their sources are. Raises SimlabError, in one line that names
    the position and the value, for wrong shapes, entries that are negative or not finite, and sums that are
    not 1.
    """

    rows: np.ndarray
    weights: np.ndarray
    source: str = "rows"

    def __repr__(self) -> str:
        return f"Rows({len(self.rows):,} rows, V={self.rows.shape[1]}, source={self.source!r})"

    def __post_init__(self) -> None:
        rows, weights = _floats(self.rows, "rows"), _floats(self.weights, "weights")
        if rows.ndim != 2 or 0 in rows.shape:
            raise SimlabError(f"rows has shape {rows.shape}; expected (K, V) with K, V >= 1")
        if weights.shape != rows.shape[:1]:
            raise SimlabError(f"weights has shape {weights.shape}; expected ({len(rows)},), a weight a row")
        _check_sums("weights", weights[None])
        _check_sums("rows", rows)
        if not isinstance(self.source, str) or not self.source:
            raise SimlabError(f"source = {self.source!r}: say in a few words where the rows come from")
        for name, array in (("rows", rows), ("weights", weights)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def states(self) -> int:
        """V, the size of the vocabulary."""
        return self.rows.shape[1]

    @property
    def label(self) -> str:
        """A short text for figures."""
        return f"{self.source}, V = {self.states}"

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.rows.nbytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shape, rows, weights and source: two distributions agree if theirs do."""
        sha = hashlib.sha256(repr((self.rows.shape, self.source)).encode())
        for array in (self.rows, self.weights):
            sha.update(np.ascontiguousarray(array, dtype="<f8").data)
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Rows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)


def _floats(value, name: str) -> np.ndarray:
    """A copy of `value` as float64, in C order."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SimlabError(f"{name} is not a rectangular array; expected numbers") from error
    if array.dtype.kind not in "fiub" or isinstance(value, np.ma.MaskedArray):
        raise SimlabError(f"{name} has type {array.dtype}; expected real numbers")
    return np.array(array, np.float64, order="C")


def _check_sums(name: str, rows: np.ndarray) -> None:
    """Raises SimlabError for the first of `rows` (K, V) that is not a distribution; "weights" has one row."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = rows.sum(axis=1)
        good = (rows.min(axis=1) >= 0) & (np.abs(sums - 1) <= SUM_TOLERANCE)
    if good.all():
        return
    k = int(np.argmin(good))
    where = name if name == "weights" else f"{name}[{k}]"
    wrong = np.flatnonzero(~(np.isfinite(rows[k]) & (rows[k] >= 0)))
    if wrong.size:
        entry = f"weights[{wrong[0]}]" if name == "weights" else f"{name}[{k}, {wrong[0]}]"
        raise SimlabError(f"{entry} = {rows[k, wrong[0]]!s}: a probability is finite and not negative")
    raise SimlabError(f"{where} sums to {float(sums[k])!r}: make it sum to 1 in float64")
