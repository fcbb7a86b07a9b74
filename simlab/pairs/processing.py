"""What a serving engine does to logits before it samples: temperature, then top-k, then top-p.

The order is that of vLLM and of Hugging Face Transformers. Of two tokens that are equally likely the one with
the lower number counts as the more likely, everywhere, so that every rule keeps one definite set of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError


@dataclass(frozen=True)
class Sampling:
    """How one model's logits become the distribution of its next token.

    temperature: >= 0; logits are divided by it, and 0 is greedy: all probability on the most likely token.
    top_k: a whole number >= 1; exactly so many most likely tokens are kept (all, where there are fewer), ties
        at the cut by lowest token number. Hugging Face and vLLM keep all tokens tied at the cut instead.
    top_p: in (0, 1]; of what top_k leaves, divided by its sum, the smallest set of most likely tokens whose
        probability reaches top_p is kept, ties by lowest token number. 1 keeps all. A sum that falls short of
        top_p by no more than its own rounding, (V + 8) 2^-52, has reached it.
    None keeps all. What is kept is divided by its sum. Raises SimlabError for values out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        self._set("temperature", check_number("temperature", self.temperature, least=0.0))
        if self.top_k is not None:
            self._set("top_k", check_count("top_k", self.top_k))
        if self.top_p is not None:
            self._set("top_p", check_number("top_p", self.top_p, above=0.0, most=1.0))

    def _set(self, name: str, value) -> None:
        object.__setattr__(self, name, value)

    def cuts(self, states: int) -> bool:
        """Whether top_k or top_p can remove one of V = states tokens."""
        return (self.top_k is not None and self.top_k < states) or self.top_p not in (None, 1.0)

    def keeps_all(self, states: int) -> bool:
        """Whether the distributions over V = states tokens stay as they are."""
        return self.temperature == 1 and not self.cuts(states)


@dataclass(frozen=True)
class Processing:
    """How each of two models samples: a value of the draft's own, or, where it is None, the common one.

    For the values see `Sampling`. A common cut is switched off for the draft by draft_top_k = V (the size of
    the vocabulary, or more) and draft_top_p = 1. Raises SimlabError for values out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    draft_temperature: float | None = None
    draft_top_k: int | None = None
    draft_top_p: float | None = None

    def __post_init__(self) -> None:
        for prefix in ("", "draft_"):
            for name in SAMPLING:
                value = getattr(self, prefix + name)
                if value is not None or prefix + name == "temperature":
                    try:
                        checked = getattr(Sampling(**{name: value}), name)
                    except SimlabError as error:
                        raise SimlabError(f"{prefix}{error}") from error
                    object.__setattr__(self, prefix + name, checked)

    @property
    def target(self) -> Sampling:
        """How the target samples."""
        return Sampling(self.temperature, self.top_k, self.top_p)

    @property
    def draft(self) -> Sampling:
        """How the draft samples."""
        own = {name: getattr(self, f"draft_{name}") for name in SAMPLING}
        given = {name: value for name, value in own.items() if value is not None}
        return Sampling(**{**asdict(self.target), **given})

    def keeps_all(self, states: int) -> bool:
        """Whether both models' distributions over V = states tokens stay as they are."""
        return self.target.keeps_all(states) and self.draft.keeps_all(states)


SAMPLING = tuple(field.name for field in fields(Sampling))
PROCESSING = tuple(field.name for field in fields(Processing))
"""The names of the settings."""


def processing_settings(settings: Mapping | None) -> dict:
    """The settings of `Processing` that a config's or a user's mapping gives; None stands for a default.

    Raises SimlabError if it is not a mapping, and for unknown names.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise SimlabError(f"processing = {settings!r}: expected a mapping with {', '.join(PROCESSING)}")
    if unknown := [key for key in settings if key not in PROCESSING]:
        raise SimlabError(f"processing has no setting {unknown[0]!r}: it has {', '.join(PROCESSING)}")
    return {key: value for key, value in settings.items() if value is not None}


def rows_of_logits(name: str, logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distributions (S, V, V) of the next token, in float64, from logits (S, V, V) of any real type.

    -inf is a token that cannot come. Raises SimlabError, naming the position, for NaN, +inf and a row of
    nothing but -inf.
    """
    rows = np.empty(logits.shape)
    for t, step in enumerate(logits):
        step = step.astype(np.float64, copy=False)
        bad = np.isnan(step) | (step == np.inf)
        if bad.any():
            x, y = (int(i) for i in np.argwhere(bad)[0])
            raise SimlabError(
                f"{name}[t={t}, x={x}, y={y}] = {step[x, y]}: expected a finite logit, or -inf for a token "
                "that cannot come"
            )
        highest = step.max(axis=-1)
        if (highest == -np.inf).any():
            x = int(np.argmin(highest))
            raise SimlabError(f"{name}[t={t}, x={x}] holds only -inf: expected a finite logit in every row")
        rows[t] = _sampled(step, step, sampling)
    return rows


def sampled_rows(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distributions (n, V), in float64, from logits (n, V) of any real type, of n positions.

    -inf is a token that cannot come. Raises SimlabError for NaN, +inf and a row of nothing but -inf.
    """
    return rows_of_logits("logits", logits[None], sampling)[0]


def rows_of_probabilities(rows: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The same of probabilities (S, V, V), whose logarithms are the logits; as they are where all is kept."""
    if sampling.keeps_all(rows.shape[-1]):
        return rows
    processed = np.empty(rows.shape)
    with np.errstate(divide="ignore"):
        for t, step in enumerate(rows):
            processed[t] = _sampled(step, np.log(step), sampling)
    return processed


def _sampled(scores: np.ndarray, logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """One step (V, V). scores rank the tokens: logits, or what was not yet rounded by a logarithm."""
    if sampling.temperature == 0:
        weights = np.zeros(scores.shape)
        np.put_along_axis(weights, scores.argmax(axis=-1)[:, None], 1.0, axis=-1)
        return weights
    with np.errstate(over="ignore"):  # at a tiny temperature what is not the highest becomes -inf
        weights = np.exp((logits - logits.max(axis=-1, keepdims=True)) / sampling.temperature)
    if sampling.cuts(scores.shape[-1]):
        order = np.argsort(-scores, axis=-1, kind="stable")
        ranked = _cut(np.take_along_axis(weights, order, axis=-1), sampling)
        np.put_along_axis(weights, order, ranked, axis=-1)
    return weights / weights.sum(axis=-1, keepdims=True)


def _cut(ranked: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Weights in falling order with those that top_k and top_p remove set to 0."""
    states = ranked.shape[-1]
    if sampling.top_k is not None:
        ranked[:, sampling.top_k :] = 0.0
    if sampling.top_p not in (None, 1.0):
        sums = ranked.cumsum(axis=-1)
        reached = sums >= (sampling.top_p - (states + 8) * 2.0**-52) * sums[:, -1:]
        ranked[np.arange(states) > reached.argmax(axis=-1)[:, None]] = 0.0
    return ranked
