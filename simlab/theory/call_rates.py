"""What follows from expected numbers of calls and tokens, whatever they were found from."""

from __future__ import annotations

import math

import numpy as np


class CallRates:
    """Ratios of the fields that a prediction has: horizon, expected_target_calls, expected_drafted_tokens,
    expected_accepted_tokens, and (K,) drafted_, reached_ and accepted_by_position."""

    @property
    def tokens_per_call(self) -> float:
        """T / E[target calls], bonus tokens included (block efficiency)."""
        return self.horizon / self.expected_target_calls

    @property
    def calls_by_drafted(self) -> np.ndarray:
        """(K+1,): the expected number of calls that draft exactly 0, 1, .., K tokens.

        They sum to E[target calls]. Of batch decoding in each draft; (0,) for TreeSpeculative, whose drafted
        tokens are not predicted.
        """
        if math.isnan(self.expected_drafted_tokens):
            return np.zeros(0)
        at_least = np.concatenate([[self.expected_target_calls], self.drafted_by_position, [0.0]])
        return np.maximum(at_least[:-1] - at_least[1:], 0.0)  # not below 0 but for rounding

    @property
    def acceptance_rate(self) -> float:
        """E[accepted tokens] / E[drafted tokens]: what was drafted in vain counts; nan for none."""
        drafted = self.expected_drafted_tokens
        return self.expected_accepted_tokens / drafted if drafted else math.nan

    @property
    def acceptance_length(self) -> float:
        """E[accepted tokens] / E[target calls], without bonus tokens and replacements."""
        return self.expected_accepted_tokens / self.expected_target_calls

    @property
    def acceptance_length_by_position(self) -> np.ndarray:
        """(K,): E[accepted tokens at the first i positions of the window] / E[target calls], entry i - 1.

        Without bonus tokens and replacements; the last entry is `acceptance_length`.
        """
        return np.cumsum(self.accepted_by_position) / self.expected_target_calls

    @property
    def acceptance_rate_by_position(self) -> np.ndarray:
        """(K,): of the calls that draft a token at this position of the window, the part that accepts it.

        The per-position acceptance rate of serving engines. Where all calls draft as many tokens it falls
        from position to position, as a token is accepted only behind accepted ones. Where some draft fewer,
        near
        the horizon or by a policy, it may rise: fewer calls are left at later positions. nan where none is.
        """
        return _ratio(self.accepted_by_position, self.drafted_by_position)

    @property
    def conditional_acceptance_by_position(self) -> np.ndarray:
        """(K,): the same, of the calls that accept all drafted tokens before it; nan for none."""
        return _ratio(self.accepted_by_position, self.reached_by_position)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return np.minimum(ratio, 1.0)  # a part of the whole, but for rounding
