"""`simlab.audit`: is a verifier still exact? Plays it, weighs the evidence, stops when it is enough."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from simlab.auditing import diagnosis
from simlab.auditing.calling import Misconduct, Sample, Stream
from simlab.auditing.evidence import Evidence
from simlab.auditing.instances import CONTEXTS, make_instances, sizes_of
from simlab.auditing.naming import INSTANCES as NAMED_BY
from simlab.auditing.naming import looks_like
from simlab.auditing.report import AuditReport, InstanceReport
from simlab.auditing.resolution import LOOKS, MISS, calls_at_most, hidden, settled
from simlab.auditing.weighing import weighed
from simlab.checks import check_count, check_flag, check_number, shortened
from simlab.errors import SimlabError

LAWS = ("token", "block")
FIRST_CALLS, MOST_CALLS, GROWTH = 40, 4000, 1.6
"""Calls on each instance before the first look, at most between two looks, and their growth."""

COMPANION_SHARE = 0.02
"""Calls that go on with an instance that is settled, so that the stream stays a mixture."""

SHARPENING_ROUNDS, SHARPENING_SECONDS = 16, 5.0
"""How much a verifier that has FAILed is played on, so that the report's numbers are good to look at."""


def audit(
    verifier: Callable,
    window: int = 3,
    states: int | list[int] = 4,
    false_alarm: float = 1e-6,
    resolution: float = 0.01,
    seed: int = 0,
    *,
    batched: bool = False,
    law: str | None = None,
    time_limit: float = 10.0,
    seconds: float = math.inf,
    progress: bool = False,
) -> AuditReport:
    """Whether a verifier of drafted tokens leaves the target's distribution as it is.

    verifier(draft_tokens (g,), draft_probabilities (g, V), target_probabilities (g + 1, V), rng) returns the
    tokens that it emits: the accepted ones and one more. g is `window`, rng a numpy Generator. With `batched`
    it takes B sequences at once, (B, g), (B, g, V), (B, g + 1, V), and returns B such lists, or an array
    (B, g + 1) padded with -1.

    It is played on instances from harmless to nasty (`simlab.auditing.make_instances`), in a stream that
    mixes them, with vocabularies of 2, `states` and 2 `states` tokens, or of the sizes in a list. Its
    outputs are completed to g + 1 tokens by own draws from the target, and their joint distribution is
    tested. FAIL says where it goes wrong; over everything that is tested, an unbiased verifier FAILs with
    probability at most `false_alarm`. PASS says that a total variation of `resolution` in a
    token's distribution, at any position of any instance, would have shown (at 1%). INCONCLUSIVE: stopped
    before either, by `seconds` or Ctrl-C.

    law: "token" or "block" holds the number of accepted tokens to token verification (Leviathan et al. 2023)
    or block verification (Sun et al. 2025) too. time_limit: seconds that one call may last. progress: say on
    stderr how far it is. Source: the Dirichlet mixture martingale and Ville's inequality; own weights.

    Raises SimlabError for a verifier that cannot be called, and for settings out of range.
    """
    if not callable(verifier):
        raise SimlabError(f"verifier = {shortened(verifier)}: expected a function of four arguments")
    window = check_count("window", window, most=64)
    states = _checked_states(states)
    if not 0 < check_number("false_alarm", false_alarm) < 1:
        raise SimlabError(f"false_alarm = {false_alarm!r}: expected a probability above 0 and below 1")
    if not 0 < check_number("resolution", resolution) < 1:
        raise SimlabError(f"resolution = {resolution!r}: expected a total variation above 0 and below 1")
    seed = check_count("seed", seed, least=0)
    check_flag("batched", batched)
    if law is not None and law not in LAWS:
        raise SimlabError(f"law = {shortened(law)}: expected {' or '.join(LAWS)}, or None")
    check_number("time_limit", time_limit, above=0)
    if seconds != math.inf:
        check_number("seconds", seconds, above=0)
    instances = make_instances(window, sizes_of(states), seed, _contexts(law, window, states))
    drafts, own, completion = (np.random.default_rng([seed, i]) for i in range(3))
    stream = Stream(verifier, instances, batched, time_limit, drafts, own)
    evidences = [Evidence(instance, law) for instance in instances]
    goal = Goal(false_alarm, resolution, law, seconds, progress)
    return Audit(stream, evidences, completion, goal).run()


def looks() -> Iterator[int]:
    """Calls on each open instance between two looks, as they follow each other."""
    calls = FIRST_CALLS
    while True:
        yield calls
        calls = min(math.ceil(calls * GROWTH), MOST_CALLS)


def _checked_states(states) -> int | list[int]:
    if isinstance(states, (list, tuple)) and states:
        return [check_count("states", one, least=2, most=64) for one in states]
    return check_count("states", states, least=2, most=64)


def _contexts(law: str | None, window: int, states: int | list[int]) -> int:
    """Rows a position: block verification's distribution is known where they hang on the whole prefix."""
    if law != "block":
        return CONTEXTS
    whole = max(sizes_of(states)) ** window
    if whole > 65536:
        raise SimlabError(
            f"law = 'block' with window = {window} and {max(sizes_of(states))} tokens has {whole} prefixes; "
            "give a shorter window or fewer states, for at most 65536"
        )
    return max(whole, CONTEXTS)


@dataclass(frozen=True)
class Goal:
    """What ends an audit."""

    false_alarm: float
    resolution: float
    law: str | None
    seconds: float
    progress: bool

    @property
    def threshold(self) -> float:
        return -math.log(self.false_alarm)


class Audit:
    """One audit under way."""

    def __init__(self, stream: Stream, evidences: list[Evidence], completion, goal: Goal):
        self.stream, self.evidences, self.completion, self.goal = stream, evidences, completion, goal
        self.open = dict.fromkeys(range(len(evidences)), 0)  # instance -> calls at its last look
        self.before = 0
        self.log_evidence = 0.0
        self.started = self.told = time.monotonic()
        self.law_failed = False
        self.calls = 0  # up to the verdict, where the verifier is played on behind it

    def run(self) -> AuditReport:
        try:
            undecided = self.decide()
        except Misconduct as misconduct:
            return self._misconduct(misconduct)
        except KeyboardInterrupt:
            return self._inconclusive("stopped by Ctrl-C", interrupted=True)
        finally:
            self._tell(last=True)
        if undecided:
            return self._inconclusive(undecided)
        if self.has_failed:
            return self._failed()
        return self._report("PASS", self._passed_sentence())

    def decide(self) -> str | None:
        """Play until the verdict, `has_failed`; or why there is none. Raises Misconduct."""
        most = calls_at_most(self.goal.resolution, self.goal.threshold + math.log(1000))
        for calls in looks():
            for number, sample in self._play(self._counts(calls)).items():
                _check_accepted_are_drafted(sample, self.evidences[number].instance, number)
            self.log_evidence, self.law_failed = weighed(self.evidences, self.goal.law)
            if self.has_failed:
                return None
            self._settle()
            self._tell()
            if not self.open:
                return None
            if self.elapsed >= self.goal.seconds:
                return f"stopped after {self.elapsed:.0f} s"
            if min(self.evidences[i].calls for i in self.open) >= most:
                return "a bias near the resolution is neither seen nor excluded"

    @property
    def has_failed(self) -> bool:
        """Whether the evidence is large enough."""
        return self.log_evidence >= self.goal.threshold

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def _counts(self, calls: int) -> dict[int, int]:
        few = max(1, round(calls * COMPANION_SHARE))
        return {i: calls if i in self.open else few for i in range(len(self.evidences))}

    def _play(self, counts: dict[int, int]) -> dict[int, Sample]:
        samples = self.stream.play(counts)
        befores = self._befores(samples)
        for number, sample in samples.items():
            self.evidences[number].add(sample, befores[number], self.completion)
        return samples

    def _befores(self, samples: dict[int, Sample]) -> dict[int, np.ndarray]:
        """For every sequence, of what kind the output before it in the stream was."""
        kinds = np.empty(sum(len(sample.order) for sample in samples.values()) + 1, dtype=np.int64)
        kinds[0] = self.before
        for number, sample in samples.items():
            first = self.evidences[number].instance.true_target[0, 0]
            low = np.cumsum(first) - first / 2 < 0.5
            kinds[sample.order + 1] = 2 * (sample.accepted > 0) + low[sample.emitted[:, 0]]
        self.before = int(kinds[-1])
        return {number: kinds[sample.order] for number, sample in samples.items()}

    def _settle(self) -> None:
        """Close the instances on which a bias of the resolution would have shown by now."""
        for number, looked in list(self.open.items()):
            evidence = self.evidences[number]
            if evidence.calls < 1.2 * looked:
                continue
            self.open[number] = evidence.calls
            counts = evidence.by_context.sum(axis=1)
            if settled(counts, evidence.marginals, self.goal.resolution, MISS / LOOKS):
                del self.open[number]

    def _failed(self) -> AuditReport:
        self._sharpen()
        if self.law_failed:
            number = diagnosis.worst_acceptance(self.evidences)
            fields = diagnosis.acceptance_fields(self.evidences, number, self.goal.law)
            fields["kind"] = "acceptance"
        else:
            number = diagnosis.worst_instance(self.evidences)
            fields = {"kind": "bias"} | diagnosis.locate_bias(self.evidences, number)
            if "mistake" not in fields:
                fields["mistake"] = self._mistake()
        if fields.get("mistake"):
            fields["sentence"] += f" It looks like this mistake: {fields['mistake']}."
        return self._report("FAIL", instance=self.evidences[number].instance.name, **fields)

    def _mistake(self) -> str | None:
        structural = diagnosis.structural_mistake(self.evidences, self.goal.threshold)
        return structural or looks_like(self.evidences, np.random.default_rng(0))

    def _sharpen(self) -> None:
        """Play on for the report's numbers, above all on the instances that show most."""
        strongest = sorted(range(len(self.evidences)), key=lambda i: -self.evidences[i].strength())
        counts = dict.fromkeys(strongest, 50) | dict.fromkeys(strongest[:NAMED_BY], 500)
        self.calls = self.stream.calls
        end = time.monotonic() + SHARPENING_SECONDS
        try:
            for _ in range(SHARPENING_ROUNDS):
                self._play(counts)
                if time.monotonic() > end:
                    return
        except (Misconduct, KeyboardInterrupt):
            pass  # the verdict stands; what was counted up to here is shown

    def _misconduct(self, misconduct: Misconduct) -> AuditReport:
        name = None if misconduct.instance is None else self.stream.instances[misconduct.instance].name
        sentence = str(misconduct) if name is None else f"With {name}: {misconduct}"
        accepted = misconduct.accepted
        mistake = None
        if misconduct.kind == "not drafted":
            self._sharpen()
            mistake = self._mistake()
        if mistake:
            sentence += f" It looks like this mistake: {mistake}."
        return self._report(
            "FAIL",
            sentence,
            kind=misconduct.kind,
            instance=name,
            accepted=accepted,
            position=None if accepted is None else accepted + 1,
            mistake=mistake,
        )

    def _inconclusive(self, why: str, **fields) -> AuditReport:
        hides = max(map(_hidden, self.evidences))
        return self._report(
            "INCONCLUSIVE",
            f"No bias seen, but {why}: total variations up to {hides:.2g} of a token's distribution may be "
            f"hidden, wanted are {self.goal.resolution:g}.",
            **fields,
        )

    def _passed_sentence(self) -> str:
        positions = self.stream.instances[0].window + 1
        held = f", and it accepts as {self.goal.law} verification does" if self.goal.law else ""
        return (
            f"No bias{held}: at each of {positions} positions of {len(self.evidences)} instances a total "
            f"variation of {self.goal.resolution:g} would have shown."
        )

    def _report(self, outcome: str, sentence: str, **fields) -> AuditReport:
        return AuditReport(
            outcome=outcome,
            sentence=sentence,
            window=self.stream.instances[0].window,
            false_alarm=self.goal.false_alarm,
            wanted_resolution=self.goal.resolution,
            calls=self.calls or self.stream.calls,
            seconds=self.elapsed,
            evidence=math.exp(min(self.log_evidence, 700.0)),
            instances=tuple(map(_instance_report, self.evidences)),
            **fields,
        )

    def _tell(self, last: bool = False) -> None:
        if not self.goal.progress:
            return
        live = sys.stderr.isatty()
        if not last and time.monotonic() - self.told < (0.2 if live else 5.0):
            return
        self.told = time.monotonic()
        text = (
            f"{len(self.evidences) - len(self.open)}/{len(self.evidences)} instances settled, "
            f"{self.stream.calls:,} calls, {self.elapsed:.0f} s"
        )
        end = "\n" if last or not live else ""
        print(f"\r{text}" if live else text, end=end, file=sys.stderr, flush=True)


def _hidden(evidence: Evidence) -> float:
    return hidden(evidence.by_context.sum(axis=1), evidence.marginals)


def _instance_report(evidence: Evidence) -> InstanceReport:
    joint = hidden(evidence.joint[None], evidence.joint_wanted[None]) if evidence.joint.size else None
    return InstanceReport(
        name=evidence.instance.name,
        what=evidence.instance.what,
        states=evidence.instance.states,
        calls=evidence.calls,
        accepted=evidence.mean_accepted(),
        resolution=_hidden(evidence),
        joint_resolution=joint,
    )


def _check_accepted_are_drafted(sample: Sample, instance, number: int) -> None:
    """Raises Misconduct for a token before the last that is not the draft's: what follows it was then drawn
    from rows of another prefix.
    """
    inside = np.arange(instance.window) < sample.accepted[:, None]
    strange = inside & (sample.emitted[:, :-1] != sample.drafted)
    if strange.any():
        i, at = np.argwhere(strange)[0]
        emitted = [int(x) for x in sample.emitted[i] if x >= 0]
        raise Misconduct(
            "not drafted",
            f"It accepted tokens that were not drafted: from {sample.drafted[i].tolist()} it emitted "
            f"{emitted}.",
            number,
            int(at),
        )
