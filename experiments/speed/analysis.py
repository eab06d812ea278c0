"""What the records say: targets, cost, rate, memory, ceilings, growth, and what has not been measured on a card."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from experiments.harness.markup import number
from experiments.harness.report import Figure, Report, Table
from experiments.harness.statistics import Interval
from experiments.speed import pictures
from experiments.speed.contenders import CONTENDERS
from experiments.speed.numbers import (
    KEYS,
    Answer,
    Ceilings,
    Growth,
    answers,
    ceilings,
    costs,
    facts,
    flops,
    growths,
    machine,
    most,
    slope_answers,
    timed,
    traffic,
)
from experiments.speed.pictures import CELLS, setting_name, spoken, who
from experiments.speed.targets import DTYPE, FORMS, Slope, Target

SIZE = ["cell", "E", "H", "B"]
ELSEWHERE = "This is the part of the CPU; that of a GPU, with what has not been measured there, is speed_gpu."


def analyse(frame: pd.DataFrame) -> Report:
    """The report of speed from its records."""
    times = timed(frame)
    cost, top, grown = costs(times), ceilings(frame), growths(times)
    found, slopes = answers(times), slope_answers(grown)
    one, many = (cost[cost.part == part] for part in ("sizes", "groups"))
    return Report(
        name="speed",
        title="Speed: ours against torch.nn and others, paired in one run",
        lead=lead(frame, times, cost, found, slopes),
        verdicts=[],
        figures=drawn(cost, found, grown, slopes),
        tables=[
            target_table(times, found),
            slope_table(slopes),
            *(
                table
                for kind, rows in (("one", one), ("groups", many))
                if len(rows)
                for table in cost_tables(kind, rows)
            ),
            *ceiling_tables(cost, top),
            *tuned_table(cost),
            explain_table(frame),
        ],
        settings=settings(frame, times),
        files={"costs": cost.replace([math.inf, -math.inf], math.nan)},
    )


def drawn(
    cost: pd.DataFrame,
    found: Sequence[tuple[Target, Answer]],
    grown: Sequence[Growth],
    slopes: Sequence[tuple[Slope, Answer]],
) -> list[Figure]:
    """The figures of what was measured."""
    rows = cost[(cost.part == "sizes") & (cost.dtype == DTYPE)]
    figures = [pictures.cost_figure(rows, pictures.cost_title(rows))] if len(rows) else []
    if any(not math.isnan(answer.measured.value) for _, answer in found):
        figures.append(pictures.target_figure(found))
    return figures + ([pictures.growth_figure(grown, slopes)] if grown else [])


# Words


def lead(
    frame: pd.DataFrame,
    times: pd.DataFrame,
    cost: pd.DataFrame,
    found: Sequence[tuple[Target, Answer]],
    slopes: Sequence[tuple[Slope, Answer]],
) -> str:
    """What was found, in words."""
    where = machine(frame)
    return (
        f"One forward and one backward with weight gradients, measured on {where.get('processor', 'a processor')}, "
        f"{where.get('cores', '?')} cores; times are this machine's, ratios are formed round by round between "
        f"contenders measured in turn.\n\n{target_sentence(found)} {missed_sentence(times, found)}"
        f"{slope_sentence(slopes)}\n\n{malloc_sentence(cost)}\n\n{engine_sentence(frame)} {ELSEWHERE}"
    )


def target_sentence(found: Sequence[tuple[Target, Answer]]) -> str:
    """How the targets went, form by form."""
    parts = []
    for form in FORMS:
        words = [answer.word for _, answer in found if answer.form == form]
        counts = {
            word: words.count(word) for word in ("met", "missed", "open", "not measured", "not judged by the laws")
        }
        parts.append(f"{CONTENDERS[form].label}: {', '.join(f'{n} {word}' for word, n in counts.items() if n)}")
    return f"Of the {len(found) // len(FORMS)} targets that were set before anything was measured, {'; '.join(parts)}."


def missed_sentence(times: pd.DataFrame, found: Sequence[tuple[Target, Answer]]) -> str:
    """The targets that no form meets, by name, and what could be reached at most."""
    by_target: dict[Target, list[Answer]] = {}
    for target, answer in found:
        by_target.setdefault(target, []).append(answer)
    lost = [
        f"{target_name(target)} ({number(max(a.measured.value for a in some))} of {target.ratio:g}"
        f"{bound_of(target, most(times, target, some[-1]))})"
        for target, some in by_target.items()
        if not any(math.isnan(a.measured.value) for a in some) and not any(a.word == "met" for a in some)
    ]
    return f"Not surely met by either (the better ratio of what is asked): {'; '.join(lost)}. " if lost else ""


def bound_of(target: Target, bound: Interval) -> str:
    """What products alone would give, and whether the target lies beyond it."""
    if math.isnan(bound.value):
        return ""
    beyond = ", so that it is out of these products' reach" if bound.high < target.ratio else ""
    return f"; our products alone, in the same rounds: {number(bound.value)}{beyond}"


def slope_sentence(slopes: Sequence[tuple[Slope, Answer]]) -> str:
    """How the slopes went."""
    known = [answer for _, answer in slopes if answer.word != "not measured"]
    met = sum(answer.word == "met" for answer in known)
    return (
        f"Slopes of cost in T and E: {met} of {len(known)} within .9 to 1.1." if known else "No slopes were measured."
    )


def malloc_sentence(cost: pd.DataFrame) -> str:
    """What the C library's memory costs at the largest batch, where it was measured both ways."""
    both = tuned_and_not(cost)
    rows = both[both.contender.isin(["numpy_fast", "torch_nn"]) & (both.E == 1)]
    parts = [
        f"{CELLS[r.cell]} {CONTENDERS[r.contender].label} {spoken(r.us)} instead of {spoken(r.us_default)}"
        for r in rows.itertuples()
    ]
    told = "At H=128, B=128 the C library matters too; told to keep freed memory, microseconds a step are"
    return f"{told}: {', '.join(parts)}. " if parts else ""


def tuned_and_not(cost: pd.DataFrame) -> pd.DataFrame:
    """Entries that were measured with malloc tuned, beside the same with malloc as it is (columns ending _default)."""
    tuned = cost[cost.part == "tuned"]
    return tuned.merge(cost[cost.part.isin(["sizes", "groups"])], on=KEYS[1:], suffixes=("", "_default"))


def engine_sentence(frame: pd.DataFrame) -> str:
    """What `auto` takes here, without a fallback that is not told."""
    chosen: dict[str, list[str]] = {}
    for fact in facts(frame, "explain"):
        chosen.setdefault(fact["text"].split(":")[0], []).append(f"{CELLS[fact['cell']]} E={fact['E']} H={fact['H']}")
    if not chosen:
        return "What our module's `auto` takes was not asked."
    parts = [f"{backend} for {len(cases)}" for backend, cases in chosen.items()]
    return (
        f"Of the settings asked below, our module's `auto` takes {', '.join(parts)}; nothing falls back silently: a "
        f"backend that is named runs or raises."
    )


def target_name(target: Target) -> str:
    """A target in words."""
    return f"{CELLS[target.cell]} against {CONTENDERS[target.peer].label}, {setting_name(target)}"


def span(answer: Answer, digits: str = ".3g") -> str:
    """An interval as text."""
    _, low, high = answer.measured
    return f"{low:{digits}} to {high:{digits}}" if math.isfinite(high) else ""


# Tables of targets


def target_table(times: pd.DataFrame, found: Sequence[tuple[Target, Answer]]) -> Table:
    """Targets beside what was measured, and what would come of a form that computes nothing but its products."""
    rows = [
        {
            "target": target_name(target),
            "at least": f"{target.ratio:g}",
            "form": CONTENDERS[answer.form].label,
            "threads, ours and theirs": f"{answer.threads[0]}, {answer.threads[1]}" if any(answer.threads) else "",
            "ratio": number(answer.measured.value),
            "95 % interval": span(answer),
            "products alone": number(most(times, target, answer).value),
            "result": answer.word,
        }
        for target, answer in found
    ]
    title = (
        "Targets (experiments/speed/targets.py): their time over ours, T=100, D=H, float32; and over that of our "
        "products alone, of one step's operands that never leave the cache, in the same rounds"
    )
    return Table("targets", title, pd.DataFrame(rows))


def slope_table(slopes: Sequence[tuple[Slope, Answer]], note: str = "") -> Table:
    """Demanded slopes beside the fitted ones; a note ends the title."""
    rows = [
        {
            "cost of": CELLS[slope.cell],
            "against": f"{slope.of} from {slope.least} on",
            "form": CONTENDERS[answer.form].label,
            "demanded": f"{slope.low:g} to {slope.high:g}",
            "slope": f"{answer.measured.value:.3f}" if not math.isnan(answer.measured.value) else "",
            "95 % interval": span(answer, ".3f"),
            "result": answer.word,
        }
        for slope, answer in slopes
    ]
    return Table("slopes", f"Log-log slopes of cost, fitted round by round{note}", pd.DataFrame(rows))


# Tables of cost


def cost_tables(kind: str, rows: pd.DataFrame) -> list[Table]:
    """Time, rate and memory, contenders in rows and sizes in columns."""
    of = {"one": "one model", "groups": "groups of models"}[kind]
    rate, peak = rows.assign(value=rows.rate / 1e6), rows.assign(value=rows.peak / 2**20)
    peak = peak[[CONTENDERS[name].label != CONTENDERS["jax_scan"].label for name in peak.contender]]
    title = f"{of.capitalize()}: microseconds a step of forward and backward, median (all models of a group together)"
    return [
        Table(f"us_{kind}", title, wide(rows.assign(value=rows.us))),
        Table(
            f"rate_{kind}", f"{of.capitalize()}: million sequence-steps a second (E x B / time of a step)", wide(rate)
        ),
        Table(f"peak_{kind}", f"{of.capitalize()}: MiB that one call adds to the process at its peak", wide(peak)),
    ]


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """The column "value" by contender and size."""
    more = rows.E.max() > 1
    sizes = [
        f"H={r.H} B={r.B}" + (f" E={r.E}" if more else "") + (f" {r.dtype}" if rows.dtype.nunique() > 1 else "")
        for r in rows.itertuples()
    ]
    named = rows.assign(who=[CONTENDERS[name].label for name in rows.contender], size=sizes)
    keys, columns = ["cell", "who", "threads"], list(dict.fromkeys(named.sort_values(["dtype", "H", "B", "E"])["size"]))
    cells = {key: some.set_index("size").value.map(spoken) for key, some in named.groupby(keys, sort=False)}
    found = [dict(zip(keys, key, strict=True)) | {c: some.get(c, "") for c in columns} for key, some in cells.items()]
    table = pd.DataFrame(found).assign(cell=lambda table: table.cell.map(CELLS))
    return table.rename(columns={"who": "contender"})


def ceiling_tables(cost: pd.DataFrame, top: Ceilings) -> list[Table]:
    """What NumPy's products and copies reach with one thread, and the share of it that the contenders reach."""
    if not top.products:
        return []
    rows = [
        (f"product {size}, float32", f"{v.value:.3g} GFLOP/s", f"{v.low:.3g} to {v.high:.3g}")
        for size, v in top.products.items()
    ]
    rows += [
        (f"copy of {size / 2**20:g} MiB", f"{v.value:.3g} GB/s read and written", f"{v.low:.3g} to {v.high:.3g}")
        for size, v in top.copies.items()
    ]
    own = cost[(cost.part == "sizes") & (cost.threads == 1) & (cost.dtype == "float32")]
    tables = [
        Table(
            "ceilings",
            "What products and copies of NumPy reach on this machine, one thread",
            pd.DataFrame(rows, columns=["what", "rate", "95 % interval"]),
        )
    ]
    if len(own):
        shares = own.assign(value=[100 * flops(r) / (r.us * 1e3 * top.product) for r in own.itertuples()])
        rate = f"the rate of NumPy's fastest product ({top.product:.3g} GFLOP/s)"
        title = f"Share of {rate}, %, by the products that a step needs; above 100 where other products are faster"
        tables.append(Table("product_share", title, wide(shares)))
    if len(own) and top.copies:
        shares = own.assign(value=[100 * traffic(r) / (r.us * 1e3 * top.memory) for r in own.itertuples()])
        title = f"Share of the largest copy's rate ({top.memory:.3g} GB/s), %: the least bytes that a step must move"
        tables.append(Table("memory_share", title, wide(shares)))
    return tables


def tuned_table(cost: pd.DataFrame) -> list[Table]:
    """The same with malloc told to keep freed memory, as `python -m experiments run` computes."""
    both = tuned_and_not(cost)
    peers = both[both.contender == "torch_nn"].groupby(SIZE)[["us", "us_default"]].min()
    rows = [
        {
            "cell": CELLS[r.cell],
            "contender": who(r.contender, r.threads),
            "size": f"H={r.H} B={r.B}" + (f" E={r.E}" if r.E > 1 else ""),
            "µs a step, malloc as it is": spoken(r.us_default),
            "µs a step, freed memory kept": spoken(r.us),
            "torch.nn's best time over it, as it is": number(peers.us_default[r.cell, r.E, r.H, r.B] / r.us_default),
            "torch.nn's best time over it, kept": number(peers.us[r.cell, r.E, r.H, r.B] / r.us),
        }
        for r in both.itertuples()
        if (r.cell, r.E, r.H, r.B) in peers.index
    ]
    title = "What it would change to let the C library keep freed memory (two processes, so the two are not paired)"
    return [Table("malloc", title, pd.DataFrame(rows))] if rows else []


def explain_table(frame: pd.DataFrame) -> Table:
    """What `explain` says, one row for settings of which it says the same."""
    said: dict[tuple[str, str], list[str]] = {}
    for fact in facts(frame, "explain"):
        key = fact["device"], fact["text"]
        said.setdefault(key, []).append(f"{CELLS[fact['cell']]} E={fact['E']} H={fact['H']} B={fact['B']}")
    rows = [
        {"device": device, "settings": "; ".join(cases), "explain()": " ".join(text.split("\n"))}
        for (device, text), cases in said.items()
    ]
    title = "Which engine our module takes by itself, in the words of explain()"
    return Table("explain", title, pd.DataFrame(rows, columns=["device", "settings", "explain()"]))


# Settings


def settings(frame: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """How it was measured."""
    where = machine(frame)
    versions = ", ".join(f"{k} {v}" for k, v in where.items() if k not in ("processor", "card", "cores"))
    timing = times[times.metric == "us_per_step"]
    absent = sorted({f"{who(f['contender'], 1)} ({f['reason']})" for f in facts(frame, "missing")})
    rows = {
        "machine": f"{where.get('processor', '?')}, {where.get('cores', '?')} cores, card: {where.get('card', '?')}",
        "versions": versions,
        "rounds": rounds_of(timing),
        "a measurement": "an untimed call where a call takes under 20 ms, then as many calls as take 5 ms",
        "pairing": "in each round every contender of a comparison once, the order rotated by round",
        "what is timed": "forward and backward with weight gradients by dh at every step; x needs no gradient; layouts "
        "are converted within; parameters and inputs stand ready",
        "threads": "BLAS one; torch as the row says; the NumPy forms' own threads as the row says; XLA one",
        "process": "a fresh one for each comparison, malloc as the system has it, unless a table says otherwise",
        "memory": "high-water mark of the process (Linux) in one call after free memory was given back; what a "
        "contender keeps from call to call is no part, so XLA, which keeps its own, is left out",
        "interval": "95 %, order statistics over rounds; neighbouring rounds are not quite independent",
        "not run": "; ".join(absent) or "none",
    }
    return pd.DataFrame({"setting": rows.keys(), "value": map(str, rows.values())})


def rounds_of(timing: pd.DataFrame) -> str:
    """How many rounds there were, and for slopes, which have more."""
    slopes = timing.part.str.startswith("slope_")
    counts = [f"{rows['index'].max() + 1:.0f}" if len(rows) else "0" for rows in (timing[~slopes], timing[slopes])]
    return counts[0] + (f", for slopes {counts[1]}" if slopes.any() else "")
