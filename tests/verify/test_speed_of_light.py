"""The search for a row that breaks a bound: quiet where the bound is right, loud where it is too small."""

import itertools
import math

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import Status
from simlab.laws import Rows
from simlab.theory.speed_of_light import (
    Moments,
    dual_bound,
    first_order,
    moments,
    renewal_bound,
    sharper_bound,
)
from simlab.verify.speed_of_light import (
    Found,
    _climbed,
    _closest,
    _measured,
    accepted_by_capacity,
    check_renewal,
    random_row,
    random_search,
)
from tests.exact import close

SMALL = {"rows": 40, "climbs": 3, "steps": 15, "capacity": 1000}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_violation_of_the_bounds(seed):
    checks = random_search(**SMALL, seed=seed)
    assert [check.status for check in checks] == [Status.PASS] * 2
    assert len({check.name for check in checks}) == 2
    for check in checks:
        assert check.difference == check.left_value - check.right_value > 0
        assert "40 random rows" in check.scope and f"seed {seed}" in check.scope


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("5% off the dual bound", lambda m, P: 0.95 * dual_bound(m, P)),
        ("Lorden's half too much", lambda m, P: dual_bound(m, P) - m.second / m.entropy**2),
        ("20% off the sharper bound", lambda m, P: 0.8 * sharper_bound(m, P)),
        ("no constant", first_order),
        ("no number", lambda m, P: np.full(P.shape, np.nan)),
    ],
)
def test_a_bound_that_is_too_small_is_caught(name, broken, seed):
    (check,) = random_search(**SMALL, seed=seed, bounds={name: broken})
    assert check.status == Status.FAIL
    assert name in check.name


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_renewal_bound_has_no_gap_where_rows_are_all_alike(seed):
    check = check_renewal(rows=8, capacity=1000, seed=seed)
    assert check.status == Status.PASS
    assert -1e-9 < check.difference
    wrong = check_renewal(rows=8, capacity=1000, seed=seed, bound=lambda law, P: 0.99 * renewal_bound(law, P))
    assert wrong.status == Status.FAIL
    looser = check_renewal(rows=8, capacity=1000, seed=seed, bound=lambda law, P: dual_bound(moments(law), P))
    assert looser.status == Status.FAIL


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_climbing_finds_a_smaller_gap_than_chance(seed):
    """In the gap that is climbed on, which is tokens over min(1, mu)^2."""
    random = np.random.default_rng(seed)
    for bound in (dual_bound, sharper_bound):
        start = _closest(bound, *_measured(random_row(random), 200))
        climbed = _climbed(bound, start, 40, 200, random)
        assert 0 < climbed.gap < start.gap
    still = random_search(rows=10, climbs=0, capacity=200, seed=seed)
    assert still != random_search(rows=10, climbs=3, steps=40, capacity=200, seed=seed)


def test_the_smallest_gap_is_not_the_fewest_tokens():
    """The row (.9, .1) lies 0.1 tokens below the dual bound at P = 1, and (1 - d, d) lies d below."""
    rows = [np.array([1 - rare, rare]) for rare in (0.1, 0.01, 0.001)]
    found = [_closest(dual_bound, *_measured(row, 100)) for row in rows]
    for one, rare in zip(found, (0.1, 0.01, 0.001), strict=True):
        assert one.capacity == 1
        close(one.difference, rare)
    gaps = [one.gap for one in found]
    assert gaps == sorted(gaps)
    close(found[0].gap, 0.1 / moments(Rows(rows[0][None], np.ones(1))).entropy ** 2)
    (check,) = random_search(**SMALL, bounds={"dual": dual_bound})
    told = float(check.scope.split("in tokens alone it was ")[1].split(" ")[0])
    assert 0 < told < check.difference / 10


def test_rows_all_but_certain_are_passed_over_unless_they_break_the_bound():
    steps = Moments(1e-4, 1e-3)
    assert Found(np.ones(1), steps, 9, 9.0 + 1e-12, 9.0).gap == math.inf
    assert Found(np.ones(1), steps, 9, 9.0 - 1e-6, 9.0).gap < 0


def test_deterministic_by_seed():
    assert random_search(**SMALL, seed=3) == random_search(**SMALL, seed=3)
    assert random_search(**SMALL, seed=3) != random_search(**SMALL, seed=4)


@pytest.mark.parametrize("row", [(0.5, 0.5), (0.6, 0.3, 0.1), (0.9, 0.05, 0.05, 0.0), (1.0, 0.0)], ids=str)
def test_accepted_by_sorting_all_prefixes(row):
    """All paths of up to 7 tokens: the 20 most probable prefixes are among them if none at depth 7 is."""
    paths = [
        math.prod(path) for depth in range(1, 8) for path in itertools.product(row, repeat=depth) if all(path)
    ]
    best = np.sort(paths)[::-1][:7]
    np.testing.assert_allclose(
        accepted_by_capacity(np.array(row), 7)[: len(best)], np.cumsum(best), rtol=1e-13
    )


def test_random_rows_are_distributions_of_many_kinds():
    random = np.random.default_rng(0)
    rows = [random_row(random) for _ in range(300)]
    assert all(abs(row.sum() - 1) < 1e-12 and (row >= 0).all() for row in rows)
    assert {len(row) for row in rows} == set(range(2, 13))
    largest = [row.max() for row in rows]
    assert min(largest) < 0.15 and max(largest) > 0.99


@pytest.mark.parametrize(
    ("options", "says"),
    [({"rows": 0}, "rows = 0"), ({"capacity": 0}, "capacity = 0"), ({"steps": -1}, "steps")],
)
def test_mistakes(options, says):
    with pytest.raises(SimlabError, match=says):
        random_search(**{**SMALL, **options})
