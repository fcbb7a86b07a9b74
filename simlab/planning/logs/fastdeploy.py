"""FastDeploy's lines by request: `accepted_tokens_per_head: [N, A_1, A_2, ..]`.

accept_ratio_per_head beside it is conditional, A_i/A_(i-1), and accepted_tokens and accept_ratio count the
target's token of every call as accepted: neither is what other engines call by these names.
"""

from __future__ import annotations

import re

import numpy as np

from simlab.planning.logs.identities import identities
from simlab.planning.logs.piece import Piece
from simlab.planning.logs.reading import Reading, check_falling, padded_sum

USUAL = re.compile(
    rb"\baccepted_tokens: (\d{1,15}), [^\n{}]{0,99}?\brejected_tokens: (\d{1,15}), [^\n{}]{0,400}?"
    rb"accepted_tokens_per_head: \[(\d+(?:, ?\d+)*)\]"
)
"""FastDeploy's own order, which is read without a look at each line."""

HEADS = re.compile(rb"""accepted_tokens_per_head\\?["']?\s*[:=]\s*\[(\s*\d+(?:\s*,\s*\d+)*[\s,]*)\]""")
ALL = re.compile(rb"""\baccepted_tokens\\?["']?\s*[:=]\s*(\d+)""")
REJECTED = re.compile(rb"""\brejected_tokens\\?["']?\s*[:=]\s*(\d+)""")


class Heads:
    """`req_id: .., accepted_tokens: 162, .., accepted_tokens_per_head: [79, 51, 23, 9], ..`."""

    word = b"accepted_tokens_per_head"
    looked_for = "FastDeploy's 'accepted_tokens_per_head: [..]'"

    def __init__(self) -> None:
        self.requests = 0
        self.heads = np.zeros(0, np.int64)
        self.drafted: int | None = 0
        self.odd = 0

    def feed(self, piece: Piece) -> None:
        rows = self._usual(piece)
        if rows is None:
            rows = []
            for match, begin, _ in piece.objects(HEADS):
                before = piece.text[begin : match.start()]
                found = ([*pattern.finditer(before)][-1:] for pattern in (ALL, REJECTED))
                rows.append((*(last[0][1] if last else None for last in found), match[1].strip(b", \t\r\n")))
        by_positions: dict[int, list] = {}
        for row in rows:
            by_positions.setdefault(row[2].count(b","), []).append(row)
        for of_length in by_positions.values():
            accepted, rejected, lists = zip(*of_length, strict=True)
            self._add(accepted, rejected, lists=lists)

    def _usual(self, piece: Piece) -> list[tuple[bytes, ...]] | None:
        """(accepted, rejected, heads) of each request, where all are written in FastDeploy's own order."""
        text, word = piece.text, self.word
        first, last = text.find(word, piece.first), text.rfind(word, 0, piece.last + len(word) - 1)
        if not piece.first <= first <= last:
            return []
        begin, end = text.rfind(b"\n", 0, first) + 1, text.find(b"]", last)
        if end < 0 or text.find(b"{", begin, end) >= 0:
            return None
        rows = USUAL.findall(text, begin, end + 1)
        return rows if len(rows) == text.count(word, begin, end) else None

    def _add(self, *said: tuple[bytes | None, ...], lists: tuple[bytes, ...]) -> None:
        """Requests with as many heads each, lists; said: what is accepted and what rejected, None: not said.

        All as they are written.
        """
        heads = np.array(b",".join(lists).split(b","), np.int64).reshape(len(lists), -1)
        kept = heads[:, 0] > 0
        heads = heads[kept]
        rises = (np.diff(heads, axis=1) > 0).any(axis=1)
        if rises.any():
            check_falling("accepted_tokens_per_head", heads[int(rises.argmax())])
        totals = heads.sum(axis=1)
        self.requests += len(heads)
        self.heads = padded_sum([self.heads, heads.sum(axis=0)])
        counts = [np.array([-1 if one is None else one for one in of], np.int64)[kept] for of in said]
        self.odd += int(((counts[0] >= 0) & (counts[0] != totals)).sum())
        if any((of < 0).any() for of in counts):
            self.drafted = None
        elif self.drafted is not None:
            self.drafted += int((counts[0] + counts[1] - heads[:, 0]).sum())

    def readings(self) -> list[Reading]:
        if not self.requests or len(self.heads) < 2:
            return []
        calls, row = int(self.heads[0]), self.heads[1:]
        notes = (f"{self.odd} requests have other accepted_tokens than their heads sum to",) * bool(self.odd)
        reading = Reading(
            "FastDeploy", "requests", self.requests, calls, self.drafted, int(row.sum()), len(row),
            by_position=row, low=row, high=row, notes=notes,
        )  # fmt: skip
        return [identities(reading)]
