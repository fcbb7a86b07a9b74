"""Chains counted from texts: the counting, the weaker draft, and texts that cannot be counted."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.pairs import corpus
from simlab.pairs.corpus import alphabet


@pytest.fixture
def text(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_counts_are_the_bigrams_of_the_circular_text(text):
    pair = corpus(text("aab\n" * 400), horizon=6, draft_fraction=1.0, smoothing=0.0)
    # Tokens by falling frequency: a (800), then the line break and b (400 each) by code point.
    expected = [[0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    np.testing.assert_array_equal(pair.target[0], expected)
    np.testing.assert_array_equal(pair.draft[0], expected)
    np.testing.assert_array_equal(pair.initial, [0, 1, 0])
    assert len(pair.target_rows) == 1 and pair.horizon == 6


def test_a_missing_last_line_break_and_any_line_ends_are_the_same_text(text):
    plain = corpus(text("ab c\n" * 300), smoothing=0.0, draft_fraction=1.0)
    for other in ("ab c\r\n" * 300, ("ab c\n" * 300)[:-1], "\ufeff" + "ab c\r" * 300):
        assert corpus(text(other, "other.txt"), smoothing=0.0, draft_fraction=1.0).digest == plain.digest


def test_a_unigram_draft_does_not_see_the_last_token(text):
    pair = corpus(text("aab\n" * 400), draft_model="unigram", draft_fraction=1.0, smoothing=0.0)
    np.testing.assert_allclose(pair.draft[0], [[0.5, 0.25, 0.25]] * 3)


def test_smoothing_adds_to_every_pair(text):
    pair = corpus(text("aab\n" * 400), smoothing=2.0, draft_fraction=1.0)
    np.testing.assert_allclose(pair.target[0, 1], np.array([402.0, 2.0, 2.0]) / 406)


def test_rare_characters_become_one_token_but_never_the_line_break(text):
    words = "".join(chr(ord("a") + i) * (40 - i) for i in range(20)) * 2
    pair = corpus(text(words), max_states=5)
    assert pair.states == 5
    assert pair.initial.max() == 1.0 and pair.initial[4] == 0.0
    assert corpus(text(words), max_states=21).states == 21  # twenty letters and the line break fit


def test_the_built_in_text_is_english_and_a_larger_part_of_it_is_a_better_draft():
    weak, strong = (corpus(draft_fraction=part) for part in (0.01, 0.5))
    assert weak.states == strong.states and 60 < weak.states <= 256
    distance = [np.abs(pair.draft[0] - pair.target[0]).sum(-1).mean() for pair in (weak, strong)]
    assert distance[0] > 2 * distance[1]
    np.testing.assert_array_equal(weak.target[0], strong.target[0])


def test_the_alphabet_names_the_tokens(text):
    assert alphabet(text("aab\n" * 400)) == ("a", "\n", "b")
    assert alphabet(text(("é€𝄞" * 300 + "\n") * 2)) == ("é", "€", "𝄞", "\n")
    assert alphabet(text(("aab\n" * 400)[:-1])) == ("a", "\n", "b")


@pytest.mark.parametrize("most", [2, 3, 5, 20, 21, 22])
def test_the_alphabet_spells_the_text_and_is_silent_on_what_was_folded(text, most):
    words = "".join(chr(ord("a") + i) * (40 - i) for i in range(20)) * 2
    path = text(words)
    letters, pair = alphabet(path, most), corpus(path, max_states=most)
    assert len(letters) == pair.states and letters[int(pair.initial.argmax())] == "\n"
    folded = most < 21
    assert [bool(letter) for letter in letters] == [True] * (len(letters) - folded) + [False] * folded
    named = [letter for letter in letters if letter and letter != "\n"]
    assert named == sorted(named)[: len(named)] and named == sorted(set(words))[: len(named)]


def test_the_alphabet_refuses_what_the_corpus_refuses(text):
    for options, words in (
        ({"max_states": 1}, "max_states = 1"),
        ({"path": text("x" * 99)}, "99 characters"),
    ):
        with pytest.raises(SimlabError, match=words):
            alphabet(**options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 characters"),
        ("x" * 999, "has 999 characters: give a text of at least 1000"),
        (b"\x7fELF\0\0" * 500, "is binary \\(a zero byte at offset 4\\)"),
        (b"ok " * 400 + b"\xff\xfe", "not UTF-8 text \\(byte 0xff at offset 1200\\)"),
    ],
)
def test_texts_that_cannot_be_counted(text, content, words):
    with pytest.raises(SimlabError, match=words):
        corpus(text(content))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "/nowhere/at/all.txt"}, "no text /nowhere/at/all.txt"),
        ({"path": "/"}, "cannot read /"),
        ({"draft_model": "trigram"}, "expected one of bigram, unigram"),
        ({"draft_fraction": 0}, "draft_fraction = 0"),
        ({"draft_fraction": 1.1}, "draft_fraction = 1.1"),
        ({"smoothing": -1}, "smoothing = -1"),
        ({"smoothing": 0, "draft_fraction": 0.001}, "smoothing = 0: the draft's part"),
        ({"max_states": 1}, "max_states = 1"),
        ({"horizon": 0}, "horizon = 0"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(SimlabError, match=words):
        corpus(**options)


def test_the_digest_follows_the_content_not_the_path(text):
    first = corpus(text("abc\n" * 500, "one")).digest
    assert first == corpus(text("abc\n" * 500, "two")).digest
    assert first != corpus(text("abb\n" * 500, "two")).digest


def test_tokens_become_text_again(text):
    from simlab.pairs import alphabet as public
    from simlab.pairs import text_of_tokens
    from simlab.pairs.corpus import text_tokens

    content = "abc ähn\n" * 200
    path = text(content)
    assert public(path) == alphabet(path)
    assert text_of_tokens(text_tokens(path), path) == content
    assert text_of_tokens([], path) == ""
    folded = text_of_tokens(text_tokens(path, max_states=3), path, max_states=3)
    assert len(folded) == len(content) and set(folded) > {"\n", "\N{REPLACEMENT CHARACTER}"}
    for wrong, words in [([99], "token 99"), ([-1], "token -1"), ([0.5], "whole numbers"), ([[0]], "whole")]:
        with pytest.raises(SimlabError, match=words):
            text_of_tokens(wrong, path)
