"""Draft trees as an experiment: the numbers drawn, the dial, the verdicts and what they must catch."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.cli.main import main
from simlab.decoders import TreeSpeculative
from simlab.evidence import Interval, Status
from simlab.experiments import trees
from simlab.experiments.common import outcome as outcomes
from simlab.experiments.common.draft_quality import dial_job, dial_pair
from simlab.experiments.common.estimates import calls_of, per_call
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.trees import draft_knowledge as trees_knowledge
from simlab.experiments.trees import tokens_per_call as trees_calls
from simlab.experiments.trees.options import options_of
from simlab.experiments.trees.picture import shared_nodes
from simlab.pairs import corpus, dirichlet, mixture
from simlab.pairs.corpus import alphabet
from simlab.report import style
from simlab.theory import expected_accepted, expected_target_calls, optimal_tree, predict
from tests.experiments.points import point, simulated, table
from tests.strategies import examples

pytestmark = pytest.mark.figures

OPTIONS = {
    "capacities": [1, 3, 9],
    "simulated": [1, 4],
    "nodes": 20,
    "compared": [2, 5],
    "fractions": [0.01, 0.1, 1],
    "blurs": [0, 0.4, 1],
}
PAIRS = {
    "paper": {"horizon": 6, "states": 4, "seed": 3},
    "corpus": {"horizon": 6, "max_states": 12, "draft_fraction": 0.02},
    "mixture": {"horizon": 5, "states": 4, "blur": 0.4, "concentration": 0.5},
}


def place(tmp_path, pair="paper", trajectories=20_000, **more):
    return point(
        "trees", OPTIONS, output=tmp_path, trajectories=trajectories, pair_name=pair,
        pair_options=PAIRS[pair], **more,
    )  # fmt: skip


def present(one, results=None, drawn=False):
    """What the experiment makes of its results; figures laid out where asked for, pictures never: seconds."""

    def save(figure, folder, name, table, metadata, *others):
        if drawn:
            with style():
                figure.draw_without_rendering()
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"{name}.csv", index=False)
        return [folder / f"{name}.csv"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "save_figure", save)
        patch.setattr(trees_knowledge, "FINE", 5)
        return trees.present(
            trees.plan([one]), simulated(trees.plan([one]).jobs) if results is None else results
        )


@pytest.fixture(scope="module", params=list(PAIRS))
def outcome(request, tmp_path_factory):
    """(settings, outcome) of a small experiment on each pair."""
    one = place(tmp_path_factory.mktemp("trees"), request.param)
    return one, present(one)


def test_curves_and_points_are_the_theorys(outcome):
    one, result = outcome
    pair, rows = instance(one)[0], table(result, "trees_calls")
    for shape in ("tree", "chain"):
        for model in ("target", "draft"):
            curve = rows[(rows.series == f"{shape} by {model}") & (rows.kind == "curve")]
            exact = [predict(pair, TreeSpeculative(P, model, shape)).tokens_per_call for P in (1, 3, 9)]
            assert curve.x.tolist() == [1, 3, 9]
            np.testing.assert_allclose(curve.exact, exact, rtol=1e-12)
            points = rows[(rows.series == f"{shape} by {model}") & (rows.kind == "simulated")]
            if (shape, model) == ("chain", "draft"):
                assert points.empty
                continue
            exact = [predict(pair, TreeSpeculative(P, model, shape)).tokens_per_call for P in (1, 4)]
            np.testing.assert_allclose(points.exact, exact, rtol=1e-12)
            assert (points.low < points.simulated).all() and (points.simulated < points.high).all()
    bounds = rows[rows.series.str.contains("comparison")]
    assert (bounds.groupby("series").size() == 3).all() and (bounds.exact <= pair.horizon).all()


def test_what_the_drafts_errors_cost_is_the_theorys(outcome):
    one, result = outcome
    rows = table(result, "trees_knowledge")
    target = instance(one)[0]
    options = options_of(one)
    for value in options.dial:
        pair = dial_pair(one, value)
        np.testing.assert_array_equal(pair.target_rows, target.target_rows)
        for panel, capacities in (("E[X] by the dial", [2, 5]), ("E[X] by capacity", [1, 3, 9])):
            here = rows[(rows.panel == panel) & (rows.x == value)]
            assert here.capacity.tolist() == capacities
            exact = expected_accepted(pair, TreeSpeculative(1, "draft"), capacities)
            np.testing.assert_allclose(here.exact, exact, rtol=1e-12)
            best = expected_accepted(target, TreeSpeculative(1, "target"), capacities)
            np.testing.assert_allclose(here.optimum, best, rtol=1e-12)
        for capacity in options.compared:
            drawn = rows[(rows.panel == "tokens per call") & (rows.x == value) & (rows.capacity == capacity)]
            calls = pair.initial @ expected_target_calls(pair, TreeSpeculative(capacity, "draft"))[0]
            np.testing.assert_allclose(drawn.exact, pair.horizon / calls, rtol=1e-12)
    found = rows[rows.panel.str.startswith("E[X]")]
    assert (found.exact <= found.optimum + 1e-12).all() and len(set(found.x)) >= 5
    perfect = found[found.x == (1 if one.pair_name == "corpus" else 0)]
    np.testing.assert_allclose(perfect.exact, perfect.optimum, rtol=1e-12)


def test_the_tree_that_is_drawn_is_the_first_calls(outcome):
    one, result = outcome
    pair, rows = instance(one)[0], table(result, "tree")
    root = int(pair.initial.argmax())
    for model in ("target", "draft"):
        tree = optimal_tree(pair, 0, root, 20, model)
        here = rows[rows.chosen_by == model]
        for column, values in (("parent", tree.parents), ("token", tree.tokens), ("depth", tree.depth),
                               ("probability", tree.probability), ("reach", tree.reach)):  # fmt: skip
            np.testing.assert_allclose(here[column], values, rtol=1e-12)
        if one.pair_name == "corpus":
            letters = alphabet(max_states=12)
            signs = {" ": "␣", "\n": "⏎", "": "..."}
            told = [signs.get(letters[token], letters[token]) for token in tree.tokens]
        else:
            told = [str(token) for token in tree.tokens]
        assert here.label.astype(str).tolist() == told
    caption = next(exhibit.caption for exhibit in result.figures if exhibit.name == "tree")
    apart = int((~rows[rows.chosen_by == "draft"].in_both).sum())
    assert f"spends {apart} of its 20 elsewhere" in caption


def test_verdicts_and_notes(outcome):
    one, result = outcome
    assert not [verdict for verdict in result.verdicts if verdict.status == Status.FAIL]
    names = [verdict.name for verdict in result.verdicts]
    assert len(names) == len(set(names)) == 3 * 2 * trees_calls.JUDGED + 2 * 3
    assert all(name.startswith(result.title + ", ") for name in names)
    assert [exhibit.name for exhibit in result.figures] == ["trees_calls", "tree", "trees_knowledge"]
    assert not any("{" in exhibit.caption for exhibit in result.figures)
    calls, errors = result.notes
    pair = instance(one)[0]
    assert f"{predict(pair, TreeSpeculative(20)).tokens_per_call:.4f} (tree chosen by the target)" in calls
    assert "comparison, not a theorem" in result.figures[0].caption
    own, best = (expected_accepted(pair, TreeSpeculative(1, by), [5])[0] for by in ("draft", "target"))
    assert f"{own:.4f} of {best:.4f} at P = 5" in errors


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_pass_whatever_the_seed(tmp_path, seed):
    one = place(tmp_path, trajectories=300_000, seed=seed)
    one = dataclasses.replace(one, options={**OPTIONS, "simulated": [3], "compared": [3]})
    result = present(one)
    assert {verdict.status for verdict in result.verdicts} == {Status.PASS}


def test_other_trees_are_caught(tmp_path):
    """Negative control: each job's counts are those of the same tree by the other model."""
    one = place(tmp_path)
    planned = trees.plan([one]).jobs
    results = simulated(planned)
    other = {"target": "draft", "draft": "target"}
    swapped = {}
    for each in planned:
        decoder = each.task.decoder
        mate = job(one, dataclasses.replace(decoder, drafted_by=other[decoder.drafted_by]))
        counts = simulated([mate])[mate.task.id]
        swapped[each.task.id] = dataclasses.replace(counts, task=each.task)
    honest, wrong = present(one, results), present(one, swapped)
    assert not any(verdict.status == Status.FAIL for verdict in honest.verdicts)
    for verdict in wrong.verdicts:
        if "target calls" in verdict.name and "share of the draft = 0.4" not in verdict.name:
            expected = Status.PASS if "share of the draft = 0:" in verdict.name else Status.FAIL
            assert (verdict.status == Status.FAIL) == (expected == Status.FAIL), verdict


def test_the_intervals_of_a_figure_hold_together(tmp_path):
    """Bonferroni over the points of each figure: two capacities of three series, three drafts of two."""
    one = place(tmp_path, trajectories=2_000)
    results = simulated(trees.plan([one]).jobs)
    result = present(one, results)
    options = options_of(one)
    for name, planned in (
        ("trees_calls", list(itertools.chain(*trees_calls.calls_jobs(one, options).values()))),
        ("trees_knowledge", list(itertools.chain(*trees_knowledge.knowledge_jobs(one, options).values()))),
    ):
        rows = table(result, name)
        rows = rows[rows.low.notna()]
        assert len(rows) == len(planned) == 6
        for (_, row), each in zip(rows.iterrows(), planned, strict=True):
            calls = calls_of(each, results[each.task.id], 1 - 0.05 / 6)
            assert (row.simulated, row.low, row.high) == pytest.approx(per_call(calls, 6), rel=1e-9)


def test_the_interval_of_tokens_per_call_has_its_ends_swapped():
    turned = per_call(Interval(20.0, 16.0, 25.0), 50)
    assert turned == (2.5, 2.0, 3.125)


def test_the_dial_blends_the_draft_with_the_target(tmp_path):
    for options in (PAIRS["paper"], {"horizon": 5, "states": 3, "stationary": True, "seed": 1}):
        one = dataclasses.replace(
            place(tmp_path), pair_name="paper" if "stationary" not in options else "dirichlet",
            pair_options=options,
        )  # fmt: skip
        pair = instance(one)[0]
        distance = np.abs(pair.draft - pair.target).sum(axis=-1)
        for value in (0.0, 0.3, 1.0):
            turned = dial_pair(one, value)
            np.testing.assert_allclose(
                np.abs(turned.draft - turned.target).sum(axis=-1), value * distance, atol=1e-12
            )
            assert len(turned.draft_rows) == len(pair.draft_rows)
            decoder = TreeSpeculative(4, "draft")
            turned_job = dial_job(one, value, decoder)
            assert turned_job.task.pair["digest"] == turned.digest
            assert (turned_job.task.id == job(one, decoder).task.id) == (value == 1)
        np.testing.assert_array_equal(dial_pair(one, 0.0).draft, pair.target)


def test_the_dial_of_corpus_and_mixture_is_their_own_option(tmp_path):
    for name, value, made in (
        ("corpus", 0.1, corpus(**{**PAIRS["corpus"], "draft_fraction": 0.1})),
        ("mixture", 0.7, mixture(**{**PAIRS["mixture"], "blur": 0.7})),
    ):
        one = place(tmp_path, name)
        assert dial_pair(one, value).digest == made.digest
        own = dial_job(one, {"corpus": 0.02, "mixture": 0.4}[name], TreeSpeculative(4, "draft"))
        assert own.task.id == job(one, TreeSpeculative(4, "draft")).task.id


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30))
@examples(40)
def test_nodes_that_both_trees_have(seed, size, other_size):
    pair = dirichlet(4, 3, 0.4, 0.4, seed=seed)
    found = [optimal_tree(pair, 0, 0, size, "target"), optimal_tree(pair, 0, 0, other_size, "draft")]
    paths = []
    for tree in found:
        paths.append([])
        for parent, token in zip(tree.parents, tree.tokens, strict=True):
            paths[-1].append((paths[-1][parent] if parent >= 0 else ()) + (int(token),))
    shared = shared_nodes(*found)
    for own, theirs, both in zip(paths, reversed(paths), shared, strict=True):
        assert both.tolist() == [path in set(theirs) for path in own]


def test_a_decoder_makes_no_difference_and_is_told(tmp_path):
    one = place(tmp_path, trajectories=1000, command="simlab run experiment=trees decoder.capacity=3")
    result = present(one)
    assert "decoder.capacity=3 made no difference" in result.notes[-1]


def test_odd_pairs_are_drawn(tmp_path):
    """One token, one state; deterministic chains, entropy 0; a draft that is never right."""
    turn = np.eye(3)[[1, 2, 0]]
    np.savez(tmp_path / "sure.npz", draft=turn, target=turn, initial=np.eye(3)[0], horizon=30)
    np.savez(tmp_path / "never.npz", draft=turn.T, target=turn, initial=np.eye(3)[0], horizon=30)
    np.savez(tmp_path / "single.npz", draft=[[[1.0]]], target=[[[1.0]]], initial=[1.0])
    for name in ("sure", "never", "single"):
        one = dataclasses.replace(
            place(tmp_path / name, trajectories=300_000), pair_name="file",
            pair_options={"path": str(tmp_path / f"{name}.npz")},
        )  # fmt: skip
        result = present(one, drawn=True)
        assert {verdict.status for verdict in result.verdicts} == {Status.PASS}
        assert len(result.figures) == 3


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        (
            "experiment.capacities=[]",
            "experiment.capacities = [] is not valid; expected a list of whole numbers",
        ),
        (
            "experiment.capacities=[0]",
            "experiment.capacities = 0 is not valid; expected a whole number of at least 1",
        ),
        ("experiment.simulated=4", "experiment.simulated = 4 is not valid; expected a list"),
        ("experiment.simulated=[2.5]", "experiment.simulated = 2.5 is not valid; expected a whole number"),
        ("experiment.compared=[a]", "experiment.compared = 'a' is not valid; expected a whole number"),
        ("experiment.nodes=0", "experiment.nodes = 0 is not valid; expected a whole number of at least 1"),
        (
            "experiment.nodes=1000",
            "experiment.nodes = 1000 is not valid; expected a whole number of at most 256",
        ),
        (
            "experiment.blurs=[1.5]",
            "experiment.blurs = 1.5 is not valid; expected a finite number >= 0 and <= 1",
        ),
        (
            "experiment.fractions=[0]",
            "experiment.fractions = 0 is not valid; expected a finite number > 0 and <= 1",
        ),
        ("experiment.fractions=[]", "experiment.fractions = [] is not valid; expected a list of numbers"),
        ("pair.horizon=3,4", "draws one point"),
    ],
)
def test_mistakes_get_one_line(capsys, tmp_path, monkeypatch, word, complaint):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "experiment=trees", word]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_leaves_all_files_and_the_same_bytes_again(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trees_knowledge, "FINE", 3)
    words = ["pair=corpus", "pair.horizon=5", "pair.max_states=8", "experiment.capacities=[1,8]"]
    words += ["experiment.simulated=[4]", "experiment.compared=[4]", "trajectories=20000", "run=serial"]

    def files():
        assert main(["run", "experiment=trees", *words]) == 0, capsys.readouterr()
        (folder,) = (tmp_path / "results").glob("trees-corpus-*")
        return {path.name: path.read_bytes() for path in folder.glob("tree*.*")}

    first = files()
    names = ("tree", "trees_calls", "trees_knowledge")
    assert set(first) == {f"{name}.{ending}" for name in names for ending in ("png", "svg", "csv")}
    assert files() == first
    assert "Tokens per target call at P = 64" in capsys.readouterr().out
