"""The instance that is decoded: a draft and a target Markov chain over one vocabulary.

At step t = 0..T-1, given the last token x, `draft[t, x]` and `target[t, x]` are the two models'
distributions of the next token. `initial` is the distribution of the prompt's last token, which is given, not
generated. A stationary chain is an array whose first axis has stride 0: it looks like (T, V, V) and
keeps one (V, V) copy.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.pairs.processing import Processing, Sampling, rows_of_logits, rows_of_probabilities
from simlab.pairs.rows import as_array, distributions

KEYS = {
    "draft": "draft (T, V, V), or (V, V) with a horizon",
    "target": "target (T, V, V), or (V, V) with a horizon",
    "initial": "initial (V,), the distribution of the prompt's last token x, np.eye(V)[x] where it is known",
}
"""What an `.npz` file must hold."""


@dataclass(frozen=True, eq=False, repr=False)
class ChainPair:
    """A validated pair of nonstationary Markov chains.

    draft, target: (T, V, V), each row draft[t, x] and target[t, x] the distribution of the next token, which
    sums to 1. initial: (V,), the distribution of the prompt's last token; np.eye(V)[x] where it is x.
    normalised: the largest |sum - 1| of a row that was divided by its sum; 0.0 where none was.

    Rows are kept in float64. Those given in float64 are taken as they are and must sum to 1 within 1e-9.
    Those given in float32 or float16, and those that were rounded to bfloat16 or float16 and come as float32,
    are accepted where their sum is within what that type can mean: some (V + 66) 6e-8 from 1 in float32, 1e-3
    more in float16 and 8e-3 more in bfloat16 (`simlab.pairs.rows.allowance`). They are divided by their sum
    in float64, and `normalised` says how far it was from 1. Logits go to ChainPair.from_logits.

    A chain whose steps are all the same is stationary, and kept once. The arrays are held as read-only views,
    copied only where need be: do not change them afterwards. Raises SimlabError, in one line that names the
    position and the value, for wrong shapes, entries that are negative or not finite, and rows that do not
    sum to 1, transposed ones among them.
    """

    draft: np.ndarray
    target: np.ndarray
    initial: np.ndarray
    normalised: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        draft = as_array(self.draft, "draft")
        target = as_array(self.target, "target")
        initial = as_array(self.initial, "initial")
        _check_shape("draft", draft)
        _check_shape("target", target)
        if draft.shape != target.shape:
            raise SimlabError(
                f"draft has shape {draft.shape} and target {target.shape}; expected the same shape"
            )
        if initial.shape != draft.shape[1:2]:
            raise SimlabError(
                f"initial has shape {initial.shape}; expected ({draft.shape[1]},), a token each"
            )
        corrections = []
        for name, given in (("draft", draft), ("target", target), ("initial", initial)):
            array, correction = distributions(name, given)
            view = (array if name == "initial" else _folded(array)).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
            corrections.append(correction)
        object.__setattr__(self, "normalised", max(corrections))

    def __repr__(self) -> str:
        steps = "stationary" if self.is_stationary else "nonstationary"
        corrected = f", rows normalised by up to {self.normalised:.2g}" if self.normalised else ""
        return f"<ChainPair: V = {self.states} tokens, T = {self.horizon}, {steps}{corrected}>"

    @classmethod
    def stationary(cls, draft, target, initial, horizon: int) -> ChainPair:
        """The pair whose rows are the same at every step: draft, target (V, V), horizon T >= 1.

        Keeps one copy of the rows, whatever the horizon. Raises SimlabError as the constructor does.
        """
        horizon = check_count("horizon", horizon)
        chains = []
        for name, rows in (("draft", draft), ("target", target)):
            rows = as_array(rows, name)
            if rows.ndim != 2:
                raise SimlabError(f"{name} has shape {rows.shape}: a stationary pair takes (V, V)")
            chains.append(np.broadcast_to(rows, (horizon, *rows.shape)))
        return cls(chains[0], chains[1], initial)

    @classmethod
    def from_logits(
        cls,
        draft,
        target,
        initial,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        draft_temperature: float | None = None,
        draft_top_k: int | None = None,
        draft_top_p: float | None = None,
        horizon: int | None = None,
    ) -> ChainPair:
        """The pair of two models' logits, processed as serving engines do, in float64.

        draft, target: logits of any real type, (T, V, V), or (V, V) with a `horizon` for stationary models;
        -inf for a token that cannot come. Log-probabilities are logits. initial: as the constructor takes it,
        a distribution. Each model's logits are divided by its temperature (0 is greedy: the most likely
        token), then top_k keeps exactly so many most likely tokens, then top_p the smallest set of most
        likely ones that reaches that probability; ties, at either cut and for greedy, go to the lower token
        number, while Hugging Face and vLLM keep all tokens that tie at top_k (see simlab.pairs.Sampling).
        draft_temperature, draft_top_k, draft_top_p: the draft's own; None takes the common one, and
        draft_top_k = V and draft_top_p = 1 switch a common cut off. Raises SimlabError for NaN, +inf, a row
        of nothing but -inf, and settings out of range, and otherwise as the constructor does.

            ChainPair.from_logits(draft, target, np.eye(V)[token], temperature=0.7, top_p=0.95, horizon=50)
        """
        processing = Processing(temperature, top_k, top_p, draft_temperature, draft_top_k, draft_top_p)
        if horizon is not None:
            horizon = check_count("horizon", horizon)
        chains = _unfold(as_array(draft, "draft"), as_array(target, "target"), horizon)
        for name, chain in zip(("draft", "target"), chains, strict=True):
            _check_shape(name, chain)
        draft, target = (
            _refolded(rows_of_logits(name, _rows(chain), sampling), len(chain))
            for name, chain, sampling in zip(
                ("draft", "target"), chains, (processing.draft, processing.target), strict=True
            )
        )
        return cls(draft, target, initial)

    def processed(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        draft_temperature: float | None = None,
        draft_top_k: int | None = None,
        draft_top_p: float | None = None,
    ) -> ChainPair:
        """The pair of the same two models at another temperature, or with top-k and top-p cuts.

        As `from_logits` of the logarithms of the rows, with the same settings; `initial` stays. A model of
        which all is kept at temperature 1 keeps its very rows. Raises SimlabError for settings out of range.
        """
        processing = Processing(temperature, top_k, top_p, draft_temperature, draft_top_k, draft_top_p)
        if processing.keeps_all(self.states):
            return self

        def rows(chain: np.ndarray, sampling: Sampling) -> np.ndarray:
            return _refolded(rows_of_probabilities(_rows(chain), sampling), len(chain))

        return self._with(rows(self.draft, processing.draft), rows(self.target, processing.target))

    def _with(self, draft: np.ndarray, target: np.ndarray) -> ChainPair:
        pair = ChainPair(draft, target, self.initial)
        object.__setattr__(pair, "normalised", self.normalised)
        return pair

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
        return self._with(chains[0], chains[1])

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
        """Read a pair from `.npz` with the keys draft, target, initial, and for stationary rows horizon.

        draft, target: (T, V, V), or (V, V) or (1, V, V) with a `horizon`; initial: (V,), the distribution of
        the prompt's last token; their types as the constructor takes them. So writes it np.savez("mine.npz",
        draft=draft, target=target, initial=np.eye(V)[token]). Raises SimlabError where the file is missing,
        is not an `.npz`, lacks an array, or holds no valid pair.
        """
        path = Path(path)
        try:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise SimlabError(f"{path} holds one array: give an .npz with draft, target and initial")
            with loaded as file:
                missing = [name for name in KEYS if name not in file.files]
                if missing:
                    held = ", ".join(file.files) or "nothing"
                    hint = "; ".join(KEYS[name] for name in missing)
                    raise SimlabError(f"{path} lacks {', '.join(missing)}: it holds {held}; expected {hint}")
                draft, target, initial = file["draft"], file["target"], file["initial"]
                horizon = file["horizon"] if "horizon" in file.files else None
        except SimlabError:
            raise
        except FileNotFoundError as error:
            raise SimlabError(f"no file {path}: give the path of a pair saved as .npz") from error
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises whatever zip, zlib, NumPy or the system has for it
            raise SimlabError(f"{path} is not a readable .npz file; expected a pair saved as .npz") from error
        try:
            return cls(*_unfold(draft, target, _whole(horizon)), initial)
        except SimlabError as error:
            raise SimlabError(f"{path}: {error}") from error

    def __reduce__(self):
        # A broadcast view would be pickled as T copies: ship the distinct rows and fold them out again.
        return _restore, (self.draft_rows, self.target_rows, self.initial, self.horizon, self.normalised)


def check_pair(pair) -> None:
    """Raises SimlabError if `pair` is not a ChainPair."""
    if not isinstance(pair, ChainPair):
        raise SimlabError(f"pair: {type(pair).__name__} is not a pair; expected a simlab.ChainPair")


def _check_shape(name: str, chain: np.ndarray) -> None:
    if chain.ndim != 3 or chain.shape[1] != chain.shape[2] or 0 in chain.shape:
        hint = "; for a chain that is the same at every step use ChainPair.stationary"
        raise SimlabError(
            f"{name} has shape {chain.shape}; "
            f"expected (T, V, V) with T, V >= 1{hint if chain.ndim == 2 else ''}"
        )


def _refolded(rows: np.ndarray, steps: int) -> np.ndarray:
    """Distinct rows as a chain of so many steps."""
    return rows if len(rows) == steps else np.broadcast_to(rows[0], (steps, *rows.shape[1:]))


def _folded(chain: np.ndarray) -> np.ndarray:
    """A chain whose steps are all the same, kept once; any other as it is."""
    if len(chain) == 1 or chain.strides[0] == 0 or any((step != chain[0]).any() for step in chain[1:]):
        return chain
    return np.broadcast_to(chain[0].copy(), chain.shape)


def _rows(chain: np.ndarray) -> np.ndarray:
    """The distinct steps of a chain: one where the first axis has stride 0."""
    return chain[:1] if chain.strides[0] == 0 else chain


def _restore(draft_rows, target_rows, initial, horizon, normalised) -> ChainPair:
    pair = object.__new__(ChainPair)
    for name, rows in (("draft", draft_rows), ("target", target_rows)):
        object.__setattr__(pair, name, _refolded(rows, horizon))
    object.__setattr__(pair, "initial", initial)
    object.__setattr__(pair, "normalised", normalised)
    return pair


def _whole(horizon: np.ndarray | None) -> int | None:
    if horizon is None:
        return None
    if horizon.ndim or horizon.dtype.kind not in "iu":
        raise SimlabError(f"horizon = {horizon!r} is not valid; expected one whole number")
    return check_count("horizon", int(horizon))


def _unfold(draft: np.ndarray, target: np.ndarray, horizon: int | None) -> list[np.ndarray]:
    """Chains of one length, from arrays that may hold the rows of a stationary chain once."""
    chains = []
    for name, chain in (("draft", draft), ("target", target)):
        if chain.ndim == 2:
            if horizon is None:
                raise SimlabError(f"{name} has shape {chain.shape}: add a horizon, or give (T, V, V)")
            chain = chain[None]
        if horizon is not None and chain.ndim == 3 and len(chain) == 1 and horizon > 1:
            chain = np.broadcast_to(as_array(chain[0], name), (horizon, *chain.shape[1:]))
        if horizon is not None and chain.ndim == 3 and len(chain) != horizon:
            raise SimlabError(f"{name} has {len(chain)} steps and horizon is {horizon}: make them agree")
        chains.append(chain)
    return chains
