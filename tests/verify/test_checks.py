"""Every check passes where its theorem holds, on odd pairs too, and fails where a number is wrong."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from scipy.optimize import OptimizeResult

import simlab
from simlab.decoders import REPLACEMENTS, BatchSpeculative, BiasedSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Judging
from simlab.pairs import ChainPair
from simlab.theory import (
    Bracket,
    expected_rejections_per_position,
    predict,
    sequence_total_variation,
    sequence_tradeoff,
)
from simlab.verify import (
    acceptance,
    algorithm4,
    biased,
    compare,
    front,
    theorem1,
    theorem2,
    theorem3,
    theorem4,
    theorem5,
)
from simlab.verify.places import places
from simlab.verify.programs import Point, front_by_linear_program
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import LANGUAGE_MODELS, examples, found_pairs, pairs, softmax_pair

HALVES = np.array([[0.5, 0.5, 0.0, 0.0]] * 4), np.array([[0.0, 0.0, 0.5, 0.5]] * 4)
SPARSE = np.array([[1e-12, 0.5, 0.5 - 1e-12], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def _stationary(draft, target, horizon):
    initial = np.zeros(len(draft))
    initial[0] = 1.0
    return ChainPair.stationary(draft, target, initial, horizon)


PAIRS = {
    "paper": simlab.pairs.paper(6),
    "corpus": simlab.pairs.corpus(horizon=5, max_states=12),
    "one token": simlab.pairs.paper(5, states=1),
    "one step": simlab.pairs.paper(1, states=3),
    "equal": _stationary(HALVES[0], HALVES[0], 6),
    "disjoint": _stationary(*HALVES, 6),
    "sparse": _stationary(SPARSE, SPARSE[[2, 0, 1]], 4),
}
NOTHING_TO_SEE = {
    *(
        ("algorithm 4 as printed, 2 drafts", pair)
        for pair in ("one token", "one step", "equal", "disjoint", "sparse")
    ),
    ("proposition 1, limit", "sparse"),  # a draft's 1e-12 takes more than 10^12 drafts
}
EPSILON = BiasedSpeculative(0.1)

OF_PLACES = {
    "theorem 2, linear program": theorem2.check_program,
    "theorem 2, random search": theorem2.check_search,
    "theorem 4, linear program": theorem4.check_program,
    "theorem 4, between 0 and A": theorem4.check_between,
    "theorem 4, random search": theorem4.check_search,
    "theorem 5, over-acceptance": theorem5.check_over_acceptance,
    "theorem 5, any b between": theorem5.check_between,
    "algorithm 4 as proved, 2 drafts": algorithm4.check_proved,
    "algorithm 4 as printed, 2 drafts": algorithm4.check_printed,
}
OF_PAIR = {
    "theorem 1, formula": theorem1.check_formula,
    "theorem 2, all histories": theorem2.check_histories,
    "theorem 3, formula, 2 drafts": lambda pair: theorem3.check_formula(pair, 2),
    "proposition 1, monotone": theorem3.check_monotone,
    "proposition 1, limit": theorem3.check_limit,
    "proposition 1, formula": theorem3.check_limit_formula,
    "sequence front, linear program": front.check_program,
    "biased chain, formula": lambda pair: biased.check_formula(pair, EPSILON),
    "biased chain, step by step": lambda pair: biased.check_steps(
        pair, EPSILON, sequence_total_variation(pair, EPSILON)
    ),
}
CHECKS = {**OF_PAIR, **{name: (lambda pair, c=c: c(places(pair, 20))) for name, c in OF_PLACES.items()}}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_check_passes_on_every_pair(pair, name):
    check = CHECKS[name](PAIRS[pair])
    assert check.name == name
    assert check.status == ("INCONCLUSIVE" if (name, pair) in NOTHING_TO_SEE else "PASS"), check
    assert check.difference == check.left_value - check.right_value
    assert all(math.isfinite(v) for v in (check.left_value, check.right_value, check.tolerance))
    assert all(isinstance(value, str) for value in (check.source, check.statement, check.left, check.right))
    assert 0 < len(check.statement) < 100 and check.scope


@given(pairs(most_steps=3, most_states=4))
@example(found_pairs()[0])
@example(found_pairs()[1])
@examples(15)
def test_no_check_fails_on_any_pair(pair):
    for check in CHECKS.values():
        outcome = check(pair)
        assert outcome.status != "FAIL", outcome
        assert outcome.scope


PROGRAMS = [name for name in CHECKS if "program" in name or "histories" in name or "any b" in name]


@pytest.mark.parametrize(("scale", "apart"), LANGUAGE_MODELS)
@pytest.mark.statistical
def test_programs_on_rows_like_a_language_models(scale, apart):
    """Each passes, or is undecided and says why; some pass on every machine."""
    statuses = []
    for seed in range(2):
        pair = softmax_pair(scale, seed, horizon=4, states=5, apart=apart)
        for name in PROGRAMS:
            check = CHECKS[name](pair)
            assert check.status == "PASS" or (check.status, "undecided: " in check.scope) == (
                "INCONCLUSIVE", True
            ), check  # fmt: skip
            statuses.append(check.status)
    assert "PASS" in statuses


@pytest.mark.parametrize("scale", [3, 10])
def test_a_wrong_number_fails_on_rows_like_a_language_models(monkeypatch, scale):
    pair = softmax_pair(scale, 0, horizon=4, states=5, apart=1e-2)
    monkeypatch.setattr(theorem2, "printed_rejections", _less(theorem2.printed_rejections, -1e-6))
    check = theorem2.check_histories(pair)
    assert check.status == "FAIL" or "undecided: " in check.scope


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_check_whose_solver_fails_is_inconclusive(monkeypatch, name):
    monkeypatch.setattr(
        "scipy.optimize.linprog", lambda *a, **k: OptimizeResult(success=False, message="Status 8")
    )
    check = CHECKS[name](PAIRS["paper"])
    assert check.name == name and check.status == "INCONCLUSIVE" and math.isnan(check.left_value)
    assert "; undecided: the linear program of " in check.scope and "Status 8" in check.scope


def test_the_same_seed_looks_at_the_same_places_and_another_at_others():
    pair = simlab.pairs.paper(50)
    one, same, other = (theorem2.check_search(places(pair, 50, seed)) for seed in (1, 1, 2))
    assert one == same and one.left_value != other.left_value
    assert one.scope == "50 random (t, x) of 350, seed 1, 100 algorithms each"
    assert places(pair, 350).scope == "all 350 (t, x)"
    assert places(PAIRS["corpus"]).scope == "all 12 x, the same at every t"
    assert len(np.unique(places(pair, 349).draft, axis=0)) == 349
    with pytest.raises(SimlabError, match="places = 0"):
        places(pair, 0)


def _with(decoder):
    """predict and its like, but always of this decoder."""
    return lambda pair, _: predict(pair, decoder)


def _less(function, by=1e-6):
    return lambda *arguments: function(*arguments) - by


BROKEN = {
    "the recursion of another decoder": (
        "theorem 1, formula", theorem1, "predict", _with(BatchSpeculative(2))
    ),
    "a distance twice as large": (
        "theorem 1, formula", theorem1, "distance", lambda p, q: np.abs(p - q).sum(-1)
    ),
    "a better algorithm": ("theorem 2, linear program", theorem2, "least_rejection", lambda p, q: 0.0),
    "a slightly better one": (
        "theorem 2, linear program", theorem2, "least_rejection", _less(theorem2.least_rejection)
    ),
    "biased algorithms in the search": (
        "theorem 2, random search", theorem2, "unbiased_rules", acceptance.any_rules
    ),
    "a bound that is too high": (
        "theorem 2, random search", theorem2, "distance", lambda p, q: 0.501 * np.abs(p - q).sum(-1)
    ),
    "a slightly better algorithm of sequences": (
        "theorem 2, all histories", theorem2, "least_unbiased_rejections",
        lambda pair: theorem2.printed_rejections(pair) - 1e-6,
    ),
    "the formula with another draft": (
        "theorem 3, formula, 2 drafts", theorem3, "theorem3_expected_rejections",
        lambda pair, drafts: predict(pair, BatchSpeculative(drafts + 1)).expected_rejections,
    ),
    "more drafts that reject more": (
        "proposition 1, monotone", theorem3, "_rejections", lambda pair, drafts: 1 - 1 / drafts
    ),
    "a limit that is not reached": (
        "proposition 1, limit", theorem3, "_rejections",
        lambda pair, drafts: predict(pair, BatchSpeculative(drafts)).expected_rejections
        + 1e-6 * (drafts < math.inf),
    ),
    "a limit of many drafts": (
        "proposition 1, formula", theorem3, "_rejections",
        lambda pair, drafts: predict(pair, BatchSpeculative(1000)).expected_rejections,
    ),
    "a closed form without rejections": (
        "theorem 4, linear program", theorem4, "printed_loss",
        lambda accepted, target: 0.5 * np.abs(target - accepted).sum(-1),
    ),
    "a program that finds less": (
        "theorem 4, linear program", theorem4, "least_loss", lambda accepted, target: (0.0, target)
    ),
    "replacements that are not between": (
        "theorem 4, between 0 and A", theorem4, "_between",
        lambda accepted, target, _: (1 - accepted.sum(1, keepdims=True)) * target,
    ),
    "a closed form that is too high": (
        "theorem 4, random search", theorem4, "printed_loss",
        lambda accepted, target: np.maximum(accepted - target, 0).sum(-1) + 1e-3,
    ),
    "another replacement": (
        "theorem 5, over-acceptance", theorem5, "BiasedSpeculative",
        lambda epsilon, _: BiasedSpeculative(epsilon, "target"),
    ),
    "rules that are not between": (
        "theorem 5, any b between", theorem5, "between_rules", acceptance.any_rules
    ),
    "the residual twice": (
        "algorithm 4 as proved, 2 drafts", algorithm4, "token_distribution",
        lambda *a, literally, distribution=algorithm4.token_distribution: distribution(*a, literally=True),
    ),
    "the residual once": (
        "algorithm 4 as printed, 2 drafts", algorithm4, "token_distribution",
        lambda *a, literally, distribution=algorithm4.token_distribution: distribution(*a, literally=False),
    ),
    "no bias foreseen": (
        "algorithm 4 as printed, 2 drafts", algorithm4, "predicted_bias", lambda p, q, _: np.zeros(len(p))
    ),
    "the recursion of another epsilon": (
        "biased chain, formula", biased, "predict", _with(BiasedSpeculative(0.11))
    ),
    "prefixes from the target": (
        "biased chain, formula", biased, "predict",
        lambda pair, decoder: dataclasses.replace(
            predict(pair, decoder),
            rejections_pmf=np.array([1 - _along_the_target(pair, decoder), _along_the_target(pair, decoder)]),
        ),
    ),
    "a front that lies too high": (
        "sequence front, linear program", front, "front_by_linear_program",
        lambda pair, weights: [Point(n, tv + 1e-3) for n, tv in front_by_linear_program(pair, weights)],
    ),
    "a recursion that reaches too low": (
        "sequence front, linear program", front, "sequence_tradeoff",
        lambda pair, weights: [p._replace(least=p.least - 0.02, rejections=p.rejections - 0.02)
                               for p in sequence_tradeoff(pair, weights)],
    ),
    "steps that lose nothing": (
        "biased chain, step by step", biased, "walk", lambda pair, decoder: (0.0, None, 0.0)
    ),
}  # fmt: skip


def _along_the_target(pair, decoder):
    """E[N_rej] as it would be if the prefixes of biased decoding followed the target."""
    distribution, total = pair.initial, 0.0
    for draft, target in zip(pair.draft, pair.target, strict=True):
        total += distribution @ np.maximum(draft - target - decoder.epsilon, 0).sum(1)
        distribution = distribution @ target
    return total


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=[pytest.mark.statistical] if name in PROGRAMS else [])
        for what, (name, *_) in BROKEN.items()
    ],
)
def test_a_wrong_number_on_either_side_fails(monkeypatch, what):
    name, module, attribute, broken = BROKEN[what]
    assert CHECKS[name](PAIRS["paper"]).status == "PASS"
    monkeypatch.setattr(module, attribute, broken)
    check = CHECKS[name](PAIRS["paper"])
    assert check.status == "FAIL"
    assert abs(check.difference) > check.tolerance or math.isnan(check.difference)


def test_every_check_has_a_broken_twin():
    assert {name for name, *_ in BROKEN.values()} == set(CHECKS)


@given(pairs(most_steps=3, most_states=4))
@examples(40)
def test_the_bound_on_what_is_left_above_the_limit_holds(pair):
    limit = expected_rejections_per_position(pair, BatchSpeculative(math.inf)).sum()
    for drafts in (1, 2, 7, 50, 10**4, 10**12):
        left = expected_rejections_per_position(pair, BatchSpeculative(drafts)).sum() - limit
        assert -compare.rounding(pair) <= left <= theorem3.most_left(pair, drafts) + compare.rounding(pair)


def test_drafts_too_few_for_the_limit_are_inconclusive(monkeypatch):
    tiny = _stationary(np.array([[1.0, 1e-14]] * 2), np.array([[0.5, 0.5]] * 2), 5)
    check = theorem3.check_limit(tiny)
    assert check.status == "INCONCLUSIVE" and check.tolerance > 0.5
    monkeypatch.setattr(theorem3, "_rejections", lambda _, drafts: 10.0 * (drafts < math.inf))
    assert theorem3.check_limit(tiny).status == "FAIL"


@pytest.mark.parametrize("drafts", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_law_of_the_printed_algorithm_by_brute_force(drafts, seed):
    """All draws of all drafts in rationals, the residual taken once or twice after the last failure."""
    draft, target, _ = rational_chains(1, 3, seed)
    pair = as_pair(*rational_chains(1, 3, seed))
    for literally in (False, True):
        distribution = algorithm4.token_distribution(
            pair.draft[0], pair.target[0], drafts, literally=literally
        )
        for x in range(3):
            brute = _brute_distribution(draft[0][x], target[0][x], drafts, literally)
            np.testing.assert_allclose(distribution[x], np.array(brute, float), atol=1e-14)
            if not literally:
                assert brute == target[0][x]


def _brute_distribution(draft, target, drafts, literally):
    distribution = [Fraction(0)] * len(draft)
    for tokens in product(range(len(draft)), repeat=drafts):
        mass, goal = math.prod((draft[y] for y in tokens), start=Fraction(1)), target
        for y in tokens:
            if not mass:
                break
            accept = min(Fraction(1), goal[y] / draft[y])
            distribution[y] += mass * accept
            mass *= 1 - accept
            goal = _residual(goal, draft)
        if mass:
            last = _residual(goal, draft) if literally else goal
            distribution = [have + mass * part for have, part in zip(distribution, last, strict=True)]
    return distribution


def _residual(goal, draft):
    excess = [max(g - d, Fraction(0)) for g, d in zip(goal, draft, strict=True)]
    return [part / sum(excess) for part in excess] if any(excess) else goal


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.4, 1.0, 7.0])
def test_the_walk_along_the_output_chain_is_the_predicted_one(epsilon, replacement):
    decoder = BiasedSpeculative(epsilon, replacement)
    for pair in PAIRS.values():
        exact = predict(pair, decoder)
        rejections, tokens, _ = biased.walk(pair, decoder)
        assert rejections == pytest.approx(exact.expected_rejections, abs=1e-12)
        np.testing.assert_allclose(tokens, exact.token_marginals, atol=1e-12)
        assert biased.check_formula(pair, decoder).status == "PASS"


@pytest.mark.parametrize("draw", [acceptance.any_rules, acceptance.unbiased_rules, acceptance.between_rules])
def test_rules_drawn_at_random_are_what_they_are_called(draw):
    random = np.random.default_rng(0)
    for pair in PAIRS.values():
        draft, target = pair.draft[0, 0], pair.target[0, 0]
        rules = draw(draft, target, random, 30)
        fair = acceptance.fair_rule(draft, target)
        assert rules.shape[1:] == draft.shape and rules.min() >= 0 and rules.max() <= 1
        if draw is acceptance.unbiased_rules:
            assert (rules * draft <= target + 1e-15).all()
        if draw is acceptance.between_rules:
            assert (rules >= fair - 1e-15).all()


@pytest.mark.statistical
def test_a_simulated_check_is_as_its_verdict(monkeypatch):
    pair = PAIRS["paper"]
    counts = simlab.simulate(pair, simlab.Speculative(), trajectories=100_000, seed=3)
    verdict = simlab.evidence.mean_verdict(
        "x", counts.rejections, theorem1.printed_rejections(pair), resolution=0.1
    )
    check = compare.simulated(theorem1.SIMULATED_REJECTIONS, verdict)
    assert check.status == verdict.status == "PASS"
    assert check.difference == verdict.estimate - verdict.exact
    assert abs(check.difference) <= check.tolerance in (
        verdict.high - verdict.estimate, verdict.estimate - verdict.low
    )  # fmt: skip
    wrong = simlab.evidence.mean_verdict("x", counts.rejections, verdict.exact + 0.1, resolution=0.1)
    check = compare.simulated(theorem1.SIMULATED_REJECTIONS, wrong)
    assert check.status == "FAIL" and abs(check.difference) > check.tolerance
    tokens = simlab.evidence.marginals_verdict(
        "x", counts.tokens, counts.trajectories, theorem1.target_tokens(pair), resolution=0.1
    )
    check = compare.simulated(theorem1.SIMULATED_TOKENS, tokens)
    assert check.status == "PASS" and check.left.startswith("simulated P(token ")
    assert check.scope.endswith("the furthest out of 42 cells")


@pytest.mark.parametrize("values", [[math.nan], [0.0, math.nan], [1.0, math.nan], [math.inf], [0.5]])
def test_a_number_that_is_none_fails(values):
    claim = compare.Claim("a", "own", "b", "c", "d")
    for judge in (compare.equal, compare.at_least):
        if values != [math.inf] or judge is compare.equal:
            assert judge(claim, values, 1.0, tolerance=0.1, scope="e").status == "FAIL"
    assert compare.at_least(claim, [3.0, 1.0], 1.0, tolerance=0.0, scope="e").status == "PASS"


@pytest.mark.parametrize("exact", [2e-4, 1.2e-3, 1.3e-3, 3e-3])
def test_the_tolerance_of_a_simulated_number_is_on_the_side_of_the_exact_one(exact):
    """A rare event's interval is lopsided: the other side would call a PASS a FAIL, or the reverse."""
    histogram = np.array([99_950, 50])
    verdict = simlab.evidence.mean_verdict("x", histogram, exact, resolution=1)
    below, above = verdict.estimate - verdict.low, verdict.high - verdict.estimate
    assert above > 1.3 * below
    check = compare.simulated(theorem1.SIMULATED_REJECTIONS, verdict)
    assert check.tolerance == pytest.approx(above if exact > verdict.estimate else below)
    assert (abs(check.difference) <= check.tolerance) == (check.status == "PASS")


def test_a_simulated_loss_is_held_against_all_of_its_bracket():
    """At the edge of the interval the middle of a wide bracket is out of reach, and it is a PASS."""
    deviations = np.zeros(1025, np.int64)
    deviations[[0, 512]] = 8000, 2000
    _, _, top = simlab.evidence.total_variation_interval(deviations, 1 - 1e-6)
    for low, status in ((top - 1e-6, "PASS"), (top + 1e-6, "FAIL")):
        bracket = Bracket(low, low + 0.05)
        verdict = simlab.evidence.total_variation_verdict("x", deviations, *bracket, resolution=1)
        check = biased.check_simulated_loss(verdict, EPSILON, bracket)
        assert check.status == verdict.status == status
        assert (abs(check.difference) <= check.tolerance) == (status == "PASS")
        assert f"exact within [{low:.6g}, {low + 0.05:.6g}]" in check.scope
    exact = Bracket(0.1, 0.1)
    verdict = simlab.evidence.total_variation_verdict("x", deviations, *exact, resolution=1)
    check = biased.check_simulated_loss(verdict, EPSILON, exact)
    assert check.status == "PASS" and "exact within" not in check.scope


def test_a_biased_algorithm_in_the_search_is_seen_though_it_rejects_more(monkeypatch):
    monkeypatch.setattr(theorem2, "unbiased_rules", lambda draft, target, *_: 0.9 * (draft > target)[None, :])
    check = theorem2.check_search(places(PAIRS["paper"], 20))
    assert check.status == "FAIL" and math.isnan(check.left_value)


def test_a_front_too_vague_to_compare_is_inconclusive():
    """Draft and target all but disjoint, where the value is flat: the bracket is narrow there too."""
    pair = _stationary(np.array([[1 - 1e-6, 1e-6]] * 2), np.array([[1e-6, 1 - 1e-6]] * 2), 8)
    assert front.check_program(pair).status == "PASS"
    strict = Judging(front_resolution=1e-6)  # as if a bracket so narrow were too wide
    check = front.check_program(pair, judging=strict)
    assert check.status == "INCONCLUSIVE" and abs(check.difference) <= check.tolerance
