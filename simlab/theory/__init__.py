"""PREDICTS: exact numbers from a pair of chains. It never samples and shares no code with the samplers.

`predict` answers everything at once; `expected_rejections_per_position` is the fast road to the mean;
`theorem3_expected_rejections` and the closed forms are the paper's own formulas, kept as second routes.
"""

from simlab.theory.closed_forms import batch_improvement_bernoulli, batch_improvement_uniform
from simlab.theory.forward import Prediction, expected_rejections_per_position, predict
from simlab.theory.theorem3 import theorem3_expected_rejections

__all__ = [
    "Prediction",
    "batch_improvement_bernoulli",
    "batch_improvement_uniform",
    "expected_rejections_per_position",
    "predict",
    "theorem3_expected_rejections",
]
