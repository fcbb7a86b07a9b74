"""Where the target's path leaves a draft tree, and with which bonus token; compiled."""

from __future__ import annotations

import numpy as np

from simlab.jit import compiled
from simlab.theory.trees.queue import CHILDREN, DEPTH, ROW, TOKEN
from simlab.theory.trees.rows import START, SortedRows
from simlab.theory.trees.search import Found, best_first, greedy_chain, reach_of


@compiled
def exit_distributions(
    rows: SortedRows, target, time, starts, steps, chain, found: Found, exits, inside, depths
):
    """Search the tree of each last token in `starts` (n,) and fill the distributions of its exits.

    rows: of the model that chooses. target: (S, V, V). exits: (n, D + 1, V), D = min(capacity, steps - 1):
    exits[i, d, y] = P(the path from starts[i] leaves the tree at depth d < steps, with bonus token y).
    inside: (n,), P(it ends at the horizon inside the tree). depths: (n,), of the deepest nodes.
    """
    for i in range(starts.size):
        if chain:
            count = greedy_chain(rows, time, starts[i], steps, found)
        else:
            count = best_first(rows, time, starts[i], steps, found)
        inside[i], depths[i] = leave(rows, target, time, steps, found, count, exits[i])


@compiled
def leave(rows: SortedRows, target: np.ndarray, time: int, steps: int, found: Found, count: int, exits):
    """The exits (D + 1, V) of one tree; returns P(the path ends inside) and the tree's depth.

    A node's chosen children are the first ones of its row in falling order, so that what leaves there are
    the others: no difference is taken, and what cannot leave has probability 0 exactly.
    """
    states, facts = target.shape[1], found.facts
    reach = reach_of(target, time, facts, count)
    exits[:] = 0.0
    inside, deepest, left = 0.0, 0, np.empty(states)
    for node in range(count + 1):
        depth, token = facts[node, DEPTH], facts[node, TOKEN]
        deepest = max(deepest, depth)
        if depth == steps:
            inside += reach[node]
        elif reach[node] > 0.0:
            step = 0 if target.shape[0] == 1 else time + depth
            left[:] = target[step, token]
            start = rows.places[facts[node, ROW], START] if facts[node, CHILDREN] else 0
            for rank in range(facts[node, CHILDREN]):
                left[rows.tokens[start + rank]] = 0.0
            for bonus in range(states):
                exits[depth, bonus] += reach[node] * left[bonus]
    return inside, deepest
