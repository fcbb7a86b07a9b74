"""What the theory says of one decoder on one pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simlab.aliases import ByPlace, old_name
from simlab.decoders import Decoder, decoder_label, drafted_by_calls
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.call_rates import CallRates
from simlab.theory.horizon.divergence import sequence_divergence
from simlab.theory.products import product


@dataclass(frozen=True, eq=False)
class Prediction(ByPlace, CallRates):
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
    acceleration: T / E[N_rej], as Yin et al. (2024) measure it: drafting is free and reaches the horizon, so
        that a rejection costs one target call. inf if nothing is ever rejected; 1 for autoregressive
        decoding, which calls the target for each token; nan with windows, bonus tokens and trees, where calls
        end without a rejection too. `tokens_per_call`, T / E[target calls], is there for every decoder.
    token_marginals: (T, V), P(token t = y).
    output_chain: (T, V, V), the distribution of the next token given the last one: the target itself for the
        unbiased decoders, the chain that the output follows for BiasedSpeculative and RuleSpeculative. One
        step, broadcast, where both chains of the pair are stationary. Read-only. With a biased rule, a
        window and the bonus token the tokens before the last one matter too: then averaged over them.
    sequence_kl: KL(output || target) of the whole sequence in nats, given x_0 and averaged over it; 0 for
        the unbiased decoders, inf where the output can contain what the target cannot; nan for a biased
        RuleSpeculative with a window and the bonus token where sequences are too many to enumerate.
    bias_per_position: (T,), the total variation between the next token's distributions of output and target
        after the same last token, averaged over the output's last token; zeros for the unbiased decoders.
    expected_drafted_tokens: the drafted tokens of a trajectory, verified or not, those behind a rejection
        included; of batch decoding those of all its drafts. nan for TreeSpeculative.
    expected_accepted_tokens: those of them that were accepted: neither replacements nor bonus tokens.
    drafted_by_position: (K,), entry i - 1: the expected number of calls that draft at least i tokens; K is
        the longest window. Of batch decoding i tokens in each draft. (0,) for TreeSpeculative.
    reached_by_position: (K,), of those, the calls whose first i - 1 drafted tokens are accepted.
    accepted_by_position: (K,), of those, the calls whose first i drafted tokens are accepted.
    calls_by_drafted, a property: the same calls by how many tokens they draft exactly.
    error_bound: no expectation above that rests on the target calls is further from the true one than this;
        0.0 where all are exact but for rounding, as for every decoder but BlockSpeculative with a window too
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
    bias_per_position: np.ndarray
    expected_drafted_tokens: float
    expected_accepted_tokens: float
    drafted_by_position: np.ndarray
    reached_by_position: np.ndarray
    accepted_by_position: np.ndarray
    error_bound: float

    accuracy = old_name("error_bound")

    @classmethod
    def build(
        cls,
        pair: ChainPair,
        decoder: Decoder,
        *,
        rejections_pmf: np.ndarray,
        rejections_per_position: np.ndarray,
        target_calls_pmf: np.ndarray,
        by_position: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        acceleration: float = math.nan,
        output_chain: np.ndarray | None = None,
        sequence_kl: float | None = None,
        error_bound: float = 0.0,
    ) -> Prediction:
        """The prediction, with everything that follows from these: means, variance, marginals, divergence.

        by_position: (drafted, reached, accepted) by position; None where drafted tokens are not predicted.
        output_chain: None for the target, which is the output of every unbiased decoder. sequence_kl: None
        for that of the chains.
        """
        horizon, counts = pair.horizon, np.arange(pair.horizon + 1)
        expected = float(rejections_per_position.sum())
        chain = pair.target if output_chain is None else output_chain
        unbiased = chain is pair.target
        drafted, reached, accepted = (np.zeros(0),) * 3 if by_position is None else by_position
        known = 1.0 if by_position is not None else math.nan
        tokens = marginals(chain, pair.initial)
        if sequence_kl is None:
            sequence_kl = 0.0 if unbiased else sequence_divergence(chain, pair.target, pair.initial)
        return cls(
            decoder=decoder,
            rejections_pmf=rejections_pmf,
            expected_rejections=expected,
            variance=float(np.dot((counts - expected) ** 2, rejections_pmf)),
            rejections_per_position=rejections_per_position,
            target_calls_pmf=target_calls_pmf,
            expected_target_calls=within_calls(np.dot(target_calls_pmf, counts), horizon),
            acceleration=acceleration,
            token_marginals=tokens,
            output_chain=chain,
            sequence_kl=sequence_kl,
            bias_per_position=np.zeros(horizon) if unbiased else _biases(chain, pair, tokens),
            expected_drafted_tokens=known * drafted_by_calls(decoder, drafted),
            expected_accepted_tokens=known * float(accepted.sum()),
            drafted_by_position=drafted,
            reached_by_position=reached,
            accepted_by_position=accepted,
            error_bound=error_bound,
        )

    def __repr__(self) -> str:
        spread = f"sd {math.sqrt(max(self.variance, 0.0)):.6g}"
        return (
            f"Prediction({decoder_label(self.decoder)} on T={self.horizon}, "
            f"V={self.token_marginals.shape[1]}: E[N_rej] {self.expected_rejections:.6g}, {spread}, "
            f"E[target calls] {self.expected_target_calls:.6g}, tokens per call {self.tokens_per_call:.6g})"
        )

    @property
    def horizon(self) -> int:
        """T, the number of generated tokens."""
        return len(self.rejections_per_position)


def _biases(chain: np.ndarray, pair: ChainPair, tokens: np.ndarray) -> np.ndarray:
    last = np.vstack([pair.initial, tokens[:-1]])
    distances = (0.5 * np.abs(one - goal).sum(axis=1) for one, goal in zip(chain, pair.target, strict=True))
    return np.array([now @ distance for now, distance in zip(last, distances, strict=True)])


def within_calls(mean: float, horizon: int) -> float:
    """A computed mean of the target calls, within what it can be: every trajectory takes 1..T of them.

    Each call gives a token at least, and the first one is made whatever comes. So a horizon of one token
    takes exactly 1 call, where a sum over tokens is 1 but for rounding.
    """
    return float(min(max(mean, 1.0), horizon))


def marginals(chain: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """P(token t = y), (T, V), of a chain (T, V, V) from the distribution (V,) of x_0."""
    found, now = np.empty(chain.shape[:2]), initial
    for t in stepping(range(len(chain)), "the distribution of each token"):
        found[t] = now = product(now, chain[t])
    return found
