"""The distribution of every decoder by brute force, in rational arithmetic, from the printed algorithms.

Yin et al. 2024 (arXiv 2411.00841), Algorithms 1 and 2 (speculative decoding) and 4 (batch), with
q^(M+1) used once after the last failure, and Section 4 (biased decoding); Pankratov and Alistarh 2026
(arXiv 2512.11718), deterministic speculation with trees, where "rejected" is the bonus token; finite
windows, call by call, are in `windows`, block verification in `blocks`, rules in `acceptance`, several
children at a position in `many_drafts`. Every random outcome that the algorithm looks at is a branch: each
drafted token, each acceptance coin, each replacement. Drafted tokens that nothing ever looks at are summed
out, since their probabilities sum to 1. Nothing here is simplified by theory: no total variation, no "q
minus min", no recursion on expectations; so agreement with a formula says something about the formula.

The cost is exponential in T and M: meant for V, T, M of 2 to 4.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import cache
from itertools import groupby, product

from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    MultiDraftSpeculative,
    Remembering,
    RuleSpeculative,
    Speculative,
    TreeSpeculative,
    is_plain,
)

ZERO, ONE = Fraction(0), Fraction(1)


def joint_distribution(draft, target, initial, decoder) -> dict[tuple[tuple, tuple], Fraction]:
    """P(tokens, rejected) for all sequences of positive probability, the initial token summed out.

    draft, target: (T, V, V) and initial: (V,), nested sequences of anything that Fraction takes (floats are
    taken at their exact binary value). Each row must sum to exactly 1: use dyadic floats or Fractions.
    Returns {(tokens, rejected): Fraction}, tokens a tuple of T ints, rejected a tuple of T bools; the
    values sum to 1. Raises ValueError for a row that does not sum to 1, TypeError for no decoder.
    """
    windowed = Speculative | AdaptiveSpeculative | ConfidenceSpeculative | Remembering
    if isinstance(decoder, windowed) and not is_plain(decoder):
        from tests.oracles.windows import call_distribution, marginal  # here: it is made of the parts below

        distribution = call_distribution(draft, target, initial, decoder)
        return marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    if isinstance(decoder, RuleSpeculative):
        from tests.oracles import acceptance
        from tests.oracles.windows import marginal

        distribution = acceptance.call_distribution(draft, target, initial, decoder)
        return marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    if isinstance(decoder, MultiDraftSpeculative):
        from tests.oracles import many_drafts
        from tests.oracles.windows import marginal

        distribution = many_drafts.call_distribution(draft, target, initial, decoder)
        return marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    if isinstance(decoder, BlockSpeculative):
        from tests.oracles import blocks
        from tests.oracles.windows import marginal

        distribution = blocks.call_distribution(draft, target, initial, decoder)
        return marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    draft = [[_row(row) for row in step] for step in draft]
    target = [[_row(row) for row in step] for step in target]
    horizon = len(target)

    @cache
    def autoregressive(t: int, x: int) -> tuple:
        return _collect(
            (mass, y, False, autoregressive(t + 1, y) if t + 1 < horizon else END)
            for y, mass in _outcomes(target[t][x])
        )

    @cache
    def speculative(t: int, x: int) -> tuple:
        """The distribution of the rest from position t on, after token x: one drafted token, verified."""

        def branches():
            for y, mass, accepted in _verified(draft[t][x], target[t][x]):
                if accepted:
                    yield mass, y, False, following(t + 1, y)
                    continue
                for z, replaced in _outcomes(_residual(target[t][x], draft[t][x])):
                    yield mass * replaced, z, True, following(t + 1, z)

        def following(t: int, y: int) -> tuple:
            return speculative(t, y) if t < horizon else END

        return _collect(branches())

    @cache
    def batch(t: int, x: int, fresh: bool) -> tuple:
        """The same with `drafts` drafts at a fresh position; ordinary speculative decoding elsewhere."""

        def branches():
            tries = decoder.drafts if fresh else 1
            distribution = draft[t][x]
            for first_tokens in product(range(len(distribution)), repeat=tries):
                drafted = ONE
                for y in first_tokens:
                    drafted *= distribution[y]
                if not drafted:
                    continue
                goal, failed = target[t][x], drafted
                for y in first_tokens:
                    accept = min(ONE, goal[y] / distribution[y])
                    if accept:
                        yield failed * accept, y, False, following(t + 1, y, False)
                    failed *= ONE - accept
                    if not failed:
                        break
                    goal = _residual(goal, distribution)
                else:
                    for z, replaced in _outcomes(goal):
                        yield failed * replaced, z, True, following(t + 1, z, True)

        def following(t: int, y: int, fresh: bool) -> tuple:
            return batch(t, y, fresh) if t < horizon else END

        return _collect(branches())

    @cache
    def biased(t: int, x: int) -> tuple:
        """The same for a drafted token that is accepted too often, and replaced by a distribution of
        choice."""
        epsilon = Fraction(decoder.epsilon)

        def branches():
            drafted, goal = draft[t][x], target[t][x]
            for y, mass in _outcomes(drafted):
                accept = min(ONE, (goal[y] + epsilon) / drafted[y])
                if accept:
                    yield mass * accept, y, False, following(t + 1, y)
                if accept == 1:
                    continue
                for z, replaced in _outcomes(_replacement(drafted, goal, decoder)):
                    yield mass * (1 - accept) * replaced, z, True, following(t + 1, z)

        def following(t: int, y: int) -> tuple:
            return biased(t, y) if t < horizon else END

        return _collect(branches())

    @cache
    def tree(t: int, x: int) -> tuple:
        """The same where a call begins: the target's tokens, until one is not in the tree."""
        drafted = set(drafted_tree(draft if decoder.drafted_by == "draft" else target, t, x, decoder))

        def walk(path: tuple) -> tuple:
            now = t + len(path)
            return _collect(
                (mass, y, (*path, y) not in drafted, following(now + 1, (*path, y)))
                for y, mass in _outcomes(target[now][path[-1] if path else x])
            )

        def following(then: int, path: tuple) -> tuple:
            if then == horizon:
                return END
            return walk(path) if path in drafted else tree(then, path[-1])

        return walk(())

    starts = {Autoregressive: autoregressive, Speculative: speculative, BiasedSpeculative: biased}
    starts[TreeSpeculative] = tree
    if isinstance(decoder, BatchSpeculative):
        start = lambda t, x: batch(t, x, True)  # noqa: E731
    elif type(decoder) in starts:
        start = starts[type(decoder)]
    else:
        raise TypeError(f"no decoder: {decoder!r}")
    distribution: dict[tuple[tuple, tuple], Fraction] = defaultdict(Fraction)
    for x, mass in _outcomes(_row(initial)):
        for tokens, rejected, rest in start(0, x):
            distribution[tokens, rejected] += mass * rest
    return dict(distribution)


END = (((), (), ONE),)
"""The distribution of nothing: the empty sequence, for certain."""


def target_calls(rejected: tuple) -> int:
    """How many calls a trajectory took: each ended with a bonus token, or the last one with the horizon."""
    return sum(rejected) + (not rejected[-1])


def drafted_tree(chooser, time: int, token: int, decoder) -> list[tuple[int, ...]]:
    """The nodes of a draft tree in the order of choice, each as its tokens.

    chooser: (T, V, V) of Fractions. No search: all sequences of positive probability up to the horizon are
    listed and sorted by falling probability, and the first are taken. Equally probable ones: those whose
    parents are more probable than they are come first, by their parents' positions, then by the token's
    position in its row; after them those that are as probable as their parents (certain tokens), each
    generation in the order of the one before.
    """
    rows = chooser[time:]
    paths = _continuations(rows, token)
    if decoder.shape == "chain":
        greedy = [()]
        for step in rows[: decoder.capacity]:
            row = step[greedy[-1][-1] if greedy[-1] else token]
            greedy.append((*greedy[-1], row.index(max(row))))
        return greedy[1:]
    placed = {(): -1}

    def key(path: tuple) -> tuple:
        row = rows[len(path) - 1][path[-2] if len(path) > 1 else token]
        before = [y for y, mass in enumerate(row) if (-mass, y) < (-row[path[-1]], path[-1])]
        return placed[path[:-1]], len(before)

    for _, group in groupby(sorted(paths, key=paths.get, reverse=True), key=paths.get):
        group = set(group)
        while group:
            generation = sorted((path for path in group if path[:-1] in placed), key=key)
            placed |= {path: len(placed) + place for place, path in enumerate(generation)}
            group -= set(generation)
    return sorted(placed, key=placed.get)[1 : decoder.capacity + 1]


def _continuations(rows, token: int) -> dict[tuple, Fraction]:
    """All sequences of positive probability after `token`, of 1 to len(rows) tokens, with it."""
    level, found = {(): ONE}, {}
    for step in rows:
        level = {
            (*path, y): reach * mass
            for path, reach in level.items()
            for y, mass in _outcomes(step[path[-1] if path else token])
        }
        found |= level
    return found


def _row(row) -> tuple[Fraction, ...]:
    exact = tuple(Fraction(value) for value in row)
    if sum(exact) != 1 or min(exact) < 0:
        raise ValueError(f"{[str(v) for v in exact]} is no distribution in exact arithmetic")
    return exact


def _outcomes(distribution) -> list[tuple[int, Fraction]]:
    return [(y, mass) for y, mass in enumerate(distribution) if mass]


def _verified(draft, target):
    """(token, probability, accepted) for each drafted token and each side of its acceptance coin."""
    for y, mass in _outcomes(draft):
        accept = min(ONE, target[y] / draft[y])
        if accept:
            yield y, mass * accept, True
        if accept != 1:
            yield y, mass * (1 - accept), False


def _residual(target, draft) -> tuple[Fraction, ...]:
    """[target - draft]_+ as a distribution."""
    excess = [max(goal - drafted, ZERO) for goal, drafted in zip(target, draft, strict=True)]
    whole = sum(excess)
    return tuple(value / whole for value in excess)


def _replacement(draft, target, decoder) -> tuple[Fraction, ...]:
    """What replaces a rejected token of biased decoding; "optimal" is Theorem 4's [target - b draft]_+."""
    if decoder.replacement in ("target", "draft"):
        return target if decoder.replacement == "target" else draft
    if decoder.replacement == "residual":
        return _residual(target, draft)
    ratios = ((g + Fraction(decoder.epsilon)) / d if d else ONE for g, d in zip(target, draft, strict=True))
    accept = [min(ONE, ratio) for ratio in ratios]
    return _residual(target, [b * d for b, d in zip(accept, draft, strict=True)])


def total_variation(draft, target, initial, decoder) -> Fraction:
    """Total variation of the tokens' distribution and the target's given x_0, averaged over x_0; as
    `joint_distribution`."""
    whole = ZERO
    for x, mass in _outcomes(_row(initial)):
        start = [int(x == z) for z in range(len(initial))]
        excess: dict[tuple, Fraction] = defaultdict(Fraction)
        for sign, each in ((1, decoder), (-1, Autoregressive())):
            for (tokens, _), share in joint_distribution(draft, target, start, each).items():
                excess[tokens] += sign * share
        whole += mass * sum(max(value, ZERO) for value in excess.values())
    return whole


def _collect(branches) -> tuple:
    """Sum branches (mass, token, rejected, distribution of the rest) into ((tokens, rejected, mass), ...)."""
    distribution: dict[tuple[tuple, tuple], Fraction] = defaultdict(Fraction)
    for mass, token, rejected, rest in branches:
        for tokens, flags, tail in rest:
            distribution[(token, *tokens), (rejected, *flags)] += mass * tail
    return tuple((tokens, flags, mass) for (tokens, flags), mass in distribution.items())
