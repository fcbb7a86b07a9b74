"""Draft trees the plain way: all children of chosen nodes are kept, and the first in order is taken."""

from __future__ import annotations

import heapq
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np

from simlab.pairs import ChainPair


def plain_tree(pair: ChainPair, time: int, token: int, capacity: int, drafted_by: str = "target") -> list:
    """[(parent, token, depth, probability), ...] in order of choice, parent -1 for the root."""
    chain, nodes, waiting = getattr(pair, drafted_by), [], []

    @cache
    def falling(step: int, last: int) -> list[tuple[float, int]]:
        row = chain[step, last].tolist()
        return sorted(((chance, y) for y, chance in enumerate(row)), key=lambda each: (-each[0], each[1]))

    def open_children(parent: int, last: int, depth: int, probability: float) -> None:
        if depth < pair.horizon - time:
            for rank, (chance, y) in enumerate(falling(time + depth, last)):
                if probability * chance > 0:
                    heapq.heappush(waiting, (-probability * chance, parent, rank, y, depth + 1))

    open_children(-1, token, 0, 1.0)
    while waiting and len(nodes) < capacity:
        minus, parent, _, y, depth = heapq.heappop(waiting)
        nodes.append((parent, y, depth, -minus))
        open_children(len(nodes) - 1, y, depth, -minus)
    return nodes


def plain_chain(pair: ChainPair, time: int, token: int, capacity: int, drafted_by: str = "target") -> list:
    """The same for the chain of each most probable next token."""
    nodes, probability = [], 1.0
    for depth in range(1, min(capacity, pair.horizon - time) + 1):
        row = getattr(pair, drafted_by)[time + depth - 1, token]
        token = min(range(pair.states), key=lambda y: (-row[y], y))
        probability *= row[token]
        if probability == 0:
            break
        nodes.append((depth - 2, token, depth, float(probability)))
    return nodes


def as_nodes(tree) -> list:
    """A DraftTree as `plain_tree` gives it."""
    arrays = (tree.parents, tree.tokens, tree.depth, tree.probability)
    return list(zip(*(array.tolist() for array in arrays), strict=True))


def prefixes(nodes: list) -> set[tuple[int, ...]]:
    """The token paths of a tree's nodes."""
    paths: list[tuple[int, ...]] = []
    for parent, token, _, _ in nodes:
        paths.append((*(paths[parent] if parent >= 0 else ()), token))
    return set(paths)


def calls_distribution(pair: ChainPair, tree) -> dict[tuple[int, tuple[bool, ...]], Fraction]:
    """P(number of calls, which tokens are bonus tokens), by walking every path of T tokens through its trees.

    tree(time, token): the nodes as above. In rationals; floats are taken at their exact value.
    """
    distribution: dict = {}
    trees = {(t, x): prefixes(tree(t, x)) for t in range(pair.horizon) for x in range(pair.states)}
    for first, *path in product(range(pair.states), repeat=pair.horizon + 1):
        mass, last = Fraction(float(pair.initial[first])), first
        for t, y in enumerate(path):
            mass *= Fraction(float(pair.target[t, last, y]))
            last = y
        if mass:
            calls, bonus, place, last = 0, [False] * pair.horizon, 0, first
            while place < pair.horizon:
                calls += 1
                here, walked = trees[place, last], ()
                while place < pair.horizon and (*walked, path[place]) in here:
                    walked = (*walked, path[place])
                    place += 1
                if place < pair.horizon:
                    bonus[place] = True
                    place += 1
                last = path[place - 1]
            key = (calls, tuple(bonus))
            distribution[key] = distribution.get(key, Fraction(0)) + mass
    return distribution


def all_trees(pair: ChainPair, time: int, token: int, capacity: int) -> set[frozenset[tuple[int, ...]]]:
    """Every tree of up to `capacity` prefixes, as sets of token paths; the empty one too."""
    steps = pair.horizon - time
    trees = layer = {frozenset()}
    for _ in range(capacity):
        layer = {
            tree | {(*path, y)}
            for tree in layer
            for path in [(), *tree]
            if len(path) < steps
            for y in range(pair.states)
            if (*path, y) not in tree
        }
        trees = trees | layer
    return trees


def reach(pair: ChainPair, time: int, token: int, path: tuple[int, ...]) -> Fraction:
    """The target's probability of a path, exactly."""
    mass = Fraction(1)
    for t, y in enumerate(path, start=time):
        mass *= Fraction(float(np.float64(pair.target[t, token, y])))
        token = y
    return mass
