"""Runs of windows in words."""

import pytest

from simlab.planning.windows import spelled_runs


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([(3, 3)], "3"),
        ([(3, 4)], "3 and 4"),
        ([(1, 1), (3, 9)], "1 and 3 to 9"),
        ([(1, 3), (5, 6)], "1 to 3, 5 and 6"),
    ],
    ids=["one", "two", "a run", "runs"],
)
def test_runs_of_windows_in_words(runs, told):
    assert spelled_runs(runs) == told
