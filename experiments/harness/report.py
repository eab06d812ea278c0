"""Reports: the same content as HTML (one self-contained file) and as Markdown, a function of the records alone.

A report's folder: README.md, index.html, summary.json, figures/ (SVG, and the data of each as CSV), results.csv, what
else the analysis hands over as CSV, programs/ where it hands over programs, and two files that no records give:
provenance.json, which says when and where, and cost.html, which says how long it took and on what devices. Above the
folders: index.html with the ledger in short, ledger.html with every rule, README.md, ledger.csv.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure as Canvas

from experiments import claims
from experiments.claims import Verdict
from experiments.harness import catalogue, figures, ran, verdicts
from experiments.harness.endings import Told, UsageError, tell
from experiments.harness.listing import counted
from experiments.harness.markup import coded, escaped, html, markdown, slug
from experiments.harness.ours import ABOVE, MADE_FROM, refuse_foreign
from experiments.harness.parts import Parts
from experiments.harness.words import listed
from properties.record import COLUMNS, read_csv

PROVENANCE, COST = "provenance.json", "cost.html"
CLOCKED = (PROVENANCE, COST)
"""What is no function of the records: they hold times, and name the machine."""
ASIDE = "old"
"""The older report's folder, in that for the making of a newer one, until the newer one stands in its place."""
LEFT = 3600.0
"""Seconds after which a folder for a report's making was left by a process that was killed."""


@dataclass(frozen=True)
class Figure:
    """A picture: its file's name, the finding as its title in one sentence, a text for who cannot see it, its data."""

    name: str
    title: str
    canvas: Canvas
    alt: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """A table: its file's name, a title, and what stands in it, as it is to be read."""

    name: str
    title: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Program:
    """A program that readers can run: its file's name, what it shows in a sentence, more on it, and its text."""

    name: str
    title: str
    about: str
    text: str


@dataclass(frozen=True)
class Section:
    """A part of a long report: heading, what was found in plain text, figures and tables; "\n\n" ends a paragraph."""

    title: str
    lead: str
    figures: Sequence[Figure]
    tables: Sequence[Table]


@dataclass(frozen=True)
class Findings:
    """A part's section of the report, and what was run, as rows of the settings' table."""

    section: Section
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """What an analysis hands over; it is written in this order: verdicts, lead, figures, tables, sections, programs,
    settings.

    Attributes:
        name, title, lead: folder, heading, and what was found in plain text, its paragraphs "\n\n" apart.
        verdicts: of the claims that the experiment bears on, from `claims.verdict`.
        figures, tables: in the order of reading.
        settings: columns "setting" and "value".
        files: tables that readers find as NAME.csv in the report's folder, beside results.csv.
        programs: written to programs/NAME.py, and shown.
        command: what makes the report, where that is not `run` with a preset.
        sections: of a report that has several parts.
    """

    name: str
    title: str
    lead: str
    verdicts: Sequence[Verdict]
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    settings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"setting": [], "value": []}))
    files: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    programs: Sequence[Program] = ()
    command: str = ""
    sections: Sequence[Section] = ()

    def __post_init__(self) -> None:
        """Refuses two figures, or two tables, of one name: a file and an anchor would be the one's alone.

        Raises:
            ValueError: there are such.
        """
        for kind, found in (("figures", self.every_figure), ("tables", self.every_table)):
            names = Counter(one.name for one in found)
            if twice := [name for name, count in names.items() if count > 1]:
                raise ValueError(f"`{kind}` of report {self.name} must have a name each; got twice {', '.join(twice)}.")

    @property
    def every_figure(self) -> list[Figure]:
        """Those of the sections too, in the order of reading."""
        return [*self.figures, *(figure for section in self.sections for figure in section.figures)]

    @property
    def every_table(self) -> list[Table]:
        """Those of the sections too, in the order of reading."""
        return [*self.tables, *(table for section in self.sections for table in section.tables)]


def of_parts(parts: Parts, title: str, lead: str, decided: Iterable[str], frame: pd.DataFrame) -> Report:
    """The report of an experiment in parts: verdicts, and a section a part that has something to show.

    Args:
        parts: of the experiment. title, lead: of the whole.
        decided: the numbers of the claims that the experiment bears on.
        frame: its records.
    """
    found = parts.findings(frame)
    return Report(
        name=parts.experiment,
        title=title,
        lead=lead,
        verdicts=[claims.verdict(claims.CLAIMS[number], frame) for number in decided],
        settings=settings_table(found),
        sections=[part.section for part in found if part.section.figures or part.section.tables],
    )


def settings_table(findings: Sequence[Findings]) -> pd.DataFrame:
    """The settings of all parts as the report has them: columns "setting" and "value"."""
    rows = [(name, value) for part in findings for name, value in part.settings.items()]
    return pd.DataFrame(rows, columns=["setting", "value"])


class ReportError(Told):
    """A report cannot be made or read; one line that says which and why."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Says in one line that a report's folder, or a file in it, is damaged, missing or was copied in part.

    Raises:
        ReportError: it cannot be read, or does not hold what it should.
    """
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise damaged(path, error) from error


@contextmanager
def taking_apart(path: Path) -> Iterator[None]:
    """The same of a JSON file, also where it is whole but has another form.

    Raises:
        ReportError: it cannot be read, or has no such parts.
    """
    with reading(path):
        try:
            yield
        except (AttributeError, TypeError) as error:
            raise ValueError(f"its JSON has another form: {error}") from error


@contextmanager
def analysing(*folders: Path) -> Iterator[None]:
    """Says the same where an analysis fails on records that a report was not made from.

    On those that they were made from the fault is the analysis's own, and stays what it is.

    Raises:
        ReportError: of one of these reports a table is not the one that README.md names, or it names none.
    """
    try:
        yield
    except (AttributeError, LookupError, ValueError) as error:
        wrong = next((folder / file for folder in folders for file in changed(folder) + untold(folder)), None)
        if wrong is None:
            raise
        raise damaged(wrong, error) from error


def damaged(path: Path, error: Exception) -> ReportError:
    """What to say of a folder or file that is not whole."""
    text = " ".join(str(error).split()).removesuffix(".")
    why = f"{type(error).__name__}: {text}" if isinstance(error, AttributeError | LookupError) else text
    again = "make the report again: `report` does it from a whole results.csv, `run` or `verify` without one"
    if path.name == PROVENANCE:  # `report` keeps it, and so needs it whole
        again = "remove it: `report` does without it, `run` or `verify` writes it anew"
    wrong = f"{path} is damaged or incomplete ({why})"
    if isinstance(error, FileNotFoundError):
        wrong = f"{error.filename or path} is missing"
    return ReportError(f"{wrong}; put a whole copy in its place, or {again}.")


def changed(folder: Path) -> list[str]:
    """Those of a report's records that are not the ones it was made from, as far as it says which these were."""
    there, said = {name: folder / name for name in made_from(folder.name)}, digests(folder)
    return [n for n, path in there.items() if n in said and not (path.is_file() and digest(path) == said[n])]


def untold(folder: Path) -> list[str]:
    """Those of a report's records of which it has no digest: of several tables an older program named the first."""
    return [name for name in made_from(folder.name) if name not in digests(folder)]


def digests(folder: Path) -> dict[str, str]:
    """The digests of the records that a report was made from, as its README.md has them."""
    page = folder / "README.md"
    said = page.read_bytes() if page.is_file() else b""
    return {name.decode(): sha256.decode() for name, sha256 in MADE_FROM.findall(said)}


# One report


def build(name: str, results: Path, folder: Path) -> None:
    """Writes a report's files, those of CLOCKED apart, into an empty folder.

    Args:
        name: the experiment.
        results: its records, a results.csv; an analysis that reads other tables finds them beside it.
        folder: where to write; it must exist.
    """
    analysis = catalogue.analysis(name)
    frame = read(name, results)
    with figures.style(), seldom_collected():
        report = analysis.analyse(frame)
        drawn = {figure.name: figures.svg(figure.canvas, figure.name) for figure in report.every_figure}
    sources = {file: results.parent / file for file in made_from(name)}
    for file, source in sources.items():
        shutil.copyfile(source, folder / file)
    (folder / "figures").mkdir()
    for figure in report.every_figure:
        write(folder / "figures" / f"{figure.name}.svg", drawn[figure.name])
        write(folder / "figures" / f"{figure.name}.csv", csv_of(figure.data))
    for file, table in report.files.items():
        write(folder / f"{file}.csv", csv_of(table))
    for program in report.programs:
        (folder / "programs").mkdir(exist_ok=True)
        write(folder / "programs" / f"{program.name}.py", program.text)
    page = content(report, drawn, frame) | {"made_from": {file: digest(source) for file, source in sources.items()}}
    write(folder / "index.html", render("report.html.j2", page))
    write(folder / "README.md", render("report.md.j2", page))
    findings = [{"figure": figure.name, "title": figure.title} for figure in report.every_figure]
    summary = {"name": name, "title": report.title, "findings": findings}
    write(folder / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Looks for unreachable objects seldom: a figure's live until it is drawn, and looking is a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def read(name: str, results: Path) -> Any:
    """A report's records, or all the tables that its analysis reads."""
    with reading(results.parent):
        return getattr(catalogue.analysis(name), "read", read_csv)(results)


def made_from(name: str) -> list[str]:
    """The files that a report is made from, results.csv first."""
    return ["results.csv", *(f"{table}.csv" for table in getattr(catalogue.analysis(name), "INPUTS", ()))]


def content(report: Report, drawn: Mapping[str, str], frame: Any) -> dict[str, Any]:
    """What the templates of a report speak of."""
    settings = report.settings
    if not report.command:
        settings = pd.concat([pd.DataFrame(run_settings(report.name, frame)), settings], ignore_index=True)
    return {
        **part(report, drawn),
        **verdicts.tables(report.verdicts, report.name),
        "sections": [part(section, drawn) | {"anchor": slug(section.title)} for section in report.sections],
        "contents": contents(report),
        "programs": [vars(p) | {"title_md": escaped(p.title), "about_md": escaped(p.about)} for p in report.programs],
        "settings": html(settings),
        "settings_md": markdown(settings),
        "command": report.command or command_of(report.name, frame),
        "check": f"python -m experiments report {report.name} --check",
        "costed": report.name != catalogue.VERDICTS,
    }


SHORT = 5
"""Figures and tables that a report may have before it begins with a table of contents."""


def contents(report: Report) -> list[tuple[str, str]]:
    """Anchors and titles of a long report's table of contents: its sections, or else its figures and tables."""
    parts = [(slug(section.title), section.title) for section in report.sections]
    names = [figure.name for figure in report.every_figure]
    own = [(f.name, f.title) for f in report.figures] + [(anchor(t, names), t.title) for t in report.tables]
    if not parts and len(own) <= SHORT:
        return []
    programs = [("programs", "Programs, one a cause")] if report.programs else []
    return [*(parts or own), *programs, ("settings", "Settings and cost")]


def anchor(table: Table, drawn: Iterable[str]) -> str:
    """A table's anchor: its name, or another where one of the page's figures has that."""
    return f"{table.name}_table" if table.name in drawn else table.name


def part(some: Report | Section, drawn: Mapping[str, str]) -> dict[str, Any]:
    """Title, lead, figures and tables of a report or of a section, for the templates."""
    return {
        "title": some.title,
        "title_md": escaped(some.title),
        "lead": paragraphs(some.lead),
        "lead_md": "\n\n".join(escaped(paragraph) for paragraph in paragraphs(some.lead)),
        "figures": [
            {
                "name": f.name,
                "title": f.title,
                "title_md": escaped(f.title),
                "alt_md": escaped(f.alt),
                "svg": named(drawn[f.name], f),
            }
            for f in some.figures
        ],
        "tables": [
            {
                "anchor": anchor(t, drawn),
                "title": t.title,
                "title_md": escaped(t.title),
                "html": html(t.frame),
                "md": markdown(t.frame),
            }
            for t in some.tables
        ],
    }


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a plain text."""
    return [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]


def run_settings(name: str, frame: pd.DataFrame) -> dict[str, list[str]]:
    """Preset, groups and predicted cost, as the harness recorded them."""
    values = ran.values(name, frame)
    groups, cost = (values.get(metric, math.nan) for metric in ("groups", "predicted_core_seconds"))
    return {
        "setting": ["preset", "groups (all seeds of a setting)", "predicted cost (core-seconds)"],
        "value": [ran.presets(frame).get(name, "?"), f"{groups:.0f}", f"{cost:.0f}"],
    }


def command_of(name: str, frame: pd.DataFrame) -> str:
    """The command that made the records, as it is typed."""
    given = ran.options(frame).get(name, {})
    words = [f"--{option} {'FILE' if value == 'own' else value}" for option, value in given.items()]
    return " ".join(["python -m experiments run", name, *words])


def named(picture: str, figure: Figure) -> str:
    """The picture for a page: it says what it shows to who cannot see it, and how wide it was drawn, in pixels."""
    label = figure.alt.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    points = float(re.search(r' width="([\d.]+)pt"', picture)[1])
    given = f'role="img" aria-label="{label}" style="--drawn: {points * 4 / 3:.0f}px"'
    return picture.replace("<svg ", f"<svg {given} ", 1)


def publish(
    name: str, results: str, out: Path, provenance: dict[str, Any], beside: Mapping[str, str] | None = None
) -> Path:
    """Makes a report from records (the text of a CSV) and puts its folder in place of an older one, whole.

    Args:
        name: the experiment. results: the text of its results.csv. out: the reports' folder.
        provenance: what provenance.json says.
        beside: the texts of other files that its analysis reads, by name.
    Returns:
        The folder.
    Raises:
        UsageError: what stands in its place is no report.
    """
    refuse_foreign(out, folders=[name])
    out.mkdir(parents=True, exist_ok=True)
    put_back(name, out)
    remove_left(name, out)
    with TemporaryDirectory(prefix=f".{name}-", dir=out) as temporary:
        new, source = Path(temporary) / name, Path(temporary) / "results.csv"
        new.mkdir()
        write(source, results)
        for file, text in (beside or {}).items():
            write(Path(temporary) / file, text)
        build(name, source, new)
        write(new / PROVENANCE, json.dumps(provenance, indent=1, sort_keys=True) + "\n")
        if name != catalogue.VERDICTS:
            write(new / COST, render("cost.html.j2", {"title": f"What {name} cost", **cost(provenance)}))
        replace(new, out / name, Path(temporary) / ASIDE)
    return out / name


def cost(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What the page on cost speaks of: core-seconds predicted and measured, by kind of setting, and where."""
    columns = ["setting", "predicted", "seconds", "device"]
    groups = pd.DataFrame(provenance.get("groups", []), columns=columns).astype({"predicted": float, "seconds": float})
    groups = groups.assign(kind=groups.setting.str.split("/").str[0].astype(str), groups=1)
    dearest = groups.nlargest(DEAREST, "seconds")[columns[:3]].rename(columns={"seconds": "measured"})
    rows = groups.groupby("kind", sort=False)[["groups", "predicted", "seconds"]].sum()
    rows.loc["all"] = rows.sum()
    rows["measured over predicted"] = (rows.seconds / rows.predicted.astype(float)).round(2)
    rows = rows.astype({"groups": int}).reset_index().rename(columns={"kind": "settings", "seconds": "measured"})
    where = places(provenance) or sorted(set(groups.device.dropna()))
    return {"rows": html(in_seconds(rows)), "dearest": html(in_seconds(dearest)), "where": where}


def places(provenance: Mapping[str, Any]) -> list[str]:
    """What computed, each with its versions; nothing of a report that an older program made."""
    found = []
    for place in provenance.get("computed_on", []):
        numbers = ", ".join(f"{name} {number}" for name, number in place.items() if name not in ("device", "groups"))
        found.append(f"{place['device']} ({numbers})" if numbers else place["device"])
    return found


def in_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with core-seconds to one decimal, as `list --cost` prints them: three digits would be too few."""
    return table.assign(**{name: table[name].map("{:,.1f}".format) for name in ("predicted", "measured")})


DEAREST = 5
"""Groups that the page on cost names."""


def replace(new: Path, old: Path, aside: Path) -> None:
    """Puts a folder where another may stand: the older one is moved aside first, and back if the new one fails."""
    try:
        if old.exists():
            old.rename(aside)
        new.rename(old)
    except BaseException:  # an interrupt too: what is aside is soon removed
        if aside.exists() and not old.exists():
            aside.rename(old)
        raise


def put_back(name: str, out: Path) -> None:
    """Puts a report back that a process moved aside and, killed, put none in place of."""
    for aside in out.glob(f".{name}-*/{ASIDE}"):
        if not (out / name).exists():
            aside.rename(out / name)


def remove_left(name: str, out: Path) -> None:
    """Removes what killed runs have left of a report's making; what is younger may be another's at work."""
    for folder in out.glob(f".{name}-*"):
        if folder.stat().st_mtime < time.time() - LEFT:
            shutil.rmtree(folder, ignore_errors=True)


def folder_of(name: str, out: Path) -> Path:
    """The folder of a report that is there.

    Raises:
        UsageError: it is not.
        ReportError: it cannot be read.
    """
    if not there(name, out):
        raise UsageError(f"there is no report {name!r} in {out}: {out / name / 'results.csv'} is missing.")
    return out / name


def there(name: str, out: Path) -> bool:
    """Whether a report has records."""
    with reading(out / name):
        return (out / name / "results.csv").exists()


def rebuild(name: str, out: Path) -> Path:
    """Makes a report again from its own results.csv; its provenance stays.

    Of records that are others than the report was made from it tells on the standard error stream: some may be lost,
    and once the report is made from them no check can say so.
    """
    put_back(name, out)
    folder = folder_of(name, out)
    read(name, folder / "results.csv")  # what is wrong with it is said of where it lies, and not of a copy
    with taking_apart(folder / PROVENANCE):
        provenance = json.loads((folder / PROVENANCE).read_text("utf-8")) if (folder / PROVENANCE).exists() else {}
        cost(provenance)
    with reading(folder):
        texts = {file: (folder / file).read_text("utf-8") for file in made_from(name)}
        others = changed(folder)
    with analysing(folder):
        publish(name, texts.pop("results.csv"), out, provenance, texts)
    for file in others:
        tell(f"{folder / file} is not the one that the older report was made from: the new one says what it holds now")
    return folder


def check(name: str, out: Path) -> tuple[int, list[str]]:
    """Makes a report again beside itself and compares, byte for byte.

    Returns:
        How many files are identical, and the names of those that differ, are missing or stand there in addition; those
        of its records that are not the ones the report was made from come first. Those that are `untold` are neither.
    """
    folder = folder_of(name, out)
    with TemporaryDirectory() as temporary:
        new = Path(temporary)
        with analysing(folder):
            build(name, folder / "results.csv", new)
        with reading(folder):
            names = sorted({str(p.relative_to(f)) for f in (folder, new) for p in f.rglob("*") if p.is_file()})
            differ = [n for n in names if n not in CLOCKED and not same(folder / n, new / n)]
    differ[:0] = changed(folder)
    compared = [n for n in names if n not in CLOCKED and n not in untold(folder)]
    return len(compared) - len(differ), [f"{name}/{n}" for n in differ]


def same(a: Path, b: Path) -> bool:
    """Whether both files exist and hold the same bytes."""
    return a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()


# All reports


def publish_index(out: Path) -> Path:
    """Writes index.html, README.md and ledger.csv over the reports in `out`, whole; gives the page's path.

    Raises:
        UsageError: a file that stands in the place of one is none of ours.
    """
    refuse_foreign(out, files=ABOVE)
    for name in catalogue.reported("all"):
        put_back(name, out)
    remove_left("index", out)
    with TemporaryDirectory(prefix=".index-", dir=out) as temporary:
        files = index_files(out)
        for name, text in files.items():
            write(Path(temporary) / name, text)
        for name in files:  # all are written before the first older one goes
            (Path(temporary) / name).replace(out / name)
    return out / "index.html"


def index_files(out: Path) -> dict[str, str]:
    """What stands above the reports: file names and their texts, from the folders' results and summaries."""
    folders = [out / name for name in catalogue.reported("all") if there(name, out)]
    measured = [folder for folder in folders if folder.name != catalogue.VERDICTS]
    frame = records(measured)
    with analysing(*measured):
        found = [claims.verdict(claim, frame) for claim in claims.CLAIMS.values()]
    presets = sorted(set(ran.presets(frame).values()))
    without = sum(v.note.startswith(claims.NOT_MEASURED) and v.effect is None for v in found)
    by = f" (preset {' and '.join(presets)})" if presets else ""
    lead = (
        f"What a lecture says of recurrent networks, claim by claim, beside what was measured{by}: each verdict is "
        "computed from the records by a rule that was fixed before."
        + f" Not measured here, and so open: {counted(without, 'claim')}." * bool(without)
        + shared(frame, out)
    )
    page = {
        **{"title": TITLE, "lead": lead, "lead_md": escaped(lead), "counts": verdicts.counted(found)},
        **{"reports": [told(folder, found) for folder in folders], "full": largest(out), "above": above(out)},
        **verdicts.tables(found),
    }
    texts = [render(f"{template}.j2", page) for template in ("index.html", "ledger.html", "index.md")]
    return dict(zip(ABOVE, [*texts, csv_of(claims.ledger(found))], strict=True))


def shared(frame: pd.DataFrame, out: Path) -> str:
    """Which claims' records those of another preset hold too, in the folder above: no second measurement."""
    if not above(out):
        return ""
    folders = [out.parent / name for name in catalogue.reported("all") if there(name, out.parent)]
    others = records([folder for folder in folders if folder.name != catalogue.VERDICTS])
    rows = others[claims.RECORD].drop_duplicates()
    parts = {number: claims.repeated(claim, frame, rows) for number, claim in claims.CLAIMS.items()}
    whole = [number for number, part in parts.items() if part == 1]
    some = [number for number, part in parts.items() if 0 < part < 1]
    if not whole and not some:
        return ""
    told = [f"what decides {listed(whole)}"] * bool(whole) + [f"a part of what decides {listed(some)}"] * bool(some)
    by = " and ".join(sorted(set(ran.presets(others).values())))
    return (
        f" Seeds are the same in every preset: {', and '.join(told)}, stands in the records of preset {by} too, number "
        "by number, and is no second measurement."
    )


def records(folders: Iterable[Path]) -> pd.DataFrame:
    """The records of several reports; of none, a frame without a row."""
    frames = []
    for folder in folders:
        with reading(folder):
            frames.append(read_csv(folder / "results.csv"))
    return pd.concat(frames or [pd.DataFrame(columns=list(COLUMNS))], ignore_index=True)


TITLE = "Recurrent networks: 21 claims, measured"


def told(folder: Path, found: Sequence[Verdict]) -> dict[str, Any]:
    """A report as the pages above it speak of it: folder, title, findings by figure, and the claims that it shows."""
    with taking_apart(folder / "summary.json"):
        said = json.loads((folder / "summary.json").read_text("utf-8"))
        # Of a report that an older version made, findings are titles alone.
        known = [f if isinstance(f, dict) else {"figure": "", "title": f} for f in said["findings"]]
        findings = [finding | {"title_md": escaped(finding["title"])} for finding in known]
        title = {"title": said["title"], "title_md": escaped(said["title"])}
    shown = [v.number for v in found if v.report.startswith(f"{folder.name}/")]
    return {"folder": folder.name, "findings": findings, "claims": shown} | title


def largest(out: Path) -> bool:
    """Whether the reports of the largest presets stand in a folder beside these."""
    return (out / "full" / "index.html").exists()


def above(out: Path) -> bool:
    """Whether these reports stand in the folder of others."""
    return (out.parent / "ledger.csv").exists()


def check_index(out: Path) -> list[str]:
    """The files above the reports that are not what the reports' folders give."""
    return [name for name, text in index_files(out).items() if not holds(out / name, text)]


def holds(path: Path, text: str) -> bool:
    """Whether the file has this text."""
    return path.is_file() and path.read_bytes() == text.encode()


# Text


def csv_of(frame: pd.DataFrame) -> str:
    """A table as CSV, numbers to six digits: more would show which processor computed a closed form."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def render(template: str, page: dict[str, Any]) -> str:
    """A template of templates/ with a page's content."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    options = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True, "undefined": StrictUndefined}
    environment = Environment(loader=loader, autoescape=template.endswith(".html.j2"), **options)
    environment.filters["coded"] = coded
    return environment.get_template(template).render(page)


def write(path: Path, text: str) -> None:
    """Writes a text with line ends as they are."""
    path.write_bytes(text.encode())
