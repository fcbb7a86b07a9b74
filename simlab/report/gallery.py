"""The gallery at the head of the page: a card a figure, with its title and what it shows in one line.

A figure that several experiments draw, as the same one on several pairs, has one card with a link for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simlab.report.rows import claim, number

LONGEST = 140
"""Characters of a finding, after which it is cut at a word."""


@dataclass(frozen=True)
class Told:
    """What the gallery says of a figure. finding: what holds for every pair, by proof or by construction.
    sentence: a word by which the experiment's own sentence is known, among its remarks, its caption and its
    verdicts; that sentence has the numbers, and is told instead.
    """

    title: str
    finding: str = ""
    sentence: str = ""


FIGURES = {
    "fig2": Told("Rejections of speculative decoding", sentence="E[N_rej]: "),
    "fig3": Told(
        "What more drafts save on one token",
        "Each curve tends to the total variation of draft and target: no number of drafts saves more.",
    ),
    "fig4": Told(
        "Rejection against bias, one token",
        "The best trade is a straight line: rejection and bias sum to the total variation (Theorem 5).",
    ),
    "fig4_sequences": Told("Rejection against bias, whole sequences", sentence="front over all algorithms"),
    "fig5": Told(
        "Rejections with several drafts",
        "Theorem 3's expectation and the whole distribution, for each number of drafts.",
    ),
    "fig5_drafts": Told(
        "How much each further draft helps",
        "Each further draft helps less; not even infinitely many bring the rejections to zero "
        "(Proposition 1).",
    ),
    "winrate": Told("Who wins, OPT or UNO", sentence="OPT against target, "),
    "trees_calls": Told("Tokens per target call with draft trees", sentence="Tokens per target call at P"),
    "tree": Told("A draft tree, drawn", sentence="tree spends"),
    "trees_knowledge": Told("What a draft's ignorance costs its tree", sentence="E[X] of the first call"),
    "light": Told(
        "The speed of light",
        "Exponentially more verification buys linearly more tokens: 1/μ for each factor e.",
    ),
    "light_gap": Told(
        "How tight the bounds are",
        "The renewal bound closes as capacity grows; two moments alone leave μ₂/(2μ²) open.",
    ),
    "light_entropy": Told(
        "Entropy against speed",
        "Distributions of one entropy differ by their second moment: entropy alone does not decide.",
    ),
    "windows_speedup": Told("Speed-up against the window", sentence="Best window on"),
    "windows_map": Told(
        "The best window for any acceptance and cost",
        "Drafting pays only where a drafted token costs less than its acceptance.",
    ),
    "windows_policies": Told("Policies of how long to draft", sentence="cost ratio "),
    "windows_gap": Told("What knowing only the mean acceptance costs", sentence="Along the dial"),
    "windows_policy": Told("The optimal adaptive windows", sentence="windows of the first call"),
    "windows_places": Told("Acceptance by position in the window", sentence="that follow accepted ones"),
    "windows_block": Told("Block verification against token verification", sentence="verification at window"),
    "windows_rules": Told("Rules that engines follow for how much to draft", sentence="Rules in use"),
    "field": Told(
        "Plans against what was measured",
        "From measured lengths and costs, the planned window is the best measured one or within 2% of it.",
    ),
    "models_rejections": Told(
        "Rejections of real models, predicted and run", sentence="E[N_rej] of real models"
    ),
    "models_windows": Told("Speed-up of real models against the window", sentence="Best window with"),
    "models_independence": Told(
        "How wrong independence is on real models", sentence="Tokens per call of real"
    ),
    "models_batch": Told("Several drafts on real models", sentence="Of the rejections with one draft"),
    "models_front": Told(
        "Rejection against bias on real prefixes",
        "On every prefix the best trade is the line of Theorem 5, so it is on average.",
    ),
    "models_temperature": Told(
        "Acceptance and the best window by temperature", sentence="Acceptance and best window of"
    ),
    "models_winrate": Told("Who wins with real models, OPT or UNO", sentence="WinRate of the optimal"),
    "models_trees": Told("The speed of light on a real model", sentence="drafted tokens on a real model"),
    "models_acceptance": Told(
        "Acceptance along a text and by kind of prompt", sentence="Acceptance in the first"
    ),
    "ceiling_rules": Told("Many drafts: every rule and the optimum", sentence="independent drafts on"),
    "ceiling_gap": Told("Where a better verifier pays", sentence="The best verification of independent"),
    "ceiling_order": Told("Sampling or top-k", sentence="Greedy drafts accept more than"),
    "ceiling_sequences": Told("Drafts that agree, and whole drafts", sentence="Drafts that agree, kept"),
    "ceiling_batch": Told("The true ceiling of batch decoding", sentence="drafts at fresh positions of"),
    "ceiling_branching": Told("Chain, wide or deep", sentence="drafted tokens a call on"),
    "ceiling_worst": Told("How far below the optimum a rule can be", sentence="The least acceptance over"),
    "audit": Told("What it takes to find a biased verifier", sentence="calls of an audit"),
    "correctness": Told(
        "Why one step is correct",
        "Accepted and replaced tokens add up to the target's distribution, token by token.",
    ),
    "correctness_mistakes": Told(
        "What classical mistakes do to one step",
        "What comes out instead of the target, and how many steps it takes to notice.",
    ),
}
"""By the name of the figure; one that is not here is told by its name and its caption's first sentence."""


def cards(articles: Sequence[Mapping]) -> list[dict]:
    """The cards, in the order of the page. articles: as the page shows them, with "figures" that have their
    "place" and "drawing".
    """
    found: dict[tuple[str, str], dict] = {}
    for article in articles:
        for figure in article["figures"]:
            key = article["experiment"], figure["name"]
            link = {"place": figure["place"], "label": _label(article["title"])}
            if key in found:
                found[key]["others"].append(link)
                continue
            found[key] = {
                **link,
                "title": title(figure["name"]),
                "finding": finding(article, figure),
                "drawing": figure["drawing"],
                "experiment": article["title"],
                "counts": article["counts"],
                "others": [],
            }
    return list(found.values())


def title(name: str) -> str:
    """Of the figure of that name, for a reader."""
    return FIGURES[name].title if name in FIGURES else name.replace("_", " ")


def finding(article: Mapping, figure: Mapping) -> str:
    """What the figure shows, in one line."""
    told = FIGURES.get(figure["name"], Told(""))
    sentences = [part for text in (*article["notes"], figure["caption"]) for part in _sentences(text)]
    verdicts = [
        f"{claim(one['name'], article['title'])}: {number(one['estimate'])} simulated, "
        f"{number(one['exact'])} exact."
        for one in article["verdicts"]
        if one.get("kind") == "equality"
    ]
    said = told.sentence and next((one for one in (*sentences, *verdicts) if told.sentence in one), "")
    return _cut(said or told.finding or (sentences[0] if sentences else ""))


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=\.)\s+(?=[A-Z(])", text) if part]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0].rstrip(",;") + " …"


def _label(title: str) -> str:
    """What tells one experiment from another that draws the same figure: "corpus" of "Figure 2 on corpus"."""
    return title.partition(" on ")[2] or title
