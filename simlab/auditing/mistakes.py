"""Mistakes that were shipped, as variations of token verification: of many calls at once, on arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from simlab.auditing.instances import Instance, draw


def drafted_rows(instance: Instance, calls: int, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draft tokens (n, g) and the true rows of each call, (n, g, V) and (n, g + 1, V)."""
    tokens = np.zeros((calls, instance.window), dtype=np.int64)
    context = np.zeros(calls, dtype=np.int64)
    draft, target = [], [instance.true_target[0, context]]
    for i in range(instance.window):
        draft.append(instance.true_draft[i, context])
        tokens[:, i] = draw(draft[-1], rng)
        context = (context * instance.states + tokens[:, i]) % instance.draft.shape[1]
        target.append(instance.true_target[i + 1, context])
    return tokens, np.stack(draft, axis=1), np.stack(target, axis=1)


def _verify(tokens, ratio, last, uniforms) -> tuple[np.ndarray, np.ndarray]:
    """Accept while uniforms < ratio (n, g); then emit the token of `last` (n, g + 1) at that position."""
    calls, window = tokens.shape
    accepted = np.cumprod(uniforms < ratio, axis=1).sum(axis=1)
    emitted = np.where(np.arange(window + 1) < accepted[:, None], np.pad(tokens, ((0, 0), (0, 1))), -1)
    emitted[np.arange(calls), accepted] = last[np.arange(calls), accepted]
    return emitted, accepted


def _at(rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return np.take_along_axis(rows, tokens[..., None], axis=-1)[..., 0]


def _residual(draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[target - draft]_+, normalised; the target where it is empty, which nothing reaches."""
    excess = np.maximum(target[:, :-1] - draft, 0.0)
    total = excess.sum(axis=-1, keepdims=True)
    return np.where(total > 0, excess / np.where(total > 0, total, 1.0), target[:, :-1])


def _drawn(rows: np.ndarray, rng) -> np.ndarray:
    return draw(rows.reshape(-1, rows.shape[-1]), rng).reshape(rows.shape[:-1])


def _ratio(tokens, draft, target) -> np.ndarray:
    proposed = _at(draft, tokens)
    with np.errstate(divide="ignore"):
        return np.where(proposed > 0, _at(target[:, :-1], tokens) / np.where(proposed > 0, proposed, 1), 1.0)


def _with_rows(tokens, draft, target, rng, replacement=None, ratio=None, uniforms=None):
    replacement = _residual(draft, target) if replacement is None else replacement
    last = _drawn(np.concatenate([replacement, target[:, -1:]], axis=1), rng)
    uniforms = rng.random(tokens.shape) if uniforms is None else uniforms
    return _verify(tokens, _ratio(tokens, draft, target) if ratio is None else ratio, last, uniforms)


def right(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng)


def target_replacement(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, replacement=target[:, :-1])


def draft_replacement(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, replacement=draft)


def shared_uniform(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, uniforms=rng.random((len(tokens), 1)))


def all_accepted(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, ratio=np.ones(tokens.shape))


def none_accepted(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, ratio=np.zeros(tokens.shape))


def greedy_as_sampled(tokens, draft, target, rng):
    tokens = draft.argmax(axis=-1)
    return _with_rows(tokens, draft, target, rng)


def sampled_as_greedy(tokens, draft, target, rng):
    return _with_rows(tokens, np.eye(draft.shape[-1])[tokens], target, rng)


def swapped_rows(tokens, draft, target, rng):
    with np.errstate(divide="ignore"):
        ratio = 1 / _ratio(tokens, draft, target)
    return _with_rows(tokens, draft, target, rng, ratio=ratio)


def next_rows(tokens, draft, target, rng):
    moved = np.concatenate([target[:, 1:], target[:, -1:]], axis=1)
    return _with_rows(tokens, draft, moved, rng)


def reused_noise(tokens, draft, target, rng):
    # Exponential clocks given which rings first: the winner at E, the others at draft * E + their own E.
    noise = rng.exponential(size=draft.shape)
    first = rng.exponential(size=tokens.shape)
    noise += draft * first[..., None]
    np.put_along_axis(noise, tokens[..., None], (_at(draft, tokens) * first)[..., None], axis=-1)
    again = (_residual(draft, target) / np.maximum(noise, 1e-300)).argmax(axis=-1)
    last = np.concatenate([again, draw(target[:, -1], rng)[:, None]], axis=1)
    return _verify(tokens, _ratio(tokens, draft, target), last, rng.random(tokens.shape))


def reused_uniform(tokens, draft, target, rng):
    uniforms = rng.random(tokens.shape)
    sums = np.cumsum(_residual(draft, target), axis=-1)
    again = np.minimum((uniforms[..., None] >= sums).sum(axis=-1), draft.shape[-1] - 1)
    last = np.concatenate([again, draw(target[:, -1], rng)[:, None]], axis=1)
    return _verify(tokens, _ratio(tokens, draft, target), last, uniforms)


def other_draft_rows(tokens, draft, target, rng, change):
    return _with_rows(tokens, change(draft), target, rng)


def other_verified_rows(tokens, draft, target, rng, change):
    verified = np.concatenate([change(target[:, :-1]), target[:, -1:]], axis=1)
    return _with_rows(tokens, draft, verified, rng)


def other_bonus_row(tokens, draft, target, rng, change):
    rows = np.concatenate([target[:, :-1], change(target[:, -1:])], axis=1)
    return _with_rows(tokens, draft, rows, rng)


def rows_of_another_sequence(tokens, draft, target, rng):
    """Of three sequences that are verified together the third gets the target's rows of the second."""
    rows = target.copy()
    rows[2::3] = rows[1 : 1 + 3 * len(rows[2::3]) : 3]
    return _with_rows(tokens, draft, rows, rng)


def warmed(rows: np.ndarray, power: float) -> np.ndarray:
    return _normalised(rows**power)


def flattened(rows: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * rows + share / rows.shape[-1]


def filtered(rows: np.ndarray, least: float) -> np.ndarray:
    return _normalised(rows * (rows >= least * rows.max(axis=-1, keepdims=True)))


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(axis=-1, keepdims=True)


CHANGES = (
    *(partial(warmed, power=power) for power in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    *(partial(warmed, power=power) for power in (1.1, 1.25, 1.4, 1.6, 1.8, 2.0)),
    *(partial(flattened, share=share) for share in (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)),
    *(partial(filtered, least=least) for least in (0.1, 0.2, 0.5)),
)
"""What temperature and filters make of rows, undone or done once too often, coarsely: near is near enough."""


def _changed(verify: Callable) -> tuple[Callable, ...]:
    return tuple(partial(verify, change=change) for change in CHANGES)


MISSING_IN_THE_TEST = (
    "the target's temperature or filter is missing in the test, but present for the bonus token"
)
MISSING_EVERYWHERE = "the target's temperature or filter is missing, at all positions"
MISTAKES: dict[str, tuple[Callable, ...]] = {
    "the replacement is drawn from the target instead of the residual": (target_replacement,),
    "the replacement is drawn from the draft": (draft_replacement,),
    "one uniform decides at all positions": (shared_uniform,),
    "every draft token is accepted: a wrong count of accepted tokens": (all_accepted,),
    "every draft token is rejected, and the residual emitted": (none_accepted,),
    "a greedy draft is verified as if it were sampled": (greedy_as_sampled,),
    "a sampled draft is verified as if it were greedy": (sampled_as_greedy,),
    "the ratio is upside down: draft over target": (swapped_rows,),
    "wrong rows: the target's rows of the next position": (next_rows,),
    "the replacement reuses the noise that chose the rejected draft token": (reused_noise,),
    "the replacement reuses the uniform that rejected the draft token": (reused_uniform,),
    "ratio and residual use other draft rows than those that its tokens were drawn from: raw ones, before "
    "temperature, top-k or top-p": _changed(other_draft_rows),
    MISSING_IN_THE_TEST: _changed(other_verified_rows),
}
"""By the words of a report; variants of one mistake where it has a parameter."""
