"""Is a rule of acceptance unbiased for all rows? A search for the smallest counterexample (own).

One step of a rule gives token z with probability K(z) = r(z) b(z) + sum_y r(y) (1 - b(y)) P(z | y), r the
distribution that tokens are drawn from; it is unbiased if and only if K is the target for all rows. A rule is
any function, so that finitely many rows can refute it and never prove it. Looked at are

- *all* pairs of rows with a small common denominator, by the number of tokens and then the denominator, so
  that what is found first is smallest. Certain drafts are among them: where a rule does not look at the
  draft, K is linear in r, and these corners stand for every draft there is (the linear program of the
  largest bias has its optimum in a corner);
- rows at random, sharp and flat, with zeros, nearly equal and with masses of 1e-6, which small denominators
  do not reach. One that refutes the rule is rounded to the smallest denominator that still does.

How much of the bias any replacement could mend is a linear program with a known optimum (Yin et al. 2024,
Theorem 4): what is accepted beyond the target, sum [r b - target]_+, stays; all else could be made good.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from simlab.decoders import RuleSpeculative, rule_answers

DENOMINATORS = {2: 12, 3: 6, 4: 4, 5: 3}
"""By the number of tokens, up to which denominator all pairs of rows are looked at."""
RANDOM, LARGEST = 300, 8
"""Rows at random for each number of tokens, from 2 to LARGEST."""
BIASED = 1e-9
"""A total variation above this is no rounding."""
FINEST = 10**7
"""The largest denominator that a counterexample found at random is rounded to."""
SIMPLE = 10**6
"""An answer of the rule is taken for the fraction with a denominator up to this that is nearest to it, if it
is that but for rounding; else at its exact binary value."""


@dataclass(frozen=True)
class Counterexample:
    """Rows for which a rule is biased, in fractions, (V,) each: what came out, and what should have.

    accept: of each token. least: the least total variation that another replacement would leave; 0 where the
    replacement alone is at fault.
    """

    draft: tuple[Fraction, ...]
    target: tuple[Fraction, ...]
    accept: tuple[Fraction, ...]
    output: tuple[Fraction, ...]
    least: Fraction

    @property
    def total_variation(self) -> Fraction:
        """Between output and target."""
        return sum(max(k - q, Fraction(0)) for k, q in zip(self.output, self.target, strict=True))

    @property
    def denominator(self) -> int:
        """The common denominator of the two rows."""
        return math.lcm(*(value.denominator for value in (*self.draft, *self.target)))


@dataclass(frozen=True)
class RuleCheck:
    """What the search came to. rows: how many pairs of rows were looked at. largest: the largest total
    variation that was seen. counterexample: the smallest one, None where there is none."""

    name: str
    rows: int
    largest: float
    counterexample: Counterexample | None

    @property
    def unbiased(self) -> bool:
        """Whether nothing was found that refutes it."""
        return self.counterexample is None


def verify_rule(rule: Callable, seed: int = 0) -> RuleCheck:
    """Look for rows for which a rule's output is not the target.

    rule: as `simlab.RuleSpeculative` takes it. seed: of the rows at random. Some seconds. Raises SimlabError
    for what the rule can do wrong on a row: shapes, numbers, two answers.
    """
    decoder = RuleSpeculative(rule)
    rule, name = decoder.rule, decoder.name
    rows, largest = 0, 0.0
    for states, denominator in sorted((v, d) for v, most in DENOMINATORS.items() for d in range(1, most + 1)):
        drafts, targets = _all_rows(states, denominator)
        distances = _distances(rule, name, drafts / denominator, targets / denominator)
        rows, largest = rows + len(drafts), max(largest, float(distances.max()))
        if largest > BIASED:
            worst = int(np.argmax(distances))
            found = (tuple(Fraction(int(n), denominator) for n in part[worst]) for part in (drafts, targets))
            return RuleCheck(name, rows, largest, _counterexample(rule, name, *found))
    for drafts, targets in _random_rows(np.random.default_rng(seed)):
        distances = _distances(rule, name, drafts, targets)
        rows, largest = rows + len(drafts), max(largest, float(distances.max()))
        if largest > BIASED:
            worst = int(np.argmax(distances))
            found = _rounded(rule, name, drafts[worst], targets[worst])
            return RuleCheck(name, rows, largest, _counterexample(rule, name, *found))
    return RuleCheck(name, rows, largest, None)


def _distances(rule: Callable, name: str, drafts: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The total variation between output and target of each pair of rows, (N,)."""
    proposed, accept, replacement = rule_answers(rule, name, drafts, drafts, targets)
    lost = proposed * (1 - accept)
    if replacement.ndim == 2:
        replaced = lost.sum(axis=1, keepdims=True) * replacement
    else:
        replaced = np.einsum("ny,nyz->nz", lost, replacement)
    return 0.5 * np.abs(proposed * accept + replaced - targets).sum(axis=1)


def _all_rows(states: int, denominator: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows of whole numbers with this sum and no common factor, (N, V) each."""
    rows = np.array(list(_compositions(denominator, states)))
    pairs = np.array(list(itertools.product(range(len(rows)), repeat=2)))
    drafts, targets = rows[pairs[:, 0]], rows[pairs[:, 1]]
    reduced = np.gcd.reduce(np.hstack([drafts, targets]), axis=1) == 1
    return drafts[reduced], targets[reduced]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for others in _compositions(total - first, parts - 1):
            yield (first, *others)


def _random_rows(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(drafts, targets), (N, V) each, by number of tokens: every kind of row meets every other."""
    for states in range(2, LARGEST + 1):
        sharpness = random.choice([0.1, 1.0, 10.0], size=(2, RANDOM, 1))
        weights = random.standard_gamma(np.broadcast_to(sharpness, (2, RANDOM, states))) + 1e-12
        weights *= random.random(weights.shape) < random.choice([0.5, 1.0], size=(2, RANDOM, 1))
        weights *= np.where(random.random(weights.shape) < 0.1, 1e-6, 1.0)
        sure = random.integers(states, size=(2, RANDOM))
        empty = weights.sum(axis=2) == 0
        weights[empty, sure[empty]] = 1.0
        near = random.random(RANDOM) < 0.2
        weights[0, near] = weights[1, near] * (1 + 0.01 * random.random((int(near.sum()), states)))
        yield tuple(weights / weights.sum(axis=2, keepdims=True))


def _rounded(rule, name: str, draft: np.ndarray, target: np.ndarray) -> tuple[tuple, tuple]:
    """The pair of rows in fractions of about the smallest denominator with which they refute the rule too:
    in steps of a fiftieth first, then one by one back from there."""
    before, denominator = 1, 2
    while denominator < FINEST:
        if _refutes(rule, name, draft, target, denominator):
            between = range(before + 1, denominator)
            least = next((d for d in between if _refutes(rule, name, draft, target, d)), denominator)
            both = (_whole(row, least) for row in (draft, target))
            return tuple(tuple(Fraction(int(n), least) for n in part) for part in both)
        before, denominator = denominator, denominator + max(1, denominator // 50)
    exact = [[Fraction(float(value)) for value in row] for row in (draft, target)]
    return tuple(tuple(value / sum(row) for value in row) for row in exact)


def _refutes(rule, name: str, draft: np.ndarray, target: np.ndarray, denominator: int) -> bool:
    both = (_whole(row, denominator)[None] / denominator for row in (draft, target))
    return bool(_distances(rule, name, *both)[0] > BIASED)


def _whole(row: np.ndarray, denominator: int) -> np.ndarray:
    """Whole numbers with this sum in about the row's proportions, none 0 that is not, where there is room.

    The largest remainders are rounded up.
    """
    least = (row > 0).astype(float)
    if least.sum() > denominator:
        least[:] = 0.0
    scaled = row * (denominator - least.sum())
    whole = np.floor(scaled)
    missing = round(float(denominator - least.sum() - whole.sum()))
    whole[np.argsort(whole - scaled, kind="stable")[:missing]] += 1
    return whole + least


def _counterexample(rule, name: str, draft: tuple, target: tuple) -> Counterexample:
    """The rule's own answer in fractions, and what comes of it."""
    rows = (np.array([[float(value) for value in row]]) for row in (draft, target))
    drafts, targets = rows
    proposed, accept, replacement = (part[0] for part in rule_answers(rule, name, drafts, drafts, targets))
    drawn = list(draft) if np.array_equal(proposed, drafts[0]) else _normalised(proposed)
    every, accept = range(len(draft)), [_fraction(value) for value in accept]
    replaced = [_normalised(row) for row in np.broadcast_to(replacement, (len(draft), len(draft)))]
    passed = [drawn[y] * accept[y] for y in every]
    output = [passed[z] + sum(drawn[y] * (1 - accept[y]) * replaced[y][z] for y in every) for z in every]
    least = sum(max(passed[y] - target[y], Fraction(0)) for y in every)
    return Counterexample(draft, target, tuple(accept), tuple(output), least)


def _fraction(value: float) -> Fraction:
    exact = Fraction(float(value))
    simple = exact.limit_denominator(SIMPLE)
    return simple if abs(exact - simple) <= Fraction(1, 10**13) else exact


def _normalised(row: np.ndarray) -> list[Fraction]:
    fractions = [_fraction(value) for value in row]
    whole = sum(fractions)
    return [value / whole for value in fractions] if whole else fractions
