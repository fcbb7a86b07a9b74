"""A traced trajectory as lines to read: what was drafted and drawn, in order, and what became of it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from simlab.cli.output.tables import columns
from simlab.decoders import Decoder, MultiDraftSpeculative, decoder_name, entry_for
from simlab.reference.trace import OUTCOMES, Call, DraftedToken, DrawnToken, Trajectory

WIDTH = 96
INVISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "": "..."}
"""What stands for characters without ink, and for the token that all rare characters share."""
COLOURS = {"accepted": "34", "rejected": "1;31", "thrown away": "2", "replacement": "33", "bonus": "36"}
"""Of a terminal, by what became of a token."""
COLUMNS = (
    "call", "position", "try", "in the tree", "token", "draft", "target", "p", "accept", "coin", "outcome"
)  # fmt: skip
"""Of the table, each where it has something to say."""

RESIDUAL = "[target - draft]+"
BIASED_FROM = {
    "optimal": "[target - accepted]+", "target": "the target", "draft": "the draft", "residual": RESIDUAL
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How the calls of a decoder are read.

    legend: the algorithm in a sentence or two. source: (call, decoder) -> what a rejected token's replacement
    is drawn from. rule: what the figure says of the coins. walks: whether the target's own tokens walk
    through a drafted tree, and no coins are tossed. children: whether several tokens are drafted at each
    position.
    """

    legend: str
    source: Callable[[Call, Decoder], str] = lambda call, decoder: RESIDUAL
    rule: str = "under it: coin < probability of acceptance"
    walks: bool = False
    children: bool = False


SPECULATIVE = Reading(
    "A drafted token is accepted if its coin is below accept = min(1, target/draft). The "
    "first that is not is replaced by a draw from [target - draft]+; those behind it are thrown away."
)
READINGS = {
    "autoregressive": Reading("Each call of the target gives one token, drawn from its distribution."),
    "speculative": SPECULATIVE,
    "adaptive": SPECULATIVE,
    "confidence": SPECULATIVE,
    "history": SPECULATIVE,
    "streak": SPECULATIVE,
    "ema": SPECULATIVE,
    "ladder": SPECULATIVE,
    "batch": Reading(
        "At a fresh position the first tokens of the drafts are tried in turn: accepted if the coin is "
        "below accept = min(1, target/draft), where each failure leaves the residual [target - draft]+ as "
        "the next try's target. The accepted draft is then followed alone.",
        source=lambda call, decoder: RESIDUAL if call.accepted else "the last residual",
    ),
    "biased": Reading(
        "A drafted token is accepted if its coin is below accept = min(1, (target + epsilon)/draft): "
        "too often. The first that is not is replaced; those behind it are thrown away.",
        source=lambda call, decoder: BIASED_FROM[decoder.replacement],
    ),
    "rule": Reading(
        "A drafted token is accepted if its coin is below accept, the rule's answer for these rows. The "
        "first that is not is replaced as the rule says; those behind it are thrown away.",
        source=lambda call, decoder: "the rule's rows",
    ),
    "tree": Reading(
        "The target draws its own tokens. As long as they lie in the drafted tree the call goes on; the "
        "first that does not is the bonus token.",
        walks=True,
    ),
    "multidraft": Reading(
        "At each position several children are drafted after the last accepted token, and one of them or "
        "none is accepted.",
        source=lambda call, decoder: CHILDREN[decoder.rule][1],
        children=True,
    ),
    "block": Reading(
        "The drafted tokens are verified together: the window may end behind a token whose coin is "
        "below accept = h, and ends at the last such token. p = min(1, p target/draft) runs along the "
        "window.",
        source=lambda call, decoder: "[p target - draft]+",
        rule="under it: coin < h where the window may end",
    ),
}
"""By the decoder's name."""


CHILDREN = {
    "recursive": (
        "They are tried in turn: accepted if the coin is below accept = min(1, target/draft), where each "
        "failure leaves the residual [target - draft]+ as the next one's target.",
        "the last residual",
    ),
    "k-seq": (
        "They are tried in turn: accepted if the coin is below accept = min(1, target/(gamma draft)).",
        "what is left of the target",
    ),
    "optimal": (
        "No rule accepts more. Independent children stand at random points of [0, 1): the first is accepted "
        "if its coin, this point, is below accept. Distinct ones are chosen by their set, without a coin.",
        "what is left of the target",
    ),
    "match": ("The target draws a token, which is accepted if it is one of them.", "the target"),
    "greedy": (
        "The draft's likeliest tokens, and one of the rest, accepted if its coin is below accept = min(1, "
        "target/rest); if not, a token from [target - rest]+ is accepted if it is one of the likeliest.",
        "[target - rest]+",
    ),
}
"""By the rule of `MultiDraftSpeculative`: how it verifies, and what the corrected token is drawn from."""


def reading_of(decoder: Decoder) -> Reading:
    """The decoder's row of READINGS; SimlabError where there is none."""
    reading = entry_for(decoder, READINGS, "reading", decoder_name(decoder))
    if isinstance(decoder, MultiDraftSpeculative):
        return replace(reading, legend=f"{reading.legend} {CHILDREN[decoder.rule][0]}")
    return reading


@dataclass(frozen=True)
class Event:
    """A token that was drafted or drawn: in which call, from 1, and what became of it.

    outcome: one of `OUTCOMES` of the reference, or "replacement" or "bonus". drafted: None for the last two.
    probability: that of a drawn token under the distribution that it was drawn from.
    """

    call: int
    position: int
    token: int
    outcome: str
    drafted: DraftedToken | None = None
    probability: float | None = None


def events(trajectory: Trajectory) -> Iterator[Event]:
    """All that happened, in the order of the reading: each call's drafted tokens, then the one it drew."""
    for number, call in enumerate(trajectory.calls, start=1):
        for one in call.drafted:
            yield Event(number, one.position, one.token, one.outcome, one)
        for outcome, drawn in (("replacement", call.replacement), ("bonus", call.bonus)):
            if drawn:
                probability = drawn.distribution[drawn.token]
                yield Event(number, drawn.position, drawn.token, outcome, probability=probability)


def trajectory_text(
    trajectory: Trajectory, decoder: Decoder, labels: Sequence[str], *, spaced: bool, colour: bool
) -> str:
    """The table of all calls with a legend above it and a summary below.

    labels: (V,), of the tokens; spaced: whether spaces stand between them in running text; colour: with the
    codes of a terminal.
    """
    reading, rows = reading_of(decoder), []
    for number, call in enumerate(trajectory.calls, start=1):
        table = _walk(call, labels) if reading.walks else _rows(call, decoder, labels)
        rows += [{"call": str(number) * (at == 0), **row} for at, row in enumerate(table)]
    kept = [key for key in COLUMNS if any(row.get(key) for row in rows)]
    heading, *lines = columns([{key: row.get(key, "") for key in kept} for row in rows]).splitlines()
    if colour:
        lines = [f"\033[{COLOURS[row['kind']]}m{line}\033[0m" for row, line in zip(rows, lines, strict=True)]
    told = (" " * spaced).join(labels[token] for token in trajectory.tokens)
    text = textwrap.fill(f"after {labels[trajectory.start]} came: {told}", WIDTH)
    legend = textwrap.fill(reading.legend, WIDTH)
    return "\n".join([legend, "", heading, *lines, "", text, summary(trajectory, decoder)])


def summary(trajectory: Trajectory, decoder: Decoder) -> str:
    """What it came to, in a line or two."""
    tokens, calls = len(trajectory.tokens), len(trajectory.calls)
    counts = Counter(event.outcome for event in events(trajectory))
    parts = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES]
    last = f"N_rej = {trajectory.rejections}"
    if reading_of(decoder).walks:
        parts, last = [f"{counts['accepted']} passed by the target's own"], f"{counts['bonus']} bonus tokens"
    elif counts["bonus"] and counts["accepted"]:
        last += f"; {counts['bonus']} straight from the target"
    told = f"{tokens} tokens in {calls} target calls, {trajectory.tokens_per_call:.3g} a call; {last}"
    drafted = sum(len(call.drafted) for call in trajectory.calls)
    return told + (f"\n{drafted} drafted tokens: {', '.join(parts)}" if drafted else "")


def _rows(call: Call, decoder: Decoder, labels: Sequence[str]) -> Iterator[dict[str, str]]:
    """A row for each drafted token that had its turn, and for the one that the call drew."""
    children = reading_of(decoder).children
    drafts = [list(group) for _, group in groupby(call.drafted, key=lambda one: one.draft)]
    tried = drafts if children else [draft for draft in drafts if draft[0].coin is not None]
    for one in call.drafted if children else ():
        several = sum(other.position == one.position for other in call.drafted) > 1
        yield _tried(one, call, labels) | ({"try": str(one.draft + 1)} if several else {})
    for draft in () if children else tried:
        turns = [one for one in draft if one.coin is not None]
        for one in turns:
            row = _tried(one, call, labels)
            if one is turns[-1] and len(turns) < len(draft):
                row["outcome"] += f"; thrown away: {_listed(draft[len(turns) :], labels, room=12)}"
            yield row | ({"try": str(one.draft + 1)} if len(drafts) > 1 else {})
    if len(tried) < len(drafts):
        first, last = len(tried) + 1, len(drafts)
        which = f"draft {last}" if first == last else f"drafts {first} to {last}"
        yield {"kind": "thrown away", "outcome": f"{which}: not tried, thrown away"}
    if call.replacement:
        source = reading_of(decoder).source(call, decoder)
        yield _drawn("replacement", call.replacement, f"replacement, from {source}", labels)
    if call.bonus:
        alone = "from the target" + ", nothing was drafted" * (decoder.drafts_per_call > 0)
        told = "bonus token, from the target" if drafts else alone
        probability = _digits(call.bonus.distribution[call.bonus.token])
        yield _drawn("bonus", call.bonus, told, labels) | {"target": probability}


def _tried(one: DraftedToken, call: Call, labels: Sequence[str]) -> dict[str, str]:
    goal = one.target_probability if one.residual_target is None else one.residual_target[one.token]
    accept, coin = ("", "") if one.coin is None else _told_apart(one.acceptance, one.coin)
    row = {
        "kind": one.outcome,
        "position": str(one.position + 1),
        "token": labels[one.token],
        "draft": _digits(one.draft_probability),
        "target": _digits(goal),
        "accept": accept,
        "coin": coin,
        "outcome": one.outcome,
    }
    if one.running_ratio is not None:
        row["p"] = _digits(one.running_ratio)
        row["outcome"] += ": the window ends here" * (one.position + 1 == call.position + call.accepted)
    return row


def _drawn(kind: str, drawn: DrawnToken, outcome: str, labels: Sequence[str]) -> dict[str, str]:
    position, token = str(drawn.position + 1), labels[drawn.token]
    return {"kind": kind, "position": position, "token": token, "outcome": outcome}


def _walk(call: Call, labels: Sequence[str]) -> Iterator[dict[str, str]]:
    """A row for each of the target's tokens: what the tree had drafted for it."""
    at = -1
    for depth, token in enumerate(call.tokens):
        children = {one.token: node for node, one in enumerate(call.drafted) if one.parent == at}
        at = children.get(token)
        drafted = [call.drafted[node] for node in children.values()]
        yield {
            "kind": "bonus" if at is None else "accepted",
            "position": str(call.position + depth + 1),
            "in the tree": _listed(drafted, labels, room=36) or "nothing",
            "token": labels[token],
            "outcome": "not in the tree: bonus token" if at is None else "in the tree",
        }


def _listed(drafted: Sequence[DraftedToken], labels: Sequence[str], room: int) -> str:
    """Tokens in a row, as many as there is room for, and how many more."""
    told = ""
    for number, one in enumerate(drafted):
        if len(told) + len(labels[one.token]) >= room:
            return f"{told}+{len(drafted) - number}"
        told += labels[one.token] + " "
    return told.rstrip()


def _digits(value: float) -> str:
    """At most six characters: three decimals, four where these are few digits, or a power of ten."""
    if value == 0 or value >= 0.00995:
        return f"{value:.3f}"
    return f"{value:.4f}" if value >= 0.000995 else f"{value:.0e}"


def _told_apart(acceptance: float, coin: float) -> tuple[str, str]:
    """Both with three digits, or with as many as it takes to see which is larger."""
    digits = 3
    while digits < 17 and f"{acceptance:.{digits}f}" == f"{coin:.{digits}f}":
        digits += 1
    return f"{acceptance:.{digits}f}", f"{coin:.{digits}f}"


def visible(character: str) -> str:
    """The label of a token that stands for this character, a terminal's cell wide where it can be."""
    drawn = INVISIBLE.get(character, character)
    wide = not drawn.isprintable() or drawn.isspace() or unicodedata.east_asian_width(drawn[0]) in "WF"
    return f"U+{ord(drawn):04X}" if wide or unicodedata.combining(drawn[0]) else drawn
