"""Batch speculative decoding: Yin et al. 2024 (arXiv 2411.00841), Algorithm 4.

As printed, the algorithm would take the residual once more after the last failure than its own proof does,
which biases the tokens; here, as in the proof, q^(M+1) is used once.
"""

from __future__ import annotations

from simlab.decoders import BatchSpeculative
from simlab.reference.draws import Chains, draw, residual
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: BatchSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt."""
    draft, target = chains.draft, chains.target
    horizon = len(target)
    tokens: list[int] = []
    rejected: list[bool] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        prefix = tokens[-1] if tokens else start
        # M = decoder.drafts full drafts from the same prefix.
        drafted: list[list[int]] = []
        for _ in range(decoder.drafts):
            path: list[int] = []
            for t in range(begin, horizon):
                path.append(draw(draft[t][path[-1] if path else prefix], rng))
            drafted.append(path)
        watcher.call(begin, prefix, *drafted)
        # Their first tokens are tried in order.
        distribution = draft[begin][prefix]
        goal = target[begin][prefix]
        accepted = None
        for number, path in enumerate(drafted):
            acceptance, coin = min(1.0, goal[path[0]] / distribution[path[0]]), rng.random()
            watcher.tried(acceptance, coin, draft=number, residual_target=goal)
            if coin < acceptance:
                accepted = path
                break
            goal = residual(goal, distribution)
        if accepted is None:
            watcher.replaced(goal)
            tokens.append(draw(goal, rng))
            rejected.append(True)
            continue
        tokens.append(accepted[0])
        rejected.append(False)
        # The accepted draft alone is followed, against the target itself, until its first rejection.
        for t, y in zip(range(begin + 1, horizon), accepted[1:], strict=True):
            x = tokens[-1]
            acceptance, coin = min(1.0, target[t][x][y] / draft[t][x][y]), rng.random()
            watcher.tried(acceptance, coin, draft=number)
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
