"""`simlab predict`: exact numbers at once, as a table or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.cli.config.compose import compose_points, taken_out
from simlab.cli.config.settings import cost_from, decoder_from, pair_from, sampling_from, written_file_from
from simlab.cli.memory import check_predict
from simlab.cli.output.prediction_rows import BY_POSITION, NUMBERS, QUANTILES, column_order, prediction_row
from simlab.cli.output.tables import text_table
from simlab.cost import CostModel
from simlab.decoders import (
    DECODERS,
    AdaptiveSpeculative,
    Decoder,
    decoder_label,
    decoder_name,
    decoder_options,
    entry_for,
)
from simlab.pairs import GENERATORS, make_pair
from simlab.theory import Bracket, Prediction, predict, sequence_total_variation

USAGE = f"""usage: simlab predict [trace=FILE] [key=value ...] [csv=FILE] [--json]

Exact numbers for a pair and a decoder: E[N_rej], its standard deviation and quantiles; acceleration, T /
E[N_rej], for decoders that draft to the horizon for free, where a rejection costs one target call;
for a biased decoder or a rule also TV and KL of its sequences from the target's: total variation, divergence
in nats;
for a decoder that drafts trees also E[calls], the mean number of target calls, and tokens/call, T /
E[calls]; its N_rej counts the bonus tokens, those that no tree had drafted. For a decoder that drafts
windows of tokens (speculative with a window or the bonus token, block, adaptive, confidence, history,
streak, ema, ladder), or several at each position (multidraft), both, and E[drafted], the mean number of
drafted tokens; accepted, E[accepted tokens] / E[drafted]; speed-up, over the target alone, at the costs
cost.draft and cost.target of a drafted token and a target call; cost.target may be a table by the tokens
verified or a file, and there are cost.draft_call, cost.overhead and concurrency (simlab plan --help); with
several requests decoded together also throughput, tokens of all of them per unit of time; --json has
calls_by_drafted, the expected calls that draft exactly 0, 1, .., K tokens, of multidraft at so many
positions. Settings are those of `simlab run`:
pair={"|".join(GENERATORS)} and
decoder={"|".join(DECODERS)}, and their options. A list of
values makes a grid, a row a point:

  simlab predict
  simlab predict pair=corpus decoder=batch decoder.drafts=1,2,4,inf
  simlab predict decoder=biased decoder.epsilon=0,0.1,0.2 decoder.replacement=optimal,target
  simlab predict decoder=rule decoder.rule=typical,lenient,token_match
  simlab predict decoder=rule decoder.rule=mypackage.rules:mine decoder.window=4 decoder.bonus=true
  simlab predict pair=corpus decoder=tree decoder.capacity=1,16,256 decoder.drafted_by=target,draft
  simlab predict pair=corpus decoder.window=1,2,4,8 decoder.bonus=true cost.draft=0.1
  simlab predict pair=corpus decoder=adaptive,confidence,block cost.draft=0.1
  simlab predict pair=corpus decoder=history,streak,ema,ladder cost.draft=0.1
  simlab predict decoder=multidraft decoder.drafts=[4,2,1] decoder.rule=recursive,k-seq,optimal
  simlab predict pair=file pair.path=my_pair.npz --json
  simlab predict pair=corpus pair.processing.temperature=0.5,1,2
  simlab predict decoder=batch 'decoder.drafts=range(1,65)' csv=drafts.csv

pair=file reads an .npz with the keys draft and target, (T, V, V), or (V, V) with a key horizon, rows summing
to 1 (float32 and float16 are normalised), and initial, (V,), the distribution of the prompt's last token:
np.savez("my_pair.npz", draft=draft, target=target, initial=np.eye(V)[token]). Every pair can be sampled as
serving engines do: pair.processing.temperature (0 is greedy), top_k and top_p for both models, and
draft_temperature, draft_top_k and draft_top_p for a draft that differs.

trace=FILE predicts from a trace of a real draft and target in the place of a pair (.parquet, .csv, .jsonl):
exact on its texts, means over its sequences, with an interval of tokens per call for the models
(confidence=0.95). Decoders: autoregressive, speculative, batch, history, streak, ema, ladder, adaptive (a
table of windows) and confidence, whose drafted tokens are then known to a bracket:

  simlab predict trace=my_trace.parquet decoder.window=1,2,4,8 decoder.bonus=true

csv=FILE writes the table to a file too, a row a point: settings, then every number with all its digits.
--json prints every number of the prediction: the distributions of rejections and target calls, of each
position and each token, and what is drafted and accepted, by position in the window too; for a biased decoder
or a rule also the distribution of each next token, output_chain, its bias_per_position, and
total_variation as a bracket that holds it. "inf"
is an infinity, null what is not known.
"""

TOLD = ("expected_rejections", "variance", *NUMBERS, "error_bound", "accuracy")
ARRAYS = (
    "calls_by_drafted",
    "target_calls_pmf",
    "rejections_pmf",
    "rejections_per_position",
    "token_marginals",
    *BY_POSITION,
)
"""What --json tells of a prediction, beside what is said of biased decoders; accuracy: error_bound of old."""

_WINDOWS = ("cost", "calls", "drafted")
COLUMNS = {
    "autoregressive": (),
    "horizon": (),
    "batch": (),
    "biased": ("bias",),
    "tree": ("calls",),
    "windows": _WINDOWS,
    "memory": _WINDOWS,
    "block": _WINDOWS,
    "rule": ("bias",),
    "rule windows": (*_WINDOWS, "bias"),
    "multidraft": _WINDOWS,
}
"""By algorithm, its groups of columns beside those of every decoder; a table has those of all its rows."""


def main(words: list[str]) -> int:
    """Print the predictions of every grid point; returns the exit code."""
    if any(word.partition("=")[0] == "trace" for word in words):
        from simlab.cli.predict_trace import main as of_trace

        return of_trace(words)
    as_json = "--json" in words
    own, words = taken_out([word for word in words if word != "--json"], ["csv"])
    path = written_file_from("csv", own["csv"]) if own else None
    configs = compose_points(words)
    check_predict(configs, as_json)
    points = [_point(config) for config in configs]
    if path is not None:
        _write(path, points)
    if as_json:
        documents = [_document(point) for point in points]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    else:
        groups = {group for point in points for group in entry_for(point.decoder, COLUMNS, "columns")}
        whole = len(points) == 1 or "drafted" not in groups
        accelerated = any(not math.isnan(point.prediction.acceleration) for point in points)
        rows = [_row(point, groups, whole, accelerated) for point in points]
        print(text_table(rows, settings=("pair", "decoder", "T", "V", *["cost"] * ("cost" in groups))))
        if path is not None:
            print(f"\nwritten: {path}")
    return 0


def _write(path: Path, points: list[_Point]) -> None:
    """The points as CSV, floats so that they read back exactly."""
    import pandas

    from simlab.report.save import to_csv, write_whole

    rows = [
        prediction_row(
            one.pair_name,
            one.pair_options,
            one.decoder,
            one.cost,
            one.prediction,
            one.bracket,
            one.speedup,
        )
        for one in points
    ]
    table = pandas.DataFrame(
        rows, columns=column_order(rows), dtype=object
    )  # a whole number stays one beside an empty cell
    write_whole(path, to_csv(table))


@dataclass(frozen=True)
class _Point:
    """A grid point and what the theory says of it."""

    pair_name: str
    pair_options: dict
    decoder: Decoder
    cost: CostModel
    prediction: Prediction
    bracket: Bracket

    @property
    def speedup(self) -> float:
        """Over autoregressive decoding; nan where the drafted tokens are not predicted, 0 if infinite."""
        drafted = self.prediction.expected_drafted_tokens
        if math.isfinite(drafted):
            return self.cost.speedup(self.prediction)
        return 0.0 if drafted == math.inf else math.nan

    @property
    def throughput(self) -> float:
        """Tokens of all requests together per unit of time; nan and 0 as the speed-up."""
        return self.speedup * self.cost.concurrency / self.cost.alone


def _point(config: dict) -> _Point:
    sampling_from(config)  # nothing is sampled, and a value that `run` refuses is refused all the same
    name, options = pair_from(config)
    cost = cost_from(config)
    pair = make_pair(name, **options)
    decoder = decoder_from(config, lambda: pair)
    return _Point(
        name, options, decoder, cost, predict(pair, decoder), sequence_total_variation(pair, decoder)
    )


def _row(point: _Point, groups: set[str], whole: bool, accelerated: bool) -> dict[str, str]:
    """whole: with the spread of N_rej and all digits, for which a grid of windows has no room; accelerated:
    whether some row has an acceleration."""
    prediction, bracket = point.prediction, point.bracket
    digits = 6 if whole else 4
    pmf = prediction.rejections_pmf
    low, median, high = (int((pmf.cumsum() < share).sum()) for share in QUANTILES.values())
    settings = {key: value for key, value in point.pair_options.items() if value is not None}
    spread = {
        "sd": f"{math.sqrt(max(prediction.variance, 0.0)):.4f}",
        **({"acceleration": _known(prediction.acceleration)} if accelerated else {}),
        "5%, median, 95%": f"{low}, {median}, {high}",
    }
    calls = {
        "E[calls]": f"{prediction.expected_target_calls:.{digits}f}",
        "tokens/call": f"{prediction.tokens_per_call:.4f}",
    }
    bias = {"TV": _spelled(bracket), "KL": f"{prediction.sequence_kl:.6f}"}
    return {
        "pair": f"{point.pair_name} ({', '.join(f'{key}={value}' for key, value in settings.items())})",
        "decoder": decoder_label(point.decoder),
        "T": str(prediction.horizon),
        "V": str(prediction.token_marginals.shape[1]),
        **({"cost": point.cost.spelled("=")} if "cost" in groups else {}),
        "E[N_rej]": f"{prediction.expected_rejections:.{digits}f}",
        **(spread if whole else {}),
        **(calls if "calls" in groups else {}),
        **(_drafted(point) if "drafted" in groups else {}),
        **(bias if "bias" in groups else {}),
    }


def _drafted(point: _Point) -> dict[str, str]:
    prediction = point.prediction
    numbers = {
        "E[drafted]": prediction.expected_drafted_tokens,
        "accepted": prediction.acceptance_rate,
        "speed-up": point.speedup,
        **({"throughput": point.throughput} if point.cost.concurrency > 1 else {}),
    }
    return {key: _known(value) for key, value in numbers.items()}


def _known(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _spelled(bracket: Bracket) -> str:
    """The digits that the bracket is sure of, or its ends."""
    low, high = (f"{end:.6f}" for end in bracket)
    return low if low == high else f"{low} to {high}"


def _document(point: _Point) -> dict:
    prediction, decoder = point.prediction, point.decoder
    document = {
        "pair": {"name": point.pair_name, **point.pair_options},
        "decoder": {
            "name": decoder_name(decoder),
            **{key: _strict(value) for key, value in decoder_options(decoder).items()},
        },
        "cost": point.cost.document(),
        "horizon": prediction.horizon,
        "states": prediction.token_marginals.shape[1],
        **{name: _strict(getattr(prediction, name)) for name in TOLD},
        "speedup": _strict(point.speedup),
        "throughput": _strict(point.throughput),
        **{name: _strict(getattr(prediction, name)) for name in ARRAYS},
    }
    if isinstance(decoder, AdaptiveSpeculative):
        document["decoder"]["windows"] = decoder.policy.windows.tolist()
    if "bias" in entry_for(decoder, COLUMNS, "columns"):
        document |= {
            "total_variation": point.bracket._asdict(),
            "sequence_kl": _strict(prediction.sequence_kl),
            "bias_per_position": prediction.bias_per_position.tolist(),
            "output_chain": prediction.output_chain.tolist(),
        }
    return document


def _strict(value):
    """What strict JSON can say: the text "inf" for an infinity, null for what is not known, lists."""
    if isinstance(value, np.ndarray):
        return [_strict(item) for item in value.tolist()]
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf"
    return value
