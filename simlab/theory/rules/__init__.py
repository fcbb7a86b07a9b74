"""Speculative decoding with any rule of acceptance (the class of Yin et al. 2024, Section 3; recursions own).

`kernels` makes the accepted and the replaced part of one step of a rule's tables; with them the recursions of
`horizon` and `windows` hold as they stand, since nothing in them needs the output to be the target. With a
bonus token a biased output is no Markov chain: a token straight from the target comes where all drafted ones
were accepted, which the tokens do not tell. `hidden` has its sequences.
"""
