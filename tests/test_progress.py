"""How far long computations are: loops that say so, and what is shown of it."""

from __future__ import annotations

import io
import threading

import pytest

import simlab
from simlab import progress
from simlab.cli.waiting import Waiting, described
from simlab.pairs import paper
from simlab.progress import Step, listening, stepping


@pytest.fixture
def heard(monkeypatch):
    """All steps that are told, none left out; None at the end of an outermost loop."""
    monkeypatch.setattr(progress, "EVERY", -1.0)
    steps: list[Step | None] = []
    with listening(steps.append):
        yield steps


def shares(steps) -> list[float]:
    return [step.share for step in steps if step is not None]


def test_without_a_listener_a_loop_is_itself():
    items = [1, 2]
    assert stepping(items, "nothing") is items


def test_a_loop_tells_its_share(heard):
    assert list(stepping(range(4), "four")) == [0, 1, 2, 3]
    assert shares(heard) == [0.25, 0.5, 0.75, 1.0] and heard[-1] is None
    assert heard[0].what == "four" and heard[0].inner == ""


def test_a_generator_may_say_how_many_there_are(heard):
    assert list(stepping((x for x in "ab"), "letters", total=2)) == ["a", "b"]
    assert shares(heard) == [0.5, 1.0]


def test_loops_within_refine_the_share_and_it_never_goes_back(heard):
    for _ in stepping(range(2), "outer"):
        for _ in stepping(range(2), "first"):
            pass
        for _ in stepping(range(4), "second"):
            pass
    found = shares(heard)
    assert found == sorted(found) and found[0] == 0.25 and found[-1] == 1.0
    assert heard[0].inner == "first" and {step.what for step in heard if step} == {"outer"}
    assert heard.count(None) == 1


def test_a_loop_that_is_left_is_forgotten(heard):
    for one in stepping(range(5), "left"):
        if one == 2:
            break
    del one
    with pytest.raises(ZeroDivisionError):
        for _ in stepping(range(2), "outer"):
            for _ in stepping(range(2), "inner"):
                raise ZeroDivisionError
    heard.clear()
    list(stepping(range(1), "next"))
    assert [step and step.what for step in heard] == ["next", None]


def test_other_threads_tell_nothing(heard):
    thread = threading.Thread(target=lambda: list(stepping(range(3), "elsewhere")))
    thread.start()
    thread.join()
    assert heard == []


@pytest.mark.parametrize(
    "decoder",
    [
        simlab.Speculative(),
        simlab.Speculative(2, bonus=True),
        simlab.BiasedSpeculative(0.1),
        simlab.HistorySpeculative(),
        simlab.MultiDraftSpeculative((2,)),
    ],
    ids=lambda decoder: type(decoder).__name__,
)
def test_exact_numbers_are_told_of_step_by_step(heard, decoder):
    pair = paper(horizon=6)
    expected = simlab.predict(pair, decoder)
    assert shares(heard).count(1.0) >= 1 and len(shares(heard)) >= pair.horizon and heard[-1] is None
    heard.clear()
    with listening(None):
        assert simlab.predict(pair, decoder).expected_rejections == expected.expected_rejections
    assert heard == []


def test_a_plan_is_one_computation_from_rule_to_rule(heard, monkeypatch):
    for name in ("DEAR", "MANY"):
        monkeypatch.setattr(f"simlab.planning.exact.{name}", 0)  # nothing is compiled for it
    simlab.plan(pair=paper(horizon=6), cost=simlab.CostModel(0.1, 1.0))
    whats = {step.what for step in heard if step is not None}
    assert "other rules for how much to draft" in whats
    inner = {step.inner for step in heard if step is not None}
    assert {"thresholds of confidence", "times of thresholds", "the optimal policy"} & inner


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_live_line_that_goes_when_the_waiting_ends():
    stream = Terminal()
    shown = Waiting(stream)
    shown(Step("plans", 0.1, 0.5))
    assert stream.getvalue() == ""  # nobody waits yet
    shown(Step("plans", 0.5, 30.0, "the optimal policy"))
    assert stream.getvalue().startswith("\rplans (the optimal policy): 50%, 0:30 left")
    shown(None)
    assert stream.getvalue().endswith(f"\r{'':<79}\r")


def test_elsewhere_a_line_now_and_then():
    now = [0.0]
    stream = io.StringIO()
    shown = Waiting(stream, clock=lambda: now[0])
    for seconds in (1, 9, 11, 15, 22):
        now[0] = float(seconds)
        shown(Step("plans", seconds / 100, float(seconds)))
    shown(None)
    assert stream.getvalue().splitlines() == ["plans: 11%, 1:29 left", "plans: 22%, 1:18 left"]


def test_the_time_left_is_told_once_it_is_known():
    assert described(Step("plans", 0.01, 100.0)) == "plans: 1%, estimating the time left"
    assert described(Step("plans", 0.25, 3000.0)) == "plans: 25%, 2:30:00 left"
