"""Predictions of a trace that lists every path against the exact theory of the chains, and refusals."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.errors import SimlabError
from tests.oracles.rules import RULES
from tests.oracles.windows import call_distribution, expected_by_position
from tests.strategies import examples
from tests.traces.enumerated import chain, every_path, pair_of

HORIZON, STATES = 4, 3
DRAFTS, EPSILONS = (2, 3, 5), (0.1,)


def _chains(seed: int, zeros: bool) -> tuple:
    random = np.random.default_rng(seed)
    draft, target = (chain(random, HORIZON, STATES, zeros) for _ in range(2))
    return draft, target, chain(random, 1, STATES)[0][0]


CHAINS = {name: _chains(seed, zeros) for name, seed, zeros in [("full", 1, False), ("zeros", 2, True)]}
TRACES = {name: every_path(*chains, DRAFTS, EPSILONS) for name, chains in CHAINS.items()}
PAIRS = {name: pair_of(*chains) for name, chains in CHAINS.items()}

BY_POSITION = simlab.Policy(np.array([[1], [3], [2], [1]]) + np.zeros((HORIZON, STATES), int), bonus=True)
BY_TOKEN = simlab.Policy([[2, 2, 2], [0, 1, 3], [1, 0, 2], [2, 1, 1]], bonus=True)
WITHOUT_BONUS = simlab.Policy([[3, 3, 3], [2, 1, 3], [1, 1, 2], [2, 1, 1]], bonus=False)
DECODERS = [
    simlab.Autoregressive(),
    simlab.Speculative(),
    *(simlab.Speculative(window, bonus) for window in (1, 2, 3, 9, None) for bonus in (False, True)),
    simlab.AdaptiveSpeculative(BY_POSITION),
    simlab.AdaptiveSpeculative(BY_TOKEN),
    simlab.AdaptiveSpeculative(WITHOUT_BONUS),
    *(
        simlab.ConfidenceSpeculative(threshold, window)
        for threshold in (0, 0.5, 0.6, 1)
        for window in (1, 2, None)
    ),
    *(
        simlab.ConfidenceSpeculative(threshold, window, signal)
        for signal, thresholds in (("entropy", (0, 0.7, 0.95, 3)), ("cumulative", (0, 0.2, 0.4, 1)))
        for threshold, window in zip(thresholds, (2, 3, None, None), strict=True)
    ),
    *(simlab.BatchSpeculative(drafts) for drafts in (1, *DRAFTS)),
    simlab.BiasedSpeculative(0, "residual"),
    *RULES.values(),
]
NUMBERS = ("expected_rejections", "expected_target_calls", "tokens_per_call", "expected_accepted_tokens",
           "variance", "acceptance_length", "acceleration", "horizon")  # fmt: skip
ARRAYS = ("rejections_pmf", "target_calls_pmf", "rejections_per_position", "reached_by_position",
          "accepted_by_position", "conditional_acceptance_by_position")  # fmt: skip
OF_DRAFTED = (
    "expected_drafted_tokens",
    "acceptance_rate",
    "drafted_by_position",
    "acceptance_rate_by_position",
)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_every_path_by_its_probability_is_the_prediction_of_the_chains(name, decoder):
    exact, found = simlab.predict(PAIRS[name], decoder), simlab.predict(TRACES[name], decoder)
    known = OF_DRAFTED if not isinstance(decoder, simlab.ConfidenceSpeculative) else ()
    for number in (*NUMBERS, *ARRAYS, *known):
        wanted = getattr(exact, number)
        assert getattr(found, number) == pytest.approx(wanted, abs=1e-12, rel=1e-12, nan_ok=True), number
    if not known:
        lower, upper = found.drafted_tokens
        assert lower - 1e-12 <= exact.expected_drafted_tokens <= upper + 1e-12
        assert (exact.drafted_by_position >= found.reached_by_position - 1e-12).all()
    if not isinstance(decoder, simlab.BatchSpeculative) or decoder.drafts == 1:
        smooth = found.rao_blackwell_rejections
        assert smooth == pytest.approx(exact.expected_rejections, abs=1e-12)


@pytest.mark.parametrize(
    "decoder", [d for d in DECODERS if isinstance(d, simlab.ConfidenceSpeculative)], ids=str
)
def test_and_that_of_confidence_by_brute_force(decoder):
    """The oracle enumerates every drafted token, so that this leans on no theory of simlab."""
    draft, target, initial = CHAINS["full"]
    law = call_distribution(draft, target, initial, decoder)
    found = simlab.predict(TRACES["full"], decoder)
    longest = len(found.reached_by_position)
    wanted_by = expected_by_position(law, longest)
    for name in ("reached", "accepted"):
        wanted = [float(value) for value in wanted_by[name]]
        assert getattr(found, f"{name}_by_position") == pytest.approx(wanted, abs=1e-12)
    calls = np.zeros(HORIZON + 1)
    drafted = 0.0
    for (_, _, made), mass in law.items():
        calls[len(made)] += float(mass)
        drafted += float(mass) * sum(one for one, _ in made)
    assert found.target_calls_pmf == pytest.approx(calls, abs=1e-12)
    assert found.drafted_tokens.lower - 1e-12 <= drafted <= found.drafted_tokens.upper + 1e-12


def test_the_bracket_is_met_where_nothing_stops_drafting_and_where_nothing_is_drafted():
    trace, pair = TRACES["full"], PAIRS["full"]
    never = simlab.predict(trace, simlab.ConfidenceSpeculative(0.0, 2))
    same = simlab.predict(pair, simlab.Speculative(2, bonus=True))
    assert never.drafted_tokens.upper == pytest.approx(same.expected_drafted_tokens, abs=1e-12)
    assert never.drafted_tokens.lower < never.drafted_tokens.upper
    assert math.isnan(never.expected_drafted_tokens) and math.isnan(never.acceptance_rate)
    always = simlab.predict(trace, simlab.ConfidenceSpeculative(1.0, 2))
    assert always.drafted_tokens == (0.0, 0.0)


def test_probabilities_of_another_path_would_be_noticed():
    """The negative control: one wrong column, and the prediction is another one."""
    trace = TRACES["full"]
    wrong = simlab.Trace(trace.sequence, trace.draft_probability[::-1], trace.target_probability)
    exact = simlab.predict(PAIRS["full"], simlab.Speculative(2, bonus=True))
    assert (
        abs(simlab.predict(wrong, simlab.Speculative(2, bonus=True)).tokens_per_call - exact.tokens_per_call)
        > 0.01
    )


ACCEPTED = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5]), min_size=1, max_size=7)


def _of_acceptance(*paths, **columns) -> simlab.Trace:
    """A trace whose tokens are accepted with these probabilities."""
    accept = np.concatenate(paths).astype(float)
    ids = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    return simlab.Trace(
        ids, draft_probability=accept / 2, target_probability=np.full(len(ids), 0.5), **columns
    )


def _by_brute_force(path, window: int, bonus: bool) -> tuple[np.ndarray, np.ndarray]:
    """(P(n rejections), P(n calls)) of one path: every outcome of every coin, call by call."""
    length = len(path)
    rejections, calls = np.zeros(length + 1), np.zeros(length + 1)
    for coins in itertools.product([True, False], repeat=length):
        mass, t, rejected, made = 1.0, 0, 0, 0
        used = np.zeros(length, bool)
        while t < length:
            made += 1
            drafted = min(window, length - t - bonus)
            for _ in range(drafted):
                used[t] = True
                mass *= path[t] if coins[t] else 1 - path[t]
                t += 1
                if not coins[t - 1]:
                    rejected += 1
                    break
            else:
                t += bonus
        if all(coin for coin, seen in zip(coins, used, strict=True) if not seen):  # each outcome once
            rejections[rejected] += mass
            calls[made] += mass
    return rejections, calls


@examples(60)
@given(paths=st.lists(ACCEPTED, min_size=1, max_size=3), window=st.integers(1, 8), bonus=st.booleans())
def test_counts_are_those_of_all_outcomes_for_sequences_of_any_length(paths, window, bonus):
    found = simlab.predict(_of_acceptance(*paths), simlab.Speculative(window, bonus))
    longest = max(map(len, paths))
    rejections, calls = np.zeros(longest + 1), np.zeros(longest + 1)
    for path in paths:
        for total, one in zip((rejections, calls), _by_brute_force(path, window, bonus), strict=True):
            total[: len(one)] += one / len(paths)
    counts = np.arange(longest + 1)
    assert found.rejections_pmf == pytest.approx(rejections, abs=1e-12)
    assert found.target_calls_pmf == pytest.approx(calls, abs=1e-12)
    assert found.expected_rejections == pytest.approx(rejections @ counts, abs=1e-12)
    assert found.expected_target_calls == pytest.approx(calls @ counts, abs=1e-12)
    assert found.rejections_per_position.sum() == pytest.approx(found.expected_rejections, abs=1e-12)
    tokens = sum(map(len, paths)) / len(paths)
    assert found.tokens_per_call == pytest.approx(tokens / found.expected_target_calls, abs=1e-12)


@examples(100)
@given(path=ACCEPTED)
def test_rejections_are_poisson_binomial_where_all_tokens_are_drafted(path):
    pmf = np.ones(1)
    for accepted in path:
        pmf = np.convolve(pmf, [accepted, 1 - accepted])
    for decoder in (simlab.Speculative(), simlab.Speculative(2)):
        assert simlab.predict(_of_acceptance(path), decoder).rejections_pmf == pytest.approx(pmf, abs=1e-13)


@examples(40)
@given(seed=st.integers(0, 2**32 - 1), bonus=st.booleans())
def test_windows_that_rise_and_fall_are_counted_alike(seed, bonus):
    """Ends of calls that do not rise with their starts take another branch of the recursion."""
    random = np.random.default_rng(seed)
    length = int(random.integers(1, 12))
    policy = simlab.Policy(random.integers(1 - bonus, 9, (length, 1)), bonus=bonus)
    path = random.random(length)
    found = simlab.predict(_of_acceptance(path), simlab.AdaptiveSpeculative(policy))
    # The same from a chain of one state: everything is accepted there, so the coins come from two states.
    draft = np.stack([np.stack([path, 1 - path], -1)] * 2, axis=1)
    target = np.broadcast_to([1.0, 0.0], draft.shape)
    pair = simlab.ChainPair(draft, target, [1.0, 0.0])
    wide = simlab.Policy(np.repeat(policy.windows, 2, axis=1), bonus=bonus)
    exact = simlab.predict(pair, simlab.AdaptiveSpeculative(wide))
    for name in ("rejections_pmf", "target_calls_pmf", "accepted_by_position", "drafted_by_position"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), abs=1e-12), name


def test_a_long_text_keeps_its_accuracy():
    path = np.random.default_rng(3).random(3000) ** 0.2
    found = simlab.predict(_of_acceptance(path), simlab.Speculative(7, bonus=True))
    counts = np.arange(3001)
    assert found.target_calls_pmf @ counts == pytest.approx(found.expected_target_calls, rel=1e-11)
    assert found.target_calls_pmf.sum() == pytest.approx(1, abs=1e-12)
    plain = simlab.predict(_of_acceptance(path), simlab.Speculative())
    pmf = np.ones(1)
    for accepted in path:
        pmf = np.convolve(pmf, [accepted, 1 - accepted])
    assert plain.rejections_pmf == pytest.approx(pmf, abs=1e-12)


def test_weights_are_repetitions():
    one, two = [0.3, 0.9, 0.5], [0.2]
    weighted = _of_acceptance(one, two, weight=[3.0, 3.0, 3.0, 1.0])
    repeated = _of_acceptance(one, one, one, two)
    for decoder in (simlab.Speculative(2, True), simlab.Speculative()):
        left, right = (simlab.predict(trace, decoder) for trace in (weighted, repeated))
        for name in (*NUMBERS, *ARRAYS, *OF_DRAFTED):
            assert getattr(left, name) == pytest.approx(getattr(right, name), abs=1e-12, nan_ok=True), name


def test_one_token_takes_one_call():
    found = simlab.predict(_of_acceptance([0.5]), simlab.Speculative(4, bonus=True))
    assert found.expected_target_calls == 1.0 and found.drafted_tokens == (0.0, 0.0)
    assert found.target_calls_pmf.tolist() == [0.0, 1.0] and found.drafted_by_position.size == 0
    assert found.interval("tokens_per_call") == (1.0, 1.0, 1.0)
    plain = simlab.predict(_of_acceptance([0.5]), simlab.Speculative(4))
    assert plain.expected_rejections == 0.5 and plain.drafted_by_position.tolist() == [1.0]


def test_cost_models_take_trace_predictions():
    cost = simlab.CostModel(0.1, 1.0)
    found = simlab.predict(TRACES["full"], simlab.Speculative(2, bonus=True))
    exact = simlab.predict(PAIRS["full"], simlab.Speculative(2, bonus=True))
    assert cost.speedup(found) == pytest.approx(cost.speedup(exact), abs=1e-12)


def test_the_limit_of_many_drafts_from_its_column():
    trace = _of_acceptance([0.3, 0.9], batch_rejection_inf=[0.0, 0.0])
    found = simlab.predict(trace, simlab.BatchSpeculative(math.inf))
    assert found.expected_rejections == pytest.approx(0.1) and found.expected_drafted_tokens == math.inf


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        (simlab.BatchSpeculative(4), "from the column batch_rejection_4, which this one lacks"),
        (simlab.BatchSpeculative(math.inf), "from the column batch_rejection_inf"),
        (simlab.ConfidenceSpeculative(), "from the column draft_confidence"),
        (simlab.AdaptiveSpeculative([[1, 1], [1, 2]]), "from the column token"),
        (
            simlab.AdaptiveSpeculative([[1, 1]]),
            "the policy has 1 positions and the longest sequence 2 tokens",
        ),
        (simlab.BlockSpeculative(), "a trace cannot predict block.*leave the text"),
        (simlab.TreeSpeculative(), "a trace cannot predict tree.*trees hold tokens beside the text"),
        (simlab.BiasedSpeculative(0.1), "a trace cannot predict biased.*does not follow the target"),
        ("speculative", "'speculative' is not a decoder"),
    ],
    ids=str,
)
def test_what_a_trace_cannot_answer_is_refused_with_the_reason(decoder, said):
    with pytest.raises(SimlabError, match=said):
        simlab.predict(_of_acceptance([0.3, 0.9]), decoder)


def test_policies_that_the_trace_cannot_follow():
    trace = _of_acceptance([0.3, 0.9], token=[1, 5])
    with pytest.raises(SimlabError, match="first window depends on the last token of the prompt"):
        simlab.predict(trace, simlab.AdaptiveSpeculative([[1, 2], [1, 1]]))
    with pytest.raises(SimlabError, match="row 1: token = 5, and the policy is for a vocabulary of 2"):
        simlab.predict(trace, simlab.AdaptiveSpeculative([[1, 1], [1, 2]]))


def test_only_pairs_and_traces_are_predicted():
    with pytest.raises(SimlabError, match="str is not a pair or a trace"):
        simlab.predict("trace.parquet", simlab.Speculative())


def test_it_prints_as_one_line():
    text = repr(simlab.predict(TRACES["full"], simlab.Speculative(2, bonus=True)))
    assert text.startswith("TracePrediction(speculative (window=2, bonus) on") and "\n" not in text


def test_the_columns_of_the_enumerated_trace_are_what_they_say():
    """Sanity of the oracle itself: TV and over-acceptance by hand."""
    draft, target = [Fraction(1, 2), Fraction(1, 2)], [Fraction(3, 4), Fraction(1, 4)]
    trace = every_path([[draft, draft]], [[target, target]], [Fraction(1), Fraction(0)], (1, 2), (0.125,))
    assert trace.column("over_acceptance_0.125").tolist() == [0.125, 0.125]
    assert trace.total_variation.tolist() == [0.25, 0.25]
    assert trace.batch_rejection_1.tolist() == pytest.approx([1 / 3, 0])
    assert trace.batch_rejection_2.tolist() == pytest.approx([1 / 6, 0])
