"""Names of results' folders: short, readable, and different for different requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.file_names import LONGEST, compact, name_of


@pytest.mark.parametrize(
    ("parts", "words", "name"),
    [
        (["fig2", "paper"], [], "fig2-paper"),
        (["fig2", "paper"], ["seed=3", "decoder=batch"], "fig2-paper-decoder=batch-seed=3"),
        (["study", "file"], ["decoder.drafts=1..64"], "study-file-decoder.drafts=1..64"),
        (["bias", "paper"], ["decoder.epsilon=1e-3"], "bias-paper-decoder.epsilon=1e-3"),
    ],
)
def test_what_fits_is_spelled_out_without_a_digest(parts, words, name):
    assert name_of(parts, words) == name_of(parts, words[::-1]) == name


@pytest.mark.parametrize(
    ("words", "content", "start"),
    [
        (["pair.path=mine.npz"], "of its bytes", "study-file-pair.path=mine.npz-"),
        (["experiment.drafts=[1..5]"], "", "study-file-experiment.drafts=1..5-"),
        (
            ["decoder.window=4", "decoder.bonus=true", "trajectories=400000"],
            "",
            "study-file-bonus=true-window=4-",
        ),
        (["pair.path=my pair.npz"], "", "study-file-pair.path=my_pair.npz-"),
        (["a=1-b=2"], "", "study-file-a=1-b=2-"),
    ],
    ids=["a file", "a list", "too long", "a blank", "as two words"],
)
def test_what_is_not_said_is_in_a_digest(words, content, start):
    name = name_of(["study", "file"], words, content)
    assert name.startswith(start) and re.search(r"-[0-9a-f]{8}$", name)
    assert name != name_of(["study", "file"], words, content + "!")


WORDS = st.lists(
    st.builds(
        "{}={}".format,
        st.sampled_from(["decoder.drafts", "drafts", "pair.path", "seed"]),
        st.text("ab19/~-,[]=. é", max_size=40),
    ),
    unique=True,
    max_size=4,
)


@given(WORDS, WORDS)
def test_other_words_have_another_name(one, other):
    names = [name_of(["study", "paper"], words) for words in (one, other)]
    assert (names[0] == names[1]) == (sorted(one) == sorted(other))
    assert all(len(name) <= LONGEST and re.fullmatch(r"[A-Za-z0-9=.,_+-]+", name) for name in names)


@given(st.lists(st.integers(-3, 12).map(str) | st.sampled_from(["0.5", "01", "inf"]), max_size=8))
def test_a_range_stands_for_its_numbers_and_no_others(values):
    found = []
    for part in filter(None, compact(values).split(",")):
        first, dots, last = part.partition("..")
        found += [str(one) for one in range(int(first), int(last) + 1)] if dots else [part]
    assert found == values


PARTS = st.lists(st.text("ab./-_~é日", max_size=12), min_size=1, max_size=2)


@given(PARTS, PARTS)
def test_other_parts_have_another_name_which_stays_in_its_folder(one, other):
    names = [name_of(parts) for parts in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert all(re.fullmatch(r"[A-Za-z0-9=,_+][A-Za-z0-9=.,_+-]*", name) for name in names)


def test_a_name_that_looks_as_if_it_had_a_digest_gets_one():
    digested = name_of(["study", "ü"])
    assert name_of(digested.split("-")) != digested


def test_runs_of_three_and_more_are_ranges():
    assert compact(["1", "2", "3", "4", "8", "10", "11"]) == "1..4,8,10,11"


def test_where_the_first_part_is_too_long_it_ends_after_a_value():
    name = name_of(["acceptance=" + ",".join(str(i / 100) for i in range(50))])
    assert re.fullmatch(r"acceptance=0\.0,0\.01,.*,0\.\d+\.\.-[0-9a-f]{8}", name) and len(name) <= LONGEST
