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
USUAL = {
    engine: tuple(quote + name for quote in (b'"', b"'") for name in names)
    for engine, names in {"vLLM": [b"acceptance"], "SGLang": [b"spec_accept", b"spec_correct_drafts"]}.items()
}
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
        if self._feed_alike(piece):
            return
        text, found = piece.text, {}
        for match, begin, end in piece.objects(LIST):
            start = match.start()
            engine = _engine(text, start)
            if engine is None or piece.offset + start < self.read_to:
                continue  # the same request under another name
            self.read_to = piece.offset + end
            about = text[begin:end]
            keys, values = self.scalars.of(about, start - begin)
            proposed = PROPOSED.search(about) if b"proposed_drafts_histogram" in about else None
            group = found.setdefault((engine, keys, proposed is not None), [])
            group.append((match[1], proposed and proposed[1], *values))
        for (engine, keys, proposed), rows in found.items():
            histograms, proposals, *values = zip(*rows, strict=True)
            self._add(engine, keys, histograms, values, proposals if proposed else None)

    def _feed_alike(self, piece: Piece) -> bool:
        """Reads requests that are all written like the last one of the piece before; False if some are not.

        Every list of the piece is found by the one pattern, and all that can be a key is in what it found.
        """
        text, alike, word = piece.text, self.scalars.alike, self.word
        first, last = text.find(word, piece.first), text.rfind(word, 0, piece.last + len(word) - 1)
        if alike is None or not piece.first <= first <= last:
            return False
        begin, end = max(text.rfind(b"{", 0, first), 0), text.find(b"}", last)
        engine = _engine(text, first)
        if engine is None or end < 0 or piece.offset + first < self.read_to:
            return False
        many = text.count(word, begin, end)
        rows = self.scalars.same.findall(text, begin, end + 1)
        if len(rows) != many:
            rows = alike.findall(text, begin, end + 1)
        if len(rows) != many or _marks(text, begin, end) != many * self.scalars.marks:
            return False
        self.read_to = piece.offset + end
        columns = list(zip(*rows, strict=True)) if self.scalars.keys else [rows]
        histograms = columns.pop(self.scalars.before)
        self._add(engine, self.scalars.keys, histograms, columns, None)
        return True

    def _add(
        self, engine: str, keys: tuple, lists: tuple, values: list[tuple], proposed: tuple | None
    ) -> None:
        """Requests with the same scalars, as they are written: keys, and a tuple of the values of each."""
        found = {MEANING[key]: np.array(of, int) for key, of in zip(keys, values, strict=True)}
        histograms, sizes = _padded(lists)
        kept = histograms.any(axis=1)
        if not kept.any():
            return
        histograms, found = histograms[kept], {name: of[kept] for name, of in found.items()}
        calls, accepted = histograms.sum(axis=1), histograms @ np.arange(histograms.shape[1])
        drafted = found.get("drafted")
        if drafted is not None and (accepted > drafted).any():
            at = int((accepted > drafted).argmax())
            check_counts("a request", int(accepted[at]), int(drafted[at]))
        totals = self.engines.setdefault(
            engine, {"requests": 0, "histogram": [], "proposed": [], "odd": 0, "drafted": 0, "window": 0}
        )
        if proposed is not None and totals["proposed"] is not None:
            totals["proposed"] = padded_sum([totals["proposed"], _padded(proposed)[0][kept].sum(axis=0)])
        else:
            totals["proposed"] = None
        longest = int(sizes[kept].max())
        totals["requests"] += len(calls)
        totals["histogram"] = padded_sum([totals["histogram"], histograms.sum(axis=0)[:longest]])
        odd = (found.get("calls", calls) != calls) | (found.get("accepted", accepted) != accepted)
        totals["odd"] += int(odd.sum())
        window = int(found["window"].max()) if "window" in found else longest - 1
        totals["window"] = max(totals["window"], window)
        if totals["drafted"] is not None:
            totals["drafted"] = None if drafted is None else totals["drafted"] + int(drafted.sum())

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


def _engine(text: bytes, at: int) -> str | None:
    """Whose list this is, by its name, which ends there; None: of none."""
    for engine, names in USUAL.items():
        if text.endswith(names, 0, at):
            return engine
    name = NAME.search(text, max(at - 40, 0), at)
    return name and ("SGLang" if name[0][1:].startswith(b"spec_") else "vLLM")


def _marks(text: bytes, begin: int = 0, end: int | None = None) -> int:
    """How many words there are of which one stands in every key."""
    return text.count(b"num_", begin, end) + text.count(b"spec_", begin, end)


def _padded(lists: tuple[bytes, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of whole numbers as they are written, a row each, the missing ends 0; and their lengths."""
    sizes = np.array([one.count(b",") + 1 for one in lists])
    found = np.zeros((len(lists), sizes.max()), np.int64)
    found[np.arange(sizes.max()) < sizes[:, None]] = np.array(b",".join(lists).split(b","), int)
    return found, sizes


class _Scalars:
    """Finds what else is known of a request. Requests of one engine are written alike, so those with the
    keys of the one before in the same order are read by one pattern; any other is looked through.

    alike: reads a list and all keys where these stand without a brace in between; or None. same: the same,
    quicker, where all between them is written as in the request before, but for its values. before: how many
    of the keys stand before the list.
    """

    def __init__(self) -> None:
        self.keys: tuple[bytes, ...] = ()
        self.like: re.Pattern[bytes] | None = None
        self.alike: re.Pattern[bytes] | None = None
        self.same: re.Pattern[bytes] | None = None
        self.marks = -1
        self.before = 0

    def of(self, about: bytes, at: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The keys found and their values, as they are written; at: where the list's name ends."""
        marks = _marks(about)
        if marks == self.marks:
            match = self.like.search(about)
            if match:
                return self.keys, match.groups()
        found = dict(SCALAR.findall(about))
        self.keys, self.marks = tuple(found), marks
        parts = [rb"""["']""" + key + rb"""\\?["']\s*:\s*(\d{1,15})\s*[,}\]]""" for key in found]
        self.like = re.compile(rb"[\s\S]*?".join(parts))
        name, places = NAME.search(about, max(at - 40, 0), at), [*SCALAR.finditer(about)]
        self.alike = None
        if name and len(places) == len(found) and about.count(Histograms.word) == 1:
            begin, end = (pick([at, *(one.start(1) for one in places)]) for pick in (min, max))
            self.before = sum(one.start() < at for one in places)
            parts.insert(self.before, re.escape(name[0]) + LIST.pattern)
            if about.find(b"{", begin, end) < 0 and about.find(b"}", begin, end) < 0:
                self.alike = re.compile(rb"[^{}]*?".join(parts))
                self.same = _written_as(about, name.start(), LIST.match(about, at), places)
        return self.keys, tuple(found.values())


PART = re.compile(rb"""("[^"\\{}]*"\s*:)|("[^"\\{}]*")|(\[[^][{}"]*\])|([-+.\w]+)|[\s\S]""")
ANY = (rb'"[^"\\{}]*"', rb'\[[^][{}"]*\]', rb"[-+.\w]+")
"""Patterns of values: a string, a list, a number or word."""


def _written_as(
    about: bytes, name: int, histogram: re.Match[bytes], keys: list[re.Match[bytes]]
) -> re.Pattern[bytes]:
    """Reads the list, whose name begins at `name`, and the keys of requests written as this one."""
    values = [(name, histogram.span(1), rb"(\d{1,15}(?:, ?\d{1,15})*)")]
    values += [(key.start(), key.span(2), rb"(\d{1,15})") for key in keys]
    values.sort()
    pattern, done = b"", values[0][0]
    for _, (begin, end), value in values:
        for part in PART.finditer(about, done, begin):
            at = part.lastindex or 1
            pattern += re.escape(part[0]) if at == 1 else ANY[at - 2]
        pattern, done = pattern + value, end
    return re.compile(pattern + rb"(?=\s*[],}])")
