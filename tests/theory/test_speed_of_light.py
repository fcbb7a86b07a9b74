"""The speed of light: moments by a second route, bounds by their definitions, and what a cap may lose."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.errors import SimlabError
from simlab.laws import Dirichlet, Rows, Softmax, Zipf, rows_of_pair
from simlab.theory import optimal_tree
from simlab.theory.speed_of_light import (
    Moments,
    asymptote,
    cap,
    chain_moments,
    dual_bound,
    first_order,
    long_run,
    moments,
    published_slope,
    renewal_bound,
    sharper_bound,
    softmax,
    transform,
)
from tests.exact import close
from tests.strategies import examples

CAPACITIES = np.array([1, 2, 3, 8, 64, 256, 4096, 100_000])


def one_row(*row) -> Rows:
    return Rows(np.array([row]), np.ones(1))


def two_rows() -> Rows:
    return Rows(np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0.0]]), np.array([0.25, 0.75]))


def name_of(case):
    return getattr(case, "label", str(case))


def best_tree(row, capacity):
    """The best tree where every node has this row."""
    chain = np.tile(row, (len(row), 1))
    initial = np.full(len(row), 1 / len(row))
    return optimal_tree(simlab.ChainPair.stationary(chain, chain, initial, capacity), 0, 0, capacity)


# Moments


@pytest.mark.parametrize(("states", "a"), [(2, 1), (64, 1), (5, 3), (1000, 2)])
def test_dirichlet_moments_are_sums_of_fractions(states, a):
    """psi(V a + 1) - psi(a + 1) is the sum of 1/k for a < k <= V a, and likewise psi' of 1/k^2."""
    terms = range(a + 1, states * a + 1)
    entropy = float(sum(Fraction(1, k) for k in terms))
    variance = float(sum(Fraction(1, k * k) for k in terms))
    found = moments(Dirichlet(states, float(a)))
    np.testing.assert_allclose(found, (entropy, variance + entropy**2), rtol=1e-13)


@pytest.mark.parametrize("a", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("states", [2, 64, 1000])
def test_dirichlet_moments_keep_their_digits_where_rows_are_nearly_certain(states, a):
    """By the power series of psi and psi' at 1, whose coefficients are zeta numbers."""
    from scipy.special import zeta

    x = states * a
    powers = np.arange(1, 30)
    signs = (-1.0) ** (powers + 1)
    entropy = signs * zeta(powers + 1) @ (x**powers - a**powers)
    variance = signs * (powers + 1) * zeta(powers + 2) @ (x**powers - a**powers)
    np.testing.assert_allclose(moments(Dirichlet(states, a)), (entropy, variance + entropy**2), rtol=1e-10)


def test_uniform_rows_whatever_they_are_called():
    for law in (Dirichlet(64, 1e12), Softmax(64, 0.0), Zipf(64, 0.0), one_row(*np.full(64, 1 / 64))):
        np.testing.assert_allclose(moments(law), (math.log(64), math.log(64) ** 2), rtol=1e-12)
        np.testing.assert_allclose(transform(law, [0, 0.5, 2]), [1, 1 / 8, 64.0**-2], atol=1e-15)


@pytest.mark.parametrize(
    "law", [Dirichlet(1, 0.3), Softmax(1, 3.0), Zipf(1, 2.0), one_row(1.0, 0.0)], ids=str
)
def test_certain_rows(law):
    assert moments(law) == (0, 0)
    np.testing.assert_array_equal(transform(law, [0, 1, 30]), 1)
    assert cap(law, 50) == (50, 0.0)


@pytest.mark.parametrize("scale", [0.05, 0.5, 0.7, 3.0, 40.0])
def test_softmax_of_two_by_one_integral(scale):
    """p is a logistic function of the difference of the logits, which is N(0, 2 scale^2)."""
    from scipy.integrate import quad
    from scipy.special import expit

    def mean(function):
        def integrand(z):
            p = expit(math.sqrt(2) * scale * z)
            return (function(p) + function(1 - p)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return (
            2 * quad(integrand, 0, 1 / scale, epsabs=1e-14)[0]
            + 2 * quad(integrand, 1 / scale, min(39, 700 / scale), epsabs=1e-14, limit=500)[0]
        )

    law = Softmax(2, scale)
    entropy = mean(lambda p: -p * math.log(p) if p > 0 else 0.0)
    second = mean(lambda p: p * math.log(p) ** 2 if p > 0 else 0.0)
    np.testing.assert_allclose(moments(law), (entropy, second), rtol=1e-10)
    np.testing.assert_allclose(transform(law, 1.5), mean(lambda p: p**2.5), rtol=1e-10)


@pytest.mark.parametrize("scale", [0.61, 5.0, 40.0])
def test_softmax_sums_do_not_depend_on_how_they_are_taken(scale, monkeypatch):
    """A finer grid, Fourier transforms, and above all the limits: nothing moves."""
    law = Softmax(64, scale)
    usual = (*moments(law), *transform(law, [0.5, 16.0]))
    for name, value in (("STEP", 0.09), ("DIRECT", 0.0), ("LEFT", 60.0), ("RIGHT", 9.0), ("REACH", 11.0)):
        monkeypatch.setattr(softmax, name, value)
        np.testing.assert_allclose(
            (*moments(law), *transform(law, [0.5, 16.0])), usual, rtol=1e-12, atol=1e-13
        )
        monkeypatch.undo()
    monkeypatch.setattr(softmax, "STEP", 1.5)
    assert abs(moments(law).entropy / usual[0] - 1) > 1e-9


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, 20.0])
def test_softmax_entropy_by_integration_by_parts(scale):
    """E[g_i] under the row is scale^2 (1 - E[sum p^2]), so mu = E[log Z] - scale^2 (1 - transform at 1)."""
    states = 16
    z = np.linspace(-12, 12, 2401)
    weights = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    lam = np.exp(np.arange(-13 * scale - 40, 13 * scale + 10, 0.1))
    others = np.array([weights @ np.exp(-np.exp(np.minimum(scale * z, 600)) * one) for one in lam])
    log_normaliser = 0.1 * (np.exp(-lam) - others**states).sum()
    entropy = log_normaliser - scale**2 * (1 - float(transform(Softmax(states, scale), 1.0)))
    assert moments(Softmax(states, scale)).entropy == pytest.approx(entropy, abs=2e-10 * max(scale**2, 1))


@pytest.mark.parametrize(
    "law", [Dirichlet(7, 0.4), Softmax(7, 2.0), Softmax(7, 0.2), two_rows()], ids=name_of
)
def test_the_transform_at_zero_is_one_and_its_slope_the_entropy(law):
    s = 1e-3
    found = transform(law, [0.0, s, 2 * s])
    mean, second = moments(law)
    slope, curvature = (4 * found[1] - found[2] - 3) / (2 * s), (found[2] - 2 * found[1] + 1) / s**2
    assert found[0] == 1
    assert -slope == pytest.approx(mean, rel=1e-4)
    assert curvature == pytest.approx(second, rel=1e-2)


def test_transform_of_a_dirichlet_law_at_whole_numbers():
    """E[sum p^2] = (a + 1) / (V a + 1), and so on, factor by factor."""
    for states, a in ((64, 0.1), (3, 20.0), (9, 1e-7)):
        exact = np.cumprod([(a + k) / (states * a + k) for k in range(1, 33)])
        np.testing.assert_allclose(transform(Dirichlet(states, a), np.arange(1, 33)), exact, atol=1e-15)


def test_rows_are_weighed_and_divided_by_their_sums():
    half, point = -math.log(0.5), -math.log(0.9) * 0.9 - math.log(0.1) * 0.1
    assert moments(two_rows()).entropy == pytest.approx(0.25 * 1.5 * half + 0.75 * point, rel=1e-14)
    off = Rows(np.array([[0.5 + 4e-10, 0.5 + 4e-10]]), np.ones(1))
    assert moments(off).entropy == pytest.approx(half, rel=1e-14)


# Bounds


def any_moments():
    """mu and mu2 = mu^2 (1 + c)."""
    return st.builds(
        lambda entropy, spread: Moments(entropy, entropy**2 * (1 + spread)),
        st.floats(-12, 2).map(lambda x: 10.0**x),
        st.one_of(st.just(0.0), st.floats(-9, 9).map(lambda x: 10.0**x)),
    )


@given(any_moments(), st.integers(1, 10**9))
def test_the_dual_bound_is_the_smaller_one_and_at_most_all(steps, capacity):
    """With Lorden's bound for U at every threshold; the closed form is its least value."""
    dual, sharper = dual_bound(steps, capacity), sharper_bound(steps, capacity)
    assert dual <= capacity
    assert dual <= sharper * (1 + 1e-12)
    constant = steps.second / steps.entropy**2 - 1
    t = np.concatenate([[0.0], np.geomspace(1e-9, 50, 400)])
    everywhere = capacity * np.exp(-t) + (t + np.expm1(-t)) / steps.entropy - constant * np.expm1(-t)
    assert dual <= everywhere.min() * (1 + 1e-9)


@given(any_moments(), st.integers(1, 10**6))
def test_the_dual_bound_is_attained_by_its_threshold(steps, capacity):
    constant = steps.second / steps.entropy**2 - 1
    best = max(1 + steps.entropy * (capacity + 1) - steps.second / steps.entropy, 1.0)
    t = math.log1p(max(steps.entropy * (capacity - constant), 0.0))
    assert math.exp(t) == pytest.approx(best, rel=1e-6, abs=1e-6)
    value = capacity * math.exp(-t) + (t + math.expm1(-t)) / steps.entropy - constant * math.expm1(-t)
    assert dual_bound(steps, capacity) == pytest.approx(value, rel=1e-6)


@given(any_moments())
def test_bounds_rise_with_the_capacity(steps):
    for bound in (sharper_bound, dual_bound, first_order):
        values = bound(steps, CAPACITIES)
        assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all()


def test_the_numbers_of_one_law():
    """V = 64, logits 3 N(0, 1): 60 environments gave E[X] = 1.34, 2.43, 3.24 at these capacities."""
    steps = moments(Softmax(64, 3.0))
    simulated, places = np.array([1.34, 2.43, 3.24]), np.array([8, 64, 256])
    sharper = [math.log(place) / steps.entropy + steps.second / steps.entropy**2 for place in places]
    np.testing.assert_allclose(sharper_bound(steps, places), sharper, rtol=1e-14)
    assert steps.entropy == pytest.approx(1.8104680753357565, rel=1e-12)
    assert (simulated < dual_bound(steps, places)).all()
    assert asymptote(steps, 256) == pytest.approx(simulated[-1], abs=0.05)
    assert published_slope(steps) * math.log(64) > sharper_bound(steps, 64)
    assert published_slope(Moments(2.0, 6.0)) == (2 + 6) / 4


def test_large_capacities_gain_what_the_docstring_says():
    """sharper - dual tends to 1 - log(mu) / mu, dual - asymptote to mu2 / (2 mu^2)."""
    for steps in (Moments(0.3, 0.5), Moments(math.e, 9.0), Moments(4.0, 16.0)):
        mu, second = steps
        sharper, dual = sharper_bound(steps, 1e12), dual_bound(steps, 1e12)
        assert sharper - dual == pytest.approx(1 - math.log(mu) / mu, abs=1e-9)
        assert sharper - dual > 1 - 1 / math.e - 1e-9
        assert dual - asymptote(steps, 1e12) == pytest.approx(second / (2 * mu**2), abs=1e-9)


def test_where_every_node_is_certain():
    certain = Moments(0.0, 0.0)
    np.testing.assert_array_equal(dual_bound(certain, CAPACITIES), CAPACITIES)
    assert np.isinf([sharper_bound(certain, 1), first_order(certain, 2), published_slope(certain)]).all()
    assert first_order(certain, 1) == 0
    assert np.isnan(asymptote(certain, 5))
    np.testing.assert_array_equal(renewal_bound(one_row(1.0, 0.0), CAPACITIES), CAPACITIES)
    nearly = Moments(1e-15, 1e-15**2)
    np.testing.assert_allclose(dual_bound(nearly, [1, 10, 100]), [1, 10, 100], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dual_bound(Moments(1.0, 2.0), 0), "capacity|0.0"),
        (lambda: dual_bound(Moments(1.0, 2.0), [4, 0.5]), "0.5"),
        (lambda: sharper_bound(Moments(1.0, 2.0), math.inf), "inf"),
        (lambda: sharper_bound(Moments(1.0, 2.0), "many"), "many"),
        (lambda: dual_bound(Moments(2.0, 1.0), 4), "second"),
        (lambda: dual_bound(Moments(math.inf, math.inf), 4), "finite"),
        (lambda: dual_bound(Moments(math.nan, 1.0), 4), "finite"),
        (lambda: moments("dirichlet"), "not a distribution of rows; expected"),
        (lambda: moments(Softmax(4, 1e5)), "10000"),
        (lambda: transform(Zipf(4), -1.0), "s >= 0"),
        (lambda: renewal_bound(Softmax(4, 1.0), 4), "dual_bound"),
        (lambda: renewal_bound(Zipf(4), 0), "at least 1"),
        (lambda: cap(Zipf(4), 0), "capacity = 0"),
        (lambda: cap(Zipf(4), 4, 0.0), "remainder = 0.0"),
        (lambda: chain_moments(simlab.pairs.paper(2), "both"), "'both'"),
    ],
)
def test_mistakes(call, says):
    with pytest.raises(SimlabError, match=says):
        call()


# Bounds against exact E[X] of small random environments


def exact_accepted(law: Rows, depth: int, capacity: int) -> float:
    """E[X] of the best tree over all environments, `depth` levels deep, every row a draw of its own."""

    @cache
    def trees(levels: int) -> tuple:
        """((probability, the falling probabilities of the nodes below)) of all environments so deep."""
        found = []
        for row, weight in zip(law.rows, law.weights, strict=True):
            partial = [(weight, ())]
            for p in row[row > 0]:
                below = trees(levels - 1) if levels > 1 else ((1.0, ()),)
                partial = [
                    (w * v, (*nodes, p, *(p * q for q in more))) for w, nodes in partial for v, more in below
                ]
            found += partial
        merged: dict = {}
        for w, nodes in found:
            key = tuple(sorted(nodes, reverse=True)[:capacity])
            merged[key] = merged.get(key, 0.0) + w
        return tuple((w, key) for key, w in merged.items())

    return math.fsum(w * math.fsum(nodes) for w, nodes in trees(depth))


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_bounds_hold_over_all_environments_of_a_law(capacity):
    """So few nodes never reach deeper than `capacity` levels; the order of Jensen and the minimum matters."""
    law = two_rows()
    exact = exact_accepted(law, capacity, capacity)
    steps = moments(law)
    for bound in (renewal_bound(law, capacity), dual_bound(steps, capacity), sharper_bound(steps, capacity)):
        assert exact <= bound
    assert renewal_bound(law, capacity) <= dual_bound(steps, capacity) + 2e-3


@pytest.mark.parametrize(
    "row",
    [
        (0.5, 0.5),
        (0.7, 0.3),
        (0.97, 0.02, 0.01),
        (0.25, 0.25, 0.25, 0.25),
        (0.6, 0.2, 0.1, 0.1, 0.0),
        tuple(0.5 ** np.minimum(np.arange(1, 8), 6)),
    ],
    ids=str,
)
def test_where_the_environment_is_not_random_the_renewal_bound_is_exact(row):
    """Duality: two programs that share nothing, one with a lattice and one with a heap."""
    exact = best_tree(np.array(row), 3000).expected_accepted_by_capacity
    places = np.unique(np.geomspace(1, 3000, 40).astype(int))
    found = renewal_bound(one_row(*row), places)
    assert (found >= exact[places - 1] - 1e-12).all()
    np.testing.assert_allclose(found, exact[places - 1], atol=3e-3)
    assert (dual_bound(moments(one_row(*row)), places) >= exact[places - 1]).all()


def test_each_capacity_has_its_renewal_bound_whatever_is_asked_with_it():
    """Rare tokens of 1e-5: the least bound of 30,000 nodes is where they are among them, at t > log(1e5).

    That is beyond log(mu P) + 3: a lattice that ends there lies .1 above.
    """
    row = np.array([0.99, *[1e-5] * 1000])
    law, capacities = one_row(*row), np.array([1, 9, 30_000, 10**6])
    together = renewal_bound(law, capacities)
    close([float(renewal_bound(law, each)) for each in capacities], together)
    exact = best_tree(row, 30_000).expected_accepted_by_capacity
    assert exact[-1] - 1e-9 <= together[2] <= exact[-1] + 1e-3


def exact_threshold(law: Rows, t: float) -> float:
    """E[sum over n >= 1 of (1 - e^{S_n - t})_+], by its first step."""
    steps = [
        (-math.log(p), w * p) for row, w in zip(law.rows, law.weights, strict=True) for p in row if p > 0
    ]

    @cache
    def below(left: float) -> float:
        return math.fsum(
            mass * (1 - math.exp(step - left) + below(round(left - step, 12)))
            for step, mass in steps
            if step <= left
        )

    return below(round(t, 12))


@pytest.mark.parametrize("capacity", [1, 5, 40, 500])
def test_the_renewal_bound_by_the_first_step(capacity):
    law = two_rows()
    reached = np.linspace(0, math.log(capacity) + 2, 60)
    exact = min(capacity * math.exp(-t) + exact_threshold(law, t) for t in reached)
    assert renewal_bound(law, capacity) == pytest.approx(exact, abs=0.02)
    assert renewal_bound(law, capacity) <= exact + 3e-3


def test_the_renewal_bound_of_a_dirichlet_law_by_walks():
    """50,000 walks: each mean lies within 6 standard errors, but for 2e-9."""
    law, capacity, random = Dirichlet(16, 0.3), 300, np.random.default_rng(3)
    bound, thresholds = float(renewal_bound(law, capacity)), np.linspace(3.5, 7.5, 17)
    place, sums = np.zeros(50_000), np.zeros((17, 50_000))
    for _ in range(40):
        place -= np.log(random.beta(1.3, 4.5, place.size))
        sums += np.maximum(-np.expm1(place - thresholds[:, None]), 0)
    means = capacity * np.exp(-thresholds) + sums.mean(axis=1)
    errors = 6 * sums.std(axis=1) / math.sqrt(place.size)

    def agrees(claimed):
        """Under the bound at every threshold, and next to the best of these, which are 0.25 apart."""
        return (claimed <= means + errors).all() and means.min() <= claimed + 0.01 + errors.max()

    assert agrees(bound)
    assert not agrees(1.05 * bound) and not agrees(0.95 * bound)


@pytest.mark.parametrize("law", [Dirichlet(64, 0.1), Dirichlet(3, 1.0), Dirichlet(64, 0.02)], ids=name_of)
def test_the_renewal_bound_tends_to_the_asymptote(law):
    gaps = renewal_bound(law, [1e3, 1e6, 1e9]) - asymptote(moments(law), [1e3, 1e6, 1e9])
    assert abs(gaps[2]) < 2e-3 and abs(gaps[2]) <= abs(gaps[0]) + 1e-3


# Caps


@pytest.mark.parametrize("remainder", [1e-1, 1e-3, 1e-9])
@pytest.mark.parametrize(
    "row", [(0.5, 0.5), (0.9, 0.1), (0.99, 0.005, 0.005), (0.4, 0.3, 0.2, 0.1)], ids=name_of
)
def test_what_lies_deeper_than_the_cap_is_at_most_rho(row, remainder):
    """The best tree's mass below level c, the stronger claim of the proof."""
    for capacity in (1, 3, 30, 1000):
        deepest, lost = cap(one_row(*row), capacity, remainder)
        tree = best_tree(np.array(row), capacity)
        assert 0 <= lost <= remainder and 0 <= deepest <= capacity
        assert tree.reach[tree.depth > deepest].sum() <= lost + 1e-15


def test_a_cap_is_not_much_more_than_needed():
    for law in (Softmax(64, 3.0), Dirichlet(64, 0.1), Zipf(64, 1.0)):
        for capacity in (64, 4096, 10**5):
            deepest, lost = cap(law, capacity)
            assert deepest < 3 * float(dual_bound(moments(law), capacity)) + 8
            assert 0 < lost <= 1e-3 and deepest < capacity


def test_a_cap_is_the_least_of_its_bound():
    """rho(c) = min over s of (1 + 1/s) P (s a / P)^{1 / (1 + s)}, by the formula as it is printed."""
    law, capacity = Dirichlet(8, 0.5), 500
    s = np.geomspace(0.05, 16, 21)
    phi = transform(law, s)

    def rho(c):
        a = phi ** (c + 1) / (1 - phi)
        return ((1 + 1 / s) * capacity * (s * a / capacity) ** (1 / (1 + s))).min()

    for remainder in (0.1, 1e-3, 1e-6):
        deepest, lost = cap(law, capacity, remainder)
        assert lost == pytest.approx(rho(deepest), rel=1e-9)
        assert rho(deepest) <= remainder < rho(deepest - 1)


@pytest.mark.parametrize("law", [Dirichlet(64, 1e-300), Dirichlet(2, 5e-324), Zipf(64, 700.0)], ids=str)
def test_an_entropy_whose_square_is_no_float(law):
    known, capacities = moments(law), np.array([1.0, 10.0, 100.0])
    assert 0 < known.entropy < 1e-160
    assert dual_bound(known, capacities).tolist() == capacities.tolist()
    assert (sharper_bound(known, capacities) > 1e200).all() and published_slope(known) > 1e200
    assert (first_order(known, capacities)[1:] > 1e200).all()
    assert renewal_bound(law, capacities).tolist() == capacities.tolist()
    assert cap(law, 100) == (100, 0.0)


def test_no_value_is_cut_off_at_nothing():
    assert cap(Softmax(64, 0), 1) == (1, 0.0) and cap(Zipf(2**20, 0), 10)[0] == 1


def test_nothing_is_lost_where_the_cap_is_the_capacity():
    """Also where the bound asks for just so much."""
    law = Dirichlet(8, 0.5)
    for remainder in (0.3, 1e-3):
        caps = [(capacity, *cap(law, capacity, remainder)) for capacity in range(1, 60)]
        assert all((deepest == capacity) == (lost == 0) for capacity, deepest, lost in caps)
        assert len({lost == 0 for _, _, lost in caps}) == 2


# Chains


def test_a_chain_of_equal_rows_is_the_law_of_that_row():
    row = np.array([0.6, 0.3, 0.1, 0.0])
    chain = np.tile(row, (4, 1))
    pair = simlab.ChainPair.stationary(chain, np.eye(4), np.full(4, 0.25), 7)
    np.testing.assert_allclose(chain_moments(pair, "draft"), moments(one_row(*row)), rtol=1e-13)
    assert chain_moments(pair, "target") == (0, 0)


def test_a_chain_that_changes_is_weighed_by_its_visits():
    pair = simlab.pairs.paper(9)
    for model in ("target", "draft"):
        np.testing.assert_allclose(chain_moments(pair, model), moments(rows_of_pair(pair, model)), rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_long_run_of_sparse_chains(seed):
    """By a power of the lazy chain, whose limit is the same; periods and classes as they come."""
    random = np.random.default_rng(seed)
    chain = random.random((6, 6)) * (random.random((6, 6)) < 0.25)
    chain[np.arange(6), random.integers(6, size=6)] += 0.1
    chain /= chain.sum(axis=1, keepdims=True)
    initial = random.dirichlet(np.ones(6))
    limit = initial @ np.linalg.matrix_power((np.eye(6) + chain) / 2, 2**14)
    np.testing.assert_allclose(long_run(chain, initial), limit, atol=1e-10)


def test_the_long_run_of_odd_chains():
    np.testing.assert_allclose(long_run(np.roll(np.eye(4), 1, 1), np.eye(4)[2]), np.full(4, 0.25))
    np.testing.assert_allclose(long_run(np.eye(3), np.array([0.2, 0.0, 0.8])), [0.2, 0.0, 0.8])
    np.testing.assert_allclose(long_run(np.ones((1, 1)), np.ones(1)), [1.0])
    gambler = np.array([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(long_run(gambler, np.eye(4)[1]), [2 / 3, 0, 0, 1 / 3], atol=1e-15)
    drifts = np.array([[0, 0.75, 0.25, 0], [0.5, 0, 0, 0.5], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(long_run(drifts, np.eye(4)[0]), [0, 0, 0.4, 0.6], atol=1e-15)
    rare = 1e-13
    slow = np.array([[1 - rare, rare], [3 * rare, 1 - 3 * rare]])
    np.testing.assert_allclose(long_run(slow, np.array([0.0, 1.0])), [0.75, 0.25], rtol=2e-3)


@examples(20)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_any_chain_has_moments(states, seed):
    random = np.random.default_rng(seed)
    chain = random.dirichlet(np.full(states, 0.2), states)
    chain[random.random((states, states)) < 0.3] = 0
    empty = chain.sum(axis=1) == 0
    chain[empty, 0] = 1
    chain /= chain.sum(axis=1, keepdims=True)
    pair = simlab.ChainPair.stationary(chain, chain, random.dirichlet(np.ones(states)), 3)
    entropy, second = chain_moments(pair)
    assert 0 <= entropy <= math.log(states) + 1e-12
    assert second >= entropy**2 * (1 - 1e-9)
