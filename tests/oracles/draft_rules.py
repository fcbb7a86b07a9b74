"""What rules of verifying many drafts accept and reject, by enumeration in fractions.

Each function returns (accepted, rejected), lists of masses by token. No code is shared with `simlab`.
"""

from __future__ import annotations

from fractions import Fraction

from tests.oracles.draft_sets import Row, constructed, sequences


def recursive(draft: Row, target: Row, drafts: int, replacement: bool) -> tuple[Row, Row]:
    """Drafts are tried one by one, along every sequence of them."""
    accepted, rejected = _nothing(target), _nothing(target)
    for drafted, probability in sequences(draft, drafts, replacement):
        wanted, proposal = list(target), list(draft)
        for token in drafted:
            take = min(Fraction(1), wanted[token] / proposal[token])
            accepted[token] += probability * take
            probability *= 1 - take
            if not probability:
                break
            wanted = _normalised([max(Fraction(0), q - p) for q, p in zip(wanted, proposal, strict=True)])
            if not replacement:
                proposal[token] = Fraction(0)
                proposal = _normalised(proposal) if any(proposal) else proposal
        for token, mass in enumerate(wanted):
            rejected[token] += probability * mass
    return accepted, rejected


def k_seq(draft: Row, target: Row, drafts: int, gamma: Fraction) -> tuple[Row, Row]:
    """Each of the independent drafts is accepted with probability min(1, target/(gamma draft))."""
    accepted = _nothing(target)
    for drafted, probability in sequences(draft, drafts, True):
        for token in drafted:
            take = min(Fraction(1), target[token] / (gamma * draft[token]))
            accepted[token] += probability * take
            probability *= 1 - take
    return accepted, [q - a for q, a in zip(target, accepted, strict=True)]


def match(draft: Row, target: Row, drafts: int, replacement: bool) -> tuple[Row, Row]:
    """The target's own draw is accepted where it is among the drafts."""
    accepted = _nothing(target)
    for drafted, probability in sequences(draft, drafts, replacement):
        for token in set(drafted):
            accepted[token] += probability * target[token]
    return accepted, [q - a for q, a in zip(target, accepted, strict=True)]


def greedy(draft: Row, target: Row, drafts: int) -> tuple[Row, Row]:
    """The drawn token is accepted with min(1, target/probability), the likeliest ones always."""
    drawn = {}
    for drafted, probability in constructed(draft, drafts, False, "greedy"):
        sure = drafted[: drafts - 1]
        if len(drafted) == drafts:
            drawn[drafted[-1]] = probability
    accepted = [
        q if token in sure else min(q, drawn.get(token, Fraction(0))) for token, q in enumerate(target)
    ]
    return accepted, [q - a for q, a in zip(target, accepted, strict=True)]


def _nothing(row: Row) -> Row:
    return [Fraction(0)] * len(row)


def _normalised(row: Row) -> Row:
    whole = sum(row)
    return [mass / whole for mass in row]
