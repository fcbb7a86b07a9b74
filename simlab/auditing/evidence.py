"""The evidence against a verifier on one instance: counts of its outputs, and martingales of them.

Outputs are completed to g + 1 tokens by draws from the target; then every token follows the target's row,
given the tokens before it and everything that was emitted earlier. Each martingale looks at that from
another side: one position over all prefixes, all prefixes one by one, single events pooled over prefixes,
and whether the first token hangs on the output before it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from simlab.auditing.calling import Sample
from simlab.auditing.instances import Instance, completed
from simlab.auditing.known import expected_accepted, joint_distribution, outcome_table, token_marginals
from simlab.auditing.martingale import CONCENTRATIONS, log_dirichlet, log_mean, log_tilted

MOST_JOINT_CELLS = 65536
BEFORE = 4
"""Kinds of the output before: any accepted or not, and a first token of low or high rank."""
EVENTS = (
    "the target's likeliest token",
    "tokens that the draft proposes too often",
    "tokens to be made up for that the draft proposes too",
    "tokens that the draft never proposes",
)
SLOTS = 8
"""Numbers in a batch that first tokens are counted by; the last one stands for all beyond it."""


class Evidence:
    """What one instance has shown so far."""

    def __init__(self, instance: Instance, law: str | None):
        self.instance, self.law = instance, law
        positions, contexts, states = instance.true_target.shape
        self.calls = 0
        self.by_context = np.zeros((positions, contexts, states), dtype=np.int64)
        self.by_accepted = np.zeros((positions, positions, states), dtype=np.int64)
        self.outcomes = np.zeros((positions, contexts, 2 * states), dtype=np.int64)
        self.before = np.zeros((BEFORE, states), dtype=np.int64)
        self.by_slot = np.zeros((SLOTS, states), dtype=np.int64)
        cells = states**positions
        self.joint = np.zeros(cells if cells <= MOST_JOINT_CELLS else 0, dtype=np.int64)
        self.marginals = token_marginals(instance)
        self.table = outcome_table(instance, law) if law else None

    @cached_property
    def joint_wanted(self) -> np.ndarray:
        return joint_distribution(self.instance)

    @cached_property
    def events(self) -> np.ndarray:
        """The single events of EVENTS, each a set of tokens in every row: (events, g + 1, C, V) of bool."""
        draft, target = self.instance.true_draft, self.instance.true_target
        found = np.zeros((len(EVENTS), *target.shape), dtype=bool)
        np.put_along_axis(found[0], target.argmax(axis=-1)[..., None], True, axis=-1)
        excess = target[:-1] - draft
        ratio = np.where(excess > 0, draft / np.where(excess > 0, excess, 1.0), np.inf)
        half = np.maximum((excess > 0).sum(axis=-1, keepdims=True) - 1, 0) // 2
        middle = np.take_along_axis(np.sort(ratio, axis=-1), half, axis=-1)
        found[1:, :-1] = excess < 0, (excess > 0) & (ratio > middle), (draft == 0) & (target[:-1] > 0)
        return found

    def add(self, sample: Sample, before: np.ndarray, rng: np.random.Generator) -> None:
        """Complete the outputs and count them. before (n,): the kind of each one's output before."""
        instance, positions = self.instance, len(self.by_context)
        tokens, contexts = completed(instance, sample.emitted, rng)
        self.calls += len(tokens)
        for i in range(positions):
            _count(self.by_context[i], contexts[:, i], tokens[:, i])
            _count(self.by_accepted[i], sample.accepted, tokens[:, i])
            reached = sample.accepted >= i
            stopped = sample.accepted[reached] == i
            _count(self.outcomes[i], contexts[reached, i], tokens[reached, i] + instance.states * stopped)
        _count(self.before, before, tokens[:, 0])
        _count(self.by_slot, np.minimum(sample.slot, SLOTS - 1), tokens[:, 0])
        if self.joint.size:
            flat = tokens @ instance.states ** np.arange(positions - 1, -1, -1)
            self.joint += np.bincount(flat, minlength=self.joint.size)

    def tilts(self) -> np.ndarray:
        """log martingales of each event at each position: (tilts, events, g + 1)."""
        return log_tilted(self.by_context, self.instance.true_target, self.events)

    def bias(self, tilts: np.ndarray | None = None) -> dict[tuple[str, int | None], float]:
        """log martingales of the completed outputs, by (side, position or None for all). tilts: as above."""
        counts, target = self.by_context, self.instance.true_target
        tilts = self.tilts() if tilts is None else tilts
        product = log_dirichlet(counts, target, CONCENTRATIONS)  # (K, g + 1, C)
        pooled = log_dirichlet(counts.sum(axis=1), self.marginals, CONCENTRATIONS)
        visited = [min(self.instance.states**i, counts.shape[1]) for i in range(len(counts))]
        sides = {
            "token": log_mean(pooled),
            "token given all before": log_mean(product.sum(axis=-1)),
            "one prefix": [log_mean(product[1, i, :many]) for i, many in enumerate(visited)],
            **dict(zip(EVENTS, log_mean(tilts), strict=True)),
        }
        found = {(side, i): float(log) for side, logs in sides.items() for i, log in enumerate(logs)}
        found["all tokens", None] = float(log_mean(product.sum(axis=(1, 2))))
        first = np.broadcast_to(target[0, 0], self.before.shape)
        before = log_dirichlet(self.before, first, CONCENTRATIONS).sum(axis=1)
        found["output before", 0] = float(log_mean(before))
        return found

    def strength(self) -> float:
        """The largest log martingale of bias; minus infinity before the first call."""
        return max(self.bias().values()) if self.calls else -np.inf

    def accepts(self) -> dict[tuple[str, int | None], float]:
        """log martingales of how many tokens are accepted, and which, against the known distribution."""
        if self.table is None:
            return {}
        counts, wanted = self.outcomes, self.table
        product = log_dirichlet(counts, wanted, CONCENTRATIONS)
        tilted = log_tilted(counts, wanted, self._accepting(wanted.shape))
        found = {("accepted tokens", None): float(log_mean(product.sum(axis=(1, 2))))}
        found["acceptance", None] = float(log_mean(tilted.sum(axis=1)))
        for i in range(len(counts)):
            found["accepted tokens", i] = float(log_mean(product[:, i].sum(axis=-1)))
            found["acceptance", i] = float(log_mean(tilted[:, i]))
        return found

    def pooled_acceptance(self) -> np.ndarray:
        """log martingales of acceptance over all positions: (tilts,)."""
        event = self._accepting(self.table.shape)
        return log_tilted(self.outcomes, self.table, event).sum(axis=1)

    def _accepting(self, shape) -> np.ndarray:
        return np.broadcast_to(np.arange(shape[-1]) < self.instance.states, shape)

    def mean_accepted(self) -> float:
        """Accepted tokens a call, as seen."""
        return float(self.outcomes[..., : self.instance.states].sum() / max(self.calls, 1))

    def mean_accepted_wanted(self) -> float:
        return expected_accepted(self.instance, self.table)


def _count(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    width = table.shape[1]
    table += np.bincount(rows * width + columns, minlength=table.size).reshape(table.shape)
