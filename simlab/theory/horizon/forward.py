"""Exact predictions by a forward recursion over (last token, fresh or not, rejections so far).

A position is *fresh* at the start and after every rejection; batch speculative decoding tries several
drafts there and one draft elsewhere, speculative decoding makes no difference. With B and R the rejected
sub-kernels at fresh and continuing positions (`kernels`), the law F[n, x] moves as

    continuing'[n]   = fresh[n] (output - B) + continuing[n] (output - R)
    fresh'[n + 1]    = fresh[n] B            + continuing[n] R

(own; the state of Yin et al. 2024, Theorem 3, carrying the whole count instead of its mean). `output` is the
law of the next token, accepted or not: the target, but for biased decoding, whose prefixes therefore follow
its own output chain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from simlab.decoders import (
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
    Windowed,
    decoder_name,
    is_plain,
)
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_pair
from simlab.theory.horizon.divergence import sequence_divergence
from simlab.theory.horizon.positions import places_to_horizon
from simlab.theory.kernels import batch_rejected, biased_rejected, over_accepted, speculative_rejected
from simlab.theory.prediction import Prediction, within_calls
from simlab.theory.products import NEGLIGIBLE


def predict(pair: ChainPair, decoder: Decoder) -> Prediction:
    """The exact law of N_rej, of the target calls and of each token, for any decoder of `simlab.decoders`.

    Speculative(): Yin et al. 2024, Theorem 1; BatchSpeculative(drafts): Theorem 3, with math.inf the limit
    of Proposition 1; BiasedSpeculative: own, see the module's head; windows, blocks and trees: own, see
    `windows.forward`, `block` and `trees.calls`, for their time and memory too. Time O(T^2 V^2) as matrix
    products; `expected_rejections_per_position` is O(T V^2). Memory beyond the pair: about seven (V, V)
    arrays and six (T+1, V), and the (T, V, V) of the output chain where it is not the target. Raises
    SimlabError for what is no pair or no decoder, and for a policy of another pair.
    """
    check(pair, decoder)
    if isinstance(decoder, TreeSpeculative):
        from simlab.theory.trees.calls import predict_tree

        return predict_tree(pair, decoder)
    if isinstance(decoder, BlockSpeculative):
        from simlab.theory.block import predict_block

        return predict_block(pair, decoder)
    if isinstance(decoder, Windowed) and not is_plain(decoder):
        from simlab.theory.windows.forward import predict_windows

        return predict_windows(pair, decoder)
    return _predict_to_horizon(pair, decoder)


def _predict_to_horizon(pair: ChainPair, decoder: Decoder) -> Prediction:
    """The forward recursion of the module's head."""
    horizon, states = pair.horizon, pair.states
    fresh = np.zeros((horizon + 1, states))
    continuing = np.zeros_like(fresh)
    fresh[0] = pair.initial
    per_position = np.zeros(horizon)
    marginals = np.empty((horizon, states))
    outputs = _room_for_outputs(pair, decoder)
    for t, (output, rejected_fresh, rejected) in enumerate(_steps(pair, decoder)):
        reach = t + 1  # at most t rejections so far
        now_fresh, now_continuing = fresh[:reach], continuing[:reach]
        if rejected_fresh is rejected:
            both = now_fresh + now_continuing
            out_rejected = both @ rejected
            out_accepted = both @ (output - rejected)
        else:
            out_rejected = now_fresh @ rejected_fresh + now_continuing @ rejected
            out_accepted = now_fresh @ (output - rejected_fresh) + now_continuing @ (output - rejected)
        fresh[0] = 0.0
        fresh[1 : reach + 1] = np.where(out_rejected > NEGLIGIBLE, out_rejected, 0.0)
        continuing[:reach] = np.where(out_accepted > NEGLIGIBLE, out_accepted, 0.0)
        per_position[t] = out_rejected.sum()
        marginals[t] = out_rejected.sum(axis=0) + out_accepted.sum(axis=0)
        outputs[t : t + 1] = output
    chain = _as_chain(outputs, pair)
    last_rejected, last_accepted = fresh.sum(axis=1), continuing.sum(axis=1)
    pmf = last_rejected + last_accepted
    calls = _calls_pmf(decoder, last_rejected, last_accepted)
    expected = float(per_position.sum())
    deviation = np.arange(horizon + 1) - expected
    drafted, reached, accepted = _places(pair, decoder)
    return Prediction(
        decoder=decoder,
        rejections_pmf=pmf,
        expected_rejections=expected,
        variance=float(np.dot(deviation**2, pmf)),
        rejections_per_position=per_position,
        target_calls_pmf=calls,
        expected_target_calls=within_calls(np.dot(calls, np.arange(horizon + 1)), horizon),
        acceleration=_acceleration(decoder, horizon, expected),
        token_marginals=marginals,
        output_chain=chain,
        sequence_kl=0.0 if chain is pair.target else sequence_divergence(chain, pair.target, pair.initial),
        expected_drafted_tokens=_drafts(decoder) * float(drafted.sum()),
        expected_accepted_tokens=float(accepted.sum()),
        drafted_by_place=drafted,
        reached_by_place=reached,
        accepted_by_place=accepted,
        accuracy=0.0,
    )


def _places(pair: ChainPair, decoder: Decoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(drafted, reached, accepted) by place, (T,) each; (0,) where nothing is drafted."""
    if isinstance(decoder, Autoregressive):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    return places_to_horizon(_steps(pair, decoder), pair.initial, pair.horizon)


def _drafts(decoder: Decoder) -> int | float:
    """How many drafts each call makes."""
    return decoder.drafts if isinstance(decoder, BatchSpeculative) else 1


def output_chain(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """The law of the decoder's next token given the last one, (T, V, V), as `Prediction.output_chain`.

    Raises SimlabError as `predict` does.
    """
    check(pair, decoder)
    outputs = _room_for_outputs(pair, decoder)
    for row, (output, _, _) in zip(outputs, _steps(pair, decoder), strict=False):
        row[:] = output
    return _as_chain(outputs, pair)


def _room_for_outputs(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """Room for the output chain's distinct steps: (T, V, V), (1, V, V), or none where it is the target."""
    steps = (1 if pair.is_stationary else pair.horizon) * is_biased(decoder)
    return np.empty((steps, pair.states, pair.states))


def _as_chain(outputs: np.ndarray, pair: ChainPair) -> np.ndarray:
    """The distinct steps of an output chain as (T, V, V); the pair's target where there are none."""
    if not len(outputs):
        return pair.target
    outputs.flags.writeable = False
    return np.broadcast_to(outputs[0], pair.target.shape) if len(outputs) < pair.horizon else outputs


def is_biased(decoder: Decoder) -> bool:
    """Whether the decoder's output may differ from the target's.

    BiasedSpeculative(0) with a residual for a replacement is speculative decoding, exactly.
    """
    if not isinstance(decoder, BiasedSpeculative):
        return False
    return decoder.epsilon > 0 or decoder.replacement in ("target", "draft")


def expected_rejections_per_position(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """P(position t is rejected), (T,), by the recursion without the count: O(T V^2) time, O(V^2) memory.

    Its sum is E[N_rej]. With windows of K tokens O(T V^2 K) time; blocks and trees go the way of `predict`.
    Raises SimlabError as `predict` does.
    """
    check(pair, decoder)
    if isinstance(decoder, TreeSpeculative | BlockSpeculative):
        return predict(pair, decoder).rejections_per_position
    if isinstance(decoder, Windowed) and not is_plain(decoder):
        from simlab.theory.windows.forward import rejections_per_position

        return rejections_per_position(pair, decoder)
    fresh = np.array(pair.initial)
    continuing = np.zeros_like(fresh)
    per_position = np.zeros(pair.horizon)
    for t, (output, rejected_fresh, rejected) in enumerate(_steps(pair, decoder)):
        out = fresh @ rejected_fresh + continuing @ rejected
        continuing = (fresh + continuing) @ output - out
        fresh = out
        per_position[t] = out.sum()
    return per_position


def check(pair: ChainPair, decoder: Decoder) -> None:
    """Raise SimlabError unless the arguments are a ChainPair and a decoder."""
    check_pair(pair)
    decoder_name(decoder)


def _steps(pair: ChainPair, decoder: Decoder) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(output, rejected at a fresh position, rejected at a continuing one) for each step."""
    split = None
    for t in range(pair.horizon):
        if split is None or not pair.is_stationary:
            split = _split(pair.draft[t], pair.target[t], decoder)
        yield split


def _split(draft: np.ndarray, target: np.ndarray, decoder: Decoder) -> tuple[np.ndarray, ...]:
    match decoder:
        case Autoregressive():
            nothing = np.zeros_like(target)
            return target, nothing, nothing
        case BatchSpeculative(drafts=drafts):
            return target, batch_rejected(draft, target, drafts), speculative_rejected(draft, target)
        case BiasedSpeculative(epsilon=epsilon, replacement=replacement) if is_biased(decoder):
            rejected = biased_rejected(draft, target, epsilon, replacement)
            return over_accepted(draft, target, epsilon) + rejected, rejected, rejected
        case Speculative() | BiasedSpeculative():
            rejected = speculative_rejected(draft, target)
            return target, rejected, rejected
    raise SimlabError(f"no theory for {decoder!r}")


def _calls_pmf(decoder: Decoder, last_rejected: np.ndarray, last_accepted: np.ndarray) -> np.ndarray:
    """P(n target calls), (T+1,), from P(n rejections, the last token rejected) and (.., accepted).

    Every call but the last ends in a rejection, and so does the last where the horizon's token is rejected.
    """
    if isinstance(decoder, Autoregressive):
        return np.eye(len(last_accepted))[-1]
    calls = last_rejected.copy()
    calls[1:] += last_accepted[:-1]
    return calls


def _acceleration(decoder: Decoder, horizon: int, expected: float) -> float:
    if isinstance(decoder, Autoregressive):
        return 1.0
    return horizon / expected if expected > 0 else math.inf
