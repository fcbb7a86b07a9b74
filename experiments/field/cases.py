"""What users and papers measured of speculative decoding, as they published it.

Sources: issue threads and pull requests of the projects named, and arXiv 2601.11580. Numbers are as printed;
an acceptance rate A/D at window k is given as the mean length 1 + k A/D that it means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.cost import CostModel


@dataclass(frozen=True)
class Curve:
    """Speed-ups measured at several windows. name, about: what it is. windows: rising; lengths: tokens per
    call, bonus token included, at each; speedups: over the target alone, at each.
    """

    name: str
    about: str
    windows: tuple[int, ...]
    lengths: tuple[float, ...]
    speedups: tuple[float, ...]

    @property
    def steps(self) -> np.ndarray:
        """What a call took, in units of the target alone's token, (W,)."""
        return np.array(self.lengths) / np.array(self.speedups)

    @property
    def rates(self) -> list[float]:
        """Acceptance by position, 1..K, as the lengths at these windows imply: even between two of them."""
        windows, lengths = np.array([0, *self.windows]), np.array([1.0, *self.lengths])
        return np.repeat(np.diff(lengths) / np.diff(windows), np.diff(windows)).tolist()

    def fitted(self, without: int | None = None) -> tuple[float, float]:
        """(a, b) of a call's time a + b k, by least squares; without: the index of a window left out."""
        kept = [index for index in range(len(self.windows)) if index != without]
        slope, first = np.polyfit(np.array(self.windows)[kept], self.steps[kept], 1)
        return float(first), float(slope)


def step_cost(first: float, slope: float) -> CostModel:
    """The costs of a call that takes first + slope k for k drafted tokens, where the target alone takes 1."""
    return CostModel(draft=slope, target={1: 1.0, 2: first, 3: first})


EAGLE = "8B, EAGLE-3, H100, greedy"
CURVES = (
    Curve(
        "C1", f"{EAGLE}, gsm8k, batch 1", (1, 2, 3, 5, 7),
        (1.5327, 1.8447, 1.9852, 2.1601, 2.2081), (1.4343, 1.6489, 1.6499, 1.6188, 1.5096),
    ),
    Curve(
        "C1b", f"{EAGLE}, mt_bench, batch 1", (1, 2, 3, 5, 7),
        (1.3825, 1.5296, 1.6191, 1.6765, 1.6966), (1.2913, 1.3614, 1.3283, 1.2407, 1.1445),
    ),
    Curve(
        "C1c", f"{EAGLE}, gsm8k, batch 64", (1, 2, 3, 4),
        (1.4409, 1.6346, 1.7180, 1.7625), (1.153, 1.101, 1.041, 0.938),
    ),
    Curve(
        "C3", "sglang#21599", (1, 3, 7), (2.00, 3.88, 6.25),
        tuple(rate / 460.7 for rate in (620.6, 954.8, 999.0)),
    ),
    Curve(
        "C4", "llama.cpp#22673, MoE partly on CPU", (1, 2, 3, 4),
        tuple(1 + k * rate for k, rate in enumerate((0.8835, 0.815, 0.7127, 0.6421), start=1)),
        tuple(rate / 22.92 for rate in (27.58, 29.39, 27.78, 26.09)),
    ),
    Curve("C6", "vllm#16035", (2, 4), (1.89, 2.08), tuple(rate / 128.64 for rate in (175.49, 165.65))),
)  # fmt: skip
"""Speed-up against window. Two windows (C6) fix the two numbers of a fit: then its speed-ups say nothing."""

STAIRS = {1: 30.75, 4: 37.3, 8: 75.7}
"""C8, mlxcel#1182: ms of a forward over so many tokens; 3 drafted tokens were measured faster than 4."""

CROW = CostModel(draft=10.35, target=30.74, draft_call=10.9)
"""C10, Crow#181, ms: given up as never worth it at window 3. What verification takes was not measured."""
CROW_WINDOW = 3

LLAMA_RATES = (0.805, 0.632, 0.483)
LLAMA_CALLS, LLAMA_DRAFTED, LLAMA_TOKENS = 87, 259, 256
LLAMA_DRAFT_MS, LLAMA_EVAL_MS = 325.555, 2296.72
"""C12, llama.cpp#24536: calls, drafted tokens, tokens out, ms of all drafting, ms of everything."""

LOADS = (4, 16, 64, 128, 256)
PLAIN = (381.53, 1342.83, 4094.75, 6340.78, 8878.57)
SEVEN = (970.33, 2909.52, 6712.35, 8778.87, 7852.42)
ADAPTIVE = (902.37, 2773.69, 7144.12, 10356.48, 13324.67)
LOAD_WINDOW = 7
"""C13, vllm#52362: tokens a second of all requests together, by concurrency: the target alone, window 7, and
with verification that adapts to each request's confidence, which no single window does."""

NGRAM_RATES = (0.3079, 0.2783, 0.2512, 0.2390, 0.2235)
NGRAM_OVERHEAD = 1.20683946e-3
"""C16, arXiv 2601.11580: rates of n-gram drafts, and what a call takes beside `VERIFY`, in seconds."""

RELATIVE = (
    1, 0.605, 0.473, 0.408, 0.374, 0.351, 0.334, 0.320, 0.313, 0.300, 0.289, 0.287, 0.278, 0.272, 0.269,
    0.270,
)  # fmt: skip
"""C17, llama.cpp#17034: time per token in a batch of 1, 2, .. tokens, relative to one token alone."""
RELATIVE_LINE = (0.781, 0.2195)
