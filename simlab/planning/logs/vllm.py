"""The log lines of vLLM, and of LMDeploy, which has the same fields in another order.

Since v1 a line an interval, its counters reset: intervals are added. Before (v0) cumulative counters of one
process: the last line counts, and one before a restart, where they fall.
"""

from __future__ import annotations

import re

from simlab.planning.logs.identities import identities
from simlab.planning.logs.piece import Lines
from simlab.planning.logs.positions import RateLines
from simlab.planning.logs.reading import Reading, check_counts

RATES = rb"\d*\.\d+(?:\s*,\s*\d*\.\d+)*"
USUAL = re.compile(
    rb"Mean acceptance length: (\d+\.\d+), (?:Accepted throughput: [\d.]+ tokens/s, Drafted throughput: "
    rb"[\d.]+ tokens/s, )?Accepted: (\d+) tokens, Drafted: ([1-9]\d*) tokens, Per-position acceptance rate: ("
    + RATES + rb"), Avg Draft acceptance rate: \d+\.\d+%"
)  # fmt: skip
"""vLLM's own order, which is read without a look at each line."""

LINE = re.compile(rb"SpecDecoding metrics|[Pp]er-position acceptance rate")
LENGTH = re.compile(rb"[Mm]ean acceptance length\s*[:=]\s*(\d+\.\d+)")
ACCEPTED = re.compile(rb"[ ,:]Accepted\s*[:=]\s*(\d+)(?= |,|$)")
DRAFTED = re.compile(rb"[ ,:]Drafted\s*[:=]\s*(\d+)(?= |,|$)")
BY_POSITION = re.compile(
    rb"[Pp]er-position acceptance rate\s*[:=]\s*[\[(]?\s*(" + RATES + rb")[\])]?(,\s*[A-Za-z])?"
)
ENDED = re.compile(rb"rate\s*[:=]\s*\d+\.\d+%")


class IntervalLines:
    """`SpecDecoding metrics: Mean acceptance length: .., Accepted: .., Drafted: .., Per-position ..`."""

    words = (b"er-position acceptance rate", b"SpecDecoding metrics")
    looked_for = "vLLM's and LMDeploy's lines 'Mean acceptance length: .., Per-position acceptance rate: ..'"

    def __init__(self) -> None:
        self.rows = RateLines()
        self.totals = [0, 0, 0]
        self.engine = "vLLM"

    def feed(self, lines: Lines) -> None:
        usual = USUAL.findall(lines.text)
        if len(usual) == sum(lines.text.count(word) for word in self.words) / 2:
            self.rows.add(usual)
            return
        for line, whole in lines.split(LINE):
            accepted, drafted = ACCEPTED.search(line), DRAFTED.search(line)
            if accepted and drafted and int(drafted[1]):
                self._add(line, accepted[1], drafted[1], whole)

    def _add(self, line: bytes, accepted: bytes, drafted: bytes, whole: bool) -> None:
        rates, length = BY_POSITION.search(line), LENGTH.search(line)
        if b"lmdeploy" in line:
            self.engine = "LMDeploy"
        if rates is None:
            if whole or ENDED.search(line):
                check_counts("a line of vLLM", int(accepted), int(drafted))
                new = (1, int(accepted), int(drafted))
                self.totals = [total + count for total, count in zip(self.totals, new, strict=True)]
        elif whole or rates[2] or _fits(rates[1], length):  # not torn in the middle of its rates
            self.rows.add([(length[1] if length else b"", accepted, drafted, rates[1])])

    def readings(self) -> list[Reading]:
        found = rate_readings(self.engine, "log lines", self.rows)
        lines, accepted, drafted = self.totals
        if lines and not found:
            found.append(
                Reading("vLLM", "log lines without positions", lines, accepted=accepted, drafted=drafted)
            )
        return found


def _fits(rates: bytes, length: re.Match[bytes] | None) -> bool:
    """Whether all rates of the line are there: as many digits each, and the length is 1 + their sum."""
    shown = rates.replace(b" ", b"").split(b",")
    values = [float(rate) for rate in shown]
    whole = length is not None and len({len(rate) for rate in shown}) == 1
    return whole and abs(1 + sum(values) - float(length[1])) <= 0.005 + 0.0006 * len(values)


def rate_readings(engine: str, origin: str, rows: RateLines, **more) -> list[Reading]:
    """What lines with rates by position come to, one reading for each window that they have."""
    return [
        identities(
            Reading(
                engine=engine, origin=origin, lines=sums.lines, calls=sums.calls, drafted=sums.drafted,
                accepted=sums.accepted, window=positions, by_position=sums.point, low=sums.low,
                high=sums.high, **more,
            ),
            sums,
        )
        for positions, sums in rows.settled().items()
    ]  # fmt: skip


OLD = re.compile(
    rb"Speculative metrics: Draft acceptance rate: (\d*\.?\d+), (?:System efficiency: (\d*\.?\d+), )?"
    rb"(?:Number of speculative tokens: (\d+), )?Number of accepted tokens(?: tokens)?: (\d+), "
    rb"Number of draft tokens(?: tokens)?: (\d+)(?:, Number of emitted tokens(?: tokens)?: (\d+)\.|, |\.)"
)


class CumulativeLines:
    """`Speculative metrics: .., Number of speculative tokens: k, .., Number of emitted tokens: E.`"""

    words = (b"Speculative metrics: ",)
    looked_for = "vLLM v0's lines 'Speculative metrics: .., Number of emitted tokens: ..'"

    def __init__(self) -> None:
        self.lines = 0
        self.before: dict[int, list[int]] = {}
        self.now: dict[int, tuple[int, ...]] = {}

    def feed(self, lines: Lines) -> None:
        for match in OLD.finditer(lines.text):
            window = int(match[3] or 0)
            counts = tuple(int(match[at] or 0) for at in (4, 5, 6))
            check_counts("a line of vLLM v0", *counts[:2])
            old = self.now.get(window, (0, 0, 0))
            if any(new < last for new, last in zip(counts, old, strict=True)):
                base = self.before.get(window, [0, 0, 0])
                self.before[window] = [a + b for a, b in zip(base, old, strict=True)]
            self.now[window] = counts
            self.lines += 1

    def readings(self) -> list[Reading]:
        return [self._reading(window) for window in self.now]

    def _reading(self, window: int) -> Reading:
        base = self.before.get(window, [0, 0, 0])
        accepted, drafted, emitted = (a + b for a, b in zip(base, self.now[window], strict=True))
        reading = Reading("vLLM v0", "log lines, cumulative", self.lines, drafted=drafted, accepted=accepted)
        if not window or not emitted or not drafted:
            return reading
        calls, odd = divmod(drafted, window)
        calls = max(calls, 1)
        full = f"D = N k: N = D/k = {calls}" + (
            f", but {odd} drafted tokens are over: some drafts were shorter" * bool(odd)
        )
        note = (
            f"vLLM v0 counts {accepted} accepted tokens, each judged alone, also behind a rejection: they "
            f"are not used, and tokens per call are emitted over calls, {emitted}/{calls}"
        )
        return Reading(
            "vLLM v0", "log lines, cumulative", self.lines, calls=calls, drafted=drafted,
            accepted=max(emitted - calls, 0), window=window,
            length=min(max(emitted / calls, 1.0), window + 1.0),
            identities=(full,), notes=(note,),
        )  # fmt: skip
