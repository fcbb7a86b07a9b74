"""CHECKS the theorems: each statement of the paper as two numbers that were found independently.

`theorem1` to `theorem5`, `algorithm4`, `biased`, `block` and `front` hold the checks, functions that return a
`Check`; `programs` the linear programs, which know no theorem; `places` what is looked at, `acceptance` rules
drawn at random, `compare` how two numbers become a check. Simulated numbers come as verdicts of `evidence`.
`speed_of_light` searches for rows that break a bound on draft trees.
"""

from simlab.verify.check import Check

__all__ = ["Check"]
