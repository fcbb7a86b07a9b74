"""Hypothesis strategies for pairs, the odd ones included: one token, equal rows, disjoint supports, zeros.

And how many examples a test tries, where it is not the profile's number (tests/conftest.py).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from simlab.pairs import ChainPair


def examples(number: int) -> settings:
    """Try `number` examples in the profile `ci`, and in the others as many more or fewer as they always do.

    A plain `@settings(max_examples=number)` would hold in every profile, the quick one included.
    """
    of_all = settings.default.max_examples / 100
    return settings(max_examples=max(1, round(number * of_all)))


@st.composite
def pairs(draw, most_steps: int = 4, most_states: int = 5) -> ChainPair:
    """A legal pair of any kind: rows random, sparse, one-hot or with masses down to subnormal numbers; the
    draft equal to the target, off by rounding, or disjoint; either chain stationary, or both.
    """
    horizon = draw(st.integers(1, most_steps))
    states = draw(st.integers(1, most_states))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    draft = _rows(random, horizon, states)
    target = _rows(random, horizon, states)
    match draw(st.sampled_from(["free", "equal", "nearly", "disjoint"])):
        case "equal":
            draft = target.copy()
        case "nearly":  # residuals that are nothing but rounding
            draft = target * (1 + 1e-15 * random.standard_normal(target.shape))
            draft /= draft.sum(-1, keepdims=True)
        case "disjoint" if states > 1:
            half = np.arange(states) < states // 2
            draft = _normalised(np.where(half, draft, 0.0) + 1e-3 * half)
            target = _normalised(np.where(half, 0.0, target) + 1e-3 * ~half)
    initial = _rows(random, 1, states)[0, 0]
    for chain in (draft, target):
        _sprinkle(random, chain, draw(st.sampled_from([0.0, 0.0, 1e-9, 1e-17, 1e-20, 1e-300, 1e-310])))
    draft, target = (
        np.broadcast_to(chain[0], chain.shape) if draw(st.booleans()) else chain for chain in (draft, target)
    )
    return ChainPair(draft, target, initial)


def _sprinkle(random: np.random.Generator, chain: np.ndarray, mass: float) -> None:
    """Give some entries that are 0 a tiny mass, far below what a row's sum can tell."""
    if mass:
        chain[(chain == 0) & (random.random(chain.shape) < 0.5)] = mass
        chain /= chain.sum(-1, keepdims=True)


def _rows(random: np.random.Generator, horizon: int, states: int) -> np.ndarray:
    shape = (horizon, states, states)
    weights = random.random(shape) ** random.choice([1, 8], size=(*shape[:2], 1))
    weights *= random.random(shape) < random.choice([0.2, 0.6, 1.0], size=(*shape[:2], 1))
    sure = random.integers(states, size=shape[:2])
    empty = weights.sum(-1) == 0
    weights[empty, sure[empty]] = 1.0
    return _normalised(weights)


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(-1, keepdims=True)


def found_pairs() -> list[ChainPair]:
    """Pairs that linear programs over all histories have failed on: masses of 1e-9 to 1e-13."""
    draft = [
        [0.364193118, 0.63580688, 1e-9, 1e-9],
        [1e-9, 1 - 2e-9, 1e-9, 0],
        [0.024918041, 0.210736818, 0.124692017, 0.639653124],
        [1e-9, 0, 0, 1 - 1e-9],
    ]
    target = [[0.364193118, 0.635806881, 0, 1e-9], *draft[1:3], [0, 1e-9, 1e-9, 1 - 2e-9]]
    small = np.array([[0.3, 0.7 - 8e-13, 8e-13], [0.6, 0.0, 0.4], [0.25, 0.25, 0.5]])
    return [
        ChainPair.stationary(draft, target, [0.25] * 4, 3),
        ChainPair.stationary(small, small[[0, 2, 1]], [1 / 3] * 3, 3),
    ]


LANGUAGE_MODELS = [
    (3, 1e-2),
    (6, 0.0),
    *(
        pytest.param(scale, apart, marks=pytest.mark.statistical)
        for scale, apart in [(1, 0.0), (1, 1e-2), (3, 0.0), (6, 1e-2), (10, 0.0), (10, 1e-2)]
    ),
]
"""(scale, apart) of softmax pairs whose linear programs are hard; two of them in the quick tier."""


def softmax_pair(scale: float, seed: int, *, horizon: int, states: int, apart: float) -> ChainPair:
    """A stationary pair of rows like a language model's: softmax of Gaussian logits times `scale`, the
    draft's logits off by Gaussians times `apart`.
    """
    random = np.random.default_rng([seed, round(10 * scale)])
    logits = scale * random.standard_normal((states, states))
    other = logits + apart * random.standard_normal(logits.shape)
    target, draft = (np.exp(one - one.max(axis=1, keepdims=True)) for one in (logits, other))
    initial = np.full(states, 1 / states)
    return ChainPair.stationary(_normalised(draft), _normalised(target), initial, horizon)
