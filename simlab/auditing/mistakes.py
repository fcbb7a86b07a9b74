"""Mistakes that were shipped, as variations of token verification, and which of them an output looks like.

Only names a failure: no verdict asks this module.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simlab.auditing.evidence import Evidence
from simlab.auditing.instances import Instance, draw

CALLS = 8000
"""Calls of each mistake on each instance that its output is compared on."""

INSTANCES = 4
"""How many instances, those with the strongest evidence, the comparison is made on."""

ALIKE = 0.03
"""The mean total variation, beyond that of chance, up to which an output looks like a mistake's."""

LEAST = 0.01
"""The least mean total variation from a right verifier that tells one mistake from another."""


def looks_like(evidences: list[Evidence], rng: np.random.Generator) -> str | None:
    """The mistake whose outputs are nearest to those seen, if they are near; else None."""
    seen = [evidence for evidence in evidences if evidence.calls]
    seen = sorted(seen, key=lambda one: -one.strength())[:INSTANCES]
    distances = {name: _distance(seen, verify, rng) for name, verify in MISTAKES.items()}
    right = _distance(seen, _right, rng)
    name = min(distances, key=distances.get)
    return name if LEAST < right and distances[name] < min(ALIKE, right / 2) else None


def _distance(evidences: list[Evidence], verify: Callable, rng) -> float:
    """Mean total variation between the outputs seen and a verifier's, by number accepted and token, less
    what two samples of one distribution would show.
    """
    found = []
    for evidence in evidences:
        other = Evidence(evidence.instance, None)
        _play(other, verify, rng)
        for ours, theirs in zip(evidence.by_accepted[:2], other.by_accepted[:2], strict=True):
            distance = np.abs(ours / ours.sum() - theirs / theirs.sum()).sum() / 2
            mean = (ours + theirs) / (ours.sum() + theirs.sum())
            chance = np.sqrt(mean * (1 / ours.sum() + 1 / theirs.sum()) / (2 * np.pi)).sum()
            found.append(distance - chance)
    return float(np.mean(found))


def _play(evidence: Evidence, verify: Callable, rng: np.random.Generator) -> None:
    from simlab.auditing.calling import Sample

    instance = evidence.instance
    drafted, draft, target = drafted_rows(instance, CALLS, rng)
    emitted, accepted = verify(drafted, draft, target, rng)
    nothing = np.zeros(CALLS, dtype=np.int64)
    evidence.add(Sample(drafted, emitted, accepted, nothing), nothing, rng)


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


def _right(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng)


def _target_replacement(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, replacement=target[:, :-1])


def _draft_replacement(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, replacement=draft)


def _shared_uniform(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, uniforms=rng.random((len(tokens), 1)))


def _all_accepted(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, ratio=np.ones(tokens.shape))


def _none_accepted(tokens, draft, target, rng):
    return _with_rows(tokens, draft, target, rng, ratio=np.zeros(tokens.shape))


def _greedy_as_sampled(tokens, draft, target, rng):
    tokens = draft.argmax(axis=-1)
    return _with_rows(tokens, draft, target, rng)


def _sampled_as_greedy(tokens, draft, target, rng):
    return _with_rows(tokens, np.eye(draft.shape[-1])[tokens], target, rng)


def _swapped_rows(tokens, draft, target, rng):
    with np.errstate(divide="ignore"):
        ratio = 1 / _ratio(tokens, draft, target)
    return _with_rows(tokens, draft, target, rng, ratio=ratio)


def _next_rows(tokens, draft, target, rng):
    moved = np.concatenate([target[:, 1:], target[:, -1:]], axis=1)
    return _with_rows(tokens, draft, moved, rng)


def _reused_noise(tokens, draft, target, rng):
    # Exponential clocks given which rings first: the winner at E, the others at draft * E + their own E.
    noise = rng.exponential(size=draft.shape)
    first = rng.exponential(size=tokens.shape)
    noise += draft * first[..., None]
    np.put_along_axis(noise, tokens[..., None], (_at(draft, tokens) * first)[..., None], axis=-1)
    again = (_residual(draft, target) / np.maximum(noise, 1e-300)).argmax(axis=-1)
    last = np.concatenate([again, draw(target[:, -1], rng)[:, None]], axis=1)
    return _verify(tokens, _ratio(tokens, draft, target), last, rng.random(tokens.shape))


def _reused_uniform(tokens, draft, target, rng):
    uniforms = rng.random(tokens.shape)
    sums = np.cumsum(_residual(draft, target), axis=-1)
    again = np.minimum((uniforms[..., None] >= sums).sum(axis=-1), draft.shape[-1] - 1)
    last = np.concatenate([again, draw(target[:, -1], rng)[:, None]], axis=1)
    return _verify(tokens, _ratio(tokens, draft, target), last, uniforms)


MISTAKES: dict[str, Callable] = {
    "the replacement is drawn from the target instead of the residual": _target_replacement,
    "the replacement is drawn from the draft": _draft_replacement,
    "one uniform decides at all positions": _shared_uniform,
    "every draft token is accepted: a wrong count of accepted tokens": _all_accepted,
    "every draft token is rejected, and the residual emitted": _none_accepted,
    "a greedy draft is verified as if it were sampled": _greedy_as_sampled,
    "a sampled draft is verified as if it were greedy": _sampled_as_greedy,
    "the ratio is upside down: draft over target": _swapped_rows,
    "wrong rows: the target's rows of the next position": _next_rows,
    "the replacement reuses the noise that chose the rejected draft token": _reused_noise,
    "the replacement reuses the uniform that rejected the draft token": _reused_uniform,
}
