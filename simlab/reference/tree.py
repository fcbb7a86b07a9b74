"""Deterministic speculation with draft trees: Pankratov and Alistarh 2026 (arXiv 2512.11718), Section 2."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from simlab.decoders import TreeSpeculative
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY


def decode(
    chains: Chains, start: int, decoder: TreeSpeculative, rng, watcher=NOBODY
) -> tuple[list[int], list[bool]]:
    """One trajectory; start: the given last token of the prompt. "rejected" are the bonus tokens."""
    return walk(chains.target, start, lambda time, token: _tree(chains, time, token, decoder), rng, watcher)


def walk(target, start: int, drafted: Callable[[int, int], list[tuple[int, ...]]], rng, watcher=NOBODY):
    """One trajectory through any trees: target (T, V, V) as nested lists, start the last token before.

    drafted: (time, token) -> the nodes of the tree that is verified when `time` tokens are there and `token`
    is the last one, each as the tokens on its path (`draft_tree`). Returns (tokens, rejected), T entries
    each: "rejected" are the bonus tokens, which were not in the tree.
    """
    horizon = len(target)
    tokens: list[int] = []
    rejected: list[bool] = []
    while len(tokens) < horizon:
        begin = len(tokens)
        prefix = tokens[-1] if tokens else start
        tree = drafted(begin, prefix)
        watcher.tree(begin, prefix, tree)
        # The target's own tokens walk the tree until one is not in it: that one is the bonus token.
        bonus = False
        while not bonus and len(tokens) < horizon:
            x = tokens[-1] if tokens else start
            tokens.append(draw(target[len(tokens)][x], rng))
            bonus = tuple(tokens[begin:]) not in tree
            if bonus:
                watcher.bonus(target[len(tokens) - 1][x])
            rejected.append(bonus)
    return tokens, rejected


@lru_cache(maxsize=4096)
def _tree(chains: Chains, time: int, token: int, decoder: TreeSpeculative) -> list[tuple[int, ...]]:
    """`draft_tree`, remembered: trajectories come by the same tokens again and again."""
    chooser = chains.target if decoder.drafted_by == "target" else chains.draft
    return draft_tree(chooser, time, token, decoder)


def draft_tree(chooser, time: int, token: int, decoder: TreeSpeculative) -> list[tuple[int, ...]]:
    """The nodes of a draft tree in the order of choice, each as the tokens on its path from the root.

    chooser: (T, V, V) as nested lists, the model by whose probabilities the tree is chosen; time: 0-based
    index of the next token; token: the last one. A node's probability is the float64 product of the entries
    along its path, from the root on. The next node is the most probable of all children of the root and of
    the nodes chosen so far; of equally probable ones the one whose parent was chosen first, then the one that
    comes first in its row sorted by falling probability, then by token number. Nodes of probability 0 are
    never drafted. In a chain each node has one child, the most probable one.
    """
    paths: list[tuple[int, ...]] = []
    candidates = _children((), 1.0, -1, chooser, time, token)
    while candidates and len(paths) < decoder.capacity:
        best = min(candidates)
        candidates.remove(best)
        least, _, _, path = best
        if decoder.shape == "chain":
            candidates = []
        paths.append(path)
        candidates += _children(path, -least, len(paths) - 1, chooser, time, path[-1])
    return paths


def _children(path: tuple[int, ...], probability: float, parent: int, chooser, time: int, token: int):
    """The children of a node of positive probability, as (-probability, parent, position in the row,
    path)."""
    if time + len(path) == len(chooser):
        return []
    row = chooser[time + len(path)][token]
    tokens = sorted(range(len(row)), key=lambda y: (-row[y], y))
    children = [(-(probability * row[y]), parent, index, (*path, y)) for index, y in enumerate(tokens)]
    return [child for child in children if child[0] < 0]
