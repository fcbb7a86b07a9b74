"""Draft trees: the most probable prefixes, and the single chain.

A verified tree yields, in the mean, the sum of its nodes' reach probabilities: a node counts exactly if the
target's own path passes it (Pankratov and Alistarh 2026). So the best tree of P nodes is any P prefixes with
the largest reach probabilities; they form a tree, as a prefix is at least as probable as what continues it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simlab.checks import check_count
from simlab.decoders import DRAFTED_BY
from simlab.errors import SimlabError
from simlab.memory import UNASKED, available_memory
from simlab.pairs.pair import ChainPair, check_pair

MOST_NODES = 2**30
"""Nodes are numbered in 32 bits."""

BYTES_PER_NODE = 80
"""What a search takes for a node, the tree that it returns included (measured: 65 to 78)."""


@dataclass(frozen=True, eq=False)
class DraftTree:
    """A tree of n drafted tokens after a given prefix, the root, which is not a node; in order of choice.

    parents: int (n,), the position of the parent, -1 for the root. tokens: int (n,). depth: int (n,), from 1;
    a node of depth d stands for token number time + d - 1. probability: float (n,), of the path to the node
    under the model that chose it. reach: float (n,), the same under the target. All read-only. A tree of
    fewer nodes is its beginning: see `first`.
    """

    parents: np.ndarray
    tokens: np.ndarray
    depth: np.ndarray
    probability: np.ndarray
    reach: np.ndarray

    def __post_init__(self) -> None:
        for array in vars(self).values():
            array.flags.writeable = False

    def __repr__(self) -> str:
        depth = int(self.depth.max()) if len(self) else 0
        return f"DraftTree({len(self):,} nodes, depth {depth}: E[X] {self.expected_accepted:.6g})"

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def expected_accepted_by_capacity(self) -> np.ndarray:
        """E[X] of the first 1, 2, ..., n nodes, (n,): the sums of their reach."""
        sums = _cumulated(self.reach)
        sums.flags.writeable = False
        return sums

    @property
    def expected_accepted(self) -> float:
        """E[X], the drafted tokens that a call yields in the mean, the bonus token not counted."""
        return float(self.expected_accepted_by_capacity[-1]) if len(self) else 0.0

    def first(self, capacity: int) -> DraftTree:
        """The tree of the given capacity: the first nodes of this one.

        Of a tree that was searched with a smaller capacity, all of it. Raises SimlabError for capacity < 1.
        """
        end = check_count("capacity", capacity)
        arrays = (self.parents, self.tokens, self.depth, self.probability, self.reach)
        return DraftTree(*(array[:end] for array in arrays))


def optimal_tree(
    pair: ChainPair, time: int, token: int, capacity: int, drafted_by: str = "target"
) -> DraftTree:
    """The `capacity` most probable prefixes from a position of the chain on, as a tree.

    time: 0-based index of the next token, 0..T-1. token: the last one. drafted_by: by whose probabilities
    the tree is chosen, "target" or "draft". With "target" no tree of as many nodes has a larger E[X] =
    sum of reach (Pankratov and Alistarh 2026; see the module's head). Nodes are at most T - time deep; where
    fewer than `capacity` prefixes have positive probability, the tree has those.

    Order: the most probable prefix first; of equal ones the one whose parent was chosen first, then the one
    whose token has the larger entry in its row, then the lower token. So the tree of capacity P is the
    beginning of the tree of capacity P + 1.

    Time: O(P log P) beyond sorting each visited row once; about 0.1 us a node where P = 10^4 and V = 100, and
    0.2 us where P = 10^6. Memory: about 70 bytes a node while it searches, 28 to 44 for the tree.

    Raises SimlabError if it is not a pair, a time or token that is not there, a capacity below 1 or beyond
    this machine's memory, and an unknown model.
    """
    return _drafted(pair, time, token, capacity, drafted_by, chain=False)


def chain_tree(
    pair: ChainPair, time: int, token: int, capacity: int, drafted_by: str = "target"
) -> DraftTree:
    """The single chain of `capacity` nodes, T - time at most: each is the most probable token after the last.

    The lower token where two are as probable; the chain ends before a probability that is 0 in floating
    point. Raises SimlabError as `optimal_tree` does.
    """
    return _drafted(pair, time, token, capacity, drafted_by, chain=True)


def _drafted(
    pair: ChainPair, time: int, token: int, capacity: int, drafted_by: str, chain: bool
) -> DraftTree:
    check_pair(pair)
    time = check_count("time", time, least=0, most=pair.horizon - 1)
    token = check_count("token", token, least=0, most=pair.states - 1)
    capacity = check_count("capacity", capacity)
    if not isinstance(drafted_by, str) or drafted_by not in DRAFTED_BY:
        raise SimlabError(
            f"drafted_by = {drafted_by!r} is not valid; expected one of {', '.join(DRAFTED_BY)}"
        )
    from simlab.theory.trees.rows import read_only  # it brings a compiler along
    from simlab.theory.trees.search import find

    steps = pair.horizon - time
    chooser = pair.target_rows if drafted_by == "target" else pair.draft_rows
    nodes = min(capacity, steps) if chain else room_for(chooser, time, token, steps, capacity)
    target, drafts = read_only(pair.target_rows), drafted_by == "draft"
    return DraftTree(*find(read_only(chooser), target, drafts, time, token, steps, nodes, chain))


def room_for(chooser: np.ndarray, time: int, token: int, steps: int, capacity: int) -> int:
    """The nodes to make room for: `capacity`, or the number of prefixes that there are.

    Raises SimlabError where they do not fit into memory, saying how much they take.
    """
    nodes = min(capacity, _prefixes(chooser, time, token, steps, capacity))
    needed = nodes * BYTES_PER_NODE
    if nodes > MOST_NODES or (needed > UNASKED and needed > available_memory()):
        raise SimlabError(
            f"capacity = {capacity}: a tree of {nodes} nodes takes {needed / 2**30:.1f} GiB, "
            "more than there is: give a smaller capacity"
        )
    return nodes


def _prefixes(chooser: np.ndarray, time: int, token: int, steps: int, most: int) -> int:
    """How many prefixes of positive probability there are, as far as it matters: at least min(that, most)."""
    states = chooser.shape[1]
    total, width = 0, 1
    for _ in range(steps):
        width *= states
        total += width
        if total >= min(most, 2**20):
            break
    if total < most:
        if total < 2**20:
            return total
    elif most <= 2**20:
        return most
    paths, total = np.zeros(states), 0.0
    paths[token] = 1.0
    for step in range(steps):
        positive = chooser[0 if len(chooser) == 1 else time + step] > 0
        paths = np.minimum(paths @ positive, 2.0**62)
        total += paths.sum()
        if total >= most or not paths.any():
            break
    return most if total >= most else int(total)


def _cumulated(values: np.ndarray, block: int = 1024) -> np.ndarray:
    """Running sums in blocks, so that a million terms are off by no more than some thousand roundings."""
    padded = np.zeros(-(-len(values) // block) * block)
    padded[: len(values)] = values
    blocks = padded.reshape(-1, block)
    before = np.cumsum(blocks.sum(axis=1)) - blocks.sum(axis=1)
    return (np.cumsum(blocks, axis=1) + before[:, None]).ravel()[: len(values)].copy()
