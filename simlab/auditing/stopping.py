"""Does a stopping rule bias? It must not look at a token to decide whether that token is verified.

Position i of the window may be verified or not by the tokens before i and the draft's rows up to i, by
earlier calls, load or independent noise. A rule that looks at the drafted token i or beyond, and then lets a
fresh target token replace it, biases the output: tokens that the rule likes are kept, others drawn anew.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from simlab.auditing.calling import Hung, interrupted_after
from simlab.auditing.one_call import Bias, Row, SmallInstance, Tokens, find_bias
from simlab.checks import check_count, shortened
from simlab.errors import SimlabError

WEIGHTS = tuple(Fraction(n, 1000) for n in (900, 700, 600, 800, 950, 650, 550, 750, 850, 990, 999))
"""The likeliest token's probability in the rows tried, in this order."""
MIXED = 40
"""Drafts tried of each size whose rows differ from token to token."""
MOST_BLOCKS = 4_096
ASKED_AGAIN = 5
"""Instances about which the rule is asked once more at the end, when all others lie between."""
TIME_LIMIT = 10.0
"""Seconds that one call of the rule may last."""


@dataclass(frozen=True)
class Anticipation:
    """Two blocks with the same tokens before `position` (1 for the first), of which one alone is verified
    there: blocks drafted after the `accepted` tokens, and how many of each are verified.
    """

    position: int
    accepted: Tokens
    blocks: tuple[Tokens, Tokens]
    verified: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PolicyReport:
    """What `check_policy` found.

    asked: "before each token", of a rule that answers True or False, or "after drafting", of one that answers
    a number. anticipation: where the rule looks at what it must not; None: nowhere. bias: the smallest
    instance found on which the output is not the target's; None: none. calls: of the rule.
    """

    asked: str
    window: int
    states: tuple[int, ...]
    calls: int
    anticipation: Anticipation | None
    bias: Bias | None

    @property
    def non_anticipating(self) -> bool:
        """Whether no decision changed with what it must not look at."""
        return self.anticipation is None

    @property
    def outcome(self) -> str:
        """PASS for a rule that cannot bias the output, else FAIL."""
        return "PASS" if self.non_anticipating else "FAIL"

    @property
    def sentence(self) -> str:
        """The shortest that says it."""
        found = self.anticipation
        if found is None and self.asked == "before each token":
            return "the rule is asked before each token is drawn, and cannot bias the output."
        if found is None:
            return (
                "whether a drafted token is verified never changed with that token or with what follows it: "
                "such a rule cannot bias the output."
            )
        first, second = (
            f"{n} of {_tokens(block)}" for n, block in zip(found.verified, found.blocks, strict=True)
        )
        shown = "" if self.bias else " No instance that was tried shows a bias."
        return (
            f"position {found.position} is verified or not by what is drafted there or behind it: after "
            f"{_tokens(found.accepted)} the rule verifies {first}, but {second}.{shown}"
        )

    def document(self) -> dict:
        """Everything, as plain data for JSON; probabilities as fractions."""
        bias = self.bias and {
            "states": self.bias.instance.states,
            "window": self.bias.instance.window,
            "accepted": list(self.bias.instance.accepted),
            "draft": [_fractions(row) for row in self.bias.instance.draft],
            "target": [_fractions(row) for row in self.bias.target],
            "after": list(self.bias.after),
            "wanted": _fractions(self.bias.wanted),
            "output": _fractions(self.bias.output),
            "total_variation": str(self.bias.total_variation),
        }
        return {
            "outcome": self.outcome,
            "sentence": self.sentence,
            "asked": self.asked,
            "non_anticipating": self.non_anticipating,
            "anticipation": self.anticipation and dataclasses.asdict(self.anticipation),
            "bias": bias,
            "calls": self.calls,
            "window": self.window,
            "states": list(self.states),
        }

    def __str__(self) -> str:
        lines = [f"{self.outcome}: {self.sentence}"]
        if self.bias:
            lines += ["", *_bias_lines(self.bias)]
        sizes = " and ".join(map(str, self.states))
        lines += ["", f"  {self.calls:,} calls: up to {self.window} drafted of {sizes} tokens"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"PolicyReport({self.outcome}: {self.sentence})"


def check_policy(rule: Callable, window: int = 3, states: int | None = None) -> PolicyReport:
    """Whether a rule for how many drafted tokens are verified can bias the output; if so, an instance of it.

    rule(accepted, drafted, rows): the tokens accepted so far, prompt included; the g tokens drafted in this
    call; the draft's distributions (g + 1, V), of each drafted token and of the one that would come next. It
    answers one of two questions:

    - True or False, asked before each token is drawn: stop drafting now, and verify what there is?
    - a whole number in 0..g, asked when all g are drafted: how many of them are verified? The others are
      dropped, and the target's own token replaces the first of them.

    A rule with a memory of earlier calls is checked for one value of the memory at a time. window: the
    largest g tried. states: the size of the vocabulary; None: 2 and 3.

    The rule is asked about everything that can be drafted on small instances: whether position i is verified
    must not change with token i or what follows. If it does, one call is computed exactly, in fractions, on
    these instances from the smallest on, until the output is not the target's. A rule that passes on all
    instances is not proven right for those that were not tried.

    Raises SimlabError for other settings, and where the rule is not a function, raises an exception, lasts
    longer than 10 s, changes its arguments, returns anything else, or answers differently when it is asked
    the same again (it is random, or keeps state). Source: own; that no such rule biases is in the guide.
    """
    if not callable(rule):
        raise SimlabError(
            f"rule = {shortened(rule)} is not valid; expected a function of (accepted, drafted, rows)"
        )
    window = check_count("window", window)
    sizes = (2, 3) if states is None else (check_count("states", states, least=2),)
    if sizes[-1] ** window > MOST_BLOCKS:
        raise SimlabError(
            f"window = {window} with {sizes[-1]} tokens: {sizes[-1] ** window:,} blocks can be drafted; "
            f"give a smaller window or fewer states, for at most {MOST_BLOCKS:,}"
        )
    asked = _Asked(rule)
    anticipation = bias = None
    first = {}
    for instance in _instances(sizes, window):
        verified = asked.about(instance)
        if len(first) < ASKED_AGAIN:
            first[instance] = verified
        found = _anticipation(instance, verified)
        if found is None:
            continue
        anticipation = anticipation or found
        bias = _first_bias(instance, verified)
        if bias is not None:
            anticipation = found
            break
    for instance, verified in first.items():
        asked.again(instance, verified)
    kind = "before each token" if asked.kind is bool else "after drafting"
    return PolicyReport(kind, window, sizes, asked.calls, anticipation, bias)


class _Asked:
    """A rule, and what is known of its answers: their kind, and how often it was called."""

    def __init__(self, rule: Callable):
        self.rule, self.kind, self.calls = rule, None, 0

    def about(self, instance: SmallInstance) -> dict[Tokens, int]:
        """How many tokens of each block are verified; asked twice, the second time in the other order."""
        answers = self._answers(instance, list(instance.blocks()))
        self.again(instance, answers)
        return answers

    def again(self, instance: SmallInstance, answers: dict[Tokens, int]) -> None:
        """Raises SimlabError if the answers are others than before."""
        for block, count in self._answers(instance, list(reversed(answers))).items():
            if count != answers[block]:
                raise SimlabError(
                    f"the rule verifies {answers[block]} tokens of {_tokens(block)}, and {count} when it is "
                    "asked the same again: it is random, or keeps state; give a function of its arguments"
                )

    def _answers(self, instance: SmallInstance, blocks: list[Tokens]) -> dict[Tokens, int]:
        with interrupted_after(TIME_LIMIT) as tick:
            try:
                return {block: self._verified(instance, block, tick) for block in blocks}
            except Hung:
                raise SimlabError(f"the rule did not return within {TIME_LIMIT:g} s") from None

    def _verified(self, instance: SmallInstance, block: Tokens, tick) -> int:
        if self.kind is not bool:
            answer = self._answer(instance, block, tick)
            if self.kind is int:
                return answer
        for length in range(len(block)):
            if self._answer(instance, block[:length], tick):
                return length
        return len(block)

    def _answer(self, instance: SmallInstance, drafted: Tokens, tick) -> int | bool:
        self.calls += 1
        tick.calls = self.calls
        rows = instance.rows(drafted)
        given = f"accepted {_tokens(instance.accepted)}, drafted {_tokens(drafted)}"
        try:
            answer = self.rule(instance.accepted, drafted, rows)
        except (Exception, SystemExit) as error:
            raise SimlabError(
                f"the rule raised {type(error).__name__}: {shortened(str(error), 200)}; it was asked about "
                f"{given} and rows {rows.shape}"
            ) from error
        kind = bool if isinstance(answer, bool | np.bool_) else int
        right = kind is bool or (isinstance(answer, int | np.integer) and 0 <= answer <= len(drafted))
        self.kind = self.kind or kind
        if not right or kind is not self.kind:
            raise SimlabError(
                f"the rule returned {shortened(answer)} for {given}; expected always True or False (stop "
                f"drafting?), or always how many drafted tokens are verified, here 0 to {len(drafted)}"
            )
        return kind(answer)


def _instances(sizes: tuple[int, ...], window: int) -> Iterator[SmallInstance]:
    """From the smallest on: one row for all positions, then rows that depend on the token before."""
    rng = np.random.RandomState(1)  # whose numbers are the same with every version of NumPy
    for states, length in itertools.product(sizes, range(1, window + 1)):
        rows = _rows(states)
        drafts = [(row,) * states for row in rows]
        drafts += [tuple(rows[i] for i in rng.randint(len(rows), size=states)) for _ in range(MIXED)]
        for draft, accepted in itertools.product(drafts, ((0,), (1, 0), (0, 1, 1))):
            yield SmallInstance(draft, length, accepted)


def _rows(states: int) -> list[Row]:
    """The uniform row, and those in which one token is likelier than the others, which are alike."""
    rows = [(Fraction(1, states),) * states]
    for weight, likely in itertools.product(WEIGHTS, range(min(states, 3))):
        other = (1 - weight) / (states - 1)
        rows.append(tuple(weight if token == likely else other for token in range(states)))
    return rows


def _anticipation(instance: SmallInstance, verified: dict[Tokens, int]) -> Anticipation | None:
    """Two blocks that differ from some position on, and whether they are verified there; None: there are
    none."""
    for i in range(instance.window):
        first = {}
        for block, count in verified.items():
            other = first.setdefault(block[:i], block)
            if (count > i) != (verified[other] > i):
                return Anticipation(
                    i + 1, instance.accepted, (other, block), (verified[other], verified[block])
                )
    return None


def _first_bias(instance: SmallInstance, verified: dict[Tokens, int]) -> Bias | None:
    """On the first of a few targets other than the draft that shows one; None if none of them does."""
    states = instance.states
    for row in (_rows(states)[0], *_rows(states)[1 + min(states, 3) :][:3]):
        target = (row,) * states
        bias = None if target == instance.draft else find_bias(instance, target, verified.__getitem__)
        if bias is not None:
            return bias
    return None


def _bias_lines(bias: Bias) -> list[str]:
    instance = bias.instance
    after = f" after {_tokens(bias.after)}" if bias.after else ""
    lines = [f"  smallest instance found: {instance.states} tokens, window {instance.window}"]
    if len(set(instance.draft)) == 1:
        lines.append(_line("draft", instance.draft[0]))
    else:
        lines += [_line(f"draft after {x}", row) for x, row in enumerate(instance.draft)]
    lines += [_line("target", bias.wanted), _line(f"output{after}", bias.output)]
    distance = bias.total_variation
    lines.append(f"  total variation of this token: {distance} = {float(distance):.4g}")
    return lines


def _line(name: str, row: Row) -> str:
    exact = "".join(f"{one!s:>9}" for one in row)
    return f"    {name:<18}{exact}   = {', '.join(f'{float(one):.4g}' for one in row)}"


def _fractions(row: Row) -> list[str]:
    return [str(one) for one in row]


def _tokens(tokens: Tokens) -> str:
    return f"({', '.join(map(str, tokens))})"
