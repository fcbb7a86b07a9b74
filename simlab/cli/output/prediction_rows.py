"""Predictions as rows of a CSV file: settings, then every exact number that is one number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from simlab.cost import CostModel
from simlab.decoders import Decoder, decoder_name, table_options
from simlab.theory import Bracket, Prediction

QUANTILES = {"rejections_q05": 0.05, "rejections_median": 0.5, "rejections_q95": 0.95}
"""Columns of the quantiles of N_rej."""

NUMBERS = (
    "acceleration",
    "expected_target_calls",
    "tokens_per_call",
    "expected_drafted_tokens",
    "expected_accepted_tokens",
    "acceptance_rate",
    "acceptance_length",
)
"""Numbers with the names of `Prediction` and `TracePrediction`; nan where a decoder does not predict them."""

BY_POSITION = (
    "drafted_by_position",
    "reached_by_position",
    "accepted_by_position",
    "acceptance_rate_by_position",
    "acceptance_length_by_position",
    "conditional_acceptance_by_position",
)
"""Arrays of both, by position in the window."""

FIRST = ("pair", "trace", "T", "V", "decoder", "cost")
"""Settings: columns that stand before the numbers, with their options (pair.horizon)."""


def column_order(rows: Iterable[Mapping]) -> list[str]:
    """The columns of all rows, settings first: a later row may have an option that the first has not."""
    columns = dict.fromkeys(key for row in rows for key in row)
    ranks = {group: rank for rank, group in enumerate(FIRST)}
    return sorted(columns, key=lambda column: ranks.get(column.partition(".")[0], len(FIRST)))


def prediction_row(
    pair_name: str,
    pair_options: Mapping,
    decoder: Decoder,
    cost: CostModel,
    prediction: Prediction,
    bracket: Bracket,
    speedup: float,
) -> dict:
    """One row, settings first, named as in the tables of `simlab run`; nan is what is not known.

    bracket: of the total variation between the output's sequences and the target's. speedup: over
    autoregressive decoding at `cost`.
    """
    cumulative = prediction.rejections_pmf.cumsum()
    return {
        "pair": pair_name,
        **{f"pair.{key}": value for key, value in pair_options.items()},
        "T": prediction.horizon,
        "V": prediction.token_marginals.shape[1],
        "decoder": decoder_name(decoder),
        **{f"decoder.{key}": value for key, value in table_options(decoder).items()},
        **cost.columns(),
        "expected_rejections": prediction.expected_rejections,
        "sd": math.sqrt(max(prediction.variance, 0.0)),
        **{name: int((cumulative < share).sum()) for name, share in QUANTILES.items()},
        **{name: getattr(prediction, name) for name in NUMBERS},
        "speedup": speedup,
        "total_variation_low": bracket.low,
        "total_variation_high": bracket.high,
        "sequence_kl": prediction.sequence_kl,
        "error_bound": prediction.error_bound,
    }
