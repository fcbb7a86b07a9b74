"""The results folder, read for the page: what is there, and what is there but cannot be read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simlab.errors import SimlabError
from simlab.report.datatable import data_table
from simlab.report.rows import STATUSES, check_row, verdict_row
from simlab.report.svg import parse_svg

SCHEMA = 1
_FIELDS = {
    "title": str, "experiment": str, "command": str, "settings": dict, "versions": dict, "tasks": list,
    "trajectories": int, "verdicts": list, "checks": list, "figures": list, "tables": list, "notes": list,
}  # fmt: skip


@dataclass(frozen=True)
class Collected:
    """What a results folder holds.

    experiments: what each outcome.json says, with `folder` (relative, POSIX), `timing` (what timing.json
    says, or None), and in each figure `svg` and `csv`, in each table `csv`: the files' text, or None.
    problems: a line for each thing that is there but cannot be read.
    """

    experiments: list[dict]
    problems: list[str]


def collect_results(output: Path) -> Collected:
    """Read every experiment's folder below `output`, by name. Writes nothing, and refuses nothing."""
    experiments, problems = [], []
    for path in sorted(output.rglob("outcome.json")):
        name = path.parent.relative_to(output).as_posix()
        try:
            document = _outcome(path)
        except SimlabError as error:
            problems.append(f"{name}: {error}")
            continue
        parts, trouble = _parts(path.parent, document)
        problems += [f"{name}: {line}" for line in trouble]
        experiments.append({**document, **parts, "folder": name, "timing": _timing(path.parent)})
    for path in sorted(output.rglob("verdicts.json")):
        name = path.parent.relative_to(output).as_posix()
        if name != "report" and not (path.parent / "outcome.json").exists():
            problems.append(f"{name}: there is no outcome.json (another simlab wrote it, or it was stopped)")
    return Collected(experiments, problems)


def _outcome(path: Path) -> dict:
    """The document in outcome.json. Raises SimlabError where it is torn, of another schema or incomplete."""
    document = _json(path)
    if not isinstance(document, dict) or "schema" not in document:
        raise SimlabError("outcome.json is not an outcome of simlab")
    if document["schema"] != SCHEMA:
        raise SimlabError(f"outcome.json has schema {document['schema']!r} and this simlab reads {SCHEMA}")
    wrong = [key for key, kind in _FIELDS.items() if not isinstance(document.get(key), kind)]
    if wrong:
        raise SimlabError(f"outcome.json is incomplete: it lacks {', '.join(wrong)}")
    try:
        for one in (*document["verdicts"], *document["checks"]):
            if one["status"] not in STATUSES:
                raise ValueError(f"status {one['status']!r}")
        for verdict in document["verdicts"]:
            verdict_row(verdict)
        for check in document["checks"]:
            check_row(check)
            check["statement"], check["source"]
        for task in document["tasks"]:
            if "environments" in task:
                task["id"], task["law"]["law"], task["capacities"][0], int(task["environments"])
            else:
                task["id"], task["pair"].items(), task["decoder"]["name"], int(task["trajectories"])
        for exhibit in (*document["figures"], *document["tables"]):
            exhibit["name"], exhibit["caption"], list(exhibit["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SimlabError(f"outcome.json is incomplete: {type(error).__name__} {error}") from error
    return document


def _json(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SimlabError(
            f"{path.name} is not valid JSON, torn perhaps: {' '.join(str(error).split())}"
        ) from error
    except OSError as error:
        raise SimlabError(f"{path.name} cannot be read: {error.strerror or error}") from error


def _timing(folder: Path) -> dict | None:
    """What timing.json says, or None: it is not a result, and a page can do without."""
    try:
        timing = _json(folder / "timing.json")
        if timing["schema"] == SCHEMA:
            float(timing["simulating"]["worker_seconds"]), int(timing["simulating"]["trajectories"])
            float(timing["presenting"]["seconds"]), timing["backend"]["name"]
            return timing
    except (SimlabError, KeyError, TypeError, ValueError):
        pass
    return None


def _parts(folder: Path, document: Mapping) -> tuple[dict, list[str]]:
    """Figures and tables with the text of their files, and a line for each file that is wanting."""
    problems: list[str] = []
    figures = [
        {**figure, **{kind: _text(folder, figure, kind, problems) for kind in ("svg", "csv")}}
        for figure in document["figures"]
    ]
    tables = [{**table, "csv": _text(folder, table, "csv", problems)} for table in document["tables"]]
    return {"figures": figures, "tables": tables}, problems


def _text(folder: Path, exhibit: Mapping, kind: str, problems: list[str]) -> str | None:
    """The text of the exhibit's file of a kind, None where there is none or it cannot be read."""
    for name in exhibit["files"]:
        if name.endswith(f".{kind}"):
            break
    else:
        return None
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise SimlabError("it lies outside its folder")
        text = path.read_text(encoding="utf-8")
        if kind == "svg":
            parse_svg(text)
        else:
            data_table(text)
        return text
    except FileNotFoundError:
        problems.append(f"{name} is missing")
    except (OSError, ValueError, csv.Error) as error:
        problems.append(f"{name} cannot be read: {error}")
    return None
