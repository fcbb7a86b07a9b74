"""Speculative decoding with block verification: Sun et al. 2024 (arXiv 2403.10444), with the bonus token."""

from __future__ import annotations

from typing import NamedTuple

from simlab.decoders import BlockSpeculative
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY


class Call(NamedTuple):
    """One target call: how many tokens were drafted for it, and how many of them were accepted."""

    drafted: int
    accepted: int


def decode(
    chains: Chains, start: int, decoder: BlockSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt.

    A bonus token is not rejected: "rejected" are the corrected tokens, behind a part of the window.
    """
    tokens, rejected, _ = decode_calls(chains.draft, chains.target, start, decoder, rng, watcher)
    return tokens, rejected


def decode_calls(
    draft, target, start: int, decoder: BlockSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool], list[Call]]:
    """`decode`, and the target calls one after the other."""
    horizon = len(target)
    tokens: list[int] = []
    rejected: list[bool] = []
    calls: list[Call] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        left = horizon - begin - 1
        gamma = left if decoder.window is None else min(decoder.window, left)
        # x[0] is the last token that is there, x[1] .. x[gamma] are drafted; p[i] is the ratio after x[i].
        x, p = [tokens[-1] if tokens else start], [1.0]
        for i in range(gamma):
            distribution, goal = draft[begin + i][x[i]], target[begin + i][x[i]]
            y = draw(distribution, rng)
            p.append(min(p[i] * goal[y] / distribution[y], 1.0))
            x.append(y)
        watcher.call(begin, x[0], x[1:])
        # The target verifies them as a block: the longest prefix whose coin says so.
        tau = 0
        for i in range(1, gamma + 1):
            if i == gamma:
                h = p[i]
            else:
                s = sum(excess(p[i], target[begin + i][x[i]], draft[begin + i][x[i]]))
                h = s / (s + 1 - p[i]) if s + 1 - p[i] > 0 else 1.0
            coin = rng.random()
            watcher.tried(h, coin, running_ratio=p[i])
            if coin < h:
                tau = i
        calls.append(Call(gamma, tau))
        tokens += x[1 : tau + 1]
        rejected += [False] * tau
        goal = target[begin + tau][x[tau]]
        if tau < gamma:
            goal = excess(p[tau], goal, draft[begin + tau][x[tau]])
            watcher.replaced(goal)
        else:
            watcher.bonus(goal)
        tokens.append(draw(goal, rng))
        rejected.append(tau < gamma)
    return tokens, rejected, calls


def excess(share: float, target: list[float], draft: list[float]) -> list[float]:
    """[share * target - draft]_+, token by token, not normalised."""
    return [max(share * goal - drafted, 0.0) for goal, drafted in zip(target, draft, strict=True)]
