"""Figure 3: its jobs, its three roads to each number, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from simlab.decoders import BatchSpeculative
from simlab.errors import SimlabError
from simlab.experiments.yin2024 import fig3
from simlab.pairs import bernoulli, uniform
from simlab.theory import predict
from tests.experiments.points import overrides, point, simulated

pytestmark = pytest.mark.figures

OPTIONS = {"target": 0.5, "bernoulli": [0.75, 0.25, 0.6], "states": 6, "uniform": [4, 1], "drafts": [2, 1, 5]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return point("fig3", OPTIONS, output=tmp_path_factory.mktemp("fig3"), trajectories=300_000)


@pytest.fixture(scope="module")
def results(settings):
    return simulated(fig3.plan([settings]).jobs)


def test_a_job_for_each_curve_and_number_of_drafts(settings):
    jobs = fig3.plan([settings]).jobs
    assert len({one.task.id for one in jobs}) == len(jobs) == 5 * 3
    assert {one.task.decoder for one in jobs} == {BatchSpeculative(count) for count in (1, 2, 5)}
    assert {one.pair.horizon for one in jobs} == {1}


def test_verdicts_checks_figure_and_table(settings, results):
    outcome = fig3.present(fig3.plan([settings]), results)
    assert [verdict.status for verdict in outcome.verdicts] == ["PASS"] * 15
    assert len({verdict.name for verdict in outcome.verdicts}) == 15
    assert [check.status for check in outcome.checks] == ["PASS", "PASS"]
    assert [path.name for path in outcome.files] == ["fig3.png", "fig3.svg", "fig3.csv"]
    assert outcome.notes == []
    table = pd.read_csv(outcome.figures[0].files[2])
    np.testing.assert_allclose(table.exact, table.closed_form, atol=1e-12)
    assert ((table.low <= table.simulated) & (table.simulated <= table.high)).all()
    for pair, curve in ((bernoulli(0.6, 0.5), "u = 0.6"), (uniform(6, 4), "r = 1.5")):
        for count in (1, 2, 5):
            row = table[(table.curve == curve) & (table.x == count)].iloc[0]
            saved = 1 - predict(pair, BatchSpeculative(count)).expected_rejections
            assert row.exact == pytest.approx(
                saved - 1 + predict(pair, BatchSpeculative(1)).expected_rejections
            )


def test_a_wrong_closed_form_and_a_wrong_simulation_are_caught(settings, results, monkeypatch):
    """Controls: the check sees an exponent of M instead of M - 1; the verdicts see another task's counts."""
    form = fig3.batch_improvement_uniform
    monkeypatch.setattr(fig3, "batch_improvement_uniform", lambda ratio, m: form(ratio, np.add(m, 1)))
    first, second, *_ = fig3.plan([settings]).jobs
    exchanged = {**results, first.task.id: results[second.task.id]}
    outcome = fig3.present(fig3.plan([settings]), exchanged)
    assert [check.status for check in outcome.checks] == ["PASS", "FAIL"]
    assert [verdict.status for verdict in outcome.verdicts].count("FAIL") == 1


def test_one_panel_alone(settings):
    some = dataclasses.replace(
        settings, options={**OPTIONS, "bernoulli": [], "drafts": [3]}, trajectories=200
    )
    outcome = fig3.present(fig3.plan([some]), simulated(fig3.plan([some]).jobs))
    assert len(outcome.verdicts) == 2 and len(outcome.checks) == 1


def test_settings_without_effect_are_told(settings, results):
    told = dataclasses.replace(
        settings, overrides=overrides("simlab run experiment=fig3 pair=corpus decoder.drafts=2")
    )
    (note,) = fig3.present(fig3.plan([told]), results).notes
    assert "pair=corpus, decoder.drafts=2 made no difference" in note


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"drafts": []}, r"experiment.drafts = \[\]"),
        ({"drafts": [0]}, "experiment.drafts = 0"),
        ({"drafts": 4}, "experiment.drafts = 4 is not valid; expected a list"),
        ({"bernoulli": [2]}, "experiment.bernoulli = 2 is not valid; expected a finite number"),
        ({"bernoulli": [[1]]}, r"experiment.bernoulli = \[1\]"),
        ({"bernoulli": None}, "experiment.bernoulli = None is not valid; expected a list"),
        ({"uniform": [7]}, "experiment.uniform = 7 is not valid; expected a whole number of at most 6"),
        ({"states": 0}, "experiment.states = 0"),
        ({"target": "x"}, "experiment.target = 'x'"),
        ({"bernoulli": [], "uniform": []}, "are empty: give one curve"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_one_line_for_what_it_cannot_draw(settings, options, words):
    with pytest.raises(SimlabError, match=words):
        fig3.plan([dataclasses.replace(settings, options={**OPTIONS, **options})])
