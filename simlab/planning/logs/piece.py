"""A piece of a log's text, and out of it the few lines that can have a statistic.

Most of a log is about other things. GATES are bytes one of which stands in every line with a statistic; they
are found at the speed of memory, and only those lines, each with the next BLOCK bytes or so, are looked at
closely: where every line has a statistic, taking lines one by one would take longer than reading them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MARGIN = 2**16
"""Bytes of text on both sides of what is looked for: no record is longer."""

BLOCK = 2**12
GATES = (b"accept", b"draft", b"eval time")
PARTS = (*GATES, b"acceptance", b"acceptance ")
NEEDED = {
    b"eval time": b"=",
    b"draft acceptance": b"=",
    b"#gen drafts": b"=",
    b"n_draft": b"=",
    b"n_drafted": b"=",
    b"SpecDecoding metrics": b"acceptance ",
    b"Speculative metrics: ": b"acceptance ",
}
"""What stands in every line that has a statistic behind one of these words: to look for a word that is not
there takes as long as all else, and JSON has no equals sign and no space behind these."""
COLOUR = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Lines:
    """Lines with a gate, and some beside them, in their order, without terminal colours. whole: the last
    one's end is there."""

    text: bytes
    whole: bool
    parts: dict[bytes, bool] = field(default_factory=dict)

    def has(self, word: bytes) -> bool:
        """Whether the word is there; not looked for where a part of it, or what it needs, is not."""
        for part in (*PARTS, b"="):
            if part in word or part == NEEDED.get(word):
                if part not in self.parts:
                    self.parts[part] = self.text.find(part) >= 0
                if not self.parts[part]:
                    return False
        return self.text.find(word) >= 0

    def split(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[bytes, bool]]:
        """Each line in which the pattern is found, and whether its end is there."""
        end = -1
        for match in pattern.finditer(self.text):
            if match.start() >= end:
                begin = self.text.rfind(b"\n", 0, match.start()) + 1
                end = self.text.find(b"\n", match.end())
                end = end if end >= 0 else len(self.text)
                yield self.text[begin:end], end < len(self.text) or self.whole


@dataclass(frozen=True)
class Piece:
    """What begins in text[first:last] is read from this piece, the rest is there to be looked at.

    offset: of text[0] in the log. ended: the log ends with this piece.
    """

    text: bytes
    first: int
    last: int
    offset: int
    ended: bool

    def lines(self, read_to: int) -> tuple[Lines, int]:
        """The lines with a gate from offset `read_to` of the log on, and to where they are now read."""
        text = self.text
        found = {
            gate: text.find(gate, self.first) if text.find(NEEDED.get(gate, gate), self.first) >= 0 else -1
            for gate in GATES
        }
        parts = {gate: at >= 0 for gate, at in found.items()}
        at, spans = max(self.first, read_to - self.offset), []
        while True:
            for gate, place in found.items():
                if 0 <= place < at:
                    found[gate] = text.find(gate, at)
            place = min((place for place in found.values() if place >= 0), default=self.last)
            if place >= self.last:
                break
            begin = max(text.rfind(b"\n", max(place - MARGIN, 0), place) + 1, place - MARGIN)
            begin = max(begin, spans[-1][1] if spans else read_to - self.offset, 0)
            at = self._line_end(self._line_end(place, place), place)
            at = max(at, text.rfind(b"\n", at, min(place + BLOCK, self.last)) + 1)
            if spans and begin == spans[-1][1]:
                spans[-1][1] = at
            else:
                spans.append([begin, at])
        picked = b"".join(text[begin:end] for begin, end in spans)
        if b"\x1b" in picked:
            picked = COLOUR.sub(b"", picked)
        return Lines(picked, picked.endswith(b"\n"), parts), max(read_to, self.offset + at)

    def _line_end(self, at: int, place: int) -> int:
        """Behind the end of the line at `at`, at most MARGIN behind `place`."""
        end = self.text.find(b"\n", at, place + MARGIN)
        return end + 1 if end >= 0 else min(place + MARGIN, len(self.text))

    def objects(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], int, int]]:
        """Each match with where the innermost braces about it begin and end, or its line without them."""
        for match in pattern.finditer(self.text, self.first):
            if match.start() >= self.last:
                return
            yield match, *_braces(self.text, match.start(), match.end())


def _braces(text: bytes, begin: int, end: int) -> tuple[int, int]:
    least, most = max(begin - MARGIN, 0), min(end + MARGIN, len(text))
    first, last = text.rfind(b"{", least, begin), text.find(b"}", end, most)
    if 0 <= first and 0 <= last and text.find(b"}", first, begin) < 0 and text.find(b"{", end, last) < 0:
        return first, last + 1  # no braces within: most requests are so
    first, last = _opening(text, least, begin), _closing(text, end, most)
    if first is None or last is None:
        last = text.find(b"\n", end, most)
        return max(text.rfind(b"\n", least, begin), least), last if last >= 0 else most
    return first, last


def _opening(text: bytes, least: int, at: int) -> int | None:
    """Where the braces that are open at a place open."""
    depth = 0
    while (brace := text.rfind(b"{", least, at)) >= 0:
        depth += text.count(b"}", brace, at)
        if not depth:
            return brace
        depth, at = depth - 1, brace
    return None


def _closing(text: bytes, at: int, most: int) -> int | None:
    """Behind where the braces that are open at a place close."""
    depth = 0
    while (brace := text.find(b"}", at, most)) >= 0:
        depth += text.count(b"{", at, brace)
        if not depth:
            return brace + 1
        depth, at = depth - 1, brace + 1
    return None
