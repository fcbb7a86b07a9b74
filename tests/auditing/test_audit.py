"""The audit's verdicts: right verifiers PASS, every shipped mistake FAILs, and the report says where."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import simlab
from simlab.errors import SimlabError
from tests.auditing import verifiers

CHEAP = {"resolution": 0.1}
SEEDS = range(20) if os.environ.get("HYPOTHESIS_PROFILE") == "long" else range(1)
"""All that a search by hand looks at: `HYPOTHESIS_PROFILE=long scripts/test tests/auditing`, ten minutes."""


@pytest.mark.parametrize("verify", verifiers.RIGHT, ids=lambda one: one.__name__)
@pytest.mark.statistical
def test_a_right_verifier_passes(verify):
    report = simlab.audit(verify, **CHEAP)
    assert report.outcome == "PASS", report
    assert report.resolution <= 0.1 and report.evidence < 1e6
    assert report.instance is None and report.mistake is None


@pytest.mark.statistical
@pytest.mark.parametrize("verify", verifiers.RIGHT, ids=lambda one: one.__name__)
def test_a_right_verifier_passes_whatever_the_seed(verify):
    for seed in range(1, 1 + max(4, len(SEEDS))):
        assert simlab.audit(verify, seed=seed, window=1 + seed % 4, resolution=0.15).outcome == "PASS"


NAMES = {
    verifiers.replacement_from_target: "from the target instead of the residual",
    verifiers.one_uniform: "one uniform",
    verifiers.all_accepted: "wrong count",
    verifiers.reused_noise: "reuses the noise",
    verifiers.greedy_as_sampled: "greedy draft",
    verifiers.own_noisy_drafts: "",
    verifiers.raw_draft_rows: "other draft rows",
    verifiers.temperature_in_the_bonus_only: "missing in the test, but present for the bonus token",
    verifiers.filter_in_the_bonus_only: "bonus token only",
}
"""The mistakes that shipped, and what a report calls them; two do what an interface forbids."""


@pytest.mark.statistical
@pytest.mark.parametrize("verify", verifiers.WRONG, ids=lambda one: one.__name__)
def test_a_shipped_mistake_fails_and_is_named(verify):
    for seed in SEEDS:
        report = simlab.audit(verify, seed=seed, resolution=0.03)
        assert report.outcome == "FAIL" and report.kind in ("bias", "not drafted"), report
        assert report.instance in {one.name for one in report.instances}
        assert NAMES[verify] in (report.mistake or "")
        assert not report.mistake or report.mistake in report.sentence
        if report.kind == "bias":
            assert report.evidence >= 1e6 and report.accepted == report.position - 1
            low, high = report.interval
            assert 0 <= low <= report.total_variation <= high <= 1
            assert report.wanted.sum() == pytest.approx(1) and report.seen.sum() == pytest.approx(1)


def sharpened(tokens, draft, target, rng):
    """Rows that a temperature of 0.5 has been taken from."""
    rows = draft.astype(float) ** 0.5
    return verifiers.token(tokens, rows / rows.sum(axis=1, keepdims=True), target, rng)


def flattened(tokens, draft, target, rng):
    return verifiers.token(tokens, 0.6 * draft + 0.4 / draft.shape[1], target, rng)


def warmed_in_the_test(tokens, draft, target, rng):
    warm = target.astype(float) ** 1.3
    warm[-1] = target[-1]
    return verifiers.token(tokens, draft, warm / warm.sum(axis=1, keepdims=True), rng)


def warmed_everywhere(tokens, draft, target, rng):
    warm = target.astype(float) ** 0.75
    return verifiers.token(tokens, draft, warm / warm.sum(axis=1, keepdims=True), rng)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("verify", "words"),
    [
        (sharpened, "other draft rows"),
        (flattened, "other draft rows"),
        (warmed_in_the_test, "missing in the test, but present for the bonus token"),
        (warmed_everywhere, "missing, at all positions"),
    ],
)
def test_rows_before_temperature_or_filters_are_named_whatever_they_were(verify, words):
    for seed in range(1, 1 + max(2, len(SEEDS))):
        report = simlab.audit(verify, window=2, seed=seed, resolution=0.03)
        assert report.outcome == "FAIL" and words in report.mistake, report


@pytest.mark.statistical
def test_the_evidence_against_a_right_verifier_has_mean_at_most_one():
    """Forty-two seeds, with other rows and draws each: evidence of 1e9 has probability 1e-9 a seed, and a
    median of 8 is passed by more than half of them with probability below 2^42 8^-21 = 5e-7 (Markov)."""
    found = [
        simlab.audit(verifiers.token, window=2, seed=seed, resolution=0.3).evidence for seed in range(42)
    ]
    assert max(found) < 1e9 and np.median(found) < 8
    wrong = [simlab.audit(verifiers.one_uniform, seed=seed, resolution=0.05) for seed in range(3)]
    assert all(report.evidence >= 1e6 for report in wrong)


@pytest.mark.statistical
def test_a_filter_of_the_bonus_token_is_found_at_the_bonus_token():
    report = simlab.audit(verifiers.filter_in_the_bonus_only, window=2, resolution=0.03)
    assert (report.position, report.accepted) == (3, 2) and len(report.prefix) == 2


@pytest.mark.parametrize("verify", [verifiers.LeakingState, verifiers.CachedRows])
@pytest.mark.statistical
def test_state_that_leaks_from_call_to_call_fails(verify):
    assert simlab.audit(verify(), resolution=0.03).outcome == "FAIL"


@pytest.mark.parametrize("verify", [verifiers.token, verifiers.block], ids=lambda one: one.__name__)
@pytest.mark.statistical
def test_a_right_verifier_of_batches_passes(verify):
    assert simlab.audit(verifiers.in_a_batch(verify), batched=True, **CHEAP).outcome == "PASS"


def test_a_batch_may_come_back_as_an_array_padded_with_minus_one():
    def padded(tokens, draft, target, rng):
        found = np.full((len(tokens), tokens.shape[1] + 1), -1)
        for row, one in zip(
            found, verifiers.in_a_batch(verifiers.token)(tokens, draft, target, rng), strict=True
        ):
            row[: len(one)] = one
        return found

    assert simlab.audit(padded, batched=True, **CHEAP).outcome == "PASS"


@pytest.mark.parametrize(
    "verify", [verifiers.wrong_rows_from_the_third_sequence_on, verifiers.one_uniform_for_the_batch]
)
@pytest.mark.statistical
def test_sequences_of_a_batch_that_mix_fail(verify):
    report = simlab.audit(verify, batched=True, resolution=0.03)
    assert report.outcome == "FAIL"
    if verify is verifiers.wrong_rows_from_the_third_sequence_on:
        assert "wrong rows of a batch" in report.mistake and "from the third sequence on" in report.sentence


@pytest.mark.statistical
def test_a_small_bias_on_one_instance_is_found():
    """Total variation .06 of the first token, on the instance with one-hot draft rows alone."""

    def verifier(tokens, draft, target, rng):
        if draft[0].max() == 1 and target[0].max() < 1 and rng.random() < 0.12:
            return [int(tokens[0])]
        return verifiers.token(tokens, draft, target, rng)

    report = simlab.audit(verifier, window=1, resolution=0.04, states=[4])
    assert report.outcome == "FAIL"
    assert report.position == 1 and report.interval[0] < 0.12


@pytest.mark.parametrize("window", [1, 6])
@pytest.mark.statistical
def test_other_windows_and_vocabularies(window):
    assert simlab.audit(verifiers.token, window=window, states=[2, 5], resolution=0.1).outcome == "PASS"
    assert simlab.audit(verifiers.all_accepted, window=window, states=[3], resolution=0.1).outcome == "FAIL"


@pytest.mark.parametrize(("verify", "law"), [(verifiers.token, "token"), (verifiers.block, "block")])
@pytest.mark.statistical
def test_a_verifier_is_held_to_its_own_number_of_accepted_tokens(verify, law):
    report = simlab.audit(verify, law=law, **CHEAP)
    assert report.outcome == "PASS" and law in report.sentence


@pytest.mark.parametrize(
    ("verify", "law", "word"),
    [
        (verifiers.sampler_match, "token", "fewer"),
        (verifiers.token, "block", "fewer"),
        (verifiers.block, "token", "more"),
    ],
)
@pytest.mark.statistical
def test_an_unbiased_verifier_that_accepts_another_number_fails_its_law(verify, law, word):
    report = simlab.audit(verify, law=law, resolution=0.03)
    assert report.outcome == "FAIL" and report.kind == "acceptance", report
    assert word in report.sentence and "No bias seen" in report.sentence


def test_the_same_seed_gives_the_same_report():
    one, other = (simlab.audit(verifiers.token, seed=3, resolution=0.15).document() for _ in range(2))
    one.pop("seconds"), other.pop("seconds")
    assert one == other


def test_the_report_prints_and_is_plain_data():
    report = simlab.audit(verifiers.all_accepted)
    assert str(report).startswith("FAIL: ") and "total variation" in str(report)
    assert json.loads(json.dumps(report.document()))["outcome"] == "FAIL"


def test_without_time_it_is_inconclusive_and_says_what_may_hide():
    report = simlab.audit(verifiers.token, seconds=1e-9)
    assert report.outcome == "INCONCLUSIVE" and "hidden" in report.sentence
    assert report.resolution > 0.01


def test_ctrl_c_leaves_a_report():
    calls = []

    def verifier(tokens, draft, target, rng):
        calls.append(1)
        if len(calls) == 3000:
            raise KeyboardInterrupt
        return verifiers.token(tokens, draft, target, rng)

    report = simlab.audit(verifier)
    assert report.outcome == "INCONCLUSIVE" and report.interrupted and report.calls == 2999


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"window": 0}, "window"),
        ({"window": 2.5}, "window"),
        ({"states": 1}, "states"),
        ({"states": []}, "states"),
        ({"states": "4"}, "states"),
        ({"false_alarm": 0}, "false_alarm"),
        ({"false_alarm": 1}, "false_alarm"),
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"seed": -1}, "seed"),
        ({"batched": 1}, "batched"),
        ({"law": "tokens"}, "law"),
        ({"law": "block", "window": 20}, "prefixes"),
        ({"time_limit": 0}, "time_limit"),
        ({"seconds": 0}, "seconds"),
    ],
)
def test_settings_out_of_range_are_named(settings, word):
    with pytest.raises(SimlabError, match=word):
        simlab.audit(verifiers.token, **settings)


def test_what_cannot_be_called_is_named():
    with pytest.raises(SimlabError, match="verifier = 3"):
        simlab.audit(3)
