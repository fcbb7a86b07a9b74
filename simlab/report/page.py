"""The page: one HTML file that needs no other, from the documents of `collect_results`.

The same documents give the same bytes. Everything that comes from outside is escaped, and a policy in the
page itself forbids the browser to fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from simlab.report.colours import on_dark
from simlab.report.datatable import data_table
from simlab.report.origin import origin
from simlab.report.rows import (
    by_status,
    check_row,
    claim,
    closest_call,
    count_statuses,
    number,
    tally,
    verdict_row,
)
from simlab.report.svg import colour_name, inline_svg

_HERE = Path(__file__).parent
_PAPER = "#ffffff"
EMBEDDED = 4 << 20
"""A CSV of more characters is named, and not put into the page."""


def render_page(experiments: Sequence[Mapping], missing: Sequence[Mapping], problems: Sequence[str]) -> str:
    """The page as HTML text.

    experiments: as `collect_results` gives them, in the order of the page. missing: {"command"} of each
    experiment that should be there. problems: a line for each thing that could not be read.
    """
    numbered = [{**experiment, "id": f"e{i}"} for i, experiment in enumerate(experiments, 1)]
    colours: set[str] = set()
    articles = [_article(experiment, colours) for experiment in numbered]
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return _template().render(
        articles=articles,
        checks=[group for group in map(_check_group, by_status(numbered, "checks")) if group["rows"]],
        colours=[
            (colour_name(colour), *_schemes(colour)) for colour in sorted(colours | {_PAPER}, key=str.lower)
        ],
        facts=_facts(numbered),
        failed=_failed(numbered),
        missing=missing,
        problems=problems,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        summary=[_summary_row(experiment) for experiment in numbered],
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        tallies=_tallies(numbered),
        verdicts=[group for group in map(_verdict_group, by_status(numbered, "verdicts")) if group["rows"]],
    )


@cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html")


def _tallies(experiments: Sequence[Mapping]) -> list[dict]:
    """What came out, in numbers: of the verdicts, and of the theorem checks where there are any."""
    tallies = []
    for key, noun in (("verdicts", "verdict"), ("checks", "theorem check")):
        statuses = [one["status"] for experiment in experiments for one in experiment[key]]
        if statuses or key == "verdicts":
            counts = count_statuses(statuses)
            tallies.append({"key": key, "counts": counts, "total": tally(statuses, noun).partition(":")[0]})
    return tallies


def _failed(experiments: Sequence[Mapping]) -> list[dict]:
    """Every verdict and check that FAILed, with where the page has it."""
    return [
        {"name": one["name"], "experiment": experiment["title"], "place": f"{experiment['id']}-{key}"}
        for key in ("verdicts", "checks")
        for experiment in experiments
        for one in experiment[key]
        if one["status"] == "FAIL"
    ]


def _facts(experiments: Sequence[Mapping]) -> list[str]:
    """What stands below the headline: how many experiments, trajectories and which simlab."""
    sizes: dict[str, int] = {}
    for experiment in experiments:
        for task in experiment["tasks"]:
            sizes[task["id"]] = max(task["trajectories"], sizes.get(task["id"], 0))
    facts = [f"{len(experiments)} experiment{'s' * (len(experiments) != 1)}"]
    if sizes:
        facts.append(f"{sum(sizes.values()):,} trajectories of {len(sizes)} task{'s' * (len(sizes) != 1)}")
    versions = sorted({experiment["versions"].get("simlab", "") for experiment in experiments} - {""})
    return [*facts, *(f"simlab {version}" for version in versions)]


def _summary_row(experiment: Mapping) -> dict:
    """An experiment in one line: what came out, from how much, and which verdict was the closest call."""
    trajectories = sum(task["trajectories"] for task in experiment["tasks"])
    row = {
        "article": experiment["id"],
        "title": experiment["title"],
        "trajectories": f"{trajectories:,}" if trajectories else "",
        "call": "",
        "of": "",
    }
    for key in ("verdicts", "checks"):
        counts = count_statuses(one["status"] for one in experiment[key])
        row[key] = {"counts": counts, "place": f"{experiment['id']}-{key}"}
    if call := closest_call(experiment["verdicts"]):
        row |= {"call": number(call[0], 2), "of": claim(call[1]["name"], experiment["title"])}
    return row


def _verdict_group(experiment: Mapping) -> dict:
    title = experiment["title"]
    return _group(experiment, "verdicts", [verdict_row(one, title) for one in experiment["verdicts"]])


def _check_group(experiment: Mapping) -> dict:
    rows = [
        {**check_row(check), "statement": check["statement"], "source": check["source"]}
        for check in experiment["checks"]
    ]
    return _group(experiment, "checks", rows)


def _group(experiment: Mapping, key: str, rows: list[dict]) -> dict:
    counts = count_statuses(row["verdict"] for row in rows)
    return {
        "place": f"{experiment['id']}-{key}",
        "title": experiment["title"],
        "folder": experiment["folder"],
        "article": experiment["id"],
        "rows": rows,
        "counts": counts,
        "open": any(status != "PASS" for status in counts),
    }


def _article(experiment: Mapping, colours: set[str]) -> dict:
    """An experiment as the page shows it; the figures' colours are added to `colours`."""
    place = experiment["id"]
    figures = []
    for i, figure in enumerate(experiment["figures"], 1):
        caption_id = f"{place}-f{i}"
        drawing = figure["svg"] and inline_svg(figure["svg"], f"{place}f{i}-", caption_id)
        if drawing:
            colours |= drawing.colours
        figures.append(
            {**figure, "caption_id": caption_id, "drawing": drawing, "links": _links(experiment, figure)}
        )
    tables = [
        {
            **table,
            "id": f"{place}-t{i}",
            "data": data_table(table["csv"]) if table["csv"] is not None else None,
            "links": _links(experiment, table),
        }
        for i, table in enumerate(experiment["tables"], 1)
    ]
    return {
        "id": place,
        "title": experiment["title"],
        "folder": experiment["folder"],
        "counts": count_statuses(one["status"] for one in (*experiment["verdicts"], *experiment["checks"])),
        "command": experiment["command"],
        "figures": figures,
        "tables": tables,
        "notes": experiment["notes"],
        "origin": origin(experiment),
        "tasks": [_task_row(task) for task in experiment["tasks"]],
    }


def _links(experiment: Mapping, exhibit: Mapping) -> list[dict]:
    """The exhibit's files: the path of each, and for the CSV the whole content to be saved from the page."""
    links = []
    for name in sorted(exhibit["files"], key=lambda name: not name.endswith(".csv")):
        embedded = name.endswith(".csv") and exhibit["csv"] is not None and len(exhibit["csv"]) <= EMBEDDED
        content = base64.b64encode(exhibit["csv"].encode()).decode() if embedded else None
        links.append(
            {
                "name": name.rpartition("/")[2],
                "path": f"{experiment['folder']}/{name}",
                "href": content and f"data:text/csv;charset=utf-8;base64,{content}",
            }
        )
    return links


def _task_row(task: Mapping) -> dict[str, str]:
    pair, decoder = dict(task["pair"]), dict(task["decoder"])
    pair.pop("digest", None)
    name = pair.pop("generator", "arrays")
    return {
        "task": task["id"][:12],
        "pair": " ".join([name, *(f"{key}={value}" for key, value in pair.items())]),
        "decoder": " ".join([decoder.pop("name"), *(f"{key}={value}" for key, value in decoder.items())]),
        "trajectories": f"{task['trajectories']:,}",
    }


def _schemes(colour: str) -> tuple[str, str]:
    """A figure's colour on the light page and on the dark one; white is the page's own paper."""
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        raise ValueError(colour)
    return ("var(--paper)", "var(--paper)") if colour == _PAPER else (colour, on_dark(colour))
