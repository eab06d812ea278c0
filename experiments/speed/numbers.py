"""From records to numbers: medians with intervals, paired ratios, slopes, what ceilings are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd

from experiments.harness import statistics
from experiments.harness.statistics import Interval
from experiments.speed.contenders import CONTENDERS
from experiments.speed.targets import DTYPE, FORMS, SLOPES, TARGETS, Slope, T, Target
from impl.spec import COMMON, GATES
from properties.loading import OUR_FORMS, OWN
from properties.record import parse_setting

LEVEL = 0.95
SOURCES = ("speed", "speed_gpu")
"""Experiments whose records these are."""

CASE = ["cell", "E", "T", "B", "D", "H", "dtype"]
KEYS = ["part", *CASE, "contender", "threads"]
WHOLE = ["E", "T", "B", "D", "H", "threads"]
NOTHING = Interval(math.nan, -math.inf, math.inf)
KEPT = {"lstm": 6, "rnn": 1}
"""Numbers a unit that a backward needs of a step: i, f, g, o, c, h; of an RNN h."""


class Answer(NamedTuple):
    """What came of a target for one form: the ratio or slope, the threads of either side, and a word for it.

    `word` is met, missed, open, "not measured", or "not judged by the laws".
    """

    form: str
    measured: Interval
    word: str
    threads: tuple[int, int] = (0, 0)


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """The records of timed entries with the parts of their settings as columns."""
    rows = frame[frame.source.isin(SOURCES) & frame.setting.str.contains("/contender=.*/threads=")]
    parts = pd.DataFrame([parse_setting(setting) for setting in rows.setting], index=rows.index, columns=KEYS[1:])
    parts = parts.astype(dict.fromkeys(WHOLE, int))
    return parts.assign(part=rows.setting.str.split("/").str[0], **rows[["metric", "index", "value"]])


def series(times: pd.DataFrame, **where: Any) -> pd.Series:
    """us a step by round of the one entry that the columns tell; empty where it was not measured."""
    rows = times[times.metric == "us_per_step"]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index("index").value.sort_index()


def interval(values: Iterable[float]) -> Interval:
    """The median with its 95 % interval by order statistics; of no values NaN and everything."""
    values = np.asarray(list(values), float)
    return statistics.order_interval(values, LEVEL) if values.size else NOTHING


def ratio(peer: pd.Series, own: pd.Series) -> Interval:
    """The peer's time over ours, round by round."""
    return interval((peer / own).dropna())


def best(times: pd.DataFrame, threads: Sequence[int], **where: Any) -> tuple[int, pd.Series]:
    """The number of threads with the least median, and the times with it; 0 and nothing where none was measured."""
    found = {n: series(times, threads=n, **where) for n in threads}
    found = {n: values for n, values in found.items() if len(values)}
    if not found:
        return 0, pd.Series(dtype=float)
    n = min(found, key=lambda n: found[n].median())
    return n, found[n]


def lawful(form: str) -> bool:
    """Whether a contender is one of the subjects that all laws judge."""
    return CONTENDERS[form].subject in OWN | OUR_FORMS


# Targets


def answers(times: pd.DataFrame) -> list[tuple[Target, Answer]]:
    """Every target with every form."""
    return [(target, answer(times, target, form)) for target in TARGETS for form in FORMS]


def setting_of(target: Target) -> dict[str, Any]:
    """The columns of the records that a target speaks of."""
    same = {name: getattr(target, name) for name in ("part", "cell", "H", "B", "E")}
    return same | {"T": T, "dtype": DTYPE}


def most(times: pd.DataFrame, target: Target, found: Answer) -> Interval:
    """The ratio if ours were its products alone, on the threads of an answer, formed round by round as that."""
    ours, theirs = found.threads
    where = setting_of(target)
    alone = series(times, contender="products", threads=1, **where)
    return ratio(ours * series(times, contender=target.peer, threads=theirs, **where), alone)


def answer(times: pd.DataFrame, target: Target, form: str) -> Answer:
    """What came of a target."""
    where = setting_of(target)
    theirs, peer = best(times, target.threads, contender=target.peer, **where)
    ours, own = best(times, target.threads, contender=form, **where)
    found = ratio(peer, own)
    return Answer(form, found, word(found, target.ratio, math.inf, form), (ours, theirs))


def word(found: Interval, low: float, high: float, form: str) -> str:
    """Met where the interval lies within the bounds, missed where it lies outside, else open."""
    if math.isnan(found.value):
        return "not measured"
    if not lawful(form):
        return "not judged by the laws"
    if found.low >= low and found.high <= high:
        return "met"
    return "missed" if found.high < low or found.low > high else "open"


# Slopes


class Growth(NamedTuple):
    """How the cost of an entry grows in one size: sizes, median us a call of all steps, and the slope by round."""

    of: str
    cell: str
    contender: str
    sizes: np.ndarray
    cost: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope: Interval


def growths(times: pd.DataFrame) -> list[Growth]:
    """Every ladder that was run."""
    rows = times[times.part.str.startswith("slope_") & (times.metric == "us_per_step")]
    rows = rows.sort_values(["part", "cell", "contender"], key=placed, kind="stable")
    return [
        growth(part.removeprefix("slope_"), cell, contender, some)
        for (part, cell, contender), some in rows.groupby(["part", "cell", "contender"], sort=False)
    ]


def growth(of: str, cell: str, contender: str, rows: pd.DataFrame, least: int = 0) -> Growth:
    """One ladder: cost is time a call, us a step times steps, so that a slope of 1 is proportional in T too."""
    costs = rows.assign(value=rows.value * rows["T"])[rows[of] >= least]
    wide = costs.pivot_table(index="index", columns=of, values="value").dropna()
    sizes = wide.columns.to_numpy(float)
    slopes = np.polyfit(np.log(sizes), np.log(wide.to_numpy()).T, 1)[0] if len(sizes) > 1 and len(wide) else []
    cost, low, high = np.transpose([interval(wide[size]) for size in wide.columns])
    return Growth(of, cell, contender, sizes, cost, low, high, interval(slopes))


def slope_answers(found: Sequence[Growth], forms: Sequence[str] = FORMS) -> list[tuple[Slope, Answer]]:
    """Every demanded slope with every form; the ladders begin at the least size that counts."""
    known = {(g.of, g.cell, g.contender): g for g in found}
    rows = []
    for slope in SLOPES:
        for form in forms:
            grown = known.get((slope.of, slope.cell, form))
            value = grown.slope if grown and grown.sizes[0] >= slope.least else NOTHING
            rows.append((slope, Answer(form, value, word(value, slope.low, slope.high, form))))
    return rows


# Costs and ceilings


def costs(times: pd.DataFrame) -> pd.DataFrame:
    """A row an entry: us a step with interval, sequence-steps a second, cores kept busy, bytes at the peak, rounds."""
    rows = []
    for key, some in times.groupby(KEYS, sort=False):
        row = dict(zip(KEYS, key, strict=True))
        value, low, high = interval(some.value[some.metric == "us_per_step"])
        single = some[some.metric != "us_per_step"].set_index("metric").value
        row |= {"us": value, "low": low, "high": high, "rate": row["E"] * row["B"] / value * 1e6}
        row |= {"busy": single.get("cores_busy", math.nan), "peak": single.get("peak_bytes", math.nan)}
        rows.append(row | {"rounds": int((some.metric == "us_per_step").sum())})
    columns = [*KEYS, "us", "low", "high", "rate", "busy", "peak", "rounds"]
    return pd.DataFrame(rows, columns=columns).sort_values(ORDER, key=placed, kind="stable", ignore_index=True)


ORDER = ["part", "cell", "contender", "threads", "dtype", "E", "H", "B", "T"]
PLACES = {"cell": list(COMMON), "contender": list(CONTENDERS)}


def placed(column: pd.Series) -> pd.Series:
    """A column by the order of reading: cells and contenders as they are listed, all else by value."""
    return column.map(PLACES[column.name].index) if column.name in PLACES else column


def flops(row: Any) -> float:
    """Floating-point operations of a step's products, forward, backward and weight gradients, none by x.

    Forward 2GH(D+H)B, back through h 2GH^2 B, weight gradients 2GH(D+H)B, times E.
    """
    G = len(GATES[row.cell])
    return float(row.E * row.B * G * row.H * (4 * (row.D + row.H) + 2 * row.H))


def traffic(row: Any) -> float:
    """The least bytes that a step moves: x read twice, dh once, what the backward needs written once and read once."""
    numbers = row.E * row.B * (2 * row.D + row.H + 2 * KEPT[row.cell] * row.H)
    return float(numbers * np.dtype(row.dtype).itemsize)


class Ceilings(NamedTuple):
    """What NumPy reaches with one thread: GFLOP/s by product, the largest apart, and GB/s of copies by size."""

    products: dict[str, Interval]
    copies: dict[int, Interval]

    @property
    def product(self) -> float:
        """GFLOP/s of the fastest product."""
        return max((found.value for found in self.products.values()), default=math.nan)

    @property
    def memory(self) -> float:
        """GB/s of the largest copy, which no cache holds."""
        return self.copies[max(self.copies)].value if self.copies else math.nan


def ceilings(frame: pd.DataFrame) -> Ceilings:
    """The measured ceilings."""
    rows = frame[frame.source.isin(SOURCES) & frame.setting.str.startswith("ceiling/")]
    found = {parse_setting(s).popitem(): interval(some.value) for s, some in rows.groupby("setting", sort=False)}
    products = {size: rate for (kind, size), rate in found.items() if kind == "product"}
    return Ceilings(products, {int(size): rate for (kind, size), rate in found.items() if kind == "copy"})


# Facts


def facts(frame: pd.DataFrame, first: str) -> list[dict[str, str]]:
    """What the records of a kind tell in their settings, decoded."""
    rows = frame[frame.source.isin(SOURCES) & frame.setting.str.startswith(f"{first}/")]
    told = [(parse_setting(row.setting), row.metric, row.value) for row in rows.itertuples()]
    return [{k: unquote(v) for k, v in names.items()} | {metric: value} for names, metric, value in told]


def machine(frame: pd.DataFrame) -> dict[str, str]:
    """Processor, card, cores and versions."""
    found: dict[str, str] = {}
    for fact in facts(frame, "machine"):
        found |= {k: (f"{v:.0f}" if isinstance(v, float) else v) for k, v in fact.items() if k != "is"}
    return found
