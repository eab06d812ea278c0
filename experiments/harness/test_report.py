"""Reports: a function of the records alone, the same content as page and as Markdown; a check notices a digit."""

from __future__ import annotations

import errno
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

from experiments import command
from experiments.harness import markup, report, words
from experiments.harness.testing import TOY, toy_results
from properties.record import Record, to_csv

NAME = TOY
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results():
    """The records of the toy experiment as CSV."""
    return toy_results()


@pytest.fixture(scope="module")
def published(tmp_path_factory, results):
    """A folder with the toy report and the page above it, made once."""
    folder = tmp_path_factory.mktemp("published") / "reports"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.catalogue, "EXPERIMENTS", (NAME,))
        report.publish(NAME, results, folder, {"commit": "none"})
        report.publish_index(folder)
    return folder


@pytest.fixture
def out(tmp_path, published, monkeypatch):
    """A copy of that folder, a test's own."""
    monkeypatch.setattr(report.catalogue, "EXPERIMENTS", (NAME,))
    return shutil.copytree(published, tmp_path / "reports")


def test_a_report_is_made_of_the_files_it_should_be(out):
    """Page, Markdown, summary, records, provenance; a picture and its data for each figure."""
    names = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    own = {"README.md", "index.html", "cost.html", "summary.json", "results.csv", "provenance.json", "figures/sums.svg"}
    above = {"index.html", "ledger.html", "README.md", "ledger.csv"}
    assert names == {f"{NAME}/{n}" for n in own | {"figures/sums.csv"}} | above


def test_the_same_records_in_another_order_give_the_same_bytes(out, results, tmp_path, monkeypatch):
    """A report does not know in which order, when or where its records were made."""
    first, *rows = results.splitlines(keepends=True)
    shuffled = Path(tmp_path / "shuffled")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    report.publish(NAME, to_csv(Record(*row) for row in records_of(first, rows[::-1])), shuffled, {"commit": "other"})
    for path in sorted((out / NAME).rglob("*")):
        if path.is_file() and path.name not in report.CLOCKED:
            assert path.read_bytes() == (shuffled / path.relative_to(out)).read_bytes(), path.name


def test_a_report_checks_itself(out):
    """Made again from its own records it is identical: every file but the provenance."""
    assert report.check(NAME, out) == (6, []) and report.check_index(out) == []


def test_one_changed_digit_is_noticed_and_named(out):
    """The changed file itself is named first, and the page that it no longer belongs to."""
    path = out / NAME / "results.csv"
    text = path.read_text()
    found = re.search(r"sum,3,-?\d\.(\d)", text)
    digit = str((int(found[1]) + 1) % 10)
    path.write_text(text[: found.start(1)] + digit + text[found.end(1) :])
    identical, differ = report.check(NAME, out)
    assert differ[0] == f"{NAME}/results.csv" and f"{NAME}/index.html" in differ
    assert identical + len(differ) == 6
    assert report.check_index(out) == []


def test_records_that_lost_rows_are_told_when_the_report_is_made_again(out, capsys):
    """In a line, once: the new report is one of these records, and its check can say nothing of those before."""
    path = out / NAME / "results.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    told = f"{path} is not the one that the older report was made from: the new one says what it holds now\n"
    for said in (told, ""):
        report.rebuild(NAME, out)
        assert capsys.readouterr().err == said and report.check(NAME, out) == (6, [])


@pytest.mark.parametrize("name", ["index.html", "figures/sums.svg", "figures/sums.csv", "README.md"])
def test_a_changed_missing_or_added_file_is_named(out, name):
    """What is compared is the whole folder."""
    path = out / NAME / name
    path.write_bytes(path.read_bytes() + b" ")
    assert report.check(NAME, out) == (5, [f"{NAME}/{name}"])
    path.unlink()
    # without README.md nothing says whether results.csv is the one that it was made from
    assert report.check(NAME, out) == (4 if name == "README.md" else 5, [f"{NAME}/{name}"])
    report.rebuild(NAME, out)
    (out / NAME / "notes.txt").write_text("mine")
    assert report.check(NAME, out)[1] == [f"{NAME}/notes.txt"]


def test_a_report_that_cannot_be_made_leaves_the_older_one(out, results):
    """Nothing is half-written."""
    before = (out / NAME / "index.html").read_bytes()
    with pytest.raises(report.ReportError, match=r"results\.csv"):
        report.publish(NAME, "no,records\n1,2\n", out, {})
    assert (out / NAME / "index.html").read_bytes() == before
    assert {p.name for p in out.iterdir()} == {NAME, *report.ABOVE}


DAMAGED = [("summary.json", None), ("summary.json", "{"), ("summary.json", "{}"), ("results.csv", "a,b\n")]


@pytest.mark.parametrize(("name", "text"), [*DAMAGED, ("results.csv", "")])
def test_a_damaged_folder_is_named_by_the_pages_above_it(out, name, text):
    """With the file, and what to do, in one line, since another report may have been made beside it; all stays."""
    (out / NAME / name).unlink() if text is None else (out / NAME / name).write_text(text)
    before = tree(out)
    for pages in (report.publish_index, report.check_index):
        with pytest.raises(report.ReportError, match=rf"{NAME}.*{name}.*make the report again: `report`") as found:
            pages(out)
        assert "\n" not in str(found.value) and tree(out) == before


def test_a_report_whose_records_make_no_verdict_is_named_by_the_pages_above_all(out, monkeypatch):
    """Where they were changed by hand; a verdict that fails on records as they were made is the verdict's own fault."""
    monkeypatch.setattr(report.claims, "verdict", Mock(side_effect=ValueError("seed 0 has two values")))
    path = out / NAME / "results.csv"
    with pytest.raises(ValueError, match=r"^seed 0 has two values$"):
        report.publish_index(out)
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    before = tree(out)
    for pages in (report.publish_index, report.check_index):
        with pytest.raises(report.ReportError, match=rf"^{path} is damaged .*\(seed 0 has two values\)"):
            pages(out)
        assert tree(out) == before


def test_every_table_that_a_report_is_made_from_has_its_digest(tmp_path):
    """The verdicts are made from four: one that lost its last line is named first, and the others are not."""
    shutil.copytree(ROOT / "reports" / "verification", tmp_path / "verification")
    assert report.changed(tmp_path / "verification") == []
    path = tmp_path / "verification" / "breaks.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert report.changed(tmp_path / "verification") == ["breaks.csv"]
    assert report.check("verification", tmp_path)[1][0] == "verification/breaks.csv"


def test_a_table_without_a_digest_is_neither_identical_nor_changed(tmp_path, capsys):
    """An older program named one of four: the others are said not to be compared, and the page differs, no table."""
    shutil.copytree(ROOT / "reports" / "verification", tmp_path / "verification")
    page, names = tmp_path / "verification" / "README.md", ["subjects.csv", "breaks.csv", "causes.csv"]
    same, text = report.check("verification", tmp_path)[0], page.read_text("utf-8")
    page.write_text(re.sub(r"(Made from .*?`\w{64}`).*?`\w{64}`\. Rebuild", r"\1. Rebuild", text), "utf-8")
    assert report.untold(page.parent) == names and report.changed(page.parent) == []
    assert report.check("verification", tmp_path) == (same - 4, ["verification/README.md"])
    assert command.main(["report", "verification", "--check", "--out", str(tmp_path)]) == 1
    said = [f"not compared: {page.with_name(name)} (README.md has no digest of it)" for name in names]
    assert capsys.readouterr().out.splitlines() == [*said, f"differs: {page}", f"identical: {same - 4} files"]
    page.with_name("results.csv").write_bytes(b"")
    assert report.changed(page.parent) == ["results.csv"]


@pytest.mark.parametrize("made", [report.check, report.rebuild])
@pytest.mark.parametrize("kept", [0, 1, 1.5, 2])
def test_records_that_were_cut_off_are_named_and_not_the_analysis(out, made, kept, monkeypatch):
    """In the middle of a row, or at its end, where only the analysis notices; all stays."""
    monkeypatch.setattr(report.catalogue.analysis(NAME), "analyse", needs_twelve)
    path = out / NAME / "results.csv"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[: int(kept)]) + rows[2][:20] * (kept == 1.5))
    before = tree(out)
    with pytest.raises(report.ReportError, match=rf"^{path.parent}.*results\.csv.*`run` or `verify`") as found:
        made(NAME, out)
    assert f"/.{NAME}-" not in str(found.value) and tree(out) == before


@pytest.mark.parametrize("made", [report.check, report.rebuild])
def test_an_error_of_the_analysis_itself_or_of_writing_stays_what_it_is(out, made, monkeypatch):
    """On the records that a report was made from nothing is said of damage; a full disk is no damage either."""
    monkeypatch.setattr(report, "write", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        made(NAME, out)
    monkeypatch.undo()
    monkeypatch.setattr(report.catalogue.analysis(NAME), "analyse", lambda frame: {}["a fault"])
    with pytest.raises(KeyError, match="a fault"):
        made(NAME, out)


def test_a_provenance_that_cannot_be_read_is_named(out):
    """It would be lost by making the report again."""
    (out / NAME / "provenance.json").write_bytes(b"\xff")
    with pytest.raises(report.ReportError, match=r"provenance\.json is damaged"):
        report.rebuild(NAME, out)


def test_a_file_that_is_missing_is_said_to_be(out, capsys):
    """By a check of one report, and of all, whose pages cannot be compared then."""
    path = out / NAME / "summary.json"
    path.unlink()
    with pytest.raises(report.ReportError, match=rf"^{path} is missing; put a whole copy in its place, or make"):
        report.check_index(out)
    assert command.compare([NAME], command.Report(NAME, check=True, out=out)) == 1
    assert capsys.readouterr().out == f"missing: {path}\nidentical: 5 files\n"


OTHER_FORMS = ["[]", "3", "null", '{"groups": 3}', '{"groups": [{"seconds": 1}]}', '{"computed_on": [{"groups": 1}]}']


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_a_provenance_of_another_form_is_named(out, text):
    """In one line, by whoever would have to write it anew; all stays."""
    path = out / NAME / "provenance.json"
    path.write_text(text)
    before = tree(out)
    with pytest.raises(report.ReportError, match=rf"^{path} is damaged or incomplete \(.*\); .* remove it") as found:
        report.rebuild(NAME, out)
    assert "\n" not in str(found.value) and tree(out) == before
    path.unlink()
    report.rebuild(NAME, out)
    assert path.read_text() == "{}\n"


@pytest.mark.parametrize("text", ["[]", "3", '{"title": 3, "findings": []}', '{"title": "a", "findings": 3}'])
def test_a_summary_of_another_form_is_named(out, text):
    """The pages above it read it."""
    path = out / NAME / "summary.json"
    path.write_text(text)
    with pytest.raises(report.ReportError, match=rf"^{path} is damaged or incomplete \(.*\); put"):
        report.publish_index(out)


KILLED = """
import os, sys
from pathlib import Path
from experiments.harness import report
rename = Path.rename
def killed(self, to):
    if self.name == report.catalogue.EXPERIMENTS[0] and self.parent.name.startswith("."):
        os._exit(9)
    return rename(self, to)
Path.rename = killed
report.catalogue.EXPERIMENTS = (sys.argv[1],)
report.rebuild(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.parametrize("then", ["publish", "rebuild", "publish_index"])
def test_a_kill_between_the_two_renames_loses_no_report(out, results, then):
    """The older one, moved aside, is put back before what killed processes left is removed, however old that is."""
    before = tree(out)
    done = subprocess.run([sys.executable, "-c", KILLED, NAME, str(out)], cwd=Path(report.__file__).parents[2])
    left = next(out.glob(f".{NAME}-*"))
    assert done.returncode == 9 and not (out / NAME).exists() and (left / report.ASIDE / "results.csv").exists()
    os.utime(left, (0, 0))
    made = {"publish": failing, "rebuild": report.rebuild, "publish_index": lambda name, out: report.publish_index(out)}
    made[then](NAME, out)
    assert {path: data for path, data in tree(out).items() if not path.startswith(".")} == before


def test_an_interrupt_between_the_two_renames_puts_the_older_report_back(out, results, monkeypatch):
    """What is aside would go with the folder that it lies in."""
    before, rename = tree(out), Path.rename

    def interrupted(path, to):
        if path.parent.name.startswith(".") and path.name == NAME:
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report.publish(NAME, results, out, {})
    assert tree(out) == before


def test_the_pages_above_the_verdicts_alone_say_that_nothing_was_measured(out):
    """No claim has records; every link leads to a file, and the report is listed."""
    (out / NAME).rename(out / report.catalogue.VERDICTS)
    page = report.publish_index(out).read_text("utf-8")
    assert "beside what was measured: each verdict" in page and "Not measured here, and so open: 21 claims." in page
    assert '<li class="word open">21 open</li>' in page and f'href="{report.catalogue.VERDICTS}/index.html"' in page
    assert pd.read_csv(out / "ledger.csv").verdict.eq("open").all() and report.check_index(out) == []


def test_a_ledger_below_another_says_which_records_stand_in_both(out, monkeypatch):
    """A larger preset's verdict that rests on the smaller one's records is no second measurement."""
    monkeypatch.setattr(
        report.claims, "repeated", lambda claim, mine, theirs: {"N7": 1.0, "N9": 0.5}.get(claim.number, 0)
    )
    assert "second measurement" not in report.publish_index(out).read_text("utf-8")
    shutil.copytree(out / NAME, out / "full" / NAME)
    page = report.publish_index(out / "full").read_text("utf-8")
    assert "what decides N7, and a part of what decides N9, stands in the records of preset" in page


def test_text_with_markup_is_shown_as_it_is(out):
    """Neither the page nor the Markdown takes a title's or a table's characters for markup."""
    page, text = ((out / NAME / name).read_text() for name in ("index.html", "README.md"))
    assert "Sums &amp; &lt;tests&gt;" in page and "A *lead* with &lt;markup&gt;" in page and "<tests>" not in page
    assert r"# Sums & \<tests\>" in text and r"A \*lead\* with \<markup\>" in text and r"1 \| 12" in text
    assert r"## A part & \<more\>" in text and r"\|low\|" in text and ">A part &amp; &lt;more&gt;</h2>" in page


def test_what_stands_between_backquotes_is_code_and_nothing_else_is_markup():
    """On pages and in Markdown alike; a single backquote is a character."""
    text, frame = "a_b < `f_x < 1` | ` c", pd.DataFrame({"a `b` < c|d_": ["see `f_x`", "x|y `"]})
    assert markup.coded(text) == "a_b &lt; <code>f_x &lt; 1</code> | ` c"
    assert markup.escaped(text) == r"a\_b \< `f_x < 1` | \` c"
    assert markup.html(frame).count("<code>") == 1 and "<td>x|y `</td>" in markup.html(frame)
    assert "see `f_x`" in markup.markdown(frame) and r"x\|y \`" in markup.markdown(frame)
    assert r"| a `b` \< c\|d\_" in markup.markdown(frame)


def test_page_and_markdown_hold_the_same_numbers(out):
    """Every text in every table of the page stands in the Markdown too."""
    page, text = ((out / NAME / name).read_text() for name in ("index.html", "README.md"))
    found = Cells()
    found.feed(page)
    plain = text.replace("\\", "").replace("`", "")
    assert len(found.cells) > 40
    assert [cell for cell in found.cells if cell not in plain] == []


def test_a_page_needs_nothing_from_elsewhere(out):
    """No address of another host, no script, no picture from a file: one page is the whole report."""
    for path in (out / NAME / "index.html", out / NAME / "cost.html", out / "index.html", out / "ledger.html"):
        page = path.read_text()
        links = re.findall(r'(?:src|href)="([^"#]+)', page)
        assert "<script" not in page and "<img" not in page and "url(http" not in page
        assert all(link.startswith("data:") or not re.match(r"\w+:", link) for link in links), links
        assert all((path.parent / link).exists() for link in links if not link.startswith("data:")), links


def test_ids_on_a_page_are_unique_where_they_are_used(results, tmp_path, monkeypatch):
    """Two pictures on one page do not use each other's clips: ids carry the picture's name."""
    pictures = []
    for name in ("one", "two"):
        with report.figures.style():
            canvas, axes = report.figures.with_residual()
            axes[0, 0].plot([0, 1], [0, 1])
            pictures.append(report.figures.svg(canvas, name))
    ids = [set(re.findall(r' id="([^"]+)"', picture)) for picture in pictures]
    used = [set(re.findall(r'(?:url\(#|href="#)([^")]+)', picture)) for picture in pictures]
    assert ids[0] and used[0] and not ids[0] & ids[1]
    assert used[0] <= ids[0] and used[1] <= ids[1]


def test_two_figures_or_tables_of_one_name_are_refused():
    """In one section or in two: the second's file would be the only one, and stand under both titles."""
    figure = report.Figure("one", "", None, "", pd.DataFrame())
    table = report.Table("one", "", pd.DataFrame())
    sections = [report.Section(title, "", [figure], [table]) for title in ("a", "b")]
    assert report.Report("toy", "", "", [], sections=sections[:1]).every_figure == [figure]
    for kind, some in (("figures", {"figures": [figure]}), ("tables", {"tables": [table]})):
        with pytest.raises(ValueError, match=f"`{kind}` of report toy must have a name each; got twice one"):
            report.Report("toy", "", "", [], **{kind: some[kind] * 2})
    with pytest.raises(ValueError, match="got twice one"):
        report.Report("toy", "", "", [], sections=sections)


def test_numbers_are_read_at_three_digits_and_what_is_none_is_empty():
    """Tables show numbers as people read them."""
    shown = [markup.cell(v) for v in (1.23456, -0.001234, 7, float("nan"), None, "a", True, float("inf"), 123456.0)]
    assert shown == ["1.23", "−0.00123", "7", "", "", "a", "True", "inf", "1.23e+05"]


@pytest.mark.parametrize("write", [markup.number, words.few, words.signed])
def test_a_minus_sign_is_one_and_the_hyphen_of_an_exponent_stays(write):
    """Wherever a report writes a number; nothing is 0 and has no hyphen."""
    texts = [write(value) for value in (-0.0, -1.25, -2.5e-7)]
    assert [text[0] for text in texts[1:]] == ["−", "−"] and not any(text.startswith("-") for text in texts)
    assert write is words.signed or (texts[0], texts[2]) == ("0", "−2.5e-07")


@pytest.mark.parametrize(("recorded", "typed"), [("own", "FILE"), ("text8", "text8")])
def test_the_command_and_the_preset_come_from_the_records(recorded, typed):
    """A report rebuilt from its CSV names the command that made it; a user's file has no name, a known corpus has."""
    rows = [Record("run", f"language_model/preset=tour/engine=torch/corpus={recorded}", 0, "groups", 0, 3.0)]
    frame = pd.DataFrame(rows, columns=Record._fields)
    command = report.command_of("language_model", frame)
    assert command == f"python -m experiments run language_model --preset tour --engine torch --corpus {typed}"
    assert report.run_settings("language_model", frame)["value"][:2] == ["tour", "3"]


def test_findings_of_an_older_version_are_listed_without_their_figures(out):
    """A folder of reports from before is no obstacle to the page above it."""
    path = out / NAME / "summary.json"
    said = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(said | {"findings": [found["title"] for found in said["findings"]]}), "utf-8")
    page = report.index_files(out)["index.html"]
    assert f'<a href="{NAME}/index.html">The median is about 0 &amp; &lt;finite&gt;</a>' in page


def test_the_provenance_stays_when_a_report_is_made_again(out):
    """Who measured does not change by drawing anew."""
    report.rebuild(NAME, out)
    assert json.loads((out / NAME / "provenance.json").read_text()) == {"commit": "none"}


def test_the_page_on_cost_sums_what_was_predicted_and_measured():
    """By the first word of a setting and over all, with their ratio; without groups nothing is claimed."""
    groups = [("a/x=1", 10.0, 12.0), ("a/x=2", 30.0, 24.0), ("b", 20.0, 30.0)]
    rows = [{"setting": s, "predicted": p, "seconds": m, "device": "cpu: this"} for s, p, m in groups]
    page = report.cost({"groups": rows})
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in page["rows"].split("<tr>")]
    cells = [row for row in cells if row]
    assert [row[0] for row in cells] == ["a", "b", "all"] and page["where"] == ["cpu: this"]
    assert [float(row[-1]) for row in cells] == [0.9, 1.5, 1.1]
    assert report.cost({})["where"] == []


def test_the_page_on_cost_names_what_computed_and_in_which_versions():
    """A card with its driver, which the machine that wrote the report may not have; of older records the device."""
    card = {"device": "cuda: a card", "driver": "580.1", "torch": "2.11.0+cu130", "groups": 3}
    rows = [{"setting": "a", "predicted": 1.0, "seconds": 1.0, "device": "cpu: this"}]
    page = report.cost({"groups": rows, "computed_on": [card, {"device": "cpu: this", "groups": 1}]})
    assert page["where"] == ["cuda: a card (driver 580.1, torch 2.11.0+cu130)", "cpu: this"]


def test_core_seconds_have_one_decimal_however_many_there_are():
    """As `list --cost` prints them; three digits of thousands would be too few."""
    page = report.cost({"groups": [{"setting": "a", "predicted": 2909.26, "seconds": 0.04, "device": "cpu: this"}]})
    for table in ("rows", "dearest"):
        assert "<td>2,909.3</td>" in page[table] and "<td>0.0</td>" in page[table] and "e+0" not in page[table]


def tree(out):
    """The bytes of every file below a folder, by its path."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def needs_twelve(frame):
    """An analysis that looks a record up, as those of experiments do."""
    return dict(zip(frame.setting, frame.value, strict=True))["sum/terms=12"]


def failing(name, out):
    """A newer report that cannot be made."""
    with pytest.raises(report.ReportError):
        report.publish(name, "no,records\n", out, {})


class Cells(html.parser.HTMLParser):
    """Collects the texts of tables' cells; the names of facts and what opens them are headings in Markdown."""

    HEADINGS = ("dt", "summary", "strong")

    def __init__(self):
        super().__init__()
        self.cells, self._open = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("td", "th", *self.HEADINGS):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1] not in self.HEADINGS:
            self.cells += re.findall(r"[^()\s](?:[^()]*[^()\s])?", data)


def records_of(first, rows):
    """CSV lines as records."""
    import csv

    names = first.strip().split(",")
    for row in csv.DictReader([first, *rows]):
        yield Record(*(CASTS.get(name, str)(row[name]) for name in names))


CASTS = {"seed": int, "index": float, "value": float}


def test_a_picture_does_not_change_with_the_last_digit_of_its_layout():
    """matplotlib makes ids of hashes of places, which other processors round otherwise."""
    from matplotlib import pyplot as plt

    from experiments.harness import figures

    def drawn(width: float) -> str:
        with figures.style():
            canvas = plt.figure(figsize=(2, 2))
            canvas.add_axes((0.2, 0.2, width, 0.6)).plot([1, 2], [3, 4])
            return figures.svg(canvas, "picture")

    assert drawn(0.6) == drawn(0.6 + 1e-15)
    assert drawn(0.6) != drawn(0.7)
