"""Biased decoding: Yin et al. 2024 (arXiv 2411.00841), Section 4, over-acceptance by epsilon."""

from __future__ import annotations

from simlab.decoders import BiasedSpeculative
from simlab.reference.draws import Chains, draw, residual
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: BiasedSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt."""
    draft, target = chains.draft, chains.target
    horizon = len(target)
    tokens: list[int] = []
    rejected: list[bool] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        prefix = tokens[-1] if tokens else start
        # The draft proposes all tokens up to the horizon.
        drafted: list[int] = []
        for t in range(begin, horizon):
            drafted.append(draw(draft[t][drafted[-1] if drafted else prefix], rng))
        watcher.call(begin, prefix, drafted)
        # They are verified in order, too leniently, until the first rejection.
        for t, y in zip(range(begin, horizon), drafted, strict=True):
            x = tokens[-1] if tokens else start
            acceptance, coin = min(1.0, (target[t][x][y] + decoder.epsilon) / draft[t][x][y]), rng.random()
            watcher.tried(acceptance, coin)
            if coin < acceptance:
                tokens.append(y)
                rejected.append(False)
            else:
                distribution = replacement_distribution(draft[t][x], target[t][x], decoder)
                watcher.replaced(distribution)
                tokens.append(draw(distribution, rng))
                rejected.append(True)
                break
    return tokens, rejected


def replacement_distribution(
    draft: list[float], target: list[float], decoder: BiasedSpeculative
) -> list[float]:
    """The distribution of what replaces a rejected token, (V,), after a token with these rows."""
    if decoder.replacement == "target":
        return target
    if decoder.replacement == "draft":
        return draft
    if decoder.replacement == "residual":
        return residual(target, draft)
    accepted = [
        drafted * min(1.0, (goal + decoder.epsilon) / drafted) if drafted > 0 else 0.0
        for drafted, goal in zip(draft, target, strict=True)
    ]
    return residual(target, accepted)
