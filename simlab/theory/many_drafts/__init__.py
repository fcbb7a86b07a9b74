"""Many drafts at one position: what the best verification accepts, and what each rule does.

`optimal_acceptance` is the ceiling: no rule whose output is exactly the target accepts more. `acceptance` is
what one rule accepts and rejects, token by token. Where which statement is proved is said in the modules.
"""

from simlab.theory.many_drafts.optimal import optimal_acceptance

__all__ = ["optimal_acceptance"]
