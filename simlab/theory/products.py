"""Matrix products of the recursions, and the counts that these carry along.

Products are taken in parts so small that the linear algebra library does not share one out between threads.

The recursions take thousands of products of a fraction of a millisecond, one after the other. Shared out
between threads these wait for each other at each of them, and where cores are busy, as they are beside a
simulation, twenty times as long as the products take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEGLIGIBLE = 1e-290
"""The recursions drop smaller masses: they would slow the arithmetic as subnormal numbers."""

TAIL = 1e-80
"""A recursion that carries a count drops the counts at either end where no state has this probability.

What is dropped over all steps is at most 2 T (T + 1) V TAIL, 1e-66 at T = 20,000 and V = 1,000, and no
probability found is further from the true one. A count spreads as the root of the steps: far fewer than T
counts are left, some 40 standard deviations of them.
"""

_ALONE, _VECTOR = 2**18, 9000
"""So many multiplications OpenBLAS does in one thread: matrix by matrix, matrix by vector."""
_LEAST_ROWS = 16


class Counted(NamedTuple):
    """Masses by a count and the state: mass[i, x] = P(count = first + i, state x), (N, V)."""

    first: int
    mass: np.ndarray

    def raised(self, by: int = 1) -> Counted:
        """The same masses at counts that are larger by `by`."""
        return Counted(self.first + by, self.mass)


def total(*parts: Counted) -> Counted:
    """The sum of masses by count."""
    parts = [part for part in parts if len(part.mass)] or parts[:1]
    first = min(part.first for part in parts)
    mass = np.zeros((max(part.first + len(part.mass) for part in parts) - first, parts[0].mass.shape[1]))
    for part in parts:
        start = part.first - first
        mass[start : start + len(part.mass)] += part.mass
    return Counted(first, mass)


def trimmed(part: Counted) -> Counted:
    """Without the counts at either end whose masses are all at most TAIL, and negligible masses as 0."""
    first, mass = part
    start, stop = 0, len(mass)
    while start < stop and mass[start].max() <= TAIL:
        start += 1
    while start < stop and mass[stop - 1].max() <= TAIL:
        stop -= 1
    mass = mass[start:stop]
    return Counted(first + start, np.where(mass > NEGLIGIBLE, mass, 0.0))


def by_count(part: Counted, most: int) -> np.ndarray:
    """P(count = n) for n = 0..most, (most + 1,)."""
    distribution = np.zeros(most + 1)
    stop = min(part.first + len(part.mass), most + 1)
    distribution[part.first : stop] = part.mass.sum(axis=1)[: stop - part.first]
    return distribution


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left @ right, (n, k) by (k, m), in blocks of rows and columns; (k,) by (k, m) gives (m,)."""
    if left.ndim == 1:
        return product(left[None], right)[0]
    (count, inner), columns = left.shape, right.shape[1]
    if left.size * columns <= (_ALONE if count > 1 else _VECTOR):
        return left @ right
    if count == 1:
        return product(np.repeat(left, 2, axis=0), right)[:1]
    rows = min(count, max(_ALONE // right.size, _LEAST_ROWS))
    width = max(_ALONE // (rows * inner), 1)
    whole = count // rows * rows
    result = np.empty((count, columns))
    for start in range(0, columns, width):
        part = slice(start, start + width)
        blocks = left[:whole].reshape(-1, rows, inner)
        np.matmul(blocks, right[:, part], out=result[:whole].reshape(-1, rows, columns)[..., part])
        if whole < count:
            result[whole:, part] = product(left[whole:], right[:, part])
    return result
