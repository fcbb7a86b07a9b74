"""What is recorded of two rows, against the definitions written out; no model is needed."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from simlab import SimlabError
from simlab.models import Extras, Recorder
from simlab.models.algorithms import Bias, Decoded
from simlab.models.compacting import compacted
from simlab.models.draws import draw, rank_mass
from simlab.models.ngram import Ngram, NgramReader
from simlab.models.progress import Progress
from simlab.models.rows import batch_rejections, front_columns, path_columns
from tests.oracles.statistics import mismatches

RNG = np.random.default_rng(5)
ROWS = [tuple(RNG.dirichlet(np.full(6, 0.5), 2)) for _ in range(20)] + [
    (np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.25, 0.75])),
    (np.array([0.1, 0.9]), np.array([0.1, 0.9])),
]


@pytest.mark.parametrize(("draft", "target"), ROWS)
def test_batch_rejections_are_those_of_the_residuals_taken_in_turn(draft, target):
    for token in np.flatnonzero(target):
        found = batch_rejections(draft, target, int(token), (2, 3, 7))
        residual, mass = target, 1.0
        for failures in range(1, 8):
            mass *= np.maximum(residual - draft, 0).sum()
            left = np.maximum(residual - draft, 0)
            residual = left / left.sum() if left.any() else left
            if failures in (2, 3, 7):
                expected = mass * residual[token] / target[token]
                assert found[f"batch_rejection_{failures}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("draft", "target"), ROWS)
def test_the_columns_of_a_token_are_the_definitions(draft, target):
    token = int(np.flatnonzero(target)[-1])
    found = path_columns(draft, target, token)
    kept = [q for q in target if q > 0]
    assert found["draft_probability"] == draft[token] and found["target_probability"] == target[token]
    assert found["total_variation"] == pytest.approx(np.abs(draft - target).sum() / 2, abs=1e-12)
    assert found["draft_confidence"] == max(draft)
    assert found["draft_entropy"] == pytest.approx(-sum(p * np.log(p) for p in draft if p > 0), abs=1e-12)
    assert found["target_entropy"] == pytest.approx(-sum(q * np.log(q) for q in kept), abs=1e-12)
    assert found["target_log2_moment"] == pytest.approx(sum(q * np.log(q) ** 2 for q in kept), abs=1e-12)


@pytest.mark.parametrize(("draft", "target"), ROWS)
def test_the_front_of_one_step_is_a_line_and_other_replacements_lie_above_it(draft, target):
    found = front_columns(draft, target, (0.0, 0.1, 0.4))
    variation = np.abs(draft - target).sum() / 2
    for epsilon in (0.0, 0.1, 0.4):
        accept = np.minimum(1, np.divide(target + epsilon, draft, out=np.ones_like(draft), where=draft > 0))
        rejected = ((1 - accept) * draft).sum()
        assert found[f"over_acceptance_{epsilon:g}"] == pytest.approx(rejected, abs=1e-12)
        assert found[f"excess_loss_optimal_{epsilon:g}"] == pytest.approx(0, abs=1e-12)
        replacements = {"target": target, "draft": draft}
        for name, replacement in replacements.items():
            output = accept * draft + rejected * replacement
            excess = np.abs(output - target).sum() / 2 - (variation - rejected)
            assert found[f"excess_loss_{name}_{epsilon:g}"] == pytest.approx(excess, abs=1e-12)
            assert excess > -1e-12


def test_a_draw_never_picks_a_token_of_probability_0():
    row = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    assert [draw(row, u) for u in (0.0, 0.2499, 0.25, 0.9999999999999999)] == [1, 1, 3, 3]
    assert draw(np.array([0.3, 0.7, 0.0]) * (1 - 1e-16), np.nextafter(1.0, 0.0)) == 1


def test_rank_masses_of_a_row_fill_the_unit_interval():
    row = np.array([0.2, 0.4, 0.2, 0.2])
    assert rank_mass(row, 1, 0.0) == 0 and rank_mass(row, 1, 1.0) == pytest.approx(0.4)
    for tied in (0, 2, 3):
        assert rank_mass(row, tied, 0.0) == pytest.approx(0.4) and rank_mass(row, tied, 1.0) == pytest.approx(
            1
        )


def test_an_ngram_draft_counts_by_hand():
    model = Ngram(2, 4, [np.array([1, 2, 1, 2, 1, 3])])
    unigram = (np.array([0, 3, 2, 1]) + 3 / 4) / 9
    assert model.row([]) == pytest.approx(unigram)
    assert model.row([3]) == pytest.approx(unigram)  # nothing follows 3
    assert model.row([0, 1]) == pytest.approx((np.array([0, 0, 2, 1]) + 2 * unigram) / 5)
    assert model.row([2]).sum() == pytest.approx(1)
    reader = NgramReader(model, [[1], [2]])
    before = reader.last.copy()
    reader.begin()
    reader.push(np.array([[1, 2], [3, 3]]))
    reader.keep(np.array([0, 1]))
    again = reader.push(np.array([[1], [1]]))
    assert np.exp(again[:, 0]) == pytest.approx(np.tile(model.row([1]), (2, 1)))
    assert np.exp(before[0]) == pytest.approx(model.row([1]))


def test_a_recorder_needs_no_model():
    recorder = Recorder(temperature=0.5, draft_temperature=2.0, drafts=(2,), epsilons=(0.1,))
    logits = np.array([0.0, 1.0, 2.0], np.float32)
    recorder.observe(2, draft_logits=logits, target_logits=logits[::-1])
    recorder.observe(0, logits, logits)
    recorder.finish_sequence(kind="code")
    recorder.observe(1, logits, logits)
    with pytest.raises(SimlabError, match="not finished"):
        recorder.trace()
    recorder.finish_sequence()
    trace = recorder.trace()
    rows = {t: np.exp(logits / t) / np.exp(logits / t).sum() for t in (0.5, 2.0)}
    assert trace.lengths.tolist() == [2, 1] and trace.by_sequence("kind").tolist() == ["code", ""]
    assert trace.target_probability == pytest.approx([rows[0.5][0], rows[0.5][0], rows[0.5][1]], rel=1e-6)
    assert trace.draft_probability == pytest.approx([rows[2.0][2], rows[2.0][0], rows[2.0][1]], rel=1e-6)
    assert trace.provenance["processing"] == {"temperature": 0.5, "draft_temperature": 2.0}


@pytest.mark.parametrize(
    ("token", "draft", "target", "said"),
    [
        (3, [0, 1, 2], [0, 1, 2], "from 0 to 2"),
        (0, [0, 1], [0, 1, 2], "same vocabulary"),
        (1, [0, 1, 2], [0, -np.inf, 2], "probability 0"),
        (1, [0, np.nan, 2], [0, 1, 2], "draft"),
        (1, [0, 1, 2], [-np.inf] * 3, "target"),
        (1, [[0, 1, 2]], [0, 1, 2], "shape"),
    ],
)
def test_what_cannot_be_observed_is_refused_and_leaves_nothing(token, draft, target, said):
    recorder = Recorder()
    with pytest.raises(SimlabError, match="sequence 0, position 0") as caught:
        recorder.observe(token, np.array(draft, float), np.array(target, float))
    assert said in str(caught.value)
    with pytest.raises(SimlabError, match="no token"):
        recorder.finish_sequence()


def test_a_recorder_refuses_settings_that_are_none():
    with pytest.raises(SimlabError, match="heat"):
        Recorder(heat=1)
    with pytest.raises(SimlabError, match="temperature"):
        Recorder(temperature=-1)
    with pytest.raises(SimlabError, match="drafts"):
        Extras(drafts=(1,))


def test_compact_columns_are_close_and_confidence_stays_the_largest():
    rng = np.random.default_rng(3)
    p = rng.random(1000)
    found = compacted(
        {"draft_probability": p, "draft_confidence": p, "total_variation": p, "token": np.arange(3)}
    )
    assert np.abs(found["draft_probability"] / p - 1).max() < 1e-6
    assert np.abs(found["total_variation"] / p - 1).max() < 5e-4
    assert (found["draft_confidence"] >= found["draft_probability"]).all()
    assert compacted({"x": np.array([1e-16, -1e-16])})["x"].tolist() == [0, 0]


@pytest.mark.statistical
@pytest.mark.parametrize("replacement", ["optimal", "target", "draft", "residual"])
def test_over_acceptance_emits_what_yin_et_al_say(replacement):
    """One token: min(draft, target + epsilon), and the rest from the replacement."""
    draft, target, epsilon = np.array([0.6, 0.3, 0.1, 0.0]), np.array([0.1, 0.25, 0.35, 0.3]), 0.2
    kept = np.minimum(draft, target + epsilon)
    by = {
        "optimal": np.maximum(target - kept, 0),
        "residual": np.maximum(target - draft, 0),
        "target": target,
        "draft": draft,
    }[replacement]
    exact = kept + (1 - kept.sum()) * by / by.sum()
    report = Progress(10**9, stream=io.StringIO())
    text = Decoded(np.random.default_rng(8), 10**9, frozenset(), 1, report)
    for _ in range(40_000):
        text.verify_biased(Bias(epsilon, replacement), draft, target)
    told = dict(enumerate(exact))
    assert not mismatches(told, Counter(text.tokens))
    assert mismatches(dict(enumerate(target)), Counter(text.tokens))
    wrong = binomtest(text.rejections, 40_000, 1 - kept.sum()).pvalue
    assert wrong > 1e-6 and text.outcomes.count(0) == text.rejections


def test_an_impossible_token_of_a_biased_decoder_has_no_likelihood():
    text = Decoded(np.random.default_rng(8), 5, frozenset(), 1, Progress(5, stream=io.StringIO()))
    text.verify_biased(Bias(1.0, "optimal"), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert text.tokens == [0] and text.log_likelihood == -np.inf and text.acceptances == [1.0]
