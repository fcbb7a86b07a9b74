"""Numbers that users give."""

from __future__ import annotations

import math

import pytest

import simlab
from simlab.checks import check_number


@pytest.mark.parametrize("number", [10**400, -(10**400), math.inf, math.nan, True, "1", None], ids=range(7))
def test_what_is_no_finite_number_is_a_users_mistake(number):
    with pytest.raises(simlab.SimlabError, match="epsilon = .* is not valid; expected a finite number >= 0"):
        simlab.BiasedSpeculative(epsilon=number)
    with pytest.raises(simlab.SimlabError, match="^width = "):
        check_number("width", number)


def test_a_number_is_taken_as_a_float():
    assert check_number("width", 3) == 3.0 and isinstance(check_number("width", 3), float)
