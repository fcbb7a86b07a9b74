"""Rules of acceptance as an experiment: what is drawn, judged and told, and what the verdicts must catch."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.cli.main import main
from simlab.decoders import RuleSpeculative
from simlab.experiments import rules as experiment
from simlab.experiments.common import outcome as outcomes
from simlab.experiments.rules.options import DEFAULTS, options_of
from simlab.experiments.rules.scenes import nearest, one_token, sequences
from simlab.report import style
from simlab.theory import predict
from tests.experiments.points import point, simulated, table

pytestmark = [pytest.mark.figures, pytest.mark.statistical]

OPTIONS = {
    "leniencies": [0.5, 0.9],
    "epsilons": [0.05, 0.1],
    "typical": [0.09, 0.3],
    "k": 10,
    "deltas": [0.2, 0.6],
    "window": 2,
    "queries": 2,
    "most": 20_000,
}
PAIRS = {
    "paper": {"horizon": 4, "states": 3, "seed": 3},
    "corpus": {"horizon": 40, "max_states": 30, "draft_fraction": 0.02},
}


def place(tmp_path, pair="paper", trajectories=60_000, **options):
    return point(
        "rules", {**OPTIONS, **options}, output=tmp_path, trajectories=trajectories, pair_name=pair,
        pair_options=PAIRS[pair],
    )  # fmt: skip


def present(one, results=None):
    """What the experiment makes of its results, its figure laid out, its picture not written: seconds."""

    def save(figure, folder, name, rows, metadata, *others):
        with style():
            figure.draw_without_rendering()
        folder.mkdir(parents=True, exist_ok=True)
        rows.to_csv(folder / f"{name}.csv", index=False)
        return [folder / f"{name}.csv"]

    planned = experiment.plan([one])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", save)
        return experiment.present(planned, results or simulated_jobs(one))


def simulated_jobs(one):
    return simulated({job.task.id: job for job in experiment.plan([one]).jobs}.values())


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    @cache
    def of(pair: str):
        one = place(tmp_path_factory.mktemp(pair), pair)
        return one, present(one)

    return of


@pytest.mark.parametrize("pair", PAIRS)
def test_nothing_fails_and_every_rule_is_in_the_table(shown, pair):
    _, outcome = shown(pair)
    assert {str(one.status) for one in outcome.checks} == {"PASS"}
    assert "FAIL" not in {str(one.status) for one in outcome.verdicts}
    judged = [verdict.name for verdict in outcome.verdicts]
    assert len(judged) == len(set(judged)) == 5 * len(DEFAULTS)
    (path,) = [file for file in outcome.tables[0].files if file.suffix == ".csv"]
    rows = pd.read_csv(path)
    assert rows["rule"].tolist() == list(DEFAULTS)
    assert rows["unbiased"].tolist() == [True] * 3 + [False] * 4
    assert (rows["total_variation_exact_high"] >= rows["total_variation_exact_low"]).all()


def test_the_table_has_the_predictions_numbers(shown):
    one, outcome = shown("paper")
    (path,) = [file for file in outcome.tables[0].files if file.suffix == ".csv"]
    rows = pd.read_csv(path).set_index("rule")
    pair = simlab.pairs.paper(**PAIRS["paper"])
    for name, rule in DEFAULTS.items():
        exact, short = predict(pair, RuleSpeculative(rule)), predict(pair, RuleSpeculative(rule, 2, True))
        assert rows.loc[name, "rejections_exact"] == pytest.approx(exact.expected_rejections, rel=1e-12)
        assert rows.loc[name, "tokens_per_call_exact"] == pytest.approx(short.tokens_per_call, rel=1e-12)
        assert rows.loc[name, "speedup_exact"] == pytest.approx(one.cost.speedup(short), rel=1e-12)


def test_lossy_rules_lie_above_the_front_and_lenience_on_it_for_one_token(shown):
    _, outcome = shown("paper")
    drawn = table(outcome, "rules")
    token = drawn[drawn["panel"] == "one token"]
    distance = token.loc[token["series"] == "speculative", "rejections_exact"].item()
    for label in ("lenient", "over-acceptance", "typical", "top-k relaxed"):
        line = token[token["series"] == label]
        above = line["rejections_exact"] + line["loss_exact"] - distance
        assert (above >= -1e-12).all()
        assert (label in ("typical", "top-k relaxed")) == (above.max() > 1e-9)


def test_the_nearest_rule_is_told_first(tmp_path):
    one = place(tmp_path)
    options = options_of(one)
    pair = simlab.pairs.paper(6, states=3)
    notes = nearest(one_token(pair.with_horizon(1), options), sequences(pair, options))
    assert "lenient 0.0000, over-acceptance 0.0000" in notes[0]
    gaps = [float(part.split()[-1]) for part in notes[1].rstrip(".").split(": ")[1].split(", ")]
    assert gaps == sorted(gaps) and len(gaps) >= 2


def test_a_sample_of_another_rule_is_caught(tmp_path):
    one = place(tmp_path)
    results, planned = simulated_jobs(one), experiment.plan([one])
    mine, other = planned.parts.defaults["lenient"], planned.parts.defaults["typical"]
    spoilt = dataclasses.replace(results[mine.task.id], counts=results[other.task.id].counts)
    outcome = present(one, results | {mine.task.id: spoilt})
    failed = {verdict.name for verdict in outcome.verdicts if str(verdict.status) == "FAIL"}
    assert any("lenient: E[N_rej]" in name for name in failed)
    assert not any("typical" in name for name in failed)


@pytest.mark.parametrize(
    "word",
    ["experiment.leniencies=[0]", "experiment.epsilons=0.1", "experiment.k=0", "experiment.window=0"],
)
def test_options_that_make_no_sense_are_one_line(word, capsys):
    assert main(["run", "experiment=rules", word]) == 2
    err = capsys.readouterr().err
    assert word.partition("=")[0].removeprefix("experiment.") in err and err.count("\n") == 1


def test_deviations_of_unbiased_rules_are_all_zero(shown):
    one, _ = shown("paper")
    for name, job in experiment.plan([one]).parts.defaults.items():
        if name in ("speculative", "token match", "greedy match"):
            counts = simlab.simulate(job.pair, job.task.decoder, trajectories=1000)
            assert counts.deviations[0] == 1000 and np.count_nonzero(counts.deviations) == 1
