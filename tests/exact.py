"""Two ways to compare computed numbers, so that each test says which one it means."""

import numpy as np


def same(found, wanted, why: str) -> None:
    """Every bit the same. why: the argument that no rounding can differ, on any processor or library.

    Such as: integers, dyadic fractions, a branch of the code that does no arithmetic, one and the same array.
    Two sums in another order, of another shape or by another kernel of BLAS are not: see `close`.
    """
    assert why
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"{found.shape} is not {wanted.shape}; the same, as {why}"
    np.testing.assert_array_equal(found, wanted, err_msg=f"the same, as {why}")


def close(found, wanted, tolerance: float = 1e-12) -> None:
    """The same but for rounding: to `tolerance` of the wanted number, or of 1 where that is smaller."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    assert found.shape == wanted.shape, f"{found.shape} is not {wanted.shape}"
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
