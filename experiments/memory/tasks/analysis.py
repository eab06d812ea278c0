"""What the records say of ten tasks: final values, steps until solved, which tasks tell the cells apart."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd
from scipy import stats

from experiments.harness import figures, statistics
from experiments.harness.arms import ARMS
from experiments.harness.report import Findings, Section, Table
from experiments.memory.costs import core_seconds
from experiments.memory.learning import NEVER
from experiments.memory.tasks import pictures
from experiments.memory.tasks.published import PILOT, PILOT_ALIKE, PUBLISHED, Pilot, Published
from experiments.memory.tasks.scales import SCALES, criterion
from experiments.memory.tasks.sweep import CLIP, EVERY, SETTINGS, B


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    runs = seeds_table(frame)
    cells = cells_table(runs)
    told = told_apart(cells)
    drawn = [pictures.finals(runs, cells, told), pictures.steps(runs, cells), pictures.literature(runs, cells)]
    tables = [reached_table(cells), apart_table(told), published_table(runs)]
    lead = f"{INTRODUCTION}\n\n{apart_sentence(told)}\n\n{pilot_sentence(cells)}"
    return Findings(Section("Ten more tasks at one setting each", lead, drawn, tables), settings(runs))


INTRODUCTION = (
    "Each task is trained at one setting, two starts of either cell where time allows, at equal width. The rates are "
    "the pilot's or a first run's and not searched on equal terms, so this compares settings, not cells at their best. "
    "A group stops once all of its seeds have solved, so final values are those at its end."
)


def seeds_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: task, arm, length, seed, its metrics, and its final value in the task's unit."""
    rows = frame[
        (frame.source == "memory") & frame.setting.str.fullmatch(f"({'|'.join(SETTINGS)})/arm=[^/]+/length=[^/]+")
    ]
    if rows.empty:
        raise ValueError(
            f"`frame` must hold records of {', '.join(SETTINGS)}, since the section is about them; got none."
        )
    runs = rows.pivot(index=["setting", "index", "seed"], columns="metric", values="value").reset_index()
    runs = runs.rename(columns={"index": "length"}).rename_axis(columns=None)
    parts = runs.setting.str.extract(r"^(?P<task>[^/]+)/arm=(?P<arm>[^/]+)/")
    runs = pd.concat([parts, runs], axis=1)
    runs["value"] = [SCALES[task].of(cost) for task, cost in zip(runs.task, runs.cost, strict=True)]
    refuse_early_ends(runs)
    runs["step"] = runs.first_solved_step.where(runs.first_solved_step != NEVER, math.inf)
    order = [runs.task.map(list(SETTINGS).index), runs.arm.map(list(ARMS).index)]
    runs = runs.assign(first=order[0], second=order[1]).sort_values(["first", "second", "seed"], ignore_index=True)
    return runs.drop(columns=["first", "second"])


def refuse_early_ends(runs: pd.DataFrame) -> None:
    """Raises ValueError if a run ended unsolved before its updates were used up, or solved after its end.

    A group goes on until all have solved, so that being given up says nothing of how the run was going: without this a
    Kaplan-Meier curve is biased.
    """
    unsolved = runs.first_solved_step == NEVER
    wrong = runs[(unsolved & (runs.updates < runs.updates_allowed)) | (runs.first_solved_step > runs.updates)]
    if not wrong.empty:
        row = wrong.iloc[0]
        raise ValueError(
            f"a run that has not solved must end at its updates allowed ({row.updates_allowed:g}), and one that has "
            f"not after its end, since the others are censored there; {row.setting}, seed {row.seed}, ended at "
            f"{row.updates:g} with first_solved_step {row.first_solved_step:g}."
        )


def cells_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a task and arm: seeds, solved with Clopper-Pearson's interval, steps and final value with those of order
    statistics (a run that never solved has infinite steps), and the pilot's numbers beside them."""
    rows = [cell(task, arm, some) for (task, arm), some in runs.groupby(["task", "arm"], sort=False)]
    return pd.DataFrame(rows)


def cell(task: str, arm: str, some: pd.DataFrame) -> dict[str, object]:
    """One row of `cells_table`."""
    known, pilot = criterion(task) is not None, PILOT.get((task, arm))
    low, high = statistics.clopper_pearson(int(some.solved.sum()), len(some)) if known else (math.nan, math.nan)
    value, step = statistics.order_interval(some.value), statistics.order_interval(some.step)
    values, by = (pilot.values, pilot.solved_by) if pilot else (None, None)
    return {
        "task": task,
        "arm": arm,
        "seeds": len(some),
        "solved": int(some.solved.sum()) if known else math.nan,
        "solved_low": low,
        "solved_high": high,
        **dict(zip(("step", "step_low", "step_high"), step if known else [math.nan] * 3, strict=True)),
        **dict(zip(("value", "value_low", "value_high"), value, strict=True)),
        "allowed": some.updates_allowed.max(),
        "used": some.updates.max(),
        "pilot_low": values[0] if values else math.nan,
        "pilot_high": values[1] if values else math.nan,
        "pilot_by_low": by[0] if by else math.nan,
        "pilot_by_high": by[1] if by else math.nan,
        "against_pilot": against_pilot(pilot, some, value, step),
    }


def against_pilot(
    pilot: Pilot | None, some: pd.DataFrame, value: statistics.Interval, step: statistics.Interval
) -> str:
    """Where the pilot's numbers of a cell lie by ours; "" where it has none.

    Of a cell whose seeds all solved the pilot says how many and by when: the counts differ if Fisher's exact test says
    so at 1 %, and the updates are compared to one check, since neither knows what lies between two.
    """
    if pilot is None:
        return ""
    if pilot.values:
        return beside(pilot.values, (value.low, value.high))
    (k, n), ours = pilot.solved, int(some.solved.sum())
    if stats.fisher_exact([[k, n - k], [ours, len(some) - ours]]).pvalue < 0.01:
        return f"differs: {'fewer' if ours / len(some) < k / n else 'more'} solve here"
    return beside(pilot.solved_by, (step.low - EVERY, step.high + EVERY))


def beside(theirs: tuple[float, float], ours: tuple[float, float]) -> str:
    """Where the pilot's range lies by our interval: inside, overlaps, or beyond an end."""
    low, high = ours
    if theirs[1] < low or theirs[0] > high:
        return f"differs: the pilot's is {'lower' if theirs[1] < low else 'higher'}"
    return "inside" if low <= theirs[0] and theirs[1] <= high else "overlaps"


class Apart(NamedTuple):
    """The best arm of either cell on a task, and whether the task tells them apart: "lstm" or "rnn" is better, "" no.

    `faster` is the same of the steps until solved, of the arms of the LSTM and the RNN that solve `soonest`, of which
    "" is one whose median run never does.
    """

    task: str
    lstm: str
    rnn: str
    better: str
    faster: str
    soonest: tuple[str, str]
    both_solved: bool


def told_apart(cells: pd.DataFrame) -> list[Apart]:
    """Every task that was run with both cells.

    The best arm has most solved seeds, then the best median. Cells are told apart where the intervals of the best arms'
    final values share no point, unless all seeds of both have solved: these differ by when they were stopped. Which
    solves sooner is asked of the arms that solve soonest: where all have solved, the best value may be the slowest's.
    """
    found = []
    for task, rows in cells.groupby("task", sort=False):
        cells_of = [rows[rows.arm.map(lambda arm: ARMS[arm].family) == family] for family in ("lstm", "rnn")]
        if not any(some.empty for some in cells_of):
            lstm, rnn = sides = [best(task, some) for some in cells_of]
            first = [soonest(some) for some in cells_of]
            both = bool(lstm.solved == lstm.seeds and rnn.solved == rnn.seeds)
            sign = -1 if SCALES[task].error else 1
            better = "" if both else apart(sides, "value", sign)
            faster = apart(first, "step", -1) if criterion(task) is not None else ""
            arms = tuple(side.arm if math.isfinite(side.step) else "" for side in first)
            found.append(Apart(task, lstm.arm, rnn.arm, better, faster, arms, both))
    return found


def best(task: str, rows: pd.DataFrame) -> pd.Series:
    """The best arm of one cell at the end."""
    merit = rows["value"] * (-1 if SCALES[task].error else 1)
    order = pd.DataFrame({"solved": rows.solved.fillna(0), "step": -rows.step.fillna(0), "merit": merit})
    return rows.loc[order.sort_values(["solved", "merit", "step"], kind="stable").index[-1]]


def soonest(rows: pd.DataFrame) -> pd.Series:
    """The arm of one cell whose median run solves first; of several the one whose interval begins, then ends, first."""
    return rows.sort_values(["step", "step_low", "step_high"], kind="stable").iloc[0]


def apart(sides: list[pd.Series], what: str, sign: int) -> str:
    """Which cell's interval lies wholly beyond the other's: more is better at `sign` 1, less at -1."""
    lstm, rnn = ((sign * side[f"{what}_low"], sign * side[f"{what}_high"]) for side in sides)
    if min(lstm) > max(rnn):
        return "lstm"
    return "rnn" if min(rnn) > max(lstm) else ""


# Words


def names(tasks: list[str]) -> str:
    """Tasks for readers."""
    return ", ".join(SCALES[task].name for task in tasks) or "none"


def apart_sentence(told: list[Apart]) -> str:
    """Which tasks tell the cells apart, and whether the pilot's controls still do not."""
    if not told:
        return "No task was run with both cells."
    better, sooner = (
        "; ".join(
            f"the {figures.NAMES[side]} on {names(tasks)}"
            for side in ("lstm", "rnn")
            if (tasks := [row.task for row in told if getattr(row, what) == side])
        )
        or "neither cell on any task"
        for what in ("better", "faster")
    )
    alike = [row.task for row in told if not row.better]
    against = [row.task for row in told if row.task in PILOT_ALIKE and row.better]
    controls = [row.task for row in told if row.task in PILOT_ALIKE]
    verdict = f"here {names(against)} does" if against else "nor do they here" if controls else "none was run"
    return (
        f"Where 99 % intervals of the cells' best starts share no point, the end is better for {better}; "
        f"of the starts that solve soonest, the median run does so earlier for {sooner}. Final values do not "
        f"tell the cells apart on {names(alike)}. The pilot says that {names(list(PILOT_ALIKE))} do not: {verdict}."
    )


def pilot_sentence(cells: pd.DataFrame) -> str:
    """Where our intervals and the pilot's numbers do not meet."""
    compared = cells[cells.against_pilot != ""]
    differ = compared[compared.against_pilot.str.startswith("differs")]
    if compared.empty:
        return "None of the pilot's numbers can be compared."
    parts = [
        f"{SCALES[row.task].name}, {ARMS[row.arm].label} ({pilot_text(row)}; here {ours_text(row)})"
        for row in differ.itertuples()
    ]
    return (
        f"Of {len(compared)} numbers that the pilot also has, {len(compared) - len(differ)} meet our interval"
        f"{'; these do not: ' + '; '.join(parts) if parts else ''}."
    )


def pilot_text(row: object) -> str:
    """The pilot's number of a cell."""
    if not math.isnan(row.pilot_low):
        at = PILOT[row.task, row.arm].updates
        return range_text(row.pilot_low, row.pilot_high) + (f" at {at} updates" if at else "")
    return "" if math.isnan(row.pilot_by_low) else f"all by {range_text(row.pilot_by_low, row.pilot_by_high)} updates"


def ours_text(row: object) -> str:
    """What of ours stands beside the pilot's number."""
    if not math.isnan(row.pilot_low):
        return f"{range_text(row.value_low, row.value_high)} at {row.used:g}"
    return f"{row.solved:g} of {row.seeds} by {row.used:g}"


def range_text(low: float, high: float) -> str:
    """A range to three figures; open ends in words."""
    if math.isinf(low) and low < 0:
        return "any"
    if low == high:
        return number(low)
    return f"{number(low)} to {number(high)}"


def number(value: float) -> str:
    """To three figures; never where it is infinite."""
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "never"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{3 if abs(value) >= 0.0005 else 1}g}"


# Tables


def reached_table(cells: pd.DataFrame) -> Table:
    """What every arm reached on every task."""
    rows = []
    for row in cells.itertuples():
        known = not math.isnan(row.solved)
        rows.append(
            {
                "task": SCALES[row.task].title,
                "arm": ARMS[row.arm].label,
                "solved": f"{row.solved:g} of {row.seeds}" if known else f"(no criterion) {row.seeds} seeds",
                "share, 99 %": f"{row.solved_low:.2f} to {row.solved_high:.2f}" if known else "",
                "median updates": number(row.step) if known else "",
                "updates, 99 %": range_text(row.step_low, row.step_high) if known else "",
                "unit": SCALES[row.task].unit,
                "final median": number(row.value),
                "final, 99 %": range_text(row.value_low, row.value_high),
                "updates allowed": f"{row.allowed:g}",
                "pilot": pilot_text(row),
                "pilot's, by our interval": row.against_pilot,
            }
        )
    return Table("tasks_reached", "Ten tasks: seeds that solved, updates, final values", pd.DataFrame(rows))


def apart_table(told: list[Apart]) -> Table:
    """Which tasks tell the cells apart."""
    say = {"lstm": "LSTM", "rnn": "RNN", "": "no"}
    rows = [
        {
            "task": SCALES[row.task].title,
            "best LSTM": ARMS[row.lstm].label,
            "best RNN": ARMS[row.rnn].label,
            "better at the end": "no: all seeds of both solve" if row.both_solved else say[row.better],
            "soonest LSTM": soonest_text(row.task, row.soonest[0]),
            "soonest RNN": soonest_text(row.task, row.soonest[1]),
            "sooner solved": say[row.faster] if criterion(row.task) is not None else "",
            "pilot says": "not told apart" if row.task in PILOT_ALIKE else "",
        }
        for row in told
    ]
    columns = ["task", "best LSTM", "best RNN", "better at the end"]
    columns += ["soonest LSTM", "soonest RNN", "sooner solved", "pilot says"]
    title = "Which cell's best start ends better, and whose soonest solves sooner: where 99 % intervals share no point"
    return Table("tasks_apart", title, pd.DataFrame(rows, columns=columns))


def soonest_text(task: str, arm: str) -> str:
    """The start of one cell that solves soonest, where the task has a criterion."""
    if criterion(task) is None:
        return ""
    return ARMS[arm].label if arm else "median never solves"


def published_table(runs: pd.DataFrame) -> Table:
    """Every published number: what differs from our setting, and what a run there would cost."""
    rows = [
        {
            "task": entry.task.replace("_", " "),
            "cell": entry.cell,
            "setting": entry.setting,
            "unit": entry.unit,
            "value": f"{entry.value:,g}" if entry.value >= 1000 else f"{entry.value:g}",
            "differs from ours in": entry.comparable,
            "laid over": "yes" if entry.laid and entry.task in set(runs.task) else "no",
            "a run there": cost_text(entry),
            "source": entry.source,
        }
        for entry in PUBLISHED
    ]
    return Table("tasks_published", "Published numbers, and why they are or are not laid over ours", pd.DataFrame(rows))


def cost_text(entry: Published) -> str:
    """What a run at a published setting would cost, where its size is known."""
    if entry.size is None:
        return ""
    family, H, rows, D, steps, updates = entry.size
    arm = "lstm_b1" if family == "lstm" else "rnn_orthogonal"
    settings = {"arm": arm, "H": H, "B": rows, "every": 100, "held_out": 1000}
    cost = core_seconds(settings, 1, steps, updates, D)
    return f"{updates:,} updates of {rows} rows: about {float(f'{cost:.2g}'):,.0f} core-seconds a seed, in no preset"


def settings(runs: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    rows = {
        "ten tasks: seeds": f"{runs.seed.nunique()}",
        "ten tasks: batch, clip, optimiser": f"{B} rows of fresh data, gradient clipped to norm {CLIP:g}, Adam",
        "ten tasks: held-out rows": f"{runs.held_out_rows.max():g} a seed",
        "ten tasks: not run": "sequential MNIST, whose files are the user's to bring (784 steps)",
    }
    for task, some in runs.groupby("task", sort=False):
        at = SETTINGS[task]
        allowed = some.groupby("arm", sort=False).updates_allowed.max()
        by = ", ".join(f"{ARMS[arm].label} {n:g}" for arm, n in allowed.items())
        rates = f"rate {at.lr[0]:g} (LSTM), {at.lr[1]:g} (RNN)"
        rows[SCALES[task].title] = f"H = {at.H}, {rates}; updates allowed: {by}"
    return rows
