"""PREDICTS: exact numbers from a pair of chains. It never samples and shares no code with the samplers.

`predict` answers everything at once; `expected_rejections_per_position` is the fast road to the mean;
`theorem3_expected_rejections` is the paper's own formula, kept as a second route.
"""

from simlab.theory.forward import Prediction, expected_rejections_per_position, predict
from simlab.theory.theorem3 import theorem3_expected_rejections

__all__ = [
    "Prediction",
    "expected_rejections_per_position",
    "predict",
    "theorem3_expected_rejections",
]
