"""The rule of `decoder=rule`: one of simlab.rules by name, or code that the command line names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from simlab.cli.loading import load_function
from simlab.decoders import RuleSpeculative
from simlab.errors import SimlabError
from simlab.rules import RULES

PARAMETERS = ("epsilon", "delta", "k", "leniency", "replacement")
OPTIONS = ("rule", "window", "bonus", "assumed_draft", *PARAMETERS)


def rule_decoder(options: Mapping, command: Iterable[str]) -> RuleSpeculative:
    """The decoder that decoder.rule and its options ask for.

    command: the words of the command line, for code is loaded only where they name it: a configuration that
    lies in some folder is not to run what it likes. Raises SimlabError for other options and names.
    """
    if unknown := [key for key in options if key not in OPTIONS]:
        raise SimlabError(f"decoder rule has no option {', '.join(unknown)}: known are {', '.join(OPTIONS)}")
    rule = rule_from(options.get("rule"), {key: options.get(key) for key in PARAMETERS}, command)
    return RuleSpeculative(rule, options.get("window"), options.get("bonus"), _assumed(options))


def rule_from(named, parameters: Mapping, command: Iterable[str], setting: str = "decoder.rule") -> Callable:
    """The rule of that name with the parameters that are not None. Raises SimlabError as `rule_decoder`."""
    given = {key: value for key, value in parameters.items() if value is not None}
    if not isinstance(named, str) or not named:
        raise SimlabError(
            f"{setting} = {named!r} is not valid; expected one of {', '.join(RULES)}, or module:function"
        )
    if named in RULES:
        known = [field.name for field in dataclasses.fields(RULES[named])]
        if unknown := [key for key in given if key not in known]:
            raise SimlabError(
                f"rule {named} has no {', '.join(unknown)}: it has {', '.join(known) or 'no parameters'}"
            )
        return RULES[named](**given)
    if ":" not in named:
        raise SimlabError(
            f"no rule {named!r}: known are {', '.join(RULES)}; one of your own is module:function or "
            "file.py:function"
        )
    if not any(named in word for word in command):
        raise SimlabError(
            f"{setting} = {named!r} stands in a configuration: code is loaded only where the command line "
            f"itself names it, {setting}={named}"
        )
    return load_function(named, options=given)


def _assumed(options: Mapping) -> np.ndarray | None:
    path = options.get("assumed_draft")
    if path is None:
        return None
    if not isinstance(path, str) or not path.endswith(".npy"):
        raise SimlabError(
            f"decoder.assumed_draft = {path!r} is not valid; expected a .npy file of rows (T, V, V) or (V, V)"
        )
    try:
        return np.load(os.path.expanduser(path), allow_pickle=False)
    except FileNotFoundError as error:
        raise SimlabError(f"no file {path}: give decoder.assumed_draft=FILE.npy") from error
    except (OSError, ValueError, EOFError) as error:
        raise SimlabError(f"{path} cannot be read: give rows (T, V, V) saved by numpy.save") from error
