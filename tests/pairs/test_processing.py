"""Temperature, top-k and top-p: against exact fractions, their properties, and what is refused."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.pairs import ChainPair, Processing, Sampling, make_pair, pair_identity, paper, softmax
from tests.strategies import pairs

SHARES = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 5), Fraction(9, 10), Fraction(1)]


def exactly(weights, power: int, top_k: int | None, top_p: Fraction | None) -> list[Fraction]:
    """The row of integer weights at temperature 1 / power, cut, in fractions, token by token."""
    weights = [Fraction(weight) ** power for weight in weights]
    ranked = sorted(range(len(weights)), key=lambda y: (-weights[y], y))[:top_k]
    if top_p is not None:
        total, kept = sum(weights[y] for y in ranked), []
        for y in ranked:
            kept.append(y)
            if sum(weights[z] for z in kept) >= top_p * total:
                break
        ranked = kept
    total = sum(weights[y] for y in ranked)
    return [weights[y] / total if y in ranked else Fraction(0) for y in range(len(weights))]


def rows_of(weights) -> np.ndarray:
    """All rows of weights as stationary (V, V) rows, a block of V at a time."""
    rows = np.array(weights, float)
    return rows / rows.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("top_p", [None, *SHARES])
@pytest.mark.parametrize("top_k", [None, 1, 2, 3, 9])
@pytest.mark.parametrize("power", [1, 2])
def test_every_small_row_is_processed_as_in_fractions(power, top_k, top_p):
    all_weights = [w for w in itertools.product(range(4), repeat=3) if any(w)]
    share = None if top_p is None else float(top_p)
    settings = {"temperature": 1 / power, "top_k": top_k, "top_p": share}
    for at in range(0, len(all_weights), 3):
        weights = all_weights[at : at + 3]
        expected = np.array([[float(y) for y in exactly(w, power, top_k, top_p)] for w in weights])
        pair = ChainPair.stationary(rows_of(weights), np.eye(3), [1, 0, 0], 1)
        np.testing.assert_allclose(pair.processed(**settings).draft[0], expected, atol=1e-12)
        with np.errstate(divide="ignore"):
            logits = np.log(np.array(weights, float)) + 5
        found = ChainPair.from_logits(logits, logits, [1, 0, 0], horizon=1, **settings)
        np.testing.assert_allclose(found.draft[0], expected, atol=1e-12)
        np.testing.assert_array_equal(found.draft, found.target)


def test_ties_go_to_the_lower_token_number():
    rows = np.full((4, 4), 0.25)
    pair = ChainPair.stationary(rows, rows, [1, 0, 0, 0], 1)
    for settings, expected in [
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"top_k": 3}, [1 / 3, 1 / 3, 1 / 3, 0]),
        ({"top_p": 0.5}, [0.5, 0.5, 0, 0]),
        ({"top_p": 0.51}, [1 / 3, 1 / 3, 1 / 3, 0]),
        ({"temperature": 1e-300}, [0.25, 0.25, 0.25, 0.25]),
    ]:
        np.testing.assert_allclose(pair.processed(**settings).target[0], [expected] * 4, atol=1e-15)
    tenths = ChainPair.stationary(np.full((10, 10), 0.1), np.full((10, 10), 0.1), np.eye(10)[0], 1)
    for kept in range(1, 10):  # 0.1 + ... + 0.1 misses some of these by its rounding
        assert (tenths.processed(top_p=kept / 10).draft[0, 0] > 0).sum() == kept


def test_probabilities_that_a_logarithm_rounds_together_keep_their_order():
    low, high = 0.5 - 2.0**-54, 0.5
    rows = np.array([[low, high], [high, low]])
    pair = ChainPair.stationary(rows, rows, [1, 0], 1)
    np.testing.assert_array_equal(pair.processed(top_k=1).draft[0], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(pair.processed(temperature=0).draft[0], [[0, 1], [1, 0]])


def test_temperatures_agree_with_the_softmax_generators_own():
    hot = softmax(3, 6, draft_temperature=2.0, target_temperature=0.5)
    found = softmax(3, 6).processed(temperature=0.5, draft_temperature=2)
    np.testing.assert_allclose(found.draft, hot.draft, atol=1e-13)
    np.testing.assert_allclose(found.target, hot.target, atol=1e-13)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.05, 20),
        "top_k": st.integers(1, 6),
        "top_p": st.floats(0.01, 1.0),
        "draft_temperature": st.floats(0.05, 20),
        "draft_top_k": st.integers(1, 6),
        "draft_top_p": st.floats(0.01, 1.0),
    },
)


@given(pairs(), SETTINGS)
def test_what_is_kept_is_the_most_likely_and_no_more_than_asked_for(pair, settings):
    found = pair.processed(**settings)
    assert found.draft.shape == pair.draft.shape
    np.testing.assert_array_equal(found.initial, pair.initial)
    for name, prefix in (("draft", "draft_"), ("target", "")):
        before, after = getattr(pair, name), getattr(found, name)
        top_k = settings.get(f"{prefix}top_k", settings.get("top_k"))
        for old, new in zip(before.reshape(-1, pair.states), after.reshape(-1, pair.states), strict=True):
            kept = new > 0
            assert kept.any() and not kept[old == 0].any()
            assert top_k is None or kept.sum() <= top_k
            if not kept.all():
                assert old[~kept].max() <= old[kept].min() * (1 + 1e-9) or (old[~kept] < 1e-9).all()


@given(pairs(), st.floats(0.1, 10))
def test_temperatures_multiply_and_1_changes_nothing(pair, temperature):
    assert pair.processed() is pair and pair.processed(1, top_k=pair.states, top_p=1) is pair
    there = pair.processed(temperature=2.0).processed(temperature=0.25)
    np.testing.assert_allclose(there.target, pair.processed(temperature=0.5).target, atol=1e-12)
    only = pair.processed(draft_temperature=temperature)
    np.testing.assert_array_equal(only.target, pair.target)


@given(pairs())
def test_greedy_is_the_first_of_the_most_likely_tokens(pair):
    cold, first = pair.processed(temperature=0), pair.processed(top_k=1)
    expected = np.eye(pair.states)[pair.target.argmax(axis=-1)]
    np.testing.assert_array_equal(cold.target, expected)
    np.testing.assert_allclose(first.target, expected, atol=1e-15)


def test_the_draft_may_have_settings_of_its_own():
    pair = paper(3, 6)
    common, own = pair.processed(0.5, top_k=2), pair.processed(2.0, top_p=0.5)
    mixed = pair.processed(0.5, top_k=2, draft_temperature=2.0, draft_top_k=6, draft_top_p=0.5)
    np.testing.assert_array_equal(mixed.target, common.target)
    np.testing.assert_array_equal(mixed.draft, own.draft)
    whole = pair.processed(top_k=2, top_p=0.5, draft_top_k=99, draft_top_p=1)
    np.testing.assert_array_equal(whole.draft, pair.draft)
    greedy = pair.processed(draft_temperature=0)
    assert set(np.unique(greedy.draft)) == {0.0, 1.0} and greedy.target is not None
    logits = np.log(pair.draft), np.log(pair.target)
    settings = {"temperature": 0.7, "draft_temperature": 1.3, "draft_top_k": 3, "top_p": 0.8}
    found, expected = ChainPair.from_logits(*logits, pair.initial, **settings), pair.processed(**settings)
    np.testing.assert_allclose(found.draft, expected.draft, atol=1e-13)
    np.testing.assert_allclose(found.target, expected.target, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f4", np.longdouble, np.int8])
def test_logits_of_any_type_are_processed_in_float64(dtype):
    logits = np.round(8 * np.random.default_rng(0).standard_normal((2, 5, 5)))
    narrow, wide = (ChainPair.from_logits(x, logits, np.eye(5)[0]) for x in (logits.astype(dtype), logits))
    assert narrow.digest == wide.digest and narrow.normalised == 0.0


def test_stationary_logits_are_processed_once_and_shifts_do_not_matter():
    logits = np.random.default_rng(1).standard_normal((4, 4))
    pair = ChainPair.from_logits(logits, logits[None], np.eye(4)[0], 0.5, horizon=10**6)
    assert pair.horizon == 10**6 and pair.draft_rows.shape == (1, 4, 4)
    assert pair.processed(temperature=2).draft_rows.shape == (1, 4, 4)
    high = ChainPair.from_logits(logits + 1e4, logits - 1e4, np.eye(4)[0], 0.5, horizon=1)
    np.testing.assert_allclose(high.draft, pair.draft[:1], atol=1e-10)
    np.testing.assert_allclose(high.target, pair.target[:1], atol=1e-10)


def test_extreme_logits_and_temperatures():
    logits = np.array([[-1e308, 1e308], [-np.inf, 3.0]])
    for temperature in (0, 1e-308, 1, 1e308):
        pair = ChainPair.from_logits(logits, logits, [1, 0], temperature, horizon=1)
        np.testing.assert_array_equal(pair.draft[0, 1], [0, 1])
        np.testing.assert_array_equal(pair.draft[0, 0], [0, 1])


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({(1, 2, 3): np.nan}, {}, r"draft\[t=1, x=2, y=3\] = nan: expected a finite logit, or -inf"),
        ({(0, 0, 1): np.inf}, {}, r"draft\[t=0, x=0, y=1\] = inf"),
        ({(1, 3): -np.inf}, {}, r"draft\[t=1, x=3\] holds only -inf"),
        ({}, {"temperature": -0.5}, "temperature = -0.5 is not valid; expected a finite number >= 0"),
        ({}, {"temperature": np.inf}, "temperature = inf"),
        ({}, {"temperature": "warm"}, "temperature = 'warm'"),
        ({}, {"temperature": None}, "temperature = None"),
        ({}, {"top_k": 0}, "top_k = 0 is not valid; expected a whole number of at least 1"),
        ({}, {"top_k": 2.5}, "top_k = 2.5"),
        ({}, {"top_p": 0.0}, "top_p = 0.0 is not valid; expected a finite number > 0 and <= 1"),
        ({}, {"top_p": 1.5}, "top_p = 1.5"),
        ({}, {"draft_temperature": np.nan}, "draft_temperature = nan"),
        ({}, {"draft_top_k": -1}, "draft_top_k = -1"),
        ({}, {"draft_top_p": True}, "draft_top_p = True"),
        ({}, {"horizon": 3}, "draft has 2 steps and horizon is 3"),
        ({}, {"horizon": 2.0}, "horizon = 2.0"),
    ],
)
def test_logits_and_settings_that_are_refused(change, options, words):
    draft, target = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    for place, value in change.items():
        draft[place] = value
    with pytest.raises(SimlabError, match=words) as caught:
        ChainPair.from_logits(draft, target, np.eye(4)[0], **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 4), "add a horizon"),
        ((2, 4, 5), r"expected \(T, V, V\)"),
        ((4,), r"expected \(T, V, V\)"),
        ((1, 4, 4), "same"),
    ],
)
def test_shapes_of_logits_that_are_refused(shape, words):
    with pytest.raises(SimlabError, match=words):
        ChainPair.from_logits(np.zeros(shape), np.zeros((2, 4, 4)), np.eye(4)[0])


def test_every_generator_takes_the_processing(tmp_path):
    path = tmp_path / "own.npz"
    paper(2, 3).save(path)
    for name, options in [("paper", {}), ("file", {"path": str(path)}), ("corpus", {"horizon": 2})]:
        plain = make_pair(name, **options)
        expected = plain.processed(temperature=0.5, draft_top_k=2).digest
        nested = {"temperature": 0.5, "top_k": None, "draft_top_k": 2}
        flat = {"processing.temperature": 0.5, "processing.draft_top_k": 2}
        assert make_pair(name, **options, processing=nested).digest == expected != plain.digest
        assert make_pair(name, **options, **flat).digest == expected
        identity = pair_identity(make_pair(name, **options, **flat), name, **options, **flat)
        assert identity["processing"] == {"temperature": 0.5, "draft_top_k": 2}


def test_a_processing_that_changes_nothing_leaves_the_identity_as_it_was():
    plain = pair_identity(paper(), "paper")
    for processing in (None, {}, {"temperature": 1}, {"top_k": 7, "top_p": 1.0}, {"temperature": None}):
        options = {"processing": processing}
        assert pair_identity(make_pair("paper", **options), "paper", **options) == plain


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"processing": 3}, "processing = 3: expected a mapping with temperature, top_k, top_p"),
        ({"processing": {"heat": 1}}, "processing has no setting 'heat': it has temperature, top_k"),
        ({"processing.heat": 1}, "processing has no setting 'heat'"),
        ({"processing.top_p": 2}, "processing.top_p = 2 is not valid; expected a finite number"),
    ],
)
def test_a_generators_processing_that_is_refused(options, words):
    with pytest.raises(SimlabError, match=words):
        make_pair("paper", **options)


def test_settings_are_plain_values():
    both = Processing(temperature=1, top_k=np.int64(4), draft_top_p=1)
    assert both.target == Sampling(1.0, 4, None) and both.draft == Sampling(1.0, 4, 1.0)
    assert type(both.top_k) is int and type(both.temperature) is float
