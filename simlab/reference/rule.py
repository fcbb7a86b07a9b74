"""Speculative decoding with any rule of acceptance (the class of Yin et al. 2024, Section 3), with finite
windows and the bonus token or without."""

from __future__ import annotations

from simlab.decoders import RuleSpeculative
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: RuleSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt. The rule comes as tables of the pair."""
    target, rule = chains.target, decoder.rule
    horizon = len(target)

    def row(table, t: int, x: int):
        return table[t if len(table) > 1 else 0][x]

    tokens: list[int] = []
    rejected: list[bool] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        prefix = tokens[-1] if tokens else start
        left = horizon - begin - decoder.bonus
        length = left if decoder.window is None else min(decoder.window, left)
        drafted: list[int] = []
        for t in range(begin, begin + length):
            drafted.append(draw(row(rule.proposed, t, drafted[-1] if drafted else prefix).tolist(), rng))
        watcher.call(begin, prefix, drafted)
        # The rule verifies them in order, until the first rejection.
        failed = False
        for t, y in zip(range(begin, begin + length), drafted, strict=True):
            x = tokens[-1] if tokens else start
            acceptance, coin = float(row(rule.accept, t, x)[y]), rng.random()
            watcher.tried(acceptance, coin)
            failed = not coin < acceptance
            rejected.append(failed)
            if failed:
                rows = row(rule.replacement, t, x)
                replacement = (rows[y] if rows.ndim == 2 else rows).tolist()
                watcher.replaced(replacement)
                tokens.append(draw(replacement, rng))
                break
            tokens.append(y)
        if decoder.bonus and not failed:
            t, x = len(tokens), tokens[-1] if tokens else start
            watcher.bonus(target[t][x])
            tokens.append(draw(target[t][x], rng))
            rejected.append(False)
    return tokens, rejected
