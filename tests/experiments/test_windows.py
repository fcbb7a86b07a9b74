"""Windows as an experiment: the numbers drawn, the choices, the verdicts and what they must catch."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from simlab.cli.main import main
from simlab.cost import CostModel
from simlab.decoders import AdaptiveSpeculative, BlockSpeculative, ConfidenceSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Status
from simlab.experiments import windows
from simlab.experiments.common import outcome as outcomes
from simlab.experiments.common.draft_quality import dial_pair
from simlab.experiments.common.estimates import speedup_of
from simlab.experiments.common.jobs import instance
from simlab.experiments.windows import acceptance_by_position, rules_in_use
from simlab.experiments.windows import best_window_map as windows_map
from simlab.experiments.windows import block_verification as windows_block
from simlab.experiments.windows import policies as windows_policies
from simlab.experiments.windows import speedup as windows_speedup
from simlab.experiments.windows.expected_work import (
    adaptive,
    at_ratio,
    confident,
    decoder_work,
    memoryless_window,
    shape_of,
    window_work,
)
from simlab.experiments.windows.options import options_of
from simlab.pairs import bernoulli, dirichlet
from simlab.report import style
from simlab.theory import best_threshold, best_window, mean_acceptance, memoryless, optimal_policy, predict
from simlab.traces import bundled, predict_trace
from tests.experiments.points import point, simulated, table, told

pytestmark = pytest.mark.figures

OPTIONS = {
    "acceptances": [0.4, 0.9],
    "horizon": 9,
    "longest": 5,
    "simulated": [1, 3],
    "ratios": [0.05, 0.3],
    "places": 3,
    "blocks": [1, 3],
    "fractions": [0.01, 1],
    "blurs": [0, 0.5, 1],
    "most": 10**6,
}
SMALL = {"simulated": [2], "acceptances": [0.7], "ratios": [0.1], "blocks": [2], "blurs": [0.5]}
PAIRS = {
    "paper": {"horizon": 6, "states": 4, "seed": 3},
    "corpus": {"horizon": 7, "max_states": 12, "draft_fraction": 0.02},
}
NAMES = [
    "windows_speedup", "windows_map", "windows_policies", "windows_gap", "windows_policy", "windows_places",
    "windows_block", "windows_rules",
]  # fmt: skip


def place(tmp_path, pair="paper", trajectories=20_000, **more):
    more = {"pair_options": PAIRS.get(pair), **more}
    return point("windows", OPTIONS, output=tmp_path, trajectories=trajectories, pair_name=pair, **more)


def test_no_point_has_more_trajectories_than_the_options_allow(tmp_path):
    few, many = (windows.plan([place(tmp_path, trajectories=number)]).jobs for number in (500, 10**6 + 1))
    assert {one.stop.total for one in few} == {500}
    assert {one.stop.total for one in many} == {10**6}


def present(one, results=None, drawn=False, judged=False):
    """What the experiment makes of its results; figures laid out where asked for, pictures never: seconds.

    judged: only what has verdicts.
    """

    def save(figure, folder, name, table, metadata, *others):
        if drawn:
            with style():
                figure.draw_without_rendering()
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"{name}.csv", index=False)
        return [folder / f"{name}.csv"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", save)
        if judged:
            patch.setattr(windows, "present_gap", lambda *_: (None, []))
            patch.setattr(windows, "present_policy", lambda *_: (None, []))
            patch.setattr(windows, "present_map", lambda *_: None)
        patch.setattr(windows_policies, "FINE", 4)
        patch.setattr(windows_map, "MAPPED", ("paper", "dirichlet"))
        return windows.present(
            windows.plan([one]), simulated(windows.plan([one]).jobs) if results is None else results
        )


@pytest.fixture(scope="module", params=list(PAIRS))
def outcome(request, tmp_path_factory):
    """(settings, outcome) of a small experiment on each pair."""
    one = place(tmp_path_factory.mktemp("windows"), request.param)
    return one, present(one)


def test_speedups_are_the_theorys(outcome):
    one, result = outcome
    rows, cost = table(result, "windows_speedup"), one.cost
    chains = {
        f"acceptance {a:g}": (a, bernoulli(0.5 + (1 - a) / 2, 0.5 - (1 - a) / 2, 9)) for a in (0.4, 0.9)
    }
    own = instance(one)[0]
    for series, (a, pair) in {**chains, one.pair_name: (mean_acceptance(own), own)}.items():
        assert mean_acceptance(pair) == pytest.approx(a, rel=1e-12)
        exact = {w: cost.speedup(predict(pair, Speculative(w, True))) for w in range(1, 6)}
        curve = rows[(rows.series == series) & (rows.kind == "curve")]
        assert curve.x.tolist() == list(range(6))
        np.testing.assert_allclose(curve.exact, [1, *exact.values()], rtol=1e-12)
        np.testing.assert_allclose(curve.formula, memoryless.speedup(a, np.arange(6), cost), rtol=1e-12)
        points = rows[(rows.series == series) & (rows.kind == "simulated")]
        np.testing.assert_allclose(points.exact, [exact[1], exact[3]], rtol=1e-12)
        assert (points.low < points.simulated).all() and (points.simulated < points.high).all()


def test_policies_are_what_they_are_called(outcome):
    one, result = outcome
    pair, rows = instance(one)[0], table(result, "windows_policies")
    for ratio in (0.05, 0.3):
        cost = CostModel(ratio, 1.0)
        here = rows[np.isclose(rows.x, ratio, rtol=1e-12)].set_index(["policy", "kind"])
        fixed = best_window(pair, cost, longest=5)
        policy = optimal_policy(pair, cost, longest=5)
        told = memoryless.best_window(mean_acceptance(pair), cost, longest=5)
        exact = {
            "adaptive": cost.speedup(predict(pair, AdaptiveSpeculative(policy))),
            "fixed": fixed.speedup,
            "memoryless": cost.speedup(predict(pair, Speculative(told, True))) if told else 1.0,
            "default": cost.speedup(predict(pair, ConfidenceSpeculative())),
        }
        for choice, speedup in exact.items():
            assert here.exact[choice, "curve"] == pytest.approx(speedup, rel=1e-12)
        decoder, time = confident(pair, ratio, 5)
        assert decoder.window == max(1, fixed.window)
        assert time == pytest.approx(cost.expected_time(predict(pair, decoder)), rel=1e-12)
        assert here.exact["confident", "curve"] == pytest.approx(pair.horizon / time, rel=1e-12)
        assert exact["memoryless"] <= exact["fixed"] * (1 + 1e-12) <= exact["adaptive"] * (1 + 1e-11)
        for choice in ("adaptive", "confident"):
            point_ = here.loc[choice, "simulated"]
            assert point_.exact == pytest.approx(here.exact[choice, "curve"], rel=1e-12)
            assert point_.low < point_.simulated < point_.high


def test_the_gap_along_the_dial(outcome):
    one, result = outcome
    rows, ratio = table(result, "windows_gap"), one.cost.ratio
    options = options_of(one)
    assert rows.dial.tolist() == list(options.dial)
    for value, row in zip(options.dial, rows.itertuples(), strict=True):
        pair = dial_pair(one, value)
        best = best_window(pair, one.cost, longest=5)
        assert (row.speedup_fixed, row.window_fixed) == (pytest.approx(best.speedup, rel=1e-12), best.window)
        assert row.speedup_adaptive == pytest.approx(pair.horizon / adaptive(pair, ratio, 5)[1], rel=1e-12)
        assert row.beyond_fixed == pytest.approx(
            100 * (row.speedup_adaptive / row.speedup_fixed - 1), abs=1e-9
        )
        assert row.speedup_memoryless <= row.speedup_fixed * (1 + 1e-12)
        acceptance = mean_acceptance(pair)
        told = memoryless.best_window(acceptance, one.cost, longest=5)
        assert (row.acceptance, row.window_memoryless) == (pytest.approx(acceptance, rel=1e-12), told)
        assert row.speedup_promised == pytest.approx(memoryless.speedup(acceptance, told, one.cost))
        if not np.isnan(row.kept_by_confident):
            gain = 1 / row.speedup_fixed - 1 / row.speedup_adaptive
            kept = (1 / row.speedup_fixed - 1 / row.speedup_confident) / gain
            assert row.kept_by_confident == pytest.approx(100 * kept, rel=1e-6, abs=1e-5)


def test_policy_places_and_blocks_are_the_theorys(outcome):
    one, result = outcome
    pair = instance(one)[0]
    rows = table(result, "windows_policy")
    policy = optimal_policy(pair, one.cost, longest=5)
    assert len(rows) == pair.horizon * pair.states
    assert (rows.window.to_numpy() == policy.windows[rows.position - 1, rows.token]).all()
    rows, exact = table(result, "windows_places"), predict(pair, Speculative(3, True))
    for of, rates in (
        ("drafted", exact.acceptance_rate_by_position),
        ("reached", exact.conditional_acceptance_by_position),
    ):
        here = rows[rows.of == of]
        np.testing.assert_allclose(here.exact, rates, rtol=1e-12)
        a = mean_acceptance(pair)
        np.testing.assert_allclose(here.memoryless, a**here.x if of == "drafted" else [a] * 3, rtol=1e-12)
        assert (here.low <= here.simulated).all() and (here.simulated <= here.high).all()
    rows = table(result, "windows_block")
    for way, made in (("token", lambda w: Speculative(w, True)), ("block", BlockSpeculative)):
        here = rows[(rows.verified == way) & rows.simulated.notna()]
        calls = [predict(pair, made(w)).tokens_per_call for w in (1, 3)]
        np.testing.assert_allclose(here.exact, calls, rtol=1e-9)
    saved = rows[rows.calls_saved.notna()]
    for column, taken in (
        ("calls_saved", lambda exact: exact.expected_target_calls),
        ("time_saved", one.cost.expected_time),
    ):
        exact = [
            100 * (1 - taken(predict(pair, BlockSpeculative(w))) / taken(predict(pair, Speculative(w, True))))
            for w in (1, 3)
        ]
        np.testing.assert_allclose(saved[column], exact, atol=1e-9)
        assert abs(exact[0]) < 1e-6 < exact[1]


def test_the_map_is_the_formulas_and_its_points_are_the_pairs(outcome):
    one, result = outcome
    rows = table(result, "windows_map")
    cells = rows[rows.kind == "map"]
    assert len(cells) == 50 * 46 and cells.window.nunique() > 10
    exact = memoryless.best_window_of(cells.acceptance.to_numpy(), cells.ratio.to_numpy())
    assert (cells.window == exact).all()
    points = rows[rows.kind != "map"].set_index("kind")
    assert one.pair_name in points.index and (points.ratio == one.cost.ratio).all()
    pair = instance(one)[0]
    assert points.acceptance[one.pair_name] == pytest.approx(mean_acceptance(pair), rel=1e-12)
    assert points.window[one.pair_name] == best_window(pair, one.cost, longest=5).window


def test_rules_are_held_against_the_best_fixed_window(outcome):
    one, result = outcome
    pair, rows = instance(one)[0], table(result, "windows_rules")
    assert set(rows.panel) == {one.pair_name, "load", *rules_in_use.TEXTS}
    own = rows[(rows.panel == one.pair_name) & np.isclose(rows.x, 0.3, rtol=1e-12)]
    cost = CostModel(0.3, 1.0)
    best = best_window(pair, cost, longest=5).time
    rules = {"start": Speculative(5, True), **rules_in_use.rules_of(5)}
    for name, rule in rules.items():
        exact = 100 * (best / cost.expected_time(predict(pair, rule)) - 1)
        (line,) = own[(own.rule == name) & (own.kind == "curve")].exact
        assert line == pytest.approx(exact, abs=1e-9)
        for _, point_ in own[(own.rule == name) & (own.kind == "simulated")].iterrows():
            assert point_.exact == pytest.approx(exact, abs=1e-9)
            assert point_.low < point_.simulated < point_.high
    assert set(own[own.kind == "simulated"].rule) == set(rules_in_use.SIMULATED)
    gains = own[own.kind == "curve"].set_index("rule").exact
    tuned = gains[["adaptive", *windows_policies.SIGNAL_OF]]
    assert (tuned >= -1e-9).all() or best == pair.horizon
    assert (gains[list(rules_in_use.rules_of(5))] <= gains["adaptive"] + 1e-9).all()


def test_rules_under_load_and_on_texts_are_those_of_their_costs():
    """Each number again by predictions, with the cost that the panel says."""
    pair = instance(point("windows", {}, output=None, trajectories=1, pair_options={"horizon": 9}))[0]
    gains = rules_in_use.gains_by_load(pair, 0.1, 4)
    for place_, load in enumerate(rules_in_use.LOADS):
        base, each = rules_in_use.VERIFY["base"], rules_in_use.VERIFY["per_token"]
        cost = CostModel(0.1 * (base + each), rules_in_use.VERIFY, concurrency=load)
        best = best_window(pair, cost, longest=4).time
        decoders = {
            **rules_in_use.rules_of(4),
            "adaptive": AdaptiveSpeculative(optimal_policy(pair, cost, longest=4)),
        }
        for name, decoder in decoders.items():
            exact = 100 * (best / cost.expected_time(predict(pair, decoder)) - 1)
            assert gains[name][place_] == pytest.approx(exact, abs=1e-9)
        window = max(1, best_window(pair, cost, longest=4).window)
        for name, signal in windows_policies.SIGNAL_OF.items():
            time = best_threshold(pair, cost, window, signal).time
            apart = 0.05 if name == "cumulative" else 1e-9  # other thresholds are tried
            assert gains[name][place_] == pytest.approx(100 * (best / time - 1), abs=apart)
    text, cost = bundled("smollm2-skip-14"), CostModel(0.2, 1.0)
    (found,) = rules_in_use.gains_on_text("smollm2-skip-14", [0.2], 4)["history"]
    times = [cost.expected_time(predict_trace(text, Speculative(window, True))) for window in range(1, 5)]
    alone = len(text) / text.sequences
    rule = cost.expected_time(predict_trace(text, rules_in_use.rules_of(4)["history"]))
    assert found == pytest.approx(100 * (min(alone, *times) / rule - 1), abs=1e-9)


def test_verdicts_notes_and_figures(outcome):
    one, result = outcome
    assert not [verdict for verdict in result.verdicts if verdict.status == Status.FAIL]
    names = [verdict.name for verdict in result.verdicts]
    assert len(names) == len(set(names)) and all(name.startswith(result.title + ", ") for name in names)
    assert [exhibit.name for exhibit in result.figures] == NAMES
    assert not any("{" in exhibit.caption for exhibit in result.figures)
    assert len({each.task.id for each in windows.plan([one]).jobs}) == len(windows.plan([one]).jobs)
    notes = "\n".join(result.notes)
    best = best_window(instance(one)[0], one.cost, longest=5)
    assert f"target calls: {best.window}, speed-up {best.speedup:.4f}." in notes


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_pass_whatever_the_seed(tmp_path, seed):
    one = place(tmp_path, trajectories=400_000, seed=seed)
    one = dataclasses.replace(one, options={**OPTIONS, **SMALL})
    assert {verdict.status for verdict in present(one, judged=True).verdicts} == {Status.PASS}


def test_another_window_is_caught(tmp_path):
    """Negative control: every job's counts are those of a window that is longer by one."""
    one = place(tmp_path)
    options = options_of(one)
    planned = windows_speedup.speedup_jobs(one, options)
    wrong = {}
    for each in itertools.chain(*planned.values()):
        longer = dataclasses.replace(each.task.decoder, window=each.task.decoder.window + 1)
        mate = dataclasses.replace(each, task=dataclasses.replace(each.task, decoder=longer))
        wrong[each.task.id] = dataclasses.replace(simulated([mate])[mate.task.id], task=each.task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", lambda *_: [])
        _, verdicts, _ = windows_speedup.present_speedup(told(one, wrong), options, planned)
    judged = [
        verdict for verdict in verdicts if verdict.name.endswith(("E[target calls]", "E[drafted tokens]"))
    ]
    assert len(judged) == 2 * sum(map(len, planned.values()))
    assert {verdict.status for verdict in judged} == {Status.FAIL}


def test_wrong_counts_by_position_are_caught(tmp_path):
    """Negative control: the first position counts as accepted what the second one does."""
    one = place(tmp_path, trajectories=100_000)
    options = options_of(one)
    planned = acceptance_by_position.positions_job(one, options)
    result = simulated([planned])[planned.task.id]
    counts = result.counts
    shifted = counts.accepted_by_position.copy()
    shifted[0] = shifted[1]
    wrong = dataclasses.replace(result, counts=dataclasses.replace(counts, accepted_by_position=shifted))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", lambda *_: [])
        for found, status in ((result, Status.PASS), (wrong, Status.FAIL)):
            there = told(one, {planned.task.id: found})
            _, verdicts, _ = acceptance_by_position.present_positions(there, options, planned)
            assert verdicts[2].name == "x, window 3: calls that accept by position"
            assert verdicts[2].status == status


def test_no_trajectory_has_more_calls_at_a_place_than_said():
    """With draft = target all is accepted, with disjoint supports nothing: both ends are met."""
    for horizon in (1, 2, 5, 6, 9):
        for window in (1, 2, 3, 9):
            decoder = Speculative(window, True)
            longest = min(window, horizon - 1)
            most = acceptance_by_position.most_calls(horizon, longest)
            same = predict(bernoulli(0.5, 0.5, horizon), decoder)
            never = predict(bernoulli(1.0, 0.0, horizon), decoder)
            for exact in (same, never):
                for name in acceptance_by_position.COUNTED:
                    assert (getattr(exact, f"{name}_by_position") <= most[name] + 1e-12).all()
            np.testing.assert_allclose(never.drafted_by_position, most["drafted"], atol=1e-12)
            if longest:
                accepted = same.accepted_by_position[-1], same.reached_by_position[-1]
                assert accepted[0] == pytest.approx(most["accepted"][-1])


def test_the_intervals_of_speedups_hold_together(tmp_path):
    """Bonferroni over two windows on three pairs."""
    one = place(tmp_path, trajectories=2_000)
    options, drawn = options_of(one), {}
    jobs = windows_speedup.speedup_jobs(one, options)
    planned = list(itertools.chain(*jobs.values()))
    results = simulated(planned)
    with pytest.MonkeyPatch.context() as patch:
        keep = lambda *parts: drawn.update(figure=parts[0], table=parts[3]) or []  # noqa: E731
        patch.setattr(outcomes, "save_figure", keep)
        windows_speedup.present_speedup(told(one, results), options, jobs)
    _solid_is_exact_and_dashed_the_formula(drawn["figure"], drawn["table"])
    rows = drawn["table"][drawn["table"].low.notna()]
    assert len(rows) == len(planned) == 6
    for (_, row), each in zip(rows.iterrows(), planned, strict=True):
        found = speedup_of(each, results[each.task.id], one.cost, 1 - 0.05 / 6)
        assert (row.simulated, row.low, row.high) == pytest.approx(tuple(found), rel=1e-9)


def _solid_is_exact_and_dashed_the_formula(figure, table):
    """In both panels, for each series; the legend says so."""
    curves = [rows for _, rows in table[table.kind == "curve"].groupby("series", sort=False)]
    lines = [
        line for axes in figure.axes[::2] for line in axes.lines if len(line.get_xdata()) == len(curves[0])
    ]
    told = {line.get_linestyle(): [] for line in lines if line.get_linestyle() != "None"}
    for line in lines:
        told.setdefault(line.get_linestyle(), []).append(line.get_ydata().tolist())
    for look, column in (("-", "exact"), ("--", "formula")):
        assert told[look] == [rows[column].tolist() for rows in curves]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"solid: exact", "dashed: memoryless formula"} <= legend


@pytest.mark.parametrize("seed", range(3))
def test_work_is_linear_in_the_cost(seed):
    """Times at any cost from the work, against predictions; windows without room are as the longest."""
    pair = dirichlet(4, 3, 0.5, 0.5, seed=seed)
    work = window_work(pair, 6)
    for window in (1, 2, 3, 6):
        exact = predict(pair, Speculative(window, True))
        assert work.drafted[window] == pytest.approx(exact.expected_drafted_tokens, rel=1e-12)
        assert work.calls[window] == pytest.approx(exact.expected_target_calls, rel=1e-12)
    assert (work.drafted[0], work.calls[0]) == pytest.approx((0, 4), abs=1e-12)
    (drafted,) = decoder_work(pair, ConfidenceSpeculative(0.5, 2)).drafted
    exact = predict(pair, ConfidenceSpeculative(0.5, 2))
    assert drafted == pytest.approx(exact.expected_drafted_tokens, rel=1e-11)


@pytest.mark.parametrize("name", ["sure", "never", "single"])
def test_odd_pairs_are_drawn(tmp_path, name):
    """A perfect draft of a sure chain; one that is never right; one token of one, which is laid out too."""
    turn = np.eye(3)[[1, 2, 0]]
    made = {
        "sure": {"draft": turn, "target": turn, "initial": np.eye(3)[0], "horizon": 12},
        "never": {"draft": turn.T, "target": turn, "initial": np.eye(3)[0], "horizon": 12},
        "single": {"draft": [[[1.0]]], "target": [[[1.0]]], "initial": [1.0]},
    }
    path = tmp_path / f"{name}.npz"
    np.savez(path, **made[name])
    command = "simlab run experiment=windows decoder.window=3"
    one = place(tmp_path, "file", 300_000, pair_options={"path": str(path)}, command=command)
    one = dataclasses.replace(one, options={**OPTIONS, **SMALL})
    result = present(one, drawn=name == "single")
    assert {verdict.status for verdict in result.verdicts} == {Status.PASS}
    assert len(result.figures) == len(NAMES) - (name == "single")
    assert "decoder.window=3 made no difference" in result.notes[-1]
    assert not any("-0.00%" in note for note in result.notes)


def test_a_saving_that_is_rounding_is_none():
    assert windows_block._saving(3.0000000000000004, 3.0) == windows_block._saving(3.0, 3.0) == 0.0
    assert windows_block._saving(2.0, 4.0) == 50.0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"acceptances": [1.5]},
            "experiment.acceptances = 1.5 is not valid; expected a finite number >= 0 and <= 1",
        ),
        ({"acceptances": []}, "experiment.acceptances = [] is not valid; expected a list of numbers"),
        ({"horizon": 0}, "experiment.horizon = 0 is not valid; expected a whole number of at least 1"),
        ({"longest": 65}, "experiment.longest = 65 is not valid; expected a whole number of at most 64"),
        ({"simulated": [0]}, "experiment.simulated = 0 is not valid; expected a whole number of at least 1"),
        ({"simulated": [6]}, "experiment.simulated = 6 is not valid; expected a whole number of at most 5"),
        ({"ratios": [0]}, "experiment.ratios = 0 is not valid; expected a finite number > 0"),
        ({"places": "a"}, "experiment.places = 'a' is not valid; expected a whole number"),
        ({"blocks": 4}, "experiment.blocks = 4 is not valid; expected a list"),
        ({"blurs": [-1]}, "experiment.blurs = -1 is not valid; expected a finite number >= 0 and <= 1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_options_that_make_no_sense(tmp_path, options, complaint):
    one = dataclasses.replace(place(tmp_path), options={**OPTIONS, **options})
    with pytest.raises(SimlabError) as error:
        options_of(one)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        (
            "experiment.simulated=[17]",
            "experiment.simulated = 17 is not valid; expected a whole number of at most 16",
        ),
        ("cost.draft=0", "cost.draft = 0"),
        ("pair.horizon=3,4", "draws one point"),
    ],
)
def test_mistakes_get_one_line(capsys, tmp_path, monkeypatch, word, complaint):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "experiment=windows", word]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_lines_along_the_cost_ratio_are_those_of_costs_as_they_are_measured():
    """Stairs of verification, a cost per drafting call, overhead and load: only the draft's time moves."""
    pair = instance(point("windows", {}, output=None, trajectories=1, pair_options={"horizon": 9}))[0]
    cost = CostModel(0.1, {1: 2.0, 4: 2.5, 5: 5.0}, draft_call=0.25, overhead=0.125, concurrency=2)
    shape = shape_of(cost)
    for ratio in (0.02, 0.3):
        here = at_ratio(shape, ratio)
        assert here.ratio == pytest.approx(ratio, rel=1e-12)
        assert here == dataclasses.replace(cost, draft=ratio * cost.alone)
        fixed = best_window(pair, here, longest=4)
        work = window_work(pair, 4, shape)
        assert work.times(ratio) * cost.alone == pytest.approx(fixed.times, rel=1e-12)
        assert work.best(ratio) == fixed.window
        policy, time = adaptive(pair, ratio, 4, shape)
        exact = here.expected_time(predict(pair, AdaptiveSpeculative(policy)))
        assert time * cost.alone == pytest.approx(exact, rel=1e-12)
        assert exact <= fixed.time * (1 + 1e-12)
        decoder, time = confident(pair, ratio, 4, shape)
        assert time * cost.alone == pytest.approx(here.expected_time(predict(pair, decoder)), rel=1e-12)
        default = ConfidenceSpeculative()
        told = here.expected_time(predict(pair, default)) / cost.alone
        assert decoder_work(pair, default, shape).times(ratio) == pytest.approx([told], rel=1e-12)
        formula = memoryless.best_window(mean_acceptance(pair), here, longest=4)
        assert memoryless_window(pair, ratio, 4, shape) == formula
    assert shape_of(CostModel(0.3, 7.0)) == shape_of(CostModel())
