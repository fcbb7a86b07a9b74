"""A trace that lists every path of a small chain, weighted by its probability: no sampling error is left.

The columns come from rows of fractions by their definitions; nothing here is shared with simlab.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np

import simlab
from simlab.traces import batch_column, over_acceptance_column


def chain(random: np.random.Generator, horizon: int, states: int, zeros: bool = False) -> list:
    """Rows of fractions [t][x][y], some entries 0 where `zeros`."""
    rows = []
    for _ in range(horizon * states):
        counts = random.integers(0 if zeros else 1, 6, states)
        counts[random.integers(states)] += 1
        rows.append([Fraction(int(count), int(counts.sum())) for count in counts])
    return [rows[t * states : (t + 1) * states] for t in range(horizon)]


def pair_of(draft, target, initial) -> simlab.ChainPair:
    """The same as a pair of floats."""
    as_floats = (np.array(one, dtype=float) for one in (draft, target, initial))
    return simlab.ChainPair(*as_floats)


def every_path(draft, target, initial, drafts=(), epsilons=()) -> simlab.Trace:
    """A sequence for each prompt's last token and each path of positive probability."""
    horizon, states = len(target), len(initial)
    columns: dict[str, list] = {"sequence": [], "weight": [], "position": [], "token": []}
    number = 0
    for start, *path in product(range(states), repeat=horizon + 1):
        weight, last, rows = Fraction(initial[start]), start, []
        for t, token in enumerate(path):
            weight *= target[t][last][token]
            rows.append((token, draft[t][last], target[t][last]))
            last = token
        if not weight:
            continue
        for t, (token, proposed, wanted) in enumerate(rows):
            found = {"sequence": number, "weight": weight, "position": t, "token": token}
            found |= columns_of(token, proposed, wanted, drafts, epsilons)
            for name, value in found.items():
                columns.setdefault(name, []).append(value)
        number += 1
    whole = ("sequence", "position", "token")
    return simlab.Trace(
        **{name: np.array(column, int if name in whole else float) for name, column in columns.items()}
    )


def columns_of(token: int, draft, target, drafts=(), epsilons=()) -> dict:
    """What a trace says of one token, from the rows that it was drafted and verified with."""
    found = {
        "draft_probability": draft[token],
        "target_probability": target[token],
        "total_variation": sum(max(q - p, 0) for p, q in zip(draft, target, strict=True)),
        "draft_confidence": max(draft),
        "draft_entropy": -sum(p * math.log(p) for p in draft if p),
    }
    for number in drafts:
        found[batch_column(number)] = rejected_by_batch(token, draft, target, number)
    for epsilon in epsilons:
        excess = sum(max(p - q - Fraction(epsilon), 0) for p, q in zip(draft, target, strict=True))
        found[over_acceptance_column(epsilon)] = excess
    return found


def rejected_by_batch(token: int, draft, target, drafts: int) -> Fraction:
    """P(all drafts are rejected | this token came): the tries one by one, as Algorithm 4 has them."""
    left, wanted = Fraction(1), list(target)
    for _ in range(drafts):
        residual = [max(q - p, 0) for p, q in zip(draft, wanted, strict=True)]
        missed = sum(residual)
        left *= missed
        if not missed:
            return Fraction(0)
        wanted = [one / missed for one in residual]
    return left * wanted[token] / target[token]
