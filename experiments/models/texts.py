"""The bundled traces and runs as the experiment looks at them, and estimates from independent texts."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval, mean_ratio_interval, sample_mean_interval
from simlab.evidence.interval import error_of
from simlab.models import Run, bundled_run_names, bundled_runs
from simlab.traces import Trace, bundled, bundled_names
from simlab.traces.intervals import sequence_ratio

PLAIN = {"temperature": 1.0, "top_k": None, "top_p": None}
"""How the target samples in the traces that are compared with each other."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One pair of models. name: of its trace; label: in figures. trace: its texts, at temperature 1.
    runs, biased: the unbiased and the biased decoders that were run with it, by name; none for some pairs.
    at_temperature: its traces at other temperatures. further: a smaller trace of other texts at temperature
    1, recorded with other epsilons. series: its number in figures.
    """

    name: str
    label: str
    trace: Trace
    runs: Mapping[str, Run]
    biased: Mapping[str, Run]
    at_temperature: Mapping[float, Trace]
    further: Trace | None
    series: int

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Those at temperature 1."""
        return (self.trace,) if self.further is None else (self.trace, self.further)

    @property
    def acceptance(self) -> float:
        """The mean acceptance of a token: of the target's tokens, had each been drafted."""
        return float(self.trace.acceptance.mean())


@functools.cache
def recorded_pairs() -> tuple[Recorded, ...]:
    """The bundled pairs, a draft each, by rising mean acceptance where the target samples as it is."""
    traces = {name: bundled(name) for name in bundled_names()}
    largest: dict[str, str] = {}
    for name in sorted(traces, key=lambda name: -len(traces[name])):
        if _is_plain(traces[name]):
            largest.setdefault(draft_of(traces[name]), name)
    order = sorted(largest.values(), key=lambda name: float(traces[name].acceptance.mean()))
    return tuple(_recorded(name, traces, series) for series, name in enumerate(order))


def _recorded(name: str, traces: Mapping[str, Trace], series: int) -> Recorded:
    runs = bundled_runs(name) if name in bundled_run_names() else {}
    own = draft_of(traces[name])
    alike = [one for key, one in traces.items() if key != name and draft_of(one) == own]
    others = {float(one.provenance["processing"]["temperature"]): one for one in alike if not _is_plain(one)}
    return Recorded(
        name,
        label_of(name),
        traces[name],
        {run: found for run, found in runs.items() if not run.startswith("biased")},
        {run: found for run, found in runs.items() if run.startswith("biased")},
        others,
        next((one for one in alike if _is_plain(one)), None),
        series,
    )


def _is_plain(trace: Trace) -> bool:
    processing = trace.provenance["processing"]
    return all(processing[key] == value for key, value in PLAIN.items())


def label_of(name: str) -> str:
    """A trace's name in figures: "skip 14" of smollm2-skip-14."""
    return name.partition("-")[2].replace("-", " ")


def draft_of(trace: Trace) -> str:
    """How the draft was made, as the recording's setting has it: layers=0-27, or temperature=1.5."""
    own = trace.provenance["processing"].get("draft_temperature")
    return trace.provenance["draft"] if own is None else f"temperature={own:g}"


def run_pairs(pairs: tuple[Recorded, ...]) -> list[Recorded]:
    """Those with which decoders were run."""
    return [pair for pair in pairs if pair.runs]


def horizon_of(pairs: tuple[Recorded, ...]) -> int:
    """The tokens that texts were run to, at which predictions are compared with them."""
    return min(run.provenance["tokens"] for pair in pairs for run in pair.runs.values())


def token_mean(trace: Trace, values: np.ndarray, confidence: float) -> Interval:
    """The mean over all tokens of a column (rows,) in [0, 1], with the texts as independent units."""
    longest = float(trace.lengths.max())
    return sequence_ratio(
        np.add.reduceat(values, trace.offsets[:-1]),
        trace.lengths.astype(float),
        np.ones(trace.sequences),
        most_part=longest,
        most_whole=longest,
        most=1.0,
        error=error_of(confidence),
    )


def text_mean(trace: Trace, values: np.ndarray, confidence: float) -> Interval:
    """The mean over texts of a text's own mean of a column (rows,) in [0, 1]; texts are independent.

    Of bounded means its interval is the narrower one: how long a text is has no say.
    """
    means = np.add.reduceat(values, trace.offsets[:-1]) / trace.lengths
    return sample_mean_interval(means, 1.0, confidence)


def part_of(
    trace: Trace, values: np.ndarray, whole: np.ndarray, confidence: float, most: float = math.inf
) -> Interval:
    """The mean over texts of `values` over that of `whole`, columns (rows,) in [0, 1]; at most `most`."""
    parts, wholes = (
        np.add.reduceat(column, trace.offsets[:-1]) / trace.lengths for column in (values, whole)
    )
    return mean_ratio_interval(parts, wholes, most_part=1.0, most_whole=1.0, confidence=confidence, most=most)


def stacked(intervals) -> Interval:
    """Intervals of numbers as one of arrays (K,)."""
    return Interval(*(np.array(ends, float) for ends in zip(*intervals, strict=True)))
