"""The bundled traces and runs as the experiment looks at them, and estimates from independent texts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval, sample_mean_interval
from simlab.evidence.interval import error_of
from simlab.models import Run, bundled_run_names, bundled_runs
from simlab.models.truth import cut
from simlab.traces import Trace, bundled, bundled_names
from simlab.traces.intervals import sequence_ratio

PLAIN = {"temperature": 1.0, "top_k": None, "top_p": None}
"""How the target samples in the traces that are compared with each other."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One pair of models. name: of its trace; label: in figures. trace: all of its texts. runs: the decoders
    that were run with it, by name; none for some pairs. series: its number in figures.
    """

    name: str
    label: str
    trace: Trace
    runs: Mapping[str, Run]
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
    run = bundled_run_names()
    return tuple(
        Recorded(name, label_of(name), plain[name], bundled_runs(name) if name in run else {}, series)
        for series, name in enumerate(order)
    )


def _is_plain(trace: Trace) -> bool:
    processing = trace.provenance["processing"]
    return all(processing[key] == value for key, value in PLAIN.items())


def label_of(name: str) -> str:
    """A trace's name in figures: "skip 14" of smollm2-skip-14."""
    return name.partition("-")[2].replace("-", " ")


def draft_of(pair: Recorded) -> str:
    """How the draft was made, as the recording's setting has it: layers=0-27, or temperature=1.5."""
    own = pair.trace.provenance["processing"].get("draft_temperature")
    return pair.trace.provenance["draft"] if own is None else f"temperature={own:g}"


def run_pairs(pairs: tuple[Recorded, ...]) -> list[Recorded]:
    """Those with which decoders were run."""
    return [pair for pair in pairs if pair.runs]


def horizon_of(pairs: tuple[Recorded, ...]) -> int:
    """The tokens that texts were run to, at which predictions are compared with them."""
    return min(run.provenance["tokens"] for pair in pairs for run in pair.runs.values())


def cut_trace(pair: Recorded, tokens: int) -> Trace:
    """The pair's texts to so many tokens."""
    return cut(pair.trace, tokens)


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
