"""`simlab predict trace=FILE`: what a trace of real models says of decoders, as a table, CSV or JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

from simlab.cli.config.compose import compose_points, taken_out
from simlab.cli.config.settings import (
    confidence_from,
    cost_from,
    decoder_from,
    file_from,
    written_file_from,
)
from simlab.cli.output.documents import plain
from simlab.cli.output.prediction_rows import BY_POSITION, NUMBERS, column_order
from simlab.cli.output.tables import text_table
from simlab.cost import CostModel
from simlab.decoders import Decoder, decoder_label, decoder_name, decoder_options
from simlab.errors import SimlabError
from simlab.traces import Trace, TracePrediction, predict_trace
from simlab.traces.prediction import RATIOS

SETTINGS = ("decoder", "cost", "concurrency", "confidence")
TOLD = ("horizon", "expected_rejections", "rao_blackwell_rejections", *NUMBERS)
ARRAYS = (
    "rejections_pmf",
    "target_calls_pmf",
    "rejections_per_position",
    *BY_POSITION,
)


@dataclass(frozen=True)
class _Point:
    path: str
    trace: Trace
    cost: CostModel
    confidence: float
    prediction: TracePrediction

    @property
    def decoder(self) -> Decoder:
        return self.prediction.decoder

    @property
    def speedup(self) -> tuple[float, float]:
        """From the most to the fewest drafted tokens that there can be; nan where a cost has no bracket."""
        drafted = self.prediction.expected_drafted_tokens
        if math.isfinite(drafted):
            return (self.cost.speedup(self.prediction),) * 2
        if drafted == math.inf:
            return 0.0, 0.0
        if not self.cost.is_flat:
            return math.nan, math.nan
        lower, upper = self.prediction.drafted_tokens
        calls, alone = self.prediction.expected_target_calls, self.prediction.horizon * self.cost.alone
        return alone / self.cost.time(upper, calls), alone / self.cost.time(lower, calls)


def main(words: list[str]) -> int:
    """Print the predictions of every trace and grid point; returns the exit code."""
    as_json = "--json" in words
    own, words = taken_out([word for word in words if word != "--json"], ["csv", "trace"])
    path = written_file_from("csv", own["csv"]) if "csv" in own else None
    for word in words:
        root = re.split("[.=@]", word.lstrip("+~"), maxsplit=1)[0]
        if root not in SETTINGS:
            raise SimlabError(f"{word}: simlab predict trace=FILE has {', '.join(SETTINGS)}, csv")
    configs = compose_points(words)
    points = []
    for name in own["trace"]:
        file = file_from("trace", name)
        trace = Trace.read(file)
        points += [_point(file, trace, config) for config in configs]
    if path is not None:
        _write(path, points)
    if as_json:
        documents = [plain(_document(point)) for point in points]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
        return 0
    print(text_table([_row(point) for point in points], settings=("trace", "sequences", "tokens", "cost")))
    if path is not None:
        print(f"\nwritten: {path}")
    return 0


def _point(path: str, trace: Trace, config: dict) -> _Point:
    def no_pair():
        raise SimlabError(
            "decoder=adaptive takes its policy of a pair, and a trace has none; from Python give "
            "simlab.predict a table of windows by position"
        )

    prediction = predict_trace(trace, decoder_from(config, no_pair))
    return _Point(path, trace, cost_from(config), confidence_from(config), prediction)


def _row(point: _Point) -> dict[str, str]:
    prediction = point.prediction
    interval = prediction.interval("tokens_per_call", point.confidence)
    return {
        "trace": point.path,
        "sequences": str(prediction.sequences),
        "tokens": str(prediction.tokens),
        "decoder": decoder_label(point.decoder),
        "cost": point.cost.spelled("="),
        "E[N_rej]": f"{prediction.expected_rejections:.4f}",
        "E[calls]": f"{prediction.expected_target_calls:.4f}",
        "tokens/call": f"{prediction.tokens_per_call:.4f}",
        f"{100 * point.confidence:.10g}% interval": f"{interval.low:.4f} to {interval.high:.4f}",
        "E[drafted]": _bracket(*prediction.drafted_tokens),
        "accepted": "" if math.isnan(prediction.acceptance_rate) else f"{prediction.acceptance_rate:.4f}",
        "speed-up": _bracket(*point.speedup),
    }


def _bracket(low: float, high: float) -> str:
    """The number, or the two that it lies between; nothing for what is not known."""
    if math.isnan(low):
        return ""
    low, high = f"{low:.4f}", f"{high:.4f}"
    return low if low == high else f"{low} to {high}"


def _settings(point: _Point) -> dict:
    return {"name": decoder_name(point.decoder), **decoder_options(point.decoder)}


def _write(path, points: list[_Point]) -> None:
    """A row a point: settings, then every number and the interval of tokens per call."""
    import pandas

    from simlab.report.save import to_csv, write_whole

    rows = []
    for point in points:
        prediction = point.prediction
        options = decoder_options(point.decoder)
        interval = prediction.interval("tokens_per_call", point.confidence)
        rows.append(
            {
                "trace": point.path,
                "decoder": decoder_name(point.decoder),
                **{f"decoder.{key}": value for key, value in options.items()},
                **point.cost.columns(),
                "sequences": prediction.sequences,
                "tokens": prediction.tokens,
                **{name: getattr(prediction, name) for name in TOLD},
                **{f"drafted_{end}": value for end, value in prediction.drafted_tokens._asdict().items()},
                "confidence": point.confidence,
                "tokens_per_call_low": interval.low,
                "tokens_per_call_high": interval.high,
                **dict(zip(("speedup_low", "speedup_high"), point.speedup, strict=True)),
            }
        )
    table = pandas.DataFrame(rows, columns=column_order(rows), dtype=object)
    write_whole(path, to_csv(table))


def _document(point: _Point) -> dict:
    prediction = point.prediction
    return {
        "trace": {
            "path": point.path,
            "sequences": prediction.sequences,
            "tokens": prediction.tokens,
            "provenance": dict(point.trace.provenance),
        },
        "decoder": _settings(point),
        "cost": point.cost.document(),
        **{name: _known(getattr(prediction, name)) for name in TOLD},
        "drafted_tokens": {end: _known(value) for end, value in prediction.drafted_tokens._asdict().items()},
        "speedup": dict(zip(("lower", "upper"), map(_known, point.speedup), strict=True)),
        "confidence": point.confidence,
        "intervals": {name: ends for name in RATIOS if (ends := _interval(point, name)) is not None},
        **{name: [_known(value) for value in getattr(prediction, name).tolist()] for name in ARRAYS},
    }


def _interval(point: _Point, name: str) -> list[float] | None:
    """Its ends; None for what this trace does not know of this decoder."""
    value = getattr(point.prediction, name)
    if not np.isfinite(value):
        return None
    return [_known(end) for end in point.prediction.interval(name, point.confidence)[1:]]


def _known(value: float) -> float | str | None:
    """What strict JSON can say: the text "inf" for an infinity, null for what is not known."""
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "inf"
