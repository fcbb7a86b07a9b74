"""How many calls an audit takes, played, foretold, and at least."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simlab.auditing import make_instances, mistakes
from simlab.auditing.known import joint_distribution, token_marginals
from simlab.auditing.power import divergence, expected_calls, expected_calls_to_pass, least_calls, play
from simlab.auditing.resolution import MISS, least_calls_to_exclude
from simlab.experiments.auditing.options import EVERYWHERE, RIGHT
from tests.auditing.test_expected import one_token

INSTANCES = make_instances(1, (2, 3, 4), seed=1)
LEVELS = {"seed": 0, "false_alarm": 1e-6}


def test_the_divergence_is_that_of_the_tokens():
    instance = one_token((0.5, 0.5), (0.25, 0.75))
    output = np.outer([0.5, 0.5], [0.25, 0.75]).ravel()
    assert divergence(instance, output) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert divergence(instance, joint_distribution(instance)) == 0
    impossible = one_token((0.5, 0.5), (1.0, 0.0))
    assert divergence(impossible, np.full(4, 0.25)) == math.inf


def test_the_least_is_the_nats_that_a_false_alarm_needs():
    assert least_calls(np.array([0.1, 0.0]), 1e-6) == pytest.approx(2 * math.log(1e6) / 0.1)
    assert least_calls(np.zeros(3), 1e-6) == math.inf
    assert least_calls(np.array([math.inf, 0.1]), 1e-6) == 0


def test_a_wrong_verifier_fails_about_when_it_is_foretold_and_not_before_it_can():
    outputs = [EVERYWHERE.output(instance) for instance in INSTANCES]
    nats = np.array([divergence(*each) for each in zip(INSTANCES, outputs, strict=True)])
    foretold = expected_calls(INSTANCES, outputs, 1e-6, 10**7)
    assert foretold >= least_calls(nats, 1e-6)
    found = play(EVERYWHERE.play, INSTANCES, resolution=0.1, **LEVELS)
    assert found.outcome == "FAIL"
    assert foretold / 8 <= found.calls.sum() <= 8 * foretold


@pytest.mark.statistical
def test_a_right_verifier_passes_about_when_it_is_foretold():
    found = play(RIGHT.play, INSTANCES, resolution=0.2, **LEVELS)
    foretold = expected_calls_to_pass(INSTANCES, 0.2)
    assert found.outcome == "PASS"
    assert foretold / 3 <= found.calls.sum() <= 3 * foretold


def test_what_is_never_found_is_foretold_at_most():
    outputs = [joint_distribution(instance) for instance in INSTANCES]
    assert 5000 <= expected_calls(INSTANCES, outputs, 1e-6, 5000) < 20000


def test_tokens_that_were_not_drafted_fail_at_the_first_look():
    found = play(lambda _, *rows: mistakes.greedy_as_sampled(*rows), INSTANCES, resolution=0.1, **LEVELS)
    assert found.outcome == "FAIL" and found.calls.sum() == 40 * len(INSTANCES)


def test_a_certain_token_excludes_by_its_first_contradiction():
    calls = least_calls_to_exclude(np.array([[1.0, 0.0]]), 0.1)
    assert 0.9**calls <= MISS / 10 < 0.9 ** (calls - 1)
    finer = [least_calls_to_exclude(token_marginals(INSTANCES[1]), size) for size in (0.2, 0.1, 0.05)]
    assert finer[0] < finer[1] < finer[2]
    assert finer[2] == pytest.approx(16 * finer[0], rel=0.01)
