"""The edge: composed configurations become the frozen settings that the other rooms take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from simlab.checks import as_integer, check_count, check_number
from simlab.cli.config.compose import swept_values
from simlab.cli.config.policy import policy_from
from simlab.cli.config.rule import rule_decoder
from simlab.cost import CostModel, read_times
from simlab.decoders import DECODERS, AdaptiveSpeculative, Decoder, RuleSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Judging
from simlab.pairs import ChainPair
from simlab.pairs.processing import processing_settings
from simlab.report.save import FORMATS, FURTHER

LARGEST = 2**62  # what tables on disk hold as a whole number, with room to add
LARGEST_BATCH = 2**31
INFINITE = ("inf", ".inf", "infinity")


def decoder_from(config: dict, pair: Callable[[], ChainPair]) -> Decoder:
    """The decoder of a composed configuration. Raises SimlabError for unknown names or options.

    pair: makes the pair that it decodes, asked only where the decoder depends on it, as the optimal policy
    of adaptive decoding does, and on the cost.
    """
    options = dict(_section(config, "decoder"))
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in DECODERS:
        raise SimlabError(f"no decoder {name!r}: known are {', '.join(DECODERS)}")
    options = {key: as_integer(value) for key, value in options.items()}
    if DECODERS[name] is AdaptiveSpeculative:
        return AdaptiveSpeculative(policy_from(options, pair, cost_from(config)))
    if DECODERS[name] is RuleSpeculative:
        return rule_decoder(options, config.get("command", ()))
    options = {key: _infinite(value) for key, value in options.items()}
    try:
        return DECODERS[name](**options)
    except TypeError as error:
        known = ", ".join(DECODERS[name].__dataclass_fields__) or "none"
        raise SimlabError(f"decoder {name} has no option {', '.join(options)}: known are {known}") from error


def cost_from(config: dict) -> CostModel:
    """The cost model of a composed configuration, its files read. Raises SimlabError for any other cost."""
    options = config.get("cost")
    if not isinstance(options, dict):
        raise SimlabError(f"cost = {options!r} is not valid; expected cost.draft and cost.target")
    known = [field.name for field in dataclasses.fields(CostModel) if field.name != "concurrency"]
    if unknown := [key for key in options if key not in known]:
        raise SimlabError(f"no setting cost.{unknown[0]}: cost has {', '.join(known)}")
    costs = {key: time_from(f"cost.{key}", value) for key, value in options.items()}
    return CostModel(**costs, concurrency=as_integer(config.get("concurrency", 1)))


def time_from(name: str, value):
    """A cost as `CostModel` takes it: the table of a file where the value is a path, else as it is."""
    if not isinstance(value, str):
        return value
    if name not in ("cost.draft", "cost.target"):
        raise SimlabError(f"{name} = {value!r} is not valid; expected a finite number >= 0")
    return read_times(file_from(name, value), name)


def confidence_from(config: dict) -> float:
    """The confidence of intervals of a composed configuration; SimlabError outside (0, 1)."""
    confidence = check_number("confidence", config["confidence"], above=0.0)
    if confidence >= 1:
        raise SimlabError(f"confidence = {confidence:g} is not valid; expected a number below 1, e.g. 0.95")
    return confidence


def pair_from(config: dict) -> tuple[str, dict]:
    """The generator's name and options of a composed configuration, as `make_pair` takes them.

    The settings of its processing that are given come last, as processing.temperature and so on.
    """
    section = dict(_section(config, "pair"))
    if "name" not in section:
        raise SimlabError("the configuration has no pair: give pair=NAME")
    processing = processing_settings(section.pop("processing", None))
    options = section | {f"processing.{key}": value for key, value in processing.items()}
    options = {key: as_integer(value) for key, value in options.items()}
    if isinstance(options.get("path"), int | float) and not isinstance(options["path"], bool):
        options["path"] = str(options["path"])  # a file may be called 2024
    return options.pop("name"), options


def settings_from(config: dict):
    """The experiment `Settings` of a composed configuration. Raises SimlabError for values out of range."""
    from simlab.experiments.common.jobs import pair_of
    from simlab.experiments.common.settings import Override, Settings

    options = dict(_section(config, "experiment"))
    experiment = options.pop("name", None)
    title = _title(options.pop("title", experiment))
    pair_name, pair_options = pair_from(config)
    cost = cost_from(config)
    return Settings(
        experiment=experiment,
        title=title,
        options=options,
        pair_name=pair_name,
        pair_options=pair_options,
        decoder=decoder_from(config, lambda: pair_of(pair_name, pair_options)),
        **sampling_from(config),
        confidence=confidence_from(config),
        running_average=_running_average(config),
        cost=cost,
        output=output_from(config),
        figures=figures_from(config),
        overrides=tuple(Override(word, swept_values(word)) for word in config.get("command", [])),
        judging=judging_from(config),
    )


def sampling_from(config: dict) -> dict:
    """What a composed configuration asks to be sampled. Raises SimlabError for values out of range."""
    half_width = config["half_width"]
    return {
        "seed": check_count("seed", as_integer(config["seed"]), least=0, most=LARGEST),
        "trajectories": check_count("trajectories", as_integer(config["trajectories"]), most=LARGEST),
        "half_width": None if half_width is None else check_number("half_width", half_width, above=0.0),
        "batch_size": check_count("batch_size", as_integer(config["batch_size"]), most=LARGEST_BATCH),
    }


def _title(title) -> str:
    if isinstance(title, bool) or not isinstance(title, str | int | float) or not str(title).strip():
        raise SimlabError(f"experiment.title = {title!r} is not a valid title; expected text")
    return str(title)


def judging_from(config: dict) -> Judging:
    """The levels of verdicts of a composed configuration. Raises SimlabError for one that is not a level."""
    section, known = config.get("judging", {}), [field.name for field in dataclasses.fields(Judging)]
    if not isinstance(section, dict):
        raise SimlabError(f"judging = {section!r}: expected a mapping with {', '.join(known)}")
    if unknown := [key for key in section if key not in known]:
        raise SimlabError(f"no setting judging.{unknown[0]}: judging has {', '.join(known)}")
    return Judging(**section)


def _running_average(config: dict) -> int:
    number = check_count("tier.running_average", as_integer(config["tier"]["running_average"]), most=LARGEST)
    if number % 100:
        raise SimlabError(
            f"tier.running_average = {number} is not valid; expected a multiple of 100, the runs of a batch"
        )
    return number


def output_from(config: dict) -> Path:
    """The output folder of a composed configuration."""
    output = config.get("output")
    if not isinstance(output, str) or not output:
        raise SimlabError(f"output = {output!r} is not valid; expected a folder")
    return Path(output).expanduser()


def figures_from(config: dict) -> tuple[str, ...]:
    """The formats that figures get beside those of every figure; SimlabError for unknown ones."""
    given = config.get("figures")
    formats = [] if given is None else given if isinstance(given, list) else [given]
    known = (*FORMATS, *FURTHER)
    if unknown := [one for one in formats if one not in known]:
        raise SimlabError(
            f"figures = {unknown[0]!r} is not a format; expected {', '.join(FURTHER)}, beside the "
            f"{' and '.join(FORMATS)} of every figure"
        )
    return tuple(one for one in FURTHER if one in formats)


def shard_from(config: dict):
    """The shard of a composed configuration: all of the work where none is named."""
    from simlab.runs.shard import WHOLE, Shard

    text = config.get("shard")
    return WHOLE if text is None else Shard.parse(text)


def file_from(name: str, value) -> str:
    """The path that a setting names, ~ spelled out, a number as text: a file may be called 2024."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise SimlabError(f"{name} = {value!r} is not valid; expected the path of a file")
    return str(Path(str(value)).expanduser())


def written_file_from(name: str, values: list) -> Path:
    """The file that a command is to write; SimlabError for several, and for what cannot be a file there."""
    if len(values) > 1:
        raise SimlabError(
            f"{name}={','.join(map(str, values))}: expected one file; quote a path with a comma twice"
        )
    path = Path(file_from(name, values[0]))
    if path.is_dir():
        raise SimlabError(f"{name}={path} is a folder; expected a file, e.g. {name}={path / 'table.csv'}")
    return path


def backend_from(config: dict):
    """The backend settings of a composed configuration. Raises SimlabError for unknown names or options."""
    from simlab.runs import Dask, Loky, Serial, Slurm

    options = dict(_section(config, "run"))
    name = options.pop("backend", None)
    backends = {"serial": Serial, "loky": Loky, "dask": Dask, "slurm": Slurm}
    if not isinstance(name, str) or name not in backends:
        raise SimlabError(f"no run backend {name!r}: known are {', '.join(backends)}")
    if "workers" in options:
        workers = options["workers"]
        options["workers"] = _cores() if workers is None else check_count("run.workers", workers)
    try:
        return backends[name](**options)
    except TypeError as error:
        raise SimlabError(f"run backend {name} does not take {', '.join(options)}") from error


def _cores() -> int:
    """The cores this process may use, as joblib counts them: affinity and container limits included."""
    import joblib

    return joblib.cpu_count()


def _section(config: dict, name: str) -> dict:
    section = config.get(name)
    if not isinstance(section, dict):
        raise SimlabError(f"the configuration has no {name}: give {name}=NAME")
    return section


def _infinite(value):
    """An infinity is written as a word, which YAML reads as text."""
    return math.inf if isinstance(value, str) and value.lower() in INFINITE else value
