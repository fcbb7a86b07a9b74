"""From a pair and a decoder to tables, and from tables to counts or paths."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
    decoder_name,
    is_plain,
)
from simlab.decoding import autoregressive, batch, biased, speculative, windows
from simlab.decoding import block_verification as blockwise
from simlab.decoding import draft_tree as tree
from simlab.decoding.autoregressive import AutoregressiveTables
from simlab.decoding.batch import BatchTables
from simlab.decoding.biased import BiasedTables
from simlab.decoding.block_verification import BlockTables
from simlab.decoding.core.randomness import seed_state
from simlab.decoding.core.tables import check_size, initial_table, memory_error
from simlab.decoding.core.tally import Room, new_tally
from simlab.decoding.counts import DEVIATION_LEVELS, Counts
from simlab.decoding.draft_tree import TreeTables
from simlab.decoding.speculative import SpeculativeTables
from simlab.decoding.windows import WindowTables
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair

Tables = (
    AutoregressiveTables
    | SpeculativeTables
    | BatchTables
    | BiasedTables
    | TreeTables
    | WindowTables
    | BlockTables
)

_BY_DECODER = {
    Autoregressive: autoregressive,
    Speculative: windows,  # but for the plain one
    BatchSpeculative: batch,
    BiasedSpeculative: biased,
    TreeSpeculative: tree,
    AdaptiveSpeculative: windows,
    ConfidenceSpeculative: windows,
    BlockSpeculative: blockwise,
}
_BY_TABLES = {
    AutoregressiveTables: autoregressive,
    SpeculativeTables: speculative,
    BatchTables: batch,
    BiasedTables: biased,
    TreeTables: tree,
    WindowTables: windows,
    BlockTables: blockwise,
}

BLOCK, LARGE_BLOCK = 2**16, 2**18
"""Trajectories that go through one step before the next. Where a step's tables do not fit the L2 cache, more
of them share the price of fetching the tables from memory."""
LARGE_STEP = 2**20
"""Bytes of one step's records and residual from which the large block pays."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Simulated trajectories one by one: tokens (N, T), rejected bool (N, T), initial (N,).

    Of TreeSpeculative "rejected" are the bonus tokens, those that no tree had drafted.
    """

    tokens: np.ndarray
    rejected: np.ndarray
    initial: np.ndarray


def build_tables(pair: ChainPair, decoder: Decoder) -> Tables:
    """What the decoder's sampler looks up, built once for any number of trajectories.

    A pair whose chains are both stationary gets one copy of tables, whatever its horizon. Raises SimlabError
    for drafts = inf, V > 65536, T > 65535, a policy that does not fit the pair, a window so long that the
    drafted tokens are too many to count, and where the tables do not fit into memory.
    """
    decoder_name(decoder)
    if isinstance(decoder, BatchSpeculative) and decoder.drafts == math.inf:
        raise SimlabError("drafts = inf: an exact limit; simulate needs a finite number")
    algorithm = speculative if is_plain(decoder) else _BY_DECODER[type(decoder)]
    needed = check_size(pair, algorithm.bytes_per_row(pair, decoder))
    try:
        return algorithm.tables(pair, decoder)
    except MemoryError as error:
        raise memory_error(needed) from error


def _room(tables: Tables) -> Room:
    """What is counted beside tokens and rejections."""
    if isinstance(tables, BiasedTables):
        return Room(levels=DEVIATION_LEVELS + 1)
    if isinstance(tables, TreeTables):
        return Room(calls=tables.horizon + 1)
    if isinstance(tables, WindowTables | BlockTables):
        return Room(0, tables.horizon + 1, tables.most_drafted + 1, tables.longest)
    return Room()


def _sample(tables: Tables, trajectories: int, seed: np.random.SeedSequence, recorded: int = 0):
    tally = new_tally(tables.horizon, tables.states, _room(tables), recorded)
    block = min(LARGE_BLOCK if 12 * tables.states**2 > LARGE_STEP else BLOCK, trajectories)
    with np.errstate(over="ignore"):  # uncompiled, numpy would notice that the generator wraps around
        state = seed_state(seed, generators=2)
        _BY_TABLES[type(tables)].sample(tables, trajectories, block, state, tally)
    return tally


def simulate_batch(tables: Tables, trajectories: int, seed: np.random.SeedSequence) -> Counts:
    """Counts of `trajectories` >= 1 simulated trajectories.

    The same tables, number and seed give the same counts on every machine.
    """
    trajectories = check_count("trajectories", trajectories)
    tally = _sample(tables, trajectories, seed)
    return Counts(
        tally.rejections,
        tally.tokens,
        tally.per_position,
        trajectories,
        tally.deviations,
        tally.target_calls,
        tally.drafted_tokens,
        tally.drafted_by_place,
        tally.reached_by_place,
        tally.accepted_by_place,
    )


def starting_from(tables: Tables, state: int) -> Tables:
    """The same tables for trajectories that all start from x_0 = `state`; nothing large is built anew."""
    sure = np.zeros(tables.states)
    sure[check_count("state", state, least=0, most=tables.states - 1)] = 1.0
    return dataclasses.replace(tables, initial=initial_table(sure))


def sample_paths(pair: ChainPair, decoder: Decoder, trajectories: int, seed: int) -> Paths:
    """The trajectories themselves, from the same kernels as `simulate_batch`: N * T * 3 bytes."""
    return record_paths(build_tables(pair, decoder), trajectories, np.random.SeedSequence(seed))


def record_paths(tables: Tables, trajectories: int, seed: np.random.SeedSequence) -> Paths:
    """The trajectories that `simulate_batch` counts for the same arguments."""
    trajectories = check_count("trajectories", trajectories)
    tally = _sample(tables, trajectories, seed, recorded=trajectories)
    return Paths(tally.path_tokens.T, tally.path_rejected.T.astype(bool), tally.path_initial)
