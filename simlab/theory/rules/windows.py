"""A rule with finite windows or the bonus token: the recursions of `windows.forward` with its kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simlab.decoders import RuleSpeculative, longest_window
from simlab.pairs.pair import ChainPair
from simlab.theory.bias.total_variation import Bracket
from simlab.theory.horizon.divergence import sequence_divergence
from simlab.theory.prediction import Prediction
from simlab.theory.rules import hidden
from simlab.theory.windows import forward
from simlab.theory.windows.rules import Rules, rules_of


def predict(pair: ChainPair, decoder: RuleSpeculative) -> Prediction:
    """The exact prediction; of a biased rule with the bonus token `output_chain` is the distribution of the
    next token given the last one alone, and `sequence_kl` nan where sequences are too many to enumerate.

    Time and memory as of `windows.forward.predict`. Raises SimlabError for what the rule returns on the
    pair's rows.
    """
    tabled = decoder.on(pair)
    rules, longest = rules_of(pair, tabled), longest_window(decoder, pair.horizon)
    means = forward.means_by_position(pair, rules, longest)
    chain = _chain(pair, rules, means)
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=forward.distribution(pair, rules, of_calls=False),
        rejections_per_position=means.rejections,
        target_calls_pmf=forward.distribution(pair, rules, of_calls=True),
        by_position=(forward.drafted_by_position(pair, rules, means.starts, longest), *means[2:4]),
        output_chain=None if chain is pair.target else chain,
        sequence_kl=_divergence(pair, decoder, rules, chain),
    )


def rejections_per_position(pair: ChainPair, decoder: RuleSpeculative) -> np.ndarray:
    """P(position t is rejected), (T,), without the count. Raises SimlabError as `predict` does."""
    return forward.rejections_per_position(pair, decoder.on(pair))


def output_chain(pair: ChainPair, decoder: RuleSpeculative) -> np.ndarray:
    """The distribution of the next token given the last one, (T, V, V); with the bonus token and a biased
    rule the tokens before it matter too, and are averaged over."""
    rules = rules_of(pair, decoder.on(pair))
    return _chain(pair, rules, forward.means_by_position(pair, rules, longest_window(decoder, pair.horizon)))


def costs_to_go(pair: ChainPair, decoder: RuleSpeculative, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V). Raises SimlabError as `predict` does."""
    return forward.costs_to_go(pair, decoder.on(pair), call_time)


def sequence_bracket(pair: ChainPair, decoder: RuleSpeculative, cells: int | None) -> Bracket | None:
    """The total variation of sequences where the output is no chain; None where it is one."""
    rules = rules_of(pair, decoder.on(pair))
    return hidden.total_variation(pair, rules, cells) if _is_hidden(rules) else None


def _is_hidden(rules: Rules) -> bool:
    """Whether tokens do not tell where bonus tokens are: not if all calls draft to the last position, which
    is then the one bonus token."""
    ends = (t + rules.drafted(t) == rules.horizon - 1 for t in range(rules.horizon))
    return rules.bonus and not all(end.all() for end in ends)


def _is_unbiased(pair: ChainPair, rules: Rules) -> bool:
    output = rules.verified.output
    return bool((output == np.broadcast_to(pair.target_rows, output.shape)).all())


def _chain(pair: ChainPair, rules: Rules, means: forward.Means) -> np.ndarray:
    if _is_unbiased(pair, rules):
        return pair.target
    output = rules.verified.output
    if not rules.bonus:
        chain = np.broadcast_to(output if len(output) > 1 else output[0], pair.target.shape)
    else:
        # Where the token is never last, as if it were drafted.
        whole = means.verified + means.straight
        drafted = np.divide(means.verified, whole, out=np.ones_like(whole), where=whole > 0)[..., None]
        chain = drafted * output + (1 - drafted) * pair.target
    chain.flags.writeable = False
    return chain


def _divergence(pair: ChainPair, decoder: RuleSpeculative, rules: Rules, chain: np.ndarray) -> float:
    if chain is pair.target:
        return 0.0
    if not _is_hidden(rules):
        return sequence_divergence(chain, pair.target, pair.initial)
    return hidden.divergence(pair, rules)
