"""A traced trajectory as a figure: a timeline of its calls, or the trees and the walks through them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from simlab.cli.output.trajectory import Event, events, reading_of
from simlab.decoders import Decoder
from simlab.reference.trace import Call, Trajectory
from simlab.report.save import save_figure
from simlab.report.style import style
from simlab.report.timeline import Band, Box, draw_timeline
from simlab.report.walkplot import Walk, draw_walks


def write_figure(
    trajectory: Trajectory,
    decoder: Decoder,
    labels: Sequence[str],
    title: str,
    path: Path,
    command: str,
    further: Sequence[str] = (),
) -> list[Path]:
    """Write PNG, SVG and CSV, `path` with these endings; returns their paths. labels: (V,), of the tokens.

    further: formats of the picture besides, as `save_figure` takes them.
    """
    reading = reading_of(decoder)
    with style():
        if reading.walks:
            figure = draw_walks([_walk(at, call, labels) for at, call in _numbered(trajectory)], title)
        else:
            bands = [_band(at, call, labels, reading.children) for at, call in _numbered(trajectory)]
            kept = [one for one in events(trajectory) if one.outcome not in ("rejected", "thrown away")]
            text = [Box(one.position + 1, labels[one.token], one.outcome) for one in kept]
            figure = draw_timeline(bands, text, title, reading.rule)
    table = pandas.DataFrame([_csv_row(event, labels) for event in events(trajectory)])
    return save_figure(figure, path.parent, path.name, table, {"Command": command}, further)


def _numbered(trajectory: Trajectory):
    return enumerate(trajectory.calls, start=1)


def _band(number: int, call: Call, labels: Sequence[str], children: bool) -> Band:
    """A line for each draft that was tried, or each child; a drawn token stands behind, or below the one it
    replaces."""
    drafts: dict[int, list[Box]] = {}
    tried = {one.draft for one in call.drafted if one.coin is not None or children}
    for one in call.drafted:
        if one.draft in tried:
            box = Box(one.position + 1, labels[one.token], one.outcome, one.acceptance, one.coin)
            drafts.setdefault(one.draft, []).append(box)
    lines = list(drafts.values()) or [[]]
    if call.bonus:
        lines[0 if children else -1].append(Box(call.bonus.position + 1, labels[call.bonus.token], "bonus"))
    if call.replacement:
        box = Box(call.replacement.position + 1, labels[call.replacement.token], "replacement")
        lines.append([box])
    of = len({one.draft for one in call.drafted})
    note = f"{len(tried)} of {of} drafts tried" if of > 1 and not children else ""
    return Band(f"call {number}", call.position, labels[call.prefix], lines, note)


def _walk(number: int, call: Call, labels: Sequence[str]) -> Walk:
    return Walk(
        f"call {number}, position {call.position + 1}",
        labels[call.prefix],
        np.array([one.parent for one in call.drafted], int),
        [labels[one.token] for one in call.drafted],
        np.array([one.outcome == "accepted" for one in call.drafted], bool),
        labels[call.bonus.token] if call.bonus else None,
    )


def _csv_row(event: Event, labels: Sequence[str]) -> dict:
    one = event.drafted
    known = ("draft_probability", "target_probability", "acceptance", "coin", "running_ratio")
    return {
        "call": event.call,
        "draft": one.draft + 1 if one else None,
        "position": event.position + 1,
        "token": event.token,
        "label": labels[event.token],
        "outcome": event.outcome,
        **{name: getattr(one, name, None) for name in known},
        "parent": getattr(one, "parent", None),
        "drawn_with_probability": event.probability,
    }
