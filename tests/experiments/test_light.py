"""The speed of light: its jobs, its verdicts and gaps, what it says in words, and what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from simlab.errors import SimlabError
from simlab.evidence import Judging
from simlab.experiments import speed_of_light as light
from simlab.experiments.speed_of_light import figures as light_draw
from simlab.experiments.speed_of_light import verdicts as light_judge
from simlab.experiments.speed_of_light.rows import options_of, random_laws
from simlab.laws import Dirichlet, Softmax, Zipf, law_identity
from simlab.runs import Serial, collect
from simlab.runs.progress import gather
from simlab.theory.speed_of_light import dual_bound, moments, sharper_bound
from tests.experiments.points import overrides, point, told

pytestmark = pytest.mark.figures

OPTIONS = {
    "laws": [
        {"name": "dirichlet", "states": 8, "concentration": 0.3},
        {"name": "softmax", "states": 6, "scale": 2},
        {"name": "zipf", "states": 1},
    ],
    "capacities": [1, 4, 16, 64, 256, 1000],
    "environments": 60,
    "random_laws": 5,
    "random_seed": 3,
    "random_capacities": [4, 64],
    "random_environments": 40,
    "search": 20,
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return point("light", OPTIONS, output=tmp_path_factory.mktemp("light"), trajectories=1)


@pytest.fixture(scope="module")
def results(settings):
    return finished(light.plan([settings]).jobs)


@pytest.fixture(scope="module")
def outcome(settings, results):
    return light.present(light.plan([settings]), results)


@pytest.fixture
def without_checks(monkeypatch):
    """No search for violations, which takes seconds: for tests that look at something else."""
    found = light.search.check_renewal(rows=1)
    monkeypatch.setattr(light.search, "random_search", lambda **_: [])
    monkeypatch.setattr(light.search, "check_renewal", lambda **_: found)


def finished(jobs) -> dict:
    """The results of jobs, by task id, without a ledger."""
    return gather(collect(jobs, backend=Serial()))


def test_small_trees_get_ten_times_as_many_environments(settings):
    jobs = light.plan([settings]).jobs
    assert len({one.task.id for one in jobs}) == len(jobs) == 2 * 3 + 5
    assert [(one.task.capacities, one.stop.at_most) for one in jobs[:2]] == [
        ((1, 4, 16, 64), 600),
        ((64, 256, 1000), 60),
    ]
    assert {(one.task.capacities, one.stop.at_most) for one in jobs[6:]} == {((4, 64), 40)}
    (only,) = light_judge.environment_jobs(Zipf(3), [7], 5, 0)
    assert (only.task.capacities, only.stop.at_most) == ((7,), 5)


def test_every_law_is_judged_at_every_capacity(outcome):
    names = [verdict.name for verdict in outcome.verdicts]
    assert len(set(names)) == len(names)
    assert not [verdict for verdict in outcome.verdicts if verdict.status == "FAIL"]
    kinds = [verdict.kind for verdict in outcome.verdicts]
    # Two distributions with a sharper bound at six capacities, three with a dual bound, two with a renewal
    # bound, and four random families.
    assert kinds.count("bound") == 2 * 6 + 3 + 2 + 4
    assert kinds.count("rate") == 2 and kinds.count("equality") == 2 * 3
    for capacity in OPTIONS["capacities"]:
        assert f"The speed of light, Dirichlet(0.3), V = 8: sharper bound at P = {capacity:,}" in names
    assert {check.status for check in outcome.checks} == {"PASS"}


def test_tables_hold_bounds_and_gaps(outcome):
    table = pd.read_csv(outcome.tables[1].files[0])
    assert len(table) == 3 * 6
    law = Dirichlet(8, 0.3)
    rows = table[table.law == law.label]
    np.testing.assert_allclose(rows.sharper_bound, sharper_bound(moments(law), OPTIONS["capacities"]))
    np.testing.assert_allclose(rows.dual_bound, dual_bound(moments(law), OPTIONS["capacities"]))
    np.testing.assert_allclose(rows.gap_dual, rows.dual_bound - rows.accepted)
    assert (rows.gap_renewal <= rows.gap_dual + 1e-3).all() and (rows.gap_dual <= rows.gap_sharper).all()
    assert ((rows.low <= rows.accepted) & (rows.accepted <= rows.high)).all()
    assert (rows.environments == [600] * 4 + [60] * 2).all()
    certain = table[table.law == Zipf(1).label]
    np.testing.assert_allclose(certain.accepted, certain.capacity, rtol=1e-12)
    np.testing.assert_allclose(certain.dual_bound, certain.capacity, rtol=1e-12)
    assert np.isinf(certain.sharper_bound).all() and certain.verdict_sharper.isna().all()
    laws = pd.read_csv(outcome.tables[0].files[0]).set_index("law")
    assert laws.loc[law.label].rate == pytest.approx(1 / moments(law).entropy)
    assert laws.loc[law.label].slope == pytest.approx(laws.loc[law.label].rate, rel=0.1)
    assert math.isnan(laws.loc[Zipf(1).label].rate)


def test_figures_and_words(outcome):
    assert [exhibit.name for exhibit in outcome.figures] == ["light", "light_gap", "light_entropy"]
    assert all(path.stat().st_size > 300 for path in outcome.files)
    (note,) = outcome.notes
    assert "mu = 0" in note and "E[X] = P" in note
    entropy = pd.read_csv(outcome.figures[2].files[2])
    assert len(entropy) == 5 * 2 and set(entropy.family) >= {"Dirichlet", "softmax", "Zipf"}
    assert (entropy.accepted <= entropy.dual_bound + 0.5).all()


LEVELS = Judging()


@pytest.fixture(scope="module")
def measured(settings, results):
    """The first distribution, Dirichlet(8, 0.3)."""
    law = Dirichlet(8, 0.3)
    jobs = light_judge.environment_jobs(law, OPTIONS["capacities"], OPTIONS["environments"], settings.seed)
    return light_judge.measure(law, jobs, told(settings, results))


def _dual(measured):
    return light_judge.bound_verdicts(measured, "dual", LEVELS, resolution=LEVELS.bound_resolution)


def test_a_bound_made_too_small_fails(measured):
    """Control: less than half of the dual bound. One capacity that fails is enough for all of them."""
    assert {one.status for one in _dual(measured)} == {"PASS"}
    small = {**measured.bounds, "dual": measured.bounds["dual"] * [1, 1, 1, 0.4, 1, 1]}
    judged = light_judge.bound_verdicts(
        dataclasses.replace(measured, bounds=small), "dual", LEVELS, resolution=1 / 3
    )
    assert [one.status for one in judged] == ["PASS"] * 3 + ["FAIL"] + ["PASS"] * 2
    one = light_judge.closest_of("all", judged)
    assert (one.status, one.name) == ("FAIL", "all") and "P = 64, the closest of 6" in one.statistic
    assert one.false_alarm == pytest.approx(6e-6)


def test_a_wrong_slope_fails(measured):
    """Control: environments in which trees gain twice as much from their size as they do."""
    assert light_judge.rate_of(measured, LEVELS).status != "FAIL"
    steep = tuple(np.minimum(2.2 * values, 60) for values in measured.values)
    assert light_judge.rate_of(dataclasses.replace(measured, values=steep), LEVELS).status == "FAIL"


def test_a_slope_that_is_far_from_its_limit_is_not_held_against_it(settings, measured):
    """Uniform rows, where E[X] rises in waves, and rows nearly certain, where 1/mu is far away."""
    assert light_judge.near_limit(measured)
    several = []
    for law in (Zipf(16, 0), Dirichlet(4, 1e-4)):
        jobs = light_judge.environment_jobs(law, [1, 30, 100, 300, 3000], 4, settings.seed)
        several.append(light_judge.measure(law, jobs, told(settings, finished(jobs))))
    assert [light_judge.rate_of(one, LEVELS) for one in several] == [None, None]
    notes = light._notes(settings, several)
    assert len(notes) == 2 and all("not near its limit 1/mu" in note for note in notes)


def test_wrong_moments_fail(measured):
    """Control: rows of another distribution than the one whose moments are told."""
    assert [one.status for one in light_judge.moment_verdicts(measured, 0, LEVELS)] == ["PASS", "PASS"]
    other = dataclasses.replace(measured, law=Dirichlet(8, 0.4))
    assert [one.status for one in light_judge.moment_verdicts(other, 0, LEVELS)] == ["FAIL", "FAIL"]


def test_estimates_of_large_trees_stand_on_those_of_small_ones(measured, results):
    near, far = (
        next(result.counts.values for result in results.values() if result.task.capacities == some)
        for some in ((1, 4, 16, 64), (64, 256, 1000))
    )
    added = (far[:, 2] - far[:, 0]).mean()
    assert measured.interval.estimate[-1] == pytest.approx(near[:, 3].mean() + added)
    assert len(measured.values[-1]) == 60 and (measured.values[-1] == far[:, 2]).all()


def test_the_slope_of_a_line_is_its_slope_and_has_its_range():
    capacities = np.array([4, 16, 64])
    weights = light_judge.slope_weights(capacities)
    assert weights @ (3 + 0.7 * np.log(capacities)) == pytest.approx(0.7)
    random = np.random.default_rng(1)
    rising = np.sort(random.uniform(0, 5, (1000, 3)), axis=1)
    tail = np.cumsum(weights[::-1]).max()
    assert (rising @ weights >= -1e-12).all() and (rising @ weights <= 5 * tail + 1e-12).all()


def test_slopes_reach_the_end_of_their_range_and_no_further(measured):
    """From 0 at P = 16 to where values are cut off at P = 64: that over log 4; what is lost goes with it."""
    most, lost = np.full(6, 7.0), np.full(6, 0.5)
    steep = (*measured.values[:2], np.zeros(600), np.full(600, 9.0), *measured.values[4:])
    jumping = dataclasses.replace(measured, values=steep, most=most, lost=lost)
    found, top, missing = light_judge.slopes(jumping, light_judge.fitted(measured))
    np.testing.assert_allclose(found, 7 / math.log(4), rtol=1e-14)
    assert (top, missing) == pytest.approx((7 / math.log(4), 0.5 / math.log(4)))


def test_the_rate_is_one_over_mu_with_what_was_cut_off_allowed(measured):
    verdict = light_judge.rate_of(measured, LEVELS)
    rate = 1 / moments(Dirichlet(8, 0.3)).entropy
    _, _, lost = light_judge.slopes(measured, light_judge.fitted(measured))
    assert lost > 0 and verdict.exact == pytest.approx(rate)
    assert verdict.allowance == pytest.approx(0.1 * rate + lost)


def test_intervals_reach_up_by_what_was_cut_off(measured, settings, results, monkeypatch):
    law = Dirichlet(8, 0.3)
    jobs = light_judge.environment_jobs(law, OPTIONS["capacities"], OPTIONS["environments"], settings.seed)
    found = []
    for lost in (0.0, 0.7):
        monkeypatch.setattr(light_judge, "_cut", lambda law, capacity, *_, lost=lost: (capacity, lost))
        found.append(light_judge.measure(law, jobs, told(settings, results)))
    np.testing.assert_allclose(found[1].interval.high - found[0].interval.high, 0.7, rtol=1e-12)
    np.testing.assert_array_equal(found[1].interval.low, found[0].interval.low)
    for bound in ("sharper", "dual", "renewal"):
        gap, _ = light_draw.gap_of(found[0], bound)
        np.testing.assert_allclose(
            [gap.estimate, gap.low, gap.high],
            found[0].bounds[bound] - np.array(found[0].interval)[[0, 2, 1]],
        )


def test_random_laws_are_the_same_for_the_same_seed():
    first, again, other = (random_laws(9, seed) for seed in (0, 0, 1))
    spelled = [[law_identity(law) for laws in one.values() for law in laws] for one in (first, again, other)]
    assert spelled[0] == spelled[1] != spelled[2]
    assert [len(laws) for laws in first.values()] == [3, 2, 2, 2]
    assert random_laws(0, 0) == {}
    assert all(isinstance(law, Softmax) for law in first["softmax"])


def test_one_law_and_one_capacity(settings, tmp_path, without_checks):
    few = {**OPTIONS, "laws": OPTIONS["laws"][:1], "capacities": [3], "random_laws": 0, "environments": 20}
    alone = dataclasses.replace(settings, options=few, output=tmp_path)
    outcome = light.present(light.plan([alone]), finished(light.plan([alone]).jobs))
    assert [exhibit.name for exhibit in outcome.figures] == ["light", "light_gap"]
    assert [verdict.kind for verdict in outcome.verdicts].count("rate") == 0


def test_settings_without_effect_are_told(settings, measured):
    words = "simlab run experiment=light pair=paper decoder.drafts=2 trajectories=9"
    given = dataclasses.replace(settings, overrides=overrides(words))
    first = light._notes(given, [measured])[0]
    (second,) = told(given, {}).outcome(unused=("pair", "decoder")).notes
    assert "trajectories made no difference" in first
    assert "pair=paper, decoder.drafts=2 made no difference" in second


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"laws": []}, r"experiment.laws = \[\] is not valid; expected a list"),
        ({"laws": {"name": "zipf"}}, "experiment.laws = .* is not valid; expected a list"),
        ({"laws": ["zipf"]}, "experiment.laws has 'zipf': give {name: NAME"),
        (
            {"laws": [{"name": "gauss"}]},
            "experiment.laws: no distribution 'gauss': known are dirichlet, softmax",
        ),
        (
            {"laws": [{"name": "zipf", "scale": 1}]},
            "experiment.laws: distribution zipf has no option 'scale'",
        ),
        ({"laws": [{"name": "zipf", "states": math.inf}]}, "experiment.laws: states = inf"),
        ({"laws": [{"name": "dirichlet", "concentration": 0}]}, "concentration = 0"),
        ({"laws": [{"name": "softmax", "scale": 10001}]}, "experiment.laws: scale = 10001"),
        ({"capacities": []}, r"experiment.capacities = \[\]"),
        ({"capacities": 4}, "experiment.capacities = 4 is not valid; expected a list"),
        ({"capacities": [0, 1]}, "experiment.capacities = 0"),
        ({"capacities": [4, 1]}, "the smaller first"),
        ({"capacities": [4, 4]}, "expected each once"),
        ({"capacities": [10**9]}, "experiment.capacities = 1000000000"),
        ({"environments": 0}, "experiment.environments = 0"),
        ({"random_laws": -1}, "experiment.random_laws = -1"),
        ({"random_seed": "x"}, "experiment.random_seed = 'x'"),
        ({"random_capacities": None}, "experiment.random_capacities = None"),
        ({"search": 0}, "experiment.search = 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_one_line_for_what_it_cannot_run(settings, options, words):
    with pytest.raises(SimlabError, match=words):
        light.plan([dataclasses.replace(settings, options={**OPTIONS, **options})])


def test_counts_may_be_written_as_1e2(settings):
    told = {
        "environments": 1e2,
        "random_laws": 2.0,
        "random_seed": 1e1,
        "search": 3.0,
        "capacities": [1.0, 1e3],
    }
    options = options_of(dataclasses.replace(settings, options=settings.options | told))
    assert (options.environments, options.search, options.capacities) == (100, 3, (1, 1000))


def test_too_few_capacities_for_a_slope_are_told(settings, without_checks):
    options = OPTIONS | {
        "capacities": [1, 10, 100],
        "laws": [{"name": "zipf", "states": 4}],
        "random_laws": 0,
    }
    told = dataclasses.replace(settings, options=options)
    notes = light.present(light.plan([told]), finished(light.plan([told]).jobs)).notes
    assert any("No slope in log P is fitted" in note for note in notes)
    assert not any("not held against it" in note for note in notes)


def test_it_does_not_stop_by_a_half_width(settings):
    with pytest.raises(SimlabError, match=r"half_width = 0.1: .*experiment.environments"):
        light.plan([dataclasses.replace(settings, half_width=0.1)])
    assert options_of(settings).environments == 60
