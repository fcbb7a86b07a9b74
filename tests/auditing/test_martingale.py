"""The martingales have mean 1 under their distribution, exactly, and grow under another."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from simlab.auditing.martingale import TILTS, log_dirichlet, log_mean, log_tilted

WANTED = np.array([0.5, 0.3, 0.2, 0.0])


def sequences(length):
    """Every sequence of the three possible cells, with its probability and its counts."""
    for cells in itertools.product(range(3), repeat=length):
        yield math.prod(WANTED[list(cells)]), np.bincount(cells, minlength=4)


@pytest.mark.parametrize("concentration", [0.5, 10.0, 5000.0])
def test_the_dirichlet_martingale_has_mean_one(concentration):
    mean = math.fsum(p * math.exp(log_dirichlet(n, WANTED, concentration)) for p, n in sequences(6))
    assert mean == pytest.approx(1, abs=1e-9)


def test_it_is_the_product_of_its_predictions():
    cells, k = [0, 2, 2, 1, 0, 0], 3.0
    product, seen = 1.0, np.zeros(4)
    for step, cell in enumerate(cells):
        product *= (seen[cell] + k * WANTED[cell]) / (step + k) / WANTED[cell]
        seen[cell] += 1
    assert math.exp(log_dirichlet(seen, WANTED, k)) == pytest.approx(product, rel=1e-12)


def test_an_impossible_cell_refutes_at_once():
    assert log_dirichlet(np.array([0, 0, 0, 1]), WANTED, 10.0) == math.inf


def test_tilted_martingales_have_mean_one():
    event = np.array([[True, False, True, False]])
    found = sum(p * np.exp(log_tilted(n[None], WANTED[None], event)) for p, n in sequences(6))
    assert found.shape == TILTS.shape
    np.testing.assert_allclose(found, 1, atol=1e-9)


def test_a_tilted_martingale_is_the_product_of_likelihood_ratios():
    event, counts = np.array([[True, False, True, False]]), np.array([[3, 2, 4, 0]])
    for tilt, log in zip(TILTS, log_tilted(counts, WANTED[None], event), strict=True):
        norm = 0.7 * math.exp(tilt) + 0.3
        assert log == pytest.approx(7 * tilt - 9 * math.log(norm), abs=1e-12)


def test_the_mean_of_logarithms_overflows_nowhere():
    assert log_mean(np.array([1e4, 1e4 + math.log(3)])) == pytest.approx(1e4 + math.log(2))
    assert log_mean(np.array([0.0, np.inf])) == np.inf
