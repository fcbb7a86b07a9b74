"""Theorem 5 of Yin et al. 2024: the best trade of bias against rejections at one position is a straight
line."""

from __future__ import annotations

from simlab.checks import check_number
from simlab.decoders import BiasedSpeculative
from simlab.theory import single_token_tradeoff
from simlab.verify.acceptance import between_rules
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, decided, equal
from simlab.verify.places import Places, distance
from simlab.verify.programs import ACCURACY, least_loss

SOURCE = "Yin et al. 2024, Theorem 5"
EPSILONS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)


def check_over_acceptance(places: Places, epsilons: tuple[float, ...] = EPSILONS) -> Check:
    """P(reject) + TV of the over-acceptance family with the optimal replacement against TV(draft, target)."""
    claim = Claim(
        "theorem 5, over-acceptance",
        SOURCE,
        "With b = min(1, (target + epsilon)/draft) and the best P: P(reject) + TV = TV(draft, target)",
        "P(reject) + TV",
        "TV(draft, target)",
    )
    epsilons = [check_number("epsilon", epsilon, least=0.0) for epsilon in epsilons]
    sums = [
        sum(single_token_tradeoff(places.draft, places.target, BiasedSpeculative(epsilon, "optimal")))
        for epsilon in epsilons
    ]
    scope = f"{places.scope}, epsilon {', '.join(f'{epsilon:g}' for epsilon in epsilons)}"
    return equal(claim, sums, distance(places.draft, places.target)[None], tolerance=EXACT, scope=scope)


def check_between(places: Places) -> Check:
    """P(reject) + the least loss by a linear program, for a random b from min(1, target/draft) to 1."""
    claim = Claim(
        "theorem 5, any b between",
        SOURCE,
        "For any b from min(1, target/draft) to 1 and the best P: P(reject) + TV = TV(draft, target)",
        "P(reject) + optimum by HiGHS",
        "TV(draft, target)",
    )
    scope = f"{places.scope}, a random b each"

    def compare() -> Check:
        sums = []
        for draft, target in zip(places.draft, places.target, strict=True):
            accepted = places.random.choice(between_rules(draft, target, places.random, 1)) * draft
            sums.append(1.0 - accepted.sum() + least_loss(accepted, target)[0])
        exact = distance(places.draft, places.target)
        return equal(claim, sums, exact, tolerance=ACCURACY, scope=scope)

    return decided(claim, scope, compare)
