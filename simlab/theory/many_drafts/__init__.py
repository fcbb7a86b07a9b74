"""Many drafts at one position: what the best verification accepts, and what each rule does.

`optimal_acceptance` is the ceiling: no rule whose output is exactly the target accepts more. `acceptance` is
what one of the `RULES` accepts and rejects, token by token. The proofs stand in the modules.
"""

from simlab.theory.many_drafts.acceptance import RULES, Acceptance, acceptance
from simlab.theory.many_drafts.optimal import CONSTRUCTIONS, optimal_acceptance

__all__ = ["CONSTRUCTIONS", "RULES", "Acceptance", "acceptance", "optimal_acceptance"]
