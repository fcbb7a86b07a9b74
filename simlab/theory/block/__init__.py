"""Block verification (Sun et al. 2024, arXiv 2403.10444): what it accepts, and why it is unbiased.

A call drafts x_1 .. x_g after a prefix. Write draft(x^i), target(x^i) for the probabilities of the first i
drafted tokens, p_0 = 1, p_i = min(p_{i-1} target(x_i)/draft(x_i), 1), S_i = sum_y [p_i target(y) -
draft(y)]_+ with both distributions after x^i, h_i = S_i/(S_i + 1 - p_i) for i < g (1 where that is 0/0), h_g
= p_g. With a fresh uniform a position, tau is the largest i with u_i <= h_i; h_0 = 1.

*Accepted.* P(tau >= i | x^i) = p_i, for every i <= g and whatever g is. By induction from the end: it is h_g
= p_g at i = g. For i < g, tau >= i unless both u_i > h_i and tau < i + 1, and the mean of p_{i+1} over the
next drafted token is sum_y min(p_i target(y), draft(y)) = p_i - S_i. So

    P(tau >= i | x^i) = 1 - (1 - h_i)(1 - p_i + S_i) = 1 - (1 - p_i) = p_i,

as 1 - h_i = (1 - p_i)/(S_i + 1 - p_i); where the denominator is 0, p_i = 1 and S_i = 0, and both sides are 1
whatever h_i is. Hence P(tau = i | x^i) = p_i - (p_i - S_i) = S_i, and with its next token drawn from
[p_i target - draft]_+ / S_i, P(tau = i, x^i, next y) = draft(x^i) [p_i target(y) - draft(y)]_+.

*Unbiased, and each call starts afresh.* Let m_i = draft(x^i) p_i = P(tau >= i, x^i). Then m_{i+1} =
min(m_i target(x_{i+1}), draft(x^{i+1})), and so a call that is still going after x^i goes on to the token y,
accepted or as its last one, with mass

    m_{i+1} + draft(x^i) [p_i target(y) - draft(y)]_+ = m_i target(y).

So what a call leaves behind it, at whatever length it stops, are tokens of the target's distribution, and
*given all of the call's tokens and where it stopped* nothing is known of the tokens to come: the next call
may draft from the last token and verify with p_0 = 1. In sum: if the tokens after a call are the target's
(induction from the horizon), then P(output = x^R) = sum_{i<g} (m_i target(x_{i+1}) - m_{i+1}) target(x_{i+2}
.. x_R) + m_g target(x_{g+1} .. x_R), which telescopes to m_0 target(x^R) = target(x^R).

*Why greedy block verification needs a changed target, and this does not.* The greedy variant does not cap the
running ratio: it accepts x^i with probability mass min(draft(x^i), target(x^i)), the most that any
verification can. Let target/draft be 1/2 at x_1 and 2 at x_2. Then it accepts x_1, x_2 whenever they are
drafted, with mass target(x^2): every output that is to begin with x_1, x_2 is already spoken for. A call that
stops at once and gives x_1 as its corrected token must therefore never be followed by x_2: the next call
needs another target. Left alone, the output is biased (tests/theory/test_block.py finds so in rationals).
Capped, m_{i+1} <= m_i target(x_{i+1}): among the calls that accept x^i none of its continuations is accepted
in excess, what is missing is made up for on the spot by the corrected token, and nothing is left for later
calls to mend.

*Never more calls than token by token.* Given the whole output x, a call that starts at n accepts i tokens or
more with probability m_i / target(x^i) = min over j = 0..i of draft(x^j)/target(x^j), and token verification
with prod_{k<=i} min(1, draft/target of x_k), which is at most prod_{k<=j} draft/target of x_k for every j <=
i. So, given the output, a call reaches at least as far (in distribution). Token by token a call that starts
later also ends later (in distribution): fewer factors are multiplied, and its window reaches further. A chain
of jumps that dominates such a monotone one step by step, from every start, dominates it after every number of
jumps. So the number of calls, given the output, is stochastically no larger, and so are its mean and its
tails. At window 1 the two are the same. (Block verification itself is not monotone in where a call starts, so
that nothing here says that a longer window never takes more calls.)
"""

from simlab.theory.block.calls import block_gain

__all__ = ["block_gain"]
