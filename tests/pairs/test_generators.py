"""Generators: the published instance, the dials, and what each refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import progress
from simlab.errors import SimlabError
from simlab.pairs import (
    GENERATORS,
    dirichlet,
    generators,
    make_pair,
    mixture,
    pair_identity,
    paper,
    softmax,
)


def test_paper_is_the_plain_recipe():
    random = np.random.RandomState(10)
    draft, target = random.rand(50, 7, 7), random.rand(50, 7, 7)
    pair = paper()
    np.testing.assert_array_equal(pair.draft, draft / draft.sum(-1, keepdims=True))
    np.testing.assert_array_equal(pair.target, target / target.sum(-1, keepdims=True))
    np.testing.assert_array_equal(pair.initial, np.full(7, 1 / 7))


@pytest.mark.parametrize("make", [paper, dirichlet, softmax, mixture])
def test_a_pair_drawn_in_blocks_is_the_same_and_says_how_far_it_is(make, monkeypatch):
    whole = make(horizon=3, states=5)
    monkeypatch.setattr(generators, "_BLOCK", 10)  # two of the fifteen rows at a time
    monkeypatch.setattr(progress, "EVERY", 0.0)
    steps = []
    with progress.listening(steps.append):
        assert make(horizon=3, states=5).digest == whole.digest
    assert steps.count(None) == 2 and len(steps) == 2 * 8 + 2
    assert all(step is None or step.what.startswith("drawing the ") for step in steps)


@given(st.floats(0, 1), st.booleans())
def test_the_blur_is_the_distance(blur, stationary):
    far, near = mixture(3, 4, blur=1.0, stationary=stationary), mixture(3, 4, blur, stationary=stationary)
    np.testing.assert_array_equal(far.target, near.target)
    distance = 0.5 * np.abs(far.draft - far.target).sum(-1)
    np.testing.assert_allclose(0.5 * np.abs(near.draft - near.target).sum(-1), blur * distance, atol=1e-14)


def test_without_noise_and_at_one_temperature_softmax_models_agree():
    pair = softmax(2, 5, draft_noise=0.0)
    np.testing.assert_array_equal(pair.draft, pair.target)
    cold = softmax(2, 5, draft_noise=0.0, draft_temperature=1e-3)
    np.testing.assert_array_equal(cold.draft.argmax(-1), cold.target.argmax(-1))
    assert cold.draft.max(-1).min() > 0.99


def test_a_concentrated_law_is_nearly_uniform():
    pair = dirichlet(2, 5, draft_concentration=1e6)
    np.testing.assert_allclose(pair.draft, 0.2, atol=0.01)
    assert pair.target.std() > 0.1


def test_memoryless_pairs_ignore_the_last_token():
    pair = make_pair("bernoulli", draft=0.75, target=0.5, horizon=3)
    np.testing.assert_array_equal(pair.draft, np.full((3, 2, 2), [0.25, 0.75]))
    np.testing.assert_array_equal(pair.target, np.full((3, 2, 2), [0.5, 0.5]))
    pair = make_pair("uniform", states=4, target_states=2)
    np.testing.assert_array_equal(pair.draft, np.full((1, 4, 4), 0.25))
    np.testing.assert_array_equal(pair.target, np.full((1, 4, 4), [0.5, 0.5, 0, 0]))
    assert len(make_pair("uniform", horizon=9).draft_rows) == 1
    assert make_pair("bernoulli", draft=1, target=0).draft.tolist() == [[[0, 1], [0, 1]]]
    assert make_pair("uniform", states=1, target_states=1).target.tolist() == [[[1]]]


@pytest.mark.parametrize("name", ["paper", "dirichlet", "softmax", "mixture"])
def test_a_seed_means_one_instance_and_one_state_is_legal(name):
    make = GENERATORS[name]
    assert make(horizon=2, states=3, seed=5).digest == make(horizon=2, states=3, seed=5).digest
    assert make(horizon=2, states=3, seed=5).digest != make(horizon=2, states=3, seed=6).digest
    np.testing.assert_array_equal(make(horizon=1, states=1, seed=0).draft, [[[1.0]]])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("paper", {"horizon": 0}, "horizon = 0"),
        ("paper", {"horizon": 2.0}, "whole number"),
        ("paper", {"states": True}, "states = True"),
        ("paper", {"seed": -1}, "seed = -1"),
        ("paper", {"seed": 2**32}, "at most 4294967295"),
        (
            "dirichlet",
            {"draft_concentration": 0},
            "draft_concentration = 0 is not valid; expected a finite number > 0",
        ),
        ("dirichlet", {"target_concentration": 1e-9}, "too small"),
        ("dirichlet", {"draft_concentration": 1e308}, "too large"),
        ("bernoulli", {"draft": 1.5}, "draft = 1.5 is not valid; expected a finite number >= 0 and <= 1"),
        ("bernoulli", {"target": True}, "target = True"),
        ("bernoulli", {"horizon": 0}, "horizon = 0"),
        (
            "uniform",
            {"states": 3, "target_states": 4},
            "target_states = 4 is not valid; expected a whole number of at most 3",
        ),
        ("uniform", {"target_states": 0}, "target_states = 0"),
        ("uniform", {"states": 2.5}, "states = 2.5"),
        ("file", {"path": 5}, "path = 5 is not valid; expected a path, as text"),
        ("corpus", {"path": True}, "path = True is not valid; expected a path, as text"),
        ("softmax", {"draft_temperature": float("nan")}, "draft_temperature"),
        ("softmax", {"logit_scale": -1}, "logit_scale"),
        ("mixture", {"blur": 1.5}, "blur = 1.5 is not valid; expected a finite number >= 0 and <= 1"),
        ("mixture", {"blur": "x"}, "blur"),
        ("mixture", {"stationary": 1}, "expected true or false"),
        ("file", {"path": None}, "needs pair.path"),
        ("paper", {"sates": 3}, "no option 'sates': known are horizon, states, seed"),
        ("papr", {}, "no pair 'papr': known are paper"),
    ],
)
def test_names_the_option_and_the_mend(name, options, words):
    with pytest.raises(SimlabError, match=words):
        make_pair(name, **options)


def test_an_identity_spells_out_every_option_and_the_content_of_files(tmp_path):
    pair = paper()
    spelled = {"generator": "paper", "horizon": 50, "states": 7, "seed": 10, "digest": pair.digest}
    assert pair_identity(pair, "paper") == spelled
    assert pair_identity(paper(seed=3), "paper", seed=3)["seed"] == 3
    here, there = tmp_path / "a.npz", tmp_path / "b.npz"
    paper(2, 3).save(here), paper(2, 3).save(there)

    def identity(path):
        return pair_identity(make_pair("file", path=str(path)), "file", path=str(path))

    assert identity(here) == identity(there) and "path" not in identity(here)
    paper(2, 3, seed=11).save(there)
    assert identity(here) != identity(there)
