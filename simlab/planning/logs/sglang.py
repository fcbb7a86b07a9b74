"""SGLang's lines `accept len: x, accept rate: y`, in both of their eras.

x is (A + N)/N. To spring 2026 y was x over the number of draft tokens n, which counts the root; since then
(sgl-project/sglang#23530) it is (x - 1)/(n - 1). Which one, and n, is told by what fits the most lines. A
line is the mean of an interval of forward passes, whose calls are as many as the requests that ran: its
weight.
"""

from __future__ import annotations

import re
from collections import Counter

from simlab.planning.logs.piece import Lines
from simlab.planning.logs.reading import Reading

LINE = re.compile(rb"accept len: (\d+\.\d\d?)(?:, accept rate: (\d+\.\d\d))?(?=[,\s]|\Z)")
USUAL = re.compile(
    rb"#running-req: (\d+)[^\n]{1,400}?accept len: (\d+\.\d\d), accept rate: (\d+\.\d\d)(?=[,\s])"
)
"""A whole line as SGLang writes it, which is read without a look at what is beside it."""
RUNNING = b"#running-req: "
NUMBER = re.compile(rb"\d+")
NEAR = 400
LONGEST = 64
HALF = 0.005


class DecodeLines:
    """`Decode batch. #running-req: 1, .., accept len: 2.17, accept rate: 0.54, ..`."""

    words = (b"accept len: ",)
    looked_for = "SGLang's lines 'accept len: .., accept rate: ..'"

    def __init__(self) -> None:
        self.weights: Counter = Counter()
        self.lines = 0

    def feed(self, lines: Lines) -> None:
        text, weights = lines.text, self.weights
        usual = USUAL.findall(text)
        if len(usual) == text.count(self.words[0]):
            for running, length, rate in usual:
                weights[length, rate] += int(running)
            self.lines += len(usual)
            return
        for match in LINE.finditer(text):
            if match[2] is None and self.lines and not lines.whole and text.find(b"\n", match.end()) < 0:
                break  # the log ends in the middle of a line
            at = text.rfind(RUNNING, max(match.start() - NEAR, 0), match.start())
            running = 1
            if at >= 0 and text.find(b"\n", at, match.start()) < 0:
                running = int(NUMBER.match(text, at + len(RUNNING))[0])
            weights[match[1], match[2]] += running
            self.lines += 1

    def readings(self) -> list[Reading]:
        if not self.lines:
            return []
        pairs = [
            (float(length), None if rate is None else float(rate), weight)
            for (length, rate), weight in self.weights.items()
        ]
        total = sum(weight for _, _, weight in pairs)
        if not total:
            return []
        length = sum(length * weight for length, _, weight in pairs) / total
        notes = [
            "lines are weighted by the requests that ran; SGLang logs no counts, so there are no intervals"
        ]
        window, identity = _window(pairs)
        if window:
            length = min(max(length, 1.0), window + 1.0)
            notes.append("drafts are taken for chains of that window; a tree (topk above 1) has more tokens")
        return [
            Reading(
                "SGLang", "log lines", self.lines, window=window, length=length, identities=(identity,),
                notes=tuple(notes),
            )
        ]  # fmt: skip


def _window(pairs: list[tuple[float, float | None, int]]) -> tuple[int | None, str]:
    """The window that fits the most lines, and by which era's formula, in words."""
    rated = [(length, rate, weight) for length, rate, weight in pairs if rate is not None]
    if not rated:
        return None, "accept rate is not printed: the window is not known"
    total = sum(weight for *_, weight in rated)
    votes = {}
    for tokens in range(2, LONGEST + 2):
        for era, gained, slots in (("old", 0, tokens), ("new", 1, tokens - 1)):
            slack = HALF / slots + HALF + 1e-9
            votes[era, tokens] = sum(
                weight
                for length, rate, weight in rated
                if length <= tokens + HALF and abs((length - gained) / slots - rate) <= slack
            )
    most = max(votes.values())
    best = [key for key, vote in votes.items() if vote == most]
    era, tokens = best[0]
    formula = {"old": "x/n, SGLang to spring 2026", "new": "(x - 1)/(n - 1), SGLang since spring 2026"}[era]
    share = 100 * most / total
    line = f"accept rate = {formula}, with n = {tokens} draft tokens, fits {share:.3g}% of the lines"
    if len(best) > 1:
        others = ", ".join(f"n = {tokens} ({era} formula)" for era, tokens in best[1:4])
        return (tokens - 1 if len({tokens for _, tokens in best}) == 1 else None), f"{line}; so does {others}"
    return tokens - 1, line
