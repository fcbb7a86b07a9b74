"""The size of a pair before it is built, against the pair, and against what building it took."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.pairs import make_pair
from simlab.pairs.size import PairSize, pair_size

SMALL = {
    "paper": {"states": 4, "horizon": 3},
    "dirichlet": {"states": 5, "horizon": 2},
    "softmax": {"states": 5, "horizon": 2, "stationary": True},
    "mixture": {"states": 3, "horizon": 2, "processing.top_k": 2},
    "bernoulli": {"horizon": 9},
    "uniform": {"states": 6, "target_states": 2, "horizon": 4},
}


@pytest.mark.parametrize("name", SMALL)
def test_it_is_that_of_the_pair(name):
    size, pair = pair_size(name, SMALL[name]), make_pair(name, **SMALL[name])
    known = PairSize.of(pair)
    assert (size.states, size.horizon, size.steps) == (known.states, known.horizon, known.steps)
    assert size.nbytes == known.nbytes == pair.nbytes <= size.building
    assert known.building == 0


@pytest.mark.parametrize("saved", [np.savez, np.savez_compressed])
def test_of_a_file_only_the_header_is_read(tmp_path, saved):
    pair = make_pair("paper", states=3, horizon=4)
    path = tmp_path / "pair.npz"
    target = pair.target[:1]
    saved(path, draft=pair.draft.astype(np.float32), target=target, initial=pair.initial, horizon=4)
    size = pair_size("file", {"path": str(path)})
    assert (size.states, size.horizon, size.steps, size.nbytes) == (3, 4, 4, 8 * 9 * 5)


def test_a_text_with_a_large_vocabulary_has_no_more_tokens_than_characters():
    assert pair_size("corpus", {"max_states": 256}).states == 256
    assert pair_size("corpus", {"max_states": 10**6}).states == make_pair("corpus", max_states=10**6).states


@pytest.mark.parametrize(
    "name, options",
    [
        ("paper", {"states": 0}),
        ("paper", {"states": "many"}),
        ("paper", {"states": True}),
        ("paper", {"horizon": 1.5}),
        ("nonsense", {}),
        ("file", {"path": None}),
        ("file", {"path": "/nowhere.npz"}),
    ],
)
def test_of_settings_that_are_refused_nothing_is_known(name, options):
    assert pair_size(name, options) is None


@pytest.mark.parametrize(
    "name, options",
    [("paper", {}), ("dirichlet", {}), ("softmax", {}), ("mixture", {}), ("mixture", {"stationary": True})],
)
def test_building_takes_what_was_said(name, options):
    options = options | {"states": 60 if not options else 300, "horizon": 25}
    make_pair(name, states=3, horizon=2)
    tracemalloc.start()
    try:
        make_pair(name, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.8 * peak < pair_size(name, options).building < 1.1 * peak


@pytest.mark.parametrize("name", ["paper", "dirichlet", "softmax", "mixture", "uniform"])
def test_a_pair_that_does_not_fit_is_refused_before_anything_is_built(name, monkeypatch):
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 2**30)
    with pytest.raises(SimlabError, match=rf"pair {name} takes .* more than there is \(1.0 GiB available\)"):
        make_pair(name, states=100_000, horizon=1)
