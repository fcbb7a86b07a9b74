"""Prompts: a text file with one a line, and before it, if you like, its kind and a tab."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from simlab.checks import check_path
from simlab.errors import SimlabError

BUNDLED = Path(__file__).parent / "data" / "prompts.txt"
"""The prompts of the bundled traces."""


class Prompt(NamedTuple):
    """A text to go on with, and which kind of text it is ("" if the file does not say)."""

    kind: str
    text: str


def read_prompts(path) -> tuple[Prompt, ...]:
    r"""The prompts of a UTF-8 file: `text` or `kind<TAB>text` a line, \n for a line break, \t for a tab.

    Empty lines are skipped. Raises SimlabError for a file that is missing, not text, or without prompts.
    """
    path = Path(check_path("prompts", path)).expanduser()
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise SimlabError(f"prompts = {path}: no such file; give a text file with a prompt a line") from error
    except OSError as error:
        raise SimlabError(f"prompts = {path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SimlabError(
            f"prompts = {path} is not text (byte {error.start} is not UTF-8); give a prompt a line"
        ) from error
    if "\0" in text:
        raise SimlabError(f"prompts = {path} is not text (it has a zero byte); give a prompt a line")
    prompts = tuple(_prompt(line) for line in text.splitlines() if line.strip())
    if not prompts:
        raise SimlabError(f"prompts = {path} holds no prompt; give one a line")
    for number, prompt in enumerate(prompts, 1):
        if not prompt.text.strip():
            raise SimlabError(
                f"prompts = {path}: prompt {number} ({prompt.kind!r}) has no text behind its kind"
            )
    return prompts


def _prompt(line: str) -> Prompt:
    kind, tab, text = line.partition("\t")
    kind, text = (kind.strip(), text) if tab else ("", line)
    return Prompt(kind, text.replace("\\n", "\n").replace("\\t", "\t"))
