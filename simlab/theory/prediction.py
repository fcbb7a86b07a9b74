"""What the theory says of one decoder on one pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import Decoder


@dataclass(frozen=True, eq=False)
class Prediction:
    """Exact numbers of one decoder on one pair.

    rejections_pmf: (T+1,), P(N_rej = n) for n = 0..T.
    expected_rejections, variance: mean and variance of N_rej.
    rejections_per_position: (T,), P(position t is rejected); sums to expected_rejections.
        For TreeSpeculative the "rejections" are the bonus tokens: those that no tree had drafted.
    target_calls_pmf: (T+1,), P(n target calls) for n = 0..T. Each iteration is one call: with a look-ahead to
        the horizon it ends with a rejection or with the last token, with a tree with its bonus token or with
        the last one; autoregressive decoding takes a call a token.
    expected_target_calls: its mean.
    acceleration: T / E[N_rej], the tokens per target call when drafting is free (Yin et al. 2024); inf if
        nothing is ever rejected; 1 for autoregressive decoding, which calls the target for each token; for
        TreeSpeculative T / E[target calls].
    token_marginals: (T, V), P(token t = y).
    output_chain: (T, V, V), the law of the next token given the last one: the target itself for the unbiased
        decoders, the chain that the output follows for BiasedSpeculative. One step, broadcast, where both
        chains of the pair are stationary. Read-only.
    sequence_kl: KL(output || target) of the whole sequence in nats, given x_0 and averaged over it; 0 for
        the unbiased decoders, inf where the output can contain what the target cannot.
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

    @property
    def horizon(self) -> int:
        """T, the number of generated tokens."""
        return len(self.rejections_per_position)

    @property
    def tokens_per_call(self) -> float:
        """T / E[target calls], bonus tokens included (block efficiency)."""
        return self.horizon / self.expected_target_calls
