"""How many calls an audit takes: played on verifiers of arrays, foretold, and the least that any could take.

*The least* (Wald 1945, for stopped likelihood ratios): let an audit FAIL a right verifier with probability at
most alpha, and a wrong one surely. With N_i calls on instance i, and D_i = KL(output of a call || target) for
the wrong one, sum_i E[N_i] D_i >= log(1/alpha): the two outcomes are so far apart, and no statistic of the
calls is further apart than the calls are.
*Foretold*: the counts that are expected are weighed as those that are seen. The evidence grows by its mean,
up to fluctuations of the order of the root of the calls, and so passes 1/alpha about there.
*A PASS*: Pearson's statistic of unbiased calls, at its median, excludes the resolution from there on.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simlab.auditing.audit import Audit, Goal, looks
from simlab.auditing.calling import Misconduct, Sample
from simlab.auditing.evidence import Evidence
from simlab.auditing.instances import Instance
from simlab.auditing.known import joint_distribution, token_marginals
from simlab.auditing.mistakes import drafted_rows
from simlab.auditing.resolution import least_calls_to_exclude
from simlab.auditing.weighing import weighed


@dataclass
class ArrayStream:
    """A stream, as `calling.Stream`, of a verifier that takes all calls on an instance at once, as those of
    `mistakes` do, and the instance before them. rng: of drafts and verifier.
    """

    verifier: Callable
    instances: list[Instance]
    rng: np.random.Generator
    calls: int = 0
    by_instance: np.ndarray = field(default=None)

    def __post_init__(self) -> None:
        self.by_instance = np.zeros(len(self.instances), dtype=np.int64)

    def play(self, counts: dict[int, int]) -> dict[int, Sample]:
        """The samples of so many calls on each instance, mixed."""
        order = self.rng.permutation(sum(counts.values()))
        found, start = {}, 0
        for number, count in counts.items():
            instance = self.instances[number]
            tokens, draft, target = drafted_rows(instance, count, self.rng)
            emitted, accepted = self.verifier(instance, tokens, draft, target, self.rng)
            slot = np.zeros(count, dtype=np.int64)
            found[number] = Sample(tokens, emitted, accepted, order[start : start + count], slot)
            start += count
            self.by_instance[number] += count
        self.calls += start
        return found


@dataclass(frozen=True, eq=False)
class Effort:
    """One audit: its outcome, and the calls that it took, (number of instances,)."""

    outcome: str
    calls: np.ndarray


def play(
    verifier: Callable, instances: list[Instance], *, seed: int, false_alarm: float, resolution: float
) -> Effort:
    """Audit a verifier of arrays (instance, tokens (n, g), draft (n, g, V), target (n, g + 1, V), rng) ->
    (emitted (n, g + 1), -1 behind the last; accepted (n,)) until the verdict."""
    own, completion = (np.random.default_rng([seed, i]) for i in range(2))
    stream = ArrayStream(verifier, instances, own)
    goal = Goal(false_alarm, resolution, None, math.inf, False)
    audit = Audit(stream, [Evidence(instance, None) for instance in instances], completion, goal)
    try:
        undecided = audit.decide()
    except Misconduct:
        return Effort("FAIL", stream.by_instance)
    outcome = "INCONCLUSIVE" if undecided else "FAIL" if audit.has_failed else "PASS"
    return Effort(outcome, stream.by_instance)


def divergence(instance: Instance, output: np.ndarray) -> float:
    """KL(output || target) of the g + 1 tokens of a call, in nats; infinite where one must not be."""
    target = joint_distribution(instance)
    given = output > 0
    if (target[given] == 0).any():
        return math.inf
    return max(float((output[given] * np.log(output[given] / target[given])).sum()), 0.0)


def least_calls(divergences: np.ndarray, false_alarm: float) -> float:
    """The mean number of calls, all together, below which no audit can be that plays all instances equally
    often until it FAILs; infinite where nothing is wrong."""
    total = float(np.sum(divergences))
    return len(divergences) * math.log(1 / false_alarm) / total if total > 0 else math.inf


def expected_calls(
    instances: list[Instance], outputs: list[np.ndarray], false_alarm: float, most: int
) -> int:
    """The calls, all together, at the first look at which the expected counts would FAIL; at most `most`.

    outputs: of each instance the distribution of a call's completed tokens, as `expected` has it.
    """
    shares = [_by_context(instance, output) for instance, output in zip(instances, outputs, strict=True)]
    evidences = [Evidence(instance, None) for instance in instances]

    def fails(calls: int) -> bool:
        for evidence, share in zip(evidences, shares, strict=True):
            evidence.by_context = calls * share
        return weighed(evidences, None)[0] >= math.log(1 / false_alarm)

    totals = _totals(most // len(instances))
    return totals[min(bisect.bisect_left(totals, True, key=fails), len(totals) - 1)] * len(instances)


def _totals(most: int) -> list[int]:
    """Calls on each instance at every look, the last one the first with `most` or more."""
    found = [0]
    for calls in looks():
        found.append(found[-1] + calls)
        if found[-1] >= most:
            return found[1:]


def _by_context(instance: Instance, output: np.ndarray) -> np.ndarray:
    """The probability of each context and token at each position: (g + 1, C, V)."""
    states, contexts = instance.states, instance.true_target.shape[1]
    found = np.zeros(instance.true_target.shape)
    for i in range(instance.window + 1):
        joint = output.reshape(states**i, states, -1).sum(axis=-1)
        np.add.at(found[i], np.arange(states**i) % contexts, joint)
    return found


def expected_calls_to_pass(instances: list[Instance], resolution: float) -> int:
    """The calls, all together, at which a right verifier PASSes where every statistic is at its median."""
    each = [least_calls_to_exclude(token_marginals(instance), resolution) for instance in instances]
    totals = _totals(max(each))
    return sum(totals[bisect.bisect_left(totals, one)] for one in each)
