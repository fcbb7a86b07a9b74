"""Two samples: a true claim seldom fails, a false one is found, and the sizes may differ."""

from __future__ import annotations

import numpy as np
import pytest

from simlab import SimlabError
from simlab.evidence import Status, two_sample_verdict


def test_equal_means_pass_and_a_shift_is_found():
    rng = np.random.default_rng(1)
    values, others = rng.binomial(10, 0.3, 2000), rng.binomial(10, 0.3, 6500)
    verdict = two_sample_verdict("mean", values, others, most=10, resolution=0.5)
    assert verdict.status is Status.PASS and verdict.trajectories == 2000 and verdict.detectable < 0.5
    assert verdict.low < 0 < verdict.high
    assert verdict.estimate == pytest.approx(values.mean() - others[:6000].mean())
    shifted = two_sample_verdict("mean", np.minimum(values + 1, 10), others, most=10, resolution=0.5)
    assert shifted.status is Status.FAIL and shifted.low > 0


def test_a_small_sample_is_inconclusive():
    verdict = two_sample_verdict("mean", [0.2, 0.4], [0.3], most=1, resolution=0.1)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.low == pytest.approx(-1, abs=1e-5) and verdict.high == pytest.approx(1, abs=1e-5)


@pytest.mark.statistical
def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(2)
    failed = 0
    for _ in range(300):
        values, others = rng.random(40) ** 3, 1 - rng.random(40) ** (1 / 3)
        # E[U^3] = 1/4 = 1 - E[U^(1/3)]: one mean, two shapes
        failed += (
            two_sample_verdict("m", values, others, most=1, resolution=1, false_alarm=0.1, miss=0.1).status
            is Status.FAIL
        )
    assert failed <= 60  # P(Binomial(300, 0.1) > 60) < 1e-6


@pytest.mark.parametrize(
    ("values", "most", "said"), [([], 1, "at least one"), ([2.0], 1, r"values\[0\]"), ([0.5], 0, "most")]
)
def test_what_is_no_sample_is_refused(values, most, said):
    with pytest.raises(SimlabError, match=said):
        two_sample_verdict("m", values, [0.5], most=most, resolution=1)
