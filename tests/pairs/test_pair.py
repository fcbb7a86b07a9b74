"""ChainPair: what it refuses, and in which words; what it keeps; saving and loading."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given

from simlab.errors import SimlabError
from simlab.pairs import ChainPair, paper
from tests.strategies import pairs


def _arrays(horizon=3, states=4):
    pair = paper(horizon, states)
    return pair.draft.copy(), pair.target.copy(), pair.initial.copy()


def test_holds_its_arrays_read_only():
    draft, target, initial = _arrays()
    pair = ChainPair(draft, target, initial)
    assert (pair.horizon, pair.states) == (3, 4)
    for array in (pair.draft, pair.target, pair.initial):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, q, i: d.__setitem__((1, 2), [0.1, 0.2, 0.3, 0.3]), r"draft\[t=1, x=2\] sums to 0\.9"),
        (lambda d, q, i: q.__setitem__((2, 0, 3), np.nan), r"target\[t=2, x=0, y=3\] = nan"),
        (lambda d, q, i: q.__setitem__((0, 0, 1), np.inf), r"target\[t=0, x=0, y=1\] = inf"),
        (lambda d, q, i: d.__setitem__((0, 1), [-0.5, 0.5, 0.5, 0.5]), r"draft\[t=0, x=1, y=0\] = -0\.5"),
        (lambda d, q, i: i.__setitem__(0, 0.9), r"initial sums to 1\.65"),
        (lambda d, q, i: i.__setitem__(2, -1e-300), r"initial\[2\] = -1e-300"),
    ],
)
def test_names_the_place_and_the_value(change, words):
    arrays = _arrays()
    change(*arrays)
    with pytest.raises(SimlabError, match=words) as caught:
        ChainPair(*arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((4, 4), (3, 4, 4), (4,)), "ChainPair.stationary"),
        (((3, 4, 5), (3, 4, 5), (4,)), "expected \\(T, V, V\\)"),
        (((0, 4, 4), (0, 4, 4), (4,)), "T, V >= 1"),
        (((3, 0, 0), (3, 0, 0), (0,)), "T, V >= 1"),
        (((3, 4, 4), (2, 4, 4), (4,)), "expected the same shape"),
        (((3, 4, 4), (3, 4, 4), (5,)), "initial has shape"),
    ],
)
def test_names_the_shape(shapes, words):
    with pytest.raises(SimlabError, match=words):
        ChainPair(*(np.full(shape, 1 / max(shape[-1], 1)) for shape in shapes))


@pytest.mark.parametrize("value", [[["a"]], [[1j]], [[0.5, 0.5], [1.0]]])
def test_names_what_is_no_number(value):
    with pytest.raises(SimlabError, match="draft"):
        ChainPair(value, np.ones((1, 1, 1)), [1.0])


def test_a_row_off_by_rounding_is_legal_and_one_off_by_more_is_not():
    draft, target, initial = _arrays()
    draft[0, 0] *= 1 - 1e-15
    ChainPair(draft, target, initial)
    draft[0, 0] *= 1 - 1e-8
    with pytest.raises(SimlabError, match=r"draft\[t=0, x=0\] sums to"):
        ChainPair(draft, target, initial)


def test_any_layout_and_number_type_gives_the_same_pair():
    draft, target, initial = _arrays()
    expected = ChainPair(draft, target, initial).digest
    assert ChainPair(np.asfortranarray(draft), target.astype(">f8"), initial.tolist()).digest == expected
    identity = np.eye(3, dtype=np.int32)
    assert ChainPair(identity[None], identity[None], [1, 0, 0]).draft.dtype == np.float64


def test_a_stationary_pair_keeps_one_copy_whatever_the_horizon():
    rows = paper(1, 5).draft[0]
    pair = ChainPair.stationary(rows, rows, np.full(5, 0.2), 10**6)
    assert pair.draft.shape == (10**6, 5, 5)
    assert pair.draft_rows.shape == (1, 5, 5)
    assert len(pickle.dumps(pair)) < 5000
    assert pickle.loads(pickle.dumps(pair)).digest == pair.digest
    assert pair.with_horizon(7).horizon == 7
    integers = ChainPair.stationary(np.eye(5, dtype=int), rows, np.full(5, 0.2), 9)
    assert len(integers.draft_rows) == 1


def test_equal_steps_are_a_stationary_pair_however_they_are_given():
    rows = paper(1, 5).draft[0]
    folded = ChainPair.stationary(rows, rows, np.full(5, 0.2), 4)
    spelled = ChainPair(np.array([rows] * 4), np.array([rows] * 4), np.full(5, 0.2))
    assert len(spelled.draft_rows) == 1 and spelled.digest == folded.digest
    assert spelled.with_horizon(9).horizon == 9


def test_a_pair_is_stationary_where_both_chains_are():
    changing, fixed = paper(3, 4), paper(1, 4)
    rows, initial = fixed.draft[0], fixed.initial
    repeated = np.broadcast_to(rows, (3, 4, 4))
    assert fixed.is_stationary and ChainPair.stationary(rows, rows, initial, 9).is_stationary
    assert not changing.is_stationary
    assert not ChainPair(repeated, changing.target, initial).is_stationary
    assert not ChainPair(changing.draft, repeated, initial).is_stationary


def test_a_masked_array_is_refused():
    draft, target, initial = _arrays()
    with pytest.raises(SimlabError, match="draft is a masked array"):
        ChainPair(np.ma.masked_array(draft, mask=draft > 0.5), target, initial)


def test_a_shorter_horizon_takes_the_first_steps_and_a_longer_one_is_refused():
    pair = paper(5)
    np.testing.assert_array_equal(pair.with_horizon(2).target, pair.target[:2])
    with pytest.raises(SimlabError, match="at most 5"):
        pair.with_horizon(6)
    with pytest.raises(SimlabError, match="at least 1"):
        pair.with_horizon(0)


@given(pairs())
def test_saving_loading_and_pickling_change_nothing(tmp_path_factory, pair):
    path = pair.save(tmp_path_factory.mktemp("pair") / "pair")
    assert path.suffix == ".npz"
    for other in (ChainPair.load(path), pickle.loads(pickle.dumps(pair))):
        assert other.digest == pair.digest
        assert other.draft.shape == pair.draft.shape
        np.testing.assert_array_equal(other.target, pair.target)


def test_loads_what_a_user_would_write(tmp_path):
    rows = paper(1, 3).draft[0]
    np.savez(tmp_path / "rows.npz", draft=rows, target=rows[None], initial=[1, 0, 0], horizon=4)
    assert ChainPair.load(tmp_path / "rows.npz").draft.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"draft": np.eye(2)}, "lacks target, initial: it holds draft"),
        ({"draft": np.eye(2), "target": np.eye(2), "initial": [1, 0]}, "add a horizon"),
        ({"draft": np.eye(2), "target": np.eye(2), "initial": [1, 0], "horizon": 0}, "horizon = 0"),
        ({"draft": np.eye(2), "target": np.eye(2), "initial": [1, 0], "horizon": 1.5}, "horizon"),
        ({"draft": np.eye(2)[None] / 2, "target": np.eye(2)[None], "initial": [1, 0]}, "sums to 0.5"),
        ({"draft": np.ones((3, 1, 1)), "target": np.ones((3, 1, 1)), "initial": [1], "horizon": 2}, "agree"),
    ],
)
def test_a_file_that_holds_no_pair(tmp_path, arrays, words):
    path = tmp_path / "pair.npz"
    np.savez(path, **arrays)
    with pytest.raises(SimlabError, match=words) as caught:
        ChainPair.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 torn", b"\x93NUMPY"])
def test_a_file_that_is_no_npz(tmp_path, content):
    path = tmp_path / "pair.npz"
    path.write_bytes(content)
    with pytest.raises(SimlabError, match="is not a readable .npz"):
        ChainPair.load(path)


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(SimlabError, match="no file"):
        ChainPair.load(tmp_path / "absent.npz")
    with pytest.raises(SimlabError, match="is not a readable"):
        ChainPair.load(tmp_path)
    np.save(tmp_path / "one.npy", np.eye(2))
    with pytest.raises(SimlabError, match="holds one array"):
        ChainPair.load(tmp_path / "one.npy")
    with pytest.raises(SimlabError, match="cannot write"):
        paper(1, 2).save(tmp_path / "absent" / "pair.npz")
