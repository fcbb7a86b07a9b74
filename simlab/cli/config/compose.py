"""From words on the command line to composed configurations, one a grid point.

Hydra composes; simlab sweeps: `decoder.drafts=1,2,4` without --multirun, and `grid:` in a config, are
expanded here into points of one study. Every mistake leaves as one line (SimlabError).
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import resources

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from simlab.errors import SimlabError

CONFIG_MODULE = "simlab.conf"
GROUPS = ("pair", "decoder", "run", "tier", "experiment")
LISTED = (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
"""Sweeps with values of their own: key=1,2 and choice(1,2), range(1,3)."""
MOST_VALUES = 100_000
"""Of one setting in a grid."""
NUMBERLESS = (
    "output",
    "figures",
    "run",
    "hydra",
    "reproduce",
    "shard",
)  # settings that change where and how, never what comes out


def compose_points(overrides: Iterable[str]) -> list[dict]:
    """The composed configuration of every grid point, as plain dicts, in the order of the grid.

    A grid is what the command line sweeps (key=1,2) times what the config's `grid` says; a key on the
    command line replaces the grid's. `command` in each says which words made it, but for those that change
    no number. Raises SimlabError, one line, for anything Hydra refuses.
    """
    words = list(overrides)
    with _hydra():
        fixed, axes = _split(words)
        composed = functools.cache(_compose)  # most points of a grid have the same groups
        base = composed((*fixed, *(axis[0] for axis in axes if _is_group(axis[0]))))
        given = {_key(word) for word in fixed} | {_key(axis[0]) for axis in axes}
        for key, values in _grid(base).items():
            if key not in given:
                values = values if OmegaConf.is_list(values) else [values]
                if not values:
                    raise SimlabError(f"grid = {{{key}: []}} has no values; expected e.g. {{{key}: [1, 2]}}")
                axes.append([f"{key}={_word(value)}" for value in values])
        command = telling(words)
        return [{**_point(composed, fixed, point), "command": command} for point in itertools.product(*axes)]


def _grid(config: DictConfig) -> DictConfig | dict:
    try:
        grid = config.get("grid")
    except OmegaConfBaseException as error:
        raise SimlabError(_one_line(error)) from error
    if grid is None:
        return {}
    if not OmegaConf.is_dict(grid):
        raise SimlabError(
            f"grid = {grid!r} is not a grid; expected lists of values by setting, "
            "e.g. 'grid={decoder.window: [1, 2, 4]}'"
        )
    return grid


def taken_out(words: Iterable[str], keys: Iterable[str]) -> tuple[dict[str, list], list[str]]:
    """What a command has besides the configuration: the values of these keys, and the other words.

    Each value as Hydra reads it, in a list: several where the word sweeps (key=1,2). Raises SimlabError for a
    word that cannot be read, or a key given twice.
    """
    keys, values, others = tuple(keys), {}, []
    for word in words:
        override = _parse(word)
        key = override.get_key_element().lstrip("+~")
        if key not in keys:
            others.append(word)
        elif override.is_delete():
            raise SimlabError(f"{word}: leave {key} out instead")
        elif key in values:
            raise SimlabError(f"{key} is given twice: give it once, with a list of values for several")
        else:
            values[key] = _swept(word, override) if override.is_sweep_override() else [override.value()]
    return values, others


def telling(words: Iterable[str]) -> list[str]:
    """The overrides that say what comes out, without those that say where and how."""
    return [word for word in words if _root(word) not in NUMBERLESS]


def together(overrides: Iterable[str]) -> tuple[list[list[str]], bool]:
    """(the words of each table of a --multirun, whether its jobs were shards).

    A table has all points of one experiment in one output. Raises SimlabError for a word that cannot be read,
    or sweeps over what only Hydra lists.
    """
    common: list[str] = []
    axes: list[list[str]] = []
    sharded = False
    for word in overrides:
        override, root = _parse(word), _root(word)
        sharded |= root == "shard"
        if root in ("hydra", "shard"):
            continue
        if not override.is_sweep_override() or (root not in NUMBERLESS and _key(word) != "experiment"):
            common.append(word)
            continue
        values = [f"{override.get_key_element()}={value}" for value in _swept(word, override, text=True)]
        axes.append(values if root in ("output", "experiment") else values[:1])
    return [[*common, *chosen] for chosen in itertools.product(*axes)], sharded


def swept_values(word: str) -> tuple[str, ...]:
    """The values of a word that sweeps (key=1,2 or key=range(1,9)), as text; none of another word."""
    override = _parse(word)
    return tuple(map(str, _swept(word, override, text=True))) if override.is_sweep_override() else ()


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra with our configs, unless a Hydra run (with the user's own search path) is under way."""
    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="simlab"):
        yield


@contextmanager
def one_line_errors(words: list[str]) -> Iterator[None]:
    """Turn what Hydra raises into SimlabError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise SimlabError(_explain(error, words)) from error


def hydra_application(words: list[str], job: Callable[[DictConfig], None]) -> None:
    """Run `job` under Hydra's own command line with the given words, its errors raised as they are."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = ["simlab run", *words]
    flags = hydra_flags(words)
    if flags.multirun:
        _check_launcher(flags.overrides)
    hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name="config")(job)()


def hydra_flags(words: list[str]) -> argparse.Namespace:
    """The flags as Hydra's parser reads them. Raises SimlabError for any it would answer with its usage."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str):
        mend = "simlab run --help and --hydra-help list the flags"
        if message.startswith("unrecognized arguments") and not message.partition(": ")[2].startswith("-"):
            # settings on both sides of a flag
            mend = "give flags such as --multirun first, before all settings"
        raise SimlabError(f"{' '.join(message.split())}: {mend}")

    parser.error = refuse
    flags = parser.parse_args(words)
    unknown = [word for word in flags.overrides if word.startswith("-")]
    if unknown:
        refuse(f"no option {unknown[0]}")
    return flags


def _check_launcher(words: list[str]) -> None:
    """Raise SimlabError for submitit's SLURM launcher where SLURM's commands are not."""
    if not any(word.lstrip("+") == "hydra/launcher=submitit_slurm" for word in words):
        return
    if absent := [command for command in ("sbatch", "srun") if shutil.which(command) is None]:
        raise SimlabError(
            f"hydra/launcher=submitit_slurm: no {' and no '.join(absent)} on the PATH; run it where SLURM's "
            "commands are, or use hydra/launcher=submitit_local or joblib"
        )


def _split(words: list[str]) -> tuple[list[str], list[list[str]]]:
    """Overrides with one value, and for each that sweeps the list of its single overrides."""
    fixed: list[str] = []
    axes: list[list[str]] = []
    for word in words:
        override = _parse(word)
        if not override.is_sweep_override():
            fixed.append(word)
            continue
        key = override.get_key_element()
        if _root(word) in NUMBERLESS:
            mend = "give a list in brackets" if key == "figures" else "use --multirun for several"
            raise SimlabError(f"{word}: a grid takes one {key}; {mend}")
        axes.append([f"{key}={value}" for value in _swept(word, override, text=True)])
    keys = [_key(word) for word in words if not word.startswith("~")]
    for key in keys:
        if keys.count(key) > 1:
            raise SimlabError(f"{key} is given twice: give it once, with a list of values for a grid")
    return fixed, axes


def _point(
    composed: Callable[[tuple[str, ...]], DictConfig], fixed: list[str], words: tuple[str, ...]
) -> dict:
    config = copy.deepcopy(composed((*fixed, *(word for word in words if _is_group(word)))))
    for word in words:
        if not _is_group(word):
            key = _key(word)
            try:
                OmegaConf.update(config, key, _parse(word).value(), force_add=False)
            except OmegaConfBaseException as error:
                raise SimlabError(_unknown_key(config, key)) from error
    try:
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise SimlabError(_one_line(error)) from error


def _compose(words: tuple[str, ...]) -> DictConfig:
    with one_line_errors(list(words)):
        try:
            return compose("config", overrides=list(words))
        except ValueError as error:  # Hydra's word for a group that is null
            raise SimlabError(_one_line(error)) from error


def _explain(error: Exception, words: list[str]) -> str:
    """One line for what Hydra says in many."""
    text = str(error)
    group = re.search(r"Could not find '([\w/]+)/([^'/]*)'", text)
    if group:
        known = re.findall(r"^\t(\S+)$", text, re.M)
        return f"no {group[1]} {group[2]!r}: known are {', '.join(known)}"
    key = re.search(r"Could not (?:override|append to config|delete from config)\.?.*?'([^']+)'", text)
    if key and "No match in the defaults list" in text:
        return f"no group {key[1]!r}: known are {', '.join(GROUPS)}"
    if key:
        with _hydra():
            kept = [word for word in words if _is_group(word) and not _parse(word).is_sweep_override()]
            return _unknown_key(compose("config", overrides=kept), key[1])
    if text.startswith("Error merging override") and error.__cause__:
        reason = str(error.__cause__).partition("\n")[0]
        return f"{_one_line(error)}: {reason}"
    return _one_line(error)


def _unknown_key(config: DictConfig, key: str) -> str:
    parent, _, _ = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not OmegaConf.is_dict(node):
        return f"no setting {key}: the configuration has no {parent or key}"
    name = node.get("name")
    held = [str(known) for known in node if known not in ("name", "hydra")]
    held.sort(key=lambda known: OmegaConf.is_dict(node.get(known)))  # sections last
    where = f"{parent} {name}" if name else parent
    line = f"no setting {key}: {where or 'the configuration'} has {', '.join(held) or 'none'}"
    if parent in GROUPS:
        option = key.removeprefix(parent + ".")
        others = [
            other
            for other in GlobalHydra.instance().config_loader().get_group_options(parent)
            if option in _options(parent, other)
        ]
        if others:
            line += f" (it is a setting of {' and '.join(f'{parent}={other}' for other in others)})"
        if option in (node.get("processing") or {}):
            line += f"; of every pair there is pair.processing.{option}"
    return line


def _options(group: str, name: str) -> DictConfig:
    """What a file of a group sets, without what composing it costs."""
    file = resources.files(CONFIG_MODULE) / group / f"{name}.yaml"
    return OmegaConf.create(file.read_text(encoding="utf-8"))


def _parse(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        key, equals, value = word.partition("=")
        mend = f"quote the value, \"{key}='{value}'\"" if equals and value else "give key=value"
        raise SimlabError(f"cannot read {word!r}: {mend} ({_one_line(error)})") from error


def _swept(word: str, override: Override, text: bool = False) -> list:
    """The values of a word that sweeps; text: as words have them. Raises SimlabError where it has none, or
    more than a grid has room for.
    """
    if override.value_type not in LISTED:
        raise SimlabError(f"{word}: a grid takes listed values, 1,2,4, or range(1,5)")
    iterator = override.sweep_string_iterator if text else override.sweep_iterator
    with one_line_errors([word]):
        try:
            values = list(itertools.islice(iterator(), MOST_VALUES + 1))
        except (ValueError, ArithmeticError) as error:  # a step of 0, an end that is nan
            raise SimlabError(f"{word} cannot be listed; expected e.g. range(1,5) or range(1,9,2)") from error
    if not values:
        raise SimlabError(f"{word} has no values; range(1,5) is 1, 2, 3, 4")
    if len(values) > MOST_VALUES:
        raise SimlabError(
            f"{word} has more than {MOST_VALUES:,} values; give a larger step, range(1,1000,10)"
        )
    return values


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _root(word: str) -> str:
    return _key(word).partition(".")[0].partition("/")[0]


def _is_group(word: str) -> bool:
    return _key(word) in GROUPS


def _word(value) -> str:
    """A config's value as the command line would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
