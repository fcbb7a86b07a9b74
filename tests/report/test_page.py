"""The page: whole, escaped, complete in itself, the same every time."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from simlab import SimlabError
from simlab.report.anchors import anchor
from simlab.report.collect import collect_results
from simlab.report.colours import on_dark
from simlab.report.columns import column_title
from simlab.report.datatable import SHOWN, data_table
from simlab.report.gallery import FIGURES, LONGEST, finding
from simlab.report.page import render_page
from simlab.report.rows import by_status, tally
from simlab.report.svg import inline_svg, parse_svg
from tests.report.documents import NASTY, STUDY, a_figure, check, experiment, verdict

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed by its own end tag."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], "left open"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        if data.strip():
            self.words.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(data for tag, data in self.words if tag not in ("style", "script"))


def page(*experiments, missing=(), problems=()) -> str:
    return render_page(experiments, missing, problems)


@pytest.fixture(scope="module")
def figure(tmp_path_factory):
    return a_figure(tmp_path_factory.mktemp("figure"))


@pytest.mark.figures
def test_a_full_page_is_well_formed_and_its_ids_are_unique(figure):
    text = page(
        experiment(figures=[figure, {**figure, "name": "again"}], checks=[check()], notes=["A note."]),
        experiment(figures=[figure], folder="other"),
        missing=[{"command": "simlab run experiment=fig5"}],
        problems=["fig2-paper: outcome.json is not valid JSON"],
    )
    read = Reader(text)
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and len(ids) > 30
    targets = [a["href"][1:] for a in (*read.all("a"), *read.all("use")) if a["href"].startswith("#")]
    targets += re.findall(r"url\(#([^)]+)\)", text)
    targets += [a[key] for _, a in read.elements for key in ("aria-labelledby",) if key in a]
    assert len(targets) > 20 and set(targets) <= set(ids)


@pytest.mark.figures
def test_nothing_is_fetched(figure):
    text = page(experiment(figures=[figure], notes=["See https://example.org/x"]))
    read = Reader(text)
    places = [
        a[key]
        for _, a in read.elements
        for key in ("src", "href", "xlink:href", "action", "data")
        if key in a
    ]
    followed = {a["href"] for a in read.all("a")}  # a link is fetched by whoever follows it
    papers = {place for place in followed if place.startswith("https://arxiv.org/abs/")}
    files = {place for place in followed if place.startswith("../drafts/")}
    assert len(papers) == 4 and {place.rpartition(".")[2] for place in files} == {
        "csv",
        "png",
        "svg",
        "parquet",
    }
    assert all(place.startswith(("#", "data:")) for place in places if place not in papers | files)
    assert not re.search(r"@import|url\((?!#)", text)
    (policy,) = [a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    assert "<?xml" not in text and "DOCTYPE svg" not in text and "rdf" not in text.lower()


@pytest.mark.parametrize(
    "field", ["title", "command", "folder", "notes", "caption", "claim", "statement", "csv"]
)
def test_everything_is_escaped(figure, field):
    changes = {
        "title": {"title": NASTY},
        "command": {"command": NASTY},
        "folder": {"folder": NASTY},
        "notes": {"notes": [NASTY]},
        "caption": {"figures": [{**figure, "caption": NASTY, "files": [f"{NASTY}.csv"]}]},
        "claim": {"verdicts": [verdict(NASTY, "FAIL", statistic=NASTY)]},
        "statement": {"checks": [check(NASTY, statement=NASTY, left=NASTY, scope=NASTY, source=NASTY)]},
        "csv": {
            "tables": [
                {"name": "t", "caption": NASTY, "files": [], "csv": f'"{NASTY.replace(chr(34), "")}"\n<i>\n'}
            ]
        },
    }[field]
    text = page(experiment(**changes), missing=[{"command": NASTY}], problems=[NASTY])
    assert "<script>alert" not in text and "<b>" not in text.replace("<b>PASS", "").replace(
        "<b>INCONCLUSIVE", ""
    ).replace("<b>FAIL", "")
    read = Reader(text)
    assert len(read.all("script")) == 1 and "alert(1)" in read.text


def test_settings_and_versions_are_escaped_too():
    settings = {"pair": NASTY, "pair.path": NASTY, "experiment.x": NASTY, "tier": NASTY, "seed": NASTY}
    text = page(
        experiment(settings=settings, tasks=[], trajectories=0, versions={NASTY: NASTY, "machine": NASTY})
    )
    assert text.count("<script>") == 1 and Reader(text).text.count("alert(1)") >= 6


def test_the_same_documents_give_the_same_bytes(figure):
    def once():
        return page(experiment(figures=[figure], checks=[check()]), missing=[{"command": "simlab run"}])

    assert once() == once()


def test_totals_and_groups_have_the_worst_first():
    quiet = experiment(title="quiet", folder="quiet", verdicts=[verdict("fine")])
    loud = experiment(
        title="loud",
        folder="loud",
        verdicts=[verdict("good"), verdict("small", "INCONCLUSIVE"), verdict("wrong", "FAIL")],
        checks=[check("holds"), check("broken", "FAIL")],
    )
    read = Reader(page(quiet, loud))
    groups = [a for a in read.all("details") if a.get("class") == "group"]
    places = [a["id"] for a in read.all("div") if re.search("--(verdicts|checks)$", a.get("id", ""))]
    assert [("open" in a, place) for a, place in zip(groups, places, strict=True)] == [
        (True, "loud--verdicts"), (False, "quiet--verdicts"), (True, "loud--checks"),
    ]  # fmt: skip
    assert "4 verdicts 1 FAIL 1 INCONCLUSIVE 2 PASS 2 theorem checks 1 FAIL 1 PASS" in read.text
    alarm = read.text[read.text.index("2 FAIL", read.text.index("Contents")) :]
    alarm, _, summary = alarm.partition("Experiments")
    assert alarm.index("wrong") < alarm.index("broken") and summary.index("loud") < summary.index("quiet")
    rows = read.text[read.text.index("sample size FAIL") :]
    assert rows.index("wrong") < rows.index("small") < rows.index("good") < rows.index("fine")


def test_without_a_fail_there_is_no_alarm():
    read = Reader(page(experiment()))
    assert not [a for a in read.all("section") if a.get("class") in ("alarm", "warning")]
    assert "FAIL," not in read.text


def test_a_figure_stands_with_all_that_it_rests_on(figure):
    read = Reader(page(experiment(figures=[figure])))
    for said in (
        "A curve.", "simlab run experiment=drafts", "paper (horizon 50)", "batch (drafts 1, 2)", "Seed 0",
        "2 tasks of 1,000 trajectories; 2,000 in all", "95%", "python 3.12.1, simlab 0.1.0; Linux x86_64",
        "simulating 1.2 s of the workers' time", "drawing 0.5 s", "drafts/fig9.csv", "drafts/fig9.png",
    ):  # fmt: skip
        assert said in read.text, said
    (link,) = [a for a in read.all("a") if a.get("download") == "fig9.csv"]
    assert base64.b64decode(link["href"].partition("base64,")[2]).decode() == figure["csv"]


def test_an_experiment_with_a_simulation_of_its_own_has_its_sizes_too():
    text = Reader(page(experiment(tasks=[], trajectories=0))).text
    assert "Sample sizes 400,000 behind each verdict" in text and "Seed 0" in text
    assert "paper" in text and "all of it 0.5 s" in text


def test_times_that_are_not_known_are_not_made_up():
    timing = {**experiment()["timing"], "simulating": {"trajectories": 500, "worker_seconds": 0.1}}
    assert "(of 500 trajectories; the time of the others is not known)" in page(experiment(timing=timing))
    assert "Time" not in Reader(page(experiment(timing=None))).text


def test_a_study_can_be_sorted_by_numbers():
    read = Reader(page(experiment()))
    cells = [a for a in read.all("td") if "data-v" in a]
    assert [a["data-v"] for a in cells] == [
        "1.0", "0.001", "Infinity", "2.0", "20.0", "4.0", "3.5", "-Infinity", "8.0", "0.0",
    ]  # fmt: skip
    assert ("span", "FAIL") in read.words
    link = next(a for a in read.all("a") if a.get("download") == "drafts.csv")
    assert base64.b64decode(link["href"].partition("base64,")[2]).decode() == STUDY


def test_columns_in_which_all_rows_agree_stand_once():
    table = {"name": "t", "caption": "", "files": [], "csv": "pair,n,empty\npaper,1,\npaper,2,\n"}
    read = Reader(page(experiment(tables=[table])))
    assert "In all rows: pair paper" in read.text
    start = [a.get("class") for _, a in read.elements].index("sortable")
    assert next(a["class"] for tag, a in read.elements[start:] if tag == "th") == "number"
    assert [[cell.text for cell in row] for row in data_table(table["csv"]).rows] == [["1"], ["2"]]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (["16.40145", "14.1", "33.5261"], ["16.4015", "14.1000", "33.5261"]),  # points below each other
        (["0.1", "0.05", ""], ["0.10", "0.05", ""]),
        (["0.0", "2.5"], ["0.0", "2.5"]),
        (["1e-3", "33.5261"], ["0.001", "33.5261"]),  # of very different sizes: six digits each
        (["1", "2.25"], ["1", "2.25"]),
        (["inf", "2.25"], ["inf", "2.25"]),
        (["0.1", "123456.7"], ["0.1", "123457"]),
        (["1234567.8", "1234568.9"], ["1.23457e+06", "1.23457e+06"]),
    ],
    ids=range(8),
)
def test_decimals_of_a_column(column, shown):
    rows = data_table("n,x\n" + "".join(f"{i},{x}\n" for i, x in enumerate(column))).rows
    assert [row[1].text for row in rows] == shown
    assert [row[1].full or row[1].text for row in rows] == column


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rejections_low", "rejections (low end)"),
        ("total_variation_exact_high", "total variation (exact, high end)"),
        ("verdict_law", "verdict (distribution)"),
        ("pair.horizon", "horizon T"),
        ("pair.seed", "pair seed"),
        ("anything_else", "anything else"),
        ("_low", "low"),
        ("", ""),
    ],
)
def test_columns_have_names_for_readers(name, said):
    assert column_title(name) == said


def test_the_name_in_the_file_is_the_heading_s_title():
    csv = "rejections_low,x\n1,2\n3,4\n"
    read = Reader(page(experiment(tables=[{"name": "t", "caption": "", "files": [], "csv": csv}])))
    assert "rejections_low" in [a.get("title") for a in read.all("th")]
    assert ("th", "rejections (low end)") in read.words


def test_the_page_leads_with_what_it_is_and_its_figures(figure):
    read = Reader(page(experiment(figures=[figure], checks=[check()])))
    text = read.text.partition("Contents")[2]
    told = (
        "Draft and target are Markov chains, or real models", "2,000 simulated trajectories", "1 verdict",
        "arXiv 2411.00841", "fig9 A curve.", "closest call", "Glossary", "simlab run experiment=drafts",
        "sample size", "two numbers",
    )  # fmt: skip
    order = [text.index(said) for said in told]
    assert order == sorted(order)


def test_a_figure_of_several_pairs_has_one_card(figure):
    fig2 = {**figure, "name": "fig2"}
    both = [
        experiment(title=f"Figure 2 on {pair}", folder=pair, experiment="fig2", figures=[fig2])
        for pair in ("paper", "corpus")
    ]
    read = Reader(page(*both, experiment(figures=[fig2])))  # another experiment has its own
    classes = [a.get("class") for a in read.all("li")]
    assert classes.count("card") == 2
    assert "Figure 2 on paper; also on corpus 1 PASS" in read.text
    thumbnails = [a["href"] for a in read.all("use") if "figure_1" in a["href"]]
    assert len(thumbnails) == 2 and "#paper--fig2" in [a.get("href") for a in read.all("a")]


def article(**changes) -> dict:
    return {
        "title": "Windows on paper",
        "notes": [],
        "verdicts": [verdict("Windows on paper: E[N_rej]")],
        **changes,
    }


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("fig2", {}, "E[N_rej]: 16.41 simulated, 16.4049 exact."),
        ("fig2", {"verdicts": [verdict("E[N_rej]", kind="bound")]}, "A first sentence."),
        ("fig3", {}, FIGURES["fig3"].finding),
        ("windows_speedup", {"notes": ["Best window on paper: 5. More."]}, "Best window on paper: 5."),
        ("windows_speedup", {}, "A first sentence."),
        ("unheard_of", {}, "A first sentence."),
    ],
)  # fmt: skip
def test_a_finding_is_the_experiment_s_own_sentence_or_what_always_holds(name, changes, said):
    assert finding(article(**changes), {"name": name, "caption": "A first sentence. (a) A second."}) == said


def test_a_long_finding_is_cut_at_a_word():
    told = finding(article(), {"name": "x", "caption": "word " * 100})
    assert told.endswith("word …") and len(told) <= LONGEST + 2
    assert finding(article(), {"name": "x", "caption": ""}) == ""


def test_a_caption_has_a_paragraph_a_panel(figure):
    caption = "Both. (a) One, not (b). (b), (c) Others. Below: residuals."
    read = Reader(page(experiment(figures=[{**figure, "caption": caption}])))
    told = [words for tag, words in read.words if tag == "p"]
    at = told.index("(a) One, not (b).")
    assert told[at - 1 : at + 3] == ["Both.", "(a) One, not (b).", "(b), (c) Others.", "Below: residuals."]


def test_links_to_files_are_spelled_as_addresses():
    table = {"name": "t", "caption": "", "files": ["a b#1.csv"], "csv": "x\n1\n"}
    read = Reader(page(experiment(folder="my folder", tables=[table])))
    assert "../my%20folder/a%20b%231.csv" in [a.get("href") for a in read.all("a")]


def test_the_theorem_checks_are_not_told_twice():
    csv = "name,statement,left_value,right_value,difference,tolerance\none,{},1,1,0,1e-9\n"
    table = {"name": "verify", "caption": "", "files": ["v.csv"], "csv": csv.format("nobody")}
    text = page(experiment(tables=[table], checks=[check("one")]))
    assert "The rows are the" in text and 'download="v.csv"' in text
    assert 'class="sortable"' not in text
    for other in (page(experiment(tables=[table], checks=[check("two")])), page(experiment(tables=[table]))):
        assert 'class="sortable"' in other


def test_places_keep_their_names_when_other_experiments_come(figure):
    def places(*experiments):
        return {a["id"] for _, a in Reader(page(*experiments)).elements if "id" in a}

    mine = experiment(folder="fig2-paper", figures=[figure])
    named = {"fig2-paper", "fig2-paper--fig9", "fig2-paper--drafts", "fig2-paper--verdicts"}
    assert named <= places(mine) and named <= places(experiment(), mine)


def test_places_are_apart_whatever_the_names():
    taken: set[str] = set()
    assert [anchor(name, taken) for name in ("A b", "a-b", "verdicts", "--", "é", "_0_x")] == [
        "a-b", "a-b-2", "verdicts-2", "x", "x-2", "0_x",
    ]  # fmt: skip
    assert anchor("checks", {"a-b--checks"}, "a-b") == "a-b--checks-2"


def test_columns_of_numbers_names_and_text_differ():
    csv = f"n,name,text,task\n1,a,{'word ' * 20},{'0' * 64}\n2,b,short,{'1' * 64}\n"
    assert [kind for _, kind in data_table(csv).columns] == ["number", "name", "text", "name"]
    assert [cell.text for cell in data_table(csv).rows[1]] == ["2", "b", "short", "1" * 8]


def test_a_long_table_is_cut_and_says_so():
    csv = "n\n" + "".join(f"{n}\n" for n in range(SHOWN + 7))
    assert len(data_table(csv).rows) == SHOWN
    assert "7 more rows are in the CSV" in page(
        experiment(tables=[{**experiment()["tables"][0], "csv": csv}])
    )


@pytest.mark.parametrize(
    "csv", ["", "\n", "a,b\n", "a\n1\n", "a,b\n1\n", 'a\n"x\ny"\n', "a,a\n1,2\n3,4\n"], ids=range(7)
)
def test_odd_tables(csv):
    Reader(page(experiment(tables=[{"name": "t", "caption": "c", "files": ["t.csv"], "csv": csv}])))


@pytest.mark.parametrize(("csv", "said"), [("", "The table is empty."), ("a,b\n", "The table has no rows.")])
def test_empty_tables_say_so(csv, said):
    assert said in page(experiment(tables=[{"name": "t", "caption": "c", "files": ["t.csv"], "csv": csv}]))


def test_what_is_not_there_is_said(figure):
    gone = {**figure, "svg": None, "csv": None}
    table = {"name": "t", "caption": "c", "files": ["t.csv"], "csv": None}
    read = Reader(page(experiment(figures=[gone], tables=[table])))
    assert "The picture is not here" in read.text and "The table is not here" in read.text
    assert not [a for a in read.all("a") if "download" in a]


def test_numbers_that_json_cannot_hold():
    odd = check("odd", right_value="inf", left_value="-inf", difference="nan")
    assert "total variation = inf" in Reader(page(experiment(checks=[odd]))).text


def test_an_experiment_of_checks_alone():
    read = Reader(page(experiment(verdicts=[], tasks=[], trajectories=0, tables=[], checks=[check()])))
    assert "0 verdicts" in read.text and "1 theorem check" in read.text and "There are none." in read.text


def test_a_figure_on_the_page_keeps_its_look(figure):
    drawing = inline_svg(figure["svg"], "x-", "caption")
    root = parse_svg(figure["svg"])
    assert drawing.width == round(float(root.attrib["width"].removesuffix("pt")) * 4 / 3) == 480
    assert {"#0072b2", "#ffffff"} <= drawing.colours
    assert "#0072b2" not in drawing.markup and "var(--c0072b2)" in drawing.markup
    assert not re.search(r"<(metadata|style|title|\?|!)", drawing.markup)
    ids = re.findall(r'\bid="([^"]+)"', drawing.markup)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', drawing.markup))
    assert len(ids) == len(set(ids)) > 5  # those that are referred to, and what the gallery shows again
    assert set(ids) == {one or other for one, other in used} | {drawing.body}
    assert drawing.body == "x-figure_1" and drawing.view == root.attrib["viewBox"]


@pytest.mark.parametrize(
    "text", ["", "<svg", "<p/>", "<svg xmlns='http://www.w3.org/2000/svg'/>"], ids=range(4)
)
def test_what_is_not_an_svg(text):
    with pytest.raises(SimlabError, match="not a valid SVG"):
        inline_svg(text, "x-", "caption")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """WCAG 2."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "colour", ["#000000", "#1a1a1a", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b2001d"]
)
def test_lines_and_text_of_figures_are_legible_on_the_dark_page(colour):
    assert contrast(on_dark(colour), "#191b1e") > 4.5


def test_dark_greys_keep_their_order_and_colours_their_hue():
    greys = [luminance(on_dark(grey)) for grey in ("#000000", "#1a1a1a", "#808080", "#e4e4e4", "#ffffff")]
    assert greys == sorted(greys, reverse=True)
    blue = on_dark("#0072b2")
    assert int(blue[5:], 16) > int(blue[3:5], 16) > int(blue[1:3], 16)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_the_page_has_enough_contrast(scheme):
    style = page(experiment()).partition("<style>")[2]
    blocks = style.split("prefers-color-scheme: dark")
    found = dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1].partition("}")[0])
    )
    for text in ("ink", "muted", "link", "pass", "inconclusive", "fail"):
        for behind in ("page", "paper"):
            assert contrast(found[text], found[behind]) > 4.5, (text, behind)
    for status in ("pass", "inconclusive", "fail"):
        assert contrast(found[status], found[f"{status}-soft"]) > 4.5
        assert contrast(found["ink"], found[f"{status}-soft"]) > 4.5


def test_tallies():
    assert tally([]) == "0 verdicts" and tally(["PASS"]) == "1 verdict: 1 PASS"
    assert tally(["PASS", "FAIL", "PASS"], "check") == "3 checks: 1 FAIL, 2 PASS"


def test_the_terminal_and_the_page_have_one_order():
    one = experiment(verdicts=[verdict("a"), verdict("b", "FAIL")])
    other = experiment(verdicts=[])
    (first, second) = by_status([other, one], "verdicts")
    assert [v["name"] for v in first["verdicts"]] == ["b", "a"] and second["verdicts"] == []


def test_a_folder_without_results(tmp_path):
    assert collect_results(tmp_path / "absent").experiments == []
