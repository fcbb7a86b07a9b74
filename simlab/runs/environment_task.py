"""The task of random environments: a distribution and the capacities at which the best tree is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from simlab.checks import check_count
from simlab.decoding.environments.counts import EnvironmentCounts, check_capacities
from simlab.errors import SimlabError
from simlab.laws import Law, law_identity
from simlab.runs.task import Numbered, canonical

BATCH_NODES = 2**16
"""Nodes that a batch chooses unless the caller says otherwise: some 30 ms of work."""
MOST_IN_BATCH = 256


@dataclass(frozen=True, eq=False)
class EnvironmentTask(Numbered):
    """Random environments of one distribution, in numbered batches of one size.

    law: one of simlab.laws, kept as what identifies it (`law_identity`), so that a task is small. capacities:
    ascending, at most 2^31 - 1; each environment answers all of them. seed: a whole number >= 0 of any size.
    batch_size: environments in a full batch; None: about 30 ms of work, at most 256. Two tasks are equal if
    their ids are. Raises SimlabError for anything else.
    """

    law: Law | Mapping
    capacities: tuple[int, ...]
    seed: int = 0
    batch_size: int | None = None
    unit: ClassVar[str] = "environments"

    def __post_init__(self) -> None:
        law = self.law if isinstance(self.law, Mapping) else law_identity(self.law)
        object.__setattr__(self, "law", canonical(law, "law"))
        object.__setattr__(self, "capacities", check_capacities(self.capacities))
        object.__setattr__(self, "seed", check_count("seed", self.seed, least=0))
        size = self.batch_size
        if size is None:
            size = min(MOST_IN_BATCH, max(1, BATCH_NODES // self.capacities[-1]))
        object.__setattr__(self, "batch_size", check_count("batch_size", size, least=1))

    @property
    def settings(self) -> dict:
        """What the task is, beside seed and batch size, JSON-able."""
        return {"law": self.law, "capacities": self.capacities}

    @property
    def work(self) -> int:
        """An environment in trajectories: a node of its tree takes about as long as one."""
        return self.capacities[-1]

    @property
    def tables_key(self) -> tuple[int, ...]:
        return self.capacities

    def table_bytes(self, law: Law) -> int:
        """About how many bytes its tables take: those of the distribution."""
        return law.nbytes

    def build_tables(self, law: Law):
        from simlab.decoding.environments.sampler import environment_tables  # here, as in Task

        return environment_tables(law, self.capacities)

    def simulate(self, tables, batch: int, size: int) -> EnvironmentCounts:
        from simlab.decoding.environments.sampler import simulate_environments_batch

        return simulate_environments_batch(tables, size, self.seed_sequence(batch))

    def check_subject(self, law) -> None:
        """Raises SimlabError if it is not a distribution, or not the task's."""
        if canonical(law_identity(law), "law") != self.law:
            raise SimlabError(
                f"task {self.id[:12]} is of another distribution than {law.label}: give them the same"
            )

    def no_counts(self, law: Law) -> EnvironmentCounts:
        """The counts of no environments."""
        return EnvironmentCounts.zero(self.capacities)

    def sums(self, counts: EnvironmentCounts) -> tuple[int]:
        """(environments,) of a batch."""
        return (counts.environments,)

    def check_counts(self, counts, law: Law) -> None:
        """Raises SimlabError for counts in the ledger that cannot be of this task."""
        if not isinstance(counts, EnvironmentCounts) or tuple(counts.capacities) != self.capacities:
            raise SimlabError(f"task {self.id[:12]}: the ledger holds other counts: use another ledger")

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.law.items() if key != "digest")
        return f"environments of {settings}"
