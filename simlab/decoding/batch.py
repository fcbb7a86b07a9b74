"""Batch speculative decoding (Yin et al. 2024, Algorithm 4, q^(M+1) used once), compiled.

At a fresh position (the first one, and each one after a rejection) M first tokens, i.i.d. from the draft, are
tried in order: the m-th is accepted with probability min(1, q^m/draft), where q^1 = target and
q^(m+1) = [q^m - draft]_+ normalised. If all fail, the token is drawn from q^(M+1). Elsewhere it is ordinary
speculative decoding against the target.

The tries need no V x M table. Let u_1 = target, s_1 = 1, S_0 = 0, and s_m = sum of u_m, where
u_(m+1) = [u_m - s_m draft]_+ is not normalised, and S_m = s_1 + ... + s_m. Then (own):

- q^m = u_m / s_m: but for scale, u_m / s_m and the draft have the residual of u_m and s_m draft.
- u_(m+1) = [target - S_m draft]_+, by induction: [[a]_+ - b]_+ = [a - b]_+ for b >= 0, with
  a = target - S_(m-1) draft and b = s_m draft.
- A drafted y (draft(y) > 0) is accepted at the m-th try iff U < q^m(y)/draft(y), that is
  U s_m < [target(y)/draft(y) - S_(m-1)]_+, that is **S_(m-1) + U s_m < target(y)/draft(y)**: two numbers for
  each (t, x, m) and the ratio. For m = 1 this is the ordinary test.

A try with s_m = 0 is never reached: s_m is the probability that all tries before it fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simlab.decoders import BatchSpeculative
from simlab.decoding.core.alias import pack_row
from simlab.decoding.core.bits import U11, UNIT, U
from simlab.decoding.core.chunks import (
    CHUNK,
    advance,
    choose,
    collect,
    draft,
    draft_and_verify,
    gather_origins,
    new_scratch,
    replace,
)
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    draft_table,
    initial_table,
    residual_table,
    step_of,
    usable,
)
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize


@dataclass(frozen=True, eq=False)
class BatchTables:
    """What the sampler of `BatchSpeculative(drafts=M)` looks up for a horizon of T steps over V states.

    ratios: float64 (S, V * V), target/draft. limits: float64 (S, V, M - 1, 2), S_(m-1) and s_m for the tries
    m = 2..M. final: the rows of u_(M+1), for a fresh position; residual: those of u_2, for the others.
    """

    horizon: int
    states: int
    initial: AliasTable
    drafts: DraftTable
    residual: AliasTable
    ratios: np.ndarray
    limits: np.ndarray
    final: AliasTable

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room()

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(
            self.initial,
            self.drafts,
            self.residual,
            (self.ratios, self.limits),
            self.final,
            U(trajectories),
            U(block),
            state,
            tally,
        )


def bytes_per_row(size: PairSize, decoder: BatchSpeculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 40 * size.states + 16 * (decoder.drafts - 1)


def tables(pair: ChainPair, decoder: BatchSpeculative) -> BatchTables:
    """Build the tables."""
    drafts = decoder.drafts
    draft, target = pair.draft_rows, pair.target_rows
    steps, states = max(len(draft), len(target)), pair.states
    ratios = np.empty((steps, states * states))
    limits = np.empty((steps, states, drafts - 1, 2))
    final = AliasTable(*(np.empty((steps, states * states), np.uint32) for _ in range(2)))
    _pack_tries(draft, target, ratios, limits, *final)
    return BatchTables(
        pair.horizon,
        states,
        initial_table(pair.initial),
        draft_table(draft, target),
        residual_table(draft, target),
        ratios,
        limits,
        final,
    )


@compiled
def _pack_tries(draft, target, ratios, limits, entries, lows):
    states, tries = draft.shape[2], limits.shape[2] + 1
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, weights = np.empty(states, np.int64), np.empty(states)
    for step in range(entries.shape[0]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            for y in range(states):
                ratios[step, row][y] = goal[y] / drafted[y] if drafted[y] > 0.0 else math.inf
            reached, spent = 1.0, 0.0
            for m in range(tries):
                if m > 0:
                    limits[step, x, m - 1, 0], limits[step, x, m - 1, 1] = spent, reached
                spent += reached
                reached = 0.0
                for y in range(states):
                    reached += max(goal[y] - drafted[y] * spent, 0.0)
            for y in range(states):
                weights[y] = max(goal[y] - drafted[y] * spent, 0.0)
            usable(weights, goal)
            pack_row(weights, entries[step, row], lows[step, row], shares, aliases, stack)


@compiled
def _sample(initial, drafts, residual, tries, final, trajectories, block, state, tally):
    scratch = new_scratch()
    running = new_block(block, tally)
    last, fresh = running.last, running.fresh
    states = U(tally.tokens.shape[1])
    failures = np.empty(CHUNK, np.uint32)
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        for t in range(tally.tokens.shape[0]):
            step = step_of(drafts.records, t)
            rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
            ordinary = AliasTable(residual.entries[step], residual.lows[step])
            last_resort = AliasTable(final.entries[step], final.lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draft_and_verify(rows, last, begin, states, count, scratch, state)
                failed = choose(scratch.rejected, count, scratch.chosen)
                open_tries = split(scratch.chosen, failed, fresh, begin, failures)
                continuing = failed - open_tries
                replace(ordinary, last, begin, states, continuing, scratch, state)
                ratios, limits = tries[0][step], tries[1][step]
                for m in range(limits.shape[1]):
                    if open_tries > 0:
                        open_tries = try_again(
                            rows, ratios, limits, m, last, begin, states, failures, open_tries, scratch, state
                        )
                for j in range(open_tries):
                    scratch.chosen[j] = failures[j]
                replace(last_resort, last, begin, states, open_tries, scratch, state)
                tally.per_position[t] += continuing + open_tries
                for i in range(count):
                    fresh[begin + i] = scratch.rejected[i]
                note(scratch, begin, count, start, t, running, tally)
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)


@compiled
def split(chosen, count, fresh, begin, failures):
    """Move the chosen trajectories at a fresh position to `failures`; return how many they are."""
    moved, kept = U(0), U(0)
    for j in range(count):
        index = chosen[j]
        failures[moved] = index
        chosen[kept] = index
        is_fresh = U(fresh[begin + U(index)])
        moved += is_fresh
        kept += U(1) - is_fresh
    return moved


@compiled
def try_again(drafts, ratios, limits, m, last, begin, states, failures, count, scratch, state):
    """Draft and verify one more first token for the `count` failures; keep and count the new failures."""
    origins, drafted, words = scratch.origins, scratch.replacements, scratch.words
    gather_origins(last, begin, failures, count, origins)
    draft(drafts, origins, states, count, scratch, state, drafted)
    fill(state, words, count)
    still = U(0)
    for j in range(count):
        index, x = failures[j], U(origins[j])
        uniform = np.float64(words[j] >> U11) * UNIT
        failed = limits[x, m, 0] + uniform * limits[x, m, 1] >= ratios[x * states + U(drafted[j])]
        scratch.tokens[index] = drafted[j]
        scratch.rejected[index] = np.uint16(failed)
        failures[still] = index
        still += U(failed)
    return still
