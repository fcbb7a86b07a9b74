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

HEADS = re.compile(rb"""accepted_tokens_per_head\\?["']?\s*[:=]\s*\[([\d,\s]+)\]""")
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
        for match, begin, _ in piece.objects(HEADS):
            heads = [int(number) for number in match[1].split(b",") if number.strip()]
            if not heads or not heads[0]:
                continue
            check_falling("accepted_tokens_per_head", np.array(heads))
            before = piece.text[begin : match.start()]
            found = ([*pattern.finditer(before)][-1:] for pattern in (ALL, REJECTED))
            self._add(heads, *(int(last[0][1]) if last else None for last in found))

    def _add(self, heads: list[int], accepted: int | None, rejected: int | None) -> None:
        self.requests += 1
        self.heads = padded_sum([self.heads, heads])
        self.odd += accepted is not None and accepted != sum(heads)
        if accepted is None or rejected is None:
            self.drafted = None
        elif self.drafted is not None:
            self.drafted += accepted + rejected - heads[0]

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
