"""`simlab predict`: exact numbers at once, as a table or as JSON."""

from __future__ import annotations

import json
import math

from simlab.cli.compose import compose_points
from simlab.cli.settings import decoder_from, pair_from
from simlab.cli.tables import text_table
from simlab.decoders import BiasedSpeculative, TreeSpeculative, decoder_name, decoder_options
from simlab.pairs import make_pair
from simlab.theory import Bracket, predict, sequence_total_variation

USAGE = """usage: simlab predict [key=value ...] [--json]

Exact numbers for a pair and a decoder: E[N_rej], its standard deviation, acceleration, quantiles of N_rej;
for a biased decoder also TV and KL of its sequences from the target's: total variation, divergence in nats;
for a decoder that drafts trees also E[calls], the mean number of target calls, and tokens/call, T / E[calls];
its N_rej counts the bonus tokens, those that no tree had drafted. Settings are those of `simlab run`:
pair=paper|dirichlet|softmax|mixture|bernoulli|uniform|corpus|file and
decoder=autoregressive|speculative|batch|biased|tree, and their options. A list of values makes a grid, a row
a point:

  simlab predict
  simlab predict pair=corpus decoder=batch decoder.drafts=1,2,4,inf
  simlab predict decoder=biased decoder.epsilon=0,0.1,0.2 decoder.replacement=optimal,target
  simlab predict pair=corpus decoder=tree decoder.capacity=1,16,256 decoder.drafted_by=target,draft
  simlab predict pair=file pair.path=my_pair.npz --json

--json prints every number of the prediction: the laws of rejections and target calls, of each position and
each token; for a biased decoder also the law of each next token, output_chain, and total_variation as a
bracket that holds it.
"""


def main(words: list[str]) -> int:
    """Print the predictions of every grid point; returns the exit code."""
    as_json = "--json" in words
    points = []
    for config in compose_points([word for word in words if word != "--json"]):
        name, options = pair_from(config)
        decoder = decoder_from(config)
        pair = make_pair(name, **options)
        prediction = predict(pair, decoder)
        points.append((name, options, decoder, prediction, sequence_total_variation(pair, decoder)))
    if as_json:
        documents = [_document(*point) for point in points]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    else:
        biased = any(_is_biased(decoder) for _, _, decoder, _, _ in points)
        trees = any(isinstance(decoder, TreeSpeculative) for _, _, decoder, _, _ in points)
        rows = [_row(*point, biased, trees) for point in points]
        print(text_table(rows, settings=("pair", "decoder", "T", "V")))
    return 0


def _is_biased(decoder) -> bool:
    return isinstance(decoder, BiasedSpeculative)


def _row(
    name: str, options: dict, decoder, prediction, bracket: Bracket, biased: bool, trees: bool
) -> dict[str, str]:
    pmf = prediction.rejections_pmf
    low, median, high = (int((pmf.cumsum() < share).sum()) for share in (0.05, 0.5, 0.95))
    settings = {key: value for key, value in options.items() if value is not None}
    calls = {
        "E[calls]": f"{prediction.expected_target_calls:.6f}",
        "tokens/call": f"{prediction.tokens_per_call:.4f}",
    }
    bias = {"TV": _spelled(bracket), "KL": f"{prediction.sequence_kl:.6f}"} if biased else {}
    return {
        "pair": f"{name} ({', '.join(f'{key}={value}' for key, value in settings.items())})",
        "decoder": label(decoder),
        "T": str(prediction.horizon),
        "V": str(prediction.token_marginals.shape[1]),
        "E[N_rej]": f"{prediction.expected_rejections:.6f}",
        "sd": f"{math.sqrt(max(prediction.variance, 0.0)):.4f}",
        "acceleration": f"{prediction.acceleration:.4f}",
        "5%, median, 95%": f"{low}, {median}, {high}",
        **(calls if trees else {}),
        **bias,
    }


def _spelled(bracket: Bracket) -> str:
    """The digits that the bracket is sure of, or its ends."""
    low, high = (f"{end:.6f}" for end in bracket)
    return low if low == high else f"{low} to {high}"


def label(decoder) -> str:
    """A decoder with its options, as tables show it."""
    options = ", ".join(f"{key}={value}" for key, value in decoder_options(decoder).items())
    return decoder_name(decoder) + f" ({options})" * bool(options)


def _document(name: str, options: dict, decoder, prediction, bracket: Bracket) -> dict:
    document = {
        "pair": {"name": name, **options},
        "decoder": {
            "name": decoder_name(decoder),
            **{k: _finite(v) for k, v in decoder_options(decoder).items()},
        },
        "horizon": prediction.horizon,
        "states": prediction.token_marginals.shape[1],
        "expected_rejections": prediction.expected_rejections,
        "variance": prediction.variance,
        "acceleration": _finite(prediction.acceleration),
        "expected_target_calls": prediction.expected_target_calls,
        "tokens_per_call": prediction.tokens_per_call,
        "target_calls_pmf": prediction.target_calls_pmf.tolist(),
        "rejections_pmf": prediction.rejections_pmf.tolist(),
        "rejections_per_position": prediction.rejections_per_position.tolist(),
        "token_marginals": prediction.token_marginals.tolist(),
    }
    if _is_biased(decoder):
        document |= {
            "total_variation": bracket._asdict(),
            "sequence_kl": _finite(prediction.sequence_kl),
            "output_chain": prediction.output_chain.tolist(),
        }
    return document


def _finite(value):
    """JSON has no infinity: it is written as the string "inf"."""
    return "inf" if isinstance(value, float) and math.isinf(value) else value
