"""Speculative decoding with block verification (Sun et al. 2024, arXiv 2403.10444), compiled.

A window is drafted to its end before anything is decided, and calls of different trajectories end at
different positions. So it is the calls that go position by position together: at each t, those of the
trajectories whose next call starts there. All draft their first token, then their second, .., each time from
one step's rows, which stay in the cache; then the windows are verified, and each trajectory waits at the
position where its next call starts. Drafting keeps the running ratios p_i = min(p_{i-1} target/draft, 1).
Verifying asks from the window's end backwards for the first position i whose uniform is at most h_i, which is
the last such position; positions not asked need no uniform, and where p_i = 1, h_i is 1.

h_i = S/(S + 1 - p_i), S = sum of [p_i target - draft]_+. The tokens of each row are sorted by falling
target/draft once, with running sums of both distributions: those of positive excess are the first ones, S is
the difference of two running sums, and inverting the running sum draws a token from [p_i target - draft]_+.
Both are found by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.decoders import BlockSpeculative, longest_window
from simlab.decoding.core.bits import LOW16, LOW32, U11, U16, U32, UNIT, U
from simlab.decoding.core.calls import check_counted
from simlab.decoding.core.randomness import BATCH, fill
from simlab.decoding.core.tables import AliasTable, alias_table, distinct_steps, initial_table, step_of
from simlab.decoding.core.tally import Room, Tally
from simlab.jit import compiled, inlined
from simlab.pairs.pair import ChainPair

RATIO, TARGET, DRAFT = range(3)
_LANES, _LEAST_LANES = 2**14, 64
_LANE_POSITIONS = 2**17
"""Positions of all lanes' windows together, 10 bytes each: of long windows fewer run side by side."""


class Excess(NamedTuple):
    """Rows sorted by falling target/draft.

    tokens: uint16 (S, V * V). sums: float64 (S, V * V, 3), side by side as they are looked up together:
    target/draft, inf where only the target has mass, 0 where it has none; and the running sums of both
    distributions.
    """

    tokens: np.ndarray
    sums: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockTables:
    """What the sampler of `BlockSpeculative()` looks up for a horizon of T steps over V states.

    ratios: float64 (S, V * V), target/draft of the token. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    draft: AliasTable
    target: AliasTable
    ratios: np.ndarray
    excess: Excess
    longest: int
    most_drafted: int

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(0, self.horizon + 1, self.most_drafted + 1, self.longest)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`. block, of samplers that go step by step, is of no use here."""
        _sample(
            self.initial,
            (self.draft, self.target),
            self.ratios,
            self.excess,
            self.longest,
            trajectories,
            state,
            tally,
        )


class Lanes(NamedTuple):
    """Trajectories that run side by side, L of them.

    time, rejections, calls, drafted: int64 (L,), what each has so far. accepted: int64 (L,), of its window.
    tokens: uint16 (L, K + 1) and shares: float64 (L, K + 1), the window: its start's last token and the
    drafted ones, and the running ratios. words: uint64, random ones for all of them.
    """

    time: np.ndarray
    rejections: np.ndarray
    calls: np.ndarray
    drafted: np.ndarray
    accepted: np.ndarray
    tokens: np.ndarray
    shares: np.ndarray
    words: np.ndarray


class Ends(NamedTuple):
    """Calls by what they drafted, accepted, and accepted where that was all: int64 (K + 1,) each."""

    drafted: np.ndarray
    accepted: np.ndarray
    whole: np.ndarray


def bytes_per_row(pair: ChainPair, decoder: BlockSpeculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 50 * pair.states


def tables(pair: ChainPair, decoder: BlockSpeculative) -> BlockTables:
    """Build the tables. Raises SimlabError where more tokens can be drafted than are counted."""
    most = check_counted(decoder, pair.horizon)
    ratios, excess = _sorted_rows(pair)
    return BlockTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        alias_table(pair.draft_rows),
        alias_table(pair.target_rows),
        ratios,
        excess,
        longest_window(decoder, pair.horizon),
        most,
    )


def _sorted_rows(pair: ChainPair) -> tuple[np.ndarray, Excess]:
    steps, states = distinct_steps(pair), pair.states
    shape = steps, states * states
    ratios = np.empty(shape)
    excess = Excess(np.empty(shape, np.uint16), np.empty((*shape, 3)))
    for step in range(steps):
        draft, target = (rows[step if len(rows) > 1 else 0] for rows in (pair.draft_rows, pair.target_rows))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(target > 0, target / draft, 0.0)
        order = np.argsort(-ratio, axis=1, kind="stable")
        ratios[step] = ratio.ravel()
        excess.tokens[step] = order.ravel()
        excess.sums[step, :, RATIO] = np.take_along_axis(ratio, order, axis=1).ravel()
        for position, rows in ((TARGET, target), (DRAFT, draft)):
            sums = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1)
            excess.sums[step, :, position] = sums.ravel()
    return ratios, excess


@compiled
def _sample(initial, distributions, ratios, excess, window, trajectories, state, tally):
    horizon = tally.tokens.shape[0]
    lanes = new_lanes(min(max(_LANE_POSITIONS // (window + 1), _LEAST_LANES), _LANES), window)
    ends = new_ends(window)
    running, undecided = np.empty(lanes.time.size, np.int64), np.empty(lanes.time.size, np.int64)
    for start in range(0, trajectories, running.size):
        size = min(running.size, trajectories - start)
        begin(initial, size, start, state, lanes, tally)
        for t in range(horizon):
            count, drafted = waiting_at(t, size, lanes, running), min(window, horizon - 1 - t)
            for i in range(drafted):
                draft_position(distributions[0], ratios, t, i, running, count, state, lanes)
            undecided[:count] = running[:count]
            still = count
            for i in range(drafted, 0, -1):
                still = ask_position(excess, t, i, drafted, undecided, still, state, lanes)
            for j in range(still):
                lanes.accepted[undecided[j]] = 0
            write_down(t, drafted, running, count, start, lanes, ends, tally)
            end_calls(distributions[1], excess, t, drafted, running, count, start, state, lanes, tally)
        for lane in range(size):
            tally.rejections[lanes.rejections[lane]] += 1
            tally.target_calls[lanes.calls[lane]] += 1
            tally.drafted_tokens[lanes.drafted[lane]] += 1
    count_positions(ends, tally)


@compiled
def waiting_at(t, size, lanes, running):
    """List the trajectories whose next call starts at t; returns their number."""
    time, found = lanes.time, 0
    for lane in range(size):
        running[found] = lane
        found += int(time[lane] == t)
    return found


@compiled
def new_lanes(size, window):
    """Room for `size` trajectories with windows of so many tokens."""
    return Lanes(
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros((size, window + 1), np.uint16),
        np.zeros((size, window + 1)),
        np.zeros((size + BATCH) // BATCH * BATCH, np.uint64),
    )


@compiled
def new_ends(window):
    """No calls counted yet."""
    return Ends(
        np.zeros(window + 1, np.int64), np.zeros(window + 1, np.int64), np.zeros(window + 1, np.int64)
    )


@inlined
def token_of(entries, lows, step, row, states, word):
    """The token that a word draws from the row of an alias table that begins at `row` (see alias.py)."""
    tail = (word & LOW32) * states
    product = (word >> U32) * states + (tail >> U32)
    slot, fraction = product >> U32, product & LOW32
    entry = U(entries[step, row + np.int64(slot)])
    coin, threshold = fraction >> U16, entry & LOW16
    kept = coin < threshold
    if coin == threshold:  # once in 65,536 draws
        kept = ((fraction & LOW16) << U16) | (tail & LOW32) >> U16 < U(lows[step, row + np.int64(slot)])
    return np.int64(slot if kept else entry >> U16)


@inlined
def excess_of(sums, step, row, states, share):
    """(how many of a row's sorted tokens have share * target > draft, the sum of their excess)."""
    low, high = 0, states
    while low < high:
        middle = (low + high) // 2
        if share * sums[step, row + middle, RATIO] > 1.0:
            low = middle + 1
        else:
            high = middle
    mass = 0.0
    if low > 0:
        last = row + low - 1
        mass = max(share * sums[step, last, TARGET] - sums[step, last, DRAFT], 0.0)
    return low, mass


@compiled
def begin(initial, size, start, state, lanes, tally):
    """Start `size` trajectories: draw their initial tokens."""
    fill(state, lanes.words, U(size))
    entries, lows = initial.entries.reshape((1, -1)), initial.lows.reshape((1, -1))
    states = U(tally.tokens.shape[1])
    for lane in range(size):
        token = token_of(entries, lows, 0, 0, states, lanes.words[lane])
        lanes.tokens[lane, 0], lanes.shares[lane, 0] = np.uint16(token), 1.0
        lanes.time[lane] = lanes.rejections[lane] = lanes.calls[lane] = lanes.drafted[lane] = 0
        if tally.path_initial.size > 0:
            tally.path_initial[start + lane] = np.uint16(token)


@compiled
def draft_position(distribution, all_ratios, t, i, running, count, state, lanes):
    """Draft the i-th token, from 0, of each of the windows that start at t."""
    entries, lows, step = distribution.entries, distribution.lows, step_of(distribution.entries, t + i)
    moving, states = step_of(all_ratios, t + i), np.int64(np.sqrt(all_ratios.shape[1]))
    tokens, shares, words = lanes.tokens, lanes.shares, lanes.words
    fill(state, words, U(count))
    for j in range(count):
        lane = running[j]
        row = np.int64(tokens[lane, i]) * states
        y = token_of(entries, lows, step, row, U(states), words[j])
        share = shares[lane, i] * all_ratios[moving, row + y]
        tokens[lane, i + 1] = np.uint16(y)
        shares[lane, i + 1] = min(share, 1.0) if shares[lane, i] > 0.0 else 0.0


@compiled
def ask_position(excess, t, i, drafted, undecided, count, state, lanes):
    """Whether a trajectory accepts its first i tokens; how many are left of the `count` undecided ones."""
    sums, step = excess.sums, step_of(excess.sums, t + i)
    states = np.int64(np.sqrt(sums.shape[1]))
    tokens, shares, accepted, words = lanes.tokens, lanes.shares, lanes.accepted, lanes.words
    fill(state, words, U(count))
    still = 0
    for j in range(count):
        lane = undecided[j]
        share = shares[lane, i]
        going = False
        if share < 1.0:
            if i < drafted:
                row = np.int64(tokens[lane, i]) * states
                _, mass = excess_of(sums, step, row, states, share)
                share = mass / (mass + 1.0 - share)
            going = np.float64(words[j] >> U11) * UNIT >= share
        accepted[lane] = i
        undecided[still] = lane
        still += int(going)
    return still


@compiled
def write_down(t, drafted, running, count, start, lanes, ends, tally):
    """Count what the calls drafted and accepted, and their accepted tokens."""
    recorded, counts, path_tokens = tally.path_initial.size > 0, tally.tokens, tally.path_tokens
    tokens, all_accepted, all_drafted, calls = lanes.tokens, lanes.accepted, lanes.drafted, lanes.calls
    by_accepted = ends.accepted
    ends.drafted[drafted] += count
    for j in range(count):
        lane = running[j]
        accepted = all_accepted[lane]
        calls[lane] += 1
        all_drafted[lane] += drafted
        by_accepted[accepted] += 1
        ends.whole[drafted] += int(accepted == drafted)
        for i in range(accepted):
            counts[t + i, tokens[lane, i + 1]] += 1
        if recorded:
            for i in range(accepted):
                path_tokens[t + i, start + lane] = tokens[lane, i + 1]


@compiled
def end_calls(distribution, excess, t, drafted, running, count, start, state, lanes, tally):
    """The token behind the accepted ones: corrected, or the bonus token; the next call starts behind it."""
    entries, lows, ordered, sums = distribution.entries, distribution.lows, excess.tokens, excess.sums
    several, moving = entries.shape[0] > 1, sums.shape[0] > 1
    states, counts, recorded = tally.tokens.shape[1], tally.tokens, tally.path_initial.size > 0
    per_position, rejections, shares = tally.per_position, lanes.rejections, lanes.shares
    time, tokens, words, all_accepted = lanes.time, lanes.tokens, lanes.words, lanes.accepted
    fill(state, words, U(count))
    for j in range(count):
        lane = running[j]
        accepted = all_accepted[lane]
        rejected = accepted < drafted
        now, row = t + accepted, np.int64(tokens[lane, accepted]) * states
        y = -1
        if rejected:
            step, share = now if moving else 0, shares[lane, accepted]
            positive, mass = excess_of(sums, step, row, states, share)
            level = np.float64(words[j] >> U11) * UNIT * mass
            low, high = 0, positive - 1  # whatever the rounding, a token with share * target > draft
            while low < high:
                middle = (low + high) // 2
                if share * sums[step, row + middle, TARGET] - sums[step, row + middle, DRAFT] > level:
                    high = middle
                else:
                    low = middle + 1
            if positive > 0:
                y = np.int64(ordered[step, row + low])
        if y < 0:  # of a rejection, only where rounding made it one
            y = token_of(entries, lows, now if several else 0, row, U(states), words[j])
        counts[now, y] += 1
        per_position[now] += int(rejected)
        rejections[lane] += int(rejected)
        if recorded:
            tally.path_tokens[now, start + lane] = np.uint16(y)
            tally.path_rejected[now, start + lane] = np.uint8(rejected)
        time[lane] = now + 1
        tokens[lane, 0] = np.uint16(y)


@compiled
def count_positions(ends, tally):
    """Add the calls by position to the tally; entry i - 1 is for position i."""
    drafted, going = 0, 0
    for i in range(tally.drafted_by_position.size, 0, -1):
        drafted += ends.drafted[i]
        going += ends.accepted[i]
        tally.drafted_by_position[i - 1] += drafted
        tally.accepted_by_position[i - 1] += going
        tally.reached_by_position[i - 1] += going + ends.accepted[i - 1] - ends.whole[i - 1]
