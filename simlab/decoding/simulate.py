"""From a pair and a decoder to tables, and from tables to counts or paths."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simlab.checks import check_count
from simlab.decoders import Decoder, check_finite, module_for, on_pair
from simlab.decoding.core.randomness import seed_state
from simlab.decoding.core.tables import AliasTable, check_size, initial_table, memory_error
from simlab.decoding.core.tally import Room, Tally, new_tally
from simlab.decoding.counts import OPTIONAL, Counts
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize

SAMPLERS = {
    "autoregressive": "simlab.decoding.autoregressive",
    "horizon": "simlab.decoding.speculative",
    "windows": "simlab.decoding.windows",
    "memory": "simlab.decoding.memory",
    "block": "simlab.decoding.block.sampler",
    "batch": "simlab.decoding.batch",
    "biased": "simlab.decoding.biased",
    "tree": "simlab.decoding.draft_tree",
    "rule": "simlab.decoding.rule",
    "rule windows": "simlab.decoding.rule",
    "multidraft": "simlab.decoding.many_drafts.sampler",
}
"""By algorithm, the module with its `tables(pair, decoder) -> Tables` and its `bytes_per_row(pair, decoder)`,
what the tables take for each of their S * V rows."""

BLOCK, LARGE_BLOCK = 2**16, 2**18
"""Trajectories that go through one step before the next. Where a step's tables do not fit the L2 cache, more
of them share the price of fetching the tables from memory."""
SCRATCH = 3
"""Arrays (V, V) that samplers hold of one step while they build its tables, at most."""
LARGE_STEP = 2**20
"""Bytes of one step's records and residual from which the large block pays."""


class Tables(Protocol):
    """What a sampler looks up for a horizon of T steps over V states: a frozen dataclass of its module."""

    horizon: int
    states: int
    initial: AliasTable

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`; block: how many trajectories go through a step before the next."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Simulated trajectories one by one: tokens (N, T), rejected bool (N, T), initial (N,).

    Of TreeSpeculative "rejected" are the bonus tokens, those that no tree had drafted.
    """

    tokens: np.ndarray
    rejected: np.ndarray
    initial: np.ndarray

    def __repr__(self) -> str:
        count, steps = self.tokens.shape
        return f"Paths({count:,} trajectories, T={steps}: mean N_rej {self.rejected.sum() / count:.6g})"


def build_tables(pair: ChainPair, decoder: Decoder) -> Tables:
    """What the decoder's sampler looks up, built once for any number of trajectories.

    A pair whose chains are both stationary gets one copy of tables, whatever its horizon. Raises SimlabError
    for a decoder without a sampler, drafts = inf, V > 65536, T > 65535, a policy of another pair, a window so
    long that the drafted tokens are too many to count, a rule that is none, and tables that do not fit into
    memory.
    """
    check_finite(decoder)
    sampler, decoder = module_for(decoder, SAMPLERS, "sampler"), on_pair(decoder, pair)
    needed = table_bytes(PairSize.of(pair), decoder)
    check_size(pair, needed)
    try:
        return sampler.tables(pair, decoder)
    except MemoryError as error:
        raise memory_error(needed) from error


def table_bytes(size: PairSize, decoder: Decoder) -> int:
    """About how many bytes `build_tables` takes for a pair of this size, with what it needs while it builds;
    trees of drafted tokens come on top, and are checked as they grow."""
    sampler = module_for(decoder, SAMPLERS, "sampler")
    return size.steps * size.states * sampler.bytes_per_row(size, decoder) + SCRATCH * size.rows


def _sample(tables: Tables, trajectories: int, seed: np.random.SeedSequence, recorded: int = 0):
    tally = new_tally(tables.horizon, tables.states, tables.room, recorded)
    block = min(LARGE_BLOCK if 12 * tables.states**2 > LARGE_STEP else BLOCK, trajectories)
    with np.errstate(over="ignore"):  # uncompiled, numpy would notice that the generator wraps around
        state = seed_state(seed, generators=2)
        tables.sample(trajectories, block, state, tally)
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
        {name: getattr(tally, name) for name in OPTIONAL},
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
