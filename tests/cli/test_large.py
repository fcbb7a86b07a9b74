"""Instances that do not fit into memory: refused in one line before anything is built, with what to lower."""

from __future__ import annotations

import functools

import pytest

from simlab.cli.main import main
from simlab.pairs import catalogue

pytestmark = pytest.mark.commands

GIB = 2**30


def never(*_, **__):
    raise AssertionError("a pair was built")


@pytest.fixture
def refused(monkeypatch, tmp_path, capsys):
    """Runs a command where so much memory is available and no pair can be made; its one line."""

    def run(words: str, available: float) -> str:
        monkeypatch.setattr("simlab.memory.available_memory", lambda: available)
        for name, generator in list(catalogue.GENERATORS.items()):
            monkeypatch.setitem(
                catalogue.GENERATORS, name, functools.wraps(generator)(lambda *_, **__: never())
            )
        monkeypatch.chdir(tmp_path)
        assert main(words.split()) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1, err
        return err

    return run


CASES = {
    "run pair=dirichlet pair.states=4000 run.workers=8 trajectories=1e8": 23,
    "run pair=paper pair.states=4000 run=serial": 23,
    "run pair=dirichlet pair.states=50000 pair.stationary=true": 130,
    "run pair=dirichlet pair.states=2000 run=dask run.workers=4": 7,
    "run pair=paper pair.states=1500 pair.seed=1,2,3,4,5,6": 12,
    "run pair=paper pair.states=700 decoder=biased,speculative": 1,
    "verify pair=paper pair.states=4000": 23,
    "predict pair=dirichlet pair.states=50000 pair.stationary=true": 38,
    "predict pair=paper pair.states=1000 decoder=block": 3,
    "predict pair=mixture pair.states=1000 pair.horizon=100": 2.9,
    "plan pair=softmax pair.states=1000": 1.6,
    "show pair=paper pair.states=9000": 20,
}


@pytest.mark.parametrize("words", CASES)
def test_a_command_says_what_it_would_take_and_what_to_lower(refused, words):
    line = refused(words, CASES[words] * GIB)
    assert "this takes" in line and "GiB available; expected pair.states=" in line
    assert ("pair.horizon" in line) == ("stationary=true" not in words)


def test_the_states_that_are_proposed_fit(refused):
    line = refused("run pair=paper pair.states=4000", 23 * GIB)
    assert "expected pair.states=3400 instead of 4000 or a pair.horizon below 50" in line
    with pytest.raises(AssertionError, match="a pair was built"):
        refused("run pair=paper pair.states=3400", 23 * GIB)


def test_a_grid_of_large_pairs_may_have_fewer_points(refused):
    assert "or fewer points of the grid at once" in refused("run pair=paper pair.states=1500,1600", 3 * GIB)


def test_what_fits_is_told_and_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 16 * GIB)
    monkeypatch.setattr("simlab.cli.memory.WORTH_TELLING", 2**20)
    monkeypatch.setattr("simlab.cli.memory.IGNORED", 2**20)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "pair=uniform", "pair.states=300"]) == 0
    out, err = capsys.readouterr()
    assert "E[N_rej]" in out
    assert err.startswith("simlab: this takes up to 0.0 GiB of memory (") and "16.0 GiB available" in err


def test_a_small_instance_is_not_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 0)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "pair=paper", "pair.horizon=4"]) == 0
    assert capsys.readouterr().err == ""
