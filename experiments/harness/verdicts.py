"""Verdicts as they are read: rows for pages and Markdown, and an interval drawn against its rule's thresholds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from experiments.claims import CLAIMS, Claim, Condition, Verdict, beyond_lengths
from experiments.harness.markup import escaped_cell, number, piped

HEADINGS = {
    "statement": "what the notes say",
    "statistic": "what is measured",
    "interval": "99 % interval",
    "shown": "shown in",
    "needs": "to decide",
}
"""Columns of the table of verdicts that are called otherwise than their field."""

WORDS = ("supported", "contradicted", "open")


def tables(verdicts: Iterable[Verdict], at: str = "") -> dict[str, Any]:
    """The verdicts for the templates: rows for a page, and a table in Markdown.

    Args:
        verdicts: in the order of reading.
        at: the folder of the report that shows them; "" above the reports.
    """
    verdicts = list(verdicts)
    rows = [row(v, at) for v in verdicts]
    links = [f"[{r['shown']}]({r['link'].replace('index.html', 'README.md')})" if r["link"] else "" for r in rows]
    shown = pd.DataFrame([{name: r[name] for name in COLUMNS} for r in rows], columns=list(COLUMNS)).map(escaped_cell)
    frame = shown.assign(shown=links).rename(columns=HEADINGS)
    return {"verdicts": rows, "headings": HEADINGS, "up": "../" if at else "", "verdicts_md": piped(frame)}


COLUMNS = (
    *("claim", "verdict", "statement", "effect", "interval", "shown", "needs"),
    *("statistic", "rule", "seeds", "preset", "note"),
)
"""In the order of reading."""


def row(v: Verdict, at: str = "") -> dict[str, str]:
    """A verdict as it is read: numbers to three digits, an interval in words, where its figure is.

    On a report's own page a claim that lacks the records of others alone says nothing of them.
    """
    needs = "" if at and v.lacks and at not in v.lacks else v.needs
    return {
        "claim": v.number,
        "verdict": v.word,
        "statement": v.statement,
        "statistic": v.statistic,
        "rule": v.rule,
        "supported": CLAIMS[v.number].supported_if,
        "contradicted": CLAIMS[v.number].contradicted_if,
        "effect": effect(v),
        "interval": interval(v),
        "seeds": str(v.seeds or ""),
        "preset": v.preset,
        "note": v.note,
        "needs": needs,
        "link": link(v.report, at),
        "shown": v.report.split("/")[0],
        "picture": picture(CLAIMS[v.number], v),
    }


def effect(v: Verdict) -> str:
    """The measured number; of laws alone, how often they broke; "" of a ratio beyond the lengths that were run."""
    shown = "" if beyond_lengths(v, v.effect) else number(v.effect)
    return shown if CLAIMS[v.number].seeds or not shown else f"{shown} break{'s' * (v.effect != 1)}"


def interval(v: Verdict) -> str:
    """The ends of the interval, or the one of a ratio that lies within the lengths that were run; "any" for neither."""
    low, high = number(v.low), number(v.high)
    if not low or not high:
        return ""
    below, above = (beyond_lengths(v, end) for end in (v.low, v.high))
    words = {(False, False): f"{low} to {high}", (False, True): f"> {low}", (True, False): f"< {high}"}
    return words.get((below, above), "any")


def link(report: str, at: str) -> str:
    """A link that is relative to the reports' folder, as a page in the folder `at` needs it."""
    if not at or not report:
        return report
    folder, page = report.split("/", 1)
    return page.removeprefix("index.html") if folder == at else f"../{report}"


def counted(verdicts: Iterable[Verdict]) -> list[tuple[int, str]]:
    """How many claims have each word."""
    found = Counter(v.word for v in verdicts)
    return [(found[word], word) for word in WORDS]


# The picture of an interval

WIDTH, MARGIN = 168, 7
TOP, BASE, BOTTOM = 7, 17, 22
"""Pixels down: of the interval, of the line with the thresholds, and of the picture's end."""


def picture(claim: Claim, v: Verdict) -> str:
    """The interval of a verdict above a line with the thresholds of its rule, as an <svg>; "" where there is none.

    A solid stretch of the line supports the claim where the whole interval lies over it, a dashed one contradicts. An
    end at infinity is an arrow, and so is a ratio's at 0, both beyond what was run; such an effect has no dot. It says
    nothing that the numbers beside it and the rule do not, so it has no text.
    """
    if not all(number(value) for value in (v.effect, v.low, v.high)):
        return ""
    supported, contradicted = (shown_conditions(claim, some) for some in (claim.supported, claim.contradicted))
    ticks = sorted({condition.threshold for condition in (*supported, *contradicted)})
    finite = [float(value) for value in (v.effect, v.low, v.high, *ticks) if math.isfinite(value)]
    low, high = padded(min(finite), max(finite))

    def x(value: float) -> str:
        share = (min(max(value, low), high) - low) / (high - low)
        return f"{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}"

    zones = [line(x(a), BASE, x(b), BASE, "supports") for a, b in both(supported)]
    zones += [line(x(a), BASE, x(b), BASE, "contradicts") for a, b in map(beyond, contradicted)]
    marks = [line(x(tick), BASE - 4, x(tick), BASE + 4, "tick") for tick in ticks]
    open_ended = [(end, side) for end, side in ((v.low, -1), (v.high, 1)) if math.isinf(end) or beyond_lengths(v, end)]
    ends = [arrow(x(end), side) for end, side in open_ended]
    dot = "" if beyond_lengths(v, v.effect) else f'<circle cx="{x(v.effect)}" cy="{TOP}" r="3"/>'
    whole = [line(x(low), BASE, x(high), BASE, "axis"), *zones, *marks]
    whole += [line(x(v.low), TOP, x(v.high), TOP, "bar"), *ends, dot]
    size = f'width="{WIDTH}" height="{BOTTOM}" viewBox="0 0 {WIDTH} {BOTTOM}"'
    return f'<svg class="interval" {size} aria-hidden="true" focusable="false">{"".join(whole)}</svg>'


def shown_conditions(claim: Claim, conditions: Sequence[Condition]) -> list[Condition]:
    """Those on the quantity whose effect a verdict shows: of the first group that is no law's."""
    group = next(quantity.group for quantity in claim.quantities if quantity.kind != "breaks")
    return [condition for condition in conditions if condition.group == group]


def padded(low: float, high: float) -> tuple[float, float]:
    """The ends of a scale that holds both numbers with room beside them."""
    room = 0.1 * (high - low) or 1.0
    return low - room, high + room


def beyond(condition: Condition) -> tuple[float, float]:
    """Where an interval lies as a whole for which the condition holds: low > t is above t, high < t below."""
    return (condition.threshold, math.inf) if condition.op.startswith(">") else (-math.inf, condition.threshold)


def both(conditions: Sequence[Condition]) -> list[tuple[float, float]]:
    """Where an interval supports: what the conditions on the whole of it have in common; none where there is no such.

    low <= t and high >= t ask that it reach t, and bound nothing.
    """
    whole = [c for c in conditions if (c.end, c.op[0]) in (("low", ">"), ("high", "<"))]
    ends = [beyond(condition) for condition in whole]
    return [(max(a for a, _ in ends), min(b for _, b in ends))] if ends else []


def line(x1: str, y1: float, x2: str, y2: float, kind: str) -> str:
    """A line of the picture; its kind says how it looks."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def arrow(x: str, side: int) -> str:
    """The head of an arrow that points on from (x, TOP)."""
    return f'<path d="M{x} {TOP - 4}l{side * 6} 4l{-side * 6} 4z"/>'
