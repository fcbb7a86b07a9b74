"""Prometheus text: cumulative counters, one series for each engine, of vLLM and those that took its names."""

from __future__ import annotations

import re

import numpy as np

from simlab.errors import SimlabError
from simlab.planning.logs.identities import identities
from simlab.planning.logs.piece import Lines
from simlab.planning.logs.reading import Reading, check_counts, check_falling

SERIES = re.compile(
    rb"spec_decode_num_(drafts|draft_tokens|accepted_tokens_per_pos|accepted_tokens|emitted_tokens)(?:_total)?"
    rb"[ \t]*(\{[^{}\n]*\})?[ \t]+(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s|\Z)"
)
POSITION = re.compile(rb'\bpos(?:ition)?="(\d+)"')
OWNER = re.compile(rb"(\w+)[:_]$")


class Prometheus:
    """`vllm:spec_decode_num_drafts_total{engine="0",..} 87.0` and the like; scraped again, the last counts.

    A counter that falls was reset: what it had before is added. `_created` series, which are times, have
    another name and are not read.
    """

    words = (b"spec_decode_num_",)
    looked_for = "Prometheus text with spec_decode_num_drafts_total and the like"

    def __init__(self) -> None:
        self.now: dict[tuple, float] = {}
        self.before: dict[tuple, float] = {}
        self.owner = b"vllm"
        self.lines = 0

    def feed(self, lines: Lines) -> None:
        now = self.now
        for match in SERIES.finditer(lines.text):
            kind, labels, value = match.groups()
            key, value = (kind, labels or b""), float(value)
            old = now.get(key)
            if old is None:
                if owner := OWNER.search(lines.text, max(match.start() - 20, 0), match.start()):
                    self.owner = owner[1]
            elif value < old:
                self.before[key] = self.before.get(key, 0.0) + old
            now[key] = value
            self.lines += 1

    def readings(self) -> list[Reading]:
        counts: dict[bytes, int] = {}
        by_position: dict[int, int] = {}
        for key, value in self.now.items():
            kind, labels = key
            total = value + self.before.get(key, 0.0)
            if total != int(total):
                raise SimlabError(f"spec_decode_num_{kind.decode()} = {total:g}: not a whole number")
            if kind == b"accepted_tokens_per_pos":
                if position := POSITION.search(labels):
                    at = int(position[1])
                    by_position[at] = by_position.get(at, 0) + int(total)
            else:
                counts[kind] = counts.get(kind, 0) + int(total)
        accepted, drafted, calls = (
            counts.get(kind) for kind in (b"accepted_tokens", b"draft_tokens", b"drafts")
        )
        if not drafted and not by_position:
            return []
        check_counts("the counters", accepted, drafted)
        engine = {b"vllm": "vLLM", b"llamacpp": "llama.cpp"}.get(self.owner, self.owner.decode())
        origin = "series of Prometheus text, engines added"
        if not by_position or not calls:
            return [Reading(engine, origin, self.lines, calls, drafted, accepted, **_length(calls, accepted))]
        row = np.array([by_position.get(at, 0) for at in range(max(by_position) + 1)], np.int64)
        check_falling("the counters", np.concatenate([[calls], row]))
        reading = Reading(
            engine, origin, self.lines, calls, drafted, int(row.sum()) if accepted is None else accepted,
            window=len(row), by_position=row, low=row, high=row,
        )  # fmt: skip
        return [identities(reading)]


def _length(calls: int | None, accepted: int | None) -> dict:
    return {"length": 1 + accepted / calls} if calls and accepted is not None else {}
