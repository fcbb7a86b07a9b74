"""Exact predictions by a forward recursion over (last token, fresh or not, rejections so far).

A position is *fresh* at the start and after every rejection; batch speculative decoding tries several
drafts there and one draft elsewhere, speculative decoding makes no difference. With B and R the rejected
sub-kernels at fresh and continuing positions (`kernels`), the law F[n, x] moves as

    continuing'[n]   = fresh[n] (target - B) + continuing[n] (target - R)
    fresh'[n + 1]    = fresh[n] B            + continuing[n] R

(own; the state of Yin et al. 2024, Theorem 3, carrying the whole count instead of its mean).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simlab.decoders import Autoregressive, BatchSpeculative, Decoder, Speculative, decoder_name
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.theory.kernels import batch_rejected, speculative_rejected

_NEGLIGIBLE = 1e-290  # smaller masses are dropped: they would slow the arithmetic as subnormal numbers


@dataclass(frozen=True, eq=False)
class Prediction:
    """Exact numbers of one decoder on one pair.

    rejections_pmf: (T+1,), P(N_rej = n) for n = 0..T.
    expected_rejections, variance: mean and variance of N_rej.
    rejections_per_position: (T,), P(position t is rejected); sums to expected_rejections.
    acceleration: T / E[N_rej], the tokens per target call when drafting is free (Yin et al. 2024); inf if
        nothing is ever rejected; 1 for autoregressive decoding, which calls the target for each token.
    token_marginals: (T, V), P(token t = y).
    """

    decoder: Decoder
    rejections_pmf: np.ndarray
    expected_rejections: float
    variance: float
    rejections_per_position: np.ndarray
    acceleration: float
    token_marginals: np.ndarray

    @property
    def horizon(self) -> int:
        """T, the number of generated tokens."""
        return len(self.rejections_per_position)


def predict(pair: ChainPair, decoder: Decoder) -> Prediction:
    """The exact law of N_rej and of each token, for any decoder of `simlab.decoders`.

    Speculative(): Yin et al. 2024, Theorem 1; BatchSpeculative(drafts): Theorem 3, with math.inf the limit
    of Proposition 1. Time O(T^2 V^2) as matrix products; `expected_rejections_per_position` is O(T V^2).
    Memory beyond the pair: about seven (V, V) arrays and four (T+1, V). Raises SimlabError for what is no
    pair or no decoder.
    """
    check(pair, decoder)
    horizon, states = pair.horizon, pair.states
    fresh = np.zeros((horizon + 1, states))
    continuing = np.zeros_like(fresh)
    fresh[0] = pair.initial
    per_position = np.zeros(horizon)
    marginals = np.empty((horizon, states))
    for t, (target, rejected_fresh, rejected) in enumerate(_steps(pair, decoder)):
        reach = t + 1  # at most t rejections so far
        now_fresh, now_continuing = fresh[:reach], continuing[:reach]
        if rejected_fresh is rejected:
            both = now_fresh + now_continuing
            out_rejected = both @ rejected
            out_accepted = both @ (target - rejected)
        else:
            out_rejected = now_fresh @ rejected_fresh + now_continuing @ rejected
            out_accepted = now_fresh @ (target - rejected_fresh) + now_continuing @ (target - rejected)
        fresh[0] = 0.0
        fresh[1 : reach + 1] = np.where(out_rejected > _NEGLIGIBLE, out_rejected, 0.0)
        continuing[:reach] = np.where(out_accepted > _NEGLIGIBLE, out_accepted, 0.0)
        per_position[t] = out_rejected.sum()
        marginals[t] = out_rejected.sum(axis=0) + out_accepted.sum(axis=0)
    pmf = (fresh + continuing).sum(axis=1)
    expected = float(per_position.sum())
    deviation = np.arange(horizon + 1) - expected
    return Prediction(
        decoder=decoder,
        rejections_pmf=pmf,
        expected_rejections=expected,
        variance=float(np.dot(deviation**2, pmf)),
        rejections_per_position=per_position,
        acceleration=_acceleration(decoder, horizon, expected),
        token_marginals=marginals,
    )


def expected_rejections_per_position(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """P(position t is rejected), (T,), by the recursion without the count: O(T V^2) time, O(V^2) memory.

    Its sum is E[N_rej]. Raises SimlabError as `predict` does.
    """
    check(pair, decoder)
    fresh = np.array(pair.initial)
    continuing = np.zeros_like(fresh)
    per_position = np.zeros(pair.horizon)
    for t, (target, rejected_fresh, rejected) in enumerate(_steps(pair, decoder)):
        out = fresh @ rejected_fresh + continuing @ rejected
        continuing = (fresh + continuing) @ target - out
        fresh = out
        per_position[t] = out.sum()
    return per_position


def check(pair: ChainPair, decoder: Decoder) -> None:
    """Raise SimlabError unless the arguments are a ChainPair and a decoder."""
    if not isinstance(pair, ChainPair):
        raise SimlabError(f"{type(pair).__name__} is no pair: give a simlab.ChainPair")
    decoder_name(decoder)


def _steps(pair: ChainPair, decoder: Decoder) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(target, rejected at a fresh position, rejected at a continuing one) for each step."""
    stationary = len(pair.draft_rows) == len(pair.target_rows) == 1
    split = None
    for t in range(pair.horizon):
        if split is None or not stationary:
            split = _split(pair.draft[t], pair.target[t], decoder)
        yield pair.target[t], *split


def _split(draft: np.ndarray, target: np.ndarray, decoder: Decoder) -> tuple[np.ndarray, np.ndarray]:
    match decoder:
        case Autoregressive():
            nothing = np.zeros_like(target)
            return nothing, nothing
        case Speculative():
            rejected = speculative_rejected(draft, target)
            return rejected, rejected
        case BatchSpeculative(drafts=drafts):
            return batch_rejected(draft, target, drafts), speculative_rejected(draft, target)
    raise SimlabError(f"no theory for {decoder!r}")


def _acceleration(decoder: Decoder, horizon: int, expected: float) -> float:
    if isinstance(decoder, Autoregressive):
        return 1.0
    return horizon / expected if expected > 0 else math.inf
