"""What stands first on the page: totals, what FAILed, and a line an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simlab.report.rows import STATUSES, claim, closest_call, count_statuses, number, rank, tally

_JUDGED = (("verdicts", "verdict"), ("checks", "theorem check"))


def tallies(experiments: Sequence[Mapping]) -> list[dict]:
    """What came out, in numbers: of the verdicts, and of the theorem checks where there are any."""
    found = []
    for key, noun in _JUDGED:
        statuses = _statuses(experiments, key)
        if statuses or key == "verdicts":
            counts = count_statuses(statuses)
            found.append({"key": key, "counts": counts, "total": tally(statuses, noun).partition(":")[0]})
    return found


def description(experiments: Sequence[Mapping]) -> str:
    """The page in a line, for whoever shows links to it."""
    told = [tally(_statuses(experiments, key), noun) for key, noun in _JUDGED]
    return "; ".join(["Speculative decoding, predicted and simulated", *told])


def failed(experiments: Sequence[Mapping]) -> list[dict]:
    """Every verdict and check that FAILed, with where the page has it."""
    return [
        {"name": one["name"], "experiment": experiment["title"], "place": f"{experiment['id']}--{key}"}
        for key, _ in _JUDGED
        for experiment in experiments
        for one in experiment[key]
        if one["status"] == "FAIL"
    ]


def lead(experiments: Sequence[Mapping]) -> str:
    """What the page is, in one sentence."""
    sizes = _largest(experiments, "trajectories").values()
    simulated = f"{sum(sizes):,} simulated trajectories" if sizes else "simulations"
    return (
        "Draft and target are Markov chains, or real models whose texts were recorded: exact theory predicts "
        f"the rejections, target calls, speed-up and bias of speculative decoding, and {simulated} of the "
        "algorithms themselves are held against it."
    )


def _largest(experiments: Sequence[Mapping], unit: str) -> dict[str, int]:
    """The size of each task, by its id; of one that several experiments share, the largest."""
    sizes: dict[str, int] = {}
    for task in (task for experiment in experiments for task in experiment["tasks"]):
        if ("environments" in task) == (unit == "environments"):
            sizes[task["id"]] = max(task[unit], sizes.get(task["id"], 0))
    return sizes


def facts(experiments: Sequence[Mapping]) -> list[str]:
    """What stands below the headline: how many experiments, trajectories and which simlab."""
    sizes, environments = (_largest(experiments, unit) for unit in ("trajectories", "environments"))
    told = [f"{len(experiments)} experiment{'s' * (len(experiments) != 1)}"]
    if sizes:
        told.append(f"{sum(sizes.values()):,} trajectories of {_tasks(len(sizes))}")
    if environments:
        told.append(f"{sum(environments.values()):,} random environments of {_tasks(len(environments))}")
    versions = sorted({experiment["versions"].get("simlab", "") for experiment in experiments} - {""})
    return [*told, *(f"simlab {version}" for version in versions)]


def _tasks(number: int) -> str:
    return f"{number} task{'s' * (number != 1)}"


def summary_rows(experiments: Sequence[Mapping]) -> list[dict]:
    """The experiments, a line each, those first that have the worst."""
    return sorted(map(_summary_row, experiments), key=lambda row: rank(row["worst"]))


def _summary_row(experiment: Mapping) -> dict:
    """An experiment in one line: what came out, from how much, and which verdict was the closest call."""
    row = {
        "article": experiment["id"],
        "title": experiment["title"],
        "trajectories": _trajectories(experiment),
        "call": "",
        "of": "",
    }
    for key, _ in _JUDGED:
        counts = count_statuses(one["status"] for one in experiment[key])
        row[key] = {"counts": counts, "place": f"{experiment['id']}--{key}"}
    found = {*row["verdicts"]["counts"], *row["checks"]["counts"]}
    row["worst"] = next((status for status in STATUSES if status in found), "PASS")
    if call := closest_call(experiment["verdicts"]):
        row |= {"call": number(call[0], 2), "of": claim(call[1]["name"], experiment["title"])}
    return row


def _trajectories(experiment: Mapping) -> str:
    """In all; where the experiment has a simulation of its own and no tasks, those behind each verdict."""
    total = sum(task.get("trajectories", 0) for task in experiment["tasks"])
    environments = sum(task.get("environments", 0) for task in experiment["tasks"])
    if total or environments:
        told = [f"{total:,}"] * bool(total) + [f"{environments:,} environments"] * bool(environments)
        return "; ".join(told)
    sizes = {verdict["trajectories"] for verdict in experiment["verdicts"]}
    return f"{len(experiment['verdicts'])} × {min(sizes):,}" if len(sizes) == 1 else ""


def _statuses(experiments: Sequence[Mapping], key: str) -> list[str]:
    return [one["status"] for experiment in experiments for one in experiment[key]]
