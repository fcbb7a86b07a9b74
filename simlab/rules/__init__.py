"""RULES of acceptance by name: what becomes of one drafted token, as `simlab.RuleSpeculative` takes them.

A rule is any function `rule(draft, target) -> (accept, replacement)` of two rows (V,), the distributions of
the drafted token and of the target's: accept (V,), the probability in [0, 1] with which each token is
accepted once it is drafted, and replacement, weights (V,) that a rejected token is replaced by, or (V, V),
one row for each rejected token. Weights are in [0, 1], and need not sum to 1. A rule must depend on nothing
but the two rows. An object may have besides

propose(draft) -> (V,): the distribution that tokens are really drawn from, where that is not the draft;
is_biased: False where the output is the target's whatever the two rows are;
needs_the_draft: False where that holds whatever tokens are proposed, and from what distribution;
takes_many: True where it also answers for many rows at once, (N, V) each, which is faster. Those here do.

A rule of your own:

    def half(draft, target):
        '''Each drafted token is accepted by a fair coin; otherwise the target draws one.'''
        return np.full(len(draft), 0.5), target

    simlab.predict(simlab.pairs.paper(), simlab.RuleSpeculative(half, window=4))
"""

from simlab.rules.lossy import Lenient, OverAcceptance, TopKRelaxed, Typical
from simlab.rules.unbiased import GreedyMatch, Speculative, TokenMatch

RULES = {
    "speculative": Speculative,
    "over_acceptance": OverAcceptance,
    "lenient": Lenient,
    "token_match": TokenMatch,
    "greedy_match": GreedyMatch,
    "typical": Typical,
    "top_k_relaxed": TopKRelaxed,
}
"""By the name in configs and tables."""

__all__ = [
    "RULES",
    "GreedyMatch",
    "Lenient",
    "OverAcceptance",
    "Speculative",
    "TokenMatch",
    "TopKRelaxed",
    "Typical",
]
