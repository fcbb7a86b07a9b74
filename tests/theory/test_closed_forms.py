"""The closed forms of Figure 3 against rational arithmetic and against the forward recursion."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import BatchSpeculative
from simlab.errors import SimlabError
from simlab.pairs import bernoulli, uniform
from simlab.theory import batch_improvement_bernoulli, batch_improvement_uniform, predict

DRAFTS = [1, 2, 3, 7, 40, 1000, 10**9, math.inf]
ODD = [0.0, 1e-300, 1e-12, 0.3, 0.5, 0.9, 1 - 1e-12, 1.0]


def by_recursion(pair, drafts):
    """TV less the rejections of `drafts` drafts, both from the distribution of N_rej at T = 1."""
    return (
        predict(pair, BatchSpeculative(1)).expected_rejections
        - predict(pair, BatchSpeculative(drafts)).expected_rejections
    )


def tried_in_order(draft: list[Fraction], target: list[Fraction], drafts: int) -> Fraction:
    """The batch improvement from its definition, in rationals."""
    product, current, first = Fraction(1), target, None
    for _ in range(drafts):
        left = [max(q - p, Fraction(0)) for p, q in zip(draft, current, strict=True)]
        distance = sum(left)
        first = distance if first is None else first
        product *= distance
        if distance == 0:
            break
        current = [mass / distance for mass in left]
    return first - product


@pytest.mark.parametrize("drafts", [1, 2, 5, 12])
@pytest.mark.parametrize(("u", "v"), [(0, 1), (1, 0), (1, 1), (3, 4), (4, 3), (7, 8), (1, 8), (8, 0), (0, 3)])
def test_bernoulli_is_the_definition_in_rationals(u, v, drafts):
    draft, target = ([1 - Fraction(x, 8), Fraction(x, 8)] for x in (u, v))
    exact = tried_in_order(draft, target, drafts)
    assert batch_improvement_bernoulli(u / 8, v / 8, drafts) == pytest.approx(float(exact), rel=1e-14, abs=0)


@pytest.mark.parametrize("drafts", [1, 2, 5, 12])
@pytest.mark.parametrize(("states", "target_states"), [(1, 1), (4, 4), (5, 4), (6, 3), (9, 2), (30, 1)])
def test_uniform_is_the_definition_in_rationals(states, target_states, drafts):
    draft = [Fraction(1, states)] * states
    target = [Fraction(y < target_states, target_states) for y in range(states)]
    exact = tried_in_order(draft, target, drafts)
    found = batch_improvement_uniform(states / target_states, drafts)
    assert found == pytest.approx(float(exact), rel=1e-14, abs=0)


@given(st.floats(0, 1) | st.sampled_from(ODD), st.floats(0, 1) | st.sampled_from(ODD))
def test_bernoulli_is_the_recursion(draft, target):
    pair = bernoulli(draft, target)
    found = batch_improvement_bernoulli(draft, target, DRAFTS)
    np.testing.assert_allclose(found, [by_recursion(pair, drafts) for drafts in DRAFTS], atol=1e-12)
    other = batch_improvement_bernoulli(1 - draft, 1 - target, DRAFTS[:6])
    np.testing.assert_allclose(found[:6], other, atol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40))
def test_uniform_is_the_recursion(some, more):
    states = max(some, more)
    pair = uniform(states, min(some, more))
    found = batch_improvement_uniform(states / min(some, more), DRAFTS)
    np.testing.assert_allclose(found, [by_recursion(pair, drafts) for drafts in DRAFTS], atol=1e-12)


def test_the_printed_form_and_no_other():
    """Control: neither an exponent of M nor the tokens' positions exchanged would have passed."""
    assert batch_improvement_bernoulli(0.75, 0.5, 3) == pytest.approx(0.25 * (1 - 0.75**2), rel=1e-14)
    assert abs(0.25 * (1 - 0.75**3) - by_recursion(bernoulli(0.75, 0.5), 3)) > 0.01
    assert abs(0.25 * (1 - 0.25**2) - by_recursion(bernoulli(0.25, 0.5), 3)) > 0.01


def test_digits_are_kept_where_little_is_saved():
    tiny = 1e-200
    assert batch_improvement_bernoulli(1 - 2**-53, 0.5, 2) == pytest.approx(0.5 * 2**-53, rel=1e-12)
    assert batch_improvement_bernoulli(tiny, 0.5, 2) == pytest.approx(0.5 * tiny, rel=1e-12)
    assert batch_improvement_uniform(1e200, 2) == pytest.approx(1e-200, rel=1e-12)
    assert batch_improvement_uniform(1 + 2**-52, 2) == pytest.approx(2**-52, rel=1e-12)


def test_limits_and_shapes():
    assert batch_improvement_bernoulli(0.9, 0.5, math.inf) == pytest.approx(0.4)
    assert (
        batch_improvement_bernoulli(1.0, 0.5, math.inf) == batch_improvement_bernoulli(0, 0.5, math.inf) == 0
    )
    assert batch_improvement_uniform(4, math.inf) == 0.75
    assert batch_improvement_uniform(1, math.inf) == 0
    assert batch_improvement_uniform(4, np.arange(1, 7).reshape(2, 3)).shape == (2, 3)
    assert batch_improvement_uniform(4, 2).shape == ()


@pytest.mark.parametrize("drafts", [0, 1.5, math.nan, "2", [1, -1], [], None, True], ids=repr)
def test_drafts_that_are_none(drafts):
    if drafts == []:
        assert batch_improvement_uniform(2, drafts).shape == (0,)
        return
    with pytest.raises(
        SimlabError, match="drafts = .* is not valid; expected whole numbers of at least 1, or inf"
    ):
        batch_improvement_uniform(2, drafts)
    with pytest.raises(SimlabError, match="drafts = "):
        batch_improvement_bernoulli(0.3, 0.5, drafts)


@pytest.mark.parametrize(
    ("form", "values", "words"),
    [
        (
            batch_improvement_bernoulli,
            (1.1, 0.5),
            "draft = 1.1 is not valid; expected a finite number >= 0 and <= 1",
        ),
        (batch_improvement_bernoulli, (0.5, math.nan), "target = nan"),
        (batch_improvement_uniform, (0.99,), "ratio = 0.99 is not valid; expected a finite number >= 1"),
        (batch_improvement_uniform, (math.inf,), "ratio = inf"),
    ],
    ids=["draft", "target", "ratio", "inf"],
)
def test_parameters_out_of_range(form, values, words):
    with pytest.raises(SimlabError, match=words):
        form(*values, 2)
