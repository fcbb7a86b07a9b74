"""The lines of llama-server and llama.cpp, of all their eras.

`draft acceptance = ..` is a line a request; `statistics TYPE: ..` is cumulative over the life of the process
and counts the same calls: where it is there it is read instead, its last line, and one before every restart.
The oldest, llama-speculative, prints n_draft, n_predict, n_drafted and n_accept at its end.
"""

from __future__ import annotations

import dataclasses
import re

from simlab.planning.logs.piece import Lines
from simlab.planning.logs.positions import RateLines
from simlab.planning.logs.reading import Reading, check_counts
from simlab.planning.logs.vllm import rate_readings

SLOT = re.compile(
    rb"draft acceptance(?: rate)?\s*=\s*\d*\.\d+\s*\(\s*(\d+)\s+accepted\s*/\s*(\d+)\s+generated\)"
    rb"(?:,\s*mean (?:acceptance length|len)\s*=\s*(\d+\.\d+))?"
    rb"(?:,\s*acceptance rate per position\s*=\s*\(([\d., ]*)\))?"
)
STATISTICS = re.compile(
    rb"statistics\s+(\S+?)\s*:\s*#calls(?:\(b,g,a\))?\s*=\s*[\d ]+,\s*#gen drafts\s*=\s*(\d+)"
    rb"(?:,\s*#acc drafts\s*=\s*\d+)?,\s*#gen tokens\s*=\s*(\d+),\s*#acc tokens\s*=\s*(\d+)(?=[,\s]|\Z)"
    rb"(?:,\s*#mean acc len\s*=\s*(\d+\.\d+))?(?:,\s*#acc rate/pos\s*=\s*\(([\d., ]*)\))?"
    rb"(?:,\s*dur\(b,g,a\)\s*=\s*([\d.]+)[, ]\s*([\d.]+)[, ]\s*([\d.]+)\s*ms)?"
)
EVAL = re.compile(rb"eval time\s*=\s*(\d+\.\d+) ms /\s*(\d+) (?:tokens|runs)")
OLDEST = re.compile(rb"n_(draft|predict|drafted|accept)\s*=\s*(\d+)(?=\s|\Z)")
ACCOUNTED = 0.05
"""Steps and accepted tokens make up the tokens of the eval lines to this part, or the times are not used."""


@dataclasses.dataclass
class Cumulative:
    """A line of `statistics`, or those before restarts added up with it."""

    calls: int
    drafted: int
    accepted: int
    length: bytes | None
    rates: bytes | None
    times: tuple[float, ...] | None


class LlamaLines:
    """llama-server by request, llama.cpp's statistics, and llama-speculative."""

    words = (b"draft acceptance", b"#gen drafts", b"n_drafted", b"eval time")
    looked_for = (
        "llama.cpp's 'draft acceptance = .. ( A accepted / D generated)', 'statistics TYPE: #calls ..' and "
        "'n_drafted = ..'"
    )

    def __init__(self) -> None:
        self.rows = RateLines()
        self.plain = [0, 0, 0]
        self.plain_calls: int | None = 0
        self.statistics: dict[str, list[Cumulative]] = {}
        self.statistics_lines: dict[str, int] = {}
        self.eval_ms, self.eval_tokens, self.eval_lines = 0.0, 0, 0
        self.oldest: dict[bytes, int] = {}
        self.runs: dict[int, list[int]] = {}

    def feed(self, lines: Lines) -> None:
        text = lines.text
        if lines.has(b"draft acceptance"):
            self._add_requests(SLOT.findall(text))
        if lines.has(b"#gen drafts"):
            for match in STATISTICS.finditer(text):
                self._add_statistics(match, torn=not lines.whole and text.find(b"\n", match.end()) < 0)
        if lines.has(b"eval time"):
            for match in EVAL.finditer(text):
                if text[max(match.start() - 7, 0) : match.start()] != b"prompt ":
                    self.eval_ms += float(match[1])
                    self.eval_tokens += int(match[2])
                    self.eval_lines += 1
        if lines.has(b"n_draft"):
            for match in OLDEST.finditer(text):
                self._add_oldest(match[1], int(match[2]))

    def _add_requests(self, found: list[tuple[bytes, ...]]) -> None:
        """Of (accepted, drafted, mean length, rates); requests without a draft have nothing to say."""
        self.rows.add((length, a, d, rates) for a, d, length, rates in found if rates and d != b"0")
        for accepted, drafted, length, rates in found:
            if not rates and drafted != b"0":
                check_counts("a request of llama-server", int(accepted), int(drafted))
                new = (1, int(accepted), int(drafted))
                self.plain = [total + count for total, count in zip(self.plain, new, strict=True)]
                gained = float(length or 1) - 1
                if self.plain_calls is not None:
                    known = gained > 0 and int(accepted)
                    self.plain_calls = self.plain_calls + round(int(accepted) / gained) if known else None

    def _add_statistics(self, match: re.Match[bytes], torn: bool) -> None:
        """torn: the log may end in the middle of this line."""
        calls, drafted, accepted = (int(match[at]) for at in (2, 3, 4))
        check_counts("statistics of llama.cpp", accepted, drafted)
        times = tuple(float(match[at]) for at in (7, 8, 9)) if match[7] else None
        rates = (match[6] or b"").replace(b" ", b"").strip(b",") or None
        now = Cumulative(calls, drafted, accepted, match[5], rates, times)
        kind = match[1].decode("utf-8", "replace")
        seen = self.statistics.setdefault(kind, [])
        if torn and seen and (bool(seen[-1].rates), bool(seen[-1].times)) != (bool(rates), bool(times)):
            return  # it has fewer fields than the line before
        if seen and seen[-1].calls <= calls and seen[-1].drafted <= drafted:
            seen[-1] = now
        else:
            seen.append(now)
        self.statistics_lines[kind] = self.statistics_lines.get(kind, 0) + 1

    def _add_oldest(self, name: bytes, value: int) -> None:
        self.oldest[name] = value
        if name == b"accept" and {b"draft", b"predict", b"drafted"} <= self.oldest.keys():
            values = [self.oldest[key] for key in (b"predict", b"drafted", b"accept")]
            check_counts("llama-speculative", values[2], values[1])
            total = self.runs.setdefault(self.oldest[b"draft"], [0, 0, 0, 0])
            self.runs[self.oldest[b"draft"]] = [a + b for a, b in zip(total, (1, *values), strict=True)]
            self.oldest = {}

    def readings(self) -> list[Reading]:
        found = [self._of_statistics(kind) for kind, seen in self.statistics.items() if seen[-1].drafted]
        if not found:
            found = rate_readings("llama-server", "request lines", self.rows)
        if not found and self.plain[0]:
            found = [self._of_plain()]
        return found + [self._of_oldest(window, *total) for window, total in self.runs.items()]

    def _of_statistics(self, kind: str) -> Reading:
        seen, lines = self.statistics[kind], self.statistics_lines[kind]
        engine, origin = f"llama.cpp ({kind})", "statistics lines, cumulative"
        calls, drafted, accepted = (
            sum(getattr(one, name) for one in seen) for name in ("calls", "drafted", "accepted")
        )
        costs = self._costs(seen, calls, accepted)
        if calls and all(one.rates for one in seen) and len({one.rates.count(b",") for one in seen}) == 1:
            rows = RateLines()
            rows.add((one.length or b"", one.accepted, one.drafted, one.rates, one.calls) for one in seen)
            return dataclasses.replace(rate_readings(engine, origin, rows, **costs)[0], lines=lines)
        length = 1 + accepted / calls if calls else None
        window = -(-drafted // calls) if calls else None
        notes = (f"the window is taken from drafted tokens per call, {drafted / calls:.4g}",) if calls else ()
        return Reading(
            engine, origin, lines, calls, drafted, accepted, window, length=length, notes=notes, **costs
        )

    def _costs(self, seen: list[Cumulative], calls: int, accepted: int) -> dict:
        """Times in ms: of a drafted token, from dur(b,g,a), and of a target call, from the eval lines."""
        if not calls or not all(one.times for one in seen):
            return {}
        begin, drafting, after = (sum(one.times[at] for one in seen) for at in range(3))
        drafted = sum(one.drafted for one in seen)
        costs = {"draft": drafting / drafted}
        source = f"dur(b,g,a): {drafting:.6g} ms of drafting, {drafting / calls:.4g} a call"
        verifying = self.eval_ms - begin - drafting - after
        accounted = abs(self.eval_tokens - calls - accepted) <= ACCOUNTED * self.eval_tokens
        if self.eval_tokens and accounted and verifying > 0:
            costs["target"] = verifying / calls
            source += (
                f"; eval time: {self.eval_ms:.6g} ms for {self.eval_tokens} tokens, without drafting "
                f"{costs['target']:.4g} a call that verifies a whole draft"
            )
        return {"costs": costs, "costs_from": source}

    def _of_plain(self) -> Reading:
        lines, accepted, drafted = self.plain
        calls, source = self.plain_calls, "the rounded mean lengths"
        if not calls and self.eval_lines == lines:
            calls = self.eval_tokens - accepted
            source = f"the eval lines, {self.eval_tokens} tokens less {accepted} accepted"
        if not calls or calls < 0:
            return Reading("llama-server", "request lines", lines, drafted=drafted, accepted=accepted)
        window = max(-(-drafted // calls), -(-accepted // calls))
        note = (
            f"calls are taken from {source}, and the window from drafted tokens per call, "
            f"{drafted / calls:.4g}"
        )
        return Reading(
            "llama-server", "request lines", lines, calls, drafted, accepted, window,
            length=1 + accepted / calls, notes=(note,),
        )  # fmt: skip

    def _of_oldest(self, window: int, runs: int, predicted: int, drafted: int, accepted: int) -> Reading:
        calls = max(predicted - accepted, 1)
        length = min(max(1 + accepted / calls, 1.0), window + 1.0)
        full = "holds" if drafted == calls * window else "fails: drafts are ragged, or the response ended"
        return Reading(
            "llama-speculative", "runs", runs, calls, drafted, accepted, window, length=length,
            identities=(f"D = N k {full}: {drafted} drafted, N k = {calls * window}",),
            notes=(f"calls are taken to be n_predict - n_accept = {calls}",),
        )  # fmt: skip
