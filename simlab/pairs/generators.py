"""Generators of chain pairs: each is a function of plain numbers, and the same numbers give the same pair.

Random rows come from numpy.random.RandomState, whose stream numpy has frozen: a seed means the same
instance on every numpy version. The prompt's last token is uniform.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from simlab.checks import check_count, check_number, check_path
from simlab.errors import SimlabError
from simlab.memory import check_fits
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping

HELD = {"softmax": 5, "mixture": 4, "corpus": 3}
"""Chains that a generator holds at once; 2, the pair itself, where it is not named."""
_BLOCK = 2**15
"""About how many entries are drawn at a time: they stay in the cache."""


def paper(horizon: int = 50, states: int = 7, seed: int = 10) -> ChainPair:
    """The plain recipe for the instance of Yin et al. 2024, Figures 2 and 5.

    r = RandomState(seed); draft = r.rand(T, V, V); target = r.rand(T, V, V); rows normalised. With the
    defaults E[N_rej] = 16.4049; the paper prints 16.41 for T = 50 and does not publish how it drew its rows.
    """
    horizon, states, random = _shape_and_random("paper", horizon, states, seed)
    shape = (horizon, states, states)
    draft, target = (_drawn(random.random_sample, shape, model) for model in ("draft", "target"))
    return _pair(_normalised(draft), _normalised(target), horizon)


def dirichlet(
    horizon: int = 50,
    states: int = 20,
    draft_concentration: float = 1.0,
    target_concentration: float = 1.0,
    seed: int = 0,
    stationary: bool = False,
) -> ChainPair:
    """Independent rows from symmetric Dirichlet distributions, one concentration (> 0) for each model."""
    horizon, states, random = _shape_and_random("dirichlet", horizon, states, seed, stationary)
    chains = []
    for name, value in (("draft", draft_concentration), ("target", target_concentration)):
        concentration = check_number(f"{name}_concentration", value, above=0.0)
        chains.append(_dirichlet_rows(random, concentration, _steps(horizon, stationary), states, name))
    return _pair(*chains, horizon)


def softmax(
    horizon: int = 50,
    states: int = 20,
    draft_temperature: float = 1.0,
    target_temperature: float = 1.0,
    logit_scale: float = 3.0,
    draft_noise: float = 1.0,
    seed: int = 0,
    stationary: bool = False,
) -> ChainPair:
    """Softmax rows of Gaussian logits, as a language model's last layer gives them.

    Target logits are logit_scale * N(0, 1); draft logits are the same plus draft_noise * N(0, 1); each is
    divided by its model's temperature (> 0). draft_noise = 0 leaves temperature as the only difference.
    """
    horizon, states, random = _shape_and_random("softmax", horizon, states, seed, stationary)
    scale = check_number("logit_scale", logit_scale, least=0.0)
    noise = check_number("draft_noise", draft_noise, least=0.0)
    cold = {
        name: check_number(f"{name}_temperature", value, above=0.0)
        for name, value in (("draft", draft_temperature), ("target", target_temperature))
    }
    shape = (_steps(horizon, stationary), states, states)
    logits = scale * _drawn(random.standard_normal, shape, "target")
    draft_logits = logits + noise * _drawn(random.standard_normal, shape, "draft")
    return _pair(_softmax(draft_logits, cold["draft"]), _softmax(logits, cold["target"]), horizon)


def mixture(
    horizon: int = 50,
    states: int = 20,
    blur: float = 0.3,
    concentration: float = 1.0,
    seed: int = 0,
    stationary: bool = False,
) -> ChainPair:
    """draft = (1 - blur) target + blur noise, with blur in [0, 1] the dial of their distance.

    Target and noise are independent Dirichlet(concentration) rows, the same for every blur, so that
    TV(draft, target) = blur * TV(noise, target) exactly, row by row.
    """
    horizon, states, random = _shape_and_random("mixture", horizon, states, seed, stationary)
    concentration = check_number("concentration", concentration, above=0.0)
    blur = check_number("blur", blur, least=0.0, most=1.0)
    steps = _steps(horizon, stationary)
    target = _dirichlet_rows(random, concentration, steps, states, "target")
    noise = _dirichlet_rows(random, concentration, steps, states, "noise")
    return _pair(_normalised((1 - blur) * target + blur * noise), target, horizon)


def bernoulli(draft: float = 0.7, target: float = 0.5, horizon: int = 1) -> ChainPair:
    """Two tokens: token 1 has probability `draft` under the draft and `target` under the target, in [0, 1].

    Memoryless, with a prompt of either token. The pair of Yin et al. 2024, Figure 3, left.
    """
    horizon = check_count("horizon", horizon)
    rows = []
    for name, value in (("draft", draft), ("target", target)):
        one = check_number(name, value, least=0.0, most=1.0)
        rows.append(np.array([1.0 - one, one]))
    return _memoryless(*rows, horizon)


def uniform(states: int = 24, target_states: int = 12, horizon: int = 1) -> ChainPair:
    """The draft is uniform on `states` tokens, the target on the first `target_states` of them.

    1 <= target_states <= states. Memoryless. The pair of Yin et al. 2024, Figure 3, right, where what matters
    is r = states / target_states.
    """
    horizon, states = check_count("horizon", horizon), check_count("states", states)
    target_states = check_count("target_states", target_states, most=states)
    _check_room("uniform", 1, states)
    draft = np.full(states, 1.0 / states)
    target = np.where(np.arange(states) < target_states, 1.0 / target_states, 0.0)
    return _memoryless(draft, target, horizon)


def file(path: str, horizon: int | None = None) -> ChainPair:
    """A user's own pair from `.npz` with the keys draft, target, initial and, for (V, V) rows, horizon.

    See ChainPair.load. horizon, if given, shortens or extends it.

    Only a stationary pair can be extended. Raises SimlabError as ChainPair.load and with_horizon do.
    """
    if path is None or path == "":
        raise SimlabError("pair=file needs pair.path, the .npz file that holds draft, target and initial")
    pair = ChainPair.load(check_path("path", path))
    return pair if horizon is None else pair.with_horizon(horizon)


def _pair(draft: np.ndarray, target: np.ndarray, horizon: int) -> ChainPair:
    initial = np.full(draft.shape[1], 1.0 / draft.shape[1])
    if len(draft) == 1:
        return ChainPair.stationary(draft[0], target[0], initial, horizon)
    return ChainPair(draft, target, initial)


def _memoryless(draft: np.ndarray, target: np.ndarray, horizon: int) -> ChainPair:
    states = len(draft)
    return _pair(np.tile(draft, (1, states, 1)), np.tile(target, (1, states, 1)), horizon)


def _steps(horizon: int, stationary: bool) -> int:
    if not isinstance(stationary, bool):
        raise SimlabError(f"stationary = {stationary!r} is not valid; expected true or false")
    return 1 if stationary else horizon


def _shape_and_random(
    name: str, horizon, states, seed, stationary=False
) -> tuple[int, int, np.random.RandomState]:
    horizon, states = check_count("horizon", horizon), check_count("states", states)
    seed = check_count("seed", seed, least=0, most=2**32 - 1)
    _check_room(name, _steps(horizon, stationary), states)
    return horizon, states, np.random.RandomState(seed)


def _check_room(name: str, steps: int, states: int) -> None:
    """Raises SimlabError, before anything is built, where the pair does not fit into memory."""
    needed = HELD.get(name, 2) * 8.0 * steps * states**2
    check_fits(f"pair {name} takes", needed, f"fewer states than {states}, or fewer steps than {steps}")


def _drawn(draw: Callable, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """What `draw(size=shape)` returns, some rows at a time: a large pair says how far it is.

    RandomState draws one number after the other, so that the blocks are the whole.
    """
    chain = np.empty(shape)
    rows = chain.reshape(-1, shape[-1])
    block = max(1, _BLOCK // shape[-1])
    for start in stepping(range(0, len(rows), block), f"drawing the {name}"):
        part = rows[start : start + block]
        part[:] = draw(size=part.shape)
    return chain


def _dirichlet_rows(random, concentration: float, steps: int, states: int, name: str) -> np.ndarray:
    rows = _drawn(partial(random.standard_gamma, concentration), (steps, states, states), name)
    with np.errstate(over="ignore"):
        sums = rows.sum(axis=-1)
    for wrong, word in (((sums <= 0).any(), "small"), ((~np.isfinite(sums)).any(), "large")):
        if wrong:
            raise SimlabError(f"{name} concentration = {concentration:g}: too {word} for {states} states")
    return _normalised(rows)


def _softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    return _normalised(np.exp(scaled))


def _normalised(rows: np.ndarray) -> np.ndarray:
    rows /= rows.sum(axis=-1, keepdims=True)
    return rows
