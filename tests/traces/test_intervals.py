"""Intervals of a trace hold what the chains' exact theory says, as often as they state."""

from __future__ import annotations

import numpy as np
import pytest

import simlab
from simlab.errors import SimlabError
from simlab.traces.prediction import RATIOS, RATIOS_BY_POSITION
from tests.traces.enumerated import chain, columns_of, pair_of

HORIZON, STATES = 6, 3
DECODER = simlab.Speculative(3, bonus=True)


def _rows(seed: int) -> tuple:
    random = np.random.default_rng(seed)
    return chain(random, HORIZON, STATES), chain(random, HORIZON, STATES), chain(random, 1, STATES)[0][0]


CHAINS = _rows(5)
PAIR = pair_of(*CHAINS)


def _tables() -> dict[str, np.ndarray]:
    """The columns of every token y after every last token x at every step t, (T, V, V)."""
    draft, target, _ = CHAINS
    cells = [
        columns_of(y, draft[t][x], target[t][x], (2,))
        for t in range(HORIZON) for x in range(STATES) for y in range(STATES)
    ]  # fmt: skip
    shape = (HORIZON, STATES, STATES)
    return {name: np.array([cell[name] for cell in cells], float).reshape(shape) for name in cells[0]}


TABLES = _tables()


def _sampled(random: np.random.Generator, sequences: int, ends: float = 0.0) -> simlab.Trace:
    """Texts drawn from the target of the chains; after each token a text may end, with probability `ends`."""
    last = random.choice(STATES, sequences, p=PAIR.initial)
    tokens = np.empty((sequences, HORIZON + 1), int)
    tokens[:, 0] = last
    for t in range(HORIZON):
        below = np.cumsum(PAIR.target[t], axis=1)[tokens[:, t]] <= random.random((sequences, 1))
        tokens[:, t + 1] = np.minimum(below.sum(axis=1), STATES - 1)
    ended = random.random((sequences, HORIZON - 1)) < ends
    going = np.hstack([np.ones((sequences, 1), bool), ~np.logical_or.accumulate(ended, axis=1)])
    number, t = np.nonzero(going)
    cells = t, tokens[number, t], tokens[number, t + 1]
    return simlab.Trace(number, **{name: table[cells] for name, table in TABLES.items()})


def _named(prediction, name: str):
    return getattr(prediction, {"rao_blackwell_rejections": "expected_rejections"}.get(name, name))


def test_they_hold_what_the_chains_say_at_the_stated_confidence():
    """1 - 1e-6 for each of 13 names, some of them for several positions at once, and a PASS of all."""
    exact = simlab.predict(PAIR, DECODER)
    found = simlab.predict(_sampled(np.random.default_rng(1), 300), DECODER)
    for name in (*RATIOS, *RATIOS_BY_POSITION):
        estimate, low, high = found.interval(name, confidence=1 - 1e-6)
        wanted = np.asarray(_named(exact, name))
        assert np.all((low <= wanted) & (wanted <= high)), name
        assert np.all((low <= estimate) & (estimate <= high)), name
        assert estimate == pytest.approx(getattr(found, name)), name


def test_they_refute_another_decoder():
    """The negative control: with as many sequences those of window 1 are not held by the intervals of 3."""
    other = simlab.predict(PAIR, simlab.Speculative(1, bonus=True))
    found = simlab.predict(_sampled(np.random.default_rng(1), 300), DECODER)
    for name in ("tokens_per_call", "expected_target_calls", "acceptance_rate", "expected_drafted_tokens"):
        _, low, high = found.interval(name, confidence=1 - 1e-6)
        assert not low <= getattr(other, name) <= high, name


@pytest.mark.statistical
@pytest.mark.parametrize("ends", [0.0, 0.3])
def test_tokens_per_call_are_covered_as_stated(ends):
    """At 80%, of 200 traces of 15 texts: at most 40 misses are expected, more than 70 have a chance of 1e-6.

    Texts of one length and texts that end early take different intervals.
    """
    random, missed = np.random.default_rng(7), 0
    truth = simlab.predict(_sampled(np.random.default_rng(8), 4000, ends), DECODER).tokens_per_call
    for _ in range(200):
        trace = _sampled(random, 15, ends)
        if trace.lengths.max() < HORIZON:
            continue  # the longest text is what none can exceed
        _, low, high = simlab.predict(trace, DECODER).interval("tokens_per_call", 0.8)
        missed += not low <= truth <= high
    assert missed <= 70


def test_weighted_texts_have_wider_intervals():
    trace = _sampled(np.random.default_rng(3), 100)
    weights = np.repeat(np.where(np.arange(100) < 10, 10.0, 1.0), trace.lengths)
    heavy = simlab.Trace(**trace.columns, weight=weights)
    plain, weighted = (
        simlab.predict(one, DECODER).interval("expected_target_calls") for one in (trace, heavy)
    )
    assert weighted.high - weighted.low > plain.high - plain.low
    exact = simlab.predict(PAIR, DECODER).expected_target_calls
    assert weighted.low < exact < weighted.high


def test_rao_blackwell_is_the_narrower():
    found = simlab.predict(_sampled(np.random.default_rng(4), 400), simlab.Speculative())
    smooth, plain = (found.interval(name) for name in ("rao_blackwell_rejections", "expected_rejections"))
    assert smooth.high - smooth.low < plain.high - plain.low


def test_what_is_not_known_has_no_interval():
    trace = _sampled(np.random.default_rng(2), 5)
    batch = simlab.predict(trace, simlab.BatchSpeculative(2))
    assert batch.interval("expected_drafted_tokens").estimate == pytest.approx(batch.expected_drafted_tokens)
    with pytest.raises(SimlabError, match="no rao_blackwell_rejections of batch .drafts=2."):
        batch.interval("rao_blackwell_rejections")
    sure = simlab.predict(trace, simlab.ConfidenceSpeculative(0.5, 3))
    for name in ("acceptance_rate", "drafted_by_position", "acceptance_rate_by_position"):
        with pytest.raises(SimlabError, match="drafted tokens of confidence .* are not known"):
            sure.interval(name)
    assert sure.interval("conditional_acceptance_by_position").estimate.shape == (3,)
    with pytest.raises(SimlabError, match="'speed' has no interval; known are expected_rejections"):
        sure.interval("speed")
    with pytest.raises(SimlabError, match="confidence"):
        sure.interval("tokens_per_call", 1.5)


def test_the_target_alone_has_intervals_too():
    found = simlab.predict(_sampled(np.random.default_rng(2), 5), simlab.Autoregressive())
    assert found.interval("expected_rejections").estimate == 0.0
    assert found.interval("tokens_per_call") == (1.0, 1.0, 1.0)
    assert found.interval("accepted_by_position").estimate.shape == (0,)
