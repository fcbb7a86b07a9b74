"""One line on how far a recording is: tokens, tokens a second, time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from simlab.progress import clock_time

LINE_SECONDS = 5.0


class Progress:
    """Counts tokens and says so on `stream` (stderr): one live line on a terminal, else one every 5 s."""

    def __init__(self, total: int, stream: TextIO | None = None, clock=time.monotonic) -> None:
        """total: tokens, at most, of the whole recording."""
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._total, self._there, self._new = total, 0, 0
        self._started = self._printed = clock()

    def skip(self, tokens: int) -> None:
        """So many of the tokens are there from an earlier run, or will not come."""
        self._there += tokens

    def add(self, tokens: int) -> None:
        """So many tokens more."""
        self._new += tokens
        now = self._clock()
        if now - self._printed >= (0.2 if self._live else LINE_SECONDS):
            self._printed = now
            self._print(self.line())

    def end(self) -> None:
        """The last line."""
        self._print(self.line(), "\n")

    def line(self) -> str:
        """E.g. "1536/12800 tokens, 104 tokens/s, 1:48 left"."""
        seconds = self._clock() - self._started
        line = f"{self._there + self._new}/{self._total} tokens"
        if self._new and seconds > 0:
            rate = self._new / seconds
            left = clock_time((self._total - self._there - self._new) / rate)
            line += f", {rate:.0f} tokens/s, {left} left"
        return line

    def _print(self, line: str, end: str = "") -> None:
        if self._live:
            print(f"\r{line:<60}", end=end, file=self._stream, flush=True)
        else:
            print(line, file=self._stream, flush=True)
