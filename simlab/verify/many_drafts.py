"""Verification of many drafts at one position: the optimum, and that no rule passes it.

The optimum is found a second time as a linear program over all rules, which knows nothing of sorted orders:
each set of drafted values sends its probability to tokens in it, each of which takes up at most its target
probability. HiGHS' answer is only a proposal: its flow is put right, which any rule below it attains, and its
prices are put right, which no rule passes.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from simlab.theory.many_drafts import acceptance, optimal_acceptance
from simlab.verify.check import Check, Undecided
from simlab.verify.compare import EXACT, Claim, at_least, decided, equal
from simlab.verify.places import Places, distance
from simlab.verify.programs import ACCURACY, TOLERANCE, UNIT

MOST_TOKENS = 7
"""Rows of more tokens are cut to their likeliest ones for linear programs."""

OPTIMUM = "Sun et al. 2023 (SpecTr), Hu et al. 2025"
KINDS = ((True, "with replacement"), (False, "without replacement"))


def check_program(places: Places, drafts: tuple[int, ...] = (2, 3)) -> Check:
    """The optimum by sorted order against linear programs over all rules, with and without replacement."""
    claim = Claim(
        "many drafts, linear programs",
        OPTIMUM + "; own (sorted order)",
        "The most that a rule accepts of k drafts is the least cut over sets of one order",
        "least cut",
        "optimum by HiGHS",
    )
    draft, target = (_likeliest(rows, places) for rows in (places.draft, places.target))
    scope = f"{places.scope}, {draft.shape[1]} tokens, k = {', '.join(map(str, drafts))}, both kinds of draws"
    found = [optimal_acceptance(draft, target, k, kind) for k in drafts for kind, _ in KINDS]

    def compare() -> Check:
        solved = [
            [most_accepted(set_probabilities(p, k, kind), q) for p, q in zip(draft, target, strict=True)]
            for k in drafts
            for kind, _ in KINDS
        ]
        return equal(claim, found, solved, tolerance=ACCURACY, scope=scope)

    return decided(claim, scope, compare)


def check_rules(places: Places, drafts: tuple[int, ...]) -> list[Check]:
    """No rule passes the optimum of its drafts, and what is proved of the rules among each other.

    drafts: k; recursive rejection without replacement is enumerated for k <= 3.
    """
    few = tuple(k for k in drafts if k <= 3)
    each = f"{places.scope}, k = {', '.join(map(str, drafts))}"
    each_few = f"{places.scope}, k = {', '.join(map(str, few))}"

    def of(rule: str, k: int, kind: bool = True) -> np.ndarray:
        return acceptance(rule, places.draft, places.target, k, kind).probability

    def best(k: int, kind: bool = True, construction: str = "sampled") -> np.ndarray:
        return optimal_acceptance(places.draft, places.target, k, kind, construction)

    def claim(name: str, source: str, statement: str, left: str, right: str) -> Claim:
        return Claim(f"many drafts, {name}", source, statement, left, right)

    with_best = np.array([best(k) for k in drafts])
    rules = [np.maximum.reduce([of(rule, k) for rule in ("recursive", "k-seq", "match")]) for k in drafts]
    apart = [np.maximum(of("recursive", k, False), of("match", k, False)) for k in few]
    one = np.minimum(places.draft, places.target).sum(axis=1)
    singles = [of(rule, 1) for rule in ("recursive", "k-seq", "greedy")] + [best(1), best(1, False)]
    return [
        at_least(
            claim("the ceiling with replacement", OPTIMUM, "No rule accepts more than the optimum",
                  "optimum", "largest of recursive, k-seq, match"),
            with_best, rules, tolerance=EXACT, scope=each,
        ),
        at_least(
            claim("the ceiling without replacement", OPTIMUM, "No rule accepts more than the optimum",
                  "optimum", "larger of recursive and match"),
            [best(k, False) for k in few], apart, tolerance=EXACT, scope=each_few,
        ),
        at_least(
            claim("K-SEQ near the ceiling", "Sun et al. 2023 (SpecTr), Theorem 2",
                  "K-SEQ accepts at least 1 - 1/e of the optimum", "K-SEQ", "(1 - 1/e) optimum"),
            [of("k-seq", k) for k in drafts], (1 - 1 / math.e) * with_best, tolerance=EXACT, scope=each,
        ),
        equal(
            claim("one draft", "Yin et al. 2024, Theorem 2",
                  "Of one draft every rule but match accepts 1 - TV, the optimum",
                  "rules and optimum", "1 - TV"),
            singles, np.broadcast_to(1 - distance(places.draft, places.target), (len(singles), len(one))),
            tolerance=EXACT, scope=places.scope,
        ),
        at_least(
            claim("recursive, distinct drafts", "own",
                  "Recursive rejection accepts at least as much without replacement as with",
                  "without replacement", "with replacement"),
            [of("recursive", k, False) for k in few], [of("recursive", k) for k in few],
            tolerance=EXACT, scope=each_few,
        ),
        at_least(
            claim("the ceiling of distinct drafts", "own",
                  "The optimum is at least as high without replacement as with",
                  "without replacement", "with replacement"),
            [best(k, False) for k in drafts], with_best, tolerance=EXACT, scope=each,
        ),
    ]  # fmt: skip


def set_probabilities(draft: np.ndarray, drafts: int, replacement: bool) -> dict[frozenset, float]:
    """P(S) of every set S of drafted values of one row, (V,), draft by draft."""
    tokens = np.flatnonzero(draft).tolist()
    sets: dict[frozenset, float] = {frozenset(): 1.0}
    for _ in range(drafts):
        grown: dict[frozenset, float] = defaultdict(float)
        for drafted, probability in sets.items():
            left = tokens if replacement else [token for token in tokens if token not in drafted]
            whole = 1.0 if replacement else math.fsum(draft[left])
            for token in left:
                grown[drafted | {token}] += probability * draft[token] / whole
            if not left:  # all are drafted
                grown[drafted] += probability
        sets = grown
    return sets


def most_accepted(sets: dict[frozenset, float], target: np.ndarray) -> float:
    """The most that any rule accepts, certified from both sides to ACCURACY; else Undecided is raised."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    edges = [(number, token) for number, drafted in enumerate(sets) for token in sorted(drafted)]
    of_set, of_token = np.array(edges).T
    supply, columns = np.array(list(sets.values())), np.arange(len(edges))
    ones = np.ones(len(edges))
    limits = csr_array(
        (np.tile(ones, 2), (np.concatenate([of_set, len(sets) + of_token]), np.tile(columns, 2))),
        shape=(len(sets) + len(target), len(edges)),
    )
    most = np.concatenate([supply, target]) / UNIT
    told = {"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE}
    solved = linprog(-ones, A_ub=limits, b_ub=most, method="highs", options=told)
    if solved.status != 0:
        raise Undecided(f"HiGHS says: {solved.message}")
    flow = np.maximum(solved.x, 0.0) * UNIT
    for ends, most in ((of_set, supply), (of_token, target)):
        used = np.bincount(ends, flow, len(most))
        flow *= np.minimum(1.0, np.divide(most, used, out=np.ones(len(most)), where=used > 0))[ends]
    token_prices = np.clip(-solved.ineqlin.marginals[len(sets) :], 0.0, 1.0)
    set_prices = np.array([max(1.0 - token_prices[token] for token in drafted) for drafted in sets])
    attained, bound = float(flow.sum()), float(set_prices @ supply + token_prices @ target)
    if bound - attained > ACCURACY:
        raise Undecided(f"HiGHS leaves the optimum between {attained:.12g} and {bound:.12g}")
    return attained


def _likeliest(rows: np.ndarray, places: Places) -> np.ndarray:
    """The rows, (N, V), cut to the tokens that are likeliest under both models together, normalised."""
    kept = min(rows.shape[1], MOST_TOKENS)
    order = np.argsort(-(places.draft + places.target), axis=1, kind="stable")[:, :kept]
    found = np.take_along_axis(rows, order, axis=1)
    whole = found.sum(axis=1, keepdims=True)
    return np.where(whole > 0, found / np.where(whole > 0, whole, 1.0), 1.0 / kept)
