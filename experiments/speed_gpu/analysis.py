"""What the records say of a GPU: targets, cost, rate, memory, ceilings, growth; and what has not been measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from experiments.harness.markup import number
from experiments.harness.report import Figure, Report, Table
from experiments.harness.words import listed
from experiments.speed import pictures
from experiments.speed.analysis import engine_sentence, explain_table, slope_table, span, wide
from experiments.speed.contenders import CONTENDERS
from experiments.speed.numbers import (
    Answer,
    Ceilings,
    ceilings,
    costs,
    facts,
    flops,
    growths,
    machine,
    ratio,
    series,
    slope_answers,
    timed,
    traffic,
    word,
)
from experiments.speed.pictures import CELLS
from experiments.speed.targets import Slope
from experiments.speed_gpu import floors, profiles
from experiments.speed_gpu.targets import AHEAD, CAPPED, CEILING, DTYPE, RECORDED, TARGETS, T, Target
from experiments.speed_gpu.tried import TRIED

COMMAND = "python -m experiments run speed_gpu --preset quick"
CARD = tuple(name for name, contender in CONTENDERS.items() if contender.device == "cuda")
FULL = "below .9: the card is not full, and more models or steps cost little more"
OTHER = 1.2
"""Of one LSTM's time by our fused kernels, from where on `auto` ran something else: the same twice differs by less."""

SINCE = "Since 27 November 2026 `auto` takes our fused kernels for one LSTM from H=144 on (decisions/0048)."
OURS = ("cuda_fused", "cuda_fused_tf32x3", "cuda_fused_bf16")


def analyse(frame: pd.DataFrame) -> Report:
    """The report of speed_gpu from its records; what `explain` says of the processor stands in speed's."""
    frame = frame[~frame.setting.str.startswith("explain/device=cpu")]
    times = timed(frame)
    cost, top, grown = costs(times), ceilings(frame), growths(times)
    found = [(target, answer(times, target)) for target in TARGETS]
    models, looked_into = cost[cost.part == "card"], floors.profiles(frame, top)
    share = shares(models, top)
    asked = Asked(found, capped(share), slope_answers(grown, OURS[:1]))
    judged = [
        target_table(found),
        *spending_table(found, looked_into),
        *tried_table(asked),
        ceiling_table(share),
        slope_table(asked.slopes, f"; {FULL}"),
    ]
    return Report(
        name="speed_gpu",
        title="Speed on a GPU: ours against cuDNN, a CUDA graph and FlashRNN, paired in one run",
        lead=lead(frame, models, asked, looked_into),
        verdicts=[],
        figures=drawn(models) + profiles.drawn(looked_into),
        tables=[
            state_table(frame, models),
            *(judged if len(models) else []),
            *profiles.tables(looked_into),
            *(cost_tables(models) if len(models) else []),
            *rate_table(top),
            *([explain_table(frame)] if facts(frame, "explain") else []),
            *kernel_table(frame),
        ],
        settings=settings(frame, times, looked_into),
        files={"costs": cost.replace([math.inf, -math.inf], math.nan), **profiles.files(looked_into)},
    )


def answer(times: pd.DataFrame, target: Target) -> Answer:
    """What came of a target: the fastest peer's time over ours, round by round."""
    where = {"part": "card", "cell": "lstm", "E": target.E, "H": target.H, "B": target.B, "T": T, "dtype": DTYPE}
    theirs = [values for peer in target.peers if len(values := series(times, contender=peer, **where))]
    ours = series(times, contender=target.form, **where)
    fastest = min(theirs, key=lambda values: values.median(), default=pd.Series(dtype=float))
    found = ratio(fastest, ours)
    if math.isnan(target.ratio) and not math.isnan(found.value):
        return Answer(target.form, found, "nothing is demanded")
    return Answer(target.form, found, word(found, target.ratio, math.inf, target.form))


class Share(NamedTuple):
    """What our kernels in float32 take at a setting beside what the ceilings allow.

    Attributes:
        row: of the costs. compute, memory: microseconds a step of the products and of the arrays alone.
        over: how many times the larger of these ours take.
    """

    row: Any
    compute: float
    memory: float
    over: float


def shares(models: pd.DataFrame, top: Ceilings) -> list[Share]:
    """Every setting's."""
    found = []
    for row in models[models.contender == OURS[0]].itertuples():
        compute, memory = flops(row) / (top.product * 1e3), traffic(row) / (top.memory * 1e3)
        found.append(Share(row, compute, memory, row.us / max(compute, memory)))
    return found


def capped(found: Sequence[Share]) -> list[tuple[Target, float]]:
    """How many times ours take what the ceilings allow, wherever that is demanded; NaN where it was not measured."""
    known = {(share.row.cell, share.row.E, share.row.H, share.row.B): share.over for share in found}
    return [(target, known.get(("lstm", target.E, target.H, target.B), math.nan)) for target in CAPPED]


def ceiling_word(over: float) -> str:
    """What came of the ceiling's target."""
    if math.isnan(over):
        return "not measured"
    return "met" if over <= CEILING else "missed"


# Words


Found = Sequence[tuple[Target, Answer]]


class Asked(NamedTuple):
    """What is demanded, and what came of it: ratios to peers, times over the ceilings', slopes of cost."""

    ratios: Found
    ceilings: Sequence[tuple[Target, float]]
    slopes: Sequence[tuple[Slope, Answer]]


def lead(frame: pd.DataFrame, models: pd.DataFrame, asked: Asked, looked_into: Sequence[floors.Profile]) -> str:
    """What was found, in words."""
    if not len(models):
        return (
            "This machine has no NVIDIA card, so nothing was measured on one here. What the kernels need of a card is "
            "known, since they are compiled without one; how fast they are beside cuDNN, a card must tell: "
            f"{COMMAND}. The project's own figures from one stand in reports/speed_gpu."
        )
    measured = (
        f"One forward and one backward with weight gradients, measured on {machine(frame).get('card', 'a card')}; "
        f"ratios are formed round by round between contenders measured in turn."
    )
    texts = [
        measured,
        *demands(asked),
        engine_words(frame, models),
        missed(asked, looked_into),
        profiles.refusal(frame),
    ]
    return "\n\n".join(filter(None, texts))


def demands(asked: Asked) -> list[str]:
    """What is demanded and what came of it, a paragraph a kind; the last says what open is, where anything is."""
    demanded = [(target, answer) for target, answer in asked.ratios if not math.isnan(target.ratio)]
    alike = groupby(demanded, key=lambda pair: target_name(pair[0]))
    ratios = "; ".join(f"{name} {', '.join(outcome(t, a) for t, a in some)}" for name, some in alike)
    ceilings = ", ".join(ceiling_outcome(target, over) for target, over in asked.ceilings)
    slopes = ", ".join(slope_outcome(slope, answer) for slope, answer in asked.slopes)
    unsure = any(answer.word == "open" for _, answer in (*demanded, *asked.slopes))
    explained = " Open: the interval holds a bound." if unsure else ""
    return [
        f"Targets set before anything was measured (the time of the fastest of the peers named, over ours): {ratios}.",
        f"Ours over what the card's ceilings allow, LSTM E={CAPPED[0].E} B={CAPPED[0].B}, "
        f"{CONTENDERS[OURS[0]].label}: {ceilings}.",
        f"Log-log slopes of cost, {CONTENDERS[OURS[0]].label}: {slopes}.{explained}",
    ]


def engine_words(frame: pd.DataFrame, models: pd.DataFrame) -> str:
    """What `auto` takes, and at which of the widths that are demanded of one model it was not asked; where its time is
    not that of the kernels that it takes there today, so that its records are of an older rule, that too."""
    asked = {int(fact["H"]) for fact in facts(frame, "explain") if fact["cell"] == "lstm" and fact["E"] == "1"}
    left = [f"{H}" for H in AHEAD if H not in asked]
    unasked = f" Which it takes for one LSTM of H={listed(left)} was not asked." if asked and left else ""
    return engine_sentence(frame) + unasked + older(models)


def older(models: pd.DataFrame) -> str:
    """Whether `auto` took other than our fused kernels for one LSTM of more than 128 units, by its time."""
    asked = (models.E == 1) & models.H.isin(AHEAD) & (models.B == CAPPED[0].B) & (models.dtype == DTYPE)
    us = models[asked & (models.cell == "lstm")].pivot_table(index="H", columns="contender", values="us")
    if not {"cuda_auto", OURS[0]} <= set(us):
        return ""
    over = us["cuda_auto"] / us[OURS[0]]
    other = over[over > OTHER]
    if not len(other):
        return ""
    return (
        f" In these records one LSTM of H={listed([f'{H}' for H in other.index])} takes {number(other.min())} to "
        f"{number(other.max())} times as long by `auto` as by {CONTENDERS[OURS[0]].label}: `auto` had an older rule, "
        f"by which it took another engine there. {SINCE}"
    )


def missed(asked: Asked, looked_into: Sequence[floors.Profile]) -> str:
    """What misses its target, with where its time goes, as far as that was profiled."""
    unmet = [("", target) for target, answer in asked.ratios if answer.word == "missed"]
    unmet += [(" over the ceilings", target) for target, over in asked.ceilings if ceiling_word(over) == "missed"]
    widths: dict[tuple[str, str, int, str], list[str]] = {}
    for kind, target in unmet:
        spent = profiles.spending(looked_into, target) or "not profiled"
        widths.setdefault((kind, CONTENDERS[target.form].label, target.E, spent), []).append(f"H={target.H}")
    words = [f"{form}, E={E} {' and '.join(some)}{kind}: {spent}" for (kind, form, E, spent), some in widths.items()]
    words += missed_slopes(asked.slopes)
    return f"What misses a target, and where its time goes: {'; '.join(words)}." if words else ""


def missed_slopes(slopes: Sequence[tuple[Slope, Answer]]) -> list[str]:
    """How many slopes are missed, and which; why, where one is too low."""
    unmet = [(slope, answer) for slope, answer in slopes if answer.word == "missed"]
    names = ", ".join(slope_name(slope) for slope, _ in unmet)
    why = f" ({FULL})" if any(answer.measured.value < slope.low for slope, answer in unmet) else ""
    return [f"{len(unmet)} of {len(slopes)} slopes: {names}{why}"] if unmet else []


def target_name(target: Target) -> str:
    """A target in words, all but its width: those that are alike in these are told together."""
    peers = " or ".join(CONTENDERS[peer].label for peer in target.peers)
    return f"LSTM E={target.E} B={target.B}, {CONTENDERS[target.form].label}, against {peers}:"


def outcome(target: Target, answer: Answer) -> str:
    """What came of a target at its width, in words."""
    if math.isnan(answer.measured.value):
        return f"{answer.word} at H={target.H}"
    return f"{number(answer.measured.value)} of {target.ratio:g} at H={target.H} ({answer.word})"


def ceiling_outcome(target: Target, over: float) -> str:
    """What came of the ceiling's target at a width, in words."""
    if math.isnan(over):
        return f"{ceiling_word(over)} at H={target.H}"
    return f"{number(over)} of at most {CEILING:g} at H={target.H} ({ceiling_word(over)})"


def slope_name(slope: Slope) -> str:
    """A slope in words."""
    return f"{CELLS[slope.cell]} against {slope.of}"


def slope_outcome(slope: Slope, answer: Answer) -> str:
    """What came of a demanded slope, in words."""
    if math.isnan(answer.measured.value):
        return f"{slope_name(slope)} {answer.word}"
    return f"{slope_name(slope)} {answer.measured.value:.3f} of {slope.low:g} to {slope.high:g} ({answer.word})"


# Figures


def drawn(models: pd.DataFrame) -> list[Figure]:
    """Cost at the most models, where anything was measured."""
    rows = models[(models.E.max() == models.E) & (models.dtype == DTYPE)] if len(models) else models
    return [pictures.cost_figure(rows, cost_title(rows))] if len(rows) else []


def cost_title(rows: pd.DataFrame) -> str:
    """How many times as long the peers take as our kernels in float32."""
    wide = rows.pivot_table(index=["cell", "H"], columns="contender", values="us")
    parts = []
    for peer in ("cuda_nn", "cuda_graph", RECORDED):
        if {peer, OURS[0]} <= set(wide):
            times = (wide[peer] / wide[OURS[0]]).dropna()
            parts.append(f"{CONTENDERS[peer].label} takes {number(times.min())} to {number(times.max())} times as long")
    models = f"{rows.E.max()} models at once" if rows.E.max() > 1 else "one model"
    return f"With {models} {'; '.join(parts)} as our fused kernels in float32" if parts else "Microseconds a step"


# Tables


def state_table(frame: pd.DataFrame, models: pd.DataFrame) -> Table:
    """What has been measured, and what has not, with the reason."""
    reasons: dict[str, set[str]] = {}
    for fact in facts(frame, "missing"):
        reasons.setdefault(fact["contender"], set()).add(fact["reason"])
    absent = "in no comparison of this run" if len(models) else "this machine has no NVIDIA card"
    rows = []
    for name in CARD:
        settings, why = int((models.contender == name).sum()), "; ".join(sorted(reasons.get(name, ())))
        if settings:
            state = f"measured in {settings} settings" + (f"; where it cannot run: {why}" if why else "")
        else:
            state = f"not measured: {why or absent}"
        rows.append({"what": CONTENDERS[name].label, "state": state})
    if refused := profiles.refusal(frame):
        rows.append({"what": "profile of our kernels", "state": refused})
    title = f"What has been measured and what has not (on a machine with a card: {COMMAND})"
    return Table("gpu", title, pd.DataFrame(rows))


def target_table(found: Found) -> Table:
    """Targets, and ratios beside them, with what was measured."""
    rows = [
        {
            "ours": CONTENDERS[target.form].label,
            "setting": f"LSTM E={target.E} H={target.H} B={target.B}",
            "the fastest of": ", ".join(CONTENDERS[peer].label for peer in target.peers),
            "at least": "" if math.isnan(target.ratio) else f"{target.ratio:g}",
            "ratio": number(answer.measured.value),
            "95 % interval": span(answer),
            "result": answer.word,
        }
        for target, answer in found
    ]
    return Table("targets", "The time of the fastest of the peers named, over ours, T=100, D=H", pd.DataFrame(rows))


def spending_table(found: Found, looked_into: Sequence[floors.Profile]) -> list[Table]:
    """Where the time of what is demanded goes, met or missed, of what was profiled."""
    rows = [
        {"ours": CONTENDERS[target.form].label, "setting": f"LSTM E={target.E} H={target.H} B={target.B}"}
        | {"result": answer.word, "where ours goes": profiles.spending(looked_into, target)}
        for target, answer in found
        if target.ratio > 0
    ]
    shown = [row for row in rows if row["where ours goes"]]
    title = "Where the time of what is demanded goes, as the nearest width that was profiled tells it"
    return [Table("spending", title, pd.DataFrame(shown))] if shown else []


def tried_table(asked: Asked) -> list[Table]:
    """What was tried before, where something is missed."""
    if not missed(asked, ()):
        return []
    rows = [
        {"what was tried": one.what, "setting": one.where, "before": one.before, "after": one.after}
        | {"kept": one.came, "told in": f"decisions/{one.decision}"}
        for one in TRIED
    ]
    title = "What was tried against what is missed, µs of a kernel, T=100, B=64, by hand on an H100 before this run"
    return [Table("tried", title, pd.DataFrame(rows))]


def ceiling_table(found: Sequence[Share]) -> Table:
    """What the measured ceilings allow, beside what our kernels in float32 take."""
    asked = {("lstm", target.E, target.H, target.B) for target in CAPPED}
    rows = []
    for row, compute, memory, over in found:
        demanded = (row.cell, row.E, row.H, row.B) in asked
        rows.append(
            {
                "cell": CELLS[row.cell],
                "setting": f"E={row.E} H={row.H} B={row.B}",
                "products alone, µs a step": number(compute),
                "memory alone, µs a step": number(memory),
                "ours, µs a step": number(row.us),
                "ours over the larger": number(over),
                "demanded": f"at most {CEILING:g}: {ceiling_word(over)}" if demanded else "",
            }
        )
    title = "What this card's fastest product and largest copy allow (a bound, not a forecast), beside ours in float32"
    return Table("ceiling_share", title, pd.DataFrame(rows))


def cost_tables(models: pd.DataFrame) -> list[Table]:
    """Time, rate and memory, contenders in rows and sizes in columns."""
    us, rate, peak = (models.assign(value=a) for a in (models.us, models.rate / 1e6, models.peak / 2**20))
    return [
        Table("us", "Microseconds a step of forward and backward, all models together, median", wide(us)),
        Table("rate", "Million sequence-steps a second (E x B / time of a step)", wide(rate)),
        Table("peak", "MiB on the card that one call adds at its peak (torch's own count)", wide(peak)),
    ]


def rate_table(top: Ceilings) -> list[Table]:
    """The measured ceilings of the card."""
    rows = [
        (
            f"product {size}, float32 without TF32",
            f"{v.value / 1e3:.3g} TFLOP/s",
            f"{v.low / 1e3:.3g} to {v.high / 1e3:.3g}",
        )
        for size, v in top.products.items()
    ]
    rows += [
        (f"copy of {size / 2**20:g} MiB", f"{v.value:,.0f} GB/s read and written", f"{v.low:,.0f} to {v.high:,.0f}")
        for size, v in top.copies.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "rate", "95 % interval"])
    return [Table("ceilings", "Ceilings of this card", frame)] if rows else []


def kernel_table(frame: pd.DataFrame) -> list[Table]:
    """What the compiler said of the kernels without a card, counted."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for fact in facts(frame, "kernels"):
        found = counts.setdefault((fact.pop("arch"), fact.pop("number")), Counter())
        found.update({k: int(n) for k, n in fact.items() if k != "path"})
    table = [
        {"architecture": f"sm_{arch}", "precision": kind, "kernels": n["kernels"]}
        | {"with a spill": n["spilling"], "fit": n["ok"]}
        for (arch, kind), n in sorted(counts.items())
    ]
    title = "Compiled without a card, in the compiler's own words (impl/torch_twin/kernels/compiled.csv)"
    return [Table("kernels", title, pd.DataFrame(table))] if table else []


# Settings


def settings(frame: pd.DataFrame, times: pd.DataFrame, looked_into: Sequence[floors.Profile]) -> pd.DataFrame:
    """How it was measured."""
    where = machine(frame)
    timing = times[times.metric == "us_per_step"]
    rows = {
        "machine": f"card: {where.get('card', '?')}; {where.get('processor', '?')}, {where.get('cores', '?')} cores",
        "versions": ", ".join(f"{k} {v}" for k, v in where.items() if k not in ("processor", "card", "cores")),
        "rounds": f"{timing['index'].max() + 1:.0f}" if len(timing) else "0",
        "a measurement": "an untimed call where a call takes under 20 ms, then as many calls as take 5 ms, each until "
        "the card has finished",
        "pairing": "in each round every contender of a comparison once, the order rotated by round",
        "what is timed": "forward and backward with weight gradients by dh at every step, starts from the processor "
        "included; x needs no gradient; parameters and inputs stand ready on the card",
        "precision": "float32 without TF32, unless a label says otherwise (tf32x3: errors near float32's)",
        "process": "a fresh one for each comparison",
        "interval": "95 %, order statistics over rounds; neighbouring rounds are not quite independent",
        **profiles.settings(looked_into),
    }
    return pd.DataFrame({"setting": rows.keys(), "value": map(str, rows.values())})
