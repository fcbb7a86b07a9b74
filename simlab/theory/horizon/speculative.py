"""Speculative decoding to the horizon (Yin et al. 2024, Theorem 1), with its calls and drafted tokens.

Its counts are those of `forward`. It is also a window as long as the horizon, without the bonus token, so
that its costs from each position on are those of windows.
"""

from simlab.theory.horizon.forward import output_chain, predict, rejections_per_position
from simlab.theory.windows.forward import costs_to_go

__all__ = ["costs_to_go", "output_chain", "predict", "rejections_per_position"]
