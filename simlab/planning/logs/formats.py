"""The tables of formats, those whose statistics stand in a line and those of objects of JSON.

A format is a class with

- words: bytes one of which stands in every piece with something to read, looked for first, because that is
  quick; each has one of the GATES of `piece` in it or beside it. Of objects one `word`;
- looked_for: what it reads, in words, for a log in which nothing is found;
- feed: reads `Lines`, or a `Piece`; its state is sums, so that a log of any size takes the same memory;
- readings(): what has been read, a `Reading` for each thing that is planned by itself.
"""

from __future__ import annotations

from simlab.planning.logs.fastdeploy import Heads
from simlab.planning.logs.histograms import Histograms
from simlab.planning.logs.llama import LlamaLines
from simlab.planning.logs.prometheus import Prometheus
from simlab.planning.logs.sglang import DecodeLines
from simlab.planning.logs.vllm import CumulativeLines, IntervalLines

LINE_FORMATS = (Prometheus, IntervalLines, CumulativeLines, DecodeLines, LlamaLines)
OBJECT_FORMATS = (Histograms, Heads)
