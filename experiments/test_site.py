"""The reports as pages: every link leads somewhere, and in Chromium everybody can read them, without a complaint.

Links are read from the pages' text; the rest is asked of one browser, a page at a time. axe-core's rules are all asked,
those of best practice too, in light and in dark; only the inside of pictures is taken out before: they are pictures to
every reader (role img, one text each), and a hundred thousand paths of glyphs would take minutes.
"""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from experiments.harness import report
from experiments.harness.testing import TOY, toy_results

REPORTS = Path(__file__).parent.parent / "reports"
IGNORED = ("tour", "smoke", "own")
"""Folders of reports that are never committed."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
NARROW, BROAD = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
STOPS = "a[href], summary, [tabindex='0']"
"""What the Tab key must reach."""


def in_chromium(test):
    """Marks a test that opens pages."""
    return pytest.mark.browser(pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")(test))


def kept(file, root):
    """Whether a file of reports is committed: what runs write is not, nor what killed ones leave in hidden folders."""
    parts = file.relative_to(root).parts
    return parts[0] not in IGNORED and not any(part.startswith(".") for part in parts)


def pages(root):
    """The pages under a folder that are committed."""
    return sorted(page for page in root.rglob("*.html") if kept(page, root))


FIRST = "index.html"
"""The page that readers open first: of the committed ones it alone is no slow test.

The toy's pages come from the templates of all of them; those of a report take seconds each.
"""


def committed():
    """The committed pages' names as parameters."""
    for page in (str(page.relative_to(REPORTS)) for page in pages(REPORTS)):
        yield pytest.param(page, marks=[] if page == FIRST else [pytest.mark.slow])


def test_a_committed_page_is_opened_by_every_run_of_the_tests():
    """The first one, by its name; without it all of them would be slow tests."""
    assert [page.values for page in committed() if not page.marks] == [(FIRST,)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with the toy report and the pages above it."""
    out = tmp_path_factory.mktemp("site") / "reports"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.catalogue, "EXPERIMENTS", (TOY,))
        report.publish(TOY, toy_results(), out, {"groups": [{"setting": "sum/terms=1", "predicted": 1, "seconds": 2}]})
        report.publish_index(out)
    return out


# Links


def addresses(text):
    """Where a page's links lead."""
    return {unescape(found) for found in re.findall(r'\b(?:href|src)="([^"]*)"', text)}


def broken(root):
    """Links from the pages under a folder that lead to no file or to no id, and ids that a page has twice."""
    texts = {page: page.read_text("utf-8") for page in pages(root)}
    ids = {page: re.findall(r'\sid="([^"]+)"', text) for page, text in texts.items()}
    twice = [f"{page.relative_to(root)}: two ids" for page, found in ids.items() if len(found) > len(set(found))]
    wrong = []
    for page, text in texts.items():
        for address in addresses(text) - {"data:,"}:
            file, _, anchor = address.partition("#")
            target = (page.parent / file).resolve() if file else page
            if not target.is_file() or (anchor and anchor not in ids.get(target, ())):
                wrong.append(f"{page.relative_to(root)}: {address}")
    return sorted(wrong) + twice


def orphans(root):
    """Pages under a folder to which no way leads from its index.html."""
    reached, ahead = set(), [root / "index.html"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        found = {(page.parent / address.partition("#")[0]).resolve() for address in addresses(page.read_text("utf-8"))}
        ahead += [target for target in found if target.suffix == ".html" and target not in {*reached, *ahead}]
    return sorted(str(page.relative_to(root)) for page in set(pages(root)) - reached)


def test_every_link_and_anchor_resolves_and_every_page_is_reached(toy):
    """In the toy's pages and in the committed ones."""
    for root in (toy.resolve(), REPORTS):
        assert broken(root) == [] and orphans(root) == []


@pytest.mark.parametrize(
    ("page", "old", "new", "found"),
    [
        ("index.html", 'href="ledger.csv"', 'href="ledger.tsv"', "index.html: ledger.tsv"),
        ("index.html", 'href="ledger.html#N1"', 'href="ledger.html#N0"', "index.html: ledger.html#N0"),
        (f"{TOY}/index.html", 'href="#settings"', 'href="#setting"', f"{TOY}/index.html: #setting"),
        (f"{TOY}/index.html", 'id="settings"', 'id="main"', f"{TOY}/index.html: two ids"),
    ],
)
def test_a_broken_link_and_a_doubled_id_are_noticed(toy, tmp_path, page, old, new, found):
    """A file or an anchor that is not there, by the page and the address."""
    assert found in broken(changed(toy, tmp_path, page, old, new))


def test_a_page_that_nothing_leads_to_is_noticed(toy, tmp_path):
    """By its name."""
    assert orphans(changed(toy, tmp_path, "index.html", 'href="ledger.html', 'href="ledger.csv')) == []
    root = changed(toy, tmp_path / "other", f"{TOY}/index.html", 'href="cost.html"', 'href="results.csv"')
    assert orphans(root) == [f"{TOY}/cost.html"]


def test_what_runs_write_or_a_killed_one_has_left_is_no_page(toy, tmp_path):
    """Folders that are never committed, and hidden ones at any depth; others are."""
    root = shutil.copytree(toy, tmp_path / "reports")
    for folder in ("tour/memory", ".memory-x1/memory", "full/.index-x1", "full"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "index.html").write_text("<main></main>")
    assert {*pages(root)} - {root / page.relative_to(toy) for page in pages(toy)} == {root / "full" / "index.html"}


def changed(toy, folder, page, old, new):
    """A copy of the toy's pages with a fault planted."""
    root = shutil.copytree(toy, folder / "reports").resolve()
    text = (root / page).read_text("utf-8")
    assert old in text
    (root / page).write_text(text.replace(old, new), "utf-8")
    return root


def test_the_ledger_comes_first():
    """Nothing but a sentence and the counts stands before its 21 rows; each links to the figure that decides it."""
    text = (REPORTS / "index.html").read_text("utf-8")
    rows = re.findall(r'<tr role="row"><td.*?</tr>', text, re.DOTALL)
    before = re.sub(r"<[^>]+>", "", text[text.index("<main") : text.index("<table")])
    assert len(rows) == 21 and len(before.split()) < 60 and text.index("<table") < text.index("<h2")
    decided = [row for row in rows if 'class="word open"' not in row]
    assert len(decided) > 10 and all(re.search(r'href="\w+/index\.html#\w+"', row) for row in decided)


# In the browser


@pytest.fixture(scope="module")
def browser():
    """One browser for all pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS.split(), "--no-first-run"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A narrow page in light; what it says on its console is kept in `said`."""
    tab = browser.new_page(viewport=NARROW, color_scheme="light")
    tab.said = []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("requestfailed", lambda request: tab.said.append(request.url))
    yield tab
    tab.close()


def opened(tab, page):
    """Opens a page."""
    tab.goto(page.resolve().as_uri())
    return tab


def emptied(tab):
    """The page without the inside of its pictures, which keep their places, and most rows of its tables of data, which
    are all alike."""
    tab.evaluate("document.querySelectorAll('svg').forEach(picture => picture.replaceChildren())")
    tab.evaluate("document.querySelectorAll('table:not(.verdicts) tr:nth-child(n+4)').forEach(row => row.remove())")
    return tab


def unfolded(tab, open_=True):
    """The page with all that can be closed open, or closed."""
    tab.evaluate("open => document.querySelectorAll('details').forEach(e => { e.open = open; })", open_)
    return tab


def too_wide(tab):
    """The widths, in pixels, at which the page scrolls sideways, with how far."""
    wrong = []
    for size in (NARROW, BROAD):
        tab.set_viewport_size(size)
        width = tab.evaluate("document.documentElement.scrollWidth")
        wrong += [f"{width} at {size['width']}"] if width > size["width"] else []
    tab.set_viewport_size(NARROW)
    return wrong


COLOURED = ["color-contrast", "link-in-text-block"]
"""The rules of axe-core that see colours: dark differs from light in nothing else."""


def violations(tab):
    """What axe-core objects to, a line each: all of its rules in light, and those on colours in dark."""
    from axe_playwright_python.base import AXE_FILE_PATH

    tab.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
    found = []
    for scheme, rules in (("light", {}), ("dark", {"runOnly": COLOURED})):
        tab.emulate_media(color_scheme=scheme)
        options = {"resultTypes": ["violations"], "preload": False} | rules
        result = tab.evaluate(f"axe.run({json.dumps(options)})")
        found += [f"{scheme} {v['id']}: {v['nodes'][0]['html'][:120]}" for v in result["violations"]]
    tab.emulate_media(color_scheme="light")
    return found


def unreached(tab):
    """What the Tab key must reach and does not, and stops that show no outline; the first must skip the header."""
    tab.evaluate(
        """selector => {
            window.reached = []; window.dull = [];
            document.addEventListener("focusin", event => {
                window.reached.push(event.target);
                if (getComputedStyle(event.target).outlineStyle === "none") dull.push(event.target.outerHTML);
            });
            window.wanted = [...document.querySelectorAll(selector)].filter(e => e.checkVisibility());
        }""",
        STOPS,
    )
    for _ in range(tab.evaluate("wanted.length")):
        tab.keyboard.press("Tab")
    return tab.evaluate(
        """() => [...wanted.filter(e => !reached.includes(e)).map(e => e.outerHTML.slice(0, 120)),
                  ...dull.map(text => "no outline: " + text.slice(0, 120)),
                  ...(reached[0]?.className === "skip" ? [] : ["first: " + reached[0]?.outerHTML.slice(0, 120)])]"""
    )


def unprinted(tab):
    """What is not printed as it should be."""
    tab.emulate_media(media="print", color_scheme="dark")
    wrong = tab.evaluate(
        """() => {
            const shown = e => e.getClientRects().length > 0, wrong = [];
            for (const e of document.querySelectorAll("nav, .skip"))
                if (shown(e)) wrong.push("printed: " + e.className);
            for (const e of document.querySelectorAll("details > :not(summary)"))
                if (!e.checkVisibility({contentVisibilityAuto: true}) || !e.getBoundingClientRect().height)
                    wrong.push("closed: " + e.outerHTML.slice(0, 80));
            const colour = getComputedStyle(document.body).backgroundColor;
            if (colour !== "rgb(255, 255, 255)") wrong.push("background " + colour);
            for (const e of document.querySelectorAll("figure"))
                if (getComputedStyle(e).breakInside !== "avoid") wrong.push("split: " + e.id);
            return wrong;
        }"""
    )
    tab.emulate_media(media="screen", color_scheme="light")
    return wrong


def faults(tab):
    """All that is wrong with a page; what is closed is also looked at open."""
    wide = too_wide(tab)
    emptied(tab)
    closed = unreached(tab)
    wide += too_wide(unfolded(tab))
    wrong = violations(tab)
    return [*wide, *closed, *wrong, *unprinted(unfolded(tab, False)), *tab.said]


@in_chromium
@pytest.mark.parametrize("page", ["index.html", "ledger.html", f"{TOY}/index.html", f"{TOY}/cost.html"])
def test_a_page_is_for_everybody(toy, tab, page):
    """Silent, no wider than the screen, accessible in light and dark, all of it by keyboard, printed whole."""
    found = faults(opened(tab, toy / page))
    assert found == [] and len(tab.pdf()) > 1000


@in_chromium
@pytest.mark.parametrize("page", list(committed()))
def test_a_committed_page_is_for_everybody(tab, page):
    """The same of what readers have."""
    assert faults(opened(tab, REPORTS / page)) == []


FAULTS = [
    ("<main", '<p style="width: 500px">wide</p><main', too_wide, " at 360"),
    ("--quiet: #5c5c5a", "--quiet: #aaa", violations, "light color-contrast"),
    ("--quiet: #a9a9a5", "--quiet: #444", violations, "dark color-contrast"),
    ('role="img" aria-label="medians of &quot;sums&quot;"', 'role="img"', violations, "light svg-img-alt"),
    ("<h1>", "<h1><img src='data:,'>", violations, "light image-alt"),
    ('tabindex="0"', "", violations, "light scrollable-region-focusable"),
    ('class="skip" href="#main"', 'class="skip"', unreached, "first: "),
    ('href="cost.html"', 'href="cost.html" tabindex="-1"', unreached, '<a href="cost.html"'),
    (":focus-visible { outline: 3px solid", ":focus-visible { outline: none; --was: 3px", unreached, "no outline: "),
    (".skip, nav { display: none; }", ".skip { display: none; }", unprinted, "printed: "),
    ("::details-content { content", "::details-text { content", unprinted, "closed: "),
    ("@media screen and (prefers", "@media (prefers", unprinted, "background "),
    ("figure, tr, dl", "tr, dl", unprinted, "split: sums"),
    ("<main", "<details><summary>s</summary><p style='width: 500px'>wide</p></details><main", faults, " at 360"),
    ("<main", "<details><summary>s</summary><img src='data:,'></details><main", faults, "light image-alt"),
    ("<main", "<script>console.log('said')</script><main", faults, "said"),
]
"""What is planted in the toy's page, who must find it, and a piece of what must then be found wrong with it."""


@in_chromium
@pytest.mark.parametrize(("old", "new", "check", "found"), FAULTS, ids=[fault[-1] for fault in FAULTS])
def test_a_planted_fault_is_found(toy, tab, tmp_path, old, new, check, found):
    """Each thing that is asked of a page is noticed where it is missing."""
    root = changed(toy, tmp_path, f"{TOY}/index.html", old, new)
    assert any(found in fault for fault in check(opened(tab, root / TOY / "index.html")))
