"""Exact predictions by a forward recursion over (last token, fresh or not, rejections so far).

A position is *fresh* at the start and after every rejection; batch speculative decoding tries several
drafts there and one draft elsewhere, speculative decoding makes no difference. With B and R the rejected
sub-kernels at fresh and continuing positions (`kernels`), the masses F[n, x] move as

    continuing'[n]   = fresh[n] (output - B) + continuing[n] (output - R)
    fresh'[n + 1]    = fresh[n] B            + continuing[n] R

(own; the state of Yin et al. 2024, Theorem 3, carrying the whole count instead of its mean). `output` is the
distribution of the next token, accepted or not: the target, but for biased decoding, whose prefixes therefore
follow its own output chain.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.decoders import Decoder, algorithm
from simlab.pairs.pair import ChainPair
from simlab.theory.horizon.positions import CallPositions
from simlab.theory.horizon.steps import distinct_steps, steps
from simlab.theory.prediction import Prediction
from simlab.theory.products import Counted, by_count, total, trimmed

costs_to_go = None
"""There is no recursion for costs here: the decoders of this module are counted by rejections."""


def predict(pair: ChainPair, decoder: Decoder) -> Prediction:
    """The exact prediction of decoders whose every call drafts to the horizon, and of the target alone.

    The recursion of the module's head, each step made once, without the counts of no probability (`TAIL`,
    which states how much that may be). Time O(T^1.5 V^2) as matrix products.
    """
    horizon = pair.horizon
    fresh = Counted(0, np.array(pair.initial)[None])
    continuing = Counted(0, fresh.mass[:0])
    per_position = np.zeros(horizon)
    positions = CallPositions(pair.initial, horizon)
    outputs = _room_for_outputs(pair, decoder)
    for t, step in enumerate(steps(pair, decoder)):
        output, rejected_fresh, rejected = step
        if rejected_fresh is rejected:
            both = total(fresh, continuing)
            out_rejected = both._replace(mass=both.mass @ rejected)
            out_accepted = both._replace(mass=both.mass @ (output - rejected))
        else:
            out_rejected = total(
                fresh._replace(mass=fresh.mass @ rejected_fresh),
                continuing._replace(mass=continuing.mass @ rejected),
            )
            out_accepted = total(
                fresh._replace(mass=fresh.mass @ (output - rejected_fresh)),
                continuing._replace(mass=continuing.mass @ (output - rejected)),
            )
        fresh, continuing = trimmed(out_rejected.raised()), trimmed(out_accepted)
        per_position[t] = out_rejected.mass.sum()
        outputs[t : t + 1] = output
        if decoder.drafts_per_call:
            positions.move(step)
    last_rejected, last_accepted = by_count(fresh, horizon), by_count(continuing, horizon)
    expected = float(per_position.sum())
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=last_rejected + last_accepted,
        rejections_per_position=per_position,
        target_calls_pmf=_calls_pmf(decoder, last_rejected, last_accepted),
        by_position=positions.result() if decoder.drafts_per_call else (np.zeros(0),) * 3,
        acceleration=_acceleration(decoder, horizon, expected),
        output_chain=_as_chain(outputs, pair),
    )


def rejections_per_position(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """P(position t is rejected), (T,), by the recursion without the count: O(T V^2) time, O(V^2) memory."""
    fresh = np.array(pair.initial)
    continuing = np.zeros_like(fresh)
    per_position = np.zeros(pair.horizon)
    for t, (output, rejected_fresh, rejected) in enumerate(steps(pair, decoder)):
        out = fresh @ rejected_fresh + continuing @ rejected
        continuing = (fresh + continuing) @ output - out
        fresh = out
        per_position[t] = out.sum()
    return per_position


def output_chain(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """The distribution of the next token given the last one, (T, V, V): the target of an unbiased decoder."""
    outputs = _room_for_outputs(pair, decoder)
    for row, (output, _, _) in zip(outputs, steps(pair, decoder), strict=False):
        row[:] = output
    return _as_chain(outputs, pair)


def _room_for_outputs(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """Room for the output chain's distinct steps: (T, V, V), (1, V, V), or none where it is the target."""
    count = distinct_steps(pair, decoder) * decoder.is_biased
    return np.empty((count, pair.states, pair.states))


def _as_chain(outputs: np.ndarray, pair: ChainPair) -> np.ndarray:
    """The distinct steps of an output chain as (T, V, V); the pair's target where there are none, or where
    they are its very rows."""
    if not len(outputs) or all(np.array_equal(one, pair.target[t]) for t, one in enumerate(outputs)):
        return pair.target
    outputs.flags.writeable = False
    return np.broadcast_to(outputs[0], pair.target.shape) if len(outputs) < pair.horizon else outputs


def _calls_pmf(decoder: Decoder, last_rejected: np.ndarray, last_accepted: np.ndarray) -> np.ndarray:
    """P(n target calls), (T+1,), from P(n rejections, the last token rejected) and (.., accepted).

    Every call but the last ends in a rejection, and so does the last where the horizon's token is rejected.
    """
    if algorithm(decoder) == "autoregressive":
        return np.eye(len(last_accepted))[-1]
    calls = last_rejected.copy()
    calls[1:] += last_accepted[:-1]
    return calls


def _acceleration(decoder: Decoder, horizon: int, expected: float) -> float:
    if algorithm(decoder) == "autoregressive":
        return 1.0
    return horizon / expected if expected > 0 else math.inf
