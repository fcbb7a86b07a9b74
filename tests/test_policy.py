"""Tables of windows: what makes two of them the same policy, and which tables are none."""

from __future__ import annotations

import numpy as np
import pytest

from simlab import AdaptiveSpeculative, Policy, SimlabError


def test_policies_are_equal_by_table_and_bonus():
    """Results are remembered and tasks are named by what is equal: the bonus token is part of it."""
    policy = Policy([[1, 2], [2, 1]])
    same = Policy(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert policy == same and hash(policy) == hash(same) and policy.digest == same.digest
    others = [
        Policy([[1, 2], [2, 1]], bonus=False),
        Policy([[1, 2], [1, 2]]),
        Policy([[1, 2, 2, 1]]),
        Policy([[1], [2], [2], [1]]),
    ]
    assert len({policy, *others}) == 5
    assert AdaptiveSpeculative(policy) == AdaptiveSpeculative(same) != AdaptiveSpeculative(others[0])


@pytest.mark.parametrize(
    ("windows", "bonus", "told"),
    [
        (
            [[1, 0]],
            False,
            r"windows\[0, 1\] = 0 is not valid; expected a whole number of at least 1 \(without",
        ),
        ([[0], [-1]], True, r"windows\[1, 0\] = -1 is not valid; expected a whole number of at least 0$"),
        ([[0.5]], True, "= 0.5 is not valid; expected a whole number"),
        ([[np.nan]], True, "= nan is not valid; expected a whole number"),
        ([[2**31]], True, "= 2147483648 is not valid; expected a whole number"),
        ([1, 2], True, r"shape \(2,\)"),
        ([[1], [1, 2]], True, "differ in length"),
        ([["1"]], True, "give whole numbers"),
        ([[True]], True, "give whole numbers"),
        ([[1]], 1, "bonus"),
    ],
    ids=["no draft", "negative", "half", "nan", "long", "row", "ragged", "text", "flag", "bonus"],
)
def test_tables_that_are_none(windows, bonus, told):
    with pytest.raises(SimlabError, match=told):
        Policy(windows, bonus)


def test_the_table_is_its_own():
    """It cannot be changed, neither in place nor by what it was made from."""
    given = np.array([[1, 2]])
    policy = Policy(given)
    given[:] = 9
    assert policy.windows.tolist() == [[1, 2]] and policy.longest == 2
    with pytest.raises(ValueError, match="read-only"):
        policy.windows[0, 0] = 3
    assert Policy([[0, 0]]).longest == 0
    policy.check_fits(1, 2)
    for horizon, states in ((2, 2), (1, 3), (2, 1)):
        with pytest.raises(SimlabError, match="the policy is for"):
            policy.check_fits(horizon, states)
