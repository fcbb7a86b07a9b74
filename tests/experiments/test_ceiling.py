"""Many drafts as an experiment: the numbers drawn, the checks, and what is left out where it is too much."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simlab.decoders import BatchSpeculative, MultiDraftSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Status
from simlab.experiments import ceiling
from simlab.experiments.ceiling.rules import enumerable
from simlab.experiments.common import outcome as outcomes
from simlab.experiments.common.jobs import instance
from simlab.pairs import corpus
from simlab.report import style
from simlab.theory import expected_rejections_per_position, mean_acceptance, optimal_acceptance, predict
from simlab.theory.many_drafts import average_acceptance, average_optimum
from tests.exact import close
from tests.experiments.points import point, simulated, table

pytestmark = pytest.mark.figures

OPTIONS = {
    "drafts": [1, 2, 4],
    "simulated": [2],
    "nodes": [1, 4],
    "most": 100_000,
    "bernoulli": 0.8,
    "target": 0.5,
    "states": 6,
    "uniform": 3,
    "orders": 500,
    "instances": 30,
    "places": 6,
    "searched": [],
    "fractions": [0.01, 1],
    "blurs": [0.3, 1],
}
PAIRS = {
    "paper": {"horizon": 3, "states": 4, "seed": 3},
    "corpus": {"horizon": 3, "max_states": 9, "draft_fraction": 0.02},
    "bernoulli": {"draft": 0.7, "target": 0.5, "horizon": 2},
}


def present(one):
    """What the experiment makes of it; figures laid out, pictures never: seconds."""

    def save(figure, folder, name, table, metadata, *others):
        with style():
            figure.draw_without_rendering()
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"{name}.csv", index=False)
        return [folder / f"{name}.csv"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", save)
        planned = ceiling.plan([one])
        return ceiling.present(planned, simulated(planned.jobs))


@pytest.fixture(scope="module", params=list(PAIRS))
def outcome(request, tmp_path_factory):
    """(settings, outcome) of a small experiment on each pair."""
    one = point(
        "ceiling", OPTIONS, output=tmp_path_factory.mktemp("ceiling"), trajectories=20_000,
        pair_name=request.param, pair_options=PAIRS[request.param],
    )  # fmt: skip
    return one, present(one)


def test_every_check_and_verdict_passes(outcome):
    settings, told = outcome
    assert [one.name for one in told.verdicts if one.status == Status.FAIL] == []
    rules = 5 if settings.pair_name == "bernoulli" else 8
    assert len(told.verdicts) >= rules
    assert [check.name for check in told.checks if check.status != Status.PASS] == []
    assert len(told.checks) == 10


def test_the_rules_start_at_one_draft_and_stay_under_their_optimum(outcome):
    settings, told = outcome
    drawn, pair = table(told, "ceiling_rules"), instance(settings)[0]
    simulated_points = drawn[drawn.x.notna()]
    assert np.isfinite(simulated_points[["simulated", "low", "high", "exact"]]).all(axis=None)
    drawn = drawn[drawn.x.isna()]
    for _, panel in drawn.groupby("pair"):
        one = panel[(panel.drafts == 1) & (panel.rule != "match")]
        close(one.acceptance, np.full(len(one), one.acceptance.iloc[0]))
        for replacement in (True, False):
            kind = panel[panel.replacement == replacement].pivot(
                index="drafts", columns="rule", values="acceptance"
            )
            best = kind.pop("optimum")
            kind.pop("greedy") if replacement else None
            assert (kind.sub(best, axis=0).fillna(0.0) <= 1e-12).all(axis=None)
    own = drawn[(drawn.pair == settings.pair_name) & (drawn.rule == "recursive") & (drawn.drafts == 1)]
    close(own.acceptance, np.full(len(own), mean_acceptance(pair)))


def test_the_gap_is_what_the_optimum_has_beyond_recursive_rejection(outcome):
    settings, told = outcome
    drawn, pair = table(told, "ceiling_gap"), instance(settings)[0]
    close(drawn[drawn.drafts == 1].gap, np.zeros((drawn.drafts == 1).sum()))
    assert (drawn.gap >= -1e-12).all()
    if settings.pair_name != "corpus":  # the dial at 1 is the pair itself
        last = drawn[(drawn.dial == 1) & (drawn.drafts == 4) & drawn.replacement]
        close(last.gap, [average_optimum(pair, 4) - average_acceptance(pair, "recursive", 4)])


def test_greedy_drafts_are_better_on_one_named_instance_and_worse_on_the_other(outcome):
    _, told = outcome
    (figure,) = [one for one in told.figures if one.name == "ceiling_order"]
    for number in ("0.95", "0.74", "0.766667", "0.79"):
        assert f" {number}" in figure.caption
    drawn = table(told, "ceiling_order")
    assert set(drawn.drafts) == {2, 3, 4} and np.isfinite(drawn.difference).all()


def test_what_would_take_too_many_orders_is_left_out():
    pair = corpus(horizon=50)
    assert enumerable(pair, 2, 2_000_000) and not enumerable(pair, 4, 2_000_000)


def test_averages_follow_the_target_s_own_sequences():
    pair = instance(point("x", {}, output=None, trajectories=1, pair_options=PAIRS["paper"]))[0]
    last, wanted = pair.initial, 0.0
    for t in range(pair.horizon):
        wanted += last @ optimal_acceptance(pair.draft[t], pair.target[t], 3) / pair.horizon
        last = last @ pair.target[t]
    close(average_optimum(pair, 3), wanted)
    close(average_optimum(pair, math.inf), 1.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"searched": [1.5]}, "experiment.searched = 1.5"),
        ({"drafts": [0]}, "experiment.drafts = 0"),
        ({"bernoulli": 1.5}, "experiment.bernoulli = 1.5"),
        ({"uniform": 7}, "experiment.uniform = 7 is not valid; expected a whole number of at most 6"),
        ({"orders": "many"}, "experiment.orders = 'many'"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path, changed, words):
    with pytest.raises(SimlabError, match=words):
        ceiling.plan([point("ceiling", {**OPTIONS, **changed}, output=tmp_path, trajectories=1000)])


def test_the_adversary_is_drawn_beside_what_is_proved(tmp_path):
    one = point(
        "ceiling", {**OPTIONS, "searched": [2, 4], "instances": 3, "blurs": [1]}, output=tmp_path,
        trajectories=1000, pair_options=PAIRS["paper"],
    )  # fmt: skip
    told = present(one)
    assert told.checks[-1].status == Status.PASS
    found = table(told, "ceiling_worst").set_index(["rule", "drafts", "tokens"]).ratio
    assert 23 / 27 - 1e-12 <= found["recursive", 2, 2] < 0.86
    assert found["recursive, distinct", 2, 3] >= 0.75 and 8 / 9 - 1e-9 <= found["k-seq", 2, 2] < 0.9
    assert ("recursive, distinct", 4, 5) not in found.index


def test_batch_decoding_with_recursive_rejection_is_algorithm_4_and_all_rules_have_one_limit(outcome):
    settings, told = outcome
    pair, drawn = instance(settings)[0], table(told, "ceiling_batch")
    drawn = drawn[drawn.x.isna()].pivot(index="drafts", columns="rule", values="rejections")
    for drafts, value in drawn.recursive.items():
        close(value, expected_rejections_per_position(pair, BatchSpeculative(int(drafts))).sum())
    assert (drawn.sub(drawn.recursive, axis=0)[["k-seq", "optimal"]] <= 1e-12).all(axis=None)
    assert (drawn >= expected_rejections_per_position(pair, BatchSpeculative(math.inf)).sum() - 1e-12).all(
        axis=None
    )


def test_the_best_branching_is_best_of_all(outcome):
    """Of those too in which a later position has more children than one before."""
    settings, told = outcome
    pair, drawn = instance(settings)[0], table(told, "ceiling_branching")
    best = drawn[drawn.series == "best branching, optimal rule"].set_index("nodes")

    def every(nodes):
        for children in range(1, nodes + 1):
            yield (children,)
            for rest in every(nodes // children - 1):
                yield (children, *rest)

    calls = [
        predict(pair, MultiDraftSpeculative(drafts, "optimal")).expected_target_calls for drafts in every(4)
    ]
    assert best.tokens_per_call.loc[4] == pytest.approx(pair.horizon / min(calls), rel=1e-12)
    assert float(best.branching.loc[1]) == 1
