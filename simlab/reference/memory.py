"""Speculative decoding whose window has a memory, rule by rule as each is told, without automata.

Hugging Face's heuristic (transformers, `num_assistant_tokens_schedule="heuristic"`), a streak of equal
outcomes, and moving averages of the acceptance rate and of accepted tokens, rounded after each call.
"""

from __future__ import annotations

import math
from fractions import Fraction

from simlab.checks import shortened
from simlab.decoders import (
    EmaSpeculative,
    HistorySpeculative,
    LadderSpeculative,
    Remembering,
    StreakSpeculative,
)
from simlab.errors import SimlabError
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY
from simlab.reference.windows import Call, add_bonus, verify_window


def decode(
    chains: Chains, start: int, decoder: Remembering, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt. "rejected" are the replaced tokens."""
    tokens, rejected, _ = decode_calls(chains.draft, chains.target, start, decoder, rng, watcher)
    return tokens, rejected


def decode_calls(
    draft, target, start: int, decoder: Remembering, rng, watcher=NOBODY
) -> tuple[list[int], list[bool], list[Call]]:
    """`decode`, and the target calls one after the other."""
    tokens: list[int] = []
    rejected: list[bool] = []
    calls: list[Call] = []
    rule = windows_of(decoder)
    window = next(rule)
    while len(tokens) < len(target):
        begin, prefix = len(tokens), tokens[-1] if tokens else start
        drafted: list[int] = []
        while len(drafted) < min(window, len(target) - begin - 1):
            distribution = draft[begin + len(drafted)][drafted[-1] if drafted else prefix]
            drafted.append(draw(distribution, rng))
        watcher.call(begin, prefix, drafted)
        accepted = verify_window(draft, target, prefix, drafted, tokens, rejected, rng, watcher)
        calls.append(Call(len(drafted), accepted))
        if accepted == len(drafted):
            add_bonus(target, start, tokens, rejected, rng, watcher)
        window = rule.send(accepted)
    return tokens, rejected, calls


def windows_of(decoder: Remembering):
    """A generator of windows, to which is sent how many tokens of the last one were accepted."""
    match decoder:
        case HistorySpeculative():
            return _history(decoder)
        case StreakSpeculative():
            return _streak(decoder)
        case EmaSpeculative():
            return _ema(decoder)
        case LadderSpeculative():
            return _ladder(decoder)
    raise SimlabError(f"no reference for {shortened(decoder)}")


def _history(decoder: HistorySpeculative):
    window = decoder.start
    while True:
        accepted = yield window
        if accepted == window:
            window = min(decoder.longest, window + decoder.up)
        else:
            window = max(decoder.shortest, window - decoder.down)


def _streak(decoder: StreakSpeculative):
    window, outcomes = decoder.start, []
    while True:
        accepted = yield window
        outcomes.append(accepted == window)
        streak = outcomes[-decoder.streak :]
        if len(streak) < decoder.streak:
            continue
        if all(streak):
            window, outcomes = min(decoder.longest, window + 1), []
        elif not any(streak):
            window, outcomes = max(decoder.shortest, window - 1), []


def _ema(decoder: EmaSpeculative):
    weight, narrow, widen = (Fraction(str(part)) for part in (decoder.weight, decoder.narrow, decoder.widen))

    window, average = decoder.start, _rounded((narrow + widen) / 2, decoder.levels)
    while True:
        accepted = yield window
        average = _rounded((1 - weight) * average + weight * Fraction(accepted, window), decoder.levels)
        if average > widen:
            window = min(decoder.longest, window + 1)
        elif average < narrow:
            window = max(decoder.shortest, window - 1)


def _ladder(decoder: LadderSpeculative):
    weight, up, down = (Fraction(str(part)) for part in (decoder.weight, decoder.up, decoder.down))
    rungs, half = decoder.windows, Fraction(1, 2)
    rung, average = rungs.index(decoder.start), Fraction(decoder.start - 1)
    while True:
        accepted = yield rungs[rung]
        average = _rounded((1 - weight) * average + weight * accepted, decoder.levels)
        while rung > 0 and average <= rungs[rung - 1] - half + down:
            rung -= 1
        while rung + 1 < len(rungs) and average > rungs[rung] - half + up:
            rung += 1


def _rounded(average: Fraction, levels: int) -> Fraction:
    return Fraction(math.floor(average * levels + Fraction(1, 2)), levels)
