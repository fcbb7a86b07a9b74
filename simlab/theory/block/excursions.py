"""What block verification accepts of a draft whose running ratio has fallen under 1; compiled.

From a start (t, x) the draft goes on token by token. An *atom* is a set of drafted prefixes with one last
token, their draft mass D, and the mass m <= D that verification lets go on: m' = min(m target, D draft), the
running ratio being p = m/D. An atom that comes to p = 1 again is a fresh start with mass D, and is handed
back as such; the others, the excursion, are followed to the window's end. What is lost, m target - m', is the
mass of calls that stop there with that token.

There are up to V^i atoms after i tokens. Where they are too many, prefixes with one last token and nearby p
share a cell. What is accepted further on is a concave, increasing and homogeneous function of (D, m): it is a
sum of minima of linear functions, min(m target, D draft), nested. So

- *merging* the atoms of a cell, adding D and m, can only raise it: an upper bound;
- *splitting* each of them into two, at the least and the largest p of the cell, keeping both sums, can only
  lower it: a lower bound.

A cell whose atoms have one p loses nothing either way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled
from simlab.theory.products import NEGLIGIBLE

DRAFTED, ACCEPTED, LEAST, LARGEST = range(4)
_SAME = 1e-14  # ratios no further apart are one, rounded differently


class Atoms(NamedTuple):
    """A list of atoms: last tokens int64, draft masses D and accepted masses m float64, (N,) each."""

    tokens: np.ndarray
    drafted: np.ndarray
    accepted: np.ndarray


class Room(NamedTuple):
    """Two lists, of the atoms before and after a step, and the cells in between.

    cells: (V, B, 4), by the last token and p: the sums of D and m of a cell's atoms, their least and largest
    p.
    """

    before: Atoms
    after: Atoms
    cells: np.ndarray


def new_room(atoms: int, states: int) -> Room:
    """Room for lists of so many atoms, at least 2 V, and for as many cells."""
    lists = (Atoms(np.empty(atoms, np.int64), np.empty(atoms), np.empty(atoms)) for _ in range(2))
    return Room(*lists, np.empty((states, atoms // states, 4)))


@compiled
def excursions(draft, target, time, depth, upper, room: Room, going, returned, rejected):
    """Follow drafts of `depth` >= 1 tokens from each last token x at `time`; whether a cell lost anything.

    draft, target: (1 or T, V, V). upper: which bound cells make. Fills, for i = 1..depth and last token z,
    going[i - 1, x, z]: the accepted mass m of the atoms that have not returned, after i tokens (all atoms at
    i = depth); returned[i - 1, x, z]: the mass of those that return there to p = 1 for the first time;
    rejected[i - 1, x, z]: the mass of calls that accept i - 1 tokens, none of them a return, and stop with z.
    (depth, V, V) each.
    """
    lost = False
    for x in range(draft.shape[1]):
        before, after = room.before, room.after
        before.tokens[0], before.drafted[0], before.accepted[0] = x, 1.0, 1.0
        count = 1
        for i in range(depth):
            now = draft[_step(draft, time + i)], target[_step(target, time + i)]
            out = going[i, x], returned[i, x], rejected[i, x]
            out[0][:], out[1][:], out[2][:] = 0.0, 0.0, 0.0
            if i == depth - 1:
                _end(now[0], now[1], before, count, out[0], out[2])
            elif count * draft.shape[1] <= after.tokens.size:
                count = _go_on(now[0], now[1], before, count, after, out[0], out[1], out[2])
                before, after = after, before
            else:
                cells = room.cells
                width = cells.shape[1] if upper else cells.shape[1] // 2
                _gather(now[0], now[1], before, count, cells, width, out[0], out[1], out[2])
                count, lossy = _list(cells, width, upper, after)
                lost = lost or lossy
                before, after = after, before
    return lost


@compiled
def _step(rows, time):
    return time if rows.shape[0] > 1 else 0


@compiled
def _end(draft, target, atoms: Atoms, count, going, rejected):
    """The window's last token: nothing is followed further."""
    for i in range(count):
        x, mass, share = atoms.tokens[i], atoms.drafted[i], atoms.accepted[i]
        for z in range(draft.shape[0]):
            wanted = share * target[x, z]
            kept = min(wanted, mass * draft[x, z])
            going[z] += kept
            rejected[z] += wanted - kept


@compiled
def _go_on(draft, target, atoms: Atoms, count, after: Atoms, going, returned, rejected):
    """One more token, each prefix for itself; the number of atoms that have not returned."""
    found = 0
    for i in range(count):
        x, mass, share = atoms.tokens[i], atoms.drafted[i], atoms.accepted[i]
        for z in range(draft.shape[0]):
            wanted, drafted = share * target[x, z], mass * draft[x, z]
            if wanted >= drafted:
                returned[z] += drafted
                rejected[z] += wanted - drafted
            else:
                going[z] += wanted
                if wanted > NEGLIGIBLE:
                    after.tokens[found], after.drafted[found], after.accepted[found] = z, drafted, wanted
                    found += 1
    return found


@compiled
def _gather(draft, target, atoms: Atoms, count, cells, width, going, returned, rejected):
    """One more token, into cells of p of width 1 / width; token by token, so that they stay in the cache."""
    tokens, masses, shares = atoms.tokens, atoms.drafted, atoms.accepted
    for z in range(draft.shape[0]):
        for b in range(width):
            cells[z, b, DRAFTED], cells[z, b, ACCEPTED] = 0.0, 0.0
            cells[z, b, LEAST], cells[z, b, LARGEST] = 1.0, 0.0
        for i in range(count):
            wanted, drafted = shares[i] * target[tokens[i], z], masses[i] * draft[tokens[i], z]
            if wanted >= drafted:
                returned[z] += drafted
                rejected[z] += wanted - drafted
            elif wanted > NEGLIGIBLE:
                going[z] += wanted
                ratio = wanted / drafted
                b = min(int(ratio * width), width - 1)
                cells[z, b, DRAFTED] += drafted
                cells[z, b, ACCEPTED] += wanted
                cells[z, b, LEAST] = min(cells[z, b, LEAST], ratio)
                cells[z, b, LARGEST] = max(cells[z, b, LARGEST], ratio)


@compiled
def _list(cells, width, upper, after: Atoms):
    """The cells as atoms, one each merged or two each split; their number, and whether that lost anything."""
    found, lost = 0, False
    for z in range(cells.shape[0]):
        for b in range(width):
            mass, share = cells[z, b, DRAFTED], cells[z, b, ACCEPTED]
            if share <= 0.0:
                continue
            least, largest = cells[z, b, LEAST], cells[z, b, LARGEST]
            one_ratio = largest - least <= _SAME * largest
            lost = lost or not one_ratio
            after.tokens[found], after.drafted[found], after.accepted[found] = z, mass, share
            if not (upper or one_ratio):
                high = min(max((share - least * mass) / (largest - least), 0.0), mass)
                after.drafted[found], after.accepted[found] = mass - high, share - largest * high
                found += 1
                after.tokens[found], after.drafted[found], after.accepted[found] = z, high, largest * high
            found += 1
    return found, lost
