"""How large a sample a verdict needs, against verdicts on samples of that size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import pmf_verdict, trajectories_to_notice

LAWS = [
    ([0.4, 0.3, 0.2, 0.1], [0.34, 0.33, 0.22, 0.11]),
    ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.2, 0.5]),
    ([0.5, 0.5], [0.75, 0.25]),
    ([0.999, 0.001, 0.0], [0.998, 0.002, 0.0]),
    ([0.5, 0.5, 0.0], [0.4, 0.5, 0.1]),  # the first hit on an impossible token is enough
    ([1.0, 0.0], [0.99, 0.01]),
]


def _failed(exact, true, size: int, samples: int) -> int:
    """How many of so many samples of that size from `true` refute `exact`."""
    draws = np.random.default_rng(size).multinomial(size, true, samples)
    return sum(pmf_verdict("law", draw, exact, resolution=1.0).status == "FAIL" for draw in draws)


@pytest.mark.parametrize(("exact", "true"), LAWS, ids=str)
def test_that_many_are_noticed_and_a_quarter_is_not_always(exact, true):
    """Missed with probability 1e-6 each; a quarter leaves the surest cell 2.4 sigma short of surely."""
    size = trajectories_to_notice(exact, true)
    assert _failed(exact, true, size, 60) == 60
    assert _failed(exact, true, max(size // 4, 1), 60) < 60
    assert _failed(exact, exact, size, 60) == 0


def test_the_size_is_where_a_cell_leaves_its_band_so_surely():
    """From the verdict itself: which counts of a coin it refutes, and how likely those are."""
    from scipy.stats import binom

    def missed(size: int) -> float:
        passed = [
            hits
            for hits in range(size + 1)
            if pmf_verdict("law", np.array([hits, size - hits]), [0.5, 0.5], resolution=1.0).status != "FAIL"
        ]
        return float(binom.pmf(passed, size, 0.75).sum())

    size = trajectories_to_notice([0.5, 0.5], [0.75, 0.25])
    assert missed(size) <= 1e-6 < missed(size - 3)


def test_larger_differences_are_noticed_sooner():
    exact = np.array([0.5, 0.3, 0.2])
    sizes = [
        trajectories_to_notice(exact, exact + shift * np.array([1, -1, 0]))
        for shift in 0.1 ** np.arange(1, 6)
    ]
    assert all(60 < later / sooner < 140 for sooner, later in itertools.pairwise(sizes))
    stricter = trajectories_to_notice(exact, np.array([0.51, 0.29, 0.2]), false_alarm=1e-12)
    assert stricter > sizes[1]


def test_no_sample_shows_what_is_not_there():
    assert trajectories_to_notice([0.5, 0.5], [0.5, 0.5]) is None
    assert trajectories_to_notice([1.0], [1.0]) is None
    assert trajectories_to_notice([0.1 + 0.2, 0.7], [0.3, 0.7]) is None  # rounding
    assert trajectories_to_notice([0.5, 0.5], [0.5 + 1e-11, 0.5 - 1e-11]) is None  # 1e23 of them


def test_one_is_enough_where_all_is_impossible():
    assert trajectories_to_notice([1.0, 0.0], [0.0, 1.0]) == 1


def test_laws_of_other_shapes_are_refused():
    for other in ([0.5, 0.25, 0.25], [[0.5, 0.5]], []):
        with pytest.raises(SimlabError, match="expected two of"):
            trajectories_to_notice([0.5, 0.5], other)
