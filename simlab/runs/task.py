"""A task: what is simulated, under a name that is a hash of it.

A task's id is the SHA-256 of its settings as canonical JSON, so that the same work has the same name in every
process, on every machine and in every experiment that asks for it. The random numbers of a batch are a
function of the id and the batch's number and of nothing else: results do not depend on who computes a batch,
or when.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real
from typing import ClassVar

import numpy as np

from simlab.checks import check_count
from simlab.decoders import Decoder, RuleSpeculative, check_finite, decoder_name, task_options
from simlab.decoding.counts import Counts
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_pair

SCHEMA_VERSION = 1
"""Raised whenever the same settings would give other counts: a changed sampler, or changed settings."""

BATCH_SIZE = 131_072
"""Trajectories in a batch unless the caller says otherwise: some 10 ms of work on a small pair."""


class Numbered:
    """What every kind of task is: settings with a seed, worked off in numbered batches of one size.

    A kind says besides: `unit`, what it counts; `work`, one of them in trajectories, roughly, for the time
    that is left; `tables_key`, what its tables depend on beside its subject (a pair or a distribution); and
    how many bytes its tables take, how they are built, a batch is simulated, and counts begin, are summed up
    and are recognised as its own.
    """

    seed: int
    batch_size: int
    unit: ClassVar[str]

    @cached_property
    def id(self) -> str:
        """SHA-256 of the task's canonical JSON, as 64 hexadecimal digits."""
        return task_id(self)

    def seed_sequence(self, batch: int) -> np.random.SeedSequence:
        """The seed of one batch: SeedSequence(seed, spawn_key=(the id's eight 32-bit words, batch))."""
        batch = check_count("batch", batch, least=0)
        words = (int(word) for word in np.frombuffer(bytes.fromhex(self.id), dtype=">u4"))
        return np.random.SeedSequence(self.seed, spawn_key=(*words, batch))

    def on(self, subject) -> Numbered:
        """The task as it is of this pair or distribution: itself, unless its settings need to meet it."""
        return self

    @property
    def light(self) -> Numbered:
        """The task as it travels to a process that holds its tables: itself, unless that is less."""
        return self

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Numbered) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, eq=False)
class Task(Numbered):
    """Trajectories of one decoder on one pair, in numbered batches of one size.

    pair: what identifies the pair, as JSON-able values: its generator's settings, or {"digest": ...} for
    arrays. Kept in canonical form (see `canonical`). decoder: one of simlab.decoders. seed: a whole number
    >= 0 of any size. batch_size: trajectories in a full batch, >= 1. Two tasks are equal if their ids are.
    Raises SimlabError for anything else.
    """

    pair: Mapping
    decoder: Decoder
    seed: int = 0
    batch_size: int = BATCH_SIZE
    unit: ClassVar[str] = "trajectories"
    work: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not isinstance(self.pair, Mapping):
            raise SimlabError(f"pair = {self.pair!r}: identify the pair by a mapping, e.g. {{'digest': ...}}")
        object.__setattr__(self, "pair", canonical(self.pair, "pair"))
        object.__setattr__(self, "seed", check_count("seed", self.seed, least=0))
        object.__setattr__(self, "batch_size", check_count("batch_size", self.batch_size, least=1))
        check_finite(self.decoder)

    @property
    def settings(self) -> dict:
        """What the task is, beside seed and batch size, JSON-able."""
        return {
            "pair": self.pair,
            "decoder": {"name": decoder_name(self.decoder), **task_options(self.decoder)},
        }

    @property
    def tables_key(self) -> Decoder:
        return self.decoder

    def table_bytes(self, pair: ChainPair) -> int:
        """About how many bytes its tables on the pair take."""
        from simlab.decoding.simulate import table_bytes
        from simlab.pairs.size import PairSize

        return table_bytes(PairSize.of(pair), self.decoder)

    def build_tables(self, pair: ChainPair):
        from simlab.decoding import build_tables  # here: who only plans need not wait for the compiler

        return build_tables(pair, self.decoder)

    def simulate(self, tables, batch: int, size: int) -> Counts:
        from simlab.decoding import simulate_batch

        return simulate_batch(tables, size, self.seed_sequence(batch))

    def on(self, pair) -> Task:
        """The task on this pair: a rule of acceptance as its tables there, which name the task."""
        if not isinstance(self.decoder, RuleSpeculative):
            return self
        decoder = self.decoder.on(pair)
        return self if decoder is self.decoder else replace(self, decoder=decoder)

    @property
    def light(self) -> Task:
        """The task as it travels to a process that has its tables: a rule by its digest."""
        if not isinstance(self.decoder, RuleSpeculative):
            return self
        rule = self.decoder.rule.named_only()
        return replace(self, decoder=RuleSpeculative(rule, self.decoder.window, self.decoder.bonus))

    def check_subject(self, pair) -> None:
        """Raises SimlabError if it is not a pair."""
        check_pair(pair)

    def no_counts(self, pair: ChainPair) -> Counts:
        """The counts of no trajectories."""
        return Counts.zero(pair.horizon, pair.states)

    def sums(self, counts: Counts) -> tuple[int, int, int]:
        return batch_sums(counts)

    def check_counts(self, counts, pair: ChainPair) -> None:
        """Raises SimlabError for counts in the ledger that cannot be of this task."""
        shape = (pair.horizon, pair.states)
        if not isinstance(counts, Counts) or counts.tokens.shape != shape:
            held = counts.tokens.shape if isinstance(counts, Counts) else "counts of environments"
            raise SimlabError(
                f"task {self.id[:12]}: the ledger holds (T, V) = {held}, the pair {shape}: "
                "the same settings gave another pair; use another ledger"
            )

    def __str__(self) -> str:
        return str(self.decoder)


def batch_sums(counts: Counts) -> tuple[int, int, int]:
    """(trajectories, sum of rejections, sum of squared rejections) of a batch."""
    rejections = np.arange(len(counts.rejections), dtype=np.int64)
    first = int(counts.rejections @ rejections)
    return counts.trajectories, first, int(counts.rejections @ rejections**2)


def canonical_json(task: Numbered) -> str:
    """The task's settings as JSON: sorted keys, no spaces, ASCII, numbers in one spelling each."""
    settings = {
        "schema": SCHEMA_VERSION,
        **task.settings,
        "seed": task.seed,
        "batch_size": task.batch_size,
    }
    return json.dumps(canonical(settings, "task"), sort_keys=True, separators=(",", ":"), allow_nan=False)


def task_id(task: Numbered) -> str:
    """SHA-256 of `canonical_json(task)`, as 64 hexadecimal digits."""
    return hash_json(canonical_json(task))


def hash_json(text: str) -> str:
    """SHA-256 of a JSON text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value, where: str):
    """`value` in the one form that all its equals share: dicts, lists, str, int, float, bool and None.

    Whole floats and NumPy integers become int (4.0 and 4 are one setting), other NumPy scalars the Python
    number, tuples lists, an infinity {"$float": "inf"}. Raises SimlabError, naming the position, for NaN
    (which equals nothing), for keys that are not strings or start with "$", and for types that JSON has no
    word for.
    """
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _canonical_float(float(value), where)
    if isinstance(value, Mapping):
        return {_key(key, where): canonical(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise SimlabError(f"{where} is of type {type(value).__name__}; expected numbers, text, lists or mappings")


def _canonical_float(number: float, where: str):
    if math.isnan(number):
        raise SimlabError(f"{where} = nan: a task's settings are numbers that equal themselves")
    if math.isinf(number):
        return {"$float": "inf" if number > 0 else "-inf"}
    return int(number) if number.is_integer() else number


def _key(key, where: str) -> str:
    # "$float" itself may come back in: the canonical form of a canonical form is the same.
    if not isinstance(key, str) or (key.startswith("$") and key != "$float"):
        raise SimlabError(f"{where} has the key {key!r}: give text that does not start with $")
    return str(key)
