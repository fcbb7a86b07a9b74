"""What a trace holds, refuses, and how traces add up."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import simlab
from simlab.errors import SimlabError
from simlab.traces import KNOWN, batch_column, over_acceptance_column

THREE = {"sequence": [0, 0, 4], "draft_probability": [0.1, 0.2, 0.3], "target_probability": [0.4, 0.5, 0.6]}


def _trace(provenance=None, **columns) -> simlab.Trace:
    return simlab.Trace(**{**THREE, **columns}, provenance=provenance)


def test_columns_have_the_types_that_are_documented():
    trace = _trace(
        weight=[1, 1, 2],
        token=[5, 6, 7],
        position=[0, 1, 0],
        kind=["a", "a", "b"],
        batch_rejection_4=[0, 1, 0],
    )
    types = {name: column.dtype for name, column in trace.columns.items()}
    assert types.pop("kind").kind == "O"
    assert {types.pop(name) for name in ("token", "position")} == {np.dtype("int32")}
    assert types.pop("sequence") == np.int64 and set(types.values()) == {np.dtype("float64")}
    assert trace.sequences == 2 and len(trace) == 3
    assert trace.lengths.tolist() == [2, 1] and trace.weights.tolist() == [1, 2]
    assert trace.acceptance.tolist() == [0.25, 0.4, 0.5]
    assert trace.weight.tolist() == [1, 1, 2] and trace.by_sequence("kind").tolist() == ["a", "b"]
    assert [(number, rows.stop) for number, rows in trace.spans()] == [(0, 2), (4, 3)]


def test_it_is_frozen_and_what_the_user_does_to_his_arrays_changes_nothing():
    mine = np.array([0.1, 0.2, 0.3])
    trace = _trace(draft_probability=mine)
    mine[:] = 1.0
    assert trace.draft_probability.tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match="read-only"):
        trace.draft_probability[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.offsets = None
    assert pickle.loads(pickle.dumps(trace)) == trace == copy.deepcopy(trace)
    assert trace != _trace(provenance={"seed": 1}) and trace != _trace(draft_probability=[0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"draft_probability": [0.1, 1.5, 0.3]}, r"row 1: draft_probability = 1\.5"),
        ({"draft_probability": [0.1, -0.5, 0.3]}, r"row 1: draft_probability = -0\.5"),
        ({"target_probability": [0.1, 0.2, 0]}, "row 2: target_probability = 0 of a token that came"),
        ({"target_probability": [np.nan, 0.2, 0.1]}, "row 0: target_probability is not a number"),
        ({"total_variation": [0.1, np.inf, 0.1]}, "row 1: total_variation = inf"),
        ({"target_entropy": [0.1, np.inf, 0.1]}, "row 1: target_entropy = inf"),
        ({"sequence": [0, 4, 0]}, "row 2: sequence 0 comes up again after another one"),
        ({"position": [0, 2, 0]}, "row 1: position 2 of sequence 0 follows 0; expected 1"),
        ({"position": [1, 2, 0]}, "row 0: sequence 0 begins at position 1"),
        ({"position": [0, 1, 2]}, "row 2: sequence 4 begins at position 2"),
        ({"token": [1, 2]}, "column token has 2 rows, sequence has 3"),
        ({"token": [1, 2.5, 3]}, r"row 1: token = 2\.5; expected a whole number"),
        ({"weight": [1, 2, 1]}, r"row 1: weight = 2\.0 differs within sequence 0"),
        ({"weight": [0, 0, 1]}, "row 0: weight = 0"),
        ({"kind": ["a", "b", "b"]}, "row 1: kind = 'b' differs within sequence 0"),
        ({"kind": [1, 1, 2]}, "column kind has values that are not text"),
        ({"draft_confidence": [0.1, 0.1, 0.5]}, r"row 1: draft_confidence = 0\.1 is below"),
        ({"entropy": [1, 2, 3]}, "'entropy' is not a column of a trace; known are sequence, draft_prob"),
        ({"batch_rejection_0": [0, 0, 0]}, "batch_rejection_0' is not a column"),
        ({"batch_rejection_x": [0, 0, 0]}, "batch_rejection_x' is not a column"),
        ({"over_acceptance_0.10": [0, 0, 0]}, r"write it over_acceptance_0\.1"),
        ({"draft_probability": [[0.1], [0.2], [0.3]]}, r"draft_probability has shape \(3, 1\)"),
        ({"draft_probability": ["a", "b", "c"]}, "draft_probability has values of type"),
        ({"draft_probability": None}, "draft_probability has shape"),
        ({"sequence": [], "draft_probability": [], "target_probability": []}, "the trace is empty"),
        ({"provenance": {"a": {1, 2}}}, "provenance holds what JSON cannot"),
        ({"provenance": [1]}, "expected a mapping"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line_that_names_the_row(columns, said):
    with pytest.raises(SimlabError, match=said) as caught:
        _trace(**columns)
    assert "\n" not in str(caught.value)


def test_rounding_above_one_is_cut():
    assert _trace(draft_probability=[1 + 1e-12, 0, 1]).draft_probability.max() == 1.0


def test_names_of_columns_with_a_number_read_back():
    assert batch_column(4) == "batch_rejection_4" and batch_column(float("inf")) == "batch_rejection_inf"
    for epsilon, name in [(0.1, "0.1"), (1, "1"), (0.05, "0.05"), (1e-5, "1e-05")]:
        assert over_acceptance_column(epsilon) == f"over_acceptance_{name}"
        assert over_acceptance_column(epsilon) in _trace(**{over_acceptance_column(epsilon): [0, 0, 0]}).names
    assert "batch_rejection_M" in KNOWN


def test_a_missing_column_is_named_with_those_that_there_are():
    trace = _trace()
    with pytest.raises(SimlabError, match="no column token; its columns are sequence, draft_probability"):
        trace.column("token")
    with pytest.raises(AttributeError, match="no column token"):
        _ = trace.token
    with pytest.raises(SimlabError, match="not a column of a trace"):
        trace.column("tokens")


def test_chosen_sequences():
    trace = _trace(kind=["a", "a", "b"], provenance={"seed": 2})
    assert trace.select(trace.by_sequence("kind") == "b").target_probability.tolist() == [0.6]
    with pytest.raises(SimlabError, match="give 2 values of true and false"):
        trace.select([True])


def test_traces_of_other_seeds_add_up():
    one = _trace(provenance={"seed": 1, "model": "m", "sequences": 2})
    two = _trace(provenance={"seed": 2, "model": "m", "sequences": 2})
    both = one + two
    assert both.ids.tolist() == [0, 4, 5, 9] and both.lengths.tolist() == [2, 1, 2, 1]
    assert both.provenance == {"seed": [1, 2], "model": "m", "sequences": 4}
    three = simlab.Trace.concatenate([both, _trace(provenance={"seed": 3, "model": "m", "sequences": 2})])
    assert three.provenance["seed"] == [1, 2, 3] and three.sequences == 6
    assert simlab.Trace.concatenate([one]) == one
    assert sum([one, two]) == both
    how = [_trace(provenance={"seed": seed, "batch": seed, "threads": 1}) for seed in (1, 2)]
    assert (how[0] + how[1]).provenance == {"seed": [1, 2], "threads": 1}
    apart = _trace(sequence=[7, 7, 8], provenance={"seed": 2, "model": "m", "sequences": 2})
    assert (one + apart).ids.tolist() == [0, 4, 7, 8]  # numbers that do not overlap stay


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"provenance": {"seed": 2, "model": "n"}}, r"provenance differs in model \('m' and 'n'\)"),
        ({"provenance": {"seed": 2}}, r"differs in model \('m' and nothing\)"),
        ({"provenance": {"seed": 1, "model": "m"}}, "two traces of seed 1"),
        ({"provenance": {"seed": [3, 1], "model": "m"}}, "two traces of seed 1"),
        ({"provenance": {"seed": 2, "model": "m"}, "token": [1, 2, 3]}, "column token is not in all traces"),
    ],
    ids=str,
)
def test_traces_that_do_not_agree_are_not_added(other, said):
    with pytest.raises(SimlabError, match=said):
        _ = _trace(provenance={"seed": 1, "model": "m"}) + _trace(**other)


def test_nothing_to_add():
    with pytest.raises(SimlabError, match="nothing to concatenate"):
        simlab.Trace.concatenate([])
