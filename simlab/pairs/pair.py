"""The instance that is decoded: a draft and a target Markov chain over one vocabulary.

At step t = 0..T-1, given the last token x, `draft[t, x]` and `target[t, x]` are the two models'
distributions of the next token. `initial` is the law of the prompt's last token, which is given, not
generated. A stationary chain is an array whose first axis has stride 0: it looks like (T, V, V) and
keeps one (V, V) copy.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError

ROW_SUM_TOLERANCE = 1e-9
"""How far a row's sum may lie from 1: far above rounding, far below a wrong model."""


@dataclass(frozen=True, eq=False)
class ChainPair:
    """A validated pair of nonstationary Markov chains.

    draft, target: float64 (T, V, V), rows summing to 1 within 1e-9. initial: float64 (V,), summing to 1.
    A chain whose steps are all the same is stationary, and kept once. The arrays are held as read-only views,
    copied only where need be: do not change them afterwards. Raises SimlabError, in one line that names the
    place and the value, for wrong shapes, entries that are negative or not finite, and rows that do not sum
    to 1.
    """

    draft: np.ndarray
    target: np.ndarray
    initial: np.ndarray

    def __post_init__(self) -> None:
        draft = _as_floats(self.draft, "draft")
        target = _as_floats(self.target, "target")
        initial = _as_floats(self.initial, "initial")
        for name, chain in (("draft", draft), ("target", target)):
            if chain.ndim != 3 or chain.shape[1] != chain.shape[2] or 0 in chain.shape:
                hint = (
                    "; for a chain that is the same at every step use ChainPair.stationary"
                    if chain.ndim == 2
                    else ""
                )
                raise SimlabError(f"{name} has shape {chain.shape}: give (T, V, V) with T, V >= 1{hint}")
        if draft.shape != target.shape:
            raise SimlabError(f"draft has shape {draft.shape} and target {target.shape}: give them the same")
        if initial.shape != draft.shape[1:2]:
            raise SimlabError(f"initial has shape {initial.shape}: give ({draft.shape[1]},), a token each")
        _check_rows("draft", _rows(draft))
        _check_rows("target", _rows(target))
        _check_rows("initial", initial[None, None, :])
        for name, array in (("draft", _folded(draft)), ("target", _folded(target)), ("initial", initial)):
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @classmethod
    def stationary(cls, draft, target, initial, horizon: int) -> ChainPair:
        """The pair whose rows are the same at every step: draft, target (V, V), horizon T >= 1.

        Keeps one copy of the rows, whatever the horizon. Raises SimlabError as the constructor does.
        """
        horizon = check_count("horizon", horizon)
        chains = []
        for name, rows in (("draft", draft), ("target", target)):
            rows = _as_floats(rows, name)
            if rows.ndim != 2:
                raise SimlabError(f"{name} has shape {rows.shape}: a stationary pair takes (V, V)")
            chains.append(np.broadcast_to(rows, (horizon, *rows.shape)))
        return cls(chains[0], chains[1], initial)

    @property
    def horizon(self) -> int:
        """T, the number of generated tokens."""
        return self.draft.shape[0]

    @property
    def states(self) -> int:
        """V, the size of the vocabulary."""
        return self.draft.shape[1]

    @property
    def draft_rows(self) -> np.ndarray:
        """The draft's distinct rows: (1, V, V) if it is stationary, else (T, V, V)."""
        return _rows(self.draft)

    @property
    def target_rows(self) -> np.ndarray:
        """The target's distinct rows: (1, V, V) if it is stationary, else (T, V, V)."""
        return _rows(self.target)

    @property
    def is_stationary(self) -> bool:
        """Whether both chains have the same rows at every step."""
        return len(self.draft_rows) == len(self.target_rows) == 1

    @property
    def nbytes(self) -> int:
        """Bytes of the distinct rows."""
        return self.draft_rows.nbytes + self.target_rows.nbytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shape, draft, target and initial: two pairs agree if their numbers do."""
        sha = hashlib.sha256()
        sha.update(repr((self.draft.shape, len(self.draft_rows), len(self.target_rows))).encode())
        for array in (self.draft_rows, self.target_rows, self.initial[None, None]):
            for step in array:
                sha.update(np.ascontiguousarray(step, dtype="<f8").data)
        return sha.hexdigest()

    def with_horizon(self, horizon: int) -> ChainPair:
        """The same chains for `horizon` steps: the first ones, or any number where both are stationary.

        Raises SimlabError where a nonstationary chain is shorter than that.
        """
        horizon = check_count("horizon", horizon)
        chains = []
        for name in ("draft", "target"):
            chain = getattr(self, name)
            rows = _rows(chain)
            if len(rows) == 1 and self.horizon > 1:
                chains.append(np.broadcast_to(rows[0], (horizon, *rows.shape[1:])))
            elif horizon <= self.horizon:
                chains.append(chain[:horizon])
            else:
                raise SimlabError(
                    f"horizon = {horizon}: the {name} chain has {self.horizon} steps of its own; "
                    f"give at most {self.horizon}"
                )
        return ChainPair(chains[0], chains[1], self.initial)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the pair as `.npz` (draft, target, initial, horizon; stationary rows once).

        Returns the path written, with `.npz` added where it was missing. Raises SimlabError where the
        file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        try:
            np.savez(
                path,
                draft=self.draft_rows,
                target=self.target_rows,
                initial=self.initial,
                horizon=self.horizon,
            )
        except OSError as error:
            raise SimlabError(f"cannot write {path}: {error.strerror or error}") from error
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> ChainPair:
        """Read a pair from `.npz`: arrays draft, target, initial, and for stationary rows a horizon.

        draft and target may be (T, V, V), or (V, V) or (1, V, V) with a `horizon`. Raises SimlabError where
        the file is missing, is no `.npz`, lacks an array, or holds no valid pair.
        """
        path = Path(path)
        try:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise SimlabError(f"{path} holds one array: give an .npz with draft, target and initial")
            with loaded as file:
                missing = [name for name in ("draft", "target", "initial") if name not in file.files]
                if missing:
                    held = ", ".join(file.files) or "nothing"
                    raise SimlabError(f"{path} lacks {', '.join(missing)}: it holds {held}")
                draft, target, initial = file["draft"], file["target"], file["initial"]
                horizon = file["horizon"] if "horizon" in file.files else None
        except SimlabError:
            raise
        except FileNotFoundError as error:
            raise SimlabError(f"no file {path}: give the path of a pair saved as .npz") from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            raise SimlabError(f"{path} is no readable .npz file: give a pair saved as .npz") from error
        try:
            return cls(*_unfold(draft, target, horizon), initial)
        except SimlabError as error:
            raise SimlabError(f"{path}: {error}") from error

    def __reduce__(self):
        # A broadcast view would be pickled as T copies: ship the distinct rows and fold them out again.
        return _restore, (self.draft_rows, self.target_rows, self.initial, self.horizon)


def _folded(chain: np.ndarray) -> np.ndarray:
    """A chain whose steps are all the same, kept once; any other as it is."""
    if len(chain) == 1 or chain.strides[0] == 0 or any((step != chain[0]).any() for step in chain[1:]):
        return chain
    return np.broadcast_to(chain[0].copy(), chain.shape)


def _rows(chain: np.ndarray) -> np.ndarray:
    """The distinct steps of a chain: one where the first axis has stride 0."""
    return chain[:1] if chain.strides[0] == 0 else chain


def _restore(draft_rows, target_rows, initial, horizon) -> ChainPair:
    pair = object.__new__(ChainPair)
    for name, rows in (("draft", draft_rows), ("target", target_rows)):
        if len(rows) != horizon:
            rows = np.broadcast_to(rows[0], (horizon, *rows.shape[1:]))
        object.__setattr__(pair, name, rows)
    object.__setattr__(pair, "initial", initial)
    return pair


def _unfold(draft: np.ndarray, target: np.ndarray, horizon) -> list[np.ndarray]:
    """Chains of one length, from arrays that may hold the rows of a stationary chain once."""
    if horizon is not None:
        if horizon.ndim or horizon.dtype.kind not in "iu":
            raise SimlabError(f"horizon = {horizon!r}: give one whole number")
        horizon = check_count("horizon", int(horizon))
    chains = []
    for name, chain in (("draft", draft), ("target", target)):
        if chain.ndim == 2:
            if horizon is None:
                raise SimlabError(f"{name} has shape {chain.shape}: add a horizon, or give (T, V, V)")
            chain = chain[None]
        if horizon is not None and chain.ndim == 3 and len(chain) == 1 and horizon > 1:
            chain = np.broadcast_to(_as_floats(chain[0], name), (horizon, *chain.shape[1:]))
        if horizon is not None and chain.ndim == 3 and len(chain) != horizon:
            raise SimlabError(f"{name} has {len(chain)} steps and horizon is {horizon}: make them agree")
        chains.append(chain)
    return chains


def _as_floats(value, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SimlabError(f"{name} is no rectangular array: {_one_line(error)}") from error
    if array.dtype.kind not in "fiub":
        raise SimlabError(f"{name} has type {array.dtype}: give real numbers")
    if isinstance(value, np.ma.MaskedArray):
        raise SimlabError(f"{name} is a masked array: give every probability, {name}.filled(0) for instance")
    if array.dtype == np.float64 and array.dtype.isnative:
        return array
    if array.ndim == 3 and array.strides[0] == 0:
        return np.broadcast_to(array[0].astype(np.float64), array.shape)
    return array.astype(np.float64)


def _check_rows(name: str, rows: np.ndarray) -> None:
    """Raise SimlabError for the first entry that is no probability, or row that does not sum to 1."""
    with np.errstate(invalid="ignore", over="ignore"):  # a non-finite entry is reported below, by its place
        sums = np.stack([step.sum(axis=-1) for step in rows])
        lows = np.stack([step.min(axis=-1) for step in rows])
    # NaN fails both comparisons; an infinite or negative entry fails one of them.
    good = (lows >= 0) & (np.abs(sums - 1) <= ROW_SUM_TOLERANCE)
    if good.all():
        return
    t, x = (int(i) for i in np.argwhere(~good)[0])
    row = rows[t, x]
    if name == "initial":
        place, whole = "initial", "initial"
    else:
        place = whole = f"{name}[t={t}, x={x}]"
    bad = np.flatnonzero(~(np.isfinite(row) & (row >= 0)))
    if bad.size:
        y = int(bad[0])
        place = f"initial[{y}]" if name == "initial" else f"{name}[t={t}, x={x}, y={y}]"
        raise SimlabError(f"{place} = {row[y]!s}: a probability is finite and not negative")
    raise SimlabError(
        f"{whole} sums to {float(sums[t, x])!r}: make it sum to 1 in float64, e.g. divide it by its sum"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
