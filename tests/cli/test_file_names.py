"""Names of files: short, readable, and different for different settings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.cli.output.file_names import file_name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["cost.draft=0.02", "acceptance=0.6,0.8"], "acceptance=0.6,0.8-draft=0.02"),
        (["acceptance=0.8", "windows=[2,4]"], "acceptance=0.8-windows=2,4"),
        (["acceptance=0.8", "longest=4", "cost.target=31.5"], "acceptance=0.8-target=31.5-longest=4"),
    ],
    ids=["the source first", "a list", "three"],
)
def test_a_short_name_says_what_was_asked(words, name):
    assert file_name("acceptance", words) == name == file_name("acceptance", words[::-1])


def test_what_cannot_be_said_ends_in_a_digest():
    long = file_name("acceptance", [f"acceptance={','.join(str(i / 100) for i in range(50))}"])
    assert re.fullmatch(r"acceptance=0\.0,0\.01,.*\.\.-[0-9a-f]{8}", long)
    assert re.fullmatch(r"rates=mine-[0-9a-f]{8}", file_name("rates", ["rates=~/logs/mine.csv"]))
    assert file_name("rates", ["rates=a/b.csv"]) != file_name("rates", ["rates=a_b.csv"])
    assert file_name("rates", ["rates=b.csv"], "one") != file_name("rates", ["rates=b.csv"], "two")


WORDS = st.lists(
    st.builds(
        "{}={}".format,
        st.sampled_from(["acceptance", "rates", "pair.path", "cost.draft"]),
        st.text("ab/~-,[]. é"),
    ),
    unique=True,
    max_size=4,
)


@given(WORDS, WORDS)
def test_other_words_have_another_name(one, other):
    names = [file_name("rates", words) for words in (one, other)]
    assert (names[0] == names[1]) == (sorted(one) == sorted(other))
    assert all(len(name) + len(".png") < 60 and "/" not in name for name in names)
