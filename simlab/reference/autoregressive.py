"""Autoregressive decoding: each token is drawn from the target."""

from __future__ import annotations

from simlab.decoders import Autoregressive
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: Autoregressive, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt."""
    tokens: list[int] = []
    x = start
    for distribution in chains.target:
        watcher.call(len(tokens), x)
        watcher.bonus(distribution[x])
        x = draw(distribution[x], rng)
        tokens.append(x)
    return tokens, [False] * len(tokens)
