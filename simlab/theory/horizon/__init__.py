"""Decoders whose every call drafts to the horizon, and the target alone: the algorithms of Yin et al. (2024).

Rejections are the only thing that ends a call before the horizon, so their number is the cost. `forward` has
its exact distribution by a recursion over the last token, whether the position is fresh, and the count
(Theorems 1 and 3; the count is own); `steps` the sub-kernels of each decoder; `positions` where in a call
drafted tokens are accepted; `theorem3` the paper's own formula as a second route; `closed_forms` its Figure
3; `divergence` the Kullback-Leibler divergence of whole sequences.
"""
