"""What predictions and counts say of drafted and accepted tokens: the same words and definitions."""

import dataclasses

import numpy as np
import pytest

import simlab
from simlab import SimlabError

PAIR = simlab.pairs.paper(horizon=8)
DECODERS = [
    simlab.Speculative(3),
    simlab.Speculative(3, bonus=True),
    simlab.BlockSpeculative(3),
    simlab.ConfidenceSpeculative(0.2, 3),
    simlab.AdaptiveSpeculative([[t % 4] * 7 for t in range(8)]),
]
SHARED = [
    "acceptance_rate",
    "acceptance_length",
    "tokens_per_call",
    "acceptance_rate_by_position",
    "acceptance_length_by_position",
    "conditional_acceptance_by_position",
]


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_counts_say_what_predictions_say(decoder):
    exact = simlab.predict(PAIR, decoder)
    counts = simlab.simulate(PAIR, decoder, trajectories=200_000, seed=3)
    # Rates are means of 0 and 1 over the calls that reach a position, lengths of at most 4: with 1.5 tokens
    # of deviation, more than there is, seven standard errors.
    error = 7 * 1.5 / np.sqrt(counts.reached_by_position.min())
    assert error < 0.1
    for name in SHARED:
        np.testing.assert_allclose(getattr(counts, name), getattr(exact, name), atol=error, err_msg=name)
    # What each trajectory adds is at most 12 tokens: by Hoeffding 0.09 is missed once in 10^9.
    assert counts.mean_target_calls == pytest.approx(exact.expected_target_calls, abs=0.09)
    assert counts.mean_drafted_tokens == pytest.approx(exact.expected_drafted_tokens, abs=0.09)
    assert counts.mean_accepted_tokens == pytest.approx(exact.expected_accepted_tokens, abs=0.09)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_the_definitions_hold_to_the_last_token(decoder):
    exact = simlab.predict(PAIR, decoder)
    counts = simlab.simulate(PAIR, decoder, trajectories=1000, seed=3)
    calls, drafted, accepted = (
        counts.calls,
        counts.drafted_by_position.sum(),
        counts.accepted_by_position.sum(),
    )
    assert drafted == counts.drafted_tokens @ np.arange(counts.drafted_tokens.size)
    assert counts.acceptance_rate == accepted / drafted and counts.tokens_per_call == 8000 / calls
    assert counts.acceptance_length_by_position[-1] == counts.acceptance_length == accepted / calls
    assert exact.acceptance_length_by_position[-1] == pytest.approx(exact.acceptance_length, abs=1e-12)
    rejected = counts.rejections_per_position.sum()
    if decoder == simlab.Speculative(3):  # every token is accepted or a replacement
        assert accepted + rejected == 8000
    else:  # every call ends with a replacement or a bonus token
        assert accepted + calls == 8000 and rejected < calls


@pytest.mark.statistical
def test_another_windows_rates_are_told_apart():
    """Negative control of the first test."""
    exact = simlab.predict(PAIR, simlab.Speculative(2, bonus=True))
    counts = simlab.simulate(PAIR, simlab.Speculative(3, bonus=True), trajectories=200_000, seed=3)
    for name in ("acceptance_rate", "acceptance_length", "tokens_per_call"):
        assert abs(getattr(counts, name) - getattr(exact, name)) > 0.05


def test_what_was_not_counted_is_told():
    with pytest.raises(SimlabError, match="there are no trajectories"):
        _ = simlab.Counts.zero(8, 7).tokens_per_call
    with pytest.raises(SimlabError, match=r"target calls were not counted.*window=T"):
        _ = simlab.simulate(PAIR, simlab.Speculative(), trajectories=10).tokens_per_call
    with pytest.raises(SimlabError, match="drafted tokens were not counted"):
        _ = simlab.simulate(PAIR, simlab.TreeSpeculative(4), trajectories=10).acceptance_rate


def test_the_old_spelling_of_names_keeps_working():
    decoder = simlab.Speculative(3, bonus=True)
    counts = simlab.simulate(PAIR, decoder, trajectories=10)
    names = ["drafted", "reached", "accepted"]
    rates = ["acceptance_rate", "acceptance_length", "conditional_acceptance"]
    for known in (counts, simlab.predict(PAIR, decoder)):
        for name in (*names, *rates):
            old, new = getattr(known, f"{name}_by_place"), getattr(known, f"{name}_by_position")
            assert len(new) == 3
            np.testing.assert_array_equal(old, new)
    parts = counts.rejections, counts.tokens, counts.rejections_per_position, counts.trajectories
    old = {f"{name}_by_place": getattr(counts, f"{name}_by_position") for name in names}
    rest = {"target_calls": counts.target_calls, "drafted_tokens": counts.drafted_tokens}
    assert simlab.Counts(*parts, rest | old) == simlab.Counts(*parts, rest, **old) == counts
    again = dataclasses.replace(counts, accepted_by_place=counts.reached_by_position)
    assert again == dataclasses.replace(counts, accepted_by_position=counts.reached_by_position) != counts
