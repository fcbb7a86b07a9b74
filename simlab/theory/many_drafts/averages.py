"""What many drafts accept on a chain, averaged over its positions: each position t, its last token from the
target.

That is the share of positions at which a draft is accepted by a decoder that verifies k drafts at every
position and nothing further ahead: 1 - E[N_rej]/T of one position a call, whatever the rule, as its output is
the target's.
"""

from __future__ import annotations

import numpy as np

from simlab.pairs import ChainPair
from simlab.pairs.pair import check_pair
from simlab.theory.many_drafts.acceptance import acceptance
from simlab.theory.many_drafts.optimal import optimal_acceptance
from simlab.theory.products import product


def average_acceptance(pair: ChainPair, rule: str, drafts: int | float, replacement: bool = True) -> float:
    """The acceptance of a rule, averaged over positions. Arguments and errors: `acceptance`."""
    check_pair(pair)
    found = acceptance(rule, pair.draft_rows, pair.target_rows, drafts, replacement)
    return _average(pair, found.probability)


def average_optimum(
    pair: ChainPair, drafts: int | float, replacement: bool = True, construction: str = "sampled"
) -> float:
    """The optimal acceptance, averaged over positions. Arguments and errors: `optimal_acceptance`."""
    check_pair(pair)
    found = optimal_acceptance(pair.draft_rows, pair.target_rows, drafts, replacement, construction)
    return _average(pair, found)


def _average(pair: ChainPair, values: np.ndarray) -> float:
    """The mean over t and the target's x_{t-1} of values (T, V), or (1, V) where no step differs."""
    last, total = pair.initial / pair.initial.sum(), 0.0
    for t in range(pair.horizon):
        total += float(last @ values[t if len(values) > 1 else 0])
        last = product(last, pair.target[t])
    return total / pair.horizon
