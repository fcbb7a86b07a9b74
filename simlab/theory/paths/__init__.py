"""Decoding along one path of tokens that the target wrote: exact given the path, for any model (own).

A language model's next distribution depends on the whole prefix, so there is no table of states to recurse
over. But let x_1..x_L be a text drawn from the target, p_t and q_t the draft's and the target's probability
of x_t after its prefix.

Theorem. Given the path, every drafted token that verification comes to is accepted with probability
a_t = min(1, p_t / q_t), independently of the others, whatever the windows, if these depend on the prefix and
the history of the calls alone.
Proof. After a prefix the decoder emits y, accepted with probability A(y) = min(p(y), q(y)) and rejected with
R(y) = q(y) - A(y); a bonus token and one of the target alone come with q(y). So the joint probability of a
path and of what happened along it is the product over its positions of A, R or q, and that of the path is the
product of q = A + R. The quotient is the product of a_t, 1 - a_t and 1.

So the state of a recursion along a path is the position alone: from a start s a call that drafts g tokens
ends with a rejection at t, s <= t < s + g, with probability a_s .. a_{t-1} (1 - a_t), and the next one starts
at t + 1; or all are accepted, and it starts at s + g, or s + g + 1 with the bonus token. Batch decoding
verifies its first token against M drafts: there P(rejected | path) is B(y)/q(y), with B the rejected
sub-kernel of `simlab.theory.kernels`, and the target's row has to be known to find it.

Averaged over paths drawn from the target these are unbiased for the pair of models. What is drafted behind a
rejection leaves the path; it is known where the window is, and to a bracket where the draft's confidence
stops it. A window with a memory is known from the calls before, so there the state is (position, memory).

`rules` says how many tokens a call drafts that starts at a position, `means` and `counts` are the recursions.
"""

from simlab.theory.paths.counts import count_pmf
from simlab.theory.paths.means import PathMeans, path_means
from simlab.theory.paths.rules import (
    MemoryRule,
    PathRule,
    confident_rule,
    cumulative_rule,
    run_rule,
    window_rule,
)

__all__ = [
    "MemoryRule",
    "PathMeans",
    "PathRule",
    "confident_rule",
    "count_pmf",
    "cumulative_rule",
    "path_means",
    "run_rule",
    "window_rule",
]
