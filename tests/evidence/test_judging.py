"""The levels of verdicts: checked, the defaults of every verdict, and taken by every verdict."""

from __future__ import annotations

import dataclasses
import inspect
import math

import numpy as np
import pytest

import simlab.evidence as evidence
from simlab.errors import SimlabError
from simlab.evidence import FALSE_ALARM, MISS, Judging

VERDICTS = [getattr(evidence, name) for name in evidence.__all__ if name.endswith("_verdict")]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict.__name__)
def test_every_verdict_has_the_default_levels_and_takes_others(verdict):
    parameters = inspect.signature(verdict).parameters
    assert {name: parameters[name].default for name in Judging().errors} == Judging().errors
    assert Judging().errors == {"false_alarm": FALSE_ALARM, "miss": MISS}


def test_a_rarer_miss_makes_more_detectable_and_changes_nothing_else():
    histogram = np.array([700, 300])
    often, rarely = (
        evidence.pmf_verdict("x", histogram, [0.7, 0.3], resolution=1, miss=miss) for miss in (1e-2, 1e-12)
    )
    assert (often.miss, rarely.miss) == (1e-2, 1e-12) and often.detectable < rarely.detectable
    assert dataclasses.replace(rarely, miss=often.miss, detectable=often.detectable) == often


@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        ({"false_alarm": 0}, "judging.false_alarm = 0 is not valid; expected a finite number > 0"),
        ({"false_alarm": 1}, "judging.false_alarm = 1 is not valid; expected a probability < 1"),
        ({"miss": 1e-101}, "judging.miss = 1e-101 is not valid; expected a probability < 1, at least 1e-100"),
        ({"miss": "rare"}, "judging.miss = 'rare' is not valid; expected a finite number > 0"),
        (
            {"mean_resolution": math.nan},
            "judging.mean_resolution = nan is not valid; expected a finite number > 0",
        ),
        ({"tv_resolution": -1}, "judging.tv_resolution = -1 is not valid; expected a finite number > 0"),
        (
            {"cell_resolution": True},
            "judging.cell_resolution = True is not valid; expected a finite number > 0",
        ),
    ],
    ids=str,
)
def test_levels_that_make_no_sense(levels, complaint):
    with pytest.raises(SimlabError) as error:
        Judging(**levels)
    assert complaint in str(error.value)
