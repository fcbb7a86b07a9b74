"""experiment=audit: verifiers audited, foretold and bounded, for other settings too."""

from __future__ import annotations

import pandas as pd
import pytest

from simlab.errors import SimlabError
from simlab.experiments import auditing
from simlab.experiments.auditing.options import SHIPPED, options_of
from simlab.experiments.common import outcome as outcomes
from tests.experiments.points import point

OPTIONS = {
    "window": 2, "states": 3, "audits": 6, "shares": [1], "resolutions": [0.4], "false_alarm": 1e-3,
}  # fmt: skip


@pytest.mark.figures
def test_small_audits_are_drawn_and_none_goes_wrong(tmp_path):
    """In every of six audits a right verifier FAILs with probability 1e-3 at most."""
    settings = point("audit", OPTIONS, output=tmp_path, trajectories=5_000)
    saved = {}

    def save(figure, folder, name, table, *others):
        saved[name] = pd.DataFrame(table)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", save)
        patch.setattr(auditing, "SHIPPED", SHIPPED[:5])
        patch.setattr(auditing, "FINE", (0.5,))
        outcome = auditing.present(auditing.plan([settings]), {})
    assert {str(one.status) for one in (*outcome.verdicts, *outcome.checks)} <= {"PASS", "INCONCLUSIVE"}
    table = saved["audit"]
    assert set(table[table["kind"] == "shipped"]["verifier"]) == {one.name for one in SHIPPED[:5]}
    played = table[table["audits"] > 0]
    assert (played["wrong_outcomes"] == 0).all() and (played["calls_low"] <= played["calls_high"]).all()
    bounded = table.dropna(subset="least_calls")
    assert (bounded["foretold_calls"] >= bounded["least_calls"]).all()
    rising = table[table["kind"] == "everywhere"].sort_values("total_variation")
    assert rising["foretold_calls"].is_monotonic_decreasing
    assert any("calls of an audit" in note for note in outcome.notes)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"audits": 5}, "a median's interval with confidence 0.95 needs 6"),
        ({"window": 4}, "experiment.window = 4 is not valid; expected a whole number of at most 3"),
        ({"window": 1}, "experiment.window = 1 is not valid; expected a whole number of at least 2"),
        ({"states": 1}, "experiment.states = 1"),
        ({"shares": [0]}, "experiment.shares = 0"),
        ({"shares": 1}, "a list of numbers"),
        ({"resolutions": [0.9]}, "experiment.resolutions = 0.9"),
        ({"false_alarm": 1.0}, "expected a probability below 1"),
        ({"mistakes": 3}, "no setting experiment.mistakes: audit has window"),
    ],
)
def test_settings_out_of_range_are_named(changed, words, tmp_path):
    settings = point("audit", {**OPTIONS, **changed}, output=tmp_path, trajectories=1)
    with pytest.raises(SimlabError, match=words):
        options_of(settings)
