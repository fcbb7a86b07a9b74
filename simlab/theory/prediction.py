"""What the theory says of one decoder on one pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simlab.decoders import Decoder
from simlab.pairs.pair import ChainPair
from simlab.theory.products import product


@dataclass(frozen=True, eq=False)
class Prediction:
    """Exact numbers of one decoder on one pair.

    rejections_pmf: (T+1,), P(N_rej = n) for n = 0..T.
    expected_rejections, variance: mean and variance of N_rej.
    rejections_per_position: (T,), P(position t is rejected); sums to expected_rejections.
        For TreeSpeculative the "rejections" are the bonus tokens: those that no tree had drafted.
    target_calls_pmf: (T+1,), P(n target calls) for n = 0..T. Each iteration is one call: with a look-ahead to
        the horizon it ends with a rejection or with the last token, with a window also where all of it is
        accepted, with a tree with its bonus token or with the last one; autoregressive decoding takes one a
        token.
    expected_target_calls: its mean.
    acceleration: T / E[N_rej], the tokens per target call when drafting is free (Yin et al. 2024); inf if
        nothing is ever rejected; 1 for autoregressive decoding, which calls the target for each token. With
        windows, bonus tokens and trees, where calls end without a rejection too, T / E[target calls].
    token_marginals: (T, V), P(token t = y).
    output_chain: (T, V, V), the law of the next token given the last one: the target itself for the unbiased
        decoders, the chain that the output follows for BiasedSpeculative. One step, broadcast, where both
        chains of the pair are stationary. Read-only.
    sequence_kl: KL(output || target) of the whole sequence in nats, given x_0 and averaged over it; 0 for
        the unbiased decoders, inf where the output can contain what the target cannot.
    expected_drafted_tokens: the drafted tokens of a trajectory, verified or not, those behind a rejection
        included; of batch decoding those of all its drafts. nan for TreeSpeculative.
    expected_accepted_tokens: those of them that were accepted: neither replacements nor bonus tokens.
    drafted_by_place: (K,), entry i - 1: the expected number of calls that draft at least i tokens; K is the
        longest window. Of batch decoding i tokens in each draft. (0,) for TreeSpeculative.
    reached_by_place: (K,), of those, the calls whose first i - 1 drafted tokens are accepted.
    accepted_by_place: (K,), of those, the calls whose first i drafted tokens are accepted.
    accuracy: no expectation above that rests on the target calls is further from the true one than this; 0.0
        where all are exact but for rounding, as for every decoder but BlockSpeculative with a window too
        long to enumerate.
    """

    decoder: Decoder
    rejections_pmf: np.ndarray
    expected_rejections: float
    variance: float
    rejections_per_position: np.ndarray
    target_calls_pmf: np.ndarray
    expected_target_calls: float
    acceleration: float
    token_marginals: np.ndarray
    output_chain: np.ndarray
    sequence_kl: float
    expected_drafted_tokens: float
    expected_accepted_tokens: float
    drafted_by_place: np.ndarray
    reached_by_place: np.ndarray
    accepted_by_place: np.ndarray
    accuracy: float

    @property
    def horizon(self) -> int:
        """T, the number of generated tokens."""
        return len(self.rejections_per_position)

    @property
    def tokens_per_call(self) -> float:
        """T / E[target calls], bonus tokens included (block efficiency)."""
        return self.horizon / self.expected_target_calls

    @property
    def acceptance_rate(self) -> float:
        """E[accepted tokens] / E[drafted tokens]: what was drafted in vain counts; nan for none."""
        drafted = self.expected_drafted_tokens
        return self.expected_accepted_tokens / drafted if drafted else math.nan

    @property
    def acceptance_length(self) -> float:
        """E[accepted tokens] / E[target calls], without bonus tokens and replacements."""
        return self.expected_accepted_tokens / self.expected_target_calls

    @property
    def acceptance_length_by_place(self) -> np.ndarray:
        """(K,): E[accepted tokens at the first i places of the window] / E[target calls], entry i - 1.

        Without bonus tokens and replacements; the last entry is `acceptance_length`.
        """
        return np.cumsum(self.accepted_by_place) / self.expected_target_calls

    @property
    def acceptance_rate_by_place(self) -> np.ndarray:
        """(K,): of the calls that draft a token at this place of the window, the part that accepts it.

        The per-position acceptance rate of serving engines. Where all calls draft as many tokens it falls
        from place to place, as a token is accepted only behind accepted ones. Where some draft fewer, near
        the horizon or by a policy, it may rise: fewer calls are left at later places. nan where none is.
        """
        return _ratio(self.accepted_by_place, self.drafted_by_place)

    @property
    def conditional_acceptance_by_place(self) -> np.ndarray:
        """(K,): the same, of the calls that accept all drafted tokens before it; nan for none."""
        return _ratio(self.accepted_by_place, self.reached_by_place)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return np.minimum(ratio, 1.0)  # a part of the whole, but for rounding


def within_calls(mean: float, horizon: int) -> float:
    """A computed mean of the target calls, within what it can be: every trajectory takes 1..T of them.

    Each call gives a token at least, and the first one is made whatever comes. So a horizon of one token
    takes exactly 1 call, where a sum over tokens is 1 but for rounding.
    """
    return float(min(max(mean, 1.0), horizon))


def target_marginals(pair: ChainPair) -> np.ndarray:
    """P(token t = y) under the target, (T, V)."""
    marginals, now = np.empty((pair.horizon, pair.states)), pair.initial
    for t in range(pair.horizon):
        marginals[t] = now = product(now, pair.target[t])
    return marginals
