"""Names of folders and files that say what was asked: short, safe on every file system, one a request."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence

LONGEST = 59
"""Characters of a name, its digest included."""

LONGEST_OF_FILES = LONGEST - len(".png")
"""The same without a file's ending."""

DIGEST = 8

_UNSAFE = re.compile(r"[^A-Za-z0-9=.,_+-]+")
_DIGESTED = re.compile(rf"-[0-9a-f]{{{DIGEST}}}$")
_WORD = re.compile(r"-(?=[A-Za-z_][A-Za-z0-9_.]*=)")  # where a new word begins in a name


def name_of(
    parts: Sequence[str], words: Iterable[str] = (), content: str = "", longest: int = LONGEST
) -> str:
    """A name of at most `longest` characters for what `words` (key=value, in any order) ask of `parts`.

    parts: what comes first, such as an experiment and a pair. content: what makes the result another one and
    is not in the words, such as the digest of a file that they name. All of it is spelled out where that
    fits; else keys lose their group, then words are left out. Where the name does not say everything it ends
    with a digest of everything: other requests have other names. It never begins with a dot or has a
    separator: it names something in its folder.

    Example: name_of(["study", "paper"], ["seed=3", "decoder.drafts=1..64"]) is
    "study-paper-decoder.drafts=1..64-seed=3".
    """
    words = sorted(words)
    exact = "-".join([*parts, *words])
    full = _safe([*parts, *words])
    ambiguous = _WORD.split(exact) != ["-".join(parts), *words] if parts else _WORD.split(exact) != words
    ambiguous |= any(not part or "-" in part for part in parts) or exact.startswith((".", "-"))
    ambiguous |= _DIGESTED.search(exact) is not None
    if full == exact and not content and not ambiguous and len(full) <= longest:
        return full
    everything = "\0".join([*parts, *words, content]).encode()
    digest = hashlib.sha256(everything).hexdigest()[:DIGEST]
    room = longest - DIGEST - 1
    short = [re.sub(r"^[^=]*\.(?=[^=.]*=)", "", word) for word in words]
    tries = [full, *(_safe([*parts, *short[:kept]]) for kept in range(len(short), -1, -1))]
    fitting = next((name for name in tries if len(name) <= room), None)
    return f"{_cut(tries[-1], room) if fitting is None else fitting}-{digest}".lstrip("-.")


def compact(values: Sequence[str]) -> str:
    """Values as a name has them: runs of whole numbers as ranges, the others one by one.

    Example: ["1", "2", "3", "4", "8"] is "1..4,8".
    """
    spelled = []

    def run_of(numbered: tuple[int, str]) -> int | str:
        index, value = numbered
        return int(value) - index if _is_whole(value) else value

    for _, run in itertools.groupby(enumerate(values), run_of):
        run = [value for _, value in run]
        spelled += [f"{run[0]}..{run[-1]}"] if len(run) > 2 and _is_whole(run[0]) else run
    return ",".join(spelled)


def _cut(name: str, room: int) -> str:
    """What fits of a name that is too long, up to the end of a value where there is one."""
    room -= len("..")
    end = max(name.rfind("-", 0, room + 1), name.rfind(",", 0, room + 1))
    return name[: end if end > 0 else room] + ".."


def _is_whole(value: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]*", value) is not None


def _safe(words: Iterable[str]) -> str:
    """Joined, with one _ for what a file system may not take, and none at a value's ends."""
    told = ("=".join(part.strip("_") or part for part in _UNSAFE.sub("_", word).split("=")) for word in words)
    return "-".join(told)
