"""Decoding with several drafted tokens, children, at each position of a call, compiled.

`sampler` carries the calls from step to step; each rule of verification has its tables, a NamedTuple, in a
module of its own, and `verifying` finds the kernel for them.
"""
