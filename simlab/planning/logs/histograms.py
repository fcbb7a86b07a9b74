"""Histograms of accepted tokens by request, in JSON, JSON lines or what Python prints of them.

Entry j of a histogram counts the calls that accepted exactly j drafted tokens, so that A_i is the sum of the
entries from i on. The lists are found by their name, under any key and in any text; what else is known of a
request is looked for in the braces about it.
"""

from __future__ import annotations

import re

import numpy as np

from simlab.planning.logs.identities import identities
from simlab.planning.logs.piece import Piece
from simlab.planning.logs.reading import Reading, check_counts, padded_sum

LIST = re.compile(rb"""_histogram\\?["']\s*:\s*\[([\s\d,]*)\]""")
NAME = re.compile(rb"""["'](?:spec_)?(accept\w*|correct_drafts)$""")
PROPOSED = re.compile(rb"""proposed_drafts_histogram\\?["']\s*:\s*\[([\s\d,]*)\]""")
SCALARS = {
    "calls": ("num_spec_steps", "spec_verify_ct"),
    "drafted": (
        "num_draft_tokens",
        "spec_num_proposed_drafts",
        "spec_proposed_drafts",
        "spec_draft_token_num",
    ),
    "accepted": ("num_accepted_draft_tokens", "spec_num_correct_drafts", "spec_accepted_drafts"),
    "window": ("num_spec_tokens",),
}
MEANING = {key.encode(): name for name, keys in SCALARS.items() for key in keys}
SCALAR = re.compile(rb"""["'](""" + b"|".join(MEANING) + rb""")\\?["']\s*:\s*(\d+)\s*[,}\]]""")


class Histograms:
    """`"acceptance_histogram": [39, 1, 0, 3]`, and `spec_correct_drafts_histogram` of SGLang."""

    word = b"_histogram"
    looked_for = (
        "JSON with acceptance_histogram or spec_correct_drafts_histogram (vLLM, SGLang, TensorRT-LLM)"
    )

    def __init__(self) -> None:
        self.engines: dict[str, dict] = {}
        self.read_to = -1

    def feed(self, piece: Piece) -> None:
        for match, begin, end in piece.objects(LIST):
            name = NAME.search(piece.text, max(match.start() - 40, 0), match.start())
            if name is None or piece.offset + match.start() < self.read_to:
                continue  # the same request under another name
            self.read_to = piece.offset + end
            engine = "SGLang" if piece.text[name.start() + 1 : name.start() + 6] == b"spec_" else "vLLM"
            self._add(engine, _whole_numbers(match[1]), piece.text[begin:end])

    def _add(self, engine: str, histogram: list[int], about: bytes) -> None:
        if not sum(histogram):
            return
        found = {MEANING[key]: int(value) for key, value in SCALAR.findall(about)}
        totals = self.engines.setdefault(
            engine, {"requests": 0, "histogram": [], "proposed": [], "odd": 0, "drafted": 0, "window": 0}
        )
        calls, accepted = sum(histogram), sum(at * count for at, count in enumerate(histogram))
        check_counts("a request", accepted, found.get("drafted"))
        proposed = PROPOSED.search(about)
        if proposed and totals["proposed"] is not None:
            totals["proposed"] = _added(totals["proposed"], _whole_numbers(proposed[1]))
        else:
            totals["proposed"] = None
        totals["requests"] += 1
        totals["histogram"] = _added(totals["histogram"], histogram)
        totals["odd"] += found.get("calls", calls) != calls or found.get("accepted", accepted) != accepted
        totals["window"] = max(totals["window"], found.get("window", len(histogram) - 1))
        if totals["drafted"] is not None:
            known = found.get("drafted")
            totals["drafted"] = None if known is None else totals["drafted"] + known

    def readings(self) -> list[Reading]:
        return [self._reading(engine, **totals) for engine, totals in self.engines.items()]

    def _reading(self, engine, requests, histogram, proposed, odd, drafted, window) -> Reading:
        window = max(window, len(histogram) - 1, 1)
        by_position = at_least(padded_sum([histogram, [0] * (window + 1)]))
        by_drafted = None
        if proposed is not None and sum(proposed) == sum(histogram) and len(proposed) > 1:
            by_drafted = at_least(padded_sum([proposed, [0] * (window + 1)]))[:window]
        reading = Reading(
            engine, "requests with a histogram", requests, calls=int(sum(histogram)), drafted=drafted,
            accepted=int(by_position.sum()), window=window, by_position=by_position, low=by_position,
            high=by_position, drafted_by_position=by_drafted,
            notes=(f"{odd} requests count other calls or accepted tokens than their histogram",) * bool(odd),
        )  # fmt: skip
        return identities(reading)


def at_least(histogram: np.ndarray) -> np.ndarray:
    """A_i, (K,), of entries 0 to K: the calls with at least i accepted."""
    return np.cumsum(histogram[::-1])[::-1][1:].astype(np.int64)


def _added(total: list[int], row: list[int]) -> list[int]:
    """The sum of lists of different lengths; NumPy would take longer for lists as short as these."""
    longer, shorter = (total, row) if len(total) >= len(row) else (row, total)
    return [a + b for a, b in zip(longer, shorter, strict=False)] + longer[len(shorter) :]


def _whole_numbers(text: bytes) -> list[int]:
    return [int(number) for number in text.split(b",") if number.strip()]
