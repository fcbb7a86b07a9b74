"""What tells outcomes apart: titles, folders, and a note on settings without effect."""

from __future__ import annotations

import dataclasses

import pytest

from simlab.experiments import study
from simlab.experiments.common.outcome import heading
from simlab.experiments.yin2024 import theorems as verify
from tests.experiments.points import overrides, point, simulated


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("", "Figure 2 on file"),
        (" pair=file tier=paper trajectories=9 tier.running_average=100", "Figure 2 on file"),
        (" pair=file pair.path=a.npz", "Figure 2 on file, pair.path=a.npz"),
        (" 'pair.path=my pair.npz' seed=3", "Figure 2 on file, pair.path=my pair.npz, seed=3"),
    ],
)
def test_a_title_says_what_is_not_as_the_configs_have_it(tmp_path, words, title):
    settings = point(
        "fig2", {}, output=tmp_path, trajectories=1, command="simlab run experiment=fig2" + words
    )
    assert heading(settings, "Figure 2 on file") == title


def test_studies_of_two_pairs_do_not_overwrite_each_other(tmp_path):
    one = point(
        "study", {}, output=tmp_path, trajectories=50, pair_options={"horizon": 3, "states": 2, "seed": 1}
    )
    other = dataclasses.replace(one, pair_name="dirichlet", pair_options={"horizon": 3, "states": 2})
    results = simulated(study.plan([one, other]).jobs)
    outcomes = [study.present(study.plan(points), results) for points in ([one], [other], [one, other])]
    assert len({outcome.folder for outcome in outcomes}) == 3
    assert [outcome.title for outcome in outcomes] == [
        "study on paper", "study on dirichlet", "study on paper, dirichlet",
    ]  # fmt: skip


def test_theorem_checks_say_that_a_decoder_made_no_difference(tmp_path):
    options = {"places": 2, "drafts": [2], "epsilon": 0.1, "replacement": "optimal"}
    settings = point(
        "verify",
        options,
        output=tmp_path,
        trajectories=100,
        pair_options={"horizon": 2, "states": 2, "seed": 1},
    )
    results = simulated(verify.plan([settings]).jobs)
    assert verify.present(verify.plan([settings]), results).notes == []
    told = dataclasses.replace(
        settings, overrides=overrides("simlab run experiment=verify decoder.epsilon=0.3")
    )
    (note,) = verify.present(verify.plan([told]), results).notes
    assert "decoder.epsilon=0.3 made no difference" in note
