"""The page: one HTML file that needs no other, from the documents of `collect_results`.

The same documents give the same bytes. Everything that comes from outside is escaped, and a policy in the
page itself forbids the browser to fetch anything.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from simlab.decoders import spelled_options
from simlab.report.anchors import anchor
from simlab.report.colours import on_dark
from simlab.report.columns import column_title
from simlab.report.datatable import TASK, data_table
from simlab.report.gallery import cards, title
from simlab.report.origin import origin
from simlab.report.rows import by_status, check_row, count_statuses, verdict_row
from simlab.report.summary import description, facts, failed, lead, summary_rows, tallies
from simlab.report.svg import colour_name, inline_svg

_HERE = Path(__file__).parent
_PAPER = "#ffffff"
EMBEDDED = 4 << 20
"""A CSV of more characters is linked to, and not put into the page."""

PAPERS = (
    ("Yin, Chen, Huang and Wang", "A Theoretical Perspective for Speculative Decoding Algorithm",
     "NeurIPS 2024", "2411.00841"),
    ("Leviathan, Kalman and Matias", "Fast Inference from Transformers via Speculative Decoding",
     "ICML 2023", "2211.17192"),
    ("Pankratov and Alistarh",
     "Speculative Decoding Speed-of-Light: Optimal Lower Bounds via Branching Random Walks",
     "EACL 2026", "2512.11718"),
    ("Sun, Mendlovic, Leviathan and others", "Block Verification Accelerates Speculative Decoding",
     "ICLR 2025", "2403.10444"),
)  # fmt: skip
"""(authors, title, where, arXiv number) of the papers whose claims are looked at."""

_PARAGRAPH = re.compile(r"(?<=[.;]) (?=\([a-z]\)[, ]|(?:Left|Right|Above|Below|Right half)\b)")


def render_page(experiments: Sequence[Mapping], missing: Sequence[Mapping], problems: Sequence[str]) -> str:
    """The page as HTML text.

    experiments: as `collect_results` gives them, in the order of the page. missing: {"command"} of each
    experiment that should be there. problems: a line for each thing that could not be read.
    """
    taken: set[str] = set()
    placed = [{**experiment, "id": anchor(experiment["folder"], taken)} for experiment in experiments]
    colours: set[str] = set()
    articles = [_article(experiment, f"_{i}_", colours) for i, experiment in enumerate(placed)]
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return _template().render(
        articles=articles,
        cards=cards(articles),
        checks=[group for group in map(_check_group, by_status(placed, "checks")) if group["rows"]],
        colours=[
            (colour_name(colour), *_schemes(colour)) for colour in sorted(colours | {_PAPER}, key=str.lower)
        ],
        description=description(placed),
        facts=facts(placed),
        failed=failed(placed),
        lead=lead(placed),
        missing=missing,
        papers=PAPERS,
        problems=problems,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        summary=summary_rows(placed),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        tallies=tallies(placed),
        verdicts=[group for group in map(_verdict_group, by_status(placed, "verdicts")) if group["rows"]],
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
    environment.filters |= {
        "column_title": column_title,
        "figure_title": title,
        "paragraphs": _PARAGRAPH.split,
    }
    return environment.get_template("page.html")


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
        "place": f"{experiment['id']}--{key}",
        "title": experiment["title"],
        "folder": experiment["folder"],
        "article": experiment["id"],
        "rows": rows,
        "counts": counts,
        "open": any(status != "PASS" for status in counts),
    }


def _article(experiment: Mapping, prefix: str, colours: set[str]) -> dict:
    """An experiment as the page shows it. The ids inside its figures start with `prefix`; their colours are
    added to `colours`.
    """
    place = experiment["id"]
    taken = {f"{place}--{key}" for key in ("verdicts", "checks")}
    figures = []
    for i, figure in enumerate(experiment["figures"]):
        figure = {
            **figure,
            "place": anchor(figure["name"], taken, place),
            "links": _links(experiment, figure),
        }
        drawing = figure["svg"] and inline_svg(figure["svg"], f"{prefix}{i}_", f"{figure['place']}--caption")
        if drawing:
            colours |= drawing.colours
        figures.append({**figure, "drawing": drawing})
    tables = [
        {
            **table,
            "place": anchor(table["name"], taken, place),
            "repeats": _repeats(table, experiment["checks"]),
            "data": data_table(table["csv"]) if table["csv"] is not None else None,
            "links": _links(experiment, table),
        }
        for table in experiment["tables"]
    ]
    return {
        "id": place,
        "title": experiment["title"],
        "experiment": experiment["experiment"],
        "verdicts": experiment["verdicts"],
        "counts": count_statuses(one["status"] for one in (*experiment["verdicts"], *experiment["checks"])),
        "command": experiment["command"],
        "figures": figures,
        "tables": tables,
        "notes": experiment["notes"],
        "origin": origin(experiment),
        "tasks": [_task_row(task) for task in experiment["tasks"] if "environments" not in task],
        "environments": [_environments_row(task) for task in experiment["tasks"] if "environments" in task],
    }


def _repeats(table: Mapping, checks: Sequence[Mapping]) -> bool:
    """Whether a table is the theorem checks over again, which the page has already."""
    if not checks or table["csv"] is None:
        return False
    rows = list(csv.DictReader(io.StringIO(table["csv"])))
    told = {"name", "statement", "left_value", "right_value", "difference", "tolerance"}
    same = [row.get("name") for row in rows] == [check["name"] for check in checks]
    return same and told <= set(rows[0])


def _links(experiment: Mapping, exhibit: Mapping) -> list[dict]:
    """The exhibit's files beside the page; of the CSV also the whole content, to be saved from the page."""
    links = []
    for name in sorted(exhibit["files"], key=lambda name: not name.endswith(".csv")):
        embedded = name.endswith(".csv") and exhibit["csv"] is not None and len(exhibit["csv"]) <= EMBEDDED
        content = base64.b64encode(exhibit["csv"].encode()).decode() if embedded else None
        path = f"{experiment['folder']}/{name}"
        links.append(
            {
                "name": name.rpartition("/")[2],
                "path": path,
                "href": f"../{quote(path)}",
                "save": content and f"data:text/csv;charset=utf-8;base64,{content}",
            }
        )
    return links


def _task_row(task: Mapping) -> dict[str, str]:
    pair, decoder = dict(task["pair"]), dict(task["decoder"])
    pair.pop("digest", None)
    name = pair.pop("generator", "arrays")
    return {
        "task": task["id"][:TASK],
        "pair": " ".join([name, *(f"{key}={value}" for key, value in pair.items())]),
        "decoder": decoder.pop("name") + f" ({spelled_options(decoder)})" * bool(decoder),
        "trajectories": f"{task['trajectories']:,}",
    }


def _environments_row(task: Mapping) -> dict[str, str]:
    law = {key: value for key, value in task["law"].items() if key != "digest"}
    name = law.pop("law")
    capacities = [f"{capacity:,}" for capacity in task["capacities"]]
    return {
        "task": task["id"][:TASK],
        "distribution": " ".join([name, *(f"{key}={value}" for key, value in law.items())]),
        "capacities": " to ".join(dict.fromkeys([capacities[0], capacities[-1]])),
        "environments": f"{task['environments']:,}",
    }


def _schemes(colour: str) -> tuple[str, str]:
    """A figure's colour on the light page and on the dark one; white is the page's own paper."""
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        raise ValueError(colour)
    return ("var(--paper)", "var(--paper)") if colour == _PAPER else (colour, on_dark(colour))
