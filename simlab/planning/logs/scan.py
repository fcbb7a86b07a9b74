"""A log read once, in constant memory: every format sees what has one of its words."""

from __future__ import annotations

from collections.abc import Iterator

from simlab.errors import SimlabError
from simlab.planning.logs.formats import LINE_FORMATS, OBJECT_FORMATS
from simlab.planning.logs.piece import MARGIN, Piece
from simlab.planning.logs.reading import Reading
from simlab.planning.logs.stream import chunks


def read_log(name) -> list[Reading]:
    """What the log says, one reading for each engine and kind of line, those with the most to say first.

    name: a path, or - for standard input. Raises SimlabError for a log that cannot be read, that has none
    of the statistics looked for, or whose numbers contradict each other.
    """
    name = str(name)
    of_lines, of_objects = ([make() for make in formats] for formats in (LINE_FORMATS, OBJECT_FORMATS))
    read_to = 0
    try:
        for piece in pieces(chunks(name)):
            lines, read_to = piece.lines(read_to)
            if not any(lines.parts.values()):
                continue
            for one in of_objects:
                if piece.text.find(one.word, piece.first) >= 0:
                    one.feed(piece)
            for one in of_lines:
                if any(lines.has(word) for word in one.words):
                    one.feed(lines)
        readings = [reading for one in (*of_objects, *of_lines) for reading in one.readings()]
    except SimlabError as error:
        raise error if str(error).startswith((name, "log:")) else SimlabError(f"{name}: {error}") from error
    if not readings:
        looked_for = "; ".join(one.looked_for for one in (*of_objects, *of_lines))
        raise SimlabError(f"{name}: no statistic of speculative decoding found. Looked for {looked_for}")
    return sorted(readings, key=lambda reading: reading.worth, reverse=True)


def pieces(texts: Iterator[bytes]) -> Iterator[Piece]:
    """The text in pieces that overlap by MARGIN on both sides, so that each place is read from one."""
    text, first, offset = b"", 0, 0
    for more in texts:
        text += more
        last = len(text) - MARGIN
        if last <= first + MARGIN:
            continue  # a pipe gives little at a time
        yield Piece(text, first, last, offset, False)
        cut = max(last - MARGIN, 0)
        text, first, offset = text[cut:], last - cut, offset + cut
    if len(text) > first:
        yield Piece(text, first, len(text), offset, True)
