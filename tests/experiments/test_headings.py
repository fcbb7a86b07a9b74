"""What tells outcomes apart: titles, folders, and a note on settings without effect."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import settings_from
from simlab.experiments import study
from simlab.experiments.common.outcome import folder_of, heading, without_effect
from simlab.experiments.yin2024 import theorems as verify
from simlab.pairs import dirichlet, paper
from tests.experiments.points import overrides, point, simulated


def composed(*words):
    """The settings of the first point that a command line asks for."""
    return settings_from(compose_points(words)[0])


def name(*words):
    """The name of the folder that a command's results go to."""
    settings = composed(*words)
    return folder_of(settings, settings.pair_name).name


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


def test_a_file_with_a_blank_in_its_name_is_one_setting():
    """Split at the blank it was taken for a setting of the decoder."""
    settings = point(
        "verify", {}, output=None, trajectories=1,
        command="simlab run pair=file 'pair.path=my decoder.txt' 'pair.path=a decoder=b'",
    )  # fmt: skip
    assert without_effect(settings, "decoder") == []
    (note,) = without_effect(settings, "pair", "decoder")
    assert "pair=file, pair.path=my decoder.txt, pair.path=a decoder=b made no difference" in note


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["experiment=fig2"], "fig2-paper"),
        (["experiment=fig2", "tier=smoke", "run=serial"], "fig2-paper"),
        (["experiment=drafts", "pair=corpus"], "drafts-corpus"),
        (["trajectories=10000"], "study-paper-trajectories=10000"),
        (["decoder=batch", "decoder.drafts=range(1,65)"], "study-paper-decoder.drafts=1..64-decoder=batch"),
        (["half_width=0.1", "confidence=0.9"], "study-paper-confidence=0.9-half_width=0.1"),
        (["judging.miss=1e-3"], "study-paper-judging.miss=1e-3"),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_a_folder_says_what_was_asked(words, folder):
    assert name(*words) == folder


@pytest.mark.commands
@pytest.mark.parametrize(
    "word",
    [
        "trajectories=400001", "half_width=0.1", "confidence=0.9", "judging.false_alarm=1e-3", "tier=paper",
        "batch_size=4096", "seed=1", "pair.seed=11", "decoder.window=4", "cost.draft=0.1",
    ],
)  # fmt: skip
def test_settings_that_change_the_result_lead_to_another_folder(word):
    assert len({name(), name(word), name("pair=corpus"), name("trajectories=2", "seed=3")}) == 4


def test_a_file_leads_to_a_folder_by_what_it_holds(tmp_path, monkeypatch):
    """Of the same name in two folders, and overwritten; the same file elsewhere is the same pair."""
    monkeypatch.chdir(tmp_path)
    for folder, pair in (("one", paper(4, 3)), ("two", dirichlet(4, 3))):
        (tmp_path / folder).mkdir()
        pair.save(tmp_path / folder / "mine.npz")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    names = [name("pair=file", f"pair.path={folder}/mine.npz") for folder in ("one", "two", "copy")]
    assert names[0] == names[2] != names[1]
    assert all(told.startswith("study-file-pair.path=mine.npz-") and len(told) < 60 for told in names)
    paper(5, 3).save(tmp_path / "one" / "mine.npz")
    assert name("pair=file", "pair.path=one/mine.npz") not in names
    for index, row in enumerate(([1, 2], [2, 2])):
        np.savetxt(tmp_path / "policy.csv", [row] * 4, fmt="%d", delimiter=",")
        words = ["pair=bernoulli", "pair.horizon=4", "decoder=adaptive", "decoder.policy=policy.csv"]
        names.append(name(*words))
        assert len(set(names)) == 3 + index


def test_levels_of_verdicts_are_recorded_where_they_are_not_the_usual_ones():
    from simlab.cli.output.documents import settings_document

    assert not [key for key in settings_document([composed()], "smoke") if key.startswith("judging")]
    document = settings_document([composed("judging.miss=1e-3", "judging.false_alarm=1e-6")], "smoke")
    assert {key: value for key, value in document.items() if "judging" in key} == {"judging.miss": 1e-3}
