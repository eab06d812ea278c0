"""What the records say: the gradient's norm by layer and lag against its closed form. Reads records alone."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from experiments.gradient_flow.findings import Findings, by_seed, decades, interval, name, own, residuals_by_width
from experiments.gradient_flow.lags.sweep import LAG
from experiments.gradient_flow.layers import predictions
from experiments.gradient_flow.layers.sweep import STACKED, B, D, H
from experiments.gradient_flow.starts import STARTS
from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Section, Table
from properties.record import parse_setting

ORDER = [start.setting for start in STACKED]


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    table = curves(frame)
    pictures = [*(layers_figure(table, cell) for cell in figures.NAMES), depth_figure(table)]
    tables = [depth_table(table), *width_tables(table)]
    return Findings(
        Section("How deep gradients reach in a stack at the start", lead(table), pictures, tables), settings(table)
    )


# Numbers


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a stack, layer and lag: median over seeds with its interval, the closed form, measured minus it."""
    mine = own(frame, "layers")
    T = int(mine["index"].max()) + 1  # the last lag that is kept is T - 1
    rows = [row for setting, some in mine.groupby("setting", sort=True) for row in summary(setting, by_seed(some), T)]
    table = pd.DataFrame(rows)
    table["order"] = table.start.map(ORDER.index)
    keys = ["order", "H", "layers", "layer", "lag"]
    return table.sort_values(keys, ignore_index=True).drop(columns="order")


def summary(setting: str, wide: pd.DataFrame, T: int) -> Iterator[dict[str, object]]:
    """A row a lag of one layer of a stack, from its values with a row a seed and a column a lag."""
    given = parse_setting(setting)
    start = STARTS[setting.split("/layers=")[0].split("/cell=")[1]]
    layers, layer, width = int(given["layers"]), int(given["layer"]), int(given.get("H", H))
    form = predictions.log10_norm(start, D, width, T, layers)[layer - 1]
    place = {"start": start.setting, "cell": start.cell, "H": width, "layers": layers, "layer": layer}
    for lag in wide.columns.astype(int):
        found = statistics.order_interval(wide[lag].to_numpy())
        yield place | {"lag": lag, "seeds": len(wide)} | statistics.against(found, form[lag])


def far(table: pd.DataFrame) -> int:
    """The longest kept lag up to N15's."""
    return int(table.lag[table.lag <= LAG].max())


def lowest(table: pd.DataFrame, lag: int) -> pd.DataFrame:
    """The lowest layer's rows of every stack of width H at a lag."""
    return table[(table.layer == 1) & (table.lag == lag) & (table["H"] == H)]


def deepest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the deepest stacks of width H."""
    return table[(table.layers == table.layers.max()) & (table["H"] == H)]


# Text


def lead(table: pd.DataFrame) -> str:
    """What was found, in words."""
    lag, depth = far(table), int(table.layers.max())
    at = lowest(deepest(table), lag)
    values = ", ".join(f"{name(STARTS[row.start])} {decades(row.median)} ({interval(row)})" for row in at.itertuples())
    worst = deepest(table).query("lag == @lag")
    worst = worst.loc[worst.residual.abs().idxmax()]
    return (
        f"Untrained stacks, every layer from the same start, L = v . h_T of the top layer: how large is dL/ds_t in "
        f"each layer, s = h for the RNN and (h, c) for the LSTM? Norms are over |v|, in decades (log10).\n\nIs it the "
        f"LSTM that keeps gradients alive in deep networks (N21)? {lag} steps back, in the lowest of {depth} layers, "
        f"median and 99 % interval: {values}. {compared(at)}\n\n{cost_text(table)} Farther back there are more ways to "
        f"come down: C(n + j, j) paths lead n steps back and j layers down, so that a lower layer may have more than "
        f"the top one.\n\nThe dashed forms are the mean field of wide stacks; at H = {H} and lag {lag} the median that "
        f"lies farthest from its form is that of layer {worst.layer} of {depth} of the {name(STARTS[worst.start])}: "
        f"{decades(worst.residual)} decades."
    )


def compared(at: pd.DataFrame) -> str:
    """Which LSTM starts lie surely above the best RNN start, and which surely below."""
    rnn, lstm = (at[at.cell == cell] for cell in figures.NAMES)
    best = rnn.loc[rnn["median"].idxmax()]
    higher, lower = lstm[lstm.low > best.high], lstm[lstm.high < best.low]
    return (
        f"By these intervals {listed(higher)} surely higher than the better RNN ({name(STARTS[best.start])}), "
        f"{listed(lower)} surely lower."
    )


def listed(rows: pd.DataFrame) -> str:
    """The LSTM starts of some rows, with a verb."""
    names = [name(STARTS[start]) for start in rows.start] or ["no LSTM start"]
    return f"{' and '.join(names)} {'lie' if len(names) > 1 else 'lies'}"


def cost_text(table: pd.DataFrame) -> str:
    """What a layer costs at the last step, by cell."""
    parts = [f"{names_of(per_layer(table, cell))} for the {figures.NAMES[cell]}" for cell in figures.NAMES]
    return f"At the last step a layer costs {' and '.join(parts)}."


def per_layer(table: pd.DataFrame, cell: str) -> pd.Series:
    """Decades lost a layer from top to bottom of the deepest stack at the last step, by start."""
    rows = lowest(deepest(table), 0)
    rows = rows[rows.cell == cell].set_index("start")
    return -rows["median"] / (rows.layers - 1)


def names_of(values: pd.Series) -> str:
    """The least and the most of positive numbers of decades."""
    return f"{values.min():.2f} to {values.max():.2f} decades"


# Tables


def depth_table(table: pd.DataFrame) -> Table:
    """The lowest layer at lag 0 and at the far lag by start and depth; what a layer and what a step cost."""
    lag = far(table)
    near, back = (lowest(table, at).set_index(["start", "layers"]) for at in (0, lag))
    top = table[(table.layer == table.layers) & (table.lag == lag) & (table["H"] == H)].set_index(["start", "layers"])
    rows = []
    for start, layers in near.index:
        a, b = near.loc[(start, layers)], back.loc[(start, layers)]
        rows.append(
            {"start": name(STARTS[start]), "layers": layers}
            | cells(a, "at lag 0")
            | cells(b, f"at lag {lag}")
            | {
                "a layer, at lag 0": decades(a["median"] / (layers - 1)) if layers > 1 else "",
                "a step, in the top layer": f"{top.loc[(start, layers), 'median'] / lag:+.3f}",
                "seeds": a.seeds,
            }
        )
    title = f"log10 of |dL/ds| over |v| in the lowest layer; decades a layer (lag 0) and a step (to lag {lag})"
    return Table("layers", title, pd.DataFrame(rows))


def cells(row: pd.Series, where: str) -> dict[str, str]:
    """Median, interval and form as a table has them."""
    median = decades(row["median"])
    return {where: f"{median} ({interval(row)})", f"mean field {where}": decades(row.predicted)}


def width_tables(table: pd.DataFrame) -> list[Table]:
    """Measured minus mean field in the lowest of the deepest layers by width; no table where there is one width."""
    lag, depth = far(table), table.layers.max()
    rows = table[(table.layers == depth) & (table.layer == 1) & table.lag.isin([0, lag])]
    title = f"Measured minus mean field in the lowest of {depth} layers by width (decades, median and 99 % interval)"
    return residuals_by_width("layers_width", title, rows)


def settings(table: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    seeds = table.groupby("H").seeds.max()
    depths = table.groupby("H").layers.unique()
    return {
        "stacks: loss and inputs": f"as for one layer, v at the top layer; D = {D}, B = {B}, T = {table.lag.max() + 1}",
        "stacks: hidden units H: layers, seeds": "; ".join(
            f"{width}: {', '.join(map(str, sorted(depths[width])))} layers, {n} seeds" for width, n in seeds.items()
        ),
        "stacks: starts": "all layers alike, upper input weights H x H uniform in +-1/sqrt(H); layer 1 is the lowest "
        "and has the one layer's numbers",
    }


# Figures


def layers_figure(table: pd.DataFrame, cell: str) -> Figure:
    """The deepest stacks of a cell: norm by lag, a line a layer, a column a start."""
    rows = deepest(table)
    rows = rows[rows.cell == cell].reset_index(drop=True)
    starts = list(rows.start.unique())
    canvas, axes = figures.with_residual(len(starts), (3.7, 4.9))
    for (top, below), start in zip(axes.T, starts, strict=True):
        some = rows[rows.start == start]
        draw_lines(top, below, some, "lag", "layer", figures.shades(cell, some.layer.nunique()))
        ends = some[some.lag == some.lag.max()]
        figures.label_ends(top, below, ends, "lag", [f"layer {k}" for k in ends.layer])
        top.set_title(name(STARTS[start]))
        below.set_xlabel("lag T - t (steps)")
    state = {"rnn": "dL/dh", "lstm": "dL/d(h, c)"}[cell]
    axes[0, 0].set_ylabel(f"norm of {state} in the layer\nover |v| (log10)")
    axes[1, 0].set_ylabel("measured minus\ndashed (log10)")
    return Figure(f"{cell}_by_layer", layers_title(rows, cell), canvas, layers_alt(rows), rows)


def depth_figure(table: pd.DataFrame) -> Figure:
    """The lowest layer by depth: at the last step, and the far lag; a line a start."""
    lags = (0, far(table))
    rows = pd.concat([lowest(table, lag) for lag in lags], ignore_index=True)
    cell_of = {start.setting: start.cell for start in STACKED}
    shades = [shade for cell in figures.NAMES for shade in figures.shades(cell, list(cell_of.values()).count(cell))]
    canvas, axes = figures.with_residual(2, (5.4, 5.2))
    for (top, below), lag in zip(axes.T, lags, strict=True):
        some = rows[rows.lag == lag].assign(order=rows.start.map(ORDER.index))
        draw_lines(top, below, some, "layers", "order", shades)
        ends = some[some.layers == some.layers.max()]
        figures.label_ends(top, below, ends, "layers", [name(STARTS[start]) for start in ends.start])
        top.set_title("at the last step, lag 0" if lag == 0 else f"{lag} steps back")
        below.set_xlabel("layers in the stack")
        below.set_xticks(sorted(rows.layers.unique()))
    axes[0, 0].set_ylabel("norm of dL/ds in the lowest layer\nover |v| (log10)")
    axes[1, 0].set_ylabel("measured minus\ndashed (log10)")
    return Figure("by_depth", depth_title(rows), canvas, depth_alt(rows), rows)


def draw_lines(top: Axes, below: Axes, rows: pd.DataFrame, x: str, line: str, shades: list[object]) -> None:
    """Measured lines with bands and forms above, measured minus form below."""
    for (_, some), shade in zip(rows.groupby(line), shades, strict=True):
        figures.measured_and_predicted(top, below, some[x], some, shade)
    below.axhline(0, **figures.PREDICTION)
    top.margins(x=0)


def layers_title(rows: pd.DataFrame, cell: str) -> str:
    """What a layer costs at the last step, and what is left in the lowest layer at the far lag."""
    depth, lag = rows.layers.max(), far(rows)
    at = lowest(rows, lag).sort_values("median", kind="stable")
    ends = [f"{decades(row.median)} ({name(STARTS[row.start])})" for row in at.iloc[[0, -1]].itertuples()]
    return (
        f"From the top to the lowest of {depth} {figures.NAMES[cell]} layers the gradient loses "
        f"{names_of(per_layer(rows, cell))} a layer at the last step; {lag} steps back the lowest stands at "
        f"{' to '.join(ends)}"
    )


def depth_title(rows: pd.DataFrame) -> str:
    """What more layers change in the lowest layer's gradient, near and far."""
    wide = rows.pivot(index="start", columns=["lag", "layers"], values="median").reindex(ORDER)
    lag, deep = rows.lag.max(), rows.layers.max()
    near, back = (wide[at][deep] - wide[at][1] for at in (0, lag))
    return (
        f"With {deep} layers in place of 1 the median of the lowest layer's gradient changes by {span(near)} decades "
        f"at the last step, and by {span(back)} {lag} steps back, where more paths lead down"
    )


def span(change: pd.Series) -> str:
    """The least and the largest change with their starts."""
    ends = (f"{decades(change[at])} ({name(STARTS[at])})" for at in (change.idxmin(), change.idxmax()))
    return " to ".join(ends)


def layers_alt(rows: pd.DataFrame) -> str:
    """What a figure by layer shows, for who cannot see it."""
    lag = rows.lag.max()
    parts = []
    for start, some in rows[rows.lag == lag].groupby("start", sort=False):
        values = ", ".join(
            f"layer {row.layer} {decades(row.median)} (form {decades(row.predicted)})" for row in some.itertuples()
        )
        parts.append(f"{name(STARTS[start])}: {values}")
    return f"log10 of the gradient's norm over |v| at lag {lag}. {'; '.join(parts)}."


def depth_alt(rows: pd.DataFrame) -> str:
    """What the figure by depth shows, for who cannot see it."""
    parts = [
        f"{name(STARTS[row.start])} through {row.layers} at lag {row.lag} {decades(row.median)}"
        for row in rows.itertuples()
    ]
    return f"log10 of the gradient's norm over |v| in the lowest layer: {', '.join(parts)}."
