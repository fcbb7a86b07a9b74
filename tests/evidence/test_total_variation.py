"""Total variation from deviations: the interval, and the verdict against a bracket."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import (
    MISS,
    Interval,
    Status,
    mean_interval,
    total_variation_interval,
    total_variation_verdict,
)
from tests.strategies import examples

LEVELS = 1024


def strayed(exact: float, trajectories: int, seed: int, levels: int = LEVELS) -> np.ndarray:
    """Deviations of mean `exact`: half of the trajectories not at all, the others evenly around 2 exact."""
    random = np.random.default_rng(seed)
    steps = levels * exact * random.uniform(0, 4, trajectories) * (random.random(trajectories) < 0.5)
    reached = np.floor(steps + random.random(trajectories)).astype(int)
    return np.bincount(reached, minlength=levels + 1)


def test_the_interval_is_that_of_the_mean_level():
    deviations = strayed(0.2, 5_000, seed=1)
    for confidence in (0.5, 0.95, 1 - 1e-6):
        interval, levels = (
            total_variation_interval(deviations, confidence),
            mean_interval(deviations, confidence),
        )
        assert np.allclose(np.array(interval) * LEVELS, levels, rtol=1e-12)
        assert interval.estimate == pytest.approx(
            deviations @ np.arange(LEVELS + 1) / 5_000 / LEVELS, rel=1e-12
        )


@pytest.mark.statistical
@pytest.mark.parametrize("exact", [0.002, 0.25])
def test_coverage_at_a_moderate_level(exact):
    """At 90%, of 80 intervals more than 23 miss with probability 6e-7; all miss a mean twice as large."""
    intervals = [total_variation_interval(strayed(exact, 3_000, seed, 32), 0.9) for seed in range(80)]
    assert sum(not low <= exact <= high for _, low, high in intervals) <= 23
    assert sum(not low <= 2 * exact <= high for _, low, high in intervals) > 23


@examples(30)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=40).filter(any), st.integers(1, 1000))
def test_the_interval_stays_between_0_and_1_and_widens_with_the_looks(deviations, looks):
    once, often = (total_variation_interval(deviations, 0.9, more) for more in (1, looks))
    assert 0 <= once.low <= once.estimate <= once.high <= 1
    assert 0 <= often.low <= once.low + 1e-12
    assert once.high - 1e-12 <= often.high <= 1


@pytest.mark.statistical
@pytest.mark.parametrize("looks", [1, 300])
@pytest.mark.parametrize("width", [0.0, 0.004])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bracket_that_holds_the_truth_passes_and_one_that_is_out_of_sight_fails(seed, width, looks):
    """False alarm and miss 1e-6 each."""
    deviations = strayed(0.2, 100_000, seed)

    def judge(low):
        return total_variation_verdict("TV", deviations, low, low + width, resolution=0.03, looks=looks)

    for low in (0.2 - width, 0.2 - width / 2, 0.2):
        verdict = judge(low)
        assert verdict.status == Status.PASS
        assert verdict.exact == pytest.approx(low + width / 2, rel=1e-12)
        assert verdict.trajectories == 100_000
        for sign in (-1, 1):  # a bracket whose middle is off by what is said to be seen
            assert judge(0.2 - width / 2 + sign * verdict.detectable).status == Status.FAIL


def test_it_fails_exactly_where_the_interval_misses_the_bracket():
    deviations = strayed(0.2, 10_000, seed=5)
    _, low, high = total_variation_interval(deviations, 1 - 1e-6)

    def status(bottom, top):
        return total_variation_verdict("TV", deviations, bottom, top, resolution=1).status

    for bracket in ((0, low + 1e-9), (high - 1e-9, 1), (low - 1e-3, high + 1e-3), (low + 1e-3, high - 1e-3)):
        assert status(*bracket) == Status.PASS
    for bracket in ((0, low - 1e-9), (high + 1e-9, 1), (0, 0), (1, 1)):
        assert status(*bracket) == Status.FAIL


@pytest.mark.parametrize("looks", [1, 40])
def test_what_it_says_of_itself(looks):
    deviations = strayed(0.2, 10_000, seed=6)
    verdict = total_variation_verdict(
        "TV", deviations, 0.19, 0.21, resolution=0.1, false_alarm=1e-4, looks=looks
    )
    seen = Interval(*total_variation_interval(deviations, 1 - 1e-4 / looks))
    sure = Interval(*total_variation_interval(deviations, 1 - MISS / looks))
    assert (verdict.low, verdict.high) == pytest.approx(seen[1:], rel=1e-9)
    reach = max(sure.high - seen.low, seen.high - sure.low)
    assert verdict.detectable == pytest.approx(reach + 0.01, rel=1e-9)
    assert (verdict.kind, verdict.statistic, verdict.exact) == ("equality", "total variation", 0.2)
    assert ("40 sizes" in verdict.method) == (looks == 40)


def test_a_bracket_too_wide_to_tell_is_inconclusive():
    deviations = strayed(0.2, 100_000, seed=7)
    assert total_variation_verdict("TV", deviations, 0.1, 0.3, resolution=0.05).status == Status.INCONCLUSIVE
    assert total_variation_verdict("TV", deviations, 0.19, 0.21, resolution=0.05).status == Status.PASS


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_an_output_that_never_or_always_strays_is_taken_at_its_word(exact):
    deviations = np.zeros(LEVELS + 1, np.int64)
    deviations[int(exact) * LEVELS] = 10**7
    assert total_variation_verdict("TV", deviations, exact, exact, resolution=1e-4).status == Status.PASS
    deviations[300] = 1
    assert total_variation_verdict("TV", deviations, exact, exact, resolution=1e-4).status == Status.FAIL


def test_mistakes():
    with pytest.raises(SimlabError, match="no deviations were counted: give those of a biased decoder"):
        total_variation_interval(np.zeros(0, int), 0.95)
    with pytest.raises(SimlabError, match="no deviations"):
        total_variation_verdict("TV", [], 0, 0, resolution=1)
    with pytest.raises(SimlabError, match="give counts of at least one trajectory"):
        total_variation_interval([0, 0, 0], 0.95)
    with pytest.raises(SimlabError, match="confidence = 1"):
        total_variation_interval([5, 1], 1)
    with pytest.raises(SimlabError, match="looks = 0"):
        total_variation_interval([5, 1], 0.9, looks=0)
    with pytest.raises(SimlabError, match=r"in \[0.4, 0.2\]: give low <= high"):
        total_variation_verdict("TV", [5, 1], 0.4, 0.2, resolution=1)
    for low, high in ((-0.1, 0.2), (0.1, 1.2), (float("nan"), 0.5)):
        with pytest.raises(SimlabError, match="give probabilities"):
            total_variation_verdict("TV", [5, 1], low, high, resolution=1)
    with pytest.raises(SimlabError, match="over 3 sizes"):
        total_variation_verdict("TV", [5, 1], 0, 1, resolution=1, false_alarm=1e-100, looks=3)


def test_a_bracket_that_was_rounded_up_to_1_raises_no_false_alarm():
    deviations = np.zeros(1025, int)
    deviations[1024], deviations[1023] = 10**7 - 1, 1  # of a truth of 1 - 1e-14 one such run has P = 1e-4
    assert total_variation_verdict("x", deviations, 1.0, 1.0, resolution=0.01).status == "PASS"
    deviations[[0, 1023]] = 1, 0  # but this one at most 1e-7
    assert total_variation_verdict("x", deviations, 1.0, 1.0, resolution=0.01).status == "FAIL"
