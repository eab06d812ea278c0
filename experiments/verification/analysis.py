"""The report of verdicts, from the tables that `verify` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from experiments.harness.report import Figure, Program, Report, Table
from properties.check import EXAMPLES

NAME = "verification"
INPUTS = ("subjects", "breaks", "causes")
"""Tables beside results.csv that the report is made from."""

WORDS = {"holds": "#9fd3ae", "broken": "#d55e00", "cannot": "#dcdcdc", "not run": "#ffffff"}
"""Verdicts and their shades."""


class Tables(NamedTuple):
    """What `verify` wrote."""

    results: pd.DataFrame
    subjects: pd.DataFrame
    breaks: pd.DataFrame
    causes: pd.DataFrame


def read(results: Path) -> Tables:
    """The tables, in the folder of a results.csv."""
    paths = (results, *(results.parent / f"{name}.csv" for name in INPUTS))
    return Tables(*(pd.read_csv(path, keep_default_na=False, float_precision="round_trip") for path in paths))


def analyse(tables: Tables) -> Report:
    """Subjects by laws, the causes of breaks, and a program for each."""
    names = list(dict.fromkeys(tables.results.subject))
    return Report(
        name=NAME,
        title="Verdicts: every law on every subject",
        lead=lead(tables),
        verdicts=(),
        figures=[matrix(tables, names)],
        tables=[subject_table(tables, names), cause_table(tables), break_table(tables), *cannot_tables(tables, names)],
        settings=settings(tables),
        programs=[program(row) for row in tables.causes.itertuples() if row.program],
        command=command(tables),
    )


def command(tables: Tables) -> str:
    """What makes it again."""
    built_in = {"numpy_twin", "torch_twin", "torch_nn"} <= set(tables.results.subject)
    what = "all" if built_in else "path/to/file.py"
    if examples(tables) == str(EXAMPLES):
        return f"make verify SUBJECT={what}"
    return f"python -m experiments verify --subject {what} --examples {examples(tables)}"


def examples(tables: Tables) -> str:
    """Of how many a law ran its share; reports of before it could be asked for do not say."""
    said = list(tables.subjects.get("examples", ()))
    return str(said[0] if said else EXAMPLES)


def counts(tables: Tables) -> pd.Series:
    """How many verdicts of each word."""
    return tables.results.verdict.value_counts().reindex(list(WORDS), fill_value=0)


def lead(tables: Tables) -> str:
    """The findings in a paragraph."""
    n, results, causes = counts(tables), tables.results, tables.causes
    subjects = results[results.verdict != "not run"].subject.nunique()
    text = (
        f"{subjects} subject{'s' * (subjects > 1)} under {results.law.nunique()} laws, {results.cases.sum():,} cases: "
        f"{n['holds']} verdicts hold, {n['broken']} are broken, {n['cannot']} cannot be run, since the subject does "
        f"not declare what they need, and {n['not run']} were not run. "
    )
    if not len(causes):
        return text + "Nothing breaks."
    shown = causes.reproduced.str.startswith("yes").sum()
    return text + (
        f"The breaks have {len(causes)} causes, of which {causes.recorded.sum()} are recorded with a reason; the "
        f"programs of {shown} were run alone, in a clean process, and fail as they say."
    )


def matrix(tables: Tables, names: list[str]) -> Figure:
    """Laws in rows, subjects in columns; broken cells say in which dtype, if not in both."""
    laws = sorted(tables.results.law.unique())
    wide = tables.results.pivot(index="law", columns="subject", values="verdict").loc[laws, names]
    canvas, axis = plt.subplots(figsize=(2.2 + 0.72 * len(names), 1.6 + 0.2 * len(laws)), layout="constrained")
    for y, law in enumerate(laws):
        for x, name in enumerate(names):
            word = wide.loc[law, name]
            edge = {"edgecolor": "0.8", "linewidth": 0.6} if word == "not run" else {"linewidth": 0}
            axis.add_patch(plt.Rectangle((x + 0.04, y + 0.06), 0.92, 0.88, facecolor=WORDS[word], **edge))
            if word == "broken":
                how = {"ha": "center", "va": "center", "fontsize": 6.5, "color": "w"}
                axis.text(x + 0.5, y + 0.52, broken_in(tables, name, law), **how)
    axis.set_yticks(np.arange(len(laws)) + 0.5, laws, fontsize=8)
    axis.set_xticks(np.arange(len(names)) + 0.5, names, rotation=40, ha="left", fontsize=8)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.set(xlim=(0, len(names)), ylim=(len(laws), 0))
    axis.spines[:].set_visible(False)
    said = {"broken": "broken (64, 32: in that precision alone)"}
    handles = [Patch(facecolor=shade, edgecolor="0.8", label=said.get(word, word)) for word, shade in WORDS.items()]
    columns = 4 if len(names) > 5 else 1  # the legend is 5.5 inches wide in one row
    canvas.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    return Figure("verdicts", matrix_title(tables), canvas, matrix_alt(tables, names), tables.results[RESULT_COLUMNS])


RESULT_COLUMNS = ["subject", "law", "verdict", "worst"]


def broken_in(tables: Tables, name: str, law: str) -> str:
    """The precision that a law is broken in, in bits; nothing where it is in all that were judged."""
    rows = tables.breaks[(tables.breaks.subject == name) & (tables.breaks.law == law)]
    judged = tables.subjects[tables.subjects.subject == name]["dtypes"].iloc[0].split(", ")
    found = sorted(set(rows.dtype))
    return "" if len(found) == len(judged) else ", ".join(d.removeprefix("float") for d in found)


def matrix_title(tables: Tables) -> str:
    """Who breaks nothing, and how many laws the others break."""
    broken = tables.results[tables.results.verdict == "broken"]
    run = tables.results[tables.results.verdict != "not run"].subject.unique()
    clean = [name for name in run if name not in set(broken.subject)]
    if len(clean) == len(run):
        return f"No law is broken by {', '.join(run)}"
    others = ", ".join(f"{name} {n}" for name, n in broken.groupby("subject").law.nunique().items())
    first = f"{', '.join(clean)} break no law; laws broken by the others" if clean else "Laws broken"
    return f"{first}: {others}"


def matrix_alt(tables: Tables, names: list[str]) -> str:
    """The matrix in words."""
    broken = tables.results[tables.results.verdict == "broken"]
    parts = [f"{name}: {', '.join(broken[broken.subject == name].law) or 'none'}" for name in names]
    return f"Laws broken by subject (a number: in that precision alone). {'; '.join(parts)}."


def subject_table(tables: Tables, names: list[str]) -> Table:
    """What each subject is, and its counts."""
    wide = (
        tables.results.groupby(["subject", "verdict"])
        .size()
        .unstack(fill_value=0)
        .reindex(columns=list(WORDS), fill_value=0)
    )
    rows = tables.subjects.set_index("subject")[["version", "cells", "dtypes", "alpha"]].reindex(names).fillna("")
    worst = pd.to_numeric(tables.results[tables.results.verdict == "holds"].worst, errors="coerce")
    nearest = worst.groupby(tables.results.subject).max().reindex(names)
    text = ["" if np.isnan(value) else f"{value:.3f}" for value in nearest]
    found = rows.assign(**{"nearest to a bound that holds": text}).join(wide.reindex(names))
    return Table("subjects", "Subjects: version, what they declare, and their verdicts", found.reset_index())


def cause_table(tables: Tables) -> Table:
    """What breaks, why, and the words to report."""
    shown = tables.causes[["sentence", "subjects", "laws", "reason", "upstream", "reproduced"]]
    title = "What breaks: causes, where they show, why, what to say upstream, and whether the program alone shows it"
    return Table("causes_of_breaks", title, shown.rename(columns={"sentence": "what is wrong"}))


def break_table(tables: Tables) -> Table:
    """The first break of every law and subject, as it was found."""
    first = tables.breaks.drop_duplicates(["subject", "law"])
    shown = first[["subject", "law", "sentence", "explanation"]]
    return Table("first_breaks", "The first break of each law, with its smallest case", shown)


def cannot_tables(tables: Tables, names: list[str]) -> list[Table]:
    """What a subject would have to declare for the laws that it cannot run, and for tests of those that hold."""
    rows = tables.results[(tables.results.verdict != "broken") & (tables.results.note != "")]
    if not len(rows):
        return []
    grouped = rows.groupby(["subject", "note"], sort=False).law.agg(", ".join).reset_index()
    shown = grouped[["subject", "law", "note"]].rename(columns={"law": "laws", "note": "why"})
    return [Table("cannot", "Laws, and tests of laws that hold, that were not run, and why", shown)]


def settings(tables: Tables) -> pd.DataFrame:
    """What was run."""
    n = examples(tables)
    rows = {
        "cases": f"{tables.results.cases.sum():,}: a law runs its share of {n} examples in each cell and dtype",
        "verdicts": "holds; broken: a case is outside the referee's bound, or a condition fails; cannot: not declared",
        "worst": "the largest error over the referee's bound; beyond 1 it is a break",
        "alpha": "the absolute error of sigma and tanh that the subject claims, in units of the roundoff u",
        "a process each": "a crash or a case without an end is a break; a failing case is made as small as it can be",
    }
    return pd.DataFrame({"setting": rows.keys(), "value": rows.values()})


def program(row: object) -> Program:
    """A cause's program with what is said of it."""
    said = [f"{row.subjects}; laws {row.laws}."]
    said += [row.reason] if row.reason else []
    said += [f"Upstream: {row.upstream}"] if row.upstream else []
    return Program(row.cause, row.sentence, " ".join(said), row.program)
