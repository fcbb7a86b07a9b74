"""Small rules of windows with a memory: each grows and shrinks within a few calls."""

from __future__ import annotations

from simlab.decoders import EmaSpeculative, HistorySpeculative, LadderSpeculative, StreakSpeculative

RULES = {
    "history": HistorySpeculative(start=2, longest=3),
    "history far": HistorySpeculative(start=1, up=3, down=2, longest=4),
    "history that shrinks": HistorySpeculative(start=3, up=0, down=1, longest=9),
    "streak": StreakSpeculative(start=1, streak=2, longest=3),
    "streak of one": StreakSpeculative(start=2, streak=1, longest=4),
    "ema": EmaSpeculative(start=2, weight=0.5, longest=3, levels=4),
    "ema of the last call": EmaSpeculative(1, 1.0, 0.5, 0.5, longest=2, levels=10),
    "fine ema": EmaSpeculative(start=2, weight=0.3, narrow=0.5, widen=0.6, longest=4, levels=50),
    "ladder": LadderSpeculative(start=2, windows=(1, 2, 4), weight=0.5),
}
