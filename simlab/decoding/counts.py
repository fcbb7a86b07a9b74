"""What a simulation returns: integer counts that add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from simlab.aliases import ByPlace
from simlab.errors import SimlabError

DEVIATION_LEVELS = 1024
"""A trajectory's deviation is counted in this many equal steps from 0 to 1."""

BY_POSITION = ("drafted_by_position", "reached_by_position", "accepted_by_position")
OPTIONAL = ("deviations", "target_calls", "drafted_tokens", *BY_POSITION, "nodes_by_position")
"""Histograms that only some decoders count, and that Counts gives as properties: (0,) where not counted."""
OLD_NAMES = {name.replace("position", "place"): name for name in BY_POSITION}
"""Old spelling to new; `Counts` takes both, and the bytes of a ledger keep the old one."""
_TOLD = {
    "deviations": "levels of deviation",
    "target_calls": "numbers of target calls",
    "drafted_tokens": "numbers of drafted tokens",
    **dict.fromkeys((*BY_POSITION, "nodes_by_position"), "positions in the window"),
}


def _histogram(name: str) -> property:
    return property(lambda self: self.histograms.get(name, np.zeros(0, np.int64)))


@dataclass(frozen=True, eq=False, init=False)
class Counts(ByPlace):
    """Counts over simulated trajectories; `+` merges the counts of two sets of trajectories.

    rejections: int64 (T+1,), how many trajectories had n = 0..T rejections.
    tokens: int64 (T, V), how often token y was generated at position t.
    rejections_per_position: int64 (T,), how often position t was rejected.
    trajectories: how many trajectories were simulated.
    histograms: by name, what only some decoders count, int64 (n,) each, n >= 1. `Counts(..., deviations=d)`
    is short for one of these names; an empty array counts nothing, and is left out. Those known here:

    deviations: int64 (1025,) where the decoder is biased, else (0,). How many trajectories x, as sequences of
    generated tokens, had a deviation [1 - target(x)/output(x)]_+ of 0..1024 steps of 1/1024, both
    distributions given the initial token. Steps are whole because each deviation was rounded up or down at
    random, with the probabilities that keep its mean: sum(levels * deviations) / (1024 * trajectories)
    estimates, without bias, the total variation between the distributions of the output and the target as
    sequences.
    target_calls: int64 (T+1,) where the decoder drafts trees or windows, else (0,), as for speculative
    decoding to the horizon. How many trajectories took n = 0..T target calls. The "rejections" of a decoder
    of trees are its bonus tokens: those that no tree had drafted.

    Where the decoder drafts windows (K = `simlab.decoders.longest_window`), else all of (0,):
    drafted_tokens: int64 (D+1,), how many trajectories drafted n = 0..D tokens, verified or not,
    D = `simlab.decoders.most_drafted`.
    drafted_by_position: int64 (K,), how many calls, of all trajectories together, drafted at least i tokens:
    entry i - 1, the position in the window.
    reached_by_position: int64 (K,), of those, the calls whose first i - 1 drafted tokens were accepted.
    accepted_by_position: int64 (K,), of those, the calls whose first i drafted tokens were accepted.

    Where it may draft several tokens at one position, as MultiDraftSpeculative does, else (0,):
    nodes_by_position: int64 (K,), how many tokens were drafted at each position, of all calls together.
    There drafted_by_position counts the calls that draft at this position, not their tokens, and
    drafted_tokens all tokens.
    """

    rejections: np.ndarray
    tokens: np.ndarray
    rejections_per_position: np.ndarray
    trajectories: int
    histograms: Mapping[str, np.ndarray]

    def __init__(
        self, rejections, tokens, rejections_per_position, trajectories, histograms=None, **named
    ) -> None:
        given = [(OLD_NAMES.get(name, name), values) for name, values in (histograms or {}).items()]
        histograms = dict(given) | {OLD_NAMES.get(name, name): values for name, values in named.items()}
        fields = {
            "rejections": rejections,
            "tokens": tokens,
            "rejections_per_position": rejections_per_position,
            "trajectories": trajectories,
            "histograms": {name: values for name, values in sorted(histograms.items()) if len(values)},
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    deviations = _histogram("deviations")
    target_calls = _histogram("target_calls")
    drafted_tokens = _histogram("drafted_tokens")
    drafted_by_position = _histogram("drafted_by_position")
    reached_by_position = _histogram("reached_by_position")
    accepted_by_position = _histogram("accepted_by_position")
    nodes_by_position = _histogram("nodes_by_position")

    @classmethod
    def zero(cls, horizon: int, states: int) -> Counts:
        """The counts of no trajectories: the neutral element of `+`, for every decoder."""
        return cls(
            np.zeros(horizon + 1, np.int64),
            np.zeros((horizon, states), np.int64),
            np.zeros(horizon, np.int64),
            0,
        )

    @classmethod
    def merged(cls, parts: Iterable[Counts]) -> Counts:
        """All parts together; SimlabError where they do not belong together."""
        first, *others = parts
        return sum(others, first)

    def __add__(self, other: Counts) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        if self.tokens.shape != other.tokens.shape:
            raise SimlabError(
                f"counts of (T, V) = {self.tokens.shape} and {other.tokens.shape} do not belong together"
            )
        return Counts(
            self.rejections + other.rejections,
            self.tokens + other.tokens,
            self.rejections_per_position + other.rejections_per_position,
            self.trajectories + other.trajectories,
            _merged(self, other),
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and self.trajectories == other.trajectories
            and np.array_equal(self.rejections, other.rejections)
            and np.array_equal(self.tokens, other.tokens)
            and np.array_equal(self.rejections_per_position, other.rejections_per_position)
            and self.histograms.keys() == other.histograms.keys()
            and all(np.array_equal(part, other.histograms[name]) for name, part in self.histograms.items())
        )

    __hash__ = None

    def __repr__(self) -> str:
        steps, states = self.tokens.shape
        size = f"{self.trajectories:,} trajectories, T={steps}, V={states}"
        if not self.trajectories:
            return f"Counts({size})"
        mean = self.rejections_per_position.sum() / self.trajectories
        means = [f"mean N_rej {mean:.6g}"]
        if self.target_calls.size:
            means.append(f"target calls {self.mean_target_calls:.6g}")
        if self.drafted_tokens.size:
            means.append(f"drafted tokens {self.mean_drafted_tokens:.6g}")
        return f"Counts({size}: {', '.join(means)})"

    @property
    def horizon(self) -> int:
        """T, the number of tokens that each trajectory generated."""
        return len(self.rejections_per_position)

    @property
    def calls(self) -> int:
        """Target calls of all trajectories together. Raises SimlabError where they were not counted."""
        self._check_counted()
        return int(self.target_calls @ np.arange(len(self.target_calls)))

    @property
    def calls_by_drafted(self) -> np.ndarray:
        """int64 (K+1,): how many calls drafted exactly 0, 1, .., K tokens; they sum to `calls`.

        All that is needed for it is counted in `target_calls` and `drafted_by_position`. Raises SimlabError
        where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        at_least = np.concatenate([[self.calls], self.drafted_by_position, [0]])
        return at_least[:-1] - at_least[1:]

    @property
    def call_sizes(self) -> np.ndarray:
        """(K+1,): how many tokens a call drafts that drafts at 0, 1, .., K positions.

        0, 1, .., K but where several are drafted at one position. Raises SimlabError where drafted tokens
        were not counted.
        """
        self._check_counted(drafted=True)
        if not self.nodes_by_position.size:
            return np.arange(len(self.drafted_by_position) + 1)
        each = self.nodes_by_position // np.maximum(self.drafted_by_position, 1)
        return np.concatenate([[0], np.cumsum(each)])

    @property
    def _drafted_at(self) -> np.ndarray:
        """(K,): the tokens drafted at each position."""
        return self.nodes_by_position if self.nodes_by_position.size else self.drafted_by_position

    @property
    def mean_target_calls(self) -> float:
        """Target calls per trajectory. Raises SimlabError where they were not counted."""
        return self.calls / self.trajectories

    @property
    def mean_drafted_tokens(self) -> float:
        """Drafted tokens per trajectory, verified or not. Raises SimlabError where they were not counted."""
        self._check_counted(drafted=True)
        return float(self._drafted_at.sum() / self.trajectories)

    @property
    def mean_accepted_tokens(self) -> float:
        """Accepted drafted tokens per trajectory: neither replacements nor bonus tokens.

        Raises SimlabError where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        return float(self.accepted_by_position.sum() / self.trajectories)

    @property
    def tokens_per_call(self) -> float:
        """Generated tokens over target calls, bonus tokens and replacements included (block efficiency).

        Raises SimlabError where the calls were not counted.
        """
        return self.trajectories * self.horizon / self.calls

    @property
    def acceptance_rate(self) -> float:
        """Accepted over drafted tokens, those behind a rejection included: what was drafted in vain counts.

        nan where nothing was drafted. Raises SimlabError where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        drafted = self._drafted_at.sum()
        return float(self.accepted_by_position.sum() / drafted) if drafted else float("nan")

    @property
    def acceptance_length(self) -> float:
        """Accepted tokens per target call, without the bonus token or the replacement.

        Raises SimlabError where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        return float(self.accepted_by_position.sum() / self.calls)

    @property
    def acceptance_length_by_position(self) -> np.ndarray:
        """(K,): accepted tokens at the first i positions of the window per target call, entry i - 1.

        Without bonus tokens and replacements. Raises SimlabError where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        return np.cumsum(self.accepted_by_position) / self.calls

    @property
    def acceptance_rate_by_position(self) -> np.ndarray:
        """(K,): of the calls that drafted a token at this position of the window, the part in which it was
        accepted; nan where none did. Raises SimlabError where drafted tokens were not counted.
        """
        self._check_counted(drafted=True)
        return _ratio(self.accepted_by_position, self.drafted_by_position)

    @property
    def conditional_acceptance_by_position(self) -> np.ndarray:
        """(K,): the same, of the calls in which all drafted tokens before it were accepted."""
        self._check_counted(drafted=True)
        return _ratio(self.accepted_by_position, self.reached_by_position)

    def _check_counted(self, drafted: bool = False) -> None:
        if not self.trajectories:
            raise SimlabError("there are no trajectories: simulate some first")
        if not (self.drafted_tokens if drafted else self.target_calls).size:
            raise SimlabError(
                f"{'drafted tokens' if drafted else 'target calls'} were not counted: they are where the "
                "decoder has a window; Speculative(window=T) is Speculative() with its calls counted"
            )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _merged(one: Counts, other: Counts) -> Mapping[str, np.ndarray]:
    """The sums of what only some decoders count; counts of no trajectories go with any."""
    ours, theirs = one.histograms, other.histograms
    for name in sorted(ours.keys() | theirs.keys()):
        sizes = [len(part.get(name, ())) for part in (ours, theirs)]
        if sizes[0] == sizes[1]:
            continue
        if not one.trajectories:
            return theirs
        if not other.trajectories:
            return ours
        told = _TOLD.get(name, name)
        raise SimlabError(
            f"counts with {sizes[0]} and {sizes[1]} {told} do not belong together: they are of different "
            "decoders"
        )
    return {name: ours[name] + theirs[name] for name in ours}
