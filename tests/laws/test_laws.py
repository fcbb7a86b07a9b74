"""Laws: what is accepted, what is refused in one line, what tells one from another, and the rows counted."""

from __future__ import annotations

import json
import math
import pickle
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab import SimlabError
from simlab.laws import (
    LAWS,
    Dirichlet,
    Rows,
    Softmax,
    Zipf,
    law_identity,
    make_law,
    rows_of_pair,
    rows_of_text,
)
from simlab.pairs.corpus import read_text
from tests.strategies import pairs

TEXT = "the cat sat on the mat, and the dog sat on the log.\n" * 25


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "dirichlet",
            {"states": math.inf},
            "states = inf is not valid; expected a finite vocabulary; on an infinite one the",
        ),
        ("softmax", {"states": 0}, "states = 0 is not valid; expected a whole number of at least 1"),
        ("zipf", {"states": 2.5}, "states = 2.5 is not valid; expected a whole number"),
        (
            "zipf",
            {"states": 2**24 + 1},
            "states = 16777217 is not valid; expected a whole number of at most 16777216",
        ),
        ("zipf", {"states": True}, "states = True"),
        ("dirichlet", {"concentration": 0}, "concentration = 0 is not valid; expected a finite number > 0"),
        (
            "dirichlet",
            {"concentration": math.inf},
            "concentration = inf is not valid; expected a finite number",
        ),
        ("dirichlet", {"concentration": 1e13}, "and <= 1e+12"),
        ("dirichlet", {"concentration": math.nan}, "concentration = nan"),
        ("softmax", {"scale": -1}, "scale = -1 is not valid; expected a finite number >= 0"),
        ("softmax", {"scale": "3"}, "scale = '3'"),
        ("zipf", {"exponent": -0.1}, "exponent = -0.1 is not valid; expected a finite number >= 0"),
        ("zipf", {"scale": 1}, "distribution zipf has no option 'scale': known are states, exponent"),
        ("pair", {"generator": "none"}, "no pair 'none': known are paper,"),
        ("pair", {"generator": "paper", "size": 1}, "pair paper has no option 'size'"),
        ("pair", {"model": "both"}, "model = 'both' is not valid; expected one of target, draft"),
        ("text", {"context": -1}, "context = -1 is not valid; expected a whole number of at least 0"),
        ("text", {"path": "/nowhere/at/all"}, "no text /nowhere/at/all"),
        ("poisson", {}, "no distribution 'poisson': known are dirichlet, softmax, zipf, pair, text"),
        (None, {}, "no distribution None"),
    ],
)
def test_a_mistake_is_one_line(name, options, message):
    with pytest.raises(SimlabError) as caught:
        make_law(name, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        ([[0.5, 0.5]], [0.9], "weights sums to 0.9"),
        ([[0.5, 0.4]], [1.0], "rows[0] sums to 0.9"),
        ([[1, 0], [1.5, -0.5]], [0.5, 0.5], "rows[1, 1] = -0.5: a probability is finite and not negative"),
        ([[1, 0], [math.nan, 1]], [0.5, 0.5], "rows[1, 0] = nan"),
        ([[1.0]], [math.inf], "weights[0] = inf"),
        ([[1, 0], [0, 1]], [2, -1], "weights[1] = -1.0"),
        ([0.5, 0.5], [1.0], "rows has shape (2,); expected (K, V)"),
        ([[]], [1.0], "rows has shape (1, 0)"),
        ([[1, 0], [0, 1]], [1.0], "weights has shape (1,); expected (2,)"),
        ([["a"]], [1.0], "expected real numbers"),
        ([[1.0], [0.5, 0.5]], [0.5, 0.5], "rows is not a rectangular array"),
    ],
)
def test_rows_that_are_none_are_refused(rows, weights, message):
    with pytest.raises(SimlabError) as caught:
        Rows(rows, weights)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_law_has_no_identity():
    for what in (None, "dirichlet", simlab.pairs.bernoulli(), {"law": "dirichlet"}):
        with pytest.raises(SimlabError, match="distribution is of type .*; expected one of simlab.laws"):
            law_identity(what)


def test_every_law_has_a_name_a_label_and_an_identity_of_its_own(text):
    options = {"text": {"path": text}, "pair": {"generator": "paper", "horizon": 3}}
    laws = [make_law(name, **options.get(name, {})) for name in LAWS]
    laws += [
        Dirichlet(65),
        Dirichlet(64, 0.2),
        Softmax(64, 2),
        Zipf(64, 2),
        make_law("text", path=text, context=1),
    ]
    identities = [json.dumps(law_identity(law), sort_keys=True) for law in laws]
    assert (
        len(set(identities))
        == len({law.digest for law in laws})
        == len({law.label for law in laws})
        == len(laws)
    )
    for law in laws:
        again = pickle.loads(pickle.dumps(law))
        assert again == law and hash(again) == hash(law) and again.digest == law.digest
        assert f"V = {law.states}" in law.label
    assert law_identity(Dirichlet(np.int64(8), 1)) == {"law": "dirichlet", "states": 8, "concentration": 1.0}
    assert Dirichlet(64, 0.1).label == "Dirichlet(0.1), V = 64"


def test_rows_are_told_by_their_numbers_and_their_source():
    rows = Rows([[0.25, 0.75], [1, 0]], [0.5, 0.5])
    assert rows == Rows(np.array([[0.25, 0.75], [1, 0]]), (0.5, 0.5))
    others = [
        Rows([[0.25, 0.75], [1, 0]], [0.25, 0.75]),
        Rows([[0.75, 0.25], [1, 0]], [0.5, 0.5]),
        Rows([[0.25, 0.75], [1, 0]], [0.5, 0.5], "others"),
        Rows([[0.25, 0.75]], [1.0]),
    ]
    assert len({rows.digest, *(other.digest for other in others)}) == 5
    assert rows != others[0] and rows != "rows"
    source = np.array([[0.25, 0.75]])
    law = Rows(source, [1.0])
    source[0] = 0.5
    assert law.rows[0, 0] == 0.25
    with pytest.raises(ValueError, match="read-only"):
        law.rows[0, 0] = 0.5


def test_zipf_is_one_row():
    law = Zipf(4, 2)
    weights = np.array([1, 1 / 4, 1 / 9, 1 / 16])
    assert np.allclose(law.rows, [weights / weights.sum()], rtol=1e-15) and law.weights.tolist() == [1.0]
    assert Zipf(3, 0).rows.tolist() == [[1 / 3, 1 / 3, 1 / 3]]
    assert Zipf(3, 5000).rows.tolist() == [[1.0, 0.0, 0.0]]


@given(pairs(), st.sampled_from(["target", "draft"]))
def test_rows_of_a_pair_are_weighted_by_visits(pair, model):
    law = rows_of_pair(pair, model)
    chain = getattr(pair, model)
    expected: dict = defaultdict(float)
    visits = pair.initial
    for t in range(pair.horizon):
        for x in range(pair.states):
            if visits[x] > 0:
                expected[tuple((chain[t, x] + 0.0).tolist())] += visits[x] / pair.horizon
        visits = visits @ chain[t]
    found = {tuple((row + 0.0).tolist()): weight for row, weight in zip(law.rows, law.weights, strict=True)}
    assert len(found) == len(law.rows) and found.keys() == expected.keys()
    assert all(abs(found[row] - expected[row]) < 1e-12 for row in found)


def test_rows_of_a_stationary_pair_are_at_most_v():
    pair = simlab.pairs.corpus(horizon=50)
    law = rows_of_pair(pair)
    assert len(law.rows) <= pair.states and law.states == pair.states
    made = make_law("pair", generator="corpus", horizon=50)
    assert np.array_equal(law.rows, made.rows) and np.array_equal(law.weights, made.weights)
    assert (law.source, made.source) == ("rows of a target chain", "rows of corpus's target")


@pytest.mark.parametrize("context", [0, 1, 2, 5])
def test_rows_of_a_text_are_its_frequencies(text, context):
    law = make_law("text", path=text, context=context)
    characters = read_text(text)
    circle = characters[len(characters) - context :] + characters if context else characters
    after: dict = defaultdict(Counter)
    for place, character in enumerate(characters):
        after[circle[place : place + context]][character] += 1
    expected: dict = Counter()
    for counts in after.values():
        row = tuple(sorted((number / counts.total() for number in counts.values()), reverse=True))
        expected[row] += counts.total() / len(characters)
    found: dict = Counter()
    for row, weight in zip(law.rows, law.weights, strict=True):
        found[tuple(sorted(row[row > 0].tolist(), reverse=True))] += weight
    assert found.keys() == expected.keys()
    assert all(abs(found[row] - expected[row]) < 1e-12 for row in found)
    assert law.states == len(set(characters))


def test_long_contexts_are_certain_and_too_long_ones_are_refused(monkeypatch, text):
    law = rows_of_text(text, context=60)
    assert (law.rows.max(axis=1) == 1).all() and len(law.rows) == law.states
    monkeypatch.setattr("simlab.laws.counted.MOST_BYTES", 1000)
    with pytest.raises(SimlabError, match="context = 2: the rows would take .* GiB: give a shorter context"):
        rows_of_text(text)
