"""Decoders by name, and the key under which each room keeps its part of one.

A room has one table, algorithm -> module, e.g. `simlab.reference.REFERENCES`. A decoder that a table lacks
is an error there, never another algorithm: `tests/test_decoders.py` names the rooms where one is missing.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from collections.abc import Mapping
from itertools import groupby
from types import ModuleType

from simlab.checks import shortened
from simlab.decoders.memory import EmaSpeculative, HistorySpeculative, LadderSpeculative, StreakSpeculative
from simlab.decoders.multi_draft import MultiDraftSpeculative
from simlab.decoders.rule import RuleSpeculative
from simlab.decoders.rule_tables import RuleTables
from simlab.decoders.settings import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
)
from simlab.errors import SimlabError

DECODERS: dict[str, type] = {
    "autoregressive": Autoregressive,
    "speculative": Speculative,
    "batch": BatchSpeculative,
    "biased": BiasedSpeculative,
    "tree": TreeSpeculative,
    "block": BlockSpeculative,
    "adaptive": AdaptiveSpeculative,
    "confidence": ConfidenceSpeculative,
    "history": HistorySpeculative,
    "streak": StreakSpeculative,
    "ema": EmaSpeculative,
    "ladder": LadderSpeculative,
    "rule": RuleSpeculative,
    "multidraft": MultiDraftSpeculative,
}
"""By the name in configs and tables."""

ALGORITHMS: dict[type, str] = {
    Autoregressive: "autoregressive",
    Speculative: "windows",  # but for the default settings, "horizon"
    BatchSpeculative: "batch",
    BiasedSpeculative: "biased",
    TreeSpeculative: "tree",
    BlockSpeculative: "block",
    AdaptiveSpeculative: "windows",
    ConfidenceSpeculative: "windows",
    HistorySpeculative: "memory",
    StreakSpeculative: "memory",
    EmaSpeculative: "memory",
    LadderSpeculative: "memory",
    RuleSpeculative: "rule windows",  # but to the horizon without a bonus token, "rule"
    MultiDraftSpeculative: "multidraft",
}
"""By the class of the settings. Several classes may be settings of one algorithm."""


def decoder_name(decoder: Decoder) -> str:
    """The name of a decoder in configs and tables. Raises SimlabError if it is not a decoder."""
    for name, settings in DECODERS.items():
        if type(decoder) is settings:
            return name
    known = ", ".join(f"{settings.__name__}()" for settings in DECODERS.values())
    raise SimlabError(f"{shortened(decoder)} is not a decoder; expected one of {known}")


def algorithm(decoder: Decoder) -> str:
    """The key under which every room keeps its part of a decoder.

    `Speculative` is two algorithms: drafting to the horizon without a bonus token is "horizon", all else
    "windows"; so is `RuleSpeculative`, "rule" and "rule windows". Raises SimlabError if it is not a decoder,
    or has no row in `ALGORITHMS`.
    """
    decoder_name(decoder)
    if isinstance(decoder, RuleSpeculative) and decoder.window is None and not decoder.bonus:
        return "rule"
    return "horizon" if is_plain(decoder) else entry_for(decoder, ALGORITHMS, "algorithm", type(decoder))


def entry_for(decoder: Decoder, table: Mapping, what: str, key=None):
    """The entry of a room's table for a decoder, by its algorithm unless a key is given.

    Raises SimlabError, "no reference for Multidraft()", where the table has none; what: "reference".
    """
    key = algorithm(decoder) if key is None else key
    if key not in table:
        raise SimlabError(f"no {what} for {shortened(decoder)}")
    return table[key]


def module_for(decoder: Decoder, table: Mapping[str, str], what: str) -> ModuleType:
    """The module that a room's table names for a decoder, imported now. Raises SimlabError as `entry_for`."""
    return importlib.import_module(entry_for(decoder, table, what))


def check_finite(decoder: Decoder) -> None:
    """Raises SimlabError if it is not a decoder, or an exact limit that cannot be simulated."""
    options = decoder_options(decoder)
    if not decoder.is_finite:
        name = ", ".join(key for key, value in options.items() if value == math.inf)
        raise SimlabError(f"{name} = inf: the exact limit is for predict; simulate takes a finite number")


def is_plain(decoder: Decoder) -> bool:
    """Whether it is speculative decoding as Yin et al. have it: to the horizon, without a bonus token."""
    return decoder == Speculative()


def decoder_options(decoder: Decoder) -> dict:
    """The decoder's settings as plain values, as tables show them and tasks are named by them.

    Speculative decoding to the horizon without a bonus token has none: its tasks had their ids before it had
    options. A policy is given by its digest, a rule by its name (`task_options` knows its tables). Raises
    SimlabError if it is not a decoder.
    """
    decoder_name(decoder)
    if is_plain(decoder):
        return {}
    if isinstance(decoder, AdaptiveSpeculative):
        return {"policy": decoder.policy.digest, "bonus": decoder.policy.bonus}
    if isinstance(decoder, RuleSpeculative):
        return {**decoder.options, "window": decoder.window, "bonus": decoder.bonus}
    options = dataclasses.asdict(decoder)
    if options.get("signal") == "confidence":
        del options["signal"]  # its tasks had their ids before there were other signals
    return options


def task_options(decoder: Decoder) -> dict:
    """What names a task of the decoder: its options, but of a rule the digest of its tables on the pair.

    So two functions with the same answers are one task, and a changed one is another. Raises SimlabError for
    a rule that has met no pair, and as `decoder_options` does.
    """
    if isinstance(decoder, BlockSpeculative):
        return {**decoder_options(decoder), "sampler": 2}  # the first one drew other numbers
    if not isinstance(decoder, RuleSpeculative):
        return decoder_options(decoder)
    if not isinstance(decoder.rule, RuleTables):
        raise SimlabError(
            f"a task of rule {decoder.name} is named by its tables: give decoder.on(pair), as a Job does"
        )
    return {"rule": decoder.rule.digest, "window": decoder.window, "bonus": decoder.bonus}


def decoder_label(decoder: Decoder) -> str:
    """The decoder with its options, as tables show it: "speculative (window=4, bonus)"."""
    options = spelled_options(decoder_options(decoder))
    return decoder_name(decoder) + f" ({options})" * bool(options)


def shown_options(options: Mapping) -> dict:
    """Options as a reader should see them: a policy, and a rule's tables, by the first digits of its
    digest, several numbers as the command line takes them, a long row of equal ones by how many they are."""
    return {key: _shown(key, value) for key, value in options.items()}


def _shown(key: str, value):
    if isinstance(value, tuple):
        return _row(value)
    digest = key == "policy" or (key == "rule" and re.fullmatch("[0-9a-f]{64}", value))
    return value[:8] if digest else value


def table_options(decoder: Decoder) -> dict:
    """`decoder_options` for the cells of tables: several numbers as the command line has them, "[4,2,1]"."""
    options = decoder_options(decoder)
    return {
        key: f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else value
        for key, value in options.items()
    }


def _row(values: tuple) -> str:
    runs = [(value, len(list(run))) for value, run in groupby(values)]
    told = [f"{value}x{times}" if times > 3 else ",".join([str(value)] * times) for value, times in runs]
    return f"[{','.join(told)}]"


def spelled_options(options: Mapping) -> str:
    """Options as tables show them: "window=4, bonus"."""
    shown = shown_options(options)
    spelled = [
        key if value is True else f"{key}={value}" for key, value in shown.items() if value is not False
    ]
    return ", ".join(spelled)
