"""PREDICTS: exact numbers from a pair of chains. It never samples and shares no code with the samplers.

`predict` answers everything at once; `expected_rejections_per_position` is the fast road to the mean;
`theorem3_expected_rejections` is the paper's own formula, kept as a second route. Of biased decoding,
`sequence_total_variation` brackets the bias of whole sequences, `optimal_loss` and `single_token_tradeoff`
give that of one token, and `win_rates` lets the target judge between the outputs of two decoders.
`sequence_front` is what rejections and bias can be had together, by whatever algorithm. `optimal_tree` is the
draft tree from which the target takes the most tokens a call; `best_window` and `optimal_policy` say how many
tokens to draft before each call where both cost time, `expected_time` what it takes, `block_gain` what
verifying windows as blocks saves. `speed_of_light` bounds what any scheme can take from any tree in a random
environment. `optimal_acceptance` is what the best verification of many drafts accepts. `memoryless` has the
formulas for windows where every token is accepted with the same probability, `mistakes` the distribution of
one step gone wrong.
"""

import importlib

__all__ = [
    "BestThreshold",
    "BestWindow",
    "Bracket",
    "DraftTree",
    "Front",
    "FrontPoint",
    "Prediction",
    "batch_improvement_bernoulli",
    "batch_improvement_uniform",
    "best_threshold",
    "best_window",
    "block_gain",
    "calls_by_drafted",
    "chains_total_variation",
    "expected_accepted",
    "expected_rejections_per_position",
    "expected_target_calls",
    "expected_time",
    "front_floor",
    "mean_acceptance",
    "memoryless",
    "mistakes",
    "optimal_acceptance",
    "optimal_loss",
    "optimal_policy",
    "optimal_policy_and_time",
    "optimal_tree",
    "output_chain",
    "predict",
    "sequence_front",
    "sequence_total_variation",
    "sequence_tradeoff",
    "single_token_tradeoff",
    "speed_of_light",
    "theorem3_expected_rejections",
    "threshold_times",
    "win_rates",
    "window_times",
]

_HOMES = {
    "BestThreshold": "simlab.theory.windows",
    "BestWindow": "simlab.theory.windows",
    "Bracket": "simlab.theory.bias.total_variation",
    "DraftTree": "simlab.theory.trees",
    "Front": "simlab.theory.bias.front",
    "FrontPoint": "simlab.theory.bias.front",
    "Prediction": "simlab.theory.prediction",
    "batch_improvement_bernoulli": "simlab.theory.horizon.closed_forms",
    "batch_improvement_uniform": "simlab.theory.horizon.closed_forms",
    "best_threshold": "simlab.theory.windows",
    "best_window": "simlab.theory.windows",
    "block_gain": "simlab.theory.block",
    "calls_by_drafted": "simlab.theory.windows",
    "chains_total_variation": "simlab.theory.bias.total_variation",
    "expected_accepted": "simlab.theory.trees",
    "expected_rejections_per_position": "simlab.theory.dispatch",
    "expected_target_calls": "simlab.theory.dispatch",
    "expected_time": "simlab.theory.dispatch",
    "front_floor": "simlab.theory.bias.front",
    "mean_acceptance": "simlab.theory.windows",
    "optimal_acceptance": "simlab.theory.many_drafts",
    "optimal_loss": "simlab.theory.bias.loss",
    "optimal_policy": "simlab.theory.windows",
    "optimal_policy_and_time": "simlab.theory.windows",
    "optimal_tree": "simlab.theory.trees",
    "output_chain": "simlab.theory.dispatch",
    "predict": "simlab.theory.dispatch",
    "sequence_front": "simlab.theory.bias.front",
    "sequence_total_variation": "simlab.theory.bias.total_variation",
    "sequence_tradeoff": "simlab.theory.bias.front",
    "single_token_tradeoff": "simlab.theory.bias.loss",
    "theorem3_expected_rejections": "simlab.theory.horizon.theorem3",
    "threshold_times": "simlab.theory.windows",
    "win_rates": "simlab.theory.bias.win_rate",
    "window_times": "simlab.theory.windows",
}
"""By name, where it is. `from simlab.theory import memoryless` finds a module by itself."""


def __getattr__(name: str):
    # A plan from a log needs one module of them all: only who asks waits for the others.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"simlab.theory.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"simlab.theory.{name}":
                raise
    raise AttributeError(f"module 'simlab.theory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"importlib"})
