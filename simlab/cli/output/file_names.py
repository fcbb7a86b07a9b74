"""Names of files made of what was asked for: short, readable, and different for different settings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

LONGEST = 55
"""Of a name without its ending, so that with it there are fewer than 60 characters."""

DIGEST = 8
PLAIN_LISTS = ("windows", "rates")
"""Keys whose list in brackets and without them mean the same, or are not both a list."""


def file_name(first: str, words: Iterable[str], told_apart_by: str = "") -> str:
    """A name of at most LONGEST characters that says the overrides `words`, the one of the key `first` first.

    Keys lose their group (pair.horizon=5 is horizon=5). A name that cannot say all of it, because it would be
    too long or a value has characters that a file's name should not have, ends in a digest of the words; so
    other words have another name. The order of words does not matter. told_apart_by: what the words do not
    say and the name should tell apart, as the content of a file; then there is always a digest.
    """
    words = sorted(words, key=lambda word: (word.partition("=")[0] != first, word))
    name = "-".join(map(_spelled, words))
    if len(name) <= LONGEST and not told_apart_by and all(map(_is_plain, words)):
        return name
    content = "\0".join([*words, told_apart_by]).encode()
    digest = hashlib.sha256(content).hexdigest()[:DIGEST]
    room = LONGEST - len("..-") - DIGEST
    if len(name) > room:
        ends = [at for at, letter in enumerate(name[: room + 1]) if letter in "-,"]
        name = name[: ends[-1] if ends else room] + ".."
    return f"{name}-{digest}"


def _spelled(word: str) -> str:
    """Without the group and a file's folder and ending, and without what a file's name should not have."""
    key, _, value = word.partition("=")
    value = re.sub(r"\.(csv|npz)$", "", value.strip("'\"[]").rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9=.,_+]+", "_", f"{key.rpartition('.')[2]}={value}").strip("_")


def _is_plain(word: str) -> bool:
    """Whether `_spelled` says all of the word."""
    key, _, value = word.partition("=")
    if key in PLAIN_LISTS and value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    plain = re.fullmatch(r"[A-Za-z0-9.,_+]+", value) and re.fullmatch(r"[A-Za-z0-9._]+", key)
    return bool(plain) and not value.endswith((".csv", ".npz"))
