"""Where an experiment's numbers come from, as lines for a reader: settings, sizes, versions, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from simlab.decoders import shown_options
from simlab.report.style import percent

_TOLD = ("seed", "confidence", "tier", "pair", "decoder", "trajectories", "batch_size", "running_average")
"""Settings that have a line of their own, or that the sample sizes say better."""

_UNITS = ("trajectories", "environments")


def origin(experiment: Mapping) -> list[tuple[str, str]]:
    """(term, description) of an experiment document, as `collect_results` gives it, in the order to show."""
    settings, tasks = experiment["settings"], experiment["tasks"]
    lines = [
        ("Pair", _listed(_pairs(tasks) if tasks else _setting(settings, "pair"))),
        ("Distributions", _listed(_laws(tasks))),
        ("Decoder", _listed(_decoders(tasks))),
        ("Options", "; ".join(_options(settings, tasks))),
        ("Sample sizes", _all_sizes(experiment) or _judged_sizes(experiment["verdicts"])),
        ("Seed", _value(settings.get("seed"))),
        ("Intervals", _confidence(settings.get("confidence"))),
        ("Tier", _value(settings.get("tier"))),
        ("Versions", _versions(experiment["versions"])),
        ("Time", _time(experiment.get("timing"), experiment, bool(tasks))),
    ]
    return [(term, description) for term, description in lines if description]


def _pairs(tasks: Iterable[Mapping]) -> list[tuple[str, dict]]:
    pairs = []
    for task in tasks:
        if "pair" not in task:
            continue
        options = {key: value for key, value in task["pair"].items() if key not in ("generator", "digest")}
        pairs.append((task["pair"].get("generator", "arrays"), options))
    return pairs


def _decoders(tasks: Iterable[Mapping]) -> list[tuple[str, dict]]:
    decoders = [dict(task["decoder"]) for task in tasks if "decoder" in task]
    named = [(options.pop("name"), shown_options(options)) for options in decoders]
    for _, options in named:
        if options.get("window", 0) is None:
            options["window"] = "to the horizon"
    return named


def _laws(tasks: Iterable[Mapping]) -> list[tuple[str, dict]]:
    """Of the rows of random environments; of rows of a pair or a text, where they come from."""
    laws = []
    for task in tasks:
        options = {key: value for key, value in task.get("law", {}).items() if key != "digest"}
        if options:
            laws.append((options.pop("source", None) or options["law"], options))
            options.pop("law")
    return laws


def _setting(settings: Mapping, group: str) -> list[tuple[str, dict]]:
    """A group of the settings, for an experiment without tasks."""
    start = f"{group}."
    options = {key.removeprefix(start): value for key, value in settings.items() if key.startswith(start)}
    return [(_value(settings.get(group)), options)]


def _listed(named: Iterable[tuple[str, Mapping]]) -> str:
    """Names with the values that their options take, as in "paper (horizon 50, 100; states 7)"."""
    options: dict[str, dict[str, list]] = {}
    for name, values in named:
        known = options.setdefault(name, {})
        for key, value in values.items():
            taken = known.setdefault(key, [])
            if value is not None and value not in taken:
                taken.append(value)
    parts = []
    for name, known in options.items():
        spelled = "; ".join(f"{key} {_value(_sorted(taken))}" for key, taken in known.items() if taken)
        parts.append(f"{name} ({spelled})" if spelled else name)
    return "; ".join(parts)


def _sorted(values: list) -> list:
    numbers = all(isinstance(value, int | float) for value in values)
    return sorted(values) if numbers else values


def _options(settings: Mapping, tasks: Iterable[Mapping]) -> list[str]:
    """The experiment's own settings, and those that its tasks do not tell; costs where they matter."""
    told = ("pair.", "decoder.") if any(map(_has_cost, tasks)) else ("pair.", "decoder.", "cost.")
    return [
        f"{key.removeprefix('experiment.')} = {_value(value)}"
        for key, value in settings.items()
        if key not in _TOLD and not key.startswith(told) and value is not None
    ]


def _has_cost(task: Mapping) -> bool:
    """Whether its decoder drafts windows, whose speed-up is a matter of cost."""
    return bool({"window", "policy"} & set(task.get("decoder", ())))


def _all_sizes(experiment: Mapping) -> str:
    said = [_sizes(experiment["tasks"], experiment.get(unit, 0), unit) for unit in _UNITS]
    return "; ".join(filter(None, said))


def _sizes(tasks: Iterable[Mapping], total: int, unit: str) -> str:
    """As in "9 tasks of 400,000 and 3 of 40,000 trajectories, 3,720,000 in all"."""
    sizes = Counter(task[unit] for task in tasks if unit in task)
    if not sizes:
        return ""
    parts = [f"{count} of {size:,}" for size, count in sorted(sizes.items(), reverse=True)]
    if len(parts) > 4:
        parts = [f"{sum(sizes.values())} of {min(sizes):,} to {max(sizes):,}"]
    first, *rest = parts
    first = first.replace(" of ", f" task{'s' * (not first.startswith('1 '))} of ")
    said = ", ".join([first, *rest]) + f" {unit}"
    return said if sum(sizes.values()) == 1 else f"{said}; {total:,} in all"


def _judged_sizes(verdicts: Iterable[Mapping]) -> str:
    """The sizes behind the verdicts of an experiment that has its own simulation, and no tasks."""
    sizes = sorted({verdict["trajectories"] for verdict in verdicts})
    return f"{' or '.join(f'{size:,}' for size in sizes)} behind each verdict" if sizes else ""


def _confidence(confidence) -> str:
    return f"{percent(confidence)} in figures and tables" if isinstance(confidence, float) else ""


def _versions(versions: Mapping) -> str:
    """As in "simlab 0.1.0, numpy 2.4.6; Linux x86_64"."""
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "machine")
    return "; ".join(filter(None, [said, versions.get("machine", "")]))


def _time(timing: Mapping | None, experiment: Mapping, tasks: bool) -> str:
    if timing is None:
        return ""
    parts = []
    simulated = timing["simulating"]
    known = {unit: simulated.get(unit, 0) for unit in _UNITS}
    if any(known.values()):
        part = f"simulating {_seconds(simulated['worker_seconds'])} of the workers' time, added up"
        if known != {unit: experiment.get(unit, 0) for unit in _UNITS}:
            timed = " and ".join(f"{number:,} {unit}" for unit, number in known.items() if number)
            part += f" (of {timed}; the time of the others is not known)"
        parts.append(part)
    presenting = "predicting, judging and drawing" if tasks else "all of it"
    parts.append(f"{presenting} {_seconds(timing['presenting']['seconds'])}")
    return "; ".join(parts)


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min"


def _value(value) -> str:
    if isinstance(value, list):
        return ", ".join(f"[{_value(item)}]" if isinstance(item, list) else _value(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
