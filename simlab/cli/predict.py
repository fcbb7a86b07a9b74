"""`simlab predict`: exact numbers at once, as a table or as JSON."""

from __future__ import annotations

import json
import math

from simlab.cli.compose import compose_points
from simlab.cli.settings import decoder_from, pair_from
from simlab.cli.tables import text_table
from simlab.decoders import decoder_name
from simlab.pairs import make_pair
from simlab.theory import predict

USAGE = """usage: simlab predict [key=value ...] [--json]

Exact numbers for a pair and a decoder: E[N_rej], its standard deviation, acceleration, quantiles of N_rej.
Settings are those of `simlab run`: pair=paper|dirichlet|softmax|mixture|corpus|file, decoder=
autoregressive|speculative|batch and their options. A list of values makes a grid, a row a point:

  simlab predict
  simlab predict pair=corpus decoder=batch decoder.drafts=1,2,4,inf
  simlab predict pair=file pair.path=my_pair.npz --json

--json prints every number of the prediction: the pmf, the law of each position and each token.
"""


def main(words: list[str]) -> int:
    """Print the predictions of every grid point; returns the exit code."""
    as_json = "--json" in words
    points = []
    for config in compose_points([word for word in words if word != "--json"]):
        name, options = pair_from(config)
        decoder = decoder_from(config)
        points.append((name, options, decoder, predict(make_pair(name, **options), decoder)))
    if as_json:
        documents = [_document(*point) for point in points]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    else:
        print(text_table([_row(*point) for point in points], settings=("pair", "decoder", "T", "V")))
    return 0


def _row(name: str, options: dict, decoder, prediction) -> dict[str, str]:
    pmf = prediction.rejections_pmf
    low, median, high = (int((pmf.cumsum() < share).sum()) for share in (0.05, 0.5, 0.95))
    settings = {key: value for key, value in options.items() if value is not None}
    return {
        "pair": f"{name} ({', '.join(f'{key}={value}' for key, value in settings.items())})",
        "decoder": label(decoder),
        "T": str(prediction.horizon),
        "V": str(prediction.token_marginals.shape[1]),
        "E[N_rej]": f"{prediction.expected_rejections:.6f}",
        "sd": f"{math.sqrt(max(prediction.variance, 0.0)):.4f}",
        "acceleration": f"{prediction.acceleration:.4f}",
        "5%, median, 95%": f"{low}, {median}, {high}",
    }


def label(decoder) -> str:
    """A decoder with its options, as tables show it."""
    options = ", ".join(f"{key}={value}" for key, value in vars(decoder).items())
    return decoder_name(decoder) + f" ({options})" * bool(options)


def _document(name: str, options: dict, decoder, prediction) -> dict:
    return {
        "pair": {"name": name, **options},
        "decoder": {"name": decoder_name(decoder), **{k: _finite(v) for k, v in vars(decoder).items()}},
        "horizon": prediction.horizon,
        "states": prediction.token_marginals.shape[1],
        "expected_rejections": prediction.expected_rejections,
        "variance": prediction.variance,
        "acceleration": _finite(prediction.acceleration),
        "rejections_pmf": prediction.rejections_pmf.tolist(),
        "rejections_per_position": prediction.rejections_per_position.tolist(),
        "token_marginals": prediction.token_marginals.tolist(),
    }


def _finite(value):
    """JSON has no infinity: it is written as the string "inf"."""
    return "inf" if isinstance(value, float) and math.isinf(value) else value
