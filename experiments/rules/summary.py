"""The table of all rules as they are without parameters."""

from __future__ import annotations

from simlab.decoders import decoder_label
from simlab.experiments.common.estimates import calls_of, mean_of, per_call, total_variation_of
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.rules.options import UNBIASED
from simlab.experiments.rules.scenes import Scene
from simlab.runs import Job
from simlab.theory import Bracket

TABLE_CAPTION = (
    "Every named rule with its default parameters. Rejections to the horizon, exact and simulated. Bound: "
    "for the unbiased rules the rejections of speculative decoding, below which none that draws from the "
    "draft can be (Theorem 2; greedy match does not draw); for the others the least total variation of "
    "sequences that is known to be needed with their rejections. Bias: the mean total variation of a step, "
    "the divergence of the sequence in nats, and its total variation as a bracket and simulated. With the "
    "window and the bonus token: acceptance rate, tokens per call exact and simulated, speed-up, and bias of "
    "a step."
)


def summary_rows(
    told: Presentation,
    defaults: dict[str, Job],
    windows: dict[str, Job],
    brackets: dict[str, Bracket],
    whole: Scene,
) -> list[dict]:
    """A row a rule."""
    return [_row(told, name, defaults[name], windows[name], brackets[name], whole) for name in defaults]


def _row(told: Presentation, name: str, one: Job, windowed: Job, bracket: Bracket, whole: Scene) -> dict:
    settings, exact, short = told.settings, told.prediction(one), told.prediction(windowed)
    rejections = mean_of(one, told.result(one), settings.confidence)
    variation = total_variation_of(one, told.result(one), settings.confidence)
    per = per_call(calls_of(windowed, told.result(windowed), settings.confidence), short.horizon)
    unbiased = name in UNBIASED
    return {
        "rule": name,
        "decoder": decoder_label(windowed.task.decoder),
        "unbiased": unbiased,
        "rejections_exact": exact.expected_rejections,
        **dict(zip(("rejections", "rejections_low", "rejections_high"), rejections, strict=True)),
        "bound_rejections": whole.rejections if unbiased else None,
        "bound_total_variation": None if unbiased else float(whole.floor(exact.expected_rejections)),
        "bias_per_token": float(exact.bias_per_position.mean()),
        "sequence_kl": exact.sequence_kl,
        "total_variation_exact_low": bracket.low,
        "total_variation_exact_high": bracket.high,
        **dict(
            zip(("total_variation", "total_variation_low", "total_variation_high"), variation, strict=True)
        ),
        "acceptance_rate": short.acceptance_rate,
        "tokens_per_call_exact": short.tokens_per_call,
        **dict(zip(("tokens_per_call", "tokens_per_call_low", "tokens_per_call_high"), per, strict=True)),
        "speedup_exact": settings.cost.speedup(short),
        "window_bias_per_token": float(short.bias_per_position.mean()),
    }
