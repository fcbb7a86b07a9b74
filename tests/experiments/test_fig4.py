"""Figure 4: its jobs, its exact positions and fronts, what it says in words, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from simlab.decoders import BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Interval
from simlab.experiments.yin2024 import fig4
from simlab.experiments.yin2024.fig4 import checks as fig4_checks
from simlab.experiments.yin2024.fig4 import sequences as fig4_sequences
from simlab.experiments.yin2024.fig4.series import Series, exact_curve, options_of, simulated_series
from simlab.pairs import ChainPair, paper
from simlab.report import new_figure, style
from simlab.theory import Bracket, chains_total_variation, predict, sequence_total_variation
from tests.experiments.points import point, simulated, told

pytestmark = pytest.mark.figures

OPTIONS = {
    "epsilons": [0.1, 0, 0.03, 2],
    "replacements": ["optimal", "residual", "target", "draft"],
    "short_horizon": 2,
    "algorithms": 20,
    "queries": 3,
}
PAIR = {"horizon": 4, "states": 3, "seed": 10}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fig4")
    return point("fig4", OPTIONS, output=folder, trajectories=100_000, pair_options=PAIR)


@pytest.fixture(scope="module")
def results(settings):
    return simulated(fig4.plan([settings]).jobs)


@pytest.fixture(scope="module")
def outcome(settings, results):
    return fig4.present(fig4.plan([settings]), results)


def test_a_job_for_each_replacement_and_epsilon_on_one_token_and_on_sequences(settings):
    jobs = fig4.plan([settings]).jobs
    assert len({one.task.id for one in jobs}) == len(jobs) == 2 * 4 * 4
    assert sorted({one.pair.horizon for one in jobs}) == [1, 4]
    assert {one.task.decoder.epsilon for one in jobs} == {0, 0.03, 0.1, 2}


def test_verdicts_and_checks(outcome):
    assert len({verdict.name for verdict in outcome.verdicts}) == len(outcome.verdicts) == 2 * 32
    assert not [verdict for verdict in outcome.verdicts if verdict.status == "FAIL"]
    assert [check.name for check in outcome.checks] == [
        "figure 4, optimal on the line",
        "figure 4, other replacements above",
        "figure 4, the line step by step",
        "figure 4, front by linear program",
    ]
    assert {check.status for check in outcome.checks} == {"PASS"}
    assert outcome.notes == []


def test_tables_hold_what_the_theory_says(outcome):
    token, sequences = (pd.read_csv(exhibit.files[2]) for exhibit in outcome.figures)
    assert [path.suffix for path in outcome.figures[0].files] == [".png", ".svg", ".csv"]
    for table, panel, pair in (
        (token, "simulated", paper(1, 3)),
        (sequences, "simulated, T = 4", paper(4, 3)),
    ):
        rows = table[table.panel == panel]
        assert len(rows) == 16
        for _, row in rows.iterrows():
            decoder = BiasedSpeculative(row.epsilon, row.series)
            assert row.rejections_exact == pytest.approx(
                predict(pair, decoder).expected_rejections, abs=1e-12
            )
            exact = sequence_total_variation(pair, decoder)
            assert exact.low - 1e-12 <= row.loss_exact <= exact.high + 1e-12
            assert row.rejections_low <= row.rejections <= row.rejections_high
            assert row.loss_low <= row.loss <= row.loss_high
    on_line = token[(token.panel == "simulated") & token.series.isin(["optimal", "residual"])]
    np.testing.assert_allclose((on_line.rejections_exact + on_line.loss_exact).diff().dropna(), 0, atol=1e-12)


def test_the_caption_says_how_far_the_front_is_from_a_line(outcome):
    caption = outcome.figures[1].caption
    assert "At T = 4 the front over all algorithms is not a line" in caption
    assert "At T = 2 the front over all algorithms is not a line" in caption
    assert "linear programs" in caption and "random ones" in caption and caption.count("forgets") == 1
    assert "TV(draft, target) = " in outcome.figures[0].caption


def test_random_algorithms_are_algorithms():
    """With one epsilon everywhere the cloud's own arithmetic is the decoder's."""
    pair = paper(3, 3)
    for epsilon in (0.0, 0.05, 0.4):
        rejections, loss = fig4_sequences._point(pair, np.full((3, 3, 1), epsilon))
        decoder = BiasedSpeculative(epsilon)
        assert rejections == pytest.approx(predict(pair, decoder).expected_rejections, abs=1e-12)
        assert loss == pytest.approx(sequence_total_variation(pair, decoder).middle, abs=1e-12)


def test_a_coin_attains_its_line():
    """The distribution of a coin per sequence, on a pair of one start, as a chain of one step over whole
    sequences."""
    pair = paper(2, 3)
    distribution = {
        name: np.einsum("ab,bc->abc", chain[0], chain[1]).reshape(3, 9)
        for name, chain in (("draft", pair.draft), ("target", pair.target))
    }
    alone = 0.5 * np.abs(distribution["draft"] - distribution["target"]).sum(1).mean()
    for part in (0.2, 0.7):
        mixed = part * distribution["draft"] + (1 - part) * distribution["target"]
        assert 0.5 * np.abs(mixed - distribution["target"]).sum(1).mean() == pytest.approx(
            part * alone, abs=1e-15
        )
    assert chains_total_variation(pair.draft, pair.target, pair.initial).middle == pytest.approx(alone)


def test_curves_pass_through_the_points_and_end_at_drafting_alone():
    pair = paper(3, 3)
    epsilons, rejections, loss = exact_curve(pair, "target", np.array([0.0, 0.07]))
    at = int(np.flatnonzero(epsilons == 0.07)[0])
    assert rejections[at] == pytest.approx(
        predict(pair, BiasedSpeculative(0.07, "target")).expected_rejections
    )
    assert rejections[0] == pytest.approx(predict(pair, BiasedSpeculative(0, "target")).expected_rejections)
    assert rejections[-1] == pytest.approx(0, abs=1e-12)
    alone = chains_total_variation(pair.draft, pair.target, pair.initial).middle
    assert loss[-1] == pytest.approx(alone, abs=1e-9)


def test_a_residual_is_taken_from_the_nearest_end_of_the_bracket():
    """A bracket that is wider than the interval raises no alarm of its own, and hides none beyond it."""
    none = Interval(np.zeros(3), np.zeros(3), np.zeros(3))
    loss = Interval(np.array([0.5, 0.5, 0.5]), np.full(3, 0.49), np.full(3, 0.51))
    bracket = Bracket(np.array([0.3, 0.505, 0.6]), np.array([0.6, 0.8, 0.7]))
    series = Series("target", [], np.zeros(3), none, loss, np.zeros(3), bracket)
    np.testing.assert_allclose(series.residuals[1], [0, -0.5, -10], atol=1e-9)
    np.testing.assert_allclose(series.exact_loss, [0.45, 0.6525, 0.65])


def test_wrong_numbers_are_caught(settings, results, monkeypatch):
    """Controls: counts of another task fail their verdicts; a wrong theory fails each of the checks."""
    first, other = fig4.plan([settings]).jobs[0], fig4.plan([settings]).jobs[13]
    exchanged = {**results, first.task.id: results[other.task.id]}
    options, pair = options_of(settings), paper(2, 3)
    planned = fig4.plan([settings]).parts.token
    _, verdicts = simulated_series(told(settings, exchanged), planned, "one token")
    named = [verdict.name for verdict in verdicts if verdict.status == "FAIL"]
    assert named and all("x, one token, optimal, epsilon = 0:" in name for name in named)
    monkeypatch.setattr(fig4_checks, "exact_point", lambda pair, decoder: (0.1, 0.1))
    assert [check.status for check in fig4_checks.token_checks(paper(1, 3), options)] == ["FAIL", "FAIL"]
    monkeypatch.setattr(fig4_checks, "output_chain", lambda pair, decoder: pair.target)
    assert fig4_checks.step_check(pair, options).status == "FAIL"
    scene = fig4_sequences._scene(pair, options, all_algorithms=True)
    assert fig4_sequences._program_check(scene).status == "PASS"
    low = dataclasses.replace(scene, programs=scene.programs * [1, 0.98, 0.98])
    assert fig4_sequences._program_check(low).status == "FAIL"


@pytest.mark.parametrize("kind", ["one token", "disjoint", "one step"])
def test_odd_pairs(kind, tmp_path):
    rows = {
        "one token": (np.ones((1, 1)), np.ones((1, 1))),
        "disjoint": (np.eye(2), np.eye(2)[::-1]),
        "one step": (np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[0.2, 0.8], [0.5, 0.5]])),
    }[kind]
    pair = ChainPair.stationary(
        *rows, np.full(len(rows[0]), 1 / len(rows[0])), 1 if kind == "one step" else 2
    )
    options = {"path": str(pair.save(tmp_path / "pair.npz")), "horizon": None}
    small = {**OPTIONS, "epsilons": [0, 0.1], "replacements": ["optimal", "target"], "algorithms": 3}
    settings = point(
        "fig4", small, output=tmp_path, trajectories=2000, pair_name="file", pair_options=options
    )
    outcome = fig4.present(fig4.plan([settings]), simulated(fig4.plan([settings]).jobs))
    assert not [one for one in (*outcome.verdicts, *outcome.checks) if one.status == "FAIL"]
    assert all(path.stat().st_size > 300 for path in outcome.files)
    if kind == "disjoint":
        assert predict(pair, Speculative()).expected_rejections == 2


def test_what_is_too_large_is_left_out_and_said(settings, monkeypatch):
    monkeypatch.setattr(fig4_sequences, "SMALL", 10)
    monkeypatch.setattr(fig4_sequences, "MOST_PREFIXES", 10)
    options = options_of(settings)
    whole = fig4_sequences._scene(paper(4, 3), options)
    short = fig4_sequences._scene(paper(2, 3), options, all_algorithms=True)
    assert whole.front is short.front is None and len(short.programs) == len(short.cloud) == 0
    *fronts, programs, cloud = fig4_sequences._notes(whole, short)
    assert [note.partition(" is left out")[0] for note in fronts] == [
        "The front over all algorithms at T = 4", "The front over all algorithms at T = 2",
    ]  # fmt: skip
    assert "linear programs" in programs and "Random algorithms" in cloud
    caption = fig4_sequences._caption(settings, [], whole, short)
    assert "no line" not in caption and "crosses" not in caption and "forgets" not in caption
    with style():
        axes = new_figure(3, 3).add_subplot()
        fig4_sequences._draw_scene(axes, whole)
        fig4_sequences._draw_beside_coin(axes, short)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epsilons": []}, r"experiment.epsilons = \[\] is not valid; expected a list"),
        ({"epsilons": 0.1}, "experiment.epsilons = 0.1 is not valid; expected a list"),
        ({"epsilons": [0.1, -1]}, "experiment.epsilons = -1 is not valid; expected a finite number >= 0"),
        ({"epsilons": ["x"]}, "experiment.epsilons = 'x'"),
        (
            {"replacements": ["optimal", "best"]},
            "no replacement 'best': known are optimal, target, draft, res",
        ),
        ({"replacements": [["draft"]]}, "no replacement"),
        ({"short_horizon": 0}, "experiment.short_horizon = 0"),
        ({"algorithms": -1}, "experiment.algorithms = -1"),
        ({"queries": None}, "experiment.queries = None"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_one_line_for_what_makes_no_sense(settings, options, words):
    with pytest.raises(SimlabError, match=words):
        fig4.plan([dataclasses.replace(settings, options={**OPTIONS, **options})])
