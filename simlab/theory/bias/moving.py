"""Masses in cells, moved from token to token; compiled."""

from __future__ import annotations

from simlab.jit import compiled


@compiled
def add_moved(masses, by, weights, width, ahead, later):
    """Add masses to those of the next step, moved.

    masses, later: (V, G), by last token and cell. From token x to y they are multiplied by weights[x, y] and
    move up by by[x, y] cells, (V, V) each, and by `ahead` more; what leaves the first `width` cells before
    these is left out.
    """
    states, cells = masses.shape
    for y in range(states):
        for x in range(states):
            weight, shift = weights[x, y], by[x, y]
            start, stop = max(0, -shift), min(cells, width - shift)
            if weight == 0.0 or start >= stop:
                continue
            source, goal = masses[x, start:stop], later[y, start + shift + ahead :]
            for cell in range(source.size):  # from 0: several at an instruction
                goal[cell] += weight * source[cell]
