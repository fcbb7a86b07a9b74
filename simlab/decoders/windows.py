"""How many tokens the calls of a decoder with a window can draft."""

from __future__ import annotations

from simlab.decoders.settings import Windowed


def has_bonus(decoder: Windowed) -> bool:
    """Whether a call whose drafted tokens are all accepted yields one more token."""
    return decoder.has_bonus


def longest_window(decoder: Windowed, horizon: int) -> int:
    """K: the most tokens that one call can draft; 0 at T = 1 with the bonus token."""
    left = horizon - decoder.has_bonus
    return left if decoder.window is None else min(decoder.window, left)


def most_drafted(decoder: Windowed, horizon: int) -> int:
    """No trajectory drafts more tokens than this: every position starts a call of the longest window."""
    longest, bonus = longest_window(decoder, horizon), decoder.has_bonus
    short = min(longest, horizon - bonus)  # the last starts have 0 or 1, 2, .. tokens to draft
    ends = short * (short - 1) // 2 if bonus else short * (short + 1) // 2
    full = horizon - short
    return full * longest + ends
