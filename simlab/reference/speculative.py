"""Speculative decoding: Yin et al. 2024 (arXiv 2411.00841), Algorithms 1 and 2."""

from __future__ import annotations

from simlab.decoders import Speculative
from simlab.reference.draws import Chains, draw, residual
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: Speculative, rng, watcher=NOBODY
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
        # The target verifies them in order, until the first rejection.
        for t, y in zip(range(begin, horizon), drafted, strict=True):
            x = tokens[-1] if tokens else start
            acceptance, coin = min(1.0, target[t][x][y] / draft[t][x][y]), rng.random()
            watcher.tried(acceptance, coin)
            if coin < acceptance:
                tokens.append(y)
                rejected.append(False)
            else:
                rest = residual(target[t][x], draft[t][x])
                watcher.replaced(rest)
                tokens.append(draw(rest, rng))
                rejected.append(True)
                break
    return tokens, rejected
