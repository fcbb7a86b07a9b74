"""The page in a real Chromium: it loads alone, fits a phone, sorts, has two schemes and prints."""

from __future__ import annotations

import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from simlab.report.page import render_page
from tests.report.browser import REQUIRED, chromium, require
from tests.report.documents import NASTY, STUDY, a_figure, check, experiment, verdict

pytestmark = pytest.mark.processes

LONG = "a" * 120
WIDE = (
    ",".join(f"column_{i}" for i in range(40))
    + "\n"
    + ",".join(["0.123456"] * 40)
    + "\n"
    + ",".join(["7"] * 40)
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require()
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with everything on it: a FAIL, a figure, a wide table, names that are hard to show."""
    folder = tmp_path_factory.mktemp("page")
    figure = a_figure(folder)
    studies = [
        {"name": name, "caption": caption, "files": [f"{name}.csv"], "csv": csv}
        for name, caption, csv in (("study", "To be sorted.", STUDY), (LONG, NASTY, WIDE))
    ]
    verdicts = [verdict(), verdict("small", "INCONCLUSIVE"), verdict(f"{NASTY} {LONG}", "FAIL")]
    text = render_page(
        [
            experiment(verdicts=verdicts, checks=[check(scope=LONG)], figures=[figure], tables=studies),
            experiment(
                title="quiet", folder="quiet", figures=[figure], command=f"simlab run pair.path={LONG}"
            ),
        ],
        [{"command": f"simlab run experiment=fig5 output={LONG}"}],
        [f"{LONG}: outcome.json is not valid JSON"],
    )
    path = folder / "index.html"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)], ids=["here", "ci"]
)
def test_an_absent_browser_is_said_and_in_ci_it_is_a_failure(monkeypatch, required, outcome):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv(REQUIRED, required)
    with pytest.raises(outcome, match="apt-get install chromium chromium-driver"):
        require()


def test_it_loads_without_complaint_and_asks_for_nothing(browser, page):
    browser.open(page)
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.run("return document.title") == "simlab: 1 FAIL, 4 verdicts, 1 theorem check"


def test_the_watch_for_complaints_and_requests_sees_them(browser, tmp_path):
    """Negative control: a page that does what ours must not."""
    path = tmp_path / "bad.html"
    path.write_text("<img src='other.png'><script>console.error('ouch'); undefinedName()</script>")
    browser.open(path)
    assert any("ouch" in line for line in browser.complaints())
    assert (tmp_path / "other.png").as_uri() in browser.requests()


def test_its_policy_refuses_what_a_page_must_not_do(browser, page, tmp_path):
    """Were something unescaped in it after all, it could neither run nor call out."""
    spoilt = tmp_path / "spoilt.html"
    injected = "<img src='leak.png'><script>document.title = 'taken'</script></header>"
    spoilt.write_text(page.read_text().replace("</header>", injected))
    browser.open(spoilt)
    assert browser.run("return document.title") != "taken"
    assert browser.run("return document.querySelector('img').naturalWidth") == 0
    refused = " ".join(browser.complaints())
    assert refused.count("Content Security Policy") >= 2


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(browser, page, width):
    browser.open(page, width=width)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.run("return document.scrollingElement.scrollWidth") <= width
    spilling = browser.run(
        "return [...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, svg')"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 90))"
    )
    assert spilling == []


def test_the_rows_of_a_bound_show_their_last_column(browser, tmp_path):
    claims = [
        verdict(
            f"The speed of light, softmax of 3 N(0, 1), V = 64: slope in log P over 100 to {name}",
            "INCONCLUSIVE",
            kind=kind,
            statistic="mean, P = 100,000, the closest of 16",
            allowance=0.0789123,
            estimate=0.551649,
            exact=0.552343,
            low=0.520653,
            high=0.717933,
        )
        for name, kind in (("1,000", "bound"), ("10,000", "rate"))
    ]
    path = tmp_path / "index.html"
    path.write_text(render_page([experiment(verdicts=claims)], [], []))
    browser.open(path, width=1280)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    cut = "const cell = document.querySelector('.verdicts td:last-child'), box = cell.closest('.scroll')"
    assert browser.run(f"{cut}; return cell.textContent") == "400,000"
    assert browser.run(f"{cut}; return box.scrollWidth <= box.clientWidth")


def test_wide_things_scroll_in_their_own_box_on_a_phone(browser, page):
    browser.open(page, width=390)
    boxes = browser.run(
        "return [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)"
        ".map((one) => one.tabIndex)"
    )
    assert len(boxes) >= 3 and set(boxes) == {0}  # the keyboard reaches them
    widths = browser.run("return [...document.querySelectorAll('figure svg')].map((one) => one.clientWidth)")
    assert all(width >= 400 for width in widths)


def column(browser, at: int) -> list[str]:
    return browser.run(
        "return [...document.querySelector('table.sortable').tBodies[0].rows].map("
        "(row) => row.cells[arguments[0]].textContent)",
        at,
    )


def click(browser, at: int) -> list:
    """Click a heading; the aria-sort of all headings."""
    return browser.run(
        "const heads = [...document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells];"
        "heads[arguments[0]].querySelector('button').click();"
        "return heads.map((one) => one.getAttribute('aria-sort'))",
        at,
    )


@pytest.mark.parametrize(
    ("at", "up", "down"),
    [
        (0, ["1", "2", "4", "8"], ["8", "4", "2", "1"]),
        (1, ["0.001", "3.5", "20", ""], ["20", "3.5", "0.001", ""]),  # 1e-3 < 3.5 < 20; empty cells last
        (3, ["a9", "a9", "a10", "b"], ["b", "a10", "a9", "a9"]),  # words, and numbers in them as numbers
        (4, ["-inf", "0", "inf", ""], ["inf", "0", "-inf", ""]),
    ],
    ids=["whole", "floats", "words", "infinities"],
)
def test_a_click_on_a_heading_sorts(browser, page, at, up, down):
    browser.open(page)
    others = [None] * 5
    for wanted, direction in ((up, "ascending"), (down, "descending"), (up, "ascending")):
        expected = list(others)
        expected[at] = direction
        assert click(browser, at) == expected
        assert column(browser, at) == wanted


def test_rows_stay_whole_and_other_tables_as_they_were(browser, page):
    browser.open(page)
    before = browser.run("return [...document.querySelectorAll('table')].map((one) => one.textContent)")
    click(browser, 1)
    after = browser.run("return [...document.querySelectorAll('table')].map((one) => one.textContent)")
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert column(browser, 0) == ["1", "4", "2", "8"] and column(browser, 2) == [
        "PASS",
        "PASS",
        "FAIL",
        "PASS",
    ]


def test_one_heading_at_a_time_is_the_sorted_one(browser, page):
    browser.open(page)
    click(browser, 1)
    assert click(browser, 4) == [None] * 4 + ["ascending"]
    assert click(browser, 1) == [None, "ascending", None, None, None]


def test_the_keyboard_sorts(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('table.sortable th button')[1].focus()")
    browser.press("Enter", 13)
    assert column(browser, 0) == ["1", "4", "2", "8"]
    browser.press("Enter", 13)
    assert column(browser, 0) == ["2", "4", "1", "8"]


def picture(browser) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"), float)


def test_light_and_dark(browser, page, tmp_path):
    shown = {}
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            browser.open(page, width=width, scheme=scheme)
            (tmp_path / f"{scheme}-{width}.png").write_bytes(browser.screenshot())
            shown[scheme, width] = picture(browser)
    for width in (1280, 390):
        light, dark = shown["light", width], shown["dark", width]
        assert np.median(light) > 235 and np.median(dark) < 40
        assert light.std() > 15 and dark.std() > 10  # something is drawn on it
        assert light.shape[0] > 1500


def drawn(browser) -> dict:
    """Colours in effect: of the page, of a figure's paper, text, curve and marker."""
    return browser.run(
        "const svg = document.querySelector('figure svg');"
        "const of = (one, what) => getComputedStyle(one)[what];"
        "const find = (name, what) => [...svg.querySelectorAll('[style]')].filter("
        "(one) => one.getAttribute('style').includes(name)).map((one) => of(one, what));"
        "return {page: of(document.body, 'backgroundColor'), text: of(svg, 'fill'),"
        " paper: find('fill: var(--cffffff)', 'fill')[0], curve: find('stroke: var(--c0072b2)', 'stroke')[0]}"
    )


def luma(colour: str) -> float:
    return float(np.dot([int(part) for part in re.findall(r"\d+", colour)[:3]], [0.299, 0.587, 0.114]))


def test_figures_follow_the_scheme(browser, page):
    browser.open(page, scheme="light")
    light = drawn(browser)
    browser.open(page, scheme="dark")
    dark = drawn(browser)
    assert light["paper"] == "rgb(255, 255, 255)" and light["curve"] == "rgb(0, 114, 178)"
    assert luma(light["text"]) < 40 and luma(dark["text"]) > 200
    assert luma(dark["paper"]) < 40 and luma(dark["curve"]) > luma(light["curve"]) + 40


def fills(pdf: bytes) -> set[str]:
    """The colours "#rrggbb" that anything in a PDF is filled with."""
    found = set()
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            content = zlib.decompress(stream)
        except zlib.error:  # a font, a picture
            continue
        for parts in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg", content):
            found.add("#" + "".join(f"{round(255 * float(part)):02x}" for part in parts))
    return found


def test_it_prints_light_whatever_the_screen(browser, page, tmp_path):
    browser.open(page, scheme="dark")
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
    dark_paper, dark_text, text = "#191b1e", "#e6e6e3", "#1b1c1e"
    assert text in fills(pdf) and not {dark_paper, dark_text} & fills(pdf)
    dark = tmp_path / "dark.html"  # negative control: a page that prints as the screen is
    dark.write_text(page.read_text().replace("@media screen and (prefers", "@media (prefers"))
    browser.open(dark, scheme="dark")
    assert {dark_paper, dark_text} <= fills(browser.pdf())


def test_on_paper_every_group_is_open_and_nothing_is_there_to_press(browser, page):
    browser.open(page)
    closed = "return document.querySelectorAll('details.group:not([open])').length"
    assert browser.run(closed) == 2
    assert browser.run(f"dispatchEvent(new Event('beforeprint')); {closed}") == 0
    assert browser.run(f"dispatchEvent(new Event('afterprint')); {closed}") == 2
    browser.print_media()
    shown = browser.run(
        "return [...document.querySelectorAll('nav, .copy, .tasks')].filter((one) => one.offsetParent).length"
    )
    assert shown == 0


def test_a_wide_table_does_not_shrink_what_is_printed(browser, page):
    browser.open(page, width=690)  # A4 within its margins
    browser.print_media()
    assert browser.run("return document.scrollingElement.scrollWidth") <= 690


def test_a_long_table_scrolls_under_its_headings(browser, page):
    browser.open(page)
    gap = browser.run(
        "const box = document.querySelector('.study .scroll'), table = box.firstElementChild;"
        "const body = table.tBodies[0], rows = [...body.rows];"
        "for (let i = 0; i < 100; i++) body.append(...rows.map((row) => row.cloneNode(true)));"
        "box.scrollTop = 1000;"
        "return table.tHead.rows[0].cells[0].getBoundingClientRect().top - box.getBoundingClientRect().top"
    )
    assert abs(gap) < 3


def test_a_command_is_copied_or_selected(browser, page):
    browser.open(page)
    said = browser.session.execute_async_script(
        "const done = arguments[0]; const button = document.querySelector('.origin .copy'); button.click();"
        "setTimeout(() => done([button.textContent, getSelection().toString()]), 300)"
    )
    assert said[0] == "Copied" or said == ["Selected", "simlab run experiment=drafts"]


def test_the_csv_can_be_saved(browser, page):
    browser.open(page)
    text = browser.session.execute_async_script(
        "const done = arguments[0]; const link = document.querySelector('a[download=\"fig9.csv\"]');"
        "done(atob(link.href.split('base64,')[1]))"
    )
    assert text.startswith("x,y\n1,1.0\n")


def test_a_link_to_a_closed_group_opens_it(browser, page):
    browser.open(page)
    link = "document.querySelector('.summary a[href=\"#quiet--verdicts\"]')"
    group = "document.getElementById('quiet--verdicts').parentElement"
    assert browser.run(f"return {group}.open") is False
    assert browser.run(f"{link}.click(); return {group}.open") is True


@pytest.mark.parametrize("width", [390, 1280])
def test_the_contents_are_in_reach_and_close_behind_a_choice(browser, page, width):
    browser.open(page, width=width)
    browser.run("document.documentElement.style.scrollBehavior = 'auto'; scrollTo(0, 3000)")
    bar = "const bar = document.querySelector('.bar'), list = document.querySelector('.contents');"
    assert browser.run(f"{bar} return [bar.getBoundingClientRect().top, list.open]") == [0, False]
    browser.run(f"{bar} list.firstElementChild.click()")
    shown = browser.run(f"{bar} return [list.open, list.lastElementChild.getBoundingClientRect().bottom]")
    assert shown[0] is True and shown[1] <= 844
    browser.run(f"{bar} list.querySelector('a[href=\"#quiet\"]').click()")
    assert browser.run(f"{bar} return [list.open, location.hash]") == [False, "#quiet"]
    top = browser.run("return document.getElementById('quiet').getBoundingClientRect().top")
    assert top >= browser.run(f"{bar} return bar.getBoundingClientRect().height") - 1


def test_the_gallery_shows_each_figure_small(browser, page):
    browser.open(page)
    shown = browser.run(
        "return [...document.querySelectorAll('.card use')].map((one) => one.getBoundingClientRect().width)"
    )
    assert len(shown) == 1 and all(50 < width < 400 for width in shown)


def test_a_figure_can_be_fitted_to_a_phone(browser, page):
    browser.open(page, width=390)
    spills = "const box = document.querySelector('.drawing'); return box.scrollWidth > box.clientWidth"
    assert browser.run(spills) is True
    browser.run("document.querySelector('.fit input').click()")
    assert browser.run(spills) is False
    browser.open(page)
    assert browser.run("return document.querySelector('.fit').offsetParent") is None


def test_without_its_script_all_is_there(browser, page, tmp_path):
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<script>.*</script>", "", page.read_text(), flags=re.S))
    browser.open(bare, width=390)
    assert browser.run("return document.querySelectorAll('table.sortable tbody tr').length") == 4 + 2 + 4
    assert browser.run("return document.querySelectorAll('button').length") == 0
