"""experiment=correctness: the split, the mistakes and what is said of them, for other distributions too."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from simlab.cli.main import main
from simlab.errors import SimlabError
from simlab.evidence import trajectories_to_notice
from simlab.experiments import correctness
from simlab.experiments.common import outcome as outcomes
from simlab.experiments.correctness.options import cases_of
from simlab.report import style
from simlab.report.stepplot import DrawnStep, draw_mistakes, draw_step
from simlab.runs import HalfWidth
from simlab.theory.mistakes import MISTAKES, correct_step
from tests.experiments.points import point, simulated

pytestmark = pytest.mark.figures

matplotlib.use("Agg")
WORKED = {"draft": [0.3, 0.4, 0.2, 0.1], "target": [0.4, 0.3, 0.2, 0.1]}
OTHER = {"draft": [0.4, 0.3, 0.2, 0.1], "target": [0.1, 0.2, 0.3, 0.4]}
DEFAULT = {**WORKED, "other": OTHER}


def presented(options, tmp_path, trajectories=100_000, **more):
    """The outcome, with figures drawn and tables written, but no pictures saved, which takes seconds."""
    settings = point("correctness", options, output=tmp_path, trajectories=trajectories, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", _save_table)
        return correctness.present(correctness.plan([settings]), simulated(correctness.plan([settings]).jobs))


def _save_table(figure, folder, name, table, metadata, *others):
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    return [folder / f"{name}.csv"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    return presented(DEFAULT, tmp_path_factory.mktemp("correctness"), seed=5)


def _table(outcome, name):
    (path,) = [path for path in outcome.files if path.name == f"{name}.csv"]
    return pd.read_csv(path)


def test_every_verdict_and_check_passes(outcome):
    """Three on the compiled sampler and one on each simulated step, of either pair."""
    names = [verdict.name for verdict in outcome.verdicts]
    assert len(names) == 2 * (3 + 1 + len(MISTAKES)) == len(set(names))
    assert {str(one.status) for one in (*outcome.verdicts, *outcome.checks)} <= {"PASS", "INCONCLUSIVE"}
    assert not any("N = " in verdict.statistic for verdict in outcome.verdicts if "mistake" in verdict.name)


def test_the_split_is_exact(outcome):
    table = _table(outcome, "correctness")
    np.testing.assert_allclose(table.accepted, [0.3, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(table.accepted + table.replaced, table.target, atol=1e-15)
    assert (table.low < table.target).all() and (table.target < table.high).all()
    assert "first pair: acceptance 0.9, total variation 0.1." in outcome.notes
    assert "0.9 in all" in outcome.figures[0].caption and "0.1 in all" in outcome.figures[0].caption


def test_every_biased_law_is_caught_against_the_target(outcome):
    """Negative control of the verdicts: what follows its own distribution does not follow the target."""
    table = _table(outcome, "correctness_mistakes")
    by_mistake = table.groupby(["case", "mistake"], sort=False)
    assert len(by_mistake) == 2 * len(MISTAKES)
    for (case, mistake), rows in by_mistake:
        hidden = (case, mistake) == ("first pair", "shared uniform")  # its residual is a single token
        assert rows.bias.iloc[0] == pytest.approx(
            np.abs(rows.distribution - rows.target).sum() / 2, abs=1e-12
        )
        assert rows.acceptance.iloc[0] == pytest.approx(rows.accepted.sum(), abs=1e-12)
        noticed = None if hidden else rows.noticed_at.iloc[0]
        assert noticed == trajectories_to_notice(rows.target, rows.distribution)
        assert (rows.bias.iloc[0] < 1e-12) == hidden == bool(np.isnan(rows.noticed_at.iloc[0]))
        assert (rows.against_the_target.iloc[0] == "FAIL") == (not hidden)
        told = [note for note in outcome.notes if note.startswith(f"{case}, {mistake}:")]
        assert len(told) == 1 and ("do not show it" in told[0]) == hidden
        assert ("and here" in told[0]) == (not hidden)


def test_too_few_steps_are_told(tmp_path):
    notes = presented({**WORKED, "other": None}, tmp_path, trajectories=300).notes
    (told,) = [note for note in notes if note.startswith("first pair, no residual")]
    assert told.endswith("about 6,376 steps on, but not here.")


@pytest.mark.parametrize(
    "distributions", [([1], [1]), ([0, 0.5, 0.5], [0.2, 0.8, 0])], ids=["one token", "zeros"]
)
def test_any_two_distributions(tmp_path, distributions):
    outcome = presented(
        {"draft": distributions[0], "target": distributions[1], "other": None}, tmp_path, trajectories=20_000
    )
    assert not [one for one in (*outcome.verdicts, *outcome.checks) if one.status == "FAIL"]
    assert len(_table(outcome, "correctness")) == len(distributions[0])


def test_it_may_stop_at_a_half_width(tmp_path):
    settings = point("correctness", DEFAULT, output=tmp_path, trajectories=1_000, half_width=0.01)
    assert all(isinstance(job.stop, HalfWidth) for job in correctness.plan([settings]).jobs)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"draft": [0.5, 0.4]}, "experiment.draft sums to 0.9: make it sum to 1"),
        ({"draft": [1.5, -0.5]}, "experiment.draft = -0.5 is not valid; expected a finite number >= 0"),
        ({"draft": [float("nan"), 1]}, "experiment.draft = nan"),
        ({"draft": ["a", 1]}, "experiment.draft = 'a'"),
        ({"draft": []}, "experiment.draft = [] is not valid; expected a list"),
        ({"target": 1}, "experiment.target = 1 is not valid; expected a list"),
        ({"target": [0.5, 0.5]}, "experiment.draft has 4 tokens and experiment.target 2"),
        ({"other": 3}, "experiment.other = 3 is not valid; expected its draft and target, or null"),
        ({"other": {"draft": [1]}}, "expected its draft and target, or null"),
        ({"other": {"draft": [1], "target": [2]}}, "experiment.other.target sums to 2.0"),
        ({"tokens": 3}, "no setting experiment.tokens: correctness has draft, target, other"),
    ],
    ids=str,
)
def test_laws_that_are_none(tmp_path, options, said):
    settings = point("correctness", {**DEFAULT, **options}, output=tmp_path, trajectories=1)
    with pytest.raises(SimlabError) as caught:
        cases_of(settings)
    assert said in str(caught.value)


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["experiment=correctness", "run=serial", "trajectories=2000", "experiment.other=null"]
    assert main(["run", *words, "experiment.draft=[0.5,0.5]", "experiment.target=[0.9,0.1]"]) == 0
    assert "first pair: acceptance 0.6" in capsys.readouterr().out
    assert main(["run", *words, "experiment.target=[0.9,0.2]"]) == 2
    assert "simlab: experiment.target sums to 1.1" in capsys.readouterr().err


def test_bars_stack_to_what_comes_out(tmp_path):
    settings = point("correctness", DEFAULT, output=tmp_path, trajectories=1)
    case = cases_of(settings)[1]
    step = correct_step(case.draft, case.target)
    simulated = case.target + np.array([0.02, -0.02, 0.01, -0.01])
    band = correctness.Interval(simulated, simulated - 0.01, simulated + 0.01)
    drawn = DrawnStep("title", case.target, *step, band)
    with style():
        upper, lower = draw_step(drawn, case.draft, confidence=0.95).axes
        panels = draw_mistakes([("one", [drawn] * 3), ("two", [drawn] * 3)], confidence=0.95).axes
    bars = [patch for patch in upper.patches if patch.get_height() > 0]
    tops = {round(bar.get_x(), 6): 0.0 for bar in bars}
    for bar in bars:
        tops[round(bar.get_x(), 6)] = max(tops[round(bar.get_x(), 6)], bar.get_y() + bar.get_height())
    left, right = np.split(np.array([tops[x] for x in sorted(tops)]).reshape(4, 2), 2, axis=1)
    np.testing.assert_allclose(left.ravel(), case.target)  # accepted on replaced, and the outline
    np.testing.assert_allclose(right.ravel(), simulated)
    assert len(panels) == 6 and lower.get_xlabel() == "token"
    assert len({panel.get_ylim() for panel in panels}) == 1


def test_long_laws_do_not_fill_the_heading(tmp_path):
    distributions = ["experiment.draft=" + "[" + ",".join(["0.02"] * 50) + "]"]
    settings = point(
        "correctness",
        {},
        output=tmp_path,
        trajectories=1,
        command=" ".join(["simlab", "run", *distributions]),
    )
    case = correctness.Case("first pair", np.full(50, 0.02), np.full(50, 0.02))
    assert correctness._title(settings, case) == "One step, two distributions of 50 tokens"
