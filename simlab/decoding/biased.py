"""Biased decoding (Yin et al. 2024, Section 4), compiled, and how far its output strays from the target.

As speculative decoding, but for a drafted token that is accepted with min(1, (target + epsilon)/draft) and a
choice of replacements. The optimal one, [target - min(draft, target + epsilon)]_+, is the residual
[target - draft]_+ itself (own): it is positive only where target > draft, and there min(...) = draft. So both
have the residual's table here; theory, reference and oracle each take their own definition.

*Deviations.* The output is a chain too, with the distribution K = min(draft, target + epsilon) + rejected * P
of one token. A trajectory's weight target(x)/output(x) is the product of target/K over its tokens, and the
total variation of the two distributions of sequences is the mean of [1 - weight]_+ over the output. The
product needs no logarithms (own): under the output it is a supermartingale of mean <= 1, so that it exceeds
1e300, or comes back to 1e-8 after it fell below 1e-308, with probability at most 1e-300.

Each deviation is counted in 1024ths, rounded up or down at random so that its mean is kept: integers add up
to the same sum in any order, floats do not. The bits for it come from a generator of their own, so that
tokens and rejections at epsilon = 0 are those of speculative decoding, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import BiasedSpeculative
from simlab.decoding.core.bits import U11, UNIT, U
from simlab.decoding.core.chunks import (
    CHUNK,
    advance,
    choose,
    collect,
    draft_and_verify,
    look_up,
    new_scratch,
    padded,
    replace,
)
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    alias_table,
    draft_table,
    initial_table,
    residual_table,
    step_of,
    usable,
)
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.decoding.counts import DEVIATION_LEVELS
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize

RESIDUAL, TARGET, DRAFT = 0, 1, 2
"""The distributions that replace a rejected token."""
_REPLACEMENTS = {"optimal": RESIDUAL, "residual": RESIDUAL, "target": TARGET, "draft": DRAFT}


@dataclass(frozen=True, eq=False)
class BiasedTables:
    """What the sampler of `BiasedSpeculative()` looks up for a horizon of T steps over V states.

    replacement: the rows that a rejected token is drawn from. ratios: float64 (S, V * V), target/K;
    (1, 0) where the output is the target.
    """

    horizon: int
    states: int
    initial: AliasTable
    drafts: DraftTable
    replacement: AliasTable
    ratios: np.ndarray

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(levels=DEVIATION_LEVELS + 1)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`; the second generator of `state` is the one that rounds deviations."""
        _sample(
            self.initial,
            self.drafts,
            self.replacement,
            self.ratios,
            U(trajectories),
            U(block),
            state[:4],
            state[4:],
            tally,
        )


def bytes_per_row(size: PairSize, decoder: BiasedSpeculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 32 * size.states


def tables(pair: ChainPair, decoder: BiasedSpeculative) -> BiasedTables:
    """Build the tables."""
    draft, target = pair.draft_rows, pair.target_rows
    distribution = _REPLACEMENTS[decoder.replacement]
    # Rows may sum to a bit more than 1: from epsilon = 1 on everything is accepted all the same.
    epsilon = decoder.epsilon if decoder.epsilon < 1 else np.inf
    if distribution == RESIDUAL:
        replacement = residual_table(draft, target)
    else:
        replacement = alias_table(target if distribution == TARGET else draft)
    if distribution == RESIDUAL and epsilon == 0:  # speculative decoding: no bias, not even one of rounding
        ratios = np.ones((1, 0))
    else:
        ratios = np.empty((max(len(draft), len(target)), pair.states**2))
        with np.errstate(over="ignore"):  # uncompiled, numpy would warn of target/K = inf, K being subnormal
            _fill_ratios(draft, target, epsilon, distribution, ratios)
    drafts = draft_table(draft, target, epsilon)
    initial = initial_table(pair.initial)
    return BiasedTables(pair.horizon, pair.states, initial, drafts, replacement, ratios)


@compiled
def _fill_ratios(draft, target, epsilon, distribution, ratios):
    states = draft.shape[2]
    accepted, weights = np.empty(states), np.empty(states)
    for step in range(ratios.shape[0]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            rejected = 0.0
            for y in range(states):
                accepted[y] = min(drafted[y], goal[y] + epsilon)
                rejected += drafted[y] - accepted[y]
                if distribution == RESIDUAL:
                    weights[y] = max(goal[y] - drafted[y], 0.0)
                else:
                    weights[y] = goal[y] if distribution == TARGET else drafted[y]
            usable(weights, goal)
            scale = rejected / weights.sum()
            row = slice(x * states, (x + 1) * states)
            for y in range(states):
                output = accepted[y] + scale * weights[y]
                ratios[step, row][y] = goal[y] / output if output > 0.0 else 1.0


@compiled
def _sample(initial, drafts, replacement, ratios, trajectories, block, state, rounding, tally):
    scratch, found = new_scratch(), np.empty(CHUNK)
    running = new_block(block, tally)
    last, weights = running.last, np.empty(padded(block))
    states = U(tally.tokens.shape[1])
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        weights[:] = 1.0
        for t in range(tally.tokens.shape[0]):
            step = step_of(drafts.records, t)
            draft = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
            step = step_of(replacement.entries, t)
            spare = AliasTable(replacement.entries[step], replacement.lows[step])
            factors = ratios[step_of(ratios, t)]
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draft_and_verify(draft, last, begin, states, count, scratch, state)
                failed = choose(scratch.rejected, count, scratch.chosen)
                replace(spare, last, begin, states, failed, scratch, state)
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += failed
                if factors.size > 0:
                    weigh(factors, last, begin, states, count, scratch, found, weights)
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_deviations(weights, size, scratch.words, rounding, tally.deviations)


@compiled
def weigh(factors, last, begin, states, count, scratch, found, weights):
    """Multiply each trajectory's weight by the factor of its last token and its new one.

    factors: float64 (V * V,). found: float64 (CHUNK,), scratch. weights: float64, `padded(count)` of them
    from `begin` on.
    """
    count, wide = padded(count), np.uint32(states)
    tokens, indices = scratch.tokens, scratch.indices
    for i in range(count):
        row = np.uint32(np.uint32(last[begin + i]) * wide)
        indices[i] = np.uint32(row + np.uint32(tokens[i]))
    look_up(factors, indices, count, found)
    for i in range(count):
        weights[begin + i] *= found[i]


@compiled
def count_deviations(weights, size, words, rounding, deviations):
    """Count [1 - weight]_+ of the first `size` weights in steps of the levels, each rounded at random.

    words: uint64 (CHUNK,), scratch. rounding: the generator. deviations: int64 (levels + 1,).
    """
    levels = deviations.size - 1
    for begin in range(U(0), size, U(CHUNK)):
        count = min(U(CHUNK), size - begin)
        fill(rounding, words, count)
        for i in range(count):
            weight = weights[begin + i]
            exact = levels * (1.0 - weight) if weight < 1.0 else 0.0
            level = int(exact)
            deviations[level + int(np.float64(words[i] >> U11) * UNIT < exact - level)] += 1
