"""What biased decoding gives away for fewer rejections: Yin et al. (2024), Section 4, and beyond (own).

`loss` has the bias of one token and the least loss for a given rejection probability (Theorems 4 and 5);
`total_variation` brackets the bias of whole sequences, which the paper leaves open; `front` which pairs of
rejections and bias any algorithm can have, from both sides; `win_rate` how the target judges between the
outputs of two decoders.
"""
