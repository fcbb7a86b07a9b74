"""A trace: texts sampled from a target, and for each of their tokens what both models made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError
from types import MappingProxyType

import numpy as np

from simlab.checks import shortened
from simlab.errors import SimlabError
from simlab.traces import columns as contract
from simlab.traces.columns import Column, checked_rows, column_of


class Trace:
    """Independent sequences of tokens drawn from a target, a row a token, as read-only columns.

    sequence: (rows,) whole numbers; the rows of a sequence stand together, in the order of its tokens, and
    its number comes up nowhere else. draft_probability, target_probability: (rows,), of the token that came.
    columns: others by name, (rows,) each; `simlab.traces.KNOWN` are those that there are, and the guide
    simlab/traces/README.md says what they mean. provenance: what a JSON object can hold: models, digests,
    processing, seed, versions. It travels in the files.

    Whole numbers are kept as int64 (sequence) and int32 (position, token), others as float64; weight, prompt
    and kind once a sequence. So a row takes 24 bytes, 4 more for each of position and token, and 8 more for
    every other column: 10^7 rows with position and two others take 0.44 GB. Making one copies the arrays.

    Raises SimlabError, naming the row counted from 0, for columns that are unknown, not numbers, not a row a
    token or out of range, a target probability of 0, sequences that are torn (rows that do not stand
    together, positions that are not 0, 1, 2, ..), and for a trace without rows.

        >>> trace = simlab.Trace([0, 0, 1], draft_probability=[.4, .1, .9], target_probability=[.5, .2, .3])
        >>> trace.sequences, trace.lengths
        (2, array([2, 1]))
    """

    def __init__(
        self,
        sequence,
        draft_probability,
        target_probability,
        *,
        provenance: Mapping | None = None,
        **columns,
    ) -> None:
        ids = checked_rows(column_of("sequence"), sequence, None)
        if not len(ids):
            raise SimlabError("the trace is empty; expected at least one row")
        starts = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])
        self._set("offsets", _read_only(np.append(starts, len(ids))))
        self._set("ids", _read_only(ids[starts]))
        _check_together(ids, starts)
        given = {"draft_probability": draft_probability, "target_probability": target_probability, **columns}
        rows, once = {"sequence": ids}, {}
        for name, values in given.items():
            column = column_of(name)
            found = checked_rows(column, values, len(ids))
            if column.of_sequence:
                once[name] = _once(column, found, starts, ids)
            else:
                rows[name] = found
        if "position" in rows:
            _check_positions(rows["position"], ids, starts)
        if "draft_confidence" in rows:
            _check_confidence(rows["draft_confidence"], rows["draft_probability"])
        self._set("_rows", rows)
        self._set("_once", once)
        self._set("provenance", MappingProxyType(_checked_provenance(provenance)))

    def _set(self, name: str, value) -> None:
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value) -> None:
        raise FrozenInstanceError(f"a Trace is frozen; {name} cannot be set")

    def __reduce__(self):
        return _made, (self.columns, dict(self.provenance))

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __repr__(self) -> str:
        return f"Trace({len(self)} tokens, {self.sequences} sequences; {', '.join(self.names)})"

    def __eq__(self, other: object) -> bool:
        """Whether columns and provenance are the same, number by number."""
        if not isinstance(other, Trace):
            return NotImplemented
        return (
            set(self.names) == set(other.names)
            and dict(self.provenance) == dict(other.provenance)
            and all(np.array_equal(self._kept(name), other._kept(name)) for name in ("sequence", *self.names))
        )

    __hash__ = None

    def __add__(self, other: Trace) -> Trace:
        return Trace.concatenate([self, other]) if isinstance(other, Trace) else NotImplemented

    def __radd__(self, other) -> Trace:
        return self if other == 0 else NotImplemented  # sum([..]) begins with 0

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("_") or name not in self.names:
            known = f"; its columns are {', '.join(self.names)}" if not name.startswith("_") else ""
            raise AttributeError(f"the trace has no column {name}{known}")
        return self.column(name)

    def _kept(self, name: str) -> np.ndarray:
        return self._once[name] if name in self._once else self._rows[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in the order of files."""
        held = {**self._rows, **self._once}
        fixed = [name for name in contract.KNOWN if name in held]
        return (*fixed, *sorted(held.keys() - set(fixed), key=_by_number))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All columns by name, (rows,) each."""
        return {name: self.column(name) for name in self.names}

    @property
    def sequences(self) -> int:
        """How many sequences there are."""
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """(sequences,): the tokens of each sequence, int64."""
        return np.diff(self.offsets)

    @property
    def weights(self) -> np.ndarray:
        """(sequences,): the weight of each sequence, 1 where the trace has no column weight."""
        return self._once.get("weight", np.ones(self.sequences))

    @property
    def acceptance(self) -> np.ndarray:
        """(rows,): min(1, draft/target), the probability that the token is accepted where it is drafted."""
        target = self.target_probability
        return np.minimum(self.draft_probability, target) / target

    def column(self, name: str) -> np.ndarray:
        """A column, (rows,). Raises SimlabError, naming it and those that there are, where it is missing."""
        column = column_of(name)
        if name in self._rows:
            return self._rows[name]
        return _read_only(np.repeat(self.by_sequence(column.name), self.lengths))

    def by_sequence(self, name: str) -> np.ndarray:
        """A column with one value a sequence (weight, prompt, kind), (sequences,). Raises as `column`."""
        if name not in self._once:
            missing = "has no column" if column_of(name).name not in self._rows else "keeps by row the column"
            raise SimlabError(f"the trace {missing} {name}; its columns are {', '.join(self.names)}")
        return self._once[name]

    def select(self, chosen) -> Trace:
        """The trace of some sequences only; chosen: (sequences,) of true and false, e.g. a comparison.

            >>> code = trace.select(trace.by_sequence("kind") == "code")

        Raises SimlabError for another shape or type, and where none is chosen.
        """
        chosen = np.asarray(chosen)
        if chosen.dtype != bool or chosen.shape != (self.sequences,):
            raise SimlabError(f"chosen: give {self.sequences} values of true and false, one a sequence")
        kept = np.repeat(chosen, self.lengths)
        return _made({name: column[kept] for name, column in self.columns.items()}, self.provenance)

    def spans(self) -> Iterator[tuple[int, slice]]:
        """(number of the sequence, the slice of its rows) of each sequence."""
        for number, start, end in zip(self.ids, self.offsets[:-1], self.offsets[1:], strict=True):
            yield int(number), slice(int(start), int(end))

    @classmethod
    def concatenate(cls, traces) -> Trace:
        """The traces as one, in this order; `a + b` for two.

        Their columns must be the same, and their provenance but for the seeds and the number of sequences,
        which are joined, and how it was recorded (batch, threads). Sequences whose numbers overlap with those
        before them are numbered anew. Raises SimlabError where columns or provenance disagree, and for two of
        the same seed: their sequences would be counted as independent and are the same.
        """
        from simlab.traces.joining import concatenate

        return concatenate(list(traces))

    @classmethod
    def read(cls, path) -> Trace:
        """The trace in a file: .parquet, .csv or .jsonl, the latter two also compressed (.csv.gz).

        The format is in simlab/traces/README.md. Raises SimlabError, naming file and row, for a file that is
        missing, torn or no trace, and as `Trace` does.
        """
        from simlab.traces.files import read

        return read(path)

    def write(self, path) -> None:
        """Write a file that `read` reads back number by number, in the format of its ending.

        The file is there whole or not at all. Raises SimlabError for an ending that is not known.
        """
        from simlab.traces.files import write

        write(self, path)


def _made(columns: Mapping, provenance: Mapping) -> Trace:
    return Trace(**columns, provenance=provenance)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _by_number(name: str) -> tuple[str, float]:
    family, _, number = name.rpartition("_")
    return family, float(number)


def _check_together(ids: np.ndarray, starts: np.ndarray) -> None:
    """SimlabError, naming the row, where a sequence comes up again after another one."""
    order = np.argsort(ids[starts], kind="stable")
    numbers = ids[starts][order]
    again = np.flatnonzero(numbers[1:] == numbers[:-1])
    if again.size:
        place = int(order[again + 1].min())
        raise SimlabError(
            f"row {int(starts[place])}: sequence {int(ids[starts[place]])} comes up again after another one; "
            "expected the rows of a sequence together and in order"
        )


def _check_positions(positions: np.ndarray, ids: np.ndarray, starts: np.ndarray) -> None:
    first = positions[starts] != 0
    if first.any():
        row = int(starts[first.argmax()])
        raise SimlabError(
            f"row {row}: sequence {int(ids[row])} begins at position {int(positions[row])}; expected 0"
        )
    jumps = np.diff(positions) != 1
    jumps[starts[1:] - 1] = False
    if jumps.any():
        row = int(jumps.argmax()) + 1
        before, now = int(positions[row - 1]), int(positions[row])
        raise SimlabError(
            f"row {row}: position {now} of sequence {int(ids[row])} follows {before}; expected {before + 1}"
        )


def _check_confidence(confidence: np.ndarray, probability: np.ndarray) -> None:
    """SimlabError where the largest draft probability is below that of the token that came."""
    below = confidence < probability - 1e-6  # files may carry six digits
    if below.any():
        row = int(below.argmax())
        raise SimlabError(
            f"row {row}: draft_confidence = {confidence[row]:g} is below draft_probability = "
            f"{probability[row]:g}; expected the draft's largest probability"
        )


def _once(column: Column, values: np.ndarray, starts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """A column that has one value a sequence, (sequences,). SimlabError where it changes within one."""
    changes = np.asarray(values[1:] != values[:-1], bool)
    changes[starts[1:] - 1] = False
    if changes.any():
        row = int(changes.argmax()) + 1
        value = shortened(values[row : row + 1].tolist()[0], 40)
        raise SimlabError(f"row {row}: {column.name} = {value} differs within sequence {int(ids[row])}")
    once = values[starts]
    return _read_only(once.astype(object) if column.is_text else once)


def _checked_provenance(provenance: Mapping | None) -> dict:
    """The provenance as JSON gives it back. SimlabError for what JSON does not hold."""
    if provenance is None:
        return {}
    if not isinstance(provenance, Mapping) or not all(isinstance(key, str) for key in provenance):
        raise SimlabError(f"provenance = {shortened(provenance)}; expected a mapping with text as keys")
    try:
        return json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise SimlabError(f"provenance holds what JSON cannot: {error}") from error
