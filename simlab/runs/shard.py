"""A shard: one machine's part of a study. No file is shared; ledgers are merged afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.checks import check_count
from simlab.errors import SimlabError


@dataclass(frozen=True)
class Shard:
    """Part `index` (1..count) of `count` parts of the same work, disjoint and together complete.

    The grain is a batch: which shard runs it is a function of the task's id and the batch's number alone, so
    that one huge task is shared by all and many tasks of one batch each are too. Raises SimlabError for an
    index or a count out of range.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", check_count("the number of shards", self.count, least=1))
        object.__setattr__(self, "index", check_count("the number of a shard", self.index, least=1))
        if self.index > self.count:
            raise SimlabError(f"shard={self} is not a valid shard; expected a part from 1 to {self.count}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: object) -> Shard:
        """The shard that `2/8` spells. Raises SimlabError for anything else."""
        index, slash, count = str(text).strip().partition("/")
        if not slash or not index.strip().isdecimal() or not count.strip().isdecimal():
            raise SimlabError(f"shard={text} is not a valid shard; expected part/parts, e.g. shard=2/8")
        if int(index) < 1 or int(count) < int(index):
            raise SimlabError(
                f"shard={text} is not a valid shard; expected a part from 1 to the number of parts, e.g. 2/8"
            )
        return cls(int(index), int(count))

    def has(self, task: str, batch: int) -> bool:
        """Whether this shard runs a batch of the task with this id."""
        return (int(task[:12], 16) + batch) % self.count == self.index - 1

    def numbers(self, task: str, batches: int) -> range:
        """The batches 0..batches - 1 of a task that this shard runs, ascending."""
        first = (self.index - 1 - int(task[:12], 16)) % self.count
        return range(first, batches, self.count)


WHOLE = Shard(1, 1)
"""All of the work."""
