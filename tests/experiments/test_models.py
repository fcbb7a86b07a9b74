"""Real models: what the experiment makes of traces and runs, on small traces and on those of the package."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab import SimlabError
from simlab.evidence import Interval, Judging, Status
from simlab.evidence.verdict import Verdict
from simlab.experiments import models
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models import front, texts
from simlab.experiments.models.agreement import folded, truth_of
from simlab.experiments.models.along import by_position
from simlab.experiments.models.batches import with_limit
from simlab.experiments.models.draft_trees import accepted_at, best_is_best, slope_of
from simlab.experiments.models.options import options_of
from simlab.experiments.models.rejections import (
    Compared,
    acceptances_of,
    given_own_texts,
    text_distributions,
)
from simlab.experiments.models.temperatures import present_temperatures
from simlab.experiments.models.texts import recorded_pairs
from simlab.experiments.models.windows import coin, fixed, independence_error
from simlab.experiments.models.winning import matches_of
from simlab.models import RecordedTrees
from tests.experiments.points import point
from tests.traces.enumerated import chain, every_path, pair_of

OPTIONS = {"longest": 8, "block": 16, "resolution": 0.5}


def settings(tmp_path, **options):
    return point("models", OPTIONS | options, output=tmp_path, trajectories=1)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 7, 30)
    rows = int(lengths.sum())
    draft, target = rng.random((2, rows)) * 0.98 + 0.01
    return simlab.Trace(
        np.repeat(np.arange(30), lengths), draft, target, total_variation=rng.random(rows),
        provenance={"epsilons": [0.1], "drafts": []},
    )  # fmt: skip


def test_the_distribution_on_each_text_is_that_of_independent_coins(small):
    found = text_distributions(acceptances_of(small), int(small.lengths.max()))
    for row, (_, span) in zip(found, small.spans(), strict=True):
        accept = small.acceptance[span]
        exact = np.zeros(found.shape[1])
        for flags in itertools.product((0, 1), repeat=len(accept)):
            exact[len(flags) - sum(flags)] += np.prod(np.where(flags, accept, 1 - accept))
        assert row == pytest.approx(exact, abs=1e-12)
    predicted = simlab.predict(small, simlab.Speculative()).rejections_pmf
    assert found.mean(axis=0) == pytest.approx(predicted, abs=1e-12)


def test_infinitely_many_drafts_reject_what_a_chain_says():
    """The chain has rows with zeros, so that the limit is not 0."""
    rng = np.random.default_rng(5)
    draft, target = chain(rng, 3, 3, zeros=True), chain(rng, 3, 3)
    start = [1, 0, 0]
    decoder = simlab.BatchSpeculative(math.inf)
    exact = simlab.predict(pair_of(draft, target, start), decoder).expected_rejections
    found = simlab.predict(with_limit(every_path(draft, target, start)), decoder).expected_rejections
    assert found == pytest.approx(exact, abs=1e-12)
    assert exact > 0.1


def test_a_coin_is_not_told_from_itself(small):
    even = coin(small, 0.7)
    assert even.acceptance == pytest.approx(np.full(len(small), 0.7), abs=1e-12)
    found = independence_error(even, Interval(0.7, 0.6, 0.8), 3, 0.05)
    assert found.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.low < 0 < found.high


def test_tokens_that_alternate_are_told_from_a_coin():
    """With a window of 1 the token that would be rejected is always the bonus token: two tokens a call."""
    accept = np.tile([1.0, 0.0], 8_000)
    trace = simlab.Trace(np.repeat(np.arange(400), 40), accept * 0.5, np.full(16_000, 0.5))
    found = independence_error(trace, Interval(0.5, 0.49, 0.51), 1, 0.05)
    assert fixed(trace, 1).tokens_per_call == pytest.approx(2.0)
    assert found.low > 0.2


def test_theorem_5_fails_where_a_prefix_is_off_its_line(small):
    columns = {f"excess_loss_{name}_0.1": np.zeros(len(small)) for name in front.OPTIMAL}
    columns["over_acceptance_0.1"] = small.total_variation / 2

    def check(**changed):
        trace = simlab.Trace(**{**small.columns, **columns, **changed}, provenance=small.provenance)
        return front.theorem5(texts.Recorded("x", "x", trace, {}, {}, {}, None, 0))

    assert check().status is Status.PASS
    off = np.zeros(len(small))
    off[7] = 1e-6
    assert check(**{"excess_loss_optimal_0.1": off}).status is Status.FAIL


def test_the_worst_of_several_verdicts_is_told():
    def verdict(name, estimate, status):
        return Verdict(
            name, "equality", status, "mean", estimate, 0.0, estimate - 1, estimate + 1, 0.1, 0.2, 2.0, 3.0,
            9, "fixed size",
        )  # fmt: skip

    near, far = verdict("a: near", 0.1, Status.PASS), verdict("a: far", -0.9, Status.PASS)
    found = folded("all", [near, far])
    assert (found.name, found.estimate) == ("all", -0.9)
    assert found.statistic == "mean, far, the furthest out of 2"
    assert (found.false_alarm, found.miss) == pytest.approx((0.2, 0.4))
    assert folded("all", [near, far, verdict("a: x", 0.0, Status.FAIL)]).status is Status.FAIL


def test_positions_are_taken_in_blocks(small):
    middles, found = by_position(small, 2, 0.95)
    assert middles.tolist() == [0.5, 2.5, 4.5]
    means = [1 - small.total_variation[span][:2].mean() for _, span in small.spans()]
    assert found.estimate[0] == pytest.approx(np.mean(means), abs=1e-12)


def test_what_is_no_option_is_refused(tmp_path):
    with pytest.raises(SimlabError, match="no setting experiment.places: models has"):
        models.plan([settings(tmp_path, places=3)])
    with pytest.raises(SimlabError, match="experiment.longest"):
        models.plan([settings(tmp_path, longest=0)])
    with pytest.raises(SimlabError, match="experiment.resolution"):
        models.plan([settings(tmp_path, resolution=-1)])


@pytest.mark.statistical
def test_the_counts_of_another_pair_fail(tmp_path):
    """Negative control: what was run with a worse draft is not what the trace of a better one predicts."""
    pairs = {pair.name: pair for pair in recorded_pairs()}
    pair, other = pairs["smollm2-skip-14"], pairs["smollm2-first-28"].runs["window4"]
    run = dataclasses.replace(other, provenance=pair.runs["window4"].provenance)
    options = options_of(settings(tmp_path))
    counts = [one for one in truth_of(pair, run, options, Judging()) if "the target" not in one.name]
    assert folded("counts", counts).status is Status.FAIL
    own = truth_of(pair, pair.runs["window4"], options, Judging())
    assert all(one.status is not Status.FAIL for one in own)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    told = settings(tmp_path_factory.mktemp("models"))
    return models.present(models.plan([told]), {})


@pytest.mark.figures
def test_what_the_package_carries_is_drawn_and_agrees(outcome):
    assert {one.status for one in outcome.checks} == {Status.PASS}
    assert not [one.name for one in outcome.verdicts if one.status is Status.FAIL]
    pairs = recorded_pairs()
    runs = sum(len(pair.runs) for pair in pairs)
    assert len(outcome.verdicts) == 2 * runs + sum("horizon" in pair.runs for pair in pairs)
    files = {one.name: [path for path in one.files if path.suffix == ".csv"] for one in outcome.figures}
    tables = {name: pd.read_csv(*found) for name, found in files.items()}
    names = "rejections windows independence batch front winrate trees acceptance temperature"
    assert set(tables) == {f"models_{name}" for name in names.split()}
    trees = tables["models_trees"]
    assert (trees.accepted < trees.dual).all()  # a comparison, which holds here
    labels = {pair.label for pair in pairs}
    for name in ("independence", "batch", "front", "acceptance"):
        assert set(tables[f"models_{name}"].pair) == labels
    windows = tables["models_windows"]
    predicted = windows[windows.kind == "predicted"].set_index(["pair", "window"])
    for _, row in windows[windows.kind == "run"].iterrows():
        told = predicted.loc[(row.pair, row.window)]
        assert row.tokens_low < told.tokens_high and told.tokens_low < row.tokens_high
    batch = tables["models_batch"]
    rejections = batch[batch.kind == "predicted"].pivot(index="pair", columns="drafts", values="rejections")
    assert (np.diff(rejections.to_numpy(), axis=1) < 0).all()  # the last column is infinitely many
    table = tables["models_front"]
    line = table[table.replacement == "optimal"]
    assert (line.rejection + line.bias).groupby(line.pair).max().to_dict() == pytest.approx(
        (line.rejection + line.bias).groupby(line.pair).min().to_dict(), abs=1e-9
    )


def run_on(rng, tokens: int, texts: int, slip: float):
    """A run to the horizon on random acceptances, which accepts less by the part `slip`."""
    accept = rng.random((texts, tokens))
    counted = (rng.random(accept.shape) > (1 - slip) * accept).sum(axis=1)
    own = text_distributions(list(accept), tokens)
    return Compared(None, None, own, counted, own)


@pytest.mark.statistical
def test_a_run_is_held_against_the_texts_that_it_wrote():
    """With a negative control: a run that accepts a tenth less."""
    rng = np.random.default_rng(8)
    errors = {"false_alarm": 1e-6, "miss": 1e-6}
    right = folded("right", given_own_texts(run_on(rng, 12, 3000, 0.0), 0.2, **errors))
    wrong = folded("wrong", given_own_texts(run_on(rng, 12, 3000, 0.1), 0.2, **errors))
    assert right.status is Status.PASS
    assert wrong.status is Status.FAIL


def test_texts_of_one_prompt_are_matched():
    def run(prompts, likelihoods):
        return SimpleNamespace(prompt=np.array(prompts), log_likelihood=np.array(likelihoods, float))

    biased = {
        "biased0.2-optimal": run([0, 1, 2, 3], [-1, -2, -3, -math.inf]),
        "biased0.2-target": run([0, 1, 2, 3], [-2, -2, -1, -math.inf]),
        "biased0.2-draft": run([0, 5, 2, 3], [-2, -9, -9, -1]),
        "biased0.4-draft": run([0, 1, 2, 3], [0, 0, 0, 0]),
    }
    pair = texts.Recorded("x", "x", None, {}, biased, {}, None, 0)
    found = {(one.epsilon, one.opponent): (one.half_points, one.texts) for one in matches_of(pair)}
    assert found == {(0.2, "target"): (4, 4), (0.2, "draft"): (4, 3)}


def trees_of(target, draft) -> RecordedTrees:
    nothing = np.zeros(len(target))
    return RecordedTrees(nothing, nothing, nothing, np.array(target), np.array(draft), nothing, nothing, {})


def test_a_draft_tree_that_beats_the_targets_own_fails():
    own = [[0.5, 0.3, 0.1], [0.9, 0.8, 0.7]]
    assert best_is_best("x", trees_of(own, [[0.3, 0.3, 0.3], [0.9, 0.0, 0.0]])).status is Status.PASS
    assert best_is_best("x", trees_of(own, [[0.5, 0.3, 0.2], [0.9, 0.0, 0.0]])).status is Status.FAIL


def test_accepted_tokens_and_their_slope_are_means_over_prefixes():
    rng = np.random.default_rng(2)
    reach = np.sort(rng.random((40, 16)), axis=1)[:, ::-1] / 4
    values = trees_of(reach, reach).expected_accepted()
    found = accepted_at(values, np.array([1, 16]), 0.95)
    assert found.estimate == pytest.approx([reach[:, 0].mean(), reach.sum(axis=1).mean()], abs=1e-12)
    slope = slope_of(values, 0.95)
    assert slope.estimate == pytest.approx(reach[:, 8:].sum(axis=1).mean() / math.log(2), abs=1e-12)
    assert slope.low < slope.estimate < slope.high


@pytest.mark.figures
def test_temperatures_are_drawn_in_order(tmp_path, small):
    """The trace of temperature 1 among others, cut to as many tokens as all have."""
    told = settings(tmp_path)
    cold = simlab.Trace(
        small.sequence, 0.9 * small.target_probability, small.target_probability,
        total_variation=np.full(len(small), 0.1), provenance=small.provenance,
    )  # fmt: skip
    pair = texts.Recorded("x", "x", small, {}, {}, {0.5: cold, 1.5: small}, None, 0)
    shown = present_temperatures(Presentation(told, "Real models", {}), (pair,), options_of(told))
    assert "temperature 0.5: acceptance 0.900" in shown.notes[0]
    (exhibit,) = shown.figures
    table = pd.read_csv(next(path for path in exhibit.files if path.suffix == ".csv"))
    assert sorted(set(table.temperature)) == [0.5, 1.0, 1.5]
    for temperature, trace in ((0.5, cold), (1.0, small)):
        rows = table[(table.temperature == temperature) & (table.window > 0)]
        speedups = [told.cost.speedup(fixed(trace, window)) for window in rows.window]
        assert rows.speedup.tolist() == pytest.approx(speedups, rel=1e-12)


def test_pairs_are_in_the_order_of_acceptance():
    acceptances = [pair.acceptance for pair in recorded_pairs()]
    assert acceptances == sorted(acceptances)
    assert texts.label_of("smollm2-first-28") == "first 28"
