"""The bundled traces and runs as the experiment looks at them, and estimates from independent texts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval, sample_mean_interval
from simlab.evidence.interval import error_of
from simlab.models import Run, bundled_run_names, bundled_runs
from simlab.traces import Trace, bundled, bundled_names
from simlab.traces.intervals import sequence_ratio

PLAIN = {"temperature": 1.0, "top_k": None, "top_p": None}
"""How the target samples in the traces that are compared with each other."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One pair of models. name: of its trace; label: in figures. trace: all of its texts, at temperature 1.
    runs, biased: the unbiased and the biased decoders that were run with it, by name; none for some pairs.
    at_temperature: its traces at other temperatures. series: its number in figures.
    """

    name: str
    label: str
    trace: Trace
    runs: Mapping[str, Run]
    biased: Mapping[str, Run]
    at_temperature: Mapping[float, Trace]
    series: int

    @property
    def acceptance(self) -> float:
        """The mean acceptance of a token: of the target's tokens, had each been drafted."""
        return float(self.trace.acceptance.mean())


@functools.cache
def recorded_pairs() -> tuple[Recorded, ...]:
    """The pairs whose target samples as it is, by rising mean acceptance."""
    traces = {name: bundled(name) for name in bundled_names()}
    plain = {name: trace for name, trace in traces.items() if _is_plain(trace)}
    order = sorted(plain, key=lambda name: float(plain[name].acceptance.mean()))
    return tuple(_recorded(name, traces, series) for series, name in enumerate(order))


def _recorded(name: str, traces: Mapping[str, Trace], series: int) -> Recorded:
    runs = bundled_runs(name) if name in bundled_run_names() else {}
    biased = {run: found for run, found in runs.items() if run.startswith("biased")}
    own, others = draft_of(traces[name]), {}
    for trace in traces.values():
        if draft_of(trace) == own and not _is_plain(trace):
            others[float(trace.provenance["processing"]["temperature"])] = trace
    unbiased = {run: found for run, found in runs.items() if run not in biased}
    return Recorded(name, label_of(name), traces[name], unbiased, biased, others, series)


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


def stacked(intervals) -> Interval:
    """Intervals of numbers as one of arrays (K,)."""
    return Interval(*(np.array(ends, float) for ends in zip(*intervals, strict=True)))
