"""The most tokens that any verification of M whole drafts accepts in one call: a linear program (own).

M drafts of L tokens each are drawn from the draft's chain. A rule sees them all and emits a string v:
accepted tokens, a prefix of some draft, and one corrected token, or all L tokens of a draft. Its output is
the target's if v, completed by fresh draws from the target, is distributed as the target's L tokens: with
w(v) the mass of emitted v, sum over prefixes v of y of w(v)/target(v) = 1 for every y of L tokens. (The rule
may choose v by all drafts to their ends: block verification is the best rule for M = 1.) The program
maximises E[accepted tokens] over the masses z(drafts, v): V^L rows for y and one for each multiset of
drafts, so it is for tiny instances.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations_with_replacement, product

import numpy as np

from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.verify.check import Check, Undecided
from simlab.verify.compare import Claim, at_least, equal
from simlab.verify.programs import WAYS

MOST_VARIABLES = 50_000

SOLVED = 1e-7
"""How far two optima by HiGHS may lie apart."""


def most_accepted_tokens(pair: ChainPair, token: int, drafts: int) -> float:
    """The largest E[accepted tokens] of a call that drafts `drafts` sequences to the horizon after `token`.

    Accurate to 1e-8. Raises SimlabError where the program is too large, Undecided where HiGHS has no answer.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    states, length = pair.states, pair.horizon
    strings = sum(states**depth for depth in range(1, length + 1))
    size = math.comb(states**length + drafts - 1, drafts) * strings
    if size > MOST_VARIABLES:
        raise SimlabError(
            f"{drafts} drafts of {length} tokens of {states} are a linear program of up to {size:,} "
            f"variables: give fewer, for at most {MOST_VARIABLES:,}"
        )
    whole = list(product(range(states), repeat=length))
    draft, target = ({v: _mass(chain, token, v) for v in whole} for chain in (pair.draft, pair.target))
    emitted = {
        v: _mass(pair.target, token, v)
        for depth in range(1, length + 1)
        for v in product(range(states), repeat=depth)
    }
    columns, gains, supply = [], [], []
    for chosen in combinations_with_replacement([one for one in whole if draft[one] > 0], drafts):
        supply.append(_chance(chosen, draft))
        for v in _emissions(chosen, states):
            if emitted[v] > 0:
                columns.append((len(supply) - 1, v))
                gains.append(length if v in chosen else len(v) - 1)
    leaves = {y: len(supply) + number for number, y in enumerate(y for y in whole if target[y] > 0)}
    entries = [
        (row, column, value)
        for column, (number, v) in enumerate(columns)
        for row, value in [(number, 1.0), *_completions(v, leaves, emitted[v], target)]
    ]
    rows, at, values = zip(*entries, strict=True)
    program = coo_array((values, (rows, at)), shape=(len(supply) + len(leaves), len(columns))).tocsr()
    sets, wanted = len(supply), np.array([target[y] for y in leaves])
    for method, presolve in WAYS:  # as the leaves use up all mass, a set's limit is what it sends
        solved = linprog(
            -np.array(gains), A_ub=program[:sets], b_ub=supply, A_eq=program[sets:], b_eq=wanted,
            method=method, options={"presolve": presolve},
        )  # fmt: skip
        if solved.status == 0:
            return float(-solved.fun)
    raise Undecided(f"HiGHS says: {solved.message}")


def _mass(chain: np.ndarray, token: int, tokens: tuple[int, ...]) -> float:
    """The probability of these tokens after `token`."""
    found, last = 1.0, token
    for t, one in enumerate(tokens):
        found, last = found * float(chain[t, last, one]), one
    return found


def _chance(chosen: tuple, draft: dict) -> float:
    """The probability of a multiset of drafts."""
    orders = math.factorial(len(chosen)) / math.prod(map(math.factorial, Counter(chosen).values()))
    return orders * math.prod(draft[one] for one in chosen)


def _emissions(chosen: tuple, states: int) -> set[tuple[int, ...]]:
    """What may be emitted: a prefix of a draft and any token after it, the whole draft included."""
    return {(*one[:depth], y) for one in chosen for depth in range(len(one)) for y in range(states)}


def _completions(v: tuple, leaves: dict, mass: float, target: dict) -> list[tuple[int, float]]:
    """(row, probability) of every whole sequence that v may become by fresh draws from the target."""
    return [(row, target[y] / mass) for y, row in leaves.items() if y[: len(v)] == v]


def accepted_position_by_position(pair: ChainPair, token: int, drafts: int) -> float:
    """The same of rules that look at one position at a time, with all drafts that agree alive.

    With m drafts alive after x, a rule sees their tokens there, and accepts y of them or none; those with y
    stay alive. Its output is the target's if at most target(y) of y is accepted, and the rest is emitted
    as corrected tokens. What is accepted from t on is a linear program for each (t, x, m), from the last
    position to the first. Accuracy and errors as above.
    """
    from scipy.optimize import linprog

    later = np.zeros((drafts + 1, pair.states))
    for t in range(pair.horizon - 1, -1, -1):
        now = np.zeros_like(later)
        for alive in range(1, drafts + 1):
            for x in range(pair.states) if t else (token,):
                row = dict(enumerate(pair.draft[t, x].tolist()))
                chosen = list(combinations_with_replacement(row, alive))
                edges = [(number, y) for number, one in enumerate(chosen) for y in sorted(set(one))]
                gains = [1.0 + later[chosen[number].count(y), y] for number, y in edges]
                limits = np.zeros((len(chosen) + pair.states, len(edges)))
                for column, (number, y) in enumerate(edges):
                    limits[number, column] = limits[len(chosen) + y, column] = 1.0
                most = np.concatenate([[_chance(one, row) for one in chosen], pair.target[t, x]])
                solved = linprog(-np.array(gains), A_ub=limits, b_ub=most, method="highs")
                if solved.status != 0:
                    raise Undecided(f"HiGHS says: {solved.message}")
                now[alive, x] = -solved.fun
        later = now
    return float(later[drafts, token])


def accepted_by_block_verification(pair: ChainPair, token: int) -> float:
    """E[accepted tokens] of block verification (Sun et al. 2024) of one draft to the horizon, by enumeration.

    The first tokens x of a draft are accepted with mass draft(x) p(x); each token makes p min(1, p
    target/draft).
    """
    found = 0.0
    for tokens in product(range(pair.states), repeat=pair.horizon):
        last, kept, behind = token, 1.0, 0.0
        for t, y in enumerate(tokens):
            proposed = float(pair.draft[t, last, y])
            kept = min(1.0, kept * float(pair.target[t, last, y]) / proposed) if proposed else 0.0
            behind, last = behind + kept, y
        found += _mass(pair.draft, token, tokens) * behind
    return found


def check_sequences(found: dict[int, np.ndarray], agreeing: dict[int, np.ndarray], blocks) -> list[Check]:
    """One draft: the program is block verification. More: it is above the best rule position by position.

    found: by number of drafts, (2, N), the optimum of whole sequences and position by position of instances;
    agreeing: what recursive rejection accepts there, (N,). blocks: block verification's, (N,).
    """
    source, many = "Sun et al. 2024; own (the program)", "M = " + ", ".join(map(str, found))
    scope = f"{len(blocks)} instances"
    whole = np.array([one[0] for one in found.values()])
    single = np.array([one[1] for one in found.values()])
    return [
        equal(
            Claim("many drafts, one whole draft", source, "Block verification is the best rule of one draft",
                  "optimum by HiGHS", "block verification"),
            found[1][0], blocks, tolerance=SOLVED, scope=scope,
        ),
        at_least(
            Claim("many drafts, whole sequences", "own",
                  "The optimum of whole sequences is at least that of single positions", "whole sequences",
                  "position by position"),
            whole, single, tolerance=SOLVED, scope=f"{scope}, {many}",
        ),
        at_least(
            Claim("many drafts, drafts that agree", "own",
                  "With drafts that agree alive the best rule accepts at least what recursive rejection does",
                  "best rule, position by position", "recursive rejection"),
            single, np.array(list(agreeing.values())), tolerance=SOLVED, scope=f"{scope}, {many}",
        ),
    ]  # fmt: skip
