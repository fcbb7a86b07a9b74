"""Theory against simulation through the public names, odd pairs included."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import simlab
from simlab.decoders import REPLACEMENTS
from simlab.evidence import marginals_verdict, mean_verdict, pmf_verdict, total_variation_verdict
from simlab.theory import sequence_total_variation

DECODERS = [
    simlab.Autoregressive(),
    simlab.Speculative(),
    simlab.BatchSpeculative(1),
    simlab.BatchSpeculative(2),
    simlab.BatchSpeculative(7),
]
HALVES = np.array([[0.5, 0.5, 0.0, 0.0]] * 4), np.array([[0.0, 0.0, 0.5, 0.5]] * 4)
TINY = np.array([[1e-12, 0.5, 0.5 - 1e-12], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def _stationary(draft, target, horizon):
    initial = np.zeros(len(draft))
    initial[0] = 1.0
    return simlab.ChainPair.stationary(draft, target, initial, horizon)


PAIRS = {
    "paper": simlab.pairs.paper(12),
    "one token": simlab.pairs.paper(5, states=1),
    "one step": simlab.pairs.paper(1, states=3),
    "equal": _stationary(HALVES[0], HALVES[0], 6),
    "disjoint": _stationary(*HALVES, 6),
    "certain": _stationary(np.eye(4)[[1, 2, 3, 0]], np.eye(4)[[2, 2, 3, 0]], 6),
    "tiny": _stationary(TINY, TINY[[2, 0, 1]], 6),
    "corpus": simlab.pairs.corpus(horizon=8),
}


def _verdicts(exact: simlab.Prediction, counts: simlab.Counts) -> list:
    return [
        mean_verdict("mean", counts.rejections, exact.expected_rejections, resolution=0.2),
        pmf_verdict("law", counts.rejections, exact.rejections_pmf, resolution=0.02),
        marginals_verdict(
            "tokens", counts.tokens, counts.trajectories, exact.token_marginals, resolution=0.02
        ),
    ]


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_simulation_agrees_with_theory(name, decoder):
    """Three verdicts, each with a false-alarm probability of 1e-6."""
    exact = simlab.predict(PAIRS[name], decoder)
    counts = simlab.simulate(PAIRS[name], decoder, trajectories=150_000, seed=20)
    assert counts.trajectories == 150_000
    assert counts.rejections_per_position.sum() == counts.rejections @ np.arange(len(counts.rejections))
    assert [verdict.status for verdict in _verdicts(exact, counts)] == ["PASS"] * 3


BIASED = [
    simlab.BiasedSpeculative(epsilon, distribution)
    for distribution in REPLACEMENTS
    for epsilon in (0, 0.01, 0.1, 1)
]


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", BIASED, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_and_so_it_does_where_the_output_is_biased(name, decoder):
    """Four verdicts. A coarse bracket of the exact total variation is narrow enough here, and quick."""
    pair = PAIRS[name]
    exact, bracket = simlab.predict(pair, decoder), sequence_total_variation(pair, decoder, cells=400)
    counts = simlab.simulate(pair, decoder, trajectories=150_000, seed=21)
    strays = total_variation_verdict("TV", counts.deviations, *bracket, resolution=0.02)
    assert [verdict.status for verdict in (*_verdicts(exact, counts), strays)] == ["PASS"] * 4


TREES = [
    simlab.TreeSpeculative(1),
    simlab.TreeSpeculative(6, "draft"),
    simlab.TreeSpeculative(40),
    simlab.TreeSpeculative(4, "target", "chain"),
]


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", TREES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_and_so_it_does_where_trees_are_drafted(name, decoder):
    """Five verdicts: on bonus tokens and tokens, and on the target calls."""
    exact = simlab.predict(PAIRS[name], decoder)
    counts = simlab.simulate(PAIRS[name], decoder, trajectories=150_000, seed=23)
    calls = [
        mean_verdict("mean", counts.target_calls, exact.expected_target_calls, resolution=0.2),
        pmf_verdict("law", counts.target_calls, exact.target_calls_pmf, resolution=0.02),
    ]
    assert [verdict.status for verdict in (*_verdicts(exact, counts), *calls)] == ["PASS"] * 5


@pytest.mark.statistical
@pytest.mark.parametrize(
    "other",
    [simlab.TreeSpeculative(7, "draft"), simlab.TreeSpeculative(6), simlab.TreeSpeculative(5, "draft")],
    ids=str,
)
def test_and_the_calls_of_another_tree_are_refuted(other):
    counts = simlab.simulate(
        PAIRS["paper"], simlab.TreeSpeculative(6, "draft"), trajectories=150_000, seed=24
    )
    exact = simlab.predict(PAIRS["paper"], other)
    calls = counts.target_calls
    assert mean_verdict("mean", calls, exact.expected_target_calls, resolution=0.2).status == "FAIL"
    assert pmf_verdict("law", calls, exact.target_calls_pmf, resolution=0.02).status == "FAIL"


WINDOWS = {
    "window": lambda pair: simlab.Speculative(3),
    "bonus": lambda pair: simlab.Speculative(3, bonus=True),
    "to the horizon": lambda pair: simlab.Speculative(bonus=True),
    "policy": lambda pair: simlab.AdaptiveSpeculative(
        np.random.default_rng(1).integers(0, 5, (pair.horizon, pair.states))
    ),
    "best policy": lambda pair: simlab.AdaptiveSpeculative(
        simlab.optimal_policy(pair, simlab.CostModel(0.1, 1.0))
    ),
    "sure": lambda pair: simlab.ConfidenceSpeculative(0.45, 4),
}


@pytest.mark.statistical
@pytest.mark.parametrize("rule", WINDOWS)
@pytest.mark.parametrize("name", PAIRS)
def test_and_so_it_does_where_windows_are_drafted(name, rule):
    """Six verdicts; and by position in the window, at 6 standard errors: a count of calls by position is at
    most T, so that Popoviciu's bound T/2 on its deviation stands for the unknown one."""
    decoder, n = WINDOWS[rule](PAIRS[name]), 150_000
    exact = simlab.predict(PAIRS[name], decoder)
    counts = simlab.simulate(PAIRS[name], decoder, trajectories=n, seed=25)
    drafted, histogram = exact.expected_drafted_tokens, np.append(counts.drafted_tokens, 0)
    calls = [
        mean_verdict("mean", counts.target_calls, exact.expected_target_calls, resolution=0.2),
        pmf_verdict("law", counts.target_calls, exact.target_calls_pmf, resolution=0.02),
        mean_verdict("drafted", histogram, drafted, resolution=0.02 * drafted + 0.2),
    ]
    assert [verdict.status for verdict in (*_verdicts(exact, counts), *calls)] == ["PASS"] * 6
    most = 6 * exact.horizon / 2 / n**0.5
    for place in ("drafted_by_position", "reached_by_position", "accepted_by_position"):
        assert np.abs(getattr(counts, place) / n - getattr(exact, place)).max(initial=0) < most


@pytest.mark.statistical
@pytest.mark.parametrize(
    "other",
    [simlab.Speculative(4, bonus=True), simlab.Speculative(3), simlab.ConfidenceSpeculative(0.22, 3)],
    ids=str,
)
def test_and_the_calls_of_another_window_are_refuted(other):
    counts = simlab.simulate(PAIRS["paper"], simlab.Speculative(3, bonus=True), trajectories=150_000, seed=26)
    exact = simlab.predict(PAIRS["paper"], other)
    calls, drafted = counts.target_calls, counts.drafted_tokens
    assert mean_verdict("mean", calls, exact.expected_target_calls, resolution=0.2).status == "FAIL"
    assert pmf_verdict("law", calls, exact.target_calls_pmf, resolution=0.02).status == "FAIL"
    assert mean_verdict("drafted", drafted, exact.expected_drafted_tokens, resolution=1.0).status == "FAIL"


@pytest.mark.statistical
@pytest.mark.parametrize(
    "other", [simlab.BiasedSpeculative(0.02), simlab.BiasedSpeculative(0.01, "draft")], ids=str
)
def test_and_the_total_variation_of_another_bias_is_refuted(other):
    pair = PAIRS["paper"]
    counts = simlab.simulate(pair, simlab.BiasedSpeculative(0.01), trajectories=150_000, seed=22)
    bracket = sequence_total_variation(pair, other, cells=400)
    assert total_variation_verdict("TV", counts.deviations, *bracket, resolution=0.02).status == "FAIL"


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("predicted", "simulated"),
    [
        (simlab.BatchSpeculative(2), simlab.BatchSpeculative(3)),
        (simlab.Speculative(), simlab.BatchSpeculative(2)),
    ],
    ids=str,
)
def test_and_another_decoders_theory_is_refuted(predicted, simulated):
    exact = simlab.predict(PAIRS["paper"], predicted)
    counts = simlab.simulate(PAIRS["paper"], simulated, trajectories=150_000, seed=20)
    mean, distribution, tokens = _verdicts(exact, counts)
    assert mean.status == distribution.status == "FAIL"
    assert tokens.status == "PASS"  # both are unbiased


def test_counts_add_and_refuse_what_does_not_belong_together():
    one, other = (simlab.simulate(PAIRS["paper"], DECODERS[1], trajectories=10, seed=s) for s in (1, 2))
    both = one + other
    assert both.trajectories == 20 and both == other + one and both != one
    assert one + simlab.Counts.zero(12, 7) == one
    with pytest.raises(simlab.SimlabError, match="do not belong together"):
        one + simlab.Counts.zero(12, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"trajectories": 0}, "trajectories"),
        ({"trajectories": 2.5}, "trajectories"),
        ({"trajectories": 10, "seed": -1}, "seed"),
        ({"trajectories": 10, "workers": 0}, "workers"),
        ({"trajectories": 10, "decoder": "speculative"}, "is not a decoder"),
        ({"trajectories": 10, "decoder": simlab.BatchSpeculative(float("inf"))}, "finite"),
        ({"trajectories": 10, "decoder": simlab.BiasedSpeculative}, "is not a decoder"),
        ({"trajectories": 10, "pair": np.eye(2)}, "expected a simlab.ChainPair"),
    ],
    ids=str,
)
def test_simulate_names_the_argument(arguments, words):
    pair = arguments.pop("pair", PAIRS["paper"])
    decoder = arguments.pop("decoder", simlab.Speculative())
    with pytest.raises(simlab.SimlabError, match=words):
        simlab.simulate(pair, decoder, **arguments)


@pytest.mark.parametrize("epsilon", [-1, -1e-300, float("nan"), float("inf"), "0.1", None, True, 1j])
def test_an_epsilon_that_is_none(epsilon):
    with pytest.raises(simlab.SimlabError, match=r"epsilon = .* is not valid; expected a finite number >= 0"):
        simlab.BiasedSpeculative(epsilon)


@pytest.mark.parametrize("replacement", ["foo", "", None, 3])
def test_a_replacement_that_is_none(replacement):
    with pytest.raises(simlab.SimlabError, match="known are optimal, target, draft, residual"):
        simlab.BiasedSpeculative(0.1, replacement)


ROOMS = (
    "decoders",
    "decoding",
    "evidence",
    "laws",
    "pairs",
    "planning",
    "reference",
    "report",
    "runs",
    "theory",
)


@pytest.mark.processes
def test_everything_that_help_names_is_shown_and_can_be_reached():
    code = "import simlab, sys; assert 'numba' not in sys.modules; assert 'matplotlib' not in sys.modules\n"
    code += f"for name in {(*ROOMS, '__version__', *simlab.__all__)!r}:\n"
    code += "    assert name in dir(simlab), name; getattr(simlab, name)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        simlab.simulat  # noqa: B018


def test_nothing_prints_whole_arrays():
    pair = simlab.pairs.paper(horizon=50)
    counts = simlab.simulate(pair, simlab.Speculative(window=3), trajectories=1000)
    cost = simlab.CostModel(0.1)
    shown = [
        pair,
        simlab.predict(pair, simlab.TreeSpeculative()),
        simlab.predict(pair, simlab.BatchSpeculative(float("inf"))),
        counts,
        simlab.decoding.Counts.zero(50, 7),
        simlab.decoding.sample_paths(pair, simlab.Speculative(), 100, seed=1),
        simlab.best_window(pair, cost, longest=5),
        simlab.theory.best_threshold(pair, cost),
        simlab.optimal_policy(pair, cost),
        simlab.optimal_tree(pair, 0, 0, 64),
        simlab.theory.sequence_front(simlab.pairs.paper(horizon=3), 2),
        simlab.laws.Rows(np.eye(40), np.full(40, 1 / 40)),
        simlab.simulate_environments(
            simlab.laws.Dirichlet(3, 1.0), capacities=range(1, 100), environments=4, seed=1
        ),
    ]
    for each in shown:
        assert len(repr(each)) < 200 and "array" not in repr(each) and "\n" not in repr(each), repr(each)
    for wrong in (pair, np.zeros((50, 50)), {"decoder": pair.draft}):
        with pytest.raises(simlab.SimlabError) as raised:
            simlab.predict(pair, wrong)
        assert "is not a decoder; expected one of" in str(raised.value) and "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600
