"""Windows with a memory as settings and automata: what a rule is, which settings are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import (
    EmaSpeculative,
    HistorySpeculative,
    LadderSpeculative,
    SimlabError,
    StreakSpeculative,
)
from simlab.decoders import memory as decoders_memory
from simlab.decoders.memory import memory_of
from simlab.reference.memory import windows_of
from tests.oracles.rules import RULES
from tests.oracles.windows import first_memory, remembered


def windows_after(memory, outcomes) -> list[int]:
    """The windows of an automaton, call by call."""
    state, found = 0, [int(memory.windows[0])]
    for part in outcomes:
        state = memory.after[state, round(part * found[-1])]
        found.append(int(memory.windows[state]))
    return found


@st.composite
def rules(draw):
    """Any rule with windows up to 6."""
    shortest, start, longest = sorted(draw(st.tuples(*[st.integers(1, 6)] * 3)))
    limits = {"start": start, "shortest": shortest, "longest": longest}
    tenths = st.integers(0, 10).map(lambda tenth: tenth / 10)
    narrow, widen = sorted(draw(st.tuples(tenths, tenths)))
    weight, levels = draw(st.integers(1, 10)) / 10, draw(st.integers(1, 30))
    return draw(
        st.sampled_from(
            [
                HistorySpeculative(up=draw(st.integers(0, 3)), down=draw(st.integers(0, 3)), **limits),
                StreakSpeculative(streak=draw(st.integers(1, 4)), **limits),
                EmaSpeculative(weight=weight, narrow=narrow, widen=widen, levels=levels, **limits),
                LadderSpeculative(
                    start,
                    sorted({shortest, start, longest}),
                    weight,
                    draw(st.integers(-3, 3)) / 4,
                    draw(st.integers(-3, 3)) / 4,
                    levels,
                ),
            ]
        )
    )


@given(rules(), st.lists(st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.0]), max_size=25))
def test_the_automaton_the_reference_and_the_rule_in_words_have_the_same_windows(rule, outcomes):
    """Three descriptions that share no code, for any course of calls."""
    found = windows_after(memory_of(rule, 26 + rule.window), outcomes)
    memory = first_memory(rule)
    reference = windows_of(rule)
    wanted = [memory[0]]
    assert next(reference) == wanted[0]
    for part in outcomes:
        accepted = round(part * wanted[-1])
        memory = remembered(rule, memory, wanted[-1], accepted)
        wanted.append(memory[0])
        assert reference.send(accepted) == wanted[-1]
    assert found == wanted


def test_hugging_faces_heuristic_by_hand():
    """Two more after a call that was accepted whole, one fewer after any other; 1 and 20 are the ends."""
    memory = memory_of(HistorySpeculative(), 60)
    assert windows_after(memory, [1, 1, 0, 0.5]) == [5, 7, 9, 8, 7]
    assert windows_after(memory, [0] * 6)[-3:] == [1, 1, 1]
    assert windows_after(memory, [1] * 9)[-3:] == [19, 20, 20]


def test_eleven_equal_outcomes_by_hand():
    memory = memory_of(StreakSpeculative(), 200)
    assert windows_after(memory, [1] * 22) == [5] * 11 + [6] * 11 + [7]
    assert windows_after(memory, [1] * 10 + [0] * 11) == [5] * 21 + [4]
    assert windows_after(memory, [0] * 10 + [1] + [0] * 10) == [5] * 22


def test_a_moving_average_by_hand():
    """It begins at .55: .9 of it and .1 of the rate is .595, kept as .6; then .64, .68 (.676), .71 (.712)."""
    memory = memory_of(EmaSpeculative(), 12)
    assert windows_after(memory, [1] * 5) == [5, 5, 5, 5, 6, 7]
    assert windows_after(memory, [0] * 5) == [5, 5, 5, 5, 4, 3]  # .55, .5 (.495), .45, .41 (.405), .37


def test_sglangs_ladder_by_hand():
    """The average begins at 2: 2.2, then 2.35 (2.36), 2.5 (2.48), and 2.6, above 2.5, goes up to 7. Or down:
    1.6, 1.3 (1.28), 1.05 (1.04), .85, .7, .55, .45, .35, .3, and .25, 1 - 1/2 - 1/4, goes to 1."""
    memory = memory_of(LadderSpeculative(), 200)
    assert windows_after(memory, [1] * 4) == [3, 3, 3, 3, 7]
    assert windows_after(memory, [0] * 10) == [3] * 10 + [1]


def test_only_what_can_be_reached_within_the_text_is_a_state():
    far = HistorySpeculative(start=5, longest=10**9)
    memory = memory_of(far, 8)
    assert memory.after.shape[1] == 8 and len(memory.windows) < 80
    assert memory_of(HistorySpeculative(3, 0, 0), 50).windows.tolist() == [3]
    for rule in RULES.values():
        memory = memory_of(rule, 30)
        assert memory.windows[0] == rule.start
        assert set(np.unique(memory.after)) <= set(range(len(memory.windows)))
    with pytest.raises(ValueError, match="read-only"):
        memory.windows[0] = 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            lambda: HistorySpeculative(start=0),
            "start = 0 is not valid; expected a whole number of at least 1",
        ),
        (
            lambda: HistorySpeculative(start=21),
            "start = 21: expected a window from shortest = 1 to longest = 20",
        ),
        (lambda: StreakSpeculative(start=1, shortest=2), "start = 1: expected a window from shortest = 2"),
        (lambda: HistorySpeculative(up=-1), "up = -1 is not valid; expected a whole number of at least 0"),
        (lambda: HistorySpeculative(down=1.5), "down = 1.5 is not valid; expected a whole number"),
        (lambda: HistorySpeculative(longest=None), "longest = None is not valid; expected a whole number"),
        (
            lambda: StreakSpeculative(streak=0),
            "streak = 0 is not valid; expected a whole number of at least 1",
        ),
        (lambda: EmaSpeculative(weight=0), "weight = 0 is not valid; expected a finite number > 0 and <= 1"),
        (
            lambda: EmaSpeculative(narrow=0.8),
            "widen = 0.7 is not valid; expected a finite number >= 0.8 and <= 1",
        ),
        (lambda: EmaSpeculative(widen=1.1), "widen = 1.1 is not valid; expected a finite number"),
        (lambda: EmaSpeculative(levels=True), "levels = True is not valid; expected a whole number"),
        (lambda: LadderSpeculative(2), r"start = 2: expected one of windows = \[1, 3, 7\]"),
        (lambda: LadderSpeculative(1, [1, 1]), r"windows = \[1, 1\]: expected rising numbers"),
        (
            lambda: LadderSpeculative(1, [0, 1]),
            "windows = 0 is not valid; expected a whole number of at least 1",
        ),
        (
            lambda: LadderSpeculative(1, 3),
            "windows = 3 is not valid; expected a list of rising whole numbers",
        ),
        (lambda: LadderSpeculative(down=float("nan")), "down = nan is not valid; expected a finite number"),
    ],
)
def test_settings_that_are_refused(settings, told):
    with pytest.raises(SimlabError, match=told):
        settings()


def test_a_rule_with_too_many_states_is_refused(monkeypatch):
    monkeypatch.setattr(decoders_memory, "MOST_STATES", 1_000)
    with pytest.raises(SimlabError, match="more than 1,000 states; give fewer levels, a shorter streak or"):
        memory_of(StreakSpeculative(start=1, streak=10**5), 10**5)
