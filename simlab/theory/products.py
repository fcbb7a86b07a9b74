"""Matrix products in parts so small that the linear algebra library does not share one out between threads.

The recursions take thousands of products of a fraction of a millisecond, one after the other. Shared out
between threads these wait for each other at each of them, and where cores are busy, as they are beside a
simulation, twenty times as long as the products take.
"""

from __future__ import annotations

import numpy as np

NEGLIGIBLE = 1e-290
"""The recursions drop smaller masses: they would slow the arithmetic as subnormal numbers."""

_ALONE, _VECTOR = 2**18, 9000
"""So many multiplications OpenBLAS does in one thread: matrix by matrix, matrix by vector."""
_LEAST_ROWS = 16


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
