"""What the experiment on draft trees is told, and the pairs along the dial of its draft's quality."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

from simlab.checks import check_count, check_number
from simlab.decoders import TreeSpeculative
from simlab.errors import SimlabError
from simlab.experiments.settings import Settings, instance, job, whole
from simlab.pairs import ChainPair
from simlab.runs import Job

MOST_NODES = 256
"""Of a tree that is drawn; of more nothing could be read."""

DIALS = {"corpus": "draft_fraction", "mixture": "blur"}
"""The option of a pair that says how good its draft is."""


@dataclass(frozen=True)
class Options:
    """The experiment's options, checked; see conf/experiment/trees.yaml.

    dial: rising values of the draft's quality: parts of the text for pair=corpus, else blurs.
    """

    capacities: tuple[int, ...]
    simulated: tuple[int, ...]
    nodes: int
    compared: tuple[int, ...]
    dial: tuple[float, ...]


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    fractions = _numbers(settings, "fractions", above=0.0, most=1.0)
    blurs = _numbers(settings, "blurs", least=0.0, most=1.0)
    return Options(
        _counts(settings, "capacities"),
        _counts(settings, "simulated"),
        check_count("experiment.nodes", whole(settings.options.get("nodes")), most=MOST_NODES),
        _counts(settings, "compared"),
        fractions if settings.pair_name == "corpus" else blurs,
    )


def dial_name(settings: Settings) -> str:
    """What the dial turns, as axes have it."""
    names = {
        "corpus": "part of the text that the draft has read",
        "mixture": "blur of the draft",
    }
    return names.get(settings.pair_name, "share of the pair's own draft")


def dial_pair(settings: Settings, value: float) -> ChainPair:
    """The pair with its draft as good as the dial says."""
    if settings.pair_name in DIALS:
        return instance(_turned(settings, value))[0]
    return _blended(instance(settings)[0], value)


def dial_job(settings: Settings, value: float, decoder: TreeSpeculative) -> Job:
    """The job of a decoder on the pair of `dial_pair`."""
    if settings.pair_name in DIALS:
        return job(_turned(settings, value), decoder)
    plain, blended = job(settings, decoder), dial_pair(settings, value)
    if value == 1:
        return plain
    identity = {**plain.task.pair, "blend": value, "digest": blended.digest}
    return Job(dataclasses.replace(plain.task, pair=identity), blended, plain.stop)


def _turned(settings: Settings, value: float) -> Settings:
    options = {**settings.pair_options, DIALS[settings.pair_name]: value}
    return dataclasses.replace(settings, pair_options=options)


@functools.lru_cache(maxsize=16)
def _blended(pair: ChainPair, value: float) -> ChainPair:
    """draft = (1 - value) target + value draft; the pair itself at 1."""
    if value == 1:
        return pair
    if len(pair.draft_rows) == len(pair.target_rows) == 1:
        draft = (1 - value) * pair.target_rows[0] + value * pair.draft_rows[0]
        return ChainPair.stationary(draft, pair.target_rows[0], pair.initial, pair.horizon)
    return ChainPair((1 - value) * pair.target + value * pair.draft, pair.target, pair.initial)


def _counts(settings: Settings, name: str) -> tuple[int, ...]:
    values = _list(settings, name, "whole numbers of at least 1")
    return tuple(sorted({check_count(f"experiment.{name}", whole(value)) for value in values}))


def _numbers(settings: Settings, name: str, **range_) -> tuple[float, ...]:
    values = _list(settings, name, "numbers")
    return tuple(sorted({check_number(f"experiment.{name}", value, **range_) for value in values}))


def _list(settings: Settings, name: str, of: str) -> list:
    values = settings.options.get(name)
    if not isinstance(values, list) or not values:
        raise SimlabError(f"experiment.{name} = {values!r}: give a list of {of}")
    return values
