"""The 21 claims as plain data, and their verdicts as a function of the records.

A claim names its quantities, each by the records that give it (source, metric, a pattern for the setting; an experiment
that does not exist yet finds here what it is to write), and two lists of conditions on them. It is

    supported      if every quantity is measured and all conditions of the one list hold,
    contradicted   if any condition of the other holds,
    open           else; also with fewer than 8 seeds, and when a record was measured under another rule.

Kinds of quantity:

    median      one number a seed and setting; median and order-statistic interval. Of several settings the one with the
                largest or smallest median, where `pick` says so.
    t50 ratio   0 or 1 by seed, the index is the length; T50 of the first setting over T50 of the second.
    breaks      metrics "breaks" and "cases", summed: how often a law broke, in at least `least` cases.

The hash of a rule covers its statistic and all numbers and names below, not the wording of the claim.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import NamedTuple

import pandas as pd

from experiments import needs
from experiments.harness import ran
from experiments.harness.statistics import order_interval, t50_ratio
from experiments.harness.words import listed
from experiments.needs import OPERATORS

FEWEST_SEEDS = 8
CASES = 10_000
TWINS = ("numpy_twin", "torch_twin")


@dataclass(frozen=True)
class Quantity:
    """One measured number with its interval.

    Attributes:
        name: what it is called in notes.
        group: which conditions look at it.
        kind: "median", "t50 ratio" or "breaks".
        source, metric: of its records.
        settings: patterns of the records' settings, as fnmatch reads them; without * the setting itself.
        pick: "largest" or "smallest" median, where there are several settings.
        least: the fewest seeds, or cases, that may decide.
    """

    name: str
    group: str
    kind: str
    source: str
    metric: str
    settings: tuple[str, ...]
    pick: str = ""
    least: int = FEWEST_SEEDS

    @property
    def experiment(self) -> str:
        """The experiment that writes its records."""
        return "instrument" if self.source == "laws" else self.source

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of its records."""
        return ("breaks", "cases") if self.kind == "breaks" else (self.metric,)

    def reads(self, source: str, metric: str, setting: str) -> bool:
        """Whether it reads such a record."""
        matches = any(fnmatchcase(setting, pattern) for pattern in self.settings)
        return source == self.source and metric in self.metrics and matches


@dataclass(frozen=True)
class Condition:
    """An end of an interval against a threshold, on all quantities of a group or on at least so many of them."""

    group: str
    end: str
    op: str
    threshold: float
    at_least: int | None = None

    def holds(self, measured: Mapping[Quantity, Measured]) -> bool:
        """Whether it holds; a quantity that was not measured well enough never counts for it."""
        mine = [m for quantity, m in measured.items() if quantity.group == self.group]
        passed = sum(not m.problem and OPERATORS[self.op](getattr(m, self.end), self.threshold) for m in mine)
        return passed >= (len(mine) if self.at_least is None else self.at_least)

    def margin(self, m: Measured) -> float:
        """By how much an end lies on the side that the condition asks for; negative on the other, 0 without an end."""
        sign = 1 if self.op.startswith(">") else -1
        end = getattr(m, self.end)
        return 0.0 if end is None else sign * (end - self.threshold)

    def text(self, claim: Claim) -> str:
        """The condition as the rule states it."""
        mine = [quantity for quantity in claim.quantities if quantity.group == self.group]
        if mine[0].kind == "breaks":
            return f"no break in {CASES:,} cases of each law on each twin" if self.op == "<=" else "a break"
        several = len({quantity.group for quantity in claim.quantities if quantity.kind != "breaks"}) > 1
        of = f"{self.group}: " if several else ""
        some = f"at least {self.at_least} of" if self.at_least else "all"
        return f"{of}{self.end} {self.op} {self.threshold:g}" + (f" for {some} {len(mine)}" if len(mine) > 1 else "")


@dataclass(frozen=True)
class Claim:
    """One claim of the notes with its rule.

    Attributes:
        number, statement: as the ledger prints them.
        statistic: in words, what is measured and at which settings.
        quantities: what is measured, as data.
        supported: conditions that must all hold.
        contradicted: conditions of which one is enough.
        decided_by: the experiments that write the records; the first one's report shows them.
        shown: the figure or table of that report that shows what decides.
        exists: the records that say for each seed how often there is what the statistic is of, where there may be none.
        elsewhere: the settings at which its one effect was measured too: they decide nothing, and its note counts them.
    """

    number: str
    statement: str
    statistic: str
    quantities: tuple[Quantity, ...]
    supported: tuple[Condition, ...]
    contradicted: tuple[Condition, ...]
    decided_by: tuple[str, ...]
    shown: str
    exists: Existence | None = None
    elsewhere: Elsewhere | None = None

    @property
    def seeds(self) -> int | None:
        """The fewest seeds that may decide; None where only laws do."""
        return max((quantity.least for quantity in self.quantities if quantity.kind != "breaks"), default=None)

    @cached_property
    def canonical(self) -> str:
        """The rule as JSON, the same text for the same rule."""
        names = ("number", "statistic", "quantities", "supported", "contradicted")
        return json.dumps({name: asdict(self)[name] for name in names}, sort_keys=True, separators=(",", ":"))

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the rule's SHA-256."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @property
    def rule(self) -> str:
        """The rule in words, from its data."""
        return f"supported: {self.supported_if}; contradicted: {self.contradicted_if}"

    @property
    def supported_if(self) -> str:
        """What supports it, in words."""
        return " and ".join(condition.text(self) for condition in self.supported)

    @property
    def contradicted_if(self) -> str:
        """What contradicts it, in words."""
        return " or ".join(condition.text(self) for condition in self.contradicted)

    @cached_property
    def default(self) -> Claim | None:
        """The same comparison at torch's default start, for a claim whose verdict is that of tuned cells."""
        quantities = tuple(
            replace(quantity, settings=tuple(pattern.replace("tuned/", "default/", 1) for pattern in quantity.settings))
            for quantity in self.quantities
        )
        return replace(self, quantities=quantities) if quantities != self.quantities else None

    def reads(self, source: str, metric: str, setting: str) -> bool:
        """Whether it reads such a record, for its verdict or for what stands beside it."""
        quantities = (*self.quantities, *(self.default.quantities if self.default else ()))
        return any(quantity.reads(source, metric, setting) for quantity in quantities)


class Existence(NamedTuple):
    """Records of one setting that count, by seed, what a statistic is of; `what` says it in words."""

    what: str
    source: str
    metric: str
    setting: str


class Elsewhere(NamedTuple):
    """A pattern of settings, and which of them the claim's own is, whose records bear another name for the claim."""

    settings: str
    own: str


class Measured(NamedTuple):
    """A quantity as the records give it; `problem` says why it cannot decide, and is empty if it can."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    problem: str = ""


class Verdict(NamedTuple):
    """A row of the ledger.

    Attributes:
        preset: of the records that decided, such as "quick"; "" where the frame does not say.
        report: a link from the reports' folder to the figure or table that shows them; "" without records.
        needs: what would decide an open claim, in words; "" for one that is decided.
        lacks: the experiments whose records are all that an open claim lacks; none where effects leave it open too.
    """

    number: str
    statement: str
    statistic: str
    rule: str
    effect: float | None
    low: float | None
    high: float | None
    seeds: int | None
    word: str
    note: str
    decided_by: str
    preset: str
    report: str
    needs: str
    lacks: tuple[str, ...] = ()


# The rules. Their source is the page of rules, which was fixed before the measurements that they judge.


def law(name: str, where: str = "", group: str = "law") -> tuple[Quantity, ...]:
    """The breaks of a law on either twin; `where` narrows the cases, as in "cell=rnn/"."""
    return tuple(
        Quantity(
            f"law {name} on {twin}{' with ' + where.strip('/*') if where else ''}",
            group,
            "breaks",
            "laws",
            "breaks",
            (f"{name}/subject={twin}/{where}*",),
            least=CASES,
        )
        for twin in TWINS
    )


MODES = {
    "one_to_many": "digit_names",
    "many_to_one": "digit_rows",
    "delayed": "dates",
    "aligned": "moving_digits",
}
"""The data that decide N5, by mode."""


def effect(
    number: str, source: str, *settings: str, group: str = "effect", pick: str = "", least: int = FEWEST_SEEDS
) -> Quantity:
    """A median whose metric has the claim's number; one number a seed."""
    return Quantity(f"{number} at {' or '.join(settings)}", group, "median", source, number, settings, pick, least)


def of_modes(inputs: str, group: str) -> Iterator[Quantity]:
    """Success minus chance of each cell on the data of each mode."""
    for mode, data in MODES.items():
        for cell in ("rnn", "lstm"):
            setting, name = f"{mode}/data={data}/cell={cell}/inputs={inputs}", f"{mode} by {cell}, inputs {inputs}"
            yield replace(effect("N5", "modes", setting, group=group), name=name)


def t50_of(task: str) -> Quantity:
    """T50 of the tuned LSTM over that of the tuned RNN, 16 seeds a length."""
    settings = tuple(f"tuned/{task}/arm={cell}*/delay=*" for cell in ("lstm", "rnn"))
    return Quantity(f"T50 ratio on {task}", "ratio", "t50 ratio", "memory", "solved", settings, least=16)


UNBROKEN = Condition("law", "value", "<=", 0)
BREAK = Condition("law", "value", ">", 0, 1)

OFF = "lambda_1 - mean field"
GAINS = (1.5, 2.0, 3.0)
SOURCES = ("golden_mean", "even", "rrxor", "mess3", "markov_1", "markov_2")
TASKS = ("latch", "adding", "timer")


def above(threshold: float, group: str = "effect") -> Condition:
    """The whole interval lies above."""
    return Condition(group, "low", ">", threshold)


def below(threshold: float, group: str = "effect") -> Condition:
    """The whole interval lies below."""
    return Condition(group, "high", "<", threshold)


CLAIMS = {
    claim.number: claim
    for claim in (
        Claim(
            "N1",
            "An RNN is a dynamical system: one set of hidden units that feed into themselves.",
            "Laws of the spectrum (sum rules); lambda_1 of a tanh RNN by gain, minus the mean field's at gain 1.5, 2 "
            "and 3, extrapolated to 1/N = 0 from N = 200, 400, 800; lambda_1 itself at gain .8 and 1.5.",
            (
                *law("spectrum"),
                *(effect("N1", "gradient_flow", f"mean_field/gain={gain:g}", group=OFF) for gain in GAINS),
                effect("N1", "gradient_flow", "lambda_1/gain=0.8", group="lambda_1(.8)"),
                effect("N1", "gradient_flow", "lambda_1/gain=1.5", group="lambda_1(1.5)"),
            ),
            (
                UNBROKEN,
                Condition(OFF, "low", "<=", 0),
                Condition(OFF, "high", ">=", 0),
                below(0, "lambda_1(.8)"),
                above(0, "lambda_1(1.5)"),
            ),
            (Condition(OFF, "low", ">", 0.02, 1), Condition(OFF, "high", "<", -0.02, 1)),
            ("gradient_flow", "instrument"),
            "mean_field",
        ),
        Claim(
            "N2",
            "The state depends on the previous state and the present input alone.",
            "Laws split and causality: breaks, in 10,000 cases of each law on each twin.",
            (*law("split"), *law("causality")),
            (UNBROKEN,),
            (BREAK,),
            ("instrument",),
            "breaks",
        ),
        Claim(
            "N3",
            "The vanilla RNN is h_t = tanh(W_hh h_{t-1} + W_xh x_t) with the read-out y_t = W_hy h_t; biases are "
            "optional.",
            "Law value for the RNN and the read-out, with and without biases: breaks, in 10,000 cases of each on "
            "each twin.",
            tuple(
                quantity
                for part in ("rnn", "head")
                for bias in ("with", "without")
                for quantity in law("value", f"cell={part}/bias={bias}/")
            ),
            (UNBROKEN,),
            (BREAK,),
            ("instrument",),
            "breaks",
        ),
        Claim(
            "N4",
            "The output y_t is an emission: it depends on h_t alone.",
            "Law emission: breaks, in 10,000 cases on each twin.",
            law("emission"),
            (UNBROKEN,),
            (BREAK,),
            ("instrument",),
            "breaks",
        ),
        Claim(
            "N5",
            "The same cell serves four input/output modes: one to many, many to one, many to many with a delay, and "
            "many to many aligned.",
            "Success minus chance on held-out data in each of the four modes, of the RNN and of the LSTM; the same "
            "with inputs shuffled between rows.",
            (
                *of_modes("own", "success - chance"),
                *of_modes("shuffled", "shuffled - chance"),
            ),
            (above(0.3, "success - chance"), below(0.1, "shuffled - chance")),
            (Condition("success - chance", "high", "<", 0.1, 1),),
            ("modes",),
            "success",
        ),
        Claim(
            "N6",
            "The plain RNN carries a strong first-order Markov prior: near steps reach the state, far ones hardly do.",
            "Loss of the RNN minus that of the order-2 rung, nats a character on text; excess on timer(n) by n "
            "beside it.",
            (effect("N6", "language_model", "text/cell=rnn"),),
            (above(0),),
            (below(0),),
            ("language_model",),
            "ladder",
        ),
        Claim(
            "N7",
            "The LSTM carries h_t and c_t; the line of cell states carries what is remembered.",
            "A trained latch LSTM (seeds that solved it); half-way, c and not h is exchanged between two sequences: "
            "share of answers that follow c.",
            (effect("N7", "memory", "latch/exchange=c"),),
            (above(0.9),),
            (below(0.5),),
            ("memory",),
            "carried_exchange",
        ),
        Claim(
            "N8",
            "The forget gate, from x_t and h_{t-1}, says how much of the old cell is dropped.",
            "Flip-flop loss without the forget gate (f = 1) over the loss with it; law gates on each twin.",
            (*law("gates"), effect("N8", "memory", "flip_flop/without=forget")),
            (UNBROKEN, above(1.25)),
            (below(1.05),),
            ("memory", "instrument"),
            "gates_variants",
        ),
        Claim(
            "N9",
            "The input gate, with the candidate, says how much of the new input is written.",
            "Latch with distractors: accuracy with the input gate minus accuracy without it (i = 1); law gates on "
            "each twin.",
            (*law("gates"), effect("N9", "memory", "latch_distractors/without=input")),
            (UNBROKEN, above(0.1)),
            (below(0.02),),
            ("memory", "instrument"),
            "gates_variants_width",
        ),
        Claim(
            "N10",
            "The output gate says how much of the memory shows in h_t.",
            "Flip-flop (signs right) and latch: accuracy with the output gate minus accuracy without it (o = 1), the "
            "larger effect; law gates on each twin.",
            (
                *law("gates"),
                effect("N10", "memory", "flip_flop/without=output", "latch/without=output", pick="largest"),
            ),
            (UNBROKEN, above(0.1)),
            (below(0.02),),
            ("memory", "instrument"),
            "gates_variants",
        ),
        Claim(
            "N11",
            "The four gate computations are one stacked matrix product.",
            "Law stacked = separate: breaks, in 10,000 cases on each twin.",
            law("stacked"),
            (UNBROKEN,),
            (BREAK,),
            ("instrument",),
            "breaks",
        ),
        Claim(
            "N12",
            "Trained on long sequences, the plain RNN loses what came early; the LSTM keeps it.",
            "Latch, adding and timer(n) (solved: excess < .01 bit): T50 of the tuned LSTM over T50 of the tuned RNN, "
            "each by a logistic fit in ln length, 16 seeds a length, lengths by a factor sqrt 2 until at most 2 of "
            "16 solve (latch to 1280); profile-likelihood interval of the ratio.",
            tuple(t50_of(task) for task in TASKS),
            (Condition("ratio", "low", ">", 2, 2), Condition("ratio", "high", ">=", 1)),
            (Condition("ratio", "high", "<", 1.5, 2),),
            ("memory",),
            "lengths_ratios",
        ),
        Claim(
            "N13",
            "Gates learn what to keep and what to drop.",
            "Adding: input gate at marked minus unmarked steps, mean over units, trained minus untrained.",
            (effect("N13", "memory", "adding/gate=input"),),
            (above(0.1),),
            (below(0.02),),
            ("memory",),
            "carried_gates_table",
        ),
        Claim(
            "N14",
            "The cell passes through time by few, linear operations, so that its content is preserved.",
            "Latch solved at lag L: the largest product of forget gates over the lag among units that carry the bit "
            "(exchanging that unit's c alone flips more than 90 % of answers); at torch's default start.",
            (effect("N14", "memory", "latch/carried/start=torch"),),
            (above(0.5),),
            (below(0.1),),
            ("memory",),
            "carried_units",
            Existence("a unit that carries the bit alone", "memory", "carriers", "latch/carried/start=torch/delay=10"),
        ),
        Claim(
            "N15",
            "Gates and cell solve vanishing and exploding gradients.",
            "log10 of norm dL/ds_{T-100} over norm dL/ds_T, s = (c, h), total gradient of L = v . h_T at "
            "initialisation (torch's default); v and x from N(0, 1), D=8, H=64, T=120, float64.",
            (effect("N15", "gradient_flow", "lstm/start=torch"),),
            (above(-1), below(1)),
            (below(-3), above(3)),
            ("gradient_flow",),
            "n15",
        ),
        Claim(
            "N16",
            "The gates balance short and long memory.",
            "Spread (90 % over 10 %) of unit time scales -1/mean ln f after training on latches with delays "
            "log-uniform in 5-80 (b_f = 1), over that before.",
            (effect("N16", "memory", "latch_mixed/start=bf1"),),
            (above(3),),
            (below(1.25),),
            ("memory",),
            "spread_ratio",
        ),
        Claim(
            "N17",
            "Parameters are shared over time, which helps to generalise.",
            "Test loss of untied minus tied weights at equal training data; law untied sum on each twin.",
            (*law("untied_sum"), effect("N17", "memory", "untied")),
            (UNBROKEN, above(0)),
            (below(0),),
            ("memory", "instrument"),
            "untied_by_rows",
            elsewhere=Elsewhere("untied/*", "untied/task=adding/cell=lstm/T=12/rows=256"),
        ),
        Claim(
            "N18",
            "Training: an output and a target at each step, losses summed, gradients through time.",
            "Loss at truncation 1 minus loss at truncation 50, of the RNN and of the LSTM; law vjp on each twin.",
            (
                *law("vjp"),
                *(effect("N18", "language_model", f"truncation/cell={cell}") for cell in ("rnn", "lstm")),
            ),
            (UNBROKEN, above(0)),
            (BREAK, Condition("effect", "high", "<", 0, 1)),
            ("language_model", "instrument"),
            "truncation",
        ),
        Claim(
            "N19",
            "As a language model: predict the next word, then feed in the true one (teacher forcing).",
            "Law chain rule, forced = product of conditionals: breaks, in 10,000 cases on each twin; order-3 "
            "statistics free-running against forced beside it.",
            law("chain_rule"),
            (UNBROKEN,),
            (BREAK,),
            ("instrument",),
            "breaks",
        ),
        Claim(
            "N20",
            "By the chain rule the loss is the sum of the steps' cross entropies.",
            "Loss minus the Bayes-optimal predictor's on the same sequences of known sources, bits a symbol, the "
            "best model of each source; law chain rule on each twin.",
            (
                *law("chain_rule"),
                *(
                    effect("N20", "language_model", *(f"{s}/cell={cell}" for cell in ("rnn", "lstm")), pick="smallest")
                    for s in SOURCES
                ),
            ),
            (UNBROKEN, above(-0.005), below(0.05)),
            (BREAK,),
            ("language_model", "instrument"),
            "sources_excess_table",
        ),
        Claim(
            "N21",
            "By keeping gradients alive the LSTM lets deep networks be trained.",
            "Latch at the longest lag that one LSTM layer solves, through 1, 2 and 4 layers, tuned cells: accuracy "
            "of LSTM minus RNN at 4 layers; gradient by layer and lag beside it.",
            (effect("N21", "memory", "tuned/latch/layers=4"),),
            (above(0.3),),
            (below(0.05),),
            ("memory",),
            "layers_effect",
        ),
    )
}


# From records to verdicts


@cache
def rules_for(source: str, metric: str, setting: str) -> str:
    """The stamp of such a record: the hashes of the claims that read it, joined by "+"."""
    return "+".join(claim.hash for claim in CLAIMS.values() if claim.reads(source, metric, setting))


def verdict(claim: Claim, frame: pd.DataFrame) -> Verdict:
    """A claim's verdict from the records.

    Args:
        claim: one of CLAIMS.
        frame: records in long form, those of other claims too.
    Returns:
        The row of the ledger. Effect and interval are those of the quantity that is furthest from supporting the claim;
        the note says which, and why an open claim is open.
    Raises:
        ValueError: if a quantity of one number a seed has several.
    """
    found = judged(claim, frame)
    more = (at_default(claim, frame), at_others(claim, frame), ended_early(claim, frame))
    return found._replace(note="; ".join(filter(None, [found.note, *more])))


def at_default(claim: Claim, frame: pd.DataFrame) -> str:
    """What the same rule says at torch's default start, for a claim whose verdict is that of tuned cells."""
    beside = judged(claim.default, frame, claim.hash) if claim.default else None
    return f"at the default start: {beside.word}" if beside and beside.seeds else ""


def at_others(claim: Claim, frame: pd.DataFrame) -> str:
    """Where a claim's effect was measured, and what it says by the same conditions at settings beside that."""
    if claim.elsewhere is None:
        return ""
    (effect,) = (quantity for quantity in claim.quantities if quantity.kind != "breaks")
    rows = records_of(replace(effect, settings=(claim.elsewhere.settings,)), frame)
    words = [effect_alone(claim, effect, some) for name, some in rows.groupby("setting") if name != claim.elsewhere.own]
    told = ", ".join(f"{words.count(word)} {word}" for word in ("supported", "contradicted", "open") if word in words)
    return f"measured at {claim.elsewhere.own}; by the effect alone at {len(words)} others: {told}" if words else ""


FEW, FULL_SEEDS, LONGEST = 2, 16, {"latch": 1280}
"""Where N12's rule ends its lengths: at most 2 of 16 seeds solve the longest, or this is the longest."""


def ended(task: str, longest: float, share: float) -> str:
    """Why N12's rule ends a cell's lengths at the longest, solved by this share of seeds; "" where it would go on."""
    if share <= FEW / FULL_SEEDS:
        return f"at most {FEW} of {FULL_SEEDS} solve the longest"
    return "the rule's longest" if longest >= LONGEST.get(task, math.inf) else ""


def ended_early(claim: Claim, frame: pd.DataFrame) -> str:
    """Whose lengths end before the rule says, as a preset's time may have it."""
    early = []
    arms = [replace(q, settings=(arm,)) for q in claim.quantities if q.kind == "t50 ratio" for arm in q.settings]
    for arm in arms:
        task, cell = arm.settings[0].split("/")[1], "LSTM" if "arm=lstm" in arm.settings[0] else "RNN"
        rows = records_of(arm, frame)
        longest = rows["index"].max()
        solved = rows.value[rows["index"] == longest]
        if len(solved) and not ended(task, longest, solved.mean()):
            early.append(f"{cell} on {task} ({solved.sum():g} of {len(solved)} at {longest:g})")
    return f"lengths end before at most {FEW} of {FULL_SEEDS} solve: {listed(early)}" if early else ""


def effect_alone(claim: Claim, effect: Quantity, rows: pd.DataFrame) -> str:
    """The word that some records of an effect would give by the claim's conditions on it."""
    supported, contradicted = (
        tuple(condition for condition in conditions if condition.group == effect.group)
        for conditions in (claim.supported, claim.contradicted)
    )
    alone = replace(claim, quantities=(effect,), supported=supported, contradicted=contradicted)
    return judge(alone, {effect: measure(effect, rows)})[0]


def judged(claim: Claim, frame: pd.DataFrame, stamp: str = "") -> Verdict:
    """The verdict on exactly the claim's own records, stamped with its hash or the one given."""
    chosen = {quantity: records_of(quantity, frame) for quantity in claim.quantities}
    measured = {quantity: measure(quantity, rows) for quantity, rows in chosen.items()}
    stale = any((stamp or claim.hash) not in rule.split("+") for rows in chosen.values() for rule in rows.rule.unique())
    word, note = judge(claim, measured)
    word, note = ("open", "rule changed after measurement") if stale else (word, note)
    counts = existing(claim, frame)
    nowhere = word == "open" and not stale and counts.size > 0 and not counts.any()
    note = f"none of {counts.size} seeds has {claim.exists.what}" if nowhere else note
    shown = worst(claim, measured)
    several = sum(quantity.group == shown.group for quantity in claim.quantities) > 1
    note = "; ".join(filter(None, [note, f"shown: {shown.name}" if several and not measured[shown].problem else ""]))
    numbers = measured[shown][:4]
    shared = (claim.number, claim.statement, claim.statistic, claim.rule)
    where = (", ".join(claim.decided_by), presets(claim, frame), link(claim, frame))
    if word != "open":
        taken, lacks = "", ()
    elif stale:
        taken, lacks = again(claim, named_preset(frame)), ()
    elif nowhere:
        taken, lacks = f"seeds with {claim.exists.what}: without any the statistic has no value", ()
    else:
        taken, lacks = needed(claim, measured, chosen, named_preset(frame))
    return Verdict(*shared, *numbers, word, note, *where, taken, lacks)


def needed(
    claim: Claim, measured: Mapping[Quantity, Measured], chosen: Mapping[Quantity, pd.DataFrame], preset: str
) -> tuple[str, tuple[str, ...]]:
    """What would decide an open claim, in words, and the experiments whose records are all that it lacks."""
    some = {quantity: picked(quantity, chosen[quantity]) for quantity, m in measured.items() if not m.problem}
    undecided = needs.undecided(claim, measured, some)
    lacks = needs.lacked(measured)
    told = needs.missing(measured, preset) if lacks else ""
    return "; ".join(filter(None, [told, undecided])), () if undecided else lacks


def named_preset(frame: pd.DataFrame) -> str:
    """The preset that a command must name: "full" beside full records alone, since the default is another."""
    return "full" if set(ran.presets(frame).values()) == {"full"} else ""


def again(claim: Claim, preset: str) -> str:
    """What a claim takes whose rule is not the one that its records were measured under."""
    return f"a new measurement, under its present rule: {needs.runs(claim.decided_by, preset)}"


def existing(claim: Claim, frame: pd.DataFrame) -> pd.Series:
    """How often there is, by seed, what a claim's statistic is of; empty where nothing says so."""
    if claim.exists is None:
        return pd.Series(dtype=float)
    _, source, metric, setting = claim.exists
    return frame.value[(frame.source == source) & (frame.metric == metric) & (frame.setting == setting)]


def presets(claim: Claim, frame: pd.DataFrame) -> str:
    """The presets of the experiments that a claim reads, as the harness recorded them."""
    known = ran.presets(frame)
    return " and ".join(sorted({known[name] for name in claim.decided_by if name in known}))


def link(claim: Claim, frame: pd.DataFrame) -> str:
    """Where the reports' folder shows a claim; "" while its experiment has no records."""
    name = claim.decided_by[0]
    sources = {quantity.source for quantity in claim.quantities if quantity.experiment == name}
    return f"{name}/index.html#{claim.shown}" if frame.source.isin(sources).any() else ""


def judge(claim: Claim, measured: Mapping[Quantity, Measured]) -> tuple[str, str]:
    """The word, and why it is open where a quantity is missing."""
    if any(condition.holds(measured) for condition in claim.contradicted):
        return "contradicted", ""
    if all(m.problem == NOT_MEASURED for m in measured.values()):
        return "open", NOT_MEASURED
    names: dict[str, list[str]] = {}
    for quantity, m in measured.items():
        names.setdefault(m.problem, []).append(quantity.name)
    if names.keys() != {""}:
        return "open", "; ".join(f"{problem}: {', '.join(mine)}" for problem, mine in names.items() if problem)
    return ("supported" if all(condition.holds(measured) for condition in claim.supported) else "open"), ""


def worst(claim: Claim, measured: Mapping[Quantity, Measured]) -> Quantity:
    """The effect, of the first group, that is furthest from what the rule asks of it; of laws, the one most broken."""
    effects = [quantity for quantity in claim.quantities if quantity.kind != "breaks"]
    group = (effects or claim.quantities)[0].group
    conditions = [condition for condition in claim.supported if condition.group == group]
    mine = [quantity for quantity in measured if quantity.group == group]
    known = [quantity for quantity in mine if measured[quantity].value is not None]
    return min(known or mine, key=lambda quantity: min(c.margin(measured[quantity]) for c in conditions))


NOT_MEASURED = "not measured"


def records_of(quantity: Quantity, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a frame that a quantity reads."""
    rows = frame[(frame.source == quantity.source) & frame.metric.isin(quantity.metrics)]
    wanted = [setting for setting in rows.setting.unique() if quantity.reads(quantity.source, quantity.metric, setting)]
    return rows[rows.setting.isin(wanted)]


def measure(quantity: Quantity, rows: pd.DataFrame) -> Measured:
    """The quantity's value and interval from its records."""
    if rows.empty:
        return Measured(problem=NOT_MEASURED)
    if rows.value.isna().any():
        return Measured(problem=f"{rows.value.isna().sum()} of {len(rows)} records are not a number")
    kinds = {"median": measured_median, "t50 ratio": measured_ratio, "breaks": measured_breaks}
    return kinds[quantity.kind](quantity, rows)


def measured_median(quantity: Quantity, rows: pd.DataFrame) -> Measured:
    """Median over seeds with its order-statistic interval; of several settings, of the largest or smallest median.

    Which setting has that is itself uncertain, so that the interval is not the picked one's: the largest of several
    medians is at most their largest high end and, at the level of one end times their number, at least their largest
    low end; the smallest in the same way.
    """
    settings = dict(iter(rows.groupby("setting", sort=True)))
    for setting, some in settings.items():
        if some.seed.duplicated().any():
            raise ValueError(f"`frame` must have one {quantity.metric} a seed at {setting}; got {len(some)} records.")
    if len(settings) < len(quantity.settings):
        return Measured(problem=NOT_MEASURED)
    parts = [some.value for some in settings.values()] if quantity.pick else [rows.value]
    seeds, best = min(map(len, parts)), PICKS.get(quantity.pick, max)
    interval = map(best, zip(*map(order_interval, parts), strict=True))
    return Measured(*interval, seeds, too_few(seeds, quantity.least))


PICKS = {"largest": max, "smallest": min}


def picked(quantity: Quantity, rows: pd.DataFrame) -> pd.DataFrame:
    """Of several settings' records those of the largest or smallest median, the first of equals; without a pick all."""
    if not quantity.pick:
        return rows
    parts = [some for _, some in rows.groupby("setting", sort=True)]
    medians = [order_interval(some.value).value for some in parts]
    return parts[medians.index(PICKS[quantity.pick](medians))]


def measured_ratio(quantity: Quantity, rows: pd.DataFrame) -> Measured:
    """T50 at the first setting over T50 at the second; its seeds are the fewest that a length has."""
    arms, seeds = [], []
    for pattern in quantity.settings:
        mine = rows[[fnmatchcase(setting, pattern) for setting in rows.setting]]
        if mine.duplicated(["index", "seed"]).any():
            raise ValueError(f"`frame` must have one {quantity.metric} a seed and length at {pattern}; got several.")
        counts = mine.groupby("index").value.agg(["sum", "size"])
        if len(counts) < 2:
            return Measured(problem=NOT_MEASURED)
        arms += [counts.index.to_numpy(), counts["sum"].to_numpy(), counts["size"].to_numpy()]
        seeds.append(int(counts["size"].min()))
    return Measured(*t50_ratio(*arms), min(seeds), too_few(min(seeds), quantity.least))


def measured_breaks(quantity: Quantity, rows: pd.DataFrame) -> Measured:
    """How often the law broke; too few cases are a problem only while none broke."""
    breaks, cases = (float(rows.value[rows.metric == metric].sum()) for metric in ("breaks", "cases"))
    problem = f"{cases:,.0f} cases of {quantity.least:,}" if cases < quantity.least and not breaks else ""
    return Measured(breaks, None, None, None, problem)


def too_few(seeds: int, least: int) -> str:
    """What is wrong with so few seeds; nothing if they are enough."""
    return f"{seeds} seeds, the rule asks for {least}" if seeds < least else ""


def beyond_lengths(v: Verdict, end: float | None) -> bool:
    """Whether a number is a ratio of T50 that is only known to lie beyond the lengths that were run."""
    ratio = any(quantity.kind == "t50 ratio" for quantity in CLAIMS[v.number].quantities)
    return ratio and end is not None and (end == 0 or math.isinf(end))


RECORD = ["source", "setting", "metric", "index", "seed", "value"]
"""The columns of a report's frame that make a record."""


def repeated(claim: Claim, frame: pd.DataFrame, others: pd.DataFrame) -> float:
    """The part of a claim's records, but for those of laws, that others hold too, to the bit; 0 where it has none.

    `others` have the columns RECORD, each row once.
    """
    mine = [records_of(quantity, frame) for quantity in claim.quantities if quantity.kind != "breaks"]
    if not sum(map(len, mine)):
        return 0.0
    rows = pd.concat(mine)[RECORD].drop_duplicates()
    return len(rows.merge(others)) / len(rows)


LEDGER = (
    *("claim", "statement", "statistic", "effect", "low", "high", "verdict", "preset", "report"),
    *("needs", "rule", "seeds", "note", "decided_by"),
)
"""The columns of ledger.csv."""


def ledger(found: Iterable[Verdict]) -> pd.DataFrame:
    """A row a verdict, with the columns LEDGER; a ratio beyond the lengths that were run has no effect."""
    found = [v._replace(effect=None) if beyond_lengths(v, v.effect) else v for v in found]
    rows = pd.DataFrame(found, columns=Verdict._fields)
    rows = rows.astype({"effect": float, "low": float, "high": float, "seeds": "Int64"})
    return rows.rename(columns={"number": "claim", "word": "verdict"})[list(LEDGER)]
