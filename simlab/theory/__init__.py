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

from simlab.theory import memoryless, mistakes, speed_of_light
from simlab.theory.bias.front import Front, FrontPoint, front_floor, sequence_front, sequence_tradeoff
from simlab.theory.bias.loss import optimal_loss, single_token_tradeoff
from simlab.theory.bias.total_variation import Bracket, chains_total_variation, sequence_total_variation
from simlab.theory.bias.win_rate import win_rates
from simlab.theory.block import block_gain
from simlab.theory.dispatch import (
    expected_rejections_per_position,
    expected_target_calls,
    expected_time,
    output_chain,
    predict,
)
from simlab.theory.horizon.closed_forms import batch_improvement_bernoulli, batch_improvement_uniform
from simlab.theory.horizon.theorem3 import theorem3_expected_rejections
from simlab.theory.many_drafts import optimal_acceptance
from simlab.theory.prediction import Prediction
from simlab.theory.trees import DraftTree, expected_accepted, optimal_tree
from simlab.theory.windows import (
    BestThreshold,
    BestWindow,
    best_threshold,
    best_window,
    calls_by_drafted,
    mean_acceptance,
    optimal_policy,
    window_times,
)

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
    "optimal_tree",
    "output_chain",
    "predict",
    "sequence_front",
    "sequence_total_variation",
    "sequence_tradeoff",
    "single_token_tradeoff",
    "speed_of_light",
    "theorem3_expected_rejections",
    "win_rates",
    "window_times",
]
