"""Verifiers in plain Python, right ones and those with the mistakes that were shipped."""

from __future__ import annotations

import numpy as np


def pick(row, rng):
    row = np.asarray(row, dtype=float)
    return int(np.searchsorted(np.cumsum(row), rng.random() * row.sum(), side="right"))


def residual(target, draft):
    return [max(float(t) - float(d), 0.0) for t, d in zip(target, draft, strict=True)]


def token(tokens, draft, target, rng):
    """Leviathan et al. 2023."""
    out = []
    for i, x in enumerate(tokens.tolist()):
        if rng.random() * draft[i, x] >= target[i, x]:
            return [*out, pick(residual(target[i], draft[i]), rng)]
        out.append(x)
    return [*out, pick(target[-1], rng)]


def block(tokens, draft, target, rng):
    """Sun et al. 2025, algorithm 2: the longest prefix whose own coin says yes."""
    ratio, accepted, last = 1.0, 0, None
    for i, x in enumerate(tokens.tolist()):
        scaled = ratio * target[i].astype(float)
        over = residual(scaled, draft[i])
        if i == 0:
            last = (over, 0)
        ratio = min(1.0, scaled[x] / float(draft[i, x]))
        if i + 1 == len(tokens):
            chance, after = ratio, target[-1]
        else:
            after = residual(ratio * target[i + 1].astype(float), draft[i + 1])
            total = sum(after)
            chance = 1.0 if total + 1.0 - ratio <= 0 else total / (total + 1.0 - ratio)
        if rng.random() < chance:
            accepted, last = i + 1, (after, i + 1)
    row = last[0] if sum(last[0]) > 0 else target[accepted]
    return [*tokens[:accepted].tolist(), pick(row, rng)]


def sampler_match(tokens, draft, target, rng):
    out = []
    for i in range(len(target)):
        out.append(pick(target[i], rng))
        if i == len(tokens) or out[-1] != tokens[i]:
            return out


def greedy_match(tokens, draft, target, rng):
    """Whatever the draft's rows say, its token is taken as certain."""
    out = []
    for i, x in enumerate(tokens.tolist()):
        if rng.random() >= target[i, x]:
            return [*out, pick([float(t) * (z != x) for z, t in enumerate(target[i])], rng)]
        out.append(x)
    return [*out, pick(target[-1], rng)]


def recursive(tokens, draft, target, rng):
    """Multi-draft: a second candidate of its own, drawn from the draft, is verified by what is left over."""
    out = []
    for i, x in enumerate(tokens.tolist()):
        if rng.random() * draft[i, x] < target[i, x]:
            out.append(x)
            continue
        left = np.array(residual(target[i], draft[i]))
        left /= left.sum()
        second = pick(draft[i], rng)
        if rng.random() * draft[i, second] < left[second]:
            return [*out, second]
        return [*out, pick(residual(left, draft[i]), rng)]
    return [*out, pick(target[-1], rng)]


def replacement_from_target(tokens, draft, target, rng):
    out = []
    for i, x in enumerate(tokens.tolist()):
        if rng.random() * draft[i, x] >= target[i, x]:
            break
        out.append(x)
    return [*out, pick(target[len(out)], rng)]


def one_uniform(tokens, draft, target, rng):
    out, u = [], rng.random()
    for i, x in enumerate(tokens.tolist()):
        if u * draft[i, x] >= target[i, x]:
            return [*out, pick(residual(target[i], draft[i]), rng)]
        out.append(x)
    return [*out, pick(target[-1], rng)]


def all_accepted(tokens, draft, target, rng):
    return [*tokens.tolist(), pick(target[-1], rng)]


def reused_noise(tokens, draft, target, rng):
    """The Gumbel noise that chose the draft token (here: drawn given that it did) chooses the replacement."""
    out = []
    for i, x in enumerate(tokens.tolist()):
        if rng.random() * draft[i, x] < target[i, x]:
            out.append(x)
            continue
        first = rng.exponential()
        clocks = [
            d * first + (0 if z == x else rng.exponential()) for z, d in enumerate(draft[i].astype(float))
        ]
        rates = residual(target[i], draft[i])
        rings = [(c / r if r else np.inf, z) for z, (c, r) in enumerate(zip(clocks, rates, strict=True))]
        return [*out, min(rings)[1]]
    return [*out, pick(target[-1], rng)]


def greedy_as_sampled(tokens, draft, target, rng):
    return token(draft.argmax(axis=1), draft, target, rng)


def own_noisy_drafts(tokens, draft, target, rng):
    """Drafts its own tokens, so that what it accepts is not what it was given."""
    return token(np.array([pick(row, rng) for row in draft]), draft, target, rng)


def raw_draft_rows(tokens, draft, target, rng):
    """The rows before truncation, as near as they can be had: every token possible."""
    return token(tokens, 0.8 * draft + 0.2 / draft.shape[1], target, rng)


def temperature_in_the_bonus_only(tokens, draft, target, rng):
    warm = target.astype(float).copy()
    warm[:-1] **= 0.8
    return token(tokens, draft, warm / warm.sum(axis=1, keepdims=True), rng)


def filter_in_the_bonus_only(tokens, draft, target, rng):
    filtered = target.astype(float).copy()
    filtered[-1] *= filtered[-1] >= 0.2 * filtered[-1].max()
    return token(tokens, draft, filtered, rng)


class LeakingState:
    """The next call starts with the uniform that this one accepted or rejected its first token by."""

    def __init__(self):
        self.kept, self.fresh = 0.5, True

    def __call__(self, tokens, draft, target, rng):
        u = rng.random() if self.fresh else self.kept
        self.kept, self.fresh = u, not self.fresh
        x = int(tokens[0])
        if u * draft[0, x] >= target[0, x]:
            return [pick(residual(target[0], draft[0]), rng)]
        if len(tokens) == 1:
            return [x, pick(target[1], rng)]
        return [x, *token(tokens[1:], draft[1:], target[1:], rng)]


class CachedRows:
    """Remembers the target's rows by draft tokens, as if they had but one."""

    def __init__(self):
        self.rows = {}

    def __call__(self, tokens, draft, target, rng):
        rows = self.rows.setdefault((*tokens.tolist(), draft.shape[1]), target.copy())
        return token(tokens, draft, rows, rng)


def in_a_batch(verify):
    """Every sequence by itself."""

    def verifier(tokens, draft, target, rng):
        return [verify(*one, rng) for one in zip(tokens, draft, target, strict=True)]

    return verifier


def wrong_rows_from_the_third_sequence_on(tokens, draft, target, rng):
    rows = target[np.minimum(np.arange(len(target)), 1)]
    return [token(*one, rng) for one in zip(tokens, draft, rows, strict=True)]


def one_uniform_for_the_batch(tokens, draft, target, rng):
    uniform, found = rng.random(), []
    for x, q, p in zip(tokens, draft, target, strict=True):
        if uniform * q[0, x[0]] >= p[0, x[0]]:
            found.append([pick(residual(p[0], q[0]), rng)])
        elif len(x) == 1:
            found.append([int(x[0]), pick(p[1], rng)])
        else:
            found.append([int(x[0]), *token(x[1:], q[1:], p[1:], rng)])
    return found


RIGHT = (token, block, sampler_match, greedy_match, recursive)
WRONG = (
    replacement_from_target,
    one_uniform,
    all_accepted,
    reused_noise,
    greedy_as_sampled,
    own_noisy_drafts,
    raw_draft_rows,
    temperature_in_the_bonus_only,
    filter_in_the_bonus_only,
)
