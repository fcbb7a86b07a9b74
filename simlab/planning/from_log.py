"""A plan from the log of a serving engine: what `simlab.planning.logs` reads, and what to make of it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.cost import CostModel
from simlab.errors import SimlabError
from simlab.planning.averages import check_window, plan_average
from simlab.planning.logs import Reading, read_log
from simlab.planning.logs.identities import FULL, is_ragged
from simlab.planning.logs.reading import padded_sum
from simlab.planning.logs.stream import PIPE
from simlab.planning.measured import check_confidence, plan_counts
from simlab.planning.policy import guessed_drafts
from simlab.planning.rates import Rates
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import WindowChoice, window_choice

TOGETHER = "all together"


@dataclass(frozen=True)
class Logs:
    """What several logs say, by name; left_out: lines on files of a folder that say nothing."""

    found: dict[str, list[Reading]]
    left_out: list[str]


def plan_log(given, cost: CostModel | None, choice: WindowChoice, confidence, window) -> WindowPlan:
    """From a log, by its path or - for standard input; several, or a folder of them, are added up.

    cost: None for what the log has measured, or the default. window: the tokens of a full draft, where the
    log does not say. Of several engines in one log the one with the most calls is planned. Raises SimlabError
    for what `read_log` raises it for, for logs that cannot be added, and for a log that has accepted over
    drafted tokens alone if no window is given.
    """
    logs = read_logs(given)
    found, left_out = logs.found, logs.left_out
    settings = {"cost": cost, "choice": choice, "confidence": confidence, "window": window}
    if len(found) == 1:
        name, readings = next(iter(found.items()))
        return _plan(name, readings[0], readings[1:], left_out, **settings)
    return _plan(TOGETHER, added([readings[0] for readings in found.values()]), [], left_out, **settings)


def log_plans(given, *, cost, windows=None, longest=None, confidence=None, window=None) -> list[WindowPlan]:
    """As `simlab.plan`, one plan for each log and each engine in it, then that of all logs together.

    Logs that cannot be added, as their windows differ, have no plan together; the last plan says why.
    """
    logs = read_logs(given)
    found, left_out = logs.found, logs.left_out
    choice = window_choice(windows, longest)
    settings = {"cost": cost, "choice": choice, "confidence": confidence, "window": window}
    plans = []
    for name, readings in found.items():
        for engine in dict.fromkeys(reading.engine for reading in readings):
            of_engine = [reading for reading in readings if reading.engine == engine]
            best = [reading for reading in of_engine if reading.origin == of_engine[0].origin]
            others = [reading for reading in of_engine if reading not in best]
            for own in best:
                plan = _plan(name, own, others, [], **settings)
                more = f", window {own.window}" * (len(best) > 1)
                plans.append(dataclasses.replace(plan, label=plan.label + more))
    if len(found) > 1:
        try:
            together = added([readings[0] for readings in found.values()])
            plans.append(_plan(TOGETHER, together, [], [], **settings))
        except SimlabError as error:
            left_out = [*left_out, str(error)]
    plans[-1].read.extend(left_out)
    return plans


def log_names(given) -> tuple[list[str], bool]:
    """The logs that are named, and whether a folder is: its files, and those of folders in it."""
    given = [given] if isinstance(given, str | os.PathLike) else given
    if not isinstance(given, list | tuple) or not all(isinstance(one, str | os.PathLike) for one in given):
        raise SimlabError(f"log = {given!r}: expected the path of a log, or - for standard input")
    names, folder = [], False
    for one in given:
        path = Path(one).expanduser()
        if str(one) != PIPE and path.is_dir():
            inside = sorted(path.rglob("*"))
            names += [str(file) for file in inside if file.is_file() and not file.name.startswith(".")]
            folder = True
        else:
            names.append(PIPE if str(one) == PIPE else str(path))
    if not names:
        raise SimlabError(f"log: {', '.join(map(str, given)) or 'nothing'} has no file in it")
    return names, folder


def read_logs(given) -> Logs:
    """What the logs say; of a folder, files without a statistic are left out, and why is said.

    given: as `plan_log` takes it, or what this has returned: a pipe can be read once.
    """
    if isinstance(given, Logs):
        return given
    names, folder = log_names(given)
    found, left_out = {}, []
    for name in names:
        try:
            found[name] = read_log(name)
        except SimlabError as error:
            if not folder:
                raise
            left_out.append(f"left out: {str(error).split('. Looked for')[0]}")
    if not found:
        raise SimlabError(f"no log of {len(names)} can be planned from; {left_out[0]}")
    return Logs(found, left_out)


def added(readings: list[Reading]) -> Reading:
    """Readings of several logs as one. Raises SimlabError where windows differ, or counts are missing."""
    first = readings[0]
    if len({reading.window for reading in readings}) > 1:
        windows = ", ".join(str(reading.window) for reading in readings)
        raise SimlabError(f"the logs have windows {windows}: they are planned one by one, not together")
    if not all(reading.calls for reading in readings):
        raise SimlabError("not all logs have counts: they are planned one by one, not together")
    engines = list(dict.fromkeys(reading.engine for reading in readings))
    sums = {
        name: None if any(getattr(one, name) is None for one in readings) else
        sum(getattr(one, name) for one in readings)
        for name in ("calls", "drafted", "accepted")
    }  # fmt: skip
    arrays = {
        name: None if any(getattr(one, name) is None for one in readings) else
        padded_sum(getattr(one, name) for one in readings)
        for name in ("by_position", "low", "high", "drafted_by_position")
    }  # fmt: skip
    origin = f"lines and requests of {len(readings)} logs"
    lines = sum(reading.lines for reading in readings)
    length = None if arrays["by_position"] is not None else 1 + (sums["accepted"] or 0) / sums["calls"]
    return Reading(" and ".join(engines), origin, lines, window=first.window, length=length, **sums, **arrays)


def _plan(
    name: str,
    reading: Reading,
    others: list[Reading],
    left_out: list[str],
    *,
    cost,
    choice,
    confidence,
    window,
) -> WindowPlan:
    cost, said = _cost(cost, reading)
    source = {"log": name, "read": reading.document()}
    label = f"{'log of standard input' if name == PIPE else name}: {reading.engine}"
    if reading.by_position is not None:
        made = _of_counts(reading, source, label, cost, choice, confidence)
    else:
        made = _of_average(reading, source, label, cost, choice, window)
        if confidence is not None:
            made.remarks.append("no intervals: the log has no counts by position")
    read = ["read: " + reading.summary(), *(f"  {line}" for line in (*reading.identities, *reading.notes))]
    read += [f"not added, as it may count the same calls: {other.summary()}" for other in others]
    return dataclasses.replace(made, read=[*read, *left_out, *said])


def _of_counts(reading: Reading, source, label, cost, choice, confidence) -> WindowPlan:
    calls, accepted = reading.calls, reading.by_position
    drafted, guessed = np.full(len(accepted), calls), False
    if is_ragged(reading):
        guessed = reading.drafted_by_position is None
        drafted = guessed_drafts(calls, reading.drafted, accepted) if guessed else reading.drafted_by_position
    rates = Rates(accepted / calls, drafted, accepted, reading.low, reading.high)
    level = check_confidence(confidence)
    made = plan_counts(rates, calls, cost, choice, level, source=source, label=label)
    if guessed:
        made.remarks.append(
            f"the log has {reading.drafted} drafted tokens in all, not by position: they are taken to fall "
            f"geometrically; at the longest, {len(accepted)}, that matters least"
        )
    return made


def _of_average(reading: Reading, source, label, cost, choice, window) -> WindowPlan:
    """From the mean length, or from accepted over drafted tokens."""
    window = reading.window if window is None else check_window(window, "log")
    if window is None:
        has = f"{reading.accepted} accepted of {reading.drafted} drafted tokens"
        if reading.length is not None:
            has = f"a mean length of {reading.length:.4g} ({'; '.join(reading.identities)})"
        raise SimlabError(
            f"{source['log']} has {has}, but not how many tokens a call drafts: give window=3 or so"
        )
    length = reading.length
    if length is None:
        length = 1 + window * reading.accepted / reading.drafted
    elif length > window + 1:
        raise SimlabError(
            f"{source['log']}: mean length {length:.4g} with a window of {window}: give another window"
        )
    made = plan_average(source, label, length, window, cost, choice)
    if reading.calls and reading.drafted and reading.drafted < FULL * reading.calls * window:
        made.others.append(_as_drafted(reading, length, cost))
    return made


def _as_drafted(reading: Reading, length: float, cost: CostModel) -> dict:
    """The engine as it ran, where its drafts are shorter than its window: exact where costs are linear."""
    drafted = reading.drafted / reading.calls
    time = cost.call_time(drafted) / length
    setting = f"{drafted:.4g} drafted a call, not {reading.window}"
    return {
        "rule": "as the engine drafted",
        "setting": setting,
        "time_per_token": time,
        "speedup": cost.alone / time,
    }


def _cost(cost: CostModel | None, reading: Reading) -> tuple[CostModel, list[str]]:
    """The cost to plan with, and what to say of it: an option wins over what the log has measured."""
    if not reading.costs:
        return CostModel() if cost is None else cost, []
    measured = ", ".join(f"{name} {value:.4g} ms" for name, value in reading.costs.items())
    if cost is not None:
        return cost, [f"cost: as given; not what the log has measured, {measured} ({reading.costs_from})"]
    if len(reading.costs) < 2:
        said = (
            f"the log has measured {measured} ({reading.costs_from}), but no time of a target call: give both"
        )
        return CostModel(), [said]
    said = (
        f"cost: measured by the log, {measured} ({reading.costs_from}); speed-ups are over a target that "
        "takes as long for one token as for a whole draft: measure it without a draft, and give cost.target"
    )
    return CostModel(**reading.costs), [said]
