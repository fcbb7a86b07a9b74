"""`simlab plan`: how many tokens to draft per target call, and what speed-up to expect."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from simlab.checks import check_count, check_number
from simlab.cli.config.compose import compose_points, taken_out
from simlab.cli.config.settings import (
    confidence_from,
    cost_from,
    file_from,
    name_of,
    output_from,
    pair_from,
    whole,
)
from simlab.cli.output.documents import plain
from simlab.cli.output.tables import columns
from simlab.errors import SimlabError
from simlab.pairs import make_pair
from simlab.planning.plan import (
    MOST,
    NEAR,
    Choice,
    Plan,
    check_windows,
    plan_acceptance,
    plan_pair,
    plan_rates,
    spelled_runs,
)
from simlab.planning.rates import read_rates
from simlab.report.style import percent

USAGE = """usage: simlab plan acceptance=A|rates=FILE.csv|pair=NAME [key=value ...] [--json]

How many tokens to draft before each target call (the window), and what speed-up over the target alone to
expect, bonus token included. From one of:

  acceptance=0.8       every drafted token is accepted with this probability (Leviathan et al. 2023)
  rates=FILE.csv       acceptance by position, as serving engines log it; a header and a row a position:
                         position,drafted,accepted   calls that drafted so far, and that accepted so far
                         position,acceptance         accepted/drafted, the tokens before it included
                         position,conditional        the same of calls that accepted all tokens before it
                       counts give intervals (confidence=0.95); longer windows are not extrapolated
  pair=corpus          a pair of chains and its options, as in simlab predict: exact, and with the optimal
                       policy, the best threshold of confidence, block verification (windows to 4), and
                       what the memoryless formula would have chosen

cost.draft=0.05 and cost.target=1 are the time of a drafted token and of a target call. windows=[1,2,4,8] or
longest=8 says which windows; without, those to 16 and those about the best. A list of values plans each:

  simlab plan acceptance=0.8 cost.draft=0.05 cost.target=1
  simlab plan acceptance=0.6,0.7,0.8,0.9 cost.draft=0.02
  simlab plan rates=accepted.csv cost.draft=2.1 cost.target=31.5
  simlab plan pair=corpus longest=8

* marks the best window, ~ those whose time per token is at most 2% longer. The table is drawn too, into
OUTPUT/plan as PNG, SVG and CSV (output=results). --json prints every number and writes no files.
"""

SOURCES = ("acceptance", "rates", "pair")
OWN = ("acceptance", "rates", "windows", "longest")
SETTINGS = ("pair", "cost", "confidence", "output")


def main(words: list[str]) -> int:
    """Plan from every source given, show and draw what came out; returns the exit code."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    plans, output = _plans(words)
    if as_json:
        documents = [_document(plan) for plan in plans]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
        return 0
    print("\n\n".join(_text(plan) for plan in plans))
    paths = _draw(plans, output / "plan", words)
    print("\nwritten: " + ", ".join(str(path) for path in paths))
    return 0


def _plans(words: list[str]) -> tuple[list[Plan], Path]:
    own, others = taken_out(words, OWN)
    roots = [re.split("[.=@]", word.lstrip("+~"), maxsplit=1)[0] for word in others]
    for word, root in zip(others, roots, strict=True):
        if root not in SETTINGS:
            raise SimlabError(f"{word}: simlab plan has {', '.join([*OWN, *SETTINGS])}")
    sources = [name for name in SOURCES if name in own or name in roots]
    if len(sources) != 1:
        given = " and ".join(sources) or "nothing"
        raise SimlabError(f"{given} to plan from: give one of acceptance=0.8, rates=FILE.csv and pair=corpus")
    if "confidence" in roots and sources != ["rates"]:
        raise SimlabError(
            "confidence: only what is planned from measured counts (rates=FILE.csv) has intervals"
        )
    choice = _choice(own)
    for place, acceptance in enumerate(own.get("acceptance", [])):
        own["acceptance"][place] = check_number("acceptance", acceptance, least=0.0, most=1.0)
    points = compose_points(others)
    plans = [plan for point in points for plan in _planned(sources[0], own, point, choice)]
    return plans, output_from(points[0])


def _choice(own: dict[str, list]) -> Choice:
    """The windows asked for; SimlabError for both ways of asking, or for what is no window."""
    if "windows" in own and "longest" in own:
        raise SimlabError("windows and longest: give one of them")
    windows = own.get("windows")
    if windows is not None:
        return Choice(windows=check_windows(windows[0] if len(windows) == 1 else windows))
    longest = own.get("longest", [None])
    if len(longest) > 1:
        raise SimlabError("longest: give one number, the longest window of the table")
    return Choice(
        longest=None if longest[0] is None else check_count("longest", whole(longest[0]), most=MOST)
    )


def _planned(source: str, own: dict[str, list], config: dict, choice: Choice) -> Iterable[Plan]:
    cost = cost_from(config)
    if source == "acceptance":
        for acceptance in own["acceptance"]:
            yield plan_acceptance(acceptance, cost, choice)
    elif source == "rates":
        confidence = confidence_from(config)
        for path in own["rates"]:
            path = file_from("rates", path)
            yield plan_rates(path, read_rates(path), cost, choice, confidence)
    else:
        name, options = pair_from(config)
        told = ", ".join(f"{key}={value}" for key, value in options.items() if value is not None)
        label = f"pair {name}" + f" ({told})" * bool(told)
        yield plan_pair({"pair": {"name": name, **options}}, label, make_pair(name, **options), cost, choice)


def _text(plan: Plan) -> str:
    """The table with what stands above and below it."""
    near = plan.is_near()
    rows = [
        {
            "": "*" if window == plan.best else "~" * bool(near[row]),
            "window": str(window),
            "tokens/call": f"{plan.tokens_per_call[row]:.4f}",
            "drafted/call": f"{plan.drafted_per_call[row]:.4g}",
            "time/token": f"{plan.time_per_token[row]:.5g}",
            "speed-up": f"{plan.speedup[row]:.4f}",
            **_interval(plan, row),
        }
        for row, window in enumerate(plan.windows.tolist())
    ]
    cost = f"cost: draft {plan.cost.draft:g}, target {plan.cost.target:g}"
    lines = [plan.label, cost, "", columns(rows), "", summary(plan), *plan.remarks]
    if plan.others:
        lines += ["", columns([_other_row(other) for other in plan.others])]
    return "\n".join(lines)


def _interval(plan: Plan, row: int) -> dict[str, str]:
    if plan.confidence is None:
        return {}
    told = f"{plan.low[row]:.4f} to {plan.high[row]:.4f}" if plan.windows[row] else ""
    return {f"{percent(plan.confidence)} interval": told}


def summary(plan: Plan) -> str:
    """The answer in a line."""
    drafted = plan.speedup[1:]
    if not drafted.size:
        return "do not draft: there is nothing to draft"
    if not plan.best:
        best = f"window {plan.windows[1 + drafted.argmax()]}, has speed-up {drafted.max():.4g}"
        return f"do not draft: the best of these, {best}, against 1 for the target alone"
    runs = [(max(first, 1), last) for first, last in plan.near if last]
    if runs == [(plan.best, plan.best)]:
        flat = f"no other window here is within {NEAR:.0%} of it"
    else:
        flat = f"windows {spelled_runs(runs)} are within {NEAR:.0%}"
    return f"best window {plan.best}: speed-up {plan.best_speedup:.4g}; {flat}"


def _other_row(other: dict) -> dict[str, str]:
    return {
        "rule": other["rule"],
        "setting": other["setting"],
        "time/token": f"{other['time_per_token']:.5g}",
        "speed-up": f"{other['speedup']:.4f}",
    }


def _document(plan: Plan) -> dict:
    """All numbers of a plan, fit for strict JSON."""
    near = plan.is_near()
    names = ("tokens_per_call", "drafted_per_call", "time_per_token", "speedup")
    rows = [
        {
            "window": window,
            **{name: float(getattr(plan, name)[row]) for name in names},
            **({} if plan.low is None else {"low": float(plan.low[row]), "high": float(plan.high[row])}),
            "near": bool(near[row]),
        }
        for row, window in enumerate(plan.windows.tolist())
    ]
    return plain(
        {
            **plan.source,
            **({} if plan.confidence is None else {"confidence": plan.confidence}),
            "cost": {"draft": plan.cost.draft, "target": plan.cost.target, "ratio": plan.cost.ratio},
            "best_window": plan.best,
            "best_speedup": plan.best_speedup,
            "within": NEAR,
            "near": [[max(first, 1), last] for first, last in plan.near if last] if plan.best else [],
            "windows": rows,
            "others": plan.others,
            "remarks": [summary(plan), *plan.remarks],
        }
    )


def _draw(plans: list[Plan], folder: Path, words: list[str]) -> list[Path]:
    """The picture of all plans and its table, named after the words: no plan overwrites another."""
    import pandas

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
    rows = [
        {"plan": plan.label, "cost_ratio": plan.cost.ratio, **row}
        for plan in plans
        for row in _document(plan)["windows"]
    ]
    table = pandas.DataFrame(rows)
    name = name_of(word for word in words if not word.startswith("output="))
    return save_figure(figure, folder, name, table, {"Command": shlex.join(["simlab", "plan", *words])})


def _short_labels(plans: list[Plan]) -> list[str]:
    """For a legend: the source, the options in which plans of one pair differ, and costs that differ."""
    options = [plan.source.get("pair", {}) for plan in plans]
    labels = []
    for plan, one in zip(plans, options, strict=True):
        label = f"pair {one['name']}" if one else plan.label
        alike = [other for other in options if other.get("name") == one.get("name")]
        told = [key for key in one if len({str(other.get(key)) for other in alike}) > 1]
        label += "".join(f", {key}={one[key]}" for key in told if one[key] is not None)
        if len({plan.cost.ratio for plan in plans}) > 1:
            label += f", draft/target cost {plan.cost.ratio:g}"
        labels.append(label)
    return labels
