"""What comes out of one call on an instance, exactly: every draft is enumerated (own).

A verifier that looks at the tokens one by one is told by how likely it accepts the first i tokens of a draft,
and by what it emits behind them. Completed by draws from the target this is a distribution of g + 1 tokens,
which is the target's if and only if the verifier is unbiased on the instance. The mistakes are those of
`mistakes`, derived here by summing and integrating, where they are drawn there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from simlab.auditing.instances import Instance


@dataclass(frozen=True, eq=False)
class Drafts:
    """Every draft of an instance: tokens (N, g), their probability (N,), and their rows, (N, g, V) and
    (N, g + 1, V)."""

    tokens: np.ndarray
    probability: np.ndarray
    draft: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class Calls:
    """What a verifier does with each draft. tokens (N, g): those that it accepts, if so many; reach
    (N, g + 1): the probability that it accepts i or more; last (N, g + 1, V): what it emits behind i."""

    tokens: np.ndarray
    reach: np.ndarray
    last: np.ndarray


def every_draft(instance: Instance) -> Drafts:
    """All V**g drafts, N of them, those of probability zero too."""
    window, states = instance.window, instance.states
    tokens = np.indices((states,) * window).reshape(window, -1).T
    contexts = instance.contexts(tokens)
    places = np.arange(window + 1)
    draft = instance.true_draft[places[:-1], contexts[:, :-1]]
    probability = np.take_along_axis(draft, tokens[..., None], axis=-1)[..., 0].prod(axis=1)
    return Drafts(tokens, probability, draft, instance.true_target[places, contexts])


def completed_distribution(instance: Instance, verify: Callable[[Drafts], Calls]) -> np.ndarray:
    """The distribution of the g + 1 tokens that come out, completed by the target: (V,) * (g + 1), flat."""
    drafts = every_draft(instance)
    calls = verify(drafts)
    stops = _stops(calls.reach)
    states, prefix = instance.states, np.zeros(len(drafts.tokens), dtype=np.int64)
    mass = np.zeros(1)
    for i, rows in enumerate(instance.true_target):
        mass = (mass[:, None] * rows[np.arange(len(mass)) % len(rows)]).ravel()
        cells = prefix[:, None] * states + np.arange(states)
        emitted = (drafts.probability * stops[:, i])[:, None] * calls.last[:, i]
        mass += np.bincount(cells.ravel(), emitted.ravel(), len(mass))
        if i < instance.window:
            prefix = prefix * states + calls.tokens[:, i]
    return mass


def right(drafts: Drafts) -> Calls:
    """Token verification (Leviathan et al. 2023)."""
    return _by_rows(drafts, drafts.draft, drafts.target)


def replacement_from_the_target(drafts: Drafts) -> Calls:
    """The target, where the residual belongs."""
    calls = right(drafts)
    return Calls(calls.tokens, calls.reach, drafts.target)


def one_uniform(drafts: Drafts) -> Calls:
    """The first i tokens are accepted together if the one uniform is below all their ratios."""
    ratio = _accepted(drafts.tokens, drafts.draft, drafts.target)
    reach = np.minimum.accumulate(_from_one(ratio), axis=1)
    return Calls(drafts.tokens, reach, right(drafts).last)


def all_accepted(drafts: Drafts) -> Calls:
    """No token is rejected."""
    return Calls(drafts.tokens, np.ones(drafts.target.shape[:2]), drafts.target)


def greedy_as_sampled(drafts: Drafts) -> Calls:
    """The draft's likeliest tokens stand for those that were drafted."""
    greedy = replace(drafts, tokens=drafts.draft.argmax(axis=-1))
    return _by_rows(greedy, drafts.draft, drafts.target)


def other_draft_rows(drafts: Drafts, change: Callable) -> Calls:
    """Ratio and residual of a draft that the tokens were not drawn from."""
    return _by_rows(drafts, change(drafts.draft), drafts.target)


def other_rows_in_the_test(drafts: Drafts, change: Callable) -> Calls:
    """Another target in ratio and residual, the right one for the bonus token."""
    target = np.concatenate([change(drafts.target[:, :-1]), drafts.target[:, -1:]], axis=1)
    return _by_rows(drafts, drafts.draft, target)


def other_row_of_the_bonus(drafts: Drafts, change: Callable) -> Calls:
    """Another target for the bonus token alone."""
    target = np.concatenate([drafts.target[:, :-1], change(drafts.target[:, -1:])], axis=1)
    return _by_rows(drafts, drafts.draft, target)


def rows_of_another_sequence(drafts: Drafts) -> Calls:
    """Of three sequences the third is verified with the target's rows of another: of every other draft, by
    its probability. The last is what is emitted on average, given the draft and how many are accepted."""
    kept = right(drafts)
    reach, emitted = np.zeros_like(kept.reach), np.zeros_like(kept.last)
    for probability, target in zip(drafts.probability, drafts.target, strict=True):
        calls = _by_rows(drafts, drafts.draft, np.broadcast_to(target, drafts.target.shape))
        reach += probability * calls.reach
        emitted += probability * _stops(calls.reach)[..., None] * calls.last
    reach = (2 * kept.reach + reach) / 3
    emitted = (2 * _stops(kept.reach)[..., None] * kept.last + emitted) / 3
    stops = emitted.sum(axis=-1, keepdims=True)
    return Calls(drafts.tokens, reach, np.divide(emitted, stops, out=kept.last.copy(), where=stops > 0))


def reused_noise(drafts: Drafts) -> Calls:
    """Exponential clocks chose the draft token, the first to ring, and choose the replacement again.

    Clock w rings at draft(w) e + E_w, with e the first ring and E_w independent exponentials, and is read at
    rate r(w), the residual. With t = s e, integrating over e leaves P(z) = r(z) * integral of
    ds / (1 + h(s))**2 over s > draft(z)/r(z), h(s) = sum_w [r(w) s - draft(w)]_+, piecewise linear.
    """
    calls = right(drafts)
    last = calls.last.copy()
    rows = np.concatenate([drafts.draft, calls.last[:, :-1]], axis=-1).reshape(-1, 2 * last.shape[-1])
    different, which = np.unique(rows, axis=0, return_inverse=True)
    chosen = np.array([_first_ring(*np.split(row, 2)) for row in different])
    last[:, :-1] = chosen[which.reshape(last.shape[0], -1)]
    return Calls(calls.tokens, calls.reach, last)


def _first_ring(draft: np.ndarray, residual: np.ndarray) -> np.ndarray:
    able = residual > 0
    opens = np.divide(draft, residual, out=np.full(len(draft), np.inf), where=able)
    knots = np.unique(opens[able])
    height = np.maximum(residual * knots[:, None] - draft, 0.0).sum(axis=1)  # h at each knot
    slope = np.where(opens <= knots[:, None], residual, 0.0).sum(axis=1)
    left = 1 / (1 + height)
    pieces = (left - np.append(left[1:], 0.0)) / slope  # of the integral, from each knot to the next
    behind = np.append(np.cumsum(pieces[::-1])[::-1], 0.0)
    found = np.where(able, residual * behind[np.searchsorted(knots, np.where(able, opens, np.inf))], 0.0)
    return found / found.sum()


def _by_rows(drafts: Drafts, draft: np.ndarray, target: np.ndarray) -> Calls:
    """Token verification with these rows, (N, g, V) and (N, g + 1, V)."""
    excess = np.maximum(target[:, :-1] - draft, 0.0)
    total = excess.sum(axis=-1, keepdims=True)
    residual = np.divide(excess, total, out=np.array(target[:, :-1]), where=total > 0)
    reach = np.cumprod(_from_one(_accepted(drafts.tokens, draft, target)), axis=1)
    return Calls(drafts.tokens, reach, np.concatenate([residual, target[:, -1:]], axis=1))


def _accepted(tokens: np.ndarray, draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    proposed, wanted = (
        np.take_along_axis(rows, tokens[..., None], axis=-1)[..., 0] for rows in (draft, target[:, :-1])
    )
    return np.divide(np.minimum(wanted, proposed), proposed, out=np.ones(proposed.shape), where=proposed > 0)


def _from_one(ratio: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(ratio), 1)), ratio], axis=1)


def _stops(reach: np.ndarray) -> np.ndarray:
    return reach - np.pad(reach[:, 1:], ((0, 0), (0, 1)))


def flattened(share: float) -> Callable:
    """Rows with a share of the even distribution."""
    return lambda rows: (1 - share) * rows + share / rows.shape[-1]


def warmed(power: float) -> Callable:
    """Rows to a power."""
    return lambda rows: _normalised(rows**power)


def filtered(least: float) -> Callable:
    """Rows without the tokens that are less likely than this share of the likeliest (min-p)."""
    return lambda rows: _normalised(rows * (rows >= least * rows.max(axis=-1, keepdims=True)))


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(axis=-1, keepdims=True)
