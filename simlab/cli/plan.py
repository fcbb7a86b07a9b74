"""`simlab plan`: reads settings, asks `simlab.plan`, prints and draws what comes back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from simlab.cli.config.compose import compose_points, taken_out
from simlab.cli.config.settings import cost_from, figures_from, file_from, output_from, pair_from
from simlab.cli.memory import check_plan
from simlab.cli.output.documents import plain
from simlab.errors import SimlabError
from simlab.file_names import LONGEST_OF_FILES, name_of
from simlab.pairs import make_pair
from simlab.planning import WindowPlan
from simlab.planning import plan as make_plan
from simlab.planning.from_log import log_plans, read_logs
from simlab.planning.loads import LoadPlans, grouped
from simlab.planning.logs.stream import PIPE
from simlab.planning.sources import SOURCES, only_source
from simlab.planning.windows import NEAR

USAGE = """usage: simlab plan acceptance=A|acceptance_rate=R|mean_length=L|rates=FILE|rates=[..]|log=FILE|
                   pair=NAME|trace=FILE [key=value ...] [--json]

How many tokens to draft before each target call (the window), and what speed-up over the target alone to
expect, bonus token included. From one of:

  acceptance=0.8       every drafted token is accepted with this probability, given that those before it in
                       its window were (Leviathan et al. 2023). This is not the acceptance rate that engines
                       log, accepted tokens over drafted ones: that counts the tokens behind a rejection too,
                       is lower, and as acceptance= gives too short a window and too low a speed-up
  acceptance_rate=0.644 window=3
                       accepted over drafted tokens, as engines log it, and the tokens drafted per call
  mean_length=2.61 window=3
                       tokens per call, bonus token included, as engines log it, and the tokens drafted per
                       call. Both are exact at that window; at others a guess, and the bracket of what rates
                       by position allow. If your engine logs acceptance by position, give rates=
  rates=[0.8,0.6,0.5]  acceptance by position, as serving engines print it: of all calls, the part in which
                       the 1st, 2nd, .. drafted token was accepted; for longer windows (longest=) a bracket
                       and a guess
  rates=FILE.csv       the same in a file, or counts; a header and a row a position:
                         position,drafted,accepted   calls that drafted so far, and that accepted so far
                         position,acceptance         accepted/drafted, the tokens before it included
                         position,conditional        the same of calls that accepted all tokens before it
                       counts give intervals (confidence=0.95); those of an engine that stops drafting early,
                       so that accepted/drafted rises, are planned as its rule, not as a window
  log=FILE             the log of a serving engine, as it is (vLLM, SGLang, TensorRT-LLM, llama.cpp, LMDeploy,
                       FastDeploy; Prometheus text; JSON with histograms), compressed or not; log=- reads a
                       pipe, log=FOLDER and log=a.log,b.log plan each file and all together. What was read
                       is printed first; costs that the log has are used if none are given
  pair=corpus          a pair of chains and its options, as in simlab predict: exact, and with the optimal
                       policy, the best threshold of confidence, block verification (windows to 4), and
                       what the memoryless formula would have chosen
  trace=FILE           a trace of a real draft and target (.parquet, .csv, .jsonl): exact on its texts, with
                       intervals for the models (confidence=0.95), and what the memoryless formula would
                       have chosen from the mean acceptance

cost.draft=0.05 and cost.target=1 are the time of a drafted token and of a target call. cost.target may also
be a table by the tokens in a forward, [t1,t2,..], {tokens: time}, {base: a, per_token: b}, {relative: [1,r2,
..]} (time per token of a batch), or a file: a CSV tokens,time, or the output of llama-bench or
llama-batched-bench. cost.draft_call is paid once in a call that drafts, cost.overhead in every call.
concurrency=1,8,64 decodes so many requests together: every forward has as many times as many tokens, and the
best window for each load is one table (with --json also as engines take it). windows=[1,2,4,8] or
longest=8 says which windows; without, those to 16 and those about the best. Several values plan each:

  simlab plan acceptance=0.8 cost.draft=0.05 cost.target=1
  simlab plan acceptance=0.6,0.7,0.8,0.9 cost.draft=0.02
  simlab plan rates=[0.805,0.632,0.483] cost.draft=2.1 cost.target=31.5
  simlab plan rates=monday.csv,tuesday.csv cost.draft=2.1 cost.target=31.5
  simlab plan log=server.log cost.draft=2.1 cost.target=31.5
  simlab plan pair=corpus longest=8
  simlab plan rates=[0.8,0.6,0.5] cost.draft=2 'cost.target={1: 30, 8: 37, 64: 90}' concurrency=1,8
  simlab plan trace=my_trace.parquet cost.draft=2.1 cost.target=31.5

* marks the best window, ~ those whose time per token is at most 2% longer. The table is drawn too, into
OUTPUT/plan as PNG, SVG and CSV (output=results); figures=pdf adds a PDF. --json prints every number and
writes no files. From Python: simlab.plan(acceptance=0.8).
"""

OWN = (*(source for source in SOURCES if source != "pair"), "window", "windows", "longest")
COSTS = {"cost", "concurrency"}
SETTINGS = ("pair", "cost", "concurrency", "confidence", "output", "figures")


def main(words: list[str]) -> int:
    """Plan from every source given, show and draw what came out; returns the exit code."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    plans, output, further = _plans(words)
    together = grouped(plans)
    if as_json:
        documents = [plain(one.document()) for one in together]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
        return 0
    print("\n\n".join(map(str, [*plans, *(one for one in together if isinstance(one, LoadPlans))])))
    paths = _draw(plans, output / "plan", words, further)
    print("\nwritten: " + ", ".join(str(path) for path in paths))
    return 0


def _plans(words: list[str]) -> tuple[list[WindowPlan], Path, list[str]]:
    """The plans, the folder for what is drawn, and the formats that are asked for besides."""
    own, others = taken_out(words, OWN)
    roots = [re.split("[.=@]", word.lstrip("+~"), maxsplit=1)[0] for word in others]
    for word, root in zip(others, roots, strict=True):
        if root not in SETTINGS:
            raise SimlabError(f"{word}: simlab plan has {', '.join([*OWN, *SETTINGS])}")
    _check_target(others)
    source = only_source(name for name in SOURCES if name in own or name in roots)
    settings = _windows(own)
    if source == "log":  # once: a pipe cannot be read again for another cost
        own["log"] = read_logs([value if value == PIPE else file_from("log", value) for value in own["log"]])
    points = compose_points(others)
    output, further = output_from(points[0]), figures_from(points[0])  # mistakes in them before any plan
    if source == "pair":
        check_plan(points)
    plans = []
    for point in points:
        settings["cost"] = cost_from(point)
        if "confidence" in roots:
            settings["confidence"] = point["confidence"]
        if source == "log" and not COSTS & set(roots):
            settings["cost"] = None
        plans += _planned(source, own, point, settings)
    return plans, output, further


def _check_target(words: list[str]) -> None:
    """Raises SimlabError for several times of a target call: a list by tokens verified, taken for a grid."""
    values = taken_out(words, ["cost.target"])[0].get("cost.target", [1])
    if len(values) > 1 and all(isinstance(value, int | float) for value in values):
        word = next(word for word in words if word.startswith("cost.target="))
        raise SimlabError(
            f"{word}: the times of forwards over 1, 2, 3.. tokens are given in brackets, "
            f"cost.target=[{','.join(map(str, values))}]; to compare cost ratios give several cost.draft"
        )


def _windows(own: dict[str, list]) -> dict:
    """The windows asked for, as `simlab.plan` takes them."""
    settings = {}
    if "windows" in own:
        windows = own["windows"]
        settings["windows"] = windows[0] if len(windows) == 1 else windows
    for name, what in (("longest", "the longest window of the table"), ("window", "the window measured")):
        if name in own:
            if len(own[name]) > 1:
                raise SimlabError(f"{name}: give one number, {what}")
            settings[name] = own[name][0]
    return settings


def _planned(source: str, own: dict[str, list], config: dict, settings: dict) -> Iterator[WindowPlan]:
    """The plans of one point of the grid."""
    if source == "pair":
        name, options = pair_from(config)
        spelled = ", ".join(f"{key}={value}" for key, value in options.items() if value is not None)
        label = f"pair {name}" + f" ({spelled})" * bool(spelled)
        exact = make_plan(pair=make_pair(name, **options), **settings)
        yield dataclasses.replace(exact, source={"pair": {"name": name, **options}}, label=label)
        return
    if source == "log":
        yield from log_plans(own["log"], **settings)
        return
    for value in _values(source, own[source]):
        yield make_plan(**{source: value}, **settings)


def _values(source: str, values: list) -> list:
    """What is planned from, one after the other: numbers, files, or rates in brackets."""
    if source == "trace":
        return [file_from("trace", value) for value in values]
    return _rates(values) if source == "rates" else values


def _rates(values: list) -> list:
    """Files, or rates in brackets. Raises SimlabError for rates without them, which read as several files."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if absent := [value for value in numbers if not Path(str(value)).exists()]:
        words = ",".join(map(str, values))
        raise SimlabError(
            f"rates={words}: no file {absent[0]}; rates by position are given in brackets, rates=[{words}]"
        )
    return [value if isinstance(value, list | dict) else file_from("rates", value) for value in values]


def _draw(plans: list[WindowPlan], folder: Path, words: list[str], further: list[str]) -> list[Path]:
    """The picture of all plans and its table, named after what was asked."""
    from simlab.report.planplot import Planned, draw_plans
    from simlab.report.save import save_figure
    from simlab.report.style import new_figure, style

    curves = [
        Planned(
            label=label,
            windows=plan.windows,
            speedup=plan.speedup,
            near=plan.is_near(),
            best=plan.best,
            interval=None if plan.low is None else (plan.low, plan.high),
            confidence=plan.confidence,
            others={f"{other['rule']}: {other['setting']}": other["speedup"] for other in plan.others},
        )
        for label, plan in zip(_short_labels(plans), plans, strict=True)
    ]
    with style():
        figure = new_figure(7.0, 4.2)
        draw_plans(figure, curves, near=NEAR)
    rows = [{"plan": one.label, "cost_ratio": one.cost.ratio, **row} for one in plans for row in one.rows()]
    name = _name(plans, words)
    command = {"Command": shlex.join(["simlab", "plan", *words])}
    return save_figure(figure, folder, name, rows, command, further)


def _name(plans: list[WindowPlan], words: list[str]) -> str:
    """Of the files: what was asked, the source first, and apart for files of another content."""
    source = next(name for name in SOURCES if name in plans[0].source)
    paths = [_path(one.source) for one in plans]
    contents = [hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest() for path in paths if path]
    contents += sorted({json.dumps(one.cost.document()) for one in plans if not one.cost.is_flat})
    contents += [json.dumps(one.source["read"]) for one in plans if "read" in one.source]
    asked = [_spelled(word) for word in words if not word.startswith(("output=", "figures="))]
    first = [word for word in asked if word.startswith(f"{source}=")]
    others = [word for word in asked if word not in first]
    return name_of(first, others, " ".join([*filter(None, paths), *contents]), LONGEST_OF_FILES)


def _spelled(word: str) -> str:
    """As a file's name has it: windows=[2,4] is windows=2,4, and of a file's path the name is enough."""
    key, _, value = word.partition("=")
    if key in ("windows", "rates"):
        value = re.sub(r"^\[(.*)\]$", r"\1", value)
    return f"{key}={re.sub(r'[^,]*/|[.](csv|npz|parquet|jsonl)([.]gz)?(?=,|$)', '', value)}"


def _path(source: dict) -> str | None:
    """The file that a plan comes from."""
    rates, found = source.get("rates"), source.get("pair") or source.get("trace") or {}
    return rates if isinstance(rates, str) else found.get("path")


def _short_labels(plans: list[WindowPlan]) -> list[str]:
    """For a legend: the source, the options in which plans of one pair differ, and costs that differ."""
    options = [plan.source.get("pair", {}) for plan in plans]
    labels = []
    for plan, pair in zip(plans, options, strict=True):
        label = f"pair {pair['name']}" if pair else plan.label
        alike = [other for other in options if other.get("name") == pair.get("name")]
        differing = [key for key in pair if len({str(other.get(key)) for other in alike}) > 1]
        label += "".join(f", {key}={pair[key]}" for key in differing if pair[key] is not None)
        if len({plan.cost.ratio for plan in plans}) > 1:
            label += f", draft/target cost {plan.cost.ratio:.4g}"
        if len({plan.cost.concurrency for plan in plans}) > 1:
            label += f", concurrency {plan.cost.concurrency}"
        labels.append(label)
    return labels
