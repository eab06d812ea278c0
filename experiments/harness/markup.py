"""Tables and text for pages and for Markdown: numbers to three digits, nothing taken for markup but `code`.

The texts of a report are plain, with one mark: what stands between two backquotes is code.
"""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
from markupsafe import Markup
from markupsafe import escape as escaped_html

from experiments.harness.words import minus

WIDEST = 22
"""Characters that a table's column asks for at most before its text breaks into lines."""


def number(value: Any) -> str:
    """A number to three digits, 0 without a sign; "" for what is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return minus(f"{value:z.3g}")


def cell(value: Any) -> str:
    """What stands in a table's cell."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "" if value is None else str(value)
    return number(float(value)) if isinstance(value, float) else str(value)


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as text."""
    return frame.astype(object).map(cell)


def html(frame: pd.DataFrame) -> str:
    """The table for a page, with the room that it asks for: a narrow screen scrolls it instead of crushing it."""
    text = cells(frame)
    coded_text = text.map(coded).rename(columns=lambda name: escaped_html(str(name)))
    table = coded_text.to_html(index=False, border=0, justify="unset", classes=None, escape=False)
    table = table.replace("<th>", '<th scope="col">').replace('class="dataframe"', f'style="--least: {least(text)}ch"')
    return table


def least(text: pd.DataFrame) -> int:
    """Characters that a table of text needs beside one another: each column its longest entry, up to WIDEST."""
    longest = [max([len(str(name)), *map(len, text.iloc[:, n])]) for n, name in enumerate(text.columns)]
    return sum(min(characters, WIDEST) + 2 for characters in longest)


def markdown(frame: pd.DataFrame) -> str:
    """The table for Markdown."""
    return piped(cells(frame).map(escaped_cell))


def piped(text: pd.DataFrame) -> str:
    """A table whose entries are Markdown already; its columns' names are plain text."""
    text = text.rename(columns=lambda name: escaped_cell(str(name)))
    return text.to_markdown(index=False, disable_numparse=True)


def escaped_cell(text: str) -> str:
    """Plain text for a cell of a table in Markdown."""
    return escaped(text).replace("|", "\\|").replace("\n", " ")


def coded(text: str) -> Markup:
    """Plain text for a page."""
    return Markup(re.sub(CODE, lambda found: f"<code>{found[0][1:-1]}</code>", str(escaped_html(text))))


def escaped(text: str) -> str:
    """Plain text as Markdown: what would be markup is not."""
    parts = re.split(f"({CODE})", text)  # every second one is code, and stands as it is
    return "".join(part if n % 2 else re.sub(r"([\\`*_{}\[\]<>#])", r"\\\1", part) for n, part in enumerate(parts))


CODE = r"`[^`\n]+`"


def slug(title: str) -> str:
    """A title as a link's anchor: its first six words."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())[:6])
