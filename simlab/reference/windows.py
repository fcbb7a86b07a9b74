"""Speculative decoding with finite windows: Leviathan et al. 2023 (arXiv 2211.17192), Algorithm 1, with the
bonus token or without; and with windows that a policy or the draft's confidence sets call by call.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from simlab.checks import shortened
from simlab.decoders import AdaptiveSpeculative, ConfidenceSpeculative, Speculative
from simlab.decoders.settings import LOG_STEP, SAME
from simlab.errors import SimlabError
from simlab.reference.draws import Chains, draw, residual
from simlab.reference.trace import NOBODY


class Call(NamedTuple):
    """One target call: how many tokens were drafted for it, and how many of them were accepted."""

    drafted: int
    accepted: int


Decoder = Speculative | AdaptiveSpeculative | ConfidenceSpeculative


def decode(chains: Chains, start: int, decoder: Decoder, rng, watcher=NOBODY) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt.

    A bonus token is not rejected: "rejected" are the replaced tokens.
    """
    tokens, rejected, _ = decode_calls(chains.draft, chains.target, start, decoder, rng, watcher)
    return tokens, rejected


def decode_calls(
    draft, target, start: int, decoder: Decoder, rng, watcher=NOBODY
) -> tuple[list[int], list[bool], list[Call]]:
    """`decode`, and the target calls one after the other."""
    horizon = len(target)
    tokens: list[int] = []
    rejected: list[bool] = []
    calls: list[Call] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        prefix = tokens[-1] if tokens else start
        drafted = draft_window(draft, begin, prefix, decoder, rng)
        watcher.call(begin, prefix, drafted)
        accepted = verify_window(draft, target, prefix, drafted, tokens, rejected, rng, watcher)
        calls.append(Call(len(drafted), accepted))
        if decoder.has_bonus and accepted == len(drafted):
            add_bonus(target, start, tokens, rejected, rng, watcher)
    return tokens, rejected, calls


def verify_window(draft, target, prefix: int, drafted, tokens, rejected, rng, watcher) -> int:
    """The target verifies the drafted tokens in order, until the first rejection: how many it accepted.

    prefix: the token before them. What comes of them is appended to `tokens` and `rejected`.
    """
    x = prefix
    for accepted, y in enumerate(drafted):
        t = len(tokens)
        acceptance, coin = min(1.0, target[t][x][y] / draft[t][x][y]), rng.random()
        watcher.tried(acceptance, coin)
        if coin >= acceptance:
            rest = residual(target[t][x], draft[t][x])
            watcher.replaced(rest)
            tokens.append(draw(rest, rng))
            rejected.append(True)
            return accepted
        tokens.append(y)
        rejected.append(False)
        x = y
    return len(drafted)


def add_bonus(target, start: int, tokens, rejected, rng, watcher) -> None:
    """One more token, straight from the target; start: the token before the first one."""
    t, x = len(tokens), tokens[-1] if tokens else start
    watcher.bonus(target[t][x])
    tokens.append(draw(target[t][x], rng))
    rejected.append(False)


def draft_window(draft, begin: int, prefix: int, decoder: Decoder, rng) -> list[int]:
    """All tokens that the draft proposes for a call that begins at position `begin` after token `prefix`."""
    left = len(draft) - begin - decoder.has_bonus
    match decoder:
        case AdaptiveSpeculative(policy=policy):
            policy.check_fits(len(draft), len(draft[0]))
            most = min(int(policy.windows[begin, prefix]), left)
        case Speculative(window=window) | ConfidenceSpeculative(window=window):
            most = left if window is None else min(window, left)
        case _:
            raise SimlabError(f"no reference for {shortened(decoder)}")
    drafted: list[int] = []
    seen: list = []
    while len(drafted) < most:
        distribution = draft[begin + len(drafted)][drafted[-1] if drafted else prefix]
        seen.append(distribution)
        if isinstance(decoder, ConfidenceSpeculative) and _unsure(decoder, seen):
            break
        drafted.append(draw(distribution, rng))
    return drafted


def _unsure(decoder: ConfidenceSpeculative, seen: list) -> bool:
    """Whether the rule stops before the next token; seen: the rows of the drafted tokens, and of this one."""
    match decoder.signal:
        case "confidence":
            return max(seen[-1]) < decoder.threshold
        case "entropy":
            entropy = -sum(p * math.log(p) for p in seen[-1] if p > 0)
            return math.sqrt(max(entropy, 0.0)) > decoder.threshold + SAME
        case "cumulative":
            lost = sum(round(-math.log(max(row)) / LOG_STEP) for row in seen)
            return decoder.log_limit is not None and lost > decoder.log_limit
    raise SimlabError(f"no reference for {shortened(decoder)}")
