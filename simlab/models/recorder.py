"""A recorder for people with a decoding loop of their own."""

from __future__ import annotations

from collections.abc import Mapping

from simlab.errors import SimlabError
from simlab.models.observation import Extras, as_rows, observation
from simlab.pairs.processing import PROCESSING, Processing


class Recorder:
    """Collects, token by token, what a trace keeps of both models' logits; needs neither torch nor a model.

    processing: how both models sample, the settings of `simlab.pairs.processing.Processing` by name:
        temperature, top_k, top_p, and draft_temperature, draft_top_k, draft_top_p for a draft that differs.
    drafts, epsilons: as `Extras` has them. provenance: what the trace says of its origin, as JSON can.

    The tokens must come from the target, sampled so: a trace of tokens that a draft had written predicts
    nothing. Raises SimlabError for settings out of range.

        >>> import numpy as np
        >>> recorder = simlab.models.Recorder(temperature=0.8)
        >>> recorder.observe(2, draft_logits=np.array([0.0, 1, 2]), target_logits=np.array([0.0, 1, 3]))
        >>> recorder.finish_sequence(kind="code")
        >>> recorder.trace().lengths
        array([1])
    """

    def __init__(
        self,
        *,
        drafts: tuple[int, ...] = Extras.drafts,
        epsilons: tuple[float, ...] = Extras.epsilons,
        provenance: Mapping | None = None,
        **processing,
    ) -> None:
        if unknown := [name for name in processing if name not in PROCESSING]:
            raise SimlabError(f"processing has no setting {unknown[0]!r}: it has {', '.join(PROCESSING)}")
        self._processing = Processing(**processing)
        self._extras = Extras(drafts, epsilons)
        self._provenance = dict(provenance or {}) | {"processing": processing}
        self._rows: list[dict] = []
        self._open: list[dict] = []
        self._sequences = 0

    def observe(self, token: int, draft_logits, target_logits) -> None:
        """Add the next token of the sequence: the logits (V,) of both models before it, and its number.

        NumPy arrays or torch tensors of any real type; -inf is a token that cannot come. Raises SimlabError,
        naming the position, for logits of different lengths, NaN, and a token that the target, sampled so,
        cannot emit; nothing is added then.
        """
        processing = self._processing
        try:
            draft = as_rows("draft", draft_logits[None], processing.draft)[0]
            target = as_rows("target", target_logits[None], processing.target)[0]
            row = observation(int(token), draft, target, self._extras)
        except SimlabError as error:
            raise SimlabError(f"sequence {self._sequences}, position {len(self._open)}: {error}") from error
        self._open.append(row)

    def finish_sequence(self, kind: str = "") -> None:
        """The sequence is complete; what is observed from here on belongs to another one, independent of it.

        kind: of prompt. Raises SimlabError for a sequence without a token.
        """
        if not self._open:
            raise SimlabError(f"sequence {self._sequences} has no token; observe one before it is finished")
        self._rows += [
            {"sequence": self._sequences, "position": position, **row, "kind": str(kind)}
            for position, row in enumerate(self._open)
        ]
        self._open = []
        self._sequences += 1

    def trace(self):
        """All sequences that are finished, as a `simlab.Trace`.

        Raises SimlabError where none is, or one is begun and not finished: its end is not known.
        """
        from simlab.traces import Trace

        if self._open:
            raise SimlabError(f"sequence {self._sequences} is not finished; call finish_sequence() first")
        if not self._rows:
            raise SimlabError("nothing was recorded; observe tokens and finish their sequences first")
        columns = {name: [row[name] for row in self._rows] for name in self._rows[0]}
        return Trace(**columns, provenance=self._provenance)
