"""Autoregressive decoding: each token is drawn from the target."""

from __future__ import annotations

from simlab.reference.draws import draw
from simlab.reference.trace import NOBODY


def decode(target, start: int, rng, watcher=NOBODY) -> tuple[list[int], list[bool]]:
    """One trajectory: target (T, V, V) as nested lists, start the given last token of the prompt."""
    tokens: list[int] = []
    x = start
    for law in target:
        watcher.call(len(tokens), x)
        watcher.bonus(law[x])
        x = draw(law[x], rng)
        tokens.append(x)
    return tokens, [False] * len(tokens)
