"""What the records say: where the bit lies, what keeps it, and what gates learn. Reads records and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments import claims
from experiments.harness.report import Findings, Section, Table
from experiments.harness.statistics import order_interval
from experiments.harness.words import few, share, told
from experiments.memory.carried import marks, pictures
from experiments.memory.carried.exchange import CARRIES, KINDS, QUARTERS
from experiments.memory.carried.runs import LABELS, Run, addings, latches
from experiments.memory.carried.sweep import LARGE, PRESETS, SMALL


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records; what was not run, or held by no seed, is left out."""
    bits, sums = latches(frame), addings(frame)
    held = [run for run in bits if run.holds.any()]
    drawn = [figure(held) for figure in (pictures.exchange, pictures.units) if held]
    drawn += [pictures.gates(some, n) for n, some in enumerate(by_length(sums))]
    tables = [exchange_table(held), carrier_table(held)] if held else []
    tables += [gate_table(sums)] if sums else []
    return Findings(
        Section("Where a trained cell keeps what it must", lead(bits, sums), drawn, tables), settings(bits, sums)
    )


def by_length(runs: list[Run]) -> list[list[Run]]:
    """The runs of each length together."""
    return [[run for run in runs if run.length == length] for length in sorted({run.length for run in runs})]


# Words


def lead(bits: list[Run], sums: list[Run]) -> str:
    """What was found, in words."""
    return "\n\n".join(part for part in (exchange_text(bits), carrier_text(bits), gates_text(sums)) if part)


def exchange_text(runs: list[Run]) -> str:
    """Where the bit lies."""
    held = [run for run in runs if run.holds.any()]
    if not runs:
        return ""
    solved = "; ".join(f"{run.name}: {share(run.holds)}" for run in runs)
    first = (
        "Latch LSTMs are trained, and those that solve the task as training leaves them (seeds: "
        f"{solved}) are read by exchange: two sequences with opposite bits and noise of their own trade c, h or both "
        "and go on. If the bit lies in c alone, every answer follows c and none follows h (dashed).\n\n"
    )
    parts = [
        f"{run.name}, c {told(order_interval(run.follows('c')))}, h {told(order_interval(run.follows('h')))}"
        for run in held
    ]
    if not held:
        return f"{first}No seed solved it."
    early = "; ".join(f"{run.name} {told(order_interval(run.follows('h', 0)))}" for run in held)
    return (
        f"{first}Half-way, the share that follows is: {'; '.join(parts)}. As soon as the bit was read h takes part of "
        f"the answers along, since the next steps write from it: {early}."
    )


def carrier_text(runs: list[Run]) -> str:
    """What single units carry, and the product of their forget gates."""
    held = [run for run in runs if run.holds.any()]
    if not held:
        return ""
    carriers = np.concatenate([run.values("carriers") for run in held])
    some = int((carriers > 0).sum())
    parts = [
        f"{run.name}, {told(order_interval(run.values('needed')))} of {SMALL['H']} units, product "
        f"{told(order_interval(run.values('needed_product')))} where the biases at the start give "
        f"{few(order_interval(run.values('start')).value)}"
        for run in held
    ]
    return (
        f"A unit carries the bit if exchanging its c alone half-way flips more than {CARRIES:.0%} of the answers: "
        f"{some or 'none'} of {carriers.size} seeds {'has' if some == 1 else 'have'} one. {n14_text(held)}\n\n"
        "Exchanged together, those that move the logit most first, it takes so many units to carry the bit, and "
        "among them the "
        f"largest product of forget gates over the delay is: {'; '.join(parts)}."
    )


JUDGED = {run.length for runs in PRESETS.values() for run in runs if "N14" in run.claims}
"""The lengths that N14 is judged at: of each preset the longest of them that it runs."""


def n14_text(runs: list[Run]) -> str:
    """What N14's rule makes of seeds without a unit that carries the bit, where it is judged; other lengths beside."""
    torch = [run for run in runs if run.start == "torch"]
    judged = max((run.length for run in torch if run.length in JUDGED), default=None)
    others = [run for run in torch if run.length != judged]
    some = [run for run in torch if run.length == judged and without(run)]
    if not some:
        return ""
    (run,) = some
    also = "; ".join(f"{one.length} steps, where {none_of(one)}" for one in others)
    first = (
        f"N14 asks for the largest product among such units; at {run.name}, where it is judged, {none_of(run)}, hence "
        "no number, and are left out: counted as 0 each would speak against the claim."
    )
    last = f"Run also, and no part of the rule: {also}." if also else ""
    return " ".join(filter(None, [first, any_unit_text(run, others), last]))


def without(run: Run) -> int:
    """How many seeds have no unit that carries the bit."""
    return int((run.values("carriers") == 0).sum())


def none_of(run: Run) -> str:
    """The same in words."""
    return f"{without(run)} of {run.values('carriers').size} seeds have none"


def any_unit_text(run: Run, others: list[Run]) -> str:
    """Whether the largest product of any unit would speak against N14, where seeds are enough for an interval."""
    interval = order_interval(largest(run))
    if not math.isfinite(interval.high):
        return ""
    (against,) = claims.CLAIMS["N14"].contradicted
    would = "would: its interval lies" if interval.high < against.threshold else "would not: its interval does not lie"
    found = [(other.length, order_interval(largest(other))) for other in others]
    beside = "".join(f"; at {n} steps {told(one)}" for n, one in found if math.isfinite(one.high))
    return f"The largest product of any unit {would} below {against.threshold:g} ({told(interval)}{beside})."


def largest(run: Run) -> np.ndarray:
    """The largest product of any unit, whether or not it carries anything, by seed."""
    return np.max([run.values("product", "", unit) for unit in range(SMALL["H"])], 0)


def gates_text(runs: list[Run]) -> str:
    """What gates learn on adding."""
    if not runs:
        return ""
    parts = []
    for run in runs:
        by_gate = [f"{gate} {told(order_interval(run.values('contrast', f'/gate={gate}')))}" for gate in marks.GATES]
        parts.append(f"{LABELS[run.start]}, T = {run.length} ({share(run.holds)} seeds solve it): {', '.join(by_gate)}")
    return (
        "On adding, each gate's mean over units at marked minus at unmarked steps, trained minus untrained, all seeds: "
        f"{'; '.join(parts)}."
    )


# Tables


def exchange_table(runs: list[Run]) -> Table:
    """The share that follows, by what is exchanged and when."""
    rows = [
        {"start": LABELS[run.start], "delay (steps)": run.length, "solved": share(run.holds), "exchanged": what}
        | {f"after {at:g} of the delay": told(order_interval(run.follows(what, at))) for at in QUARTERS}
        for run in runs
        for what in KINDS
    ]
    title = "Share of answers that follow what was exchanged (median over seeds that solved, 99 % interval)"
    return Table("carried_exchange", title, pd.DataFrame(rows))


def carrier_table(runs: list[Run]) -> Table:
    """Units that carry the bit, and products of forget gates."""
    rows = []
    for run in runs:
        carriers, carried = run.values("carriers"), run.values("carried")
        medians = {
            name: told(order_interval(run.values(name))) for name in ("best", "needed", "needed_product", "start")
        }
        rows.append(
            {
                "start": LABELS[run.start],
                "delay (steps)": run.length,
                "solved": share(run.holds),
                "flipped by the best unit": medians["best"],
                "seeds with a carrier": share(carriers > 0),
                "N14: largest product among carriers": told(order_interval(carried)) if len(carried) else "",
                "units that carry together": medians["needed"],
                "largest product among these": medians["needed_product"],
                "largest product of any unit": told(order_interval(largest(run))),
                "start: largest sigma(b_f)^delay": medians["start"],
            }
        )
    return Table("carried_units", "Units that carry the bit, and their forget gates", pd.DataFrame(rows))


def gate_table(runs: list[Run]) -> Table:
    """Each gate at marked minus unmarked steps."""
    rows = []
    for run in runs:
        for gate in marks.GATES:
            names = ("contrast_trained", "contrast_untrained", "contrast")
            values = [told(order_interval(run.values(name, f"/gate={gate}"))) for name in names]
            named = {"start": LABELS[run.start], "T": run.length, "solved": share(run.holds), "gate": gate}
            rows.append(named | dict(zip(("trained", "untrained", "trained minus untrained"), values, strict=True)))
    title = "Gates on adding at marked minus at unmarked steps, mean over units (median over all seeds, 99 % interval)"
    return Table("carried_gates", title, pd.DataFrame(rows))


def settings(bits: list[Run], sums: list[Run]) -> dict[str, str]:
    """What was run."""
    found = {}
    for title, runs, fixed in (("latch", bits, SMALL), ("adding", sums, LARGE)):
        if runs:
            found[f"carried: {title}, seeds"] = "; ".join(f"{run.name}: {len(run.holds)}" for run in runs)
            updates = "; ".join(f"{run.name}: {run.values('updates', '', run.length).max():g}" for run in runs)
            found[f"carried: {title}, updates"] = f"{updates}; a group stops when all of its seeds have solved"
            found[f"carried: {title}, models"] = (
                f"LSTM, H = {fixed['H']}, B = {fixed['B']}, Adam {fixed['lr']:g}, gradient clipped to {fixed['clip']:g}"
            )
            rows = max(run.values("held_out_rows", "", run.length).max() for run in runs)
            found[f"carried: {title}, read on"] = f"{rows:g} sequences a seed, none of them seen before"
    return found
