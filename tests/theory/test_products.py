"""Products in small parts are products, whatever their shapes."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.theory.products import product

SHAPES = [(0, 4, 3), (1, 1, 1), (1, 95, 95), (1, 400, 400), (2, 3, 7), (24, 103, 103), (25, 103, 103),
          (401, 103, 103), (33, 400, 399), (3, 1000, 700), (17, 5, 70000), (50, 2**15, 3)]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parts_make_the_whole(shape):
    count, inner, columns = shape
    random = np.random.default_rng(shape)
    left, right = random.random((count, inner)), random.random((inner, columns))
    for other in (right, np.asfortranarray(right)):
        np.testing.assert_allclose(product(left, other), left @ other, rtol=1e-12)
    for row in left[:1]:
        np.testing.assert_allclose(product(row, right), row @ right, rtol=1e-12)
