"""A decoder is one row in each room's table: the rooms where a new one is missing are named, not guessed."""

from __future__ import annotations

import dataclasses
import importlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

import simlab
from simlab import decoders
from simlab.cli import predict as predict_command
from simlab.cli.config.policy import OPTIONS
from simlab.cli.config.rule import OPTIONS as RULE_OPTIONS
from simlab.decoders import ALGORITHMS, DECODERS, algorithm
from simlab.decoding import build_tables
from simlab.decoding.simulate import SAMPLERS
from simlab.errors import SimlabError
from simlab.experiments import study
from simlab.experiments.common import judge
from simlab.reference import REFERENCES
from simlab.theory.dispatch import THEORIES
from simlab.traces.predict import ON_PATHS
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import rational_chains

FACTS = ("drafts_per_call", "is_biased", "has_bonus", "is_finite")
MODULES = {
    "simlab.decoding.simulate.SAMPLERS": (SAMPLERS, ("tables", "bytes_per_row")),
    "simlab.reference.REFERENCES": (REFERENCES, ("decode",)),
    "simlab.theory.dispatch.THEORIES": (
        THEORIES,
        ("predict", "rejections_per_position", "output_chain", "costs_to_go"),
    ),
}
TABLES = {
    "simlab.cli.predict.COLUMNS": predict_command.COLUMNS,
    "experiments.common.judge.JUDGES": judge.JUDGES,
    "experiments.study.KINDS": study.KINDS,
    "simlab.traces.predict.ON_PATHS": ON_PATHS,
}


RULE = simlab.rules.Lenient()


def examples(name):
    """Settings of each algorithm that the decoder of this name can be."""
    if name == "adaptive":
        return [simlab.AdaptiveSpeculative([[1, 1, 1]] * 2)]
    if name == "rule":
        return [simlab.RuleSpeculative(simlab.rules.Typical()), simlab.RuleSpeculative(RULE, window=1)]
    both = [simlab.Speculative(window=1)] if name == "speculative" else []
    return [DECODERS[name](), *both]


def lacking(name) -> list[str]:
    """The rooms that do not know the decoder of this name."""
    found = []
    for decoder in examples(name):
        found += [f"simlab.decoders.settings: {fact}" for fact in FACTS if not hasattr(decoder, fact)]
        try:
            key = algorithm(decoder)
        except SimlabError:
            return [*found, "simlab.decoders.ALGORITHMS"]
        for table, (modules, offers) in MODULES.items():
            module = importlib.import_module(modules[key]) if key in modules else None
            found += [table] if not all(hasattr(module, offered) for offered in offers) else []
        found += [table for table, rows in TABLES.items() if key not in rows]
        try:
            joint_distribution(*rational_chains(2, 3, seed=1), decoder)
        except TypeError:
            found.append("tests.oracles")
    conf = Path(__file__).parent.parent / "conf" / "decoder" / f"{name}.yaml"
    named = {"adaptive": OPTIONS, "rule": RULE_OPTIONS}
    fields = named.get(name) or [field.name for field in dataclasses.fields(DECODERS[name])]
    if not conf.exists() or set(yaml.safe_load(conf.read_text())) != {"name", *fields}:
        found.append(f"conf/decoder/{name}.yaml")
    known = predict_command.USAGE.split("decoder=")[1].split(",")[0].split("|")
    return found + ["simlab predict --help"] * (name not in known)


@pytest.mark.parametrize("name", DECODERS)
def test_every_room_knows_every_decoder(name):
    assert lacking(name) == []


@dataclass(frozen=True)
class Newdraft:
    """A decoder that nobody has written."""

    drafts_per_call: ClassVar[int] = 2
    is_biased: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True


@pytest.fixture
def newdraft(monkeypatch):
    monkeypatch.setitem(DECODERS, "newdraft", Newdraft)
    return Newdraft()


def test_the_rooms_that_lack_a_new_decoder_are_named(newdraft, monkeypatch):
    assert lacking("newdraft") == ["simlab.decoders.settings: has_bonus", "simlab.decoders.ALGORITHMS"]
    monkeypatch.setitem(ALGORITHMS, Newdraft, "newdraft")
    monkeypatch.setitem(REFERENCES, "newdraft", REFERENCES["batch"])
    monkeypatch.setitem(THEORIES, "newdraft", REFERENCES["batch"])  # of the wrong room
    assert lacking("newdraft") == [
        "simlab.decoders.settings: has_bonus",
        "simlab.decoding.simulate.SAMPLERS",
        "simlab.theory.dispatch.THEORIES",
        *TABLES,
        "tests.oracles",
        "conf/decoder/newdraft.yaml",
        "simlab predict --help",
    ]


@dataclass(frozen=True)
class Oddwindow(Newdraft):
    """One with windows, set by a rule that no room has."""

    window: int = 2
    has_bonus: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("decoder", "key", "told"),
    [(Newdraft(), "newdraft", r"Newdraft\(\)"), (Oddwindow(), "windows", r"Oddwindow\(window=2\)")],
)
def test_a_room_without_a_decoder_refuses_it_in_one_line(decoder, key, told, monkeypatch):
    pair = simlab.pairs.paper(2)
    monkeypatch.setitem(DECODERS, "new", type(decoder))
    asked = {
        "reference": lambda: simlab.reference.simulate(pair, decoder, 1, random.Random(0)),
        "sampler": lambda: build_tables(pair, decoder),
        "theory": lambda: simlab.predict(pair, decoder),
        "prediction from a trace": lambda: simlab.predict(simlab.Trace([0], [1.0], [1.0]), decoder),
    }
    for ask in asked.values():
        with pytest.raises(SimlabError, match=rf"^no algorithm for {told}$"):
            ask()
    monkeypatch.setitem(ALGORITHMS, type(decoder), key)
    for what, ask in asked.items():
        with pytest.raises(SimlabError, match=rf"^no {what} for {told}$"):
            ask()


def test_facts_are_those_of_the_settings():
    assert simlab.BatchSpeculative(3).drafts_per_call == 3 and simlab.Autoregressive().drafts_per_call == 0
    assert not simlab.BatchSpeculative(float("inf")).is_finite
    assert simlab.Speculative(4, bonus=True).has_bonus and not simlab.Speculative(4).has_bonus
    biased = [simlab.BiasedSpeculative(*options) for options in ((0.1,), (0.0,), (0.0, "draft"))]
    assert [decoder.is_biased for decoder in biased] == [True, False, True]
    assert {algorithm(example) for name in DECODERS for example in examples(name)} == set(THEORIES)
    assert decoders.longest_window(simlab.AdaptiveSpeculative([[1, 3, 0]] * 5), 5) == 3
