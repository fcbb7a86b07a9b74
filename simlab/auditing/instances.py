"""What a verifier is tried on: rows from harmless to nasty, each with a name.

The rows of an instance depend on the position in the window and on the tokens before it, as a language
model's do: on all of them while there are at most CONTEXTS prefixes, on the last few otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

CONTEXTS = 512
"""Most rows a position has, so that a table of all rows stays small however long the window is."""

TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Instance:
    """Rows for every prefix of a window.

    draft (g, C, V) and target (g + 1, C, V) as they are handed to the verifier; row [i, c] is the one at
    position i after the tokens whose context is c (`contexts`). Draft tokens are drawn from the draft's rows.
    """

    name: str
    what: str
    draft: np.ndarray
    target: np.ndarray

    @property
    def window(self) -> int:
        return len(self.draft)

    @property
    def states(self) -> int:
        return self.draft.shape[-1]

    @cached_property
    def true_draft(self) -> np.ndarray:
        """The draft's distributions in double precision, each row with sum 1."""
        return _normalised(self.draft.astype(float))

    @cached_property
    def true_target(self) -> np.ndarray:
        return _normalised(self.target.astype(float))

    def contexts(self, tokens: np.ndarray) -> np.ndarray:
        """The context at each position of sequences: tokens (n, m) -> (n, m + 1) numbers below C."""
        found = np.zeros((len(tokens), tokens.shape[1] + 1), dtype=np.int64)
        for i, column in enumerate(tokens.T):
            found[:, i + 1] = (found[:, i] * self.states + column) % self.draft.shape[1]
        return found


def draw(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One token from each distribution: rows (n, V), sums 1 -> (n,). Never a token of probability zero."""
    sums = np.cumsum(rows, axis=-1)
    return (rng.random((len(rows), 1)) * sums[:, -1:] >= sums).sum(axis=-1)


def completed(instance: Instance, emitted: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Outputs with what is missing (-1) drawn from the target, and the context of each token: (n, g + 1)."""
    tokens = emitted.copy()
    contexts = np.zeros_like(tokens)
    for i in range(tokens.shape[1]):
        if i:
            before = contexts[:, i - 1] * instance.states + tokens[:, i - 1]
            contexts[:, i] = before % instance.draft.shape[1]
        missing = tokens[:, i] < 0
        tokens[missing, i] = draw(instance.true_target[i, contexts[missing, i]], rng)
    return tokens, contexts


def sizes_of(states: int | list[int]) -> tuple[int, int, int]:
    """(smallest, usual, largest) vocabulary: 2, states and 2 states, or of exactly the sizes in a list."""
    if isinstance(states, int):
        return 2, states, 2 * states
    ordered = sorted(states)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def make_instances(
    window: int, sizes: tuple[int, int, int], seed: int, contexts: int = CONTEXTS
) -> list[Instance]:
    """Every instance that an audit tries; the seed decides the rows."""
    found = []
    for number, (name, what, size, rows, dtype) in enumerate(CATALOGUE):
        rng = np.random.default_rng([seed, 1000 + number])
        states = sizes[size]
        count = states ** min(window, int(np.log(contexts) / np.log(states) + 1e-9))
        draft, target = rows(rng, (window + 1, max(count, states), states))
        draft, target = _normalised(draft).astype(dtype), _normalised(target).astype(dtype)
        found.append(Instance(name, what, draft[:window], target))
    return found


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(axis=-1, keepdims=True)


def _spread(rng, shape, concentration: float = 1.0) -> np.ndarray:
    # A floor keeps every token possible: zeros are another instance's business.
    return rng.gamma(concentration, size=shape) + 1e-3


def _equal(rng, shape):
    rows = _spread(rng, shape)
    return rows, rows.copy()


def _random(rng, shape):
    return _spread(rng, shape), _spread(rng, shape)


def _constant(rng, shape):
    """The smallest rows on which a replacement can go wrong: two tokens to be made up for, differently."""
    draft, target = np.full(shape, 0.1), np.full(shape, 0.1)
    common = min(shape[-1], 3)
    draft[..., :common], target[..., :common] = [0.5, 0.25, 0.25][:common], [0.1, 0.6, 0.3][:common]
    return draft, target


def _peaked(rng, shape):
    target = np.exp(3 * rng.normal(size=shape)) + 1e-3
    target /= target.sum(axis=-1, keepdims=True)
    return 0.7 * target + 0.3 * rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]), target


def _zeros(rng, shape):
    rows = []
    for _ in range(2):
        possible = rng.random(shape) < 0.6
        np.put_along_axis(possible, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, axis=-1)
        rows.append(_spread(rng, shape) * possible)
    return rows[0], rows[1]


def _disjoint(rng, shape):
    rank = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    side = rank < max(1, shape[-1] // 2)
    return _spread(rng, shape) * side, _spread(rng, shape) * ~side


def _tiny(rng, shape):
    rows = []
    for _ in range(2):
        row = _spread(rng, shape)
        row /= row.sum(axis=-1, keepdims=True)
        np.put_along_axis(row, rng.integers(shape[-1], size=(*shape[:-1], 1)), TINY, axis=-1)
        rows.append(row)
    return rows[0], rows[1]


def _greedy(rng, shape):
    draft, target = _peaked(rng, shape)
    return np.eye(shape[-1])[draft.argmax(axis=-1)], 0.5 * target + 0.5 / shape[-1]


def _truncated(rng, shape):
    draft, target = _peaked(rng, shape)
    draft = 0.5 * draft + 0.5 * _normalised(_spread(rng, shape))
    keep = max(2, shape[-1] // 2) if shape[-1] > 2 else 1
    least = np.sort(draft, axis=-1)[..., -keep, None]
    return draft * (draft >= least), target


def _certain(rng, shape):
    target = np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    return _spread(rng, shape), target


SMALL, USUAL, LARGE = range(3)
CATALOGUE: list[tuple[str, str, int, Callable, type]] = [
    ("equal rows", "the draft is the target", USUAL, _equal, np.float64),
    ("random rows", "draft and target have nothing in common", USUAL, _random, np.float64),
    (
        "constant rows",
        "the same two rows at every position and after every prefix",
        USUAL,
        _constant,
        np.float64,
    ),
    ("peaked rows", "a language model's, and a draft near it", LARGE, _peaked, np.float64),
    ("rows with zeros", "zeros in the draft, the target or both", USUAL, _zeros, np.float64),
    ("disjoint rows", "no token is possible under both", USUAL, _disjoint, np.float64),
    ("tiny probabilities", "one token of 1e-6 in each row", USUAL, _tiny, np.float64),
    ("greedy draft", "one-hot draft rows: the token is certain", USUAL, _greedy, np.float64),
    ("truncated draft", "the draft's rows keep their likeliest tokens only", LARGE, _truncated, np.float64),
    ("certain target", "one-hot target rows", USUAL, _certain, np.float64),
    ("single precision", "rows in float32", USUAL, _random, np.float32),
    ("few tokens", "the smallest vocabulary", SMALL, _random, np.float64),
]
