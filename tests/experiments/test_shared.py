"""Verdicts on one job where the prediction is a bracket: all of it must be refuted, not its middle."""

from __future__ import annotations

import dataclasses

import pytest

from simlab.decoders import Speculative
from simlab.evidence import Status
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.judge import judge
from simlab.runs import HalfWidth
from simlab.theory import predict
from tests.experiments.points import point, simulated

MEANS = ("E[N_rej]", "E[target calls]", "E[drafted tokens]")


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("running", [False, True], ids=["fixed", "running"])
def test_a_mean_is_held_against_the_whole_bracket(tmp_path, seed, running):
    """Off by 0.4 with an accuracy of 0.1 fails, and with one of 0.5 cannot; each half-width is below 0.2."""
    settings = point("windows", {}, output=tmp_path, trajectories=200_000, seed=seed)
    pair, decoder = instance(settings)[0], Speculative(3, bonus=True)
    one = job(settings, decoder)
    (result,) = simulated([one]).values()
    if running:
        one = dataclasses.replace(one, stop=HalfWidth(0.1, 0.95, 200_000))
    exact = predict(pair, decoder)
    assert exact.error_bound == 0
    for shift in (0.4, -0.4):
        off = {
            f"expected_{name}": getattr(exact, f"expected_{name}") + shift
            for name in ("rejections", "target_calls", "drafted_tokens")
        }
        for accuracy in (0.0, 0.1, 0.5):
            verdicts = judge("x", one, result, dataclasses.replace(exact, **off, error_bound=accuracy))
            found = {each.name.removeprefix("x: "): each for each in verdicts}
            failed = [found[name].status == Status.FAIL for name in MEANS]
            assert failed == [accuracy < 0.4] * 3
            assert all(abs(found[name].detectable) < 0.4 for name in MEANS)
    exactly = {each.name: each for each in judge("x", one, result, exact)}
    assert exactly["x: E[target calls]"].exact == exact.expected_target_calls
