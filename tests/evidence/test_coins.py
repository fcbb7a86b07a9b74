"""The interval of one binomial count without SciPy, against SciPy's and against exact tails."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import clopper_pearson
from simlab.evidence.coins import coin_interval


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 100, 4774, 10**6, 253_040_138])
@pytest.mark.parametrize("tail", [0.3, 0.025, 1e-4, 1e-12])
def test_it_is_scipys(trials, tail):
    for hits in {0, 1, trials // 3, trials // 2, trials - 1, trials}:
        share, low, high = (float(end[0]) for end in clopper_pearson(np.array([hits]), trials, tail))
        found = coin_interval(hits, trials, tail)
        for end, exact in zip(found, (low, high), strict=True):
            assert end == pytest.approx(exact, rel=1e-9, abs=1e-15)
            assert end - share == pytest.approx(exact - share, rel=1e-7, abs=1e-15)


@pytest.mark.parametrize(("hits", "trials"), [(3, 7), (1, 9), (11, 12)])
def test_the_tail_at_its_ends_is_exact(hits, trials):
    low, high = (Fraction(end) for end in coin_interval(hits, trials, 0.04))
    above = sum(comb(trials, n) * low**n * (1 - low) ** (trials - n) for n in range(hits, trials + 1))
    below = sum(comb(trials, n) * high**n * (1 - high) ** (trials - n) for n in range(hits + 1))
    assert float(above) == pytest.approx(0.04, rel=1e-10) and float(below) == pytest.approx(0.04, rel=1e-10)


@pytest.mark.parametrize(("hits", "trials"), [(-1, 3), (4, 3), (0, 0)])
def test_counts_that_cannot_be(hits, trials):
    with pytest.raises(SimlabError, match="hits"):
        coin_interval(hits, trials, 0.1)
