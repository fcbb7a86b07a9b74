"""Where a verifier that FAILed goes wrong, in the fewest words: says, never decides."""

from __future__ import annotations

import math

import numpy as np

from simlab.auditing.evidence import Evidence
from simlab.auditing.martingale import CONCENTRATIONS, log_dirichlet

INTERVAL_ERROR = 0.05


def worst_instance(evidences: list[Evidence]) -> int:
    """The instance whose own evidence of bias is strongest."""
    return int(np.argmax([one.strength() for one in evidences]))


def locate_bias(evidences: list[Evidence], number: int) -> dict:
    """The fields of the report for a biased output: position, prefix, wanted, seen, total variation."""
    evidence = evidences[number]
    found = evidence.bias()
    side, _ = max(found, key=found.get)
    if side == "output before":
        return _leak(evidence)
    positions = range(len(evidence.by_context))
    strongest = [max(log for (_, at), log in found.items() if at == i) for i in positions]
    position = int(np.argmax(strongest))
    prefix, counts, wanted = _row(evidence, position)
    seen = counts / counts.sum()
    fields = _compared(counts, wanted)
    bonus = position == evidence.instance.window
    place = "the bonus token" if bonus else f"position {position + 1} of the window"
    after = "" if position == 0 else " after any tokens" if prefix is None else f" after {_spelled(prefix)}"
    token = int((np.abs(seen - wanted) + (wanted == 0) * (counts > 0)).argmax())
    fields |= {
        "position": position + 1,
        "accepted": position,
        "prefix": prefix,
        "sentence": f"With {evidence.instance.name}, {place}{after} is token {token} with probability "
        f"{seen[token]:.4g} instead of {wanted[token]:.4g}.",
    }
    return fields


def _leak(evidence: Evidence) -> dict:
    """The first token depends on the output before: the kind of output after which it strays most."""
    wanted = evidence.instance.true_target[0, 0]
    logs = log_dirichlet(evidence.before, np.broadcast_to(wanted, evidence.before.shape), CONCENTRATIONS[1])
    kind = int(np.argmax(logs))
    before = "an accepted draft token" if kind >= 2 else "a rejection at once"
    return _compared(evidence.before[kind], wanted) | {
        "position": 1,
        "accepted": 0,
        "prefix": (),
        "mistake": "state that leaks from one call or sequence to the next",
        "sentence": f"With {evidence.instance.name}, the first token depends on the output before it: it "
        f"strays from the target after {before}.",
    }


def _row(evidence: Evidence, position: int) -> tuple[tuple[int, ...] | None, np.ndarray, np.ndarray]:
    """(prefix, counts, wanted): of the worst prefix if it alone is convincing, else of all prefixes."""
    instance = evidence.instance
    target, counts = instance.true_target[position], evidence.by_context[position]
    logs = log_dirichlet(counts, target, CONCENTRATIONS[1])
    worst = int(np.argmax(logs))
    seen_prefixes = int((counts.sum(axis=1) > 0).sum())
    overall = log_dirichlet(counts.sum(axis=0), evidence.marginals[position], CONCENTRATIONS[1])
    if position == 0 or logs[worst] > math.log(1000 * seen_prefixes) or logs[worst] > overall:
        return _tokens(worst, position, instance), counts[worst], target[worst]
    return None, counts.sum(axis=0), evidence.marginals[position]


def _tokens(context: int, position: int, instance) -> tuple[int, ...]:
    """The last tokens that a context stands for."""
    length = min(position, round(math.log(instance.draft.shape[1]) / math.log(instance.states)))
    return tuple(context // instance.states**i % instance.states for i in range(length - 1, -1, -1))


def _spelled(prefix: tuple[int, ...]) -> str:
    return f"{'token' if len(prefix) == 1 else 'tokens'} {', '.join(map(str, prefix))}"


def _compared(counts: np.ndarray, wanted: np.ndarray) -> dict:
    """Total variation with its interval, which holds without approximation: Hoeffding for each of the
    2**V - 2 sets of tokens on which the total variation may be attained.
    """
    calls, states = int(counts.sum()), len(counts)
    seen = counts / calls
    distance = float(np.abs(seen - wanted).sum() / 2)
    radius = math.sqrt((states * math.log(2) - math.log(INTERVAL_ERROR)) / (2 * calls))
    return {
        "wanted": wanted,
        "seen": seen,
        "total_variation": distance,
        "interval": (max(0.0, distance - radius), min(1.0, distance + radius)),
    }


def worst_acceptance(evidences: list[Evidence]) -> int:
    """The instance whose own evidence of another number of accepted tokens is strongest."""
    return int(np.argmax([max(one.accepts().values()) if one.calls else -np.inf for one in evidences]))


def acceptance_fields(evidences: list[Evidence], number: int, law: str) -> dict:
    """The report's fields for an output without visible bias that accepts other tokens than it should."""
    evidence = evidences[number]
    seen, wanted = evidence.mean_accepted(), evidence.mean_accepted_wanted()
    found = {at: log for (_, at), log in evidence.accepts().items() if at is not None}
    position = max(found, key=found.get)
    states = evidence.instance.states
    counts, table = evidence.outcomes[position], evidence.table[position]
    visits = counts.sum(axis=1, keepdims=True)
    expected = (visits * table).sum(axis=0) / visits.sum()
    total = counts.sum(axis=0)
    fields = _compared(
        np.array([total[:states].sum(), total[states:].sum()]),
        np.array([expected[:states].sum(), expected[states:].sum()]),
    )
    change = seen / wanted - 1 if wanted else math.inf
    than = f"{abs(change):.1%} {'fewer' if change < 0 else 'more'} tokens than {law} verification"
    same = f"as many tokens as {law} verification, but not the same ones"
    return fields | {
        "position": position + 1,
        "accepted": position,
        "sentence": f"No bias seen, but with {evidence.instance.name} it accepts "
        f"{than if abs(change) > 1e-3 else same} ({seen:.4g} a call instead of {wanted:.4g}).",
    }


def structural_mistake(evidences: list[Evidence], threshold: float) -> str | None:
    """A mistake that shows in where the bias is: at the bonus token alone, or nowhere near it."""
    window = evidences[0].instance.window
    logs = np.full(window + 1, -np.inf)
    for evidence in evidences:
        for (side, at), log in evidence.bias().items():
            if at is not None and side != "output before":
                logs[at] = max(logs[at], log)
    if logs[window] >= threshold and (logs[:window] < 2 / 3 * threshold).all():
        return "bonus token only: a filter, temperature or row that the verified positions do not have"
    return _wrong_slots(evidences, threshold)


def _wrong_slots(evidences: list[Evidence], threshold: float) -> str | None:
    """Whether first tokens are right up to some sequence of a batch, and wrong from the next one on."""
    logs = np.array(
        [log_dirichlet(one.by_slot, one.instance.true_target[0, 0], CONCENTRATIONS[1]) for one in evidences]
    ).max(axis=0)
    wrong = logs >= threshold
    if not wrong.any() or wrong[0]:
        return None
    first = int(wrong.argmax())
    if (logs[:first] >= 2 / 3 * threshold).any():
        return None
    ordinal = ("second", "third", "fourth")[first - 1] if first < 4 else f"{first + 1}th"
    return f"wrong rows of a batch: those of another sequence, from the {ordinal} sequence on"
