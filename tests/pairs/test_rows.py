"""Rows as models give them: number types that are normalised, and what is refused, in which words."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.pairs import ChainPair, make_pair, paper
from simlab.pairs.rows import allowance


def to_bfloat16(values) -> np.ndarray:
    """The values rounded to bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    return rounded.astype(np.uint32).view(np.float32)


ROUNDED = {
    "float32": lambda rows: rows.astype(np.float32),
    "big-endian float32": lambda rows: rows.astype(">f4"),
    "float16": lambda rows: rows.astype(np.float16),
    "float16 in float32": lambda rows: rows.astype(np.float16).astype(np.float32),
    "bfloat16 in float32": to_bfloat16,
}


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def logits(states: int, seed: int = 0, steps: int = 2, scale: float = 4.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((steps, states, states))


def first(states: int) -> np.ndarray:
    return np.eye(states)[0]


@pytest.mark.parametrize("kind", ROUNDED)
@pytest.mark.parametrize("states", [2, 7, 300])
def test_rows_of_narrow_types_are_divided_by_their_sums_in_float64(kind, states):
    draft = ROUNDED[kind](softmax(logits(states)))
    target = softmax(logits(states, 1))
    pair = ChainPair(draft, target, first(states))
    wide = draft.astype(np.float64)
    sums = wide.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(pair.draft, wide / sums, rtol=1e-15)
    assert pair.draft.dtype == np.float64
    assert np.abs(pair.draft.sum(axis=-1) - 1).max() < 1e-14
    np.testing.assert_array_equal(pair.target, target)
    assert pair.normalised == pytest.approx(np.abs(sums - 1).max(), rel=1e-6) and pair.normalised > 0


def test_float64_rows_are_taken_as_they_are():
    pair = paper(2, 4)
    assert pair.normalised == 0.0
    draft = pair.draft * (1 + 5e-10)
    near = ChainPair(draft, pair.target, pair.initial)
    np.testing.assert_array_equal(near.draft, draft)
    assert near.normalised == 0.0


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.1, 1.0, 5.0, 30.0]))
def test_a_softmax_taken_in_a_narrow_type_is_accepted(seed, states, scale):
    given_logits = logits(states, seed, 1, scale)
    for dtype in (np.float32, np.float16):
        rows = softmax(given_logits.astype(dtype))
        assert rows.dtype == dtype
        pair = ChainPair(rows, to_bfloat16(rows), first(states))
        np.testing.assert_allclose(pair.draft.sum(axis=-1), 1, atol=1e-14)


@given(st.integers(0, 10**6), st.integers(2, 40))
def test_float32_log_probabilities_given_back_are_accepted(seed, states):
    shifted = logits(states, seed, 1).astype(np.float32) + np.float32(20)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    assert ChainPair(np.exp(logs), np.exp(logs), first(states)).normalised < 1e-5


@pytest.mark.parametrize(
    ("dtype", "miss"), [(np.float64, 1e-8), (np.float32, 1e-4), (np.float32, 0.1), (np.float16, 0.02)]
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sum_beyond_what_the_type_can_mean_is_refused(dtype, miss, sign):
    rows = softmax(logits(7))
    rows[1, 3] *= 1 + sign * miss
    with pytest.raises(SimlabError, match=r"target\[t=1, x=3\] sums to .*: expected 1 to within") as caught:
        ChainPair(softmax(logits(7)), rows.astype(dtype), first(7))
    line = str(caught.value)
    assert "\n" not in line and "divide" not in line and np.dtype(dtype).name in line


def test_bfloat16_is_recognised_by_its_numbers_alone():
    rows = np.array([[0.5, 0.498046875], [0.25, 0.75]], np.float32)[None]  # 0.5 - 2^-9 is a bfloat16
    assert ChainPair(rows, rows, [1, 0]).normalised == 2.0**-9
    other = rows + np.float32(2.0**-20)
    with pytest.raises(SimlabError, match="in float32"):
        ChainPair(other, rows, [1, 0])


def test_what_a_type_allows_grows_with_the_vocabulary_and_its_rounding():
    kinds = [np.float64, np.float32, np.float16]
    small, large = ([allowance(softmax(logits(v, steps=1)).astype(k)) for k in kinds] for v in (4, 400))
    assert small == sorted(small) and large == sorted(large)
    assert small[0] == large[0] == 1e-9 and small[1] < large[1] < 1e-4 and small[2] < large[2] < 2e-3


def test_the_initial_distribution_has_a_type_of_its_own():
    pair = paper(2, 7)
    initial = pair.initial.astype(np.float32)
    found = ChainPair(pair.draft, pair.target, initial)
    np.testing.assert_allclose(found.initial, 1 / 7, rtol=1e-15)
    assert found.normalised == abs(float(initial.astype(float).sum()) - 1)
    with pytest.raises(SimlabError, match=r"initial sums to 0\.9\d*: expected 1"):
        ChainPair(pair.draft, pair.target, initial * np.float32(0.9))


@pytest.mark.parametrize("kind", ["float64", *ROUNDED])
def test_transposed_rows_are_called_so_and_how_to_mend_them(kind):
    rounded = ROUNDED.get(kind, lambda rows: rows)
    right, target = rounded(softmax(logits(7))), softmax(logits(7, 1))
    wrong = np.swapaxes(right, -1, -2)
    for arrays, name in (((wrong, target), "draft"), ((target, wrong), "target")):
        with pytest.raises(SimlabError, match=f"{name} looks transposed: .*give np.swapaxes") as caught:
            ChainPair(*arrays, first(7))
        line = str(caught.value)
        assert f"np.swapaxes({name}, -1, -2)" in line and "divide" not in line and "\n" not in line
    mended = ChainPair(np.swapaxes(wrong, -1, -2), target, first(7))
    assert mended.digest == ChainPair(right, target, first(7)).digest
    with pytest.raises(SimlabError, match="draft looks transposed"):
        ChainPair.stationary(wrong[0], target[0], first(7), 5)


def test_rows_and_columns_that_both_miss_are_not_called_transposed():
    rows = np.full((1, 3, 3), 0.3)
    with pytest.raises(SimlabError, match="sums to 0.89") as caught:
        ChainPair(rows, rows, first(3))
    assert "transposed" not in str(caught.value)


PLAIN = softmax(logits(5))


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (logits(5), "if these are logits, take their softmax first, as ChainPair.from_logits does"),
        (logits(5) + 100, "if these are logits, take their softmax first"),
        (
            np.log(PLAIN),
            r"these look like log-probabilities: give np.exp\(draft\), or use ChainPair.from_logits",
        ),
        (np.round(1 + 100 * PLAIN), "for counts, divide each row by its sum"),
        (PLAIN.astype(np.float32).astype(float), r"float32 numbers: give draft.astype\(np.float32\)"),
        (PLAIN * (1 - 1e-6), "take the softmax in float64"),
        (PLAIN * 0.9, "a row holds the probability of every next token"),
        (
            np.where(PLAIN == PLAIN[0, 0, 0], np.nan, PLAIN),
            "= nan: a probability is finite and not negative$",
        ),
        (np.where(PLAIN == PLAIN[0, 0, 0], -1e-17, PLAIN), "= -1e-17: a probability is .* not negative$"),
    ],
)
def test_what_a_wrong_row_may_be_instead(draft, words):
    with pytest.raises(SimlabError, match=words) as caught:
        ChainPair(draft, PLAIN, first(5))
    assert "\n" not in str(caught.value)


class Tensor:
    """What NumPy cannot read, as a torch tensor of bfloat16 or on another device."""

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")


def test_tensors_that_numpy_cannot_read_are_told_how():
    with pytest.raises(SimlabError, match=r"BFloat16\): give .*draft.detach\(\).float\(\).cpu\(\).numpy\(\)"):
        ChainPair(Tensor(), PLAIN, first(5))


def test_stationary_float32_rows_are_kept_once():
    rows = softmax(logits(6, steps=1))[0].astype(np.float32)
    pair = ChainPair.stationary(rows, rows, first(6), 10**6)
    assert pair.draft_rows.shape == (1, 6, 6) and pair.is_stationary and pair.normalised > 0
    spelled = ChainPair(np.array([rows] * 4), np.array([rows] * 4), first(6))
    assert spelled.digest == pair.with_horizon(4).digest


def test_the_correction_is_kept_with_the_pair():
    rows = PLAIN.astype(np.float16)
    pair = ChainPair(rows, rows, first(5))
    for other in (pickle.loads(pickle.dumps(pair)), pair.with_horizon(1), pair.processed(temperature=2)):
        assert other.normalised == pair.normalised > 0


@pytest.mark.parametrize("kind", ROUNDED)
def test_files_hold_narrow_types_too(tmp_path, kind):
    draft, path = ROUNDED[kind](PLAIN), tmp_path / "pair.npz"
    np.savez(path, draft=draft, target=PLAIN, initial=first(5))
    pair = make_pair("file", path=str(path))
    assert pair.digest == ChainPair(draft, PLAIN, first(5)).digest and pair.normalised > 0
    np.savez(path, draft=draft[0], target=draft[0], initial=first(5).astype(np.float16), horizon=9)
    assert make_pair("file", path=str(path)).is_stationary


def test_a_file_without_keys_says_what_they_hold(tmp_path):
    path = tmp_path / "pair.npz"
    np.savez(path, draft=PLAIN, target=PLAIN)
    with pytest.raises(SimlabError, match=r"lacks initial: it holds draft, target; .*np.eye\(V\)\[x\]"):
        ChainPair.load(path)
    np.savez(path, p=PLAIN)
    with pytest.raises(SimlabError, match=r"draft \(T, V, V\), or \(V, V\) with a horizon"):
        ChainPair.load(path)


def test_a_pair_shows_itself_in_one_line():
    pair = paper(50, 7)
    assert repr(pair) == "<ChainPair: V = 7 tokens, T = 50, nonstationary>"
    rows = PLAIN[0].astype(np.float32)
    told = repr(ChainPair.stationary(rows, rows, first(5), 9))
    assert told.startswith("<ChainPair: V = 5 tokens, T = 9, stationary, rows normalised by up to ")
    assert len(told) < 110
