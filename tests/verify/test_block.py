"""The checks of block verification pass where they hold, on odd pairs too; one wrong number fails them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import BlockSpeculative
from simlab.evidence import Status
from simlab.pairs import paper
from simlab.theory import predict
from simlab.verify import block
from tests.oracles.blocks import call_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import examples, pairs
from tests.verify.test_checks import PAIRS


def checks(pair):
    yield block.check_joint_distribution(pair, 0)
    yield block.check_joint_distribution(pair, 0, window=3)
    yield block.check_calls(pair, 0)
    yield block.check_never_more_calls(pair)


@pytest.mark.parametrize("name", PAIRS)
def test_every_check_passes(name):
    assert {check.status for check in checks(PAIRS[name])} == {Status.PASS}


@examples(40)
@given(pairs(most_states=4))
def test_every_check_passes_on_any_pair(pair):
    assert {check.status for check in checks(pair)} == {Status.PASS}


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_coins_followed_in_arrays_are_those_followed_in_rationals(window):
    chains = rational_chains(4, 3, 6, zeros=0.2)
    distribution = block.literal_distribution(as_pair(*chains), 1, window, 4)
    exact = call_distribution(*chains[:2], [0, 1, 0], BlockSpeculative(window))
    output, calls = np.zeros((3,) * 4), 0.0
    for (tokens, _, each), mass in exact.items():
        output[tokens] += float(mass)
        calls += len(each) * float(mass)
    np.testing.assert_allclose(distribution[-1], output.ravel(), atol=1e-14)
    assert sum(part.sum() for part in distribution[:-1]) == pytest.approx(calls)


# One number wrong, one FAIL.


def test_a_wrong_coin_fails_the_joint_distribution(monkeypatch):
    monkeypatch.setattr(block, "_chance", lambda excess, share: share)
    assert block.check_joint_distribution(paper(6), 0).status == Status.FAIL


def test_a_target_off_by_little_fails_the_joint_distribution(monkeypatch):
    distribution = block._target_distribution
    monkeypatch.setattr(block, "_target_distribution", lambda *given: distribution(*given) + 1e-9)
    assert block.check_joint_distribution(paper(6), 0).status == Status.FAIL


def shifted(by):
    """`predict` with another E[calls] for block verification."""

    def wrong(pair, decoder):
        found = predict(pair, decoder)
        if not isinstance(decoder, BlockSpeculative):
            return found
        return dataclasses.replace(found, expected_target_calls=found.expected_target_calls + by)

    return wrong


def test_calls_off_by_little_fail(monkeypatch):
    monkeypatch.setattr(block, "predict", shifted(1e-9))
    assert block.check_calls(paper(6), 0).status == Status.FAIL


def test_more_calls_than_token_by_token_fail(monkeypatch):
    monkeypatch.setattr(block, "predict", shifted(0.2))
    assert block.check_never_more_calls(paper(6)).status == Status.FAIL
    monkeypatch.setattr(block, "predict", shifted(0.1))
    assert block.check_never_more_calls(paper(6)).status == Status.PASS  # it gains 0.15
