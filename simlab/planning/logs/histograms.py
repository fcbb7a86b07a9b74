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

WHOLE_NUMBERS = rb"\s*\d{1,15}(?:\s*,\s*\d{1,15})*\s*"
LIST = re.compile(rb"""_histogram\\?["']\s*:\s*\[(""" + WHOLE_NUMBERS + rb""")\]""")
USUAL = tuple(
    quote + name for quote in (b'"', b"'") for name in (b"acceptance", b"spec_accept", b"spec_correct_drafts")
)
NAME = re.compile(rb"""["'](?:spec_)?(accept\w*|correct_drafts)$""")
PROPOSED = re.compile(rb"""proposed_drafts_histogram\\?["']\s*:\s*\[(""" + WHOLE_NUMBERS + rb""")\]""")
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
SCALAR = re.compile(rb"""["'](""" + b"|".join(MEANING) + rb""")\\?["']\s*:\s*(\d{1,15})\s*[,}\]]""")


class Histograms:
    """`"acceptance_histogram": [39, 1, 0, 3]`, and `spec_correct_drafts_histogram` of SGLang."""

    word = b"_histogram"
    looked_for = (
        "JSON with acceptance_histogram or spec_correct_drafts_histogram (vLLM, SGLang, TensorRT-LLM)"
    )

    def __init__(self) -> None:
        self.engines: dict[str, dict] = {}
        self.read_to = -1
        self.scalars = _Scalars()

    def feed(self, piece: Piece) -> None:
        text, found = piece.text, {}
        for match, begin, end in piece.objects(LIST):
            start = match.start()
            if not text.endswith(USUAL, 0, start) and not NAME.search(text, max(start - 40, 0), start):
                continue
            if piece.offset + start < self.read_to:
                continue  # the same request under another name
            self.read_to = piece.offset + end
            about = text[begin:end]
            keys, values = self.scalars.of(about)
            proposed = PROPOSED.search(about) if b"proposed_drafts_histogram" in about else None
            engine = "SGLang" if text.rfind(b"spec_", max(start - 40, 0), start) >= 0 else "vLLM"
            group = found.setdefault((engine, keys, proposed is not None), [])
            group.append((match[1], proposed and proposed[1], *values))
        for (engine, keys, proposed), rows in found.items():
            histograms, proposals, *values = zip(*rows, strict=True)
            columns = {MEANING[key]: np.array(of, int) for key, of in zip(keys, values, strict=True)}
            self._add(engine, _padded(histograms), _padded(proposals) if proposed else None, columns)

    def _add(self, engine: str, histograms: np.ndarray, proposals: np.ndarray | None, found: dict) -> None:
        """Requests with the same scalars: histograms (n, K + 1), found (n,) by meaning."""
        calls, accepted = histograms.sum(axis=1), histograms @ np.arange(histograms.shape[1])
        if not calls.any():
            return
        kept = calls > 0
        drafted = found.get("drafted")
        if drafted is not None and (kept & (accepted > drafted)).any():
            at = int((kept & (accepted > drafted)).argmax())
            check_counts("a request", int(accepted[at]), int(drafted[at]))
        totals = self.engines.setdefault(
            engine, {"requests": 0, "histogram": [], "proposed": [], "odd": 0, "drafted": 0, "window": 0}
        )
        if proposals is not None and totals["proposed"] is not None:
            totals["proposed"] = padded_sum([totals["proposed"], proposals[kept].sum(axis=0)])
        else:
            totals["proposed"] = None
        totals["requests"] += int(kept.sum())
        totals["histogram"] = padded_sum([totals["histogram"], histograms.sum(axis=0)])
        odd = (found.get("calls", calls) != calls) | (found.get("accepted", accepted) != accepted)
        totals["odd"] += int((odd & kept).sum())
        window = found["window"][kept].max() if "window" in found else histograms.shape[1] - 1
        totals["window"] = max(totals["window"], int(window))
        if totals["drafted"] is not None:
            totals["drafted"] = None if drafted is None else totals["drafted"] + int(drafted[kept].sum())

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


def _padded(lists: tuple[bytes, ...]) -> np.ndarray:
    """Lists of whole numbers as they are written, a row each; the ends of the shorter ones are 0."""
    sizes = np.array([one.count(b",") + 1 for one in lists])
    found = np.zeros((len(lists), sizes.max()), np.int64)
    found[np.arange(sizes.max()) < sizes[:, None]] = np.array(b",".join(lists).split(b","), int)
    return found


class _Scalars:
    """Finds what else is known of a request. Requests of one engine are written alike, so those with the
    keys of the one before in the same order are read by one pattern; any other is looked through.
    """

    def __init__(self) -> None:
        self.keys: tuple[bytes, ...] = ()
        self.like: re.Pattern[bytes] | None = None
        self.marks = -1

    def of(self, about: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The keys found and their values, as they are written."""
        marks = about.count(b"num_") + about.count(b"spec_")  # one stands in every key
        if marks == self.marks:
            match = self.like.search(about)
            if match:
                return self.keys, match.groups()
        found = dict(SCALAR.findall(about))
        self.keys, self.marks = tuple(found), marks
        parts = (rb"""["']""" + key + rb"""\\?["']\s*:\s*(\d{1,15})\s*[,}\]]""" for key in found)
        self.like = re.compile(rb"[\s\S]*?".join(parts))
        return self.keys, tuple(found.values())
