"""The speed of light: how many drafted tokens any deterministic scheme can get right in a random environment.

`moments` and `transform` are those of a distribution's step, the bounds take moments and capacities,
`renewal_bound` the distribution itself. `cap` is what bounds of means need where E[X | environment] is
simulated, `chain_moments` what stands for the moments on a Markov chain. Start reading at `bounds`.
"""

from simlab.theory.speed_of_light.bounds import (
    asymptote,
    dual_bound,
    first_order,
    published_slope,
    sharper_bound,
)
from simlab.theory.speed_of_light.capping import cap
from simlab.theory.speed_of_light.chain import chain_moments, long_run
from simlab.theory.speed_of_light.renewal import renewal_bound
from simlab.theory.speed_of_light.steps import Moments, moments, transform

__all__ = [
    "Moments",
    "asymptote",
    "cap",
    "chain_moments",
    "dual_bound",
    "first_order",
    "long_run",
    "moments",
    "published_slope",
    "renewal_bound",
    "sharper_bound",
    "transform",
]
