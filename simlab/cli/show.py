"""`simlab show`: one trajectory step by step, in the terminal and as a figure."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from simlab.checks import as_integer, check_count
from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import decoder_from, figures_from, output_from, pair_from
from simlab.cli.memory import check_pair
from simlab.cli.output.documents import plain
from simlab.cli.output.trajectory import WIDTH, trajectory_text, visible
from simlab.decoders import (
    Decoder,
    decoder_label,
    decoder_name,
    decoder_options,
)
from simlab.errors import SimlabError
from simlab.file_names import LONGEST_OF_FILES, name_of
from simlab.pairs import ChainPair, make_pair
from simlab.pairs.size import pair_size
from simlab.reference import Trajectory, trace_one

USAGE = """usage: simlab show [key=value ...] [--json]

One trajectory of a decoder on a pair, step by step: what each target call had drafted, the coin of each
drafted token against the probability of its acceptance, what was accepted, rejected and replaced, added by
the target and thrown away. It is the reference algorithm's own trajectory, simlab.trace_one in Python; the
same seed shows the same one.

  simlab show
  simlab show pair=corpus decoder.window=4 decoder.bonus=true seed=1
  simlab show pair=corpus decoder=batch decoder.drafts=3
  simlab show pair=corpus decoder=tree decoder.capacity=20
  simlab show pair=corpus decoder=block,                 or adaptive, confidence, biased, autoregressive

Settings are those of simlab predict, and seed. Without pair.horizon at most 20 positions are decoded, as
with pair.horizon=20. Positions and calls count from 1 (in --json from 0, as in Python). The figure lies in
OUTPUT/show-PAIR as PNG, SVG and CSV (output=results); figures=pdf adds a PDF. --json prints all of it as data
and writes no files.
"""

SETTINGS = ("pair", "decoder", "cost", "seed", "output", "figures")
HORIZON = 20
"""Positions that are shown where the horizon is not given."""
LONGEST, MOST_DRAFTS, MOST_NODES = 60, 16, 128
"""What a figure has room for."""


def main(words: list[str]) -> int:
    """Decode one trajectory, show it and draw it; returns the exit code."""
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    config = _one_point(words)
    further = figures_from(config)
    pair_name, options, pair = _pair(config, words)
    decoder = decoder_from(config, lambda: pair)
    seed = check_count("seed", as_integer(config["seed"]), least=0)
    if not as_json:
        _check_fits(pair, decoder)
    trajectory = trace_one(pair, decoder, seed)
    characters = _characters(pair_name, options)
    if as_json:
        document = _document({"name": pair_name, **options}, decoder, seed, trajectory, characters)
        print(json.dumps(document, indent=1))
        return 0
    said = "".join(f", {word}" for word in words if word.startswith("pair.") and "horizon" not in word)
    size = f"T = {pair.horizon}, V = {pair.states}"
    title = f"{decoder_label(decoder)}, pair {pair_name}{said}, {size}, seed {seed}"
    numbers = [str(token) for token in range(pair.states)]
    labels = [visible(one) for one in characters] or numbers
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    told = trajectory_text(trajectory, decoder, labels, spaced=not characters, colour=colour)
    heading = textwrap.fill(title, WIDTH, break_on_hyphens=False, break_long_words=False)
    _print(f"{heading}\n\n{told}\n")
    path = output_from(config) / f"show-{pair_name}" / _name(pair, decoder, words)
    paths = _draw(trajectory, decoder, title, characters or numbers, path, words, further)
    _print(f"written: {paths[0]}, {', '.join(path.suffix for path in paths[1:])}")
    return 0


def _one_point(words: list[str]) -> dict:
    """The configuration. Raises SimlabError for settings that mean nothing here, and for a grid."""
    for word in words:
        if re.split("[.=@]", word.lstrip("+~"), maxsplit=1)[0] not in SETTINGS:
            raise SimlabError(f"{word}: simlab show has {', '.join(SETTINGS)}")
    points = compose_points(words)
    if len(points) > 1:
        raise SimlabError(
            f"simlab show draws one trajectory, not a grid of {len(points)}: give each setting one value"
        )
    return points[0]


def _pair(config: dict, words: list[str]) -> tuple[str, dict, ChainPair]:
    """The generator's name and options, and the pair, no longer than HORIZON if no horizon is given, unless
    a policy or a draft from a file says how long it is."""
    name, options = pair_from(config)
    told = any(word.lstrip("+").startswith("pair.horizon=") for word in words)
    decoder = config["decoder"]
    from_file = decoder.get("policy", "optimal") != "optimal" or decoder.get("assumed_draft") is not None
    size = pair_size(name, options)
    if not told and size is not None and size.horizon > HORIZON and not from_file:
        options["horizon"] = HORIZON
    check_pair(name, options)
    return name, options, make_pair(name, **options)


def _check_fits(pair: ChainPair, decoder: Decoder) -> None:
    """Raises SimlabError for what no figure has room for."""
    if pair.horizon > LONGEST:
        raise SimlabError(
            f"horizon = {pair.horizon}: a figure has room for {LONGEST} positions; "
            f"give pair.horizon={LONGEST} or less"
        )
    options = decoder_options(decoder)
    drafts, capacity = options.get("drafts", 1), options.get("capacity", 0)
    drafts = max(drafts) if isinstance(drafts, tuple) else drafts  # at one position of a call
    if decoder.is_finite and drafts > MOST_DRAFTS:
        raise SimlabError(f"drafts = {drafts}: a figure has room for {MOST_DRAFTS}; give fewer")
    if capacity > MOST_NODES:
        raise SimlabError(f"capacity = {capacity}: a figure has room for {MOST_NODES}; give fewer")


def _characters(pair_name: str, options: dict) -> tuple[str, ...]:
    """What the tokens stand for, (V,); () where they are numbers only."""
    if pair_name != "corpus":
        return ()
    from simlab.pairs.corpus import alphabet

    return alphabet(options["path"], options["max_states"])


def _document(
    pair: dict, decoder: Decoder, seed: int, trajectory: Trajectory, characters: Sequence[str]
) -> dict:
    """All of it, fit for strict JSON."""
    document = {
        "pair": pair,
        "decoder": {"name": decoder_name(decoder), **decoder_options(decoder)},
        "seed": seed,
        **dataclasses.asdict(trajectory),
        "rejections": trajectory.rejections,
        "tokens_per_call": trajectory.tokens_per_call,
    }
    if characters:
        document["text"] = "".join(characters[token] for token in trajectory.tokens)
    return plain(document)


def _name(pair: ChainPair, decoder: Decoder, words: list[str]) -> str:
    """Of the figure: the settings but the pair's name, which its folder has. What the words do not tell
    apart, seed and pair.seed or what is in a file, its digest does."""
    told = [word for word in words if word.partition("=")[0] not in ("pair", "decoder", "output", "figures")]
    vague = any(word.startswith(("pair.", "decoder.policy", "decoder.assumed_draft")) for word in words)
    content = f"{pair.digest} {decoder_options(decoder)}" if vague else ""
    return name_of([f"decoder={decoder_name(decoder)}"], told, content, LONGEST_OF_FILES)


def _draw(
    trajectory: Trajectory,
    decoder: Decoder,
    title: str,
    labels: Sequence[str],
    path: Path,
    words: list[str],
    further: tuple[str, ...],
) -> list[Path]:
    from simlab.cli.output.trajectory_figure import write_figure
    from simlab.report.treeplot import visible as drawable

    command = shlex.join(["simlab", "show", *words])
    return write_figure(trajectory, decoder, drawable(labels), title, path, command, further)


def _print(text: str) -> None:
    """In characters that the terminal or pipe can write."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding))
