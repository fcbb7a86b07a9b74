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

A cell whose atoms have one p loses nothing either way. Tokens of more mass get more cells; how many more was
tried out (the cube root would be best if all cells of a token had one mass).

Cells are listed by token and rising p. So the atoms with one last token that come to p = 1 with the next one
are the last ones of their run: their sums are looked up, and only the others are looked at. At the window's
end nobody is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled, inlined
from simlab.theory.products import NEGLIGIBLE

DRAFTED, ACCEPTED, LEAST, LARGEST = range(4)
_SAME = 1e-14  # ratios no further apart are one, rounded differently


class Atoms(NamedTuple):
    """A list of atoms: last tokens int64, draft masses D and accepted masses m float64, (N,) each."""

    tokens: np.ndarray
    drafted: np.ndarray
    accepted: np.ndarray


class Runs(NamedTuple):
    """A list by last token, and by rising p in each run of one token.

    starts: int64 (V + 1,), where the runs begin. ratios: p of the atoms. drafted, accepted: D and m of an
    atom and all behind it in its run, float64 (N,). ahead: m of all before it in its run, (N,).
    """

    starts: np.ndarray
    ratios: np.ndarray
    drafted: np.ndarray
    accepted: np.ndarray
    ahead: np.ndarray


class Room(NamedTuple):
    """Two lists, of the atoms before and after a step, and the cells in between.

    runs: of the list before. cells: (N, 4), by the last token and p: the sums of D and m of a cell's atoms,
    their least and largest p. offsets: int64 (V + 1,), where the cells of a token begin.
    """

    before: Atoms
    after: Atoms
    runs: Runs
    cells: np.ndarray
    offsets: np.ndarray


def new_room(atoms: int, states: int) -> Room:
    """Room for lists of so many atoms, at least 2 V, and for as many cells."""
    lists = (Atoms(np.empty(atoms, np.int64), np.empty(atoms), np.empty(atoms)) for _ in range(2))
    runs = Runs(np.empty(states + 1, np.int64), *(np.empty(atoms) for _ in range(4)))
    return Room(*lists, runs, np.empty((atoms, 4)), np.empty(states + 1, np.int64))


@compiled
def excursions(draft, target, time, tokens, depth, upper, room: Room, going, returned, rejected):
    """Follow drafts of `depth` >= 1 tokens from last tokens x at `time`; whether a cell lost anything.

    draft, target: (1 or T, V, V). tokens: (first x, the one behind the last). upper: which bound cells make.
    Fills, for i = 1..depth and last token z, going[i - 1, x, z]: the accepted mass m of the atoms that have
    not returned, after i tokens (all atoms at i = depth); returned[i - 1, x, z]: the mass of those that
    return there to p = 1 for the first time; rejected[i - 1, x, z]: the mass of calls that accept i - 1
    tokens, none of them a return, and stop with z.
    (depth, V, V) each.
    """
    lost = False
    for x in range(tokens[0], tokens[1]):
        before, after, runs, listed = room.before, room.after, room.runs, False
        before.tokens[0], before.drafted[0], before.accepted[0] = x, 1.0, 1.0
        count = 1
        for i in range(depth):
            now = draft[_step(draft, time + i)], target[_step(target, time + i)]
            out = going[i, x], returned[i, x], rejected[i, x]
            for z in range(draft.shape[1]):
                out[0][z] = out[1][z] = out[2][z] = 0.0
            last = i == depth - 1
            if not (listed or last) and count * draft.shape[1] <= after.tokens.size:
                count = _go_on(now[0], now[1], before, count, after, out[0], out[1], out[2])
                before, after = after, before
                continue
            if listed:
                _find_runs(before, count, runs)
            if last and listed:
                _end_runs(now[0], now[1], runs, out[0], out[1], out[2])
            elif last:
                _end(now[0], now[1], before, count, out[0], out[2])
            else:
                budget = after.tokens.size if upper else after.tokens.size // 2
                _share_cells(now[0], now[1], before, count, budget, room.offsets)
                if listed:
                    _gather_runs(now[0], now[1], before, runs, room, out[0], out[1], out[2])
                else:
                    _gather(now[0], now[1], before, count, room, out[0], out[1], out[2])
                count, lossy = _list(room, upper, after)
                lost, listed = lost or lossy, True
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
def _find_runs(atoms: Atoms, count, runs: Runs):
    """Find the runs of a list that is sorted by token and p, with their sums."""
    states = runs.starts.size - 1
    found = 0
    for x in range(states + 1):
        while found < count and atoms.tokens[found] < x:
            found += 1
        runs.starts[x] = found
    for x in range(states):
        mass, share = 0.0, 0.0
        for k in range(runs.starts[x], runs.starts[x + 1]):
            runs.ahead[k] = share
            share += atoms.accepted[k]
            runs.ratios[k] = atoms.accepted[k] / atoms.drafted[k]
        share = 0.0
        for k in range(runs.starts[x + 1] - 1, runs.starts[x] - 1, -1):
            mass, share = mass + atoms.drafted[k], share + atoms.accepted[k]
            runs.drafted[k], runs.accepted[k] = mass, share


@compiled
def _end_runs(draft, target, runs: Runs, going, returned, rejected):
    """`_end` of sorted atoms, by their runs' sums."""
    for x in range(draft.shape[0]):
        first, last = runs.starts[x], runs.starts[x + 1]
        if first == last:
            continue
        for z in range(draft.shape[0]):
            goal, drafted = target[x, z], draft[x, z]
            if goal <= 0.0:
                continue
            low, high = first, last  # where p comes to 1
            while low < high:
                middle = (low + high) // 2
                if runs.ratios[middle] * goal < drafted:
                    low = middle + 1
                else:
                    high = middle
            ahead = runs.accepted[first] if low == last else runs.ahead[low]
            going[z] += goal * ahead
            if low < last:
                going[z] += drafted * runs.drafted[low]
                rejected[z] += max(goal * runs.accepted[low] - drafted * runs.drafted[low], 0.0)


@compiled
def _share_cells(draft, target, atoms: Atoms, count, budget, offsets):
    """Give each next token its cells of p, at least one, `budget` >= V in all."""
    states = draft.shape[0]
    mass, share, weights = np.zeros(states), np.zeros(states), np.zeros(states)
    for i in range(count):
        mass[atoms.tokens[i]] += atoms.drafted[i]
        share[atoms.tokens[i]] += atoms.accepted[i]
    whole = 0.0
    for z in range(states):
        for x in range(states):
            weights[z] += min(share[x] * target[x, z], mass[x] * draft[x, z])
        weights[z] = weights[z] ** 0.2
        whole += weights[z]
    offsets[0], used = 0, 0.0
    for z in range(states):
        used += weights[z]
        part = used / whole if whole > 0.0 else 1.0
        offsets[z + 1] = z + 1 + int(min(part, 1.0) * (budget - states))


@compiled
def _clear(cells):
    for b in range(cells.shape[0]):
        cells[b, DRAFTED], cells[b, ACCEPTED] = 0.0, 0.0
        cells[b, LEAST], cells[b, LARGEST] = 1.0, 0.0


@inlined
def _put(cells, first, size, ratio, drafted, wanted):
    """Add an atom to the cell of its p, one of `size` from the first on."""
    b = first + min(int(ratio * size), size - 1)
    cells[b, DRAFTED] += drafted
    cells[b, ACCEPTED] += wanted
    cells[b, LEAST] = min(cells[b, LEAST], ratio)
    cells[b, LARGEST] = max(cells[b, LARGEST], ratio)


@compiled
def _gather(draft, target, atoms: Atoms, count, room: Room, going, returned, rejected):
    """One more token, into cells; token by token, so that they stay in the cache."""
    tokens, masses, shares, cells = atoms.tokens, atoms.drafted, atoms.accepted, room.cells
    for z in range(draft.shape[0]):
        begin, size = room.offsets[z], room.offsets[z + 1] - room.offsets[z]
        _clear(cells[begin : begin + size])
        for i in range(count):
            wanted, drafted = shares[i] * target[tokens[i], z], masses[i] * draft[tokens[i], z]
            if wanted >= drafted:
                returned[z] += drafted
                rejected[z] += wanted - drafted
            elif wanted > NEGLIGIBLE:
                going[z] += wanted
                _put(cells, begin, size, wanted / drafted, drafted, wanted)


@compiled
def _gather_runs(draft, target, atoms: Atoms, runs: Runs, room: Room, going, returned, rejected):
    """`_gather` of sorted atoms: those that return by their runs' sums."""
    ratios, masses, shares, starts, cells = (
        runs.ratios,
        atoms.drafted,
        atoms.accepted,
        runs.starts,
        room.cells,
    )
    for z in range(draft.shape[0]):
        begin, size = room.offsets[z], room.offsets[z + 1] - room.offsets[z]
        _clear(cells[begin : begin + size])
        for x in range(draft.shape[0]):
            goal, drafted, k, last = target[x, z], draft[x, z], starts[x], starts[x + 1]
            if goal <= 0.0 or k == last:
                continue
            least_return, total = drafted / goal, 0.0
            factor = goal / drafted if drafted > 0.0 else np.inf
            scale, width = factor * size, least_return / size
            while k < last and ratios[k] < least_return:
                b, mass, share, least = min(int(ratios[k] * scale), size - 1), 0.0, 0.0, ratios[k]
                end = (b + 1) * width if b + 1 < size else least_return
                while True:
                    mass, share = mass + masses[k], share + shares[k]
                    k += 1
                    if k == last or ratios[k] >= end:
                        break
                if share * goal > NEGLIGIBLE:
                    total += share
                    b += begin
                    cells[b, DRAFTED] += mass * drafted
                    cells[b, ACCEPTED] += share * goal
                    cells[b, LEAST] = min(cells[b, LEAST], least * factor)
                    cells[b, LARGEST] = max(cells[b, LARGEST], ratios[k - 1] * factor)
            going[z] += goal * total
            if k < last:
                returned[z] += drafted * runs.drafted[k]
                rejected[z] += max(goal * runs.accepted[k] - drafted * runs.drafted[k], 0.0)


@compiled
def _list(room: Room, upper, after: Atoms):
    """The cells as atoms, one each merged or two each split, by token and rising p; their number, and whether
    that lost anything."""
    cells, found, lost, z = room.cells, 0, False, 0
    for b in range(room.offsets[-1]):
        while b >= room.offsets[z + 1]:
            z += 1
        mass, share = cells[b, DRAFTED], cells[b, ACCEPTED]
        if share <= 0.0:
            continue
        least, largest = cells[b, LEAST], cells[b, LARGEST]
        one_ratio = largest - least <= _SAME * largest
        lost = lost or not one_ratio
        high = 0.0
        if not (upper or one_ratio):
            high = min(max((share - least * mass) / (largest - least), 0.0), mass)
        for drafted, accepted in ((mass - high, share - largest * high), (high, largest * high)):
            if drafted > 0.0 and accepted > 0.0:
                after.tokens[found], after.drafted[found], after.accepted[found] = z, drafted, accepted
                found += 1
    return found, lost
