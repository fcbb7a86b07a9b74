"""What memory a command will take in all its processes, told and refused before anything is built."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from simlab import memory
from simlab.cli.config.settings import decoder_from, pair_from
from simlab.decoders import BatchSpeculative, BiasedSpeculative, Decoder, Speculative
from simlab.errors import SimlabError
from simlab.memory import WORTH_TELLING, gibibytes
from simlab.pairs.size import PairSize, pair_size

IGNORED = 2**25
"""Bytes of all pairs together below which nothing is estimated: what the rest takes is a multiple of them."""
MAKING, EXACT = "making one of them", "exact numbers"
OTHERS = BatchSpeculative(4), BiasedSpeculative(0.1)
"""What experiments with decoders of their own may decode a pair with besides."""
LISTED = 100
"""Bytes of a number in JSON: as Python's object, and as text."""


@dataclass(frozen=True)
class Point:
    """A configuration's pair as it will be, and its decoder, as far as it is known without the pair."""

    name: str
    options: dict
    size: PairSize
    decoder: Decoder

    @property
    def key(self) -> str:
        """The same for two points of one pair."""
        return f"{self.name} {json.dumps(self.options, sort_keys=True, default=str)}"


@dataclass(frozen=True)
class Need:
    """Bytes: of all pairs, of the most that is held beside them at any time, and for what."""

    pairs: float
    beside: float
    what: str

    @property
    def total(self) -> float:
        """Bytes of all together."""
        return self.pairs + self.beside

    def __str__(self) -> str:
        parts = [f"{gibibytes(self.pairs)} for pairs"]
        parts += [f"{gibibytes(self.beside)} for {self.what}"] * (self.beside > WORTH_TELLING / 20)
        return ", ".join(parts)


def check_run(configs: Sequence[dict]) -> None:
    """Of `simlab run`: all points' pairs, the chains of biased outputs included, and the largest tables,
    exact numbers, or room to make a pair.

    Workers of this machine share one copy of large tables (`simlab.runs.work.SHARED`). Says on standard error
    what it takes, if that is much; raises SimlabError where it is more than there is.
    """
    points = _points(configs)
    if not points:
        return
    if any((config.get("experiment") or {}).get("name") != "study" for config in configs):
        points += [replace(one, decoder=decoder) for one in points for decoder in OTHERS]
    from simlab.decoding.simulate import table_bytes

    held = _of_pairs(points) + sum(one.size.chain for one in points if one.decoder.is_biased)
    tables = max(table_bytes(one.size, one.decoder) for one in points)
    exact = max(map(_exact, points))
    beside = (
        (_building(points), MAKING),
        (tables, "the sampler's tables, which all workers share"),
        (exact, EXACT),
    )
    _check(points, Need(held, *max(beside)))


def check_predict(configs: Sequence[dict], listed: bool) -> None:
    """Of `simlab predict`: what is kept of each point, and the exact numbers of one; listed: as JSON.

    Otherwise as `check_run`.
    """
    points = _points(configs)
    if not points:
        return

    def kept(one: Point) -> float:
        biased = one.decoder.is_biased
        in_json = LISTED * one.size.horizon * one.size.states**2 * biased * listed
        return in_json + one.size.chain * (1 + biased)

    largest = max(one.size.nbytes for one in points)
    exact = max(map(_exact, points))
    earlier = sum(map(kept, points[:-1])) + (kept(points[-1]) if listed else 0.0)
    _check(points, Need(largest, *max((earlier + exact, EXACT), (earlier + _building(points), MAKING))))


def check_plan(configs: Sequence[dict]) -> None:
    """Of `simlab plan` with a pair. As `check_run`."""
    points = _points(configs)
    if not points:
        return
    from simlab.planning.exact import plan_bytes

    largest = max(one.size.nbytes for one in points)
    exact = max(plan_bytes(one.size) for one in points)
    _check(points, Need(largest, *max((exact, EXACT), (_building(points), MAKING))))


def check_pair(name: str, options: dict) -> None:
    """Of a command that takes one pair and little else. As `check_run`."""
    size = pair_size(name, options)
    if size is not None and size.building > IGNORED:
        one = Point(name, options, size, Speculative())
        _check([one], Need(float(size.nbytes), _building([one]), MAKING))


def _points(configs: Iterable[dict]) -> list[Point]:
    """The points whose settings can be right, () where their pairs are small."""
    points = []
    for config in configs:
        try:
            name, options = pair_from(config)
            size = pair_size(name, options)
        except SimlabError:  # who makes the pair says so better
            continue
        if size is not None:
            points.append(Point(name, options, size, _decoder(config, size)))
    return points if sum(max(one.size.building, one.size.nbytes) for one in points) > IGNORED else []


def _decoder(config: dict, size: PairSize) -> Decoder:
    """The configuration's decoder; one of windows in its place where it depends on the pair."""
    windows = Speculative(min(64, size.horizon), bonus=True)

    def no_pair():
        raise SimlabError("the pair is not there yet")

    try:
        decoder = decoder_from(config, no_pair)
    except SimlabError:
        return windows
    return decoder if decoder.is_finite else windows


def _exact(one: Point) -> float:
    """Bytes of its exact numbers."""
    from simlab.theory.sizes import predict_bytes, total_variation_bytes

    return max(predict_bytes(one.size, one.decoder), total_variation_bytes(one.size, one.decoder))


def _of_pairs(points: Sequence[Point]) -> float:
    return float(sum({one.key: one.size.nbytes for one in points}.values()))


def _building(points: Sequence[Point]) -> float:
    return max(one.size.building - one.size.nbytes for one in points)


def _check(points: Sequence[Point], need: Need) -> None:
    there_is = memory.available_memory()
    if need.total > there_is:
        raise SimlabError(
            f"this takes {gibibytes(need.total)} of memory ({need}), more than the {gibibytes(there_is)} "
            f"available; expected {_lower(points, there_is / need.total)}"
        )
    if need.total >= WORTH_TELLING:
        print(
            f"simlab: this takes up to {gibibytes(need.total)} of memory ({need}) of the "
            f"{gibibytes(there_is)} available",
            file=sys.stderr,
            flush=True,
        )


def _lower(points: Sequence[Point], share: float) -> str:
    """What to lower, as words: the settings that the largest pair has."""
    largest = max(points, key=lambda one: one.size.nbytes)
    size, ways = largest.size, []
    if "states" in largest.options:
        ways.append(f"pair.states={_rounded(size.states * share**0.5)} instead of {size.states}")
    elif "max_states" in largest.options:
        ways.append(f"a pair.max_states below {size.states}")
    if size.steps > 1:
        ways.append(f"a pair.horizon below {size.horizon}")
    if size.steps > 1 and "stationary" in largest.options:
        ways.append("pair.stationary=true")
    if len({one.key for one in points}) > 1:
        ways.append("fewer points of the grid at once")
    return " or ".join(ways) or "a smaller pair"


def _rounded(states: float) -> int:
    """Down to two digits."""
    digit = 10 ** max(len(str(int(states))) - 2, 0)
    return max(1, int(states) // digit * digit)
