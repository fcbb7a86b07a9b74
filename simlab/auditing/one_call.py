"""One target call with a rule that stops it, in fractions: what it does to the output's distribution."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

Row = tuple[Fraction, ...]
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class SmallInstance:
    """A draft (V, V), row x being the one after token x, the window, and the tokens accepted before."""

    draft: tuple[Row, ...]
    window: int
    accepted: Tokens

    @property
    def states(self) -> int:
        """V."""
        return len(self.draft)

    @cached_property
    def _floats(self) -> np.ndarray:
        return np.array(self.draft, dtype=float)

    def rows(self, drafted: Tokens) -> np.ndarray:
        """(g + 1, V): of each of the g drafted tokens, and of the one that would be drafted next."""
        found = self._floats[[self.accepted[-1], *drafted]]
        found.flags.writeable = False
        return found

    def blocks(self) -> Iterator[Tokens]:
        """Everything that can be drafted."""
        return itertools.product(range(self.states), repeat=self.window)


@dataclass(frozen=True)
class Bias:
    """Where one call's output, completed by draws from the target, first leaves the target.

    target (V, V); after: the tokens emitted before (none: the first token); wanted, output (V,): the
    distribution of the next token, exactly.
    """

    instance: SmallInstance
    target: tuple[Row, ...]
    after: Tokens
    wanted: Row
    output: Row

    @property
    def total_variation(self) -> Fraction:
        """Between the two distributions."""
        return sum(abs(a - b) for a, b in zip(self.wanted, self.output, strict=True)) / 2


def find_bias(
    instance: SmallInstance, target: tuple[Row, ...], verified: Callable[[Tokens], int]
) -> Bias | None:
    """The shortest prefix after which the next token's distribution is not the target's; None: nowhere.

    verified: how many tokens of a block are verified. The block is drawn from the draft; its first tokens are
    verified by speculative decoding; the first one that is rejected, or else the first unverified one, is
    replaced as there; all later tokens are the target's.
    """
    settled = _settled(instance, target, verified)
    start, states = instance.accepted[-1], range(instance.states)
    through = defaultdict(Fraction)  # P(the output starts so), the target's draws after it left out
    for tokens, mass in settled.items():
        for length in range(len(tokens) + 1):
            through[tokens[:length]] += mass
    completed = {(): Fraction(0)}  # P(it starts so, by draws from the target after the call)
    for length in range(instance.window):
        for prefix in itertools.product(states, repeat=length):
            wanted = target[prefix[-1] if prefix else start]
            drawn = completed.pop(prefix) + settled[prefix]
            total = drawn + through[prefix] - settled[prefix]
            mass = [drawn * wanted[x] + through[(*prefix, x)] for x in states]
            if total and any(mass[x] != total * wanted[x] for x in states):
                return Bias(instance, target, prefix, wanted, tuple(one / total for one in mass))
            completed |= {(*prefix, x): drawn * wanted[x] for x in states}
    return None


def _settled(instance: SmallInstance, target: tuple[Row, ...], verified: Callable) -> dict[Tokens, Fraction]:
    """P(the call emits these tokens, and all that follow are draws from the target), by tokens."""
    settled = defaultdict(Fraction)
    for block in instance.blocks():
        mass, last = Fraction(1), instance.accepted[-1]
        before = (last, *block)
        for x, y in itertools.pairwise(before):
            mass *= instance.draft[x][y]
        for i, y in enumerate(block[: verified(block)]):
            draft, wanted = instance.draft[before[i]], target[before[i]]
            accepted = min(Fraction(1), wanted[y] / draft[y])
            residual = [max(a - b, Fraction(0)) for a, b in zip(wanted, draft, strict=True)]
            if accepted < 1:
                for z, weight in enumerate(residual):
                    settled[(*block[:i], z)] += mass * (1 - accepted) * weight / sum(residual)
            mass *= accepted
        settled[block[: verified(block)]] += mass
    return settled
