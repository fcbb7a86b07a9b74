"""How large a pair will be, from its settings alone: before anything large is built."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.errors import SimlabError
from simlab.pairs.catalogue import GENERATORS
from simlab.pairs.corpus import alphabet
from simlab.pairs.generators import HELD
from simlab.pairs.pair import ChainPair
from simlab.pairs.processing import processing_settings

SMALL_ALPHABET = 2048
"""Up to so many tokens of a text nobody needs to count them for want of memory."""


@dataclass(frozen=True)
class PairSize:
    """V, T, and how many steps have rows of their own: of both chains together, and of the longer one.

    building: bytes while the pair is made, itself included.
    """

    states: int
    horizon: int
    steps: int
    nbytes: int
    building: float = 0.0

    @classmethod
    def of(cls, pair: ChainPair) -> PairSize:
        """Of a pair that is there: building it takes nothing."""
        return cls(pair.states, pair.horizon, max(len(pair.draft_rows), len(pair.target_rows)), pair.nbytes)

    @property
    def rows(self) -> int:
        """Bytes of one step's rows of one chain, (V, V)."""
        return 8 * self.states**2

    @property
    def chain(self) -> int:
        """Bytes of a chain with the steps of the longer one."""
        return self.steps * self.rows


def pair_size(name: str, options: Mapping) -> PairSize | None:
    """The size of the pair that `make_pair(name, **options)` makes; None where it would refuse the options.

    Of a file its header is read, of a text with a large vocabulary its characters are counted.
    """
    processing = processing_settings(options.get("processing")) | {
        key.removeprefix("processing."): value
        for key, value in options.items()
        if key.startswith("processing.")
    }
    try:
        defaults = inspect.signature(GENERATORS[name]).parameters
        settings = {key: options.get(key, one.default) for key, one in defaults.items()}
        draft_steps, target_steps, states, horizon = _shape(name, settings)
    except (SimlabError, KeyError, TypeError, ValueError, AttributeError, OSError, zipfile.BadZipFile):
        return None
    if min(draft_steps, target_steps, states, horizon) < 1:
        return None
    rows = 8 * states**2
    nbytes = (draft_steps + target_steps) * rows
    building = max(nbytes, HELD.get(name, 2) * max(draft_steps, target_steps) * rows)
    if any(value is not None for value in processing.values()):
        building = max(building, 2 * nbytes)  # the rows before and after
    return PairSize(states, horizon, max(draft_steps, target_steps), nbytes, building)


def _shape(name: str, settings: Mapping) -> tuple[int, int, int, int]:
    """(the draft's distinct steps, the target's, V, T). Raises KeyError, TypeError or ValueError for settings
    that are not numbers."""
    if name == "file":
        return _shape_of_file(settings["path"], settings["horizon"])
    horizon = _whole(settings["horizon"])
    if name == "corpus":
        states = _whole(settings["max_states"])
        if states > SMALL_ALPHABET:
            states = len(alphabet(settings["path"], states))
        return 1, 1, states, horizon
    states = _whole(settings.get("states", 2))
    steps = 1 if name in ("bernoulli", "uniform") or settings.get("stationary") is True else horizon
    return steps, steps, states, horizon


def _whole(value) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError
    return int(value)


def _shape_of_file(path, horizon) -> tuple[int, int, int, int]:
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for key in ("draft", "target"):
            with archive.open(f"{key}.npy") as member:
                version = np.lib.format.read_magic(member)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shapes[key] = read(member)[0]
    draft, target = (1 if len(shape) == 2 else shape[0] for shape in (shapes["draft"], shapes["target"]))
    return draft, target, shapes["draft"][-1], horizon or max(draft, target)
