"""How many tokens the calls of a decoder with a window can draft."""

from __future__ import annotations

import numpy as np

from simlab.decoders.multi_draft import MultiDraftSpeculative
from simlab.decoders.settings import Decoder, Windowed


def has_bonus(decoder: Windowed) -> bool:
    """Whether a call whose drafted tokens are all accepted yields one more token."""
    return decoder.has_bonus


def longest_window(decoder: Windowed | MultiDraftSpeculative, horizon: int) -> int:
    """K: the most positions that one call can draft; 0 at T = 1 with the bonus token."""
    left = horizon - decoder.has_bonus
    return left if decoder.window is None else min(decoder.window, left)


def most_drafted(decoder: Windowed | MultiDraftSpeculative, horizon: int) -> int:
    """No trajectory drafts more tokens than this: every position starts a call of the longest window."""
    longest, bonus = longest_window(decoder, horizon), decoder.has_bonus
    if isinstance(decoder, MultiDraftSpeculative):
        sizes = [0]
        for tokens in decoder.tokens_at(longest):
            sizes.append(sizes[-1] + tokens)
        return sum(sizes[min(longest, left)] for left in range(1 - bonus, horizon + 1 - bonus))
    short = min(longest, horizon - bonus)  # the last starts have 0 or 1, 2, .. tokens to draft
    ends = short * (short - 1) // 2 if bonus else short * (short + 1) // 2
    full = horizon - short
    return full * longest + ends


def drafted_by_calls(decoder: Decoder, drafted_by_position: np.ndarray) -> float:
    """The drafted tokens of so many calls that draft at least i positions, (K,), entry i - 1."""
    if isinstance(decoder, MultiDraftSpeculative):
        return float(np.dot(decoder.tokens_at(len(drafted_by_position)), drafted_by_position))
    return decoder.drafts_per_call * float(drafted_by_position.sum())


def call_sizes(decoder: Decoder, longest: int) -> np.ndarray:
    """How many tokens a call drafts that has 0, 1, .., longest positions, (longest + 1,)."""
    if isinstance(decoder, MultiDraftSpeculative):
        return np.concatenate([[0], np.cumsum(np.array(decoder.tokens_at(longest), float))])
    return decoder.drafts_per_call * np.arange(longest + 1)
