"""Rows of verdicts: what a heading says already is not said again, and which verdict was the closest call."""

import math

import pytest

from simlab.cli.output.verdict_tables import check_table, verdict_table
from simlab.report.page import render_page
from simlab.report.rows import claim, closest_call, verdict_row
from tests.report.documents import check, experiment, verdict


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("Figure 2 on paper: E[N_rej]", "Figure 2 on paper", "E[N_rej]"),
        ("Figure 4 on file, one token: loss", "Figure 4 on file, pair.path=zeros.npz", "one token: loss"),
        ("decoder.drafts=2: E[N_rej]", "drafts on paper", "decoder.drafts=2: E[N_rej]"),
        ("Figure 2", "Figure 2", "Figure 2"),
        ("x", "", "x"),
    ],
)
def test_a_claim_under_its_heading(name, title, said):
    assert claim(name, title) == said
    assert verdict_row(verdict(name), title)["claim"] == said
    assert verdict_row(verdict(name))["claim"] == name


def test_the_closest_call_counts_half_widths_on_the_side_of_the_exact_value():
    near = verdict("near", estimate=1.0, low=0.5, high=3.0, exact=0.9)  # 0.1 of 0.5
    far = verdict("far", estimate=1.0, low=0.5, high=3.0, exact=1.8)  # 0.8 of 2
    assert closest_call([near, far]) == (pytest.approx(0.4), far)
    assert closest_call([]) is None
    beyond = verdict(estimate=1.0, low=1.0, high=1.0, exact=1.5)
    assert closest_call([near, beyond]) == (math.inf, beyond)
    certain = verdict(estimate=0.0, low=0.0, high=0.1, exact=0.0)
    unbounded = verdict(estimate=1.0, low="-inf", high="inf", exact=3.0)
    assert closest_call([certain])[0] == closest_call([unbounded])[0] == 0


def test_a_bound_and_a_rate_say_what_they_claim():
    bound = verdict("b", kind="bound", exact=2.5, estimate=1.0, low=0.9, high=1.1)
    rate = verdict("r", kind="rate", exact=0.4, estimate=0.5, low=0.3, high=0.7, allowance=0.05)
    assert verdict_row(bound)["exact"] == "<= 2.5"
    assert verdict_row(rate)["exact"] == "0.4 ± 0.05"
    assert "<= 2.5" in verdict_table([bound], "") and "0.4 ± 0.05" in verdict_table([rate], "")
    assert "&lt;= 2.5" in render_page([experiment(verdicts=[bound])], [], [])


def test_a_bound_is_a_close_call_from_above_only_and_a_rate_beyond_its_allowance():
    kept = verdict("kept", kind="bound", exact=2.5, estimate=1.0, low=0.9, high=1.1)
    broken = verdict("broken", kind="bound", exact=0.95, estimate=1.0, low=0.9, high=1.1)
    assert closest_call([kept])[0] == 0
    assert closest_call([kept, broken]) == (pytest.approx(0.5), broken)
    rate = verdict("r", kind="rate", exact=0.4, estimate=0.5, low=0.3, high=0.7, allowance=0.05)
    assert closest_call([rate])[0] == pytest.approx(0.25)
    assert closest_call([{**rate, "allowance": 0.2}])[0] == 0


def test_the_page_sums_up_each_experiment_first():
    verdicts = [
        verdict("drafts: E[N_rej]", estimate=1, low=0, high=2, exact=1.7),
        verdict("drafts: distribution"),
    ]
    text = render_page([experiment(verdicts=verdicts, checks=[check()])], [], [])
    row = text[text.index('<th scope="row"><a href="#drafts">drafts</a>') :].partition("</tr>")[0]
    assert "2 PASS" in row and "1 PASS" in row and "0.7<" in row and ">E[N_rej]<" in row


def test_tables_fit_a_narrow_terminal_and_nothing_is_left_out(monkeypatch):
    verdicts = [verdict(f"Figure 4 on paper, one token, optimal, epsilon = {e}: E[N_rej]") for e in range(3)]
    checks = [check(scope="all 350 (t, x), " * 12)]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    piped = verdict_table(verdicts, "Figure 4 on paper")
    assert len(piped.splitlines()) == 4 and "one token, optimal, epsilon = 2: E[N_rej]  mean" in piped
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for text in (verdict_table(verdicts, "Figure 4 on paper"), check_table(checks, "")):
        assert max(map(len, text.splitlines())) <= 80
    narrow = verdict_table(verdicts, "Figure 4 on paper")
    assert narrow.count("16.4049") == 3 and "one token, optimal, epsilon = 2: E[N_rej] (mean)" in narrow
