"""Block verification (Sun et al. 2024): the printed coins, followed literally, against what is proved.

From one token before the first step, call after call over the first steps: every drafted window, every coin,
every corrected token, as sums over arrays of all sequences. Nothing of the proof (`simlab.theory.block`) is
used: no accepted masses, no running minima.
"""

from __future__ import annotations

import numpy as np

from simlab.decoders import BlockSpeculative, Speculative
from simlab.pairs import ChainPair
from simlab.theory import predict
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, at_least, equal, rounding
from simlab.verify.places import steps_of

SOURCE = "Sun et al. 2024, arXiv 2403.10444"
MOST_STEPS, MOST_SEQUENCES = 5, 1_200_000
"""Sequences that are followed one by one, in steps and in all; two steps there are in any case."""
MOST_STARTS = 4
CALLS_WORK = 500_000_000
"""Steps of the recursion that predicts calls, at a window of 2, that take seconds; three steps at least."""
FEW_STATES = 20
"""Up to so many tokens calls are predicted at windows of 4, else of 2."""


def literal_distribution(pair: ChainPair, start: int, window: int, horizon: int) -> list[np.ndarray]:
    """P(the first t tokens are these and a call starts behind them), (V^t,) for t = 0..horizon.

    Given x_0 = start, of the first `horizon` steps of the pair, decoded as if there were no more; the last
    entry is the distribution of the output. Source: the printed algorithm, every window of min(window, tokens
    left - 1), followed literally.
    """
    states = pair.states
    starts = [np.zeros(states**t) for t in range(horizon + 1)]
    starts[0][:] = 1.0
    for t in range(horizon):
        last = np.array([start]) if t == 0 else np.tile(np.arange(states), states ** (t - 1))
        for accepted, stops in enumerate(_call(pair, t, last, min(window, horizon - 1 - t))):
            whole = np.repeat(starts[t], states ** (accepted + 1))
            starts[t + accepted + 1] += whole * stops
    return starts


def check_joint_distribution(pair: ChainPair, seed: int, window: int = 2) -> Check:
    """The distribution of short sequences, over several calls, against the target's."""
    claim = Claim(
        f"block verification, window {window}",
        SOURCE + "; own (several calls)",
        "Block verification is unbiased: sequences follow the target, which is not changed between calls",
        "P(sequence), coin by coin",
        "under the target",
    )
    horizon, starts = _looked_at(pair, seed)
    found = [literal_distribution(pair, start, window, horizon)[-1] for start in starts]
    target = [_target_distribution(pair, start, horizon) for start in starts]
    return equal(claim, found, target, tolerance=_rounding(pair), scope=_scope(pair, horizon, starts))


def check_calls(pair: ChainPair, seed: int, window: int = 2) -> Check:
    """The calls of short sequences, counted coin by coin, against their predicted mean."""
    claim = Claim(
        f"block verification, calls at window {window}",
        "own",
        "The recursion over accepted masses gives the mean number of target calls",
        "E[calls], coin by coin",
        "predicted",
    )
    horizon, starts = _looked_at(pair, seed)
    short = pair.with_horizon(horizon)
    found = [
        sum(
            float(distribution.sum())
            for distribution in literal_distribution(pair, start, window, horizon)[:-1]
        )
        for start in starts
    ]
    predicted, accuracy = [], 0.0
    for start in starts:
        given = ChainPair(short.draft, short.target, np.eye(pair.states)[start])
        exact = predict(given, BlockSpeculative(window))
        predicted.append(exact.expected_target_calls)
        accuracy = max(accuracy, exact.error_bound)
    tolerance = _rounding(pair) + accuracy
    return equal(claim, found, predicted, tolerance=tolerance, scope=_scope(pair, horizon, starts))


def check_never_more_calls(pair: ChainPair) -> Check:
    """The mean number of calls token by token against that of block verification."""
    window = 4 if pair.states <= FEW_STATES else 2
    horizon = min(pair.horizon, max(3, CALLS_WORK // pair.states**3))
    short = pair if horizon == pair.horizon else pair.with_horizon(horizon)
    claim = Claim(
        "block verification, gain",
        SOURCE + " (one call); own (all)",
        "Block verification takes no more target calls than verification token by token",
        f"E[calls], window {window}",
        "as blocks",
    )
    token, block = (predict(short, make(window)) for make in (_token_by_token, BlockSpeculative))
    tolerance = rounding(short) + block.error_bound
    calls = token.expected_target_calls, block.expected_target_calls
    return at_least(claim, *calls, tolerance=tolerance, scope=steps_of(pair, horizon))


def _token_by_token(window: int) -> Speculative:
    return Speculative(window, bonus=True)


def _call(pair: ChainPair, t: int, last: np.ndarray, drafted: int) -> list[np.ndarray]:
    """P(tau = i, the first i drafted tokens, the token behind them) of a call at t, for i = 0..drafted.

    last: (N,), the last token of each sequence before the call. Returns arrays (N V^(i + 1),).
    """
    distributions, shares, draft, target = [np.ones(len(last))], [np.ones(len(last))], [], []
    for i in range(drafted + 1):
        draft.append(pair.draft[t + i][last])
        target.append(pair.target[t + i][last])
        if i < drafted:
            wanted = shares[i][:, None] * target[i]
            share = np.divide(wanted, draft[i], out=np.ones_like(wanted), where=wanted < draft[i])
            shares.append(share.ravel())
            distributions.append((distributions[i][:, None] * draft[i]).ravel())
            last = np.tile(np.arange(pair.states), len(last))
    stops, failed = [], np.ones(len(distributions[drafted]))
    for i in range(drafted, -1, -1):
        excess = np.maximum(shares[i][:, None] * target[i] - draft[i], 0.0)
        whole = excess.sum(axis=1)
        coin = shares[i] if i == drafted else _chance(whole, shares[i])
        if i == 0:
            coin = np.ones_like(shares[0])
        behind = target[i]
        if i < drafted:
            behind = np.divide(excess, whole[:, None], out=target[i].copy(), where=whole[:, None] > 0)
        stops.insert(0, ((distributions[i] * coin * failed)[:, None] * behind).ravel())
        failed = failed * (1.0 - coin)
        if i > 0:  # the mean over the i-th drafted token, of those after which no coin has come
            failed = (failed.reshape(-1, pair.states) * draft[i - 1]).sum(axis=1)
    return stops


def _chance(excess: np.ndarray, share: np.ndarray) -> np.ndarray:
    """h = S / (S + 1 - p), 1 where that is 0 / 0."""
    whole = excess + 1.0 - share
    return np.divide(excess, whole, out=np.ones_like(share), where=whole > 0)


def _target_distribution(pair: ChainPair, start: int, horizon: int) -> np.ndarray:
    """P(sequence) under the target, (V^horizon,)."""
    distribution = pair.target[0][start]
    for t in range(1, horizon):
        distribution = (distribution.reshape(-1, pair.states)[:, :, None] * pair.target[t]).ravel()
    return distribution


def _looked_at(pair: ChainPair, seed: int) -> tuple[int, list[int]]:
    """How many first steps, and from which tokens before them, at random where there are more."""
    horizon = min(2, pair.horizon)
    while horizon < min(pair.horizon, MOST_STEPS) and pair.states ** (horizon + 1) <= MOST_SEQUENCES:
        horizon += 1
    starts = np.flatnonzero(pair.initial)
    count = int(min(len(starts), MOST_STARTS, max(MOST_SEQUENCES // pair.states**horizon, 1)))
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(11,)))
    return horizon, sorted(random.choice(starts, size=count, replace=False).tolist())


def _scope(pair: ChainPair, horizon: int, starts: list[int]) -> str:
    return f"{steps_of(pair, horizon)}, from {len(starts)} x_0"


def _rounding(pair: ChainPair) -> float:
    """Chances are quotients of small differences, and rows sum to 1 within rounding only."""
    return 10 * EXACT + 10 * rounding(pair)
