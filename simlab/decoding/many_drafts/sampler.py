"""Several drafted tokens, children, at each position of a call: the calls, step by step.

At each step the trajectories of a chunk are sorted into classes, by how many children their position has, and
those whose call has come to its bonus token. Each class is verified on its own, closely packed, by its rule's
kernel; then all go on together as in `simlab.decoding.windows`. Of the tree that a call drafts only the
children of accepted tokens are drawn: nothing looks at others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import MultiDraftSpeculative, call_sizes, longest_window
from simlab.decoding.core.bits import U0, U
from simlab.decoding.core.calls import (
    begin_calls,
    check_counted,
    count_calls,
    count_positions,
    end_calls,
    finish_positions,
    new_calls,
    new_positions,
    take_bonus,
)
from simlab.decoding.core.chunks import CHUNK, advance, choose, collect, draw, new_scratch, padded
from simlab.decoding.core.tables import AliasTable, alias_table, initial_table, step_of
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.decoding.many_drafts.verifying import rule_tables, verify
from simlab.decoding.many_drafts.work import new_work
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize

BYTES = {"recursive": 40, "k-seq": 48, "optimal": 40, "match": 32, "greedy": 32}
"""By rule, about so many bytes for each token of a row, and class."""


@dataclass(frozen=True, eq=False)
class MultiDraftTables:
    """What the sampler of `MultiDraftSpeculative` looks up for a horizon of T steps over V states.

    rule: the tables of its rule (`verifying`). target: for the bonus tokens, empty without. classes: uint16
    (K + 1,), the class of each position. sizes: uint32 (K + 1,), tokens that a call of so many positions
    drafts. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    rule: tuple
    target: AliasTable
    classes: np.ndarray
    sizes: np.ndarray
    bonus: bool
    longest: int
    most_drafted: int

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(0, self.horizon + 1, self.most_drafted + 1, self.longest, self.longest)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(
            self.initial,
            self.rule,
            self.target,
            (self.classes, self.sizes, int(self.classes.max()) + 1),
            self.bonus,
            U(trajectories),
            U(block),
            state,
            tally,
        )
        tally.nodes_by_position[:] = tally.drafted_by_position * np.diff(self.sizes.astype(np.int64))


def bytes_per_row(size: PairSize, decoder: MultiDraftSpeculative) -> int:
    """About what the tables take for each of their S * V rows."""
    longest = longest_window(decoder, size.horizon)
    classes = len(set(decoder.drafts[:longest])) or 1
    tries = 16 * max(decoder.drafts) * (decoder.rule in ("recursive", "k-seq") and decoder.replacement)
    return (BYTES[decoder.rule] * classes + 8 * decoder.bonus) * size.states + tries


def tables(pair: ChainPair, decoder: MultiDraftSpeculative) -> MultiDraftTables:
    """Build the tables. Raises SimlabError where more tokens can be drafted than are counted, and as
    `rule_tables`."""
    longest = longest_window(decoder, pair.horizon)
    most = check_counted(decoder, pair.horizon)
    counts, classes = np.unique(np.array(decoder.drafts[: max(longest, 1)], np.int64), return_inverse=True)
    none = np.zeros((1, 0), np.uint32)
    return MultiDraftTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        rule_tables(pair, decoder, counts),
        alias_table(pair.target_rows) if decoder.bonus else AliasTable(none, none),
        np.append(classes, 0).astype(np.uint16),
        call_sizes(decoder, longest).astype(np.uint32),
        decoder.bonus,
        longest,
        most,
    )


@compiled
def _sample(initial, rule, target, layout, bonus, trajectories, block, state, tally):
    classes, sizes, many = layout
    horizon, longest = tally.tokens.shape[0], sizes.size - 1
    states = U(tally.tokens.shape[1])
    scratch, running, work = new_scratch(), new_block(block, tally), new_work(states)
    calls, positions = new_calls(block), new_positions(longest)
    last, limits = running.last, np.zeros(1, np.uint16)
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        calls.accepted[:], calls.number[:], calls.drafted[:] = 0, 0, 0
        for t in range(horizon):
            limits[0] = min(longest, horizon - t - (1 if bonus else 0))
            step = step_of(target.entries, t)
            fresh = AliasTable(target.entries[step], target.lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                begin_calls(limits, last, begin, count, calls)
                count_drafted(limits, sizes, begin, count, calls, positions)
                take_bonus(begin, count, calls, scratch)
                for c in range(many):
                    found = members(classes, c, many, begin, count, calls, last, work)
                    if found > 0:
                        verify(rule, c, t, found, states, scratch, work, state)
                        scatter(found, scratch, work)
                if bonus:
                    draw_bonus(fresh, last, begin, count, states, calls, scratch, work, state)
                for i in range(count):
                    scratch.tokens[i], scratch.rejected[i] = work.tokens[i], work.rejected[i]
                count_positions(calls.accepted[begin:], calls.verified, count, positions.reached)
                count_positions(calls.accepted[begin:], scratch.rejected, count, positions.rejected)
                end_calls(begin, count, bonus, calls, scratch)
                note(scratch, begin, count, start, t, running, tally)
                for i in range(count):
                    tally.per_position[t] += scratch.rejected[i]
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_calls(size, calls, tally)
    finish_positions(positions, True, tally)


@compiled
def count_drafted(limits, sizes, begin, count, calls, positions):
    """Count what the calls that begin here draft, and at how many positions."""
    drafted, begun, tokens, number = calls.drafted[begin:], calls.begun, sizes[limits[0]], np.uint16(0)
    for i in range(count):
        drafted[i] += np.uint32(tokens * np.uint32(begun[i]))
        number = np.uint16(number + begun[i])
    positions.begun[0, limits[0]] += number


@compiled
def members(classes, c, many, begin, count, calls, last, work):
    """List the trajectories whose position has the children of class c, and their last tokens."""
    flags, accepted = work.flags, calls.accepted[begin:]
    for i in range(count):
        flags[i] = calls.verified[i]
    if many > 1:
        for i in range(count):
            flags[i] = np.uint16(flags[i] & np.uint16(classes[accepted[i]] == c))
    found = choose(flags, count, work.members)
    pack_origins(last, begin, found, work)
    return found


@compiled
def pack_origins(last, begin, found, work):
    """The last tokens of the members, padded with token 0."""
    for j in range(found):
        work.origins[j] = last[begin + U(work.members[j])]
    for j in range(found, padded(found)):
        work.origins[j] = np.uint16(0)


@compiled
def scatter(found, scratch, work):
    """What was found for the members goes to their positions in the chunk."""
    for j in range(found):
        work.tokens[work.members[j]] = scratch.tokens[j]
    for j in range(found):
        work.rejected[work.members[j]] = scratch.rejected[j]


@compiled
def draw_bonus(fresh, last, begin, count, states, calls, scratch, work, state):
    """Draw the tokens that come straight from the target."""
    found = choose(calls.bonus, count, work.members)
    if found > U0:
        pack_origins(last, begin, found, work)
        draw(fresh, work.origins, states, found, scratch, state, scratch.tokens)
        for j in range(found):
            scratch.rejected[j] = np.uint16(0)
        scatter(found, scratch, work)
