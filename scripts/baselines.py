"""What the bench compares with: speculative decoding in NumPy and in plain Python, and two tree searches.

None of it shares code with simlab.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from heapq import heappop, heappush, heapreplace
from itertools import accumulate

import numpy as np


def alias_tables(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alias tables of rows (T, V, V) by Vose's method: chances to keep and int32 aliases, (T, V * V) each."""
    steps, states = rows.shape[:2]
    keep = np.ones((steps * states, states))
    alias = np.tile(np.arange(states, dtype=np.int32), (steps * states, 1))
    for r, row in enumerate(rows.reshape(-1, states)):
        weights = (row * (states / row.sum())).tolist()
        small = [y for y, weight in enumerate(weights) if weight < 1]
        large = [y for y, weight in enumerate(weights) if weight >= 1]
        while small and large:
            poor, rich = small.pop(), large[-1]
            keep[r, poor], alias[r, poor] = weights[poor], rich
            weights[rich] -= 1 - weights[poor]
            if weights[rich] < 1:
                small.append(large.pop())
    return keep.reshape(steps, -1), alias.reshape(steps, -1)


class NumpySpeculative:
    """Speculative decoding of many trajectories at once, a step at a time, as a good NumPy user writes it.

    Alias tables, flat `take` with preallocated output, one uniform split into slot and coin, the replacement
    for the rejected trajectories alone, `bincount` for the token counts.
    """

    def __init__(self, draft: np.ndarray, target: np.ndarray, most_steps: int | None = None):
        self.horizon, self.states = draft.shape[:2]
        built = slice(most_steps)  # the tables take long in Python: build some steps and copy them
        draft, target = draft[built], target[built]
        residual = np.maximum(target - draft, 0.0)
        copies = -(-self.horizon // len(draft))
        tables = [*alias_tables(draft), *alias_tables(residual)]
        tables.append(np.minimum(target / draft, 1.0).reshape(len(draft), -1))
        self.tables = [np.concatenate([table] * copies)[: self.horizon].copy() for table in tables]

    def run(self, trajectories: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Histograms of the rejections (T+1,) and the tokens (T, V); the initial token is uniform."""
        states, tokens = self.states, np.zeros((self.horizon, self.states), np.int64)
        rejections = np.zeros(trajectories, np.int32)
        uniform, chance = np.empty(trajectories), np.empty(trajectories)
        slot, index = np.empty(trajectories, np.int32), np.empty(trajectories, np.int32)
        found = np.empty(trajectories)
        last = generator.integers(states, size=trajectories, dtype=np.int32)
        for t in range(self.horizon):
            keep, alias, residual_keep, residual_alias, accept = (table[t] for table in self.tables)
            row = last * np.int32(states)
            generator.random(out=uniform)
            uniform *= states
            slot[:] = uniform
            uniform -= slot
            np.add(row, slot, out=index)
            keep.take(index, out=found, mode="clip")
            token = np.where(uniform < found, slot, alias.take(index, mode="clip"))
            np.add(row, token, out=index)
            accept.take(index, out=found, mode="clip")
            generator.random(out=chance)
            rejected = np.flatnonzero(chance >= found)
            if rejected.size:
                again = generator.random(rejected.size)
                again *= states
                drawn = again.astype(np.int32)
                again -= drawn
                spots = row[rejected] + drawn
                kept = again < residual_keep.take(spots)
                token[rejected] = np.where(kept, drawn, residual_alias.take(spots))
                rejections[rejected] += 1
            last = token
            tokens[t] = np.bincount(token, minlength=states)
        return np.bincount(rejections, minlength=self.horizon + 1), tokens


class PythonSpeculative:
    """The same, token by token, in plain Python: distribution functions made once, inverted by bisection."""

    def __init__(self, draft: np.ndarray, target: np.ndarray):
        self.horizon, self.states = draft.shape[:2]
        residual = np.maximum(target - draft, 0.0)
        self.draft = [[list(accumulate(row)) for row in step] for step in draft.tolist()]
        self.residual = [[list(accumulate(row)) for row in step] for step in residual.tolist()]
        self.ratio = (target / draft).tolist()

    def run(self, trajectories: int, rng: random.Random) -> list[int]:
        """The histogram of the rejections (T+1,); the initial token is uniform."""
        histogram, most = [0] * (self.horizon + 1), self.states - 1
        for _ in range(trajectories):
            x, rejections = rng.randrange(self.states), 0
            for draft, residual, ratio in zip(self.draft, self.residual, self.ratio, strict=True):
                y = min(bisect_right(draft[x], rng.random() * draft[x][-1]), most)
                if rng.random() >= ratio[x][y]:
                    y = min(bisect_right(residual[x], rng.random() * residual[x][-1]), most)
                    rejections += 1
                x = y
            histogram[rejections] += 1
        return histogram


def heapq_tree(chain: np.ndarray, token: int, capacity: int) -> tuple[list[int], list[int], list[float]]:
    """The most probable prefixes of a chain (T, V, V) after `token`: owners, tokens and probabilities.

    Best first by `heapq`, as one writes it: first child, next sibling, so that the heap holds one entry a
    node; each row sorted once, when it is first looked at. Nodes are numbered from 1 in order of choice, the
    root is 0.
    """
    horizon, sorted_rows = len(chain), {}

    def falling(t: int, x: int) -> tuple[list[float], list[int]]:
        if (t, x) not in sorted_rows:
            order = np.argsort(-chain[t, x], kind="stable")
            sorted_rows[t, x] = chain[t, x, order].tolist(), order.tolist()
        return sorted_rows[t, x]

    owners, tokens, chances, depths, ranks = [-1], [token], [1.0], [0], [0]
    rows = [falling(0, token)]
    heap = [(-rows[0][0][0], 0)]
    while heap and len(owners) <= capacity:
        minus, owner = heap[0]
        values, order = rows[owner]
        rank = ranks[owner] = ranks[owner] + 1
        node, depth, token = len(owners), depths[owner] + 1, order[rank - 1]
        owners.append(owner)
        tokens.append(token)
        chances.append(-minus)
        depths.append(depth)
        ranks.append(0)
        if rank < len(values) and values[rank] > 0:
            heapreplace(heap, (-chances[owner] * values[rank], owner))
        else:
            heappop(heap)
        rows.append(falling(depth, token) if depth < horizon else None)
        if depth < horizon:
            heappush(heap, (minus * rows[node][0][0], node))
    return owners[1:], tokens[1:], chances[1:]


def resorted_tree(chain: np.ndarray, token: int, capacity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same by levels, in NumPy: all children of what is kept, and the best `capacity` of all so far.

    In each step the prefixes are partitioned once more, and in the end sorted.
    """
    owners, tokens, chances = np.array([-1]), np.array([token]), np.ones(1)
    level = np.zeros(1, int)  # those whose children have not been looked at
    for t in range(len(chain)):
        children = (chances[level, None] * chain[t, tokens[level]]).ravel()
        all_chances = np.concatenate([chances, children])
        least = 0.0
        if len(all_chances) > capacity + 1:
            least = np.partition(all_chances, -capacity - 1)[-capacity - 1]
        found = np.flatnonzero((children >= least) & (children > 0))
        if not len(found):
            break
        begin, states = len(chances), chain.shape[1]
        owners = np.concatenate([owners, level[found // states]])
        tokens = np.concatenate([tokens, found % states])
        chances = np.concatenate([chances, children[found]])
        level = np.arange(begin, len(chances))
    order = np.argsort(-chances, kind="stable")[: capacity + 1]
    index = np.zeros(len(chances), int)
    index[order] = np.arange(len(order))
    return index[owners[order[1:]]], tokens[order[1:]], chances[order[1:]]
