"""Where a claim about one position is looked at: all (t, x) of a pair, or a random subset that it names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.pairs import ChainPair


@dataclass(frozen=True, eq=False)
class Places:
    """The rows of some (t, x), draft and target (N, V), divided by their sums, and which ones they are.

    random: numpy Generator, seeded, for what a check draws at these positions.
    """

    draft: np.ndarray
    target: np.ndarray
    scope: str
    random: np.random.Generator


def places(pair: ChainPair, most: int = 200, seed: int = 0, purpose: int = 0) -> Places:
    """All (t, x) of the pair if there are at most `most`, else that many at random, without repetition.

    Where both chains are stationary t makes no difference, and all x stand for all (t, x). The rows are
    divided by their sums, which are 1 within 1e-9 only, so that claims about distributions are asked of
    distributions. purpose: a number of the check's own, for random numbers independent of other checks'.
    Raises SimlabError unless most >= 1 and seed >= 0.
    """
    most = check_count("places", most)
    seed = check_count("seed", seed, least=0)
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,)))
    steps = 1 if pair.is_stationary else pair.horizon
    kind = "x, the same at every t" if pair.is_stationary else "(t, x)"
    count = steps * pair.states
    if count <= most:
        chosen = np.arange(count)
        scope = f"all {count:,} {kind}" if count > 1 else f"the one {kind}"
    else:
        chosen = np.sort(random.choice(count, size=most, replace=False))
        scope = f"{most:,} random {kind} of {count:,}, seed {seed}"
    t, x = np.divmod(chosen, pair.states)
    draft, target = pair.draft[t, x], pair.target[t, x]
    return Places(
        draft / draft.sum(axis=1, keepdims=True), target / target.sum(axis=1, keepdims=True), scope, random
    )


def first_steps(pair: ChainPair, entries: int) -> tuple[ChainPair, str]:
    """The first steps of the pair, as many as have at most so many entries (one at least), and in words."""
    horizon = min(max(entries // pair.states**2, 1), pair.horizon)
    return pair if horizon == pair.horizon else pair.with_horizon(horizon), steps_of(pair, horizon)


def cut(pair: ChainPair, most_of_one: int, most_of_all: int, seed: int) -> tuple[ChainPair, str]:
    """The part of a pair that a program over whole sequences (`programs`) can take, and which one, in words.

    As many first steps as `most_of_one` variables allow from one x_0 (one at least), then as many random x_0
    as `most_of_all` allow (one at least).
    """
    horizon = 1
    while horizon < pair.horizon and _variables(pair.states, horizon + 1) <= most_of_one:
        horizon += 1
    variables = _variables(pair.states, horizon)
    starts = np.flatnonzero(pair.initial)
    count = min(len(starts), max(most_of_all // variables, 1))
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    chosen = np.sort(random.choice(starts, size=count, replace=False))
    initial = np.zeros_like(pair.initial)
    initial[chosen] = pair.initial[chosen] / pair.initial[chosen].sum()
    first = pair.with_horizon(horizon)
    whose = "all x_0" if count == len(starts) else f"{count:,} random x_0 of {len(starts):,}, seed {seed}"
    scope = f"{steps_of(pair, horizon)}, {whose}, {count * variables:,} variables"
    return ChainPair(first.draft, first.target, initial), scope


def _variables(states: int, horizon: int) -> int:
    """Of a program over whole sequences, from one x_0: two for each prefix, one more for each whole one."""
    return 2 * sum(states**t for t in range(1, horizon + 1)) + states**horizon


def steps_of(pair: ChainPair, horizon: int | None = None) -> str:
    """ "all 50 steps", or "the first 3 of 50 steps" where only these were looked at."""
    if horizon is None or horizon == pair.horizon:
        return f"all {pair.horizon:,} steps" if pair.horizon > 1 else "the one step"
    return f"the first{f' {horizon:,}' if horizon > 1 else ''} of {pair.horizon:,} steps"


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Total variation of distributions along the last axis, as half the sum of absolute differences."""
    return 0.5 * np.abs(one - other).sum(axis=-1)
