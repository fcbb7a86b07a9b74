"""What block verification accepts from every start, position by position: the recursion over fresh starts
(own).

M_i(t, x; z) is the probability that a call that starts at t after x accepts i tokens or more, the i-th being
z: E[p_i; x_i = z] (see the package's head), the same for every window of at least i. A drafted prefix whose
running ratio comes back to p = 1 after i tokens is as good as a fresh start behind its last token. So with
the excursions' parts (`excursions`: going X_i, first returns U_i, stops Q_i)

    M_i(t) = X_i(t) + sum_{j<=i} U_j(t) M_{i-j}(t + j),    M_0 = 1,

as matrices over (x, z), and likewise R_i(t), the mass of calls that accept i tokens and stop with the next
one, from Q_{i+1}, R_{i-j}(t + j). Both sides increase with U and M, so that bounds go through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping

ATOMS = 2**18
"""The longest list of drafted prefixes that are followed one by one."""
WORK = 2.5e8
"""About how many steps of one prefix by one token are taken in all, where many are needed: some seconds."""
LEAST_CELLS = 16
"""Cells of the ratio for each token, at least, however much work that is."""
PIECES = 50
"""Into so many pieces the starts of one step are cut, if there are no more steps than that."""
MOST_WORK = 2e12
"""More steps than this, over an hour, are refused."""


@dataclass(frozen=True, eq=False)
class BlockMasses:
    """What calls accept and where they stop, for windows up to K.

    accepted: (S, K + 1, V, V), entry [t, i, x, z] is M_i(t, x; z) or the middle of its bracket; S = 1 where
    both chains are stationary, else T. spread: the brackets' half-widths, the same shape, None where all is
    exact. stopped: (S, K, V, V), entry [t, i, x, y] = P(the call from (t, x) accepts i tokens and stops with
    y | it drafts more than i). Entries that the horizon cuts off are 0.
    """

    accepted: np.ndarray
    spread: np.ndarray | None
    stopped: np.ndarray


def block_masses(pair: ChainPair, window: int, work: float) -> BlockMasses:
    """The masses for windows up to `window` >= 0 (the most that any call drafts), from every start.

    Exact while a start's prefixes fit into a list, else bracketed with as many cells as about `work` steps
    allow, at least LEAST_CELLS a token; the brackets' widths fall with the square of it. Time: V^2 times the
    atoms of all starts and positions; memory O(S V^2 window). Raises SimlabError where that would take hours.
    """
    steps = 1 if pair.is_stationary else pair.horizon
    atoms = _atoms(pair, steps, window, work)
    high, stopped, lost = _bound(pair, steps, window, atoms, upper=True)
    if not lost:
        return BlockMasses(high, None, stopped)
    low, others, _ = _bound(pair, steps, window, atoms, upper=False)
    return BlockMasses((low + high) / 2, np.abs(high - low) / 2, (stopped + others) / 2)


def least_work(pair: ChainPair, window: int) -> float:
    """The steps that LEAST_CELLS a token take, if so many are needed; no fewer are worth asking for."""
    steps = 1 if pair.is_stationary else pair.horizon
    return 2.0 * steps * pair.states**3 * max(window, 1) * LEAST_CELLS


def _atoms(pair: ChainPair, steps: int, window: int, work: float) -> int:
    """How long lists of atoms may be. Raises SimlabError where even the shortest would take hours."""
    states = pair.states
    lists = steps * states * states * max(window, 1)
    least = 2 * states * LEAST_CELLS
    longest = [min(float(states) ** (i - 1), least) for i in range(1, window + 1)]
    if steps * states * states * sum(longest) > MOST_WORK:
        raise SimlabError(
            f"window = {window}: block verification of V = {states} tokens from {steps * states:,} starts "
            "would take hours to predict; give a shorter window, fewer steps, or a stationary pair"
        )
    return int(min(max(work / lists, least), ATOMS + least))


def _bound(pair: ChainPair, steps: int, window: int, atoms: int, *, upper: bool):
    """(accepted, stopped, whether a cell lost anything), with the bound that `upper` names where one did."""
    from simlab.theory.block.excursions import excursions, new_room  # brings a compiler along

    states, horizon = pair.states, pair.horizon
    accepted = np.zeros((steps, window + 1, states, states))
    stopped = np.zeros((steps, window, states, states))
    accepted[:, 0] = np.eye(states)
    room, lost = new_room(atoms, states), False
    parts = np.empty((3, window, states, states))
    piece = states if steps > PIECES else -(-states // PIECES)  # a call of compiled code never takes long
    for t in stepping(range(steps)[::-1], "what block verification accepts"):
        depth = min(window, horizon - 1 - t)
        if depth:
            going, returned, ended = parts[:, :depth]
            for first in stepping(range(0, states, piece), "what block verification accepts"):
                tokens = first, min(first + piece, states)
                lost |= excursions(
                    pair.draft_rows, pair.target_rows, t, tokens, depth, upper, room, going, returned, ended
                )
            _add_returns(accepted, stopped, t, going, returned, ended)
    return accepted, stopped, lost


def _add_returns(accepted, stopped, t: int, going, returned, ended) -> None:
    """Fill the masses at t from the excursions' parts, (depth, V, V) each, and the masses behind them."""
    for i in range(1, len(going) + 1):
        accepted[t, i] = going[i - 1]
        stopped[t, i - 1] = ended[i - 1]
        for j in range(1, i + 1):
            later = t + j if len(accepted) > 1 else 0
            accepted[t, i] += returned[j - 1] @ accepted[later, i - j]
            if j < i:
                stopped[t, i - 1] += returned[j - 1] @ stopped[later, i - 1 - j]
