"""Many drafts at one position: what the best verification accepts, and what each rule does.

`optimal_acceptance` is the ceiling: no rule whose output is exactly the target accepts more. `acceptance` is
what one of the `RULES` accepts and rejects, token by token; `average_optimum` and `average_acceptance` are
their means over the positions of a chain. The proofs stand in the modules.
"""

from simlab.theory.many_drafts.acceptance import RULES, Acceptance, acceptance
from simlab.theory.many_drafts.agreeing import agreeing_accepted, agreeing_rejections
from simlab.theory.many_drafts.averages import average_acceptance, average_optimum
from simlab.theory.many_drafts.optimal import CONSTRUCTIONS, optimal_acceptance
from simlab.theory.many_drafts.recursive import enumerated_orders, recursive_guarantee

__all__ = [
    "CONSTRUCTIONS",
    "RULES",
    "Acceptance",
    "acceptance",
    "agreeing_accepted",
    "agreeing_rejections",
    "average_acceptance",
    "average_optimum",
    "enumerated_orders",
    "optimal_acceptance",
    "recursive_guarantee",
]
