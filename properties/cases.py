"""Every generated case. Hypothesis draws a small `Plan` (sizes, scales, a seed); NumPy makes its values.

By default T, B, D, H differ pairwise, T >= 3, weights, biases, states and cotangents are dense and random: constants,
zero states and square shapes hide most faults.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from impl import draw
from impl.spec import GATES, STATES, Head, Parameters, leaves, torch_field, tree_map
from properties import oracle
from properties.oracle import OVER_TIME, PARAMETERS, Judged
from properties.subject import Call, Cotangent, Output, Result, Stack, Subject


@dataclass(frozen=True, repr=False)
class Plan:
    """What a case is made from; its repr, without what is as usual, is what a failure shows.

    Sizes T, B, D, H, E (None: one model); `shared`: a group's models share x; `scale` of the weights; `opposed`: the
    two biases are moved apart by this much, so that they cancel; `biases`: both, none, ih or hh; `lengths`: by row, by
    model and row, or None; `cut`: a step from 1 to T-1; `row`: one of the batch; `L` layers, each in one or two
    `directions`: of the case's stack. Without `cell_state` an LSTM starts from c = 0 and cT has no cotangent. A case
    that was made smaller has values with so many `bits` after the point, and some parts are `zeros`.
    """

    T: int
    B: int
    D: int
    H: int
    seed: int
    scale: float = 1.0
    opposed: float = 0.0
    biases: str = "both"
    lengths: tuple[Any, ...] | None = None
    E: int | None = None
    shared: bool = False
    L: int = 1
    directions: int = 1
    cell_state: bool = True
    bits: int | None = None
    zeros: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = (f for f in fields(self) if f.default is MISSING or getattr(self, f.name) != f.default)
        return f"Plan({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in shown)})"

    @property
    def cut(self) -> int:
        """A step inside the sequence."""
        return 1 + self.seed % (self.T - 1)

    @property
    def row(self) -> int:
        """A row of the batch."""
        return self.seed % self.B

    def case(self, cell: str, dtype: str) -> Case:
        """The case of a cell in a dtype."""
        return Case(self, cell, dtype)


@dataclass(frozen=True)
class Case:
    """A plan's arrays for one cell and dtype, and what the referee says of them."""

    plan: Plan
    cell: str
    dtype: str

    @cached_property
    def call(self) -> Call:
        """The call: parameters, x, initial state, lengths."""
        p = self.plan
        models = [self._model(p.D) for _ in range(p.E or 1)]
        params = models[0] if p.E is None else draw.group(models)
        x = self.part("x", p.T, *(() if p.E is None or p.shared else (p.E,)), p.B, p.D)
        return Call(self.cell, params, x, self._state(), self._lengths())

    @cached_property
    def cotangent(self) -> Cotangent:
        """Independent cotangents of all outputs."""
        _ = self.call  # drawn first: one stream
        return Cotangent(self.part("dh", self.plan.T, *self._batch, self.plan.H), self._state("d", "T"))

    @cached_property
    def rng(self) -> np.random.Generator:
        """The case's own stream."""
        return draw.generator("case", self.plan.seed, self.cell)

    @property
    def _batch(self) -> tuple[int, ...]:
        return (self.plan.B,) if self.plan.E is None else (self.plan.E, self.plan.B)

    def normal(self, *shape: int) -> np.ndarray:
        """Independent standard normal numbers in the case's dtype, from its own stream."""
        a = self.rng.normal(size=shape)
        if self.plan.bits is not None:
            a = np.ldexp(np.round(np.ldexp(a, self.plan.bits)), -self.plan.bits)
        return a.astype(self.dtype)

    def part(self, name: str, *shape: int) -> np.ndarray:
        """The same for a part of the call, which may have been made zero."""
        a = self.normal(*shape)
        gone = name in self.plan.zeros or (name in ("c0", "dcT") and not self.plan.cell_state)
        return np.zeros_like(a) if gone else a

    def _state(self, before: str = "", after: str = "0") -> Any:
        fields = STATES[self.cell]._fields
        return STATES[self.cell](*(self.part(f"{before}{n}{after}", *self._batch, self.plan.H) for n in fields))

    def _lengths(self) -> np.ndarray | None:
        return None if self.plan.lengths is None else np.array(self.plan.lengths)

    def _model(self, D: int) -> Parameters:
        p, G = self.plan, len(GATES[self.cell])
        W, R = self.part("weight_ih", G * p.H, D), self.part("weight_hh", G * p.H, p.H)
        weights = [np.asarray(p.scale * w, self.dtype) for w in (W, R)]
        bias_ih, bias_hh = self.part("bias_ih", G * p.H) + p.opposed, self.part("bias_hh", G * p.H) - p.opposed
        keep = {"both": (1, 1), "none": (0, 0), "ih": (1, 0), "hh": (0, 1)}[p.biases]
        return Parameters(
            *weights, *(b.astype(self.dtype) if k else None for b, k in zip((bias_ih, bias_hh), keep, strict=True))
        )

    @cached_property
    def stack(self) -> Stack:
        """The call of `L` layers: the lowest sees x, the others what all directions below give."""
        p = self.plan
        x = self.part("x", p.T, p.B, p.D)
        layers = tuple(
            tuple(self._model(p.directions * p.H if n else p.D) for _ in range(p.directions)) for n in range(p.L)
        )
        return Stack(self.cell, layers, x, self._states(), self._lengths(), seed=p.seed)

    @cached_property
    def stack_cotangent(self) -> Cotangent:
        """Independent cotangents of all outputs of the stack."""
        _ = self.stack  # drawn first: one stream
        dh = self.part("dh", self.plan.T, self.plan.B, self.plan.directions * self.plan.H)
        return Cotangent(dh, self._states("d", "T"))

    def _states(self, *around: str) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(self._state(*around) for _ in range(self.plan.directions)) for _ in range(self.plan.L))

    def judged_stack(self, alpha: float = 0.0, gradients: bool = False) -> dict[str, Judged]:
        """What the referee says of the stack, by name."""
        cotangent = self.stack_cotangent if gradients else Cotangent(None, None)
        return judge_stack(self.stack, cotangent, self.dtype, alpha)

    def judged(self, alpha: float = 0.0, gradients: bool = False, call: Call | None = None) -> dict[str, Judged]:
        """What the referee says of this call (or another with the same cotangents), by name."""
        call = call or self.call
        cotangent = self.cotangent if gradients else Cotangent(None, None)
        if self.plan.E is None:
            return judge(call, cotangent, self.dtype, alpha)
        models = [judge(member(call, e), member_cotangent(cotangent, e), self.dtype, alpha) for e in range(self.plan.E)]
        return oracle.judge_group(models, call.x.ndim == 3, dtype=self.dtype)


def judge(call: Call, cotangent: Cotangent, dtype: str, alpha: float = 0.0) -> dict[str, Judged]:
    """The referee on a call of one model; without cotangents (None) the values only."""
    args = (call.cell, call.params._asdict(), call.x, call.state, call.lengths, cotangent.h, cotangent.last)
    return judge_once("judge", *args, dtype=dtype, alpha=alpha)


def judge_stack(
    call: Stack, cotangent: Cotangent, dtype: str, alpha: float = 0.0, masks: Any = None
) -> dict[str, Judged]:
    """The referee on a stack, time first; `masks` multiply what every layer but the last gives."""
    layers = tuple(tuple(side._asdict() for side in layer) for layer in call.layers)
    args = (call.cell, layers, call.x, call.state, call.lengths, cotangent.h, cotangent.last, masks)
    return judge_once("judge_stack", *args, dtype=dtype, alpha=alpha)


def judge_once(question: str, *args: Any, **options: Any) -> Any:
    """A function of the oracle; equal questions are put to it once.

    Subjects in turn get the same cases, and the referee costs most.
    """
    return answer(pickle.dumps((question, args, options)))


def answers(size: int) -> Callable[[bytes], Any]:
    """What the referee says to pickled questions, the last `size` of which it remembers."""

    @lru_cache(size)
    def answer(asked: bytes) -> Any:
        question, args, options = pickle.loads(asked)
        return getattr(oracle, question)(*args, **options)

    return answer


answer = answers(1 << 14)
"""What all laws ask of all subjects in two dtypes; 16 kB each."""


def member(call: Call, e: int) -> Call:
    """One model of a group's call."""
    x = call.x if call.x.ndim == 3 else call.x[:, e]
    lengths = call.lengths if call.lengths is None or call.lengths.ndim == 1 else call.lengths[e]
    return replace(call, params=take(call.params, e), x=x, state=take(call.state, e), lengths=lengths)


def member_cotangent(cotangent: Cotangent, e: int) -> Cotangent:
    """One model's part of a group's cotangents."""
    return cotangent if cotangent.h is None else Cotangent(cotangent.h[:, e], take(cotangent.last, e))


def take(tree: Any, index: Any) -> Any:
    """A tree of arrays, each indexed alike."""
    return tree_map(lambda a: a[index], tree)


def rows_of(call: Call, rows: Any) -> Call:
    """The call of one model with some rows of its batch, in this order."""
    lengths = None if call.lengths is None else call.lengths[rows]
    return replace(call, x=call.x[:, rows], state=take(call.state, rows), lengths=lengths)


def cotangent_of(cotangent: Cotangent, rows: Any) -> Cotangent:
    """The cotangents of some rows, as `rows_of` takes them of a call."""
    return Cotangent(cotangent.h[:, rows], take(cotangent.last, rows))


def judged_rows(judged: dict[str, Judged], rows: Any) -> dict[str, Judged]:
    """What the referee says of some rows; without the parameters, whose gradients are sums over all rows."""
    kept = {name: j for name, j in judged.items() if name not in PARAMETERS}
    return {name: j.take((slice(None), rows) if name in OVER_TIME else rows) for name, j in kept.items()}


def mapped(call: Call, change: Any) -> Call:
    """The call with `change` applied to each of its arrays but the lengths."""
    params, x, state = (tree_map(change, tree) for tree in (call.params, call.x, call.state))
    return replace(call, params=params, x=x, state=state)


def named(params: Any) -> dict[str, np.ndarray]:
    """The arrays of Parameters or of a Head by name, those that there are."""
    return {name: a for name, a in params._asdict().items() if a is not None}


def by_name(names: tuple[str, ...], state: Any) -> dict[str, np.ndarray]:
    """The parts of a state, those that there are."""
    return {name: a for name, a in zip(names, state or (), strict=False) if a is not None}


OUTPUTS = ("h", "hT", "cT")
GRADIENTS = ("x", *PARAMETERS, "h0", "c0", "h_t", "c_t")
"""The names of a forward's arrays, and of a backward's; those of a stack have torch's suffix but for h and x."""


def part_of(name: str) -> str:
    """A name without the suffix of a layer and direction."""
    return name.partition("_l")[0]


def only(found: dict[str, Any], parts: Any) -> dict[str, Any]:
    """Of arrays by name, or what the referee says of them, those of some parts: of every layer and direction."""
    return {name: a for name, a in found.items() if part_of(name) in parts}


def outputs(output: Output) -> dict[str, np.ndarray]:
    """A forward's arrays under the referee's names."""
    return by_name(("h",), (output.h,)) | by_name(("hT", "cT"), output.last)


def gradients(result: Result) -> dict[str, np.ndarray]:
    """A backward's arrays under the referee's names; those by every h_t and c_t where the subject gives them."""
    found = by_name(("x",), (result.x,)) | named(result.params) | by_name(("h0", "c0"), result.state)
    return found | by_name(("h_t", "c_t"), result.states)


def results(subject: Subject, call: Call, cotangent: Cotangent) -> dict[str, np.ndarray]:
    """All outputs and gradients that a subject gives, under the referee's names; outputs alone without a backward."""
    found = outputs(subject.forward(call))
    return found | gradients(subject.backward(call, cotangent)) if "backward" in subject.capabilities else found


def without_states(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results without the gradients by every h_t and c_t."""
    return {name: a for name, a in found.items() if name not in ("h_t", "c_t")}


def stack_outputs(output: Output) -> dict[str, np.ndarray]:
    """The outputs of a stack under the referee's names."""
    found = {"h": output.h}
    for suffix, last in sides(output.last):
        found |= by_name((f"hT{suffix}", f"cT{suffix}"), last)
    return found


def stack_gradients(result: Result) -> dict[str, np.ndarray]:
    """The gradients of a stack under the referee's names."""
    found = {"x": result.x}
    for (suffix, params), (_, state) in zip(sides(result.params), sides(result.state), strict=True):
        found |= {f"{name}{suffix}": a for name, a in named(params).items()}
        found |= by_name((f"h0{suffix}", f"c0{suffix}"), state)
    return found


def stack_results(subject: Subject, call: Stack, cotangent: Cotangent) -> dict[str, np.ndarray]:
    """All outputs and gradients of a stack; outputs alone without a backward."""
    found = stack_outputs(subject.stack(call))
    backward = "backward" in subject.capabilities
    return found | stack_gradients(subject.stack_backward(call, cotangent)) if backward else found


def sides(layers: tuple[tuple[Any, ...], ...]) -> list[tuple[str, Any]]:
    """What belongs to every layer and direction, each with torch's suffix: _l0, _l0_reverse, _l1 and so on."""
    return [(torch_field(n, d, ""), side) for n, layer in enumerate(layers) for d, side in enumerate(layer)]


def arrays(tree: Any) -> list[np.ndarray]:
    """All arrays of a call, cotangent, output or result."""
    return [a for a in leaves((tree.params, tree.x, tree.state, tree.lengths) if isinstance(tree, Call) else tree)]


POOL = ((3, 2, 5, 4), (4, 3, 2, 6), (3, 1, 4, 2), (4, 3, 1, 2), (3, 2, 4, 1))
"""Sizes T, B, D, H of the cases of a subject that compiles for every shape, .4 to 5 s each: decisions/0016."""


def pooled(plan: Plan) -> Plan:
    """The plan with sizes from the pool: axes of one stay what they are, and so does the pattern of lengths.

    Sizes that are all equal, or all beyond 8, stay too: the law "sizes" has one plan of each kind.
    """
    sizes = (plan.T, plan.B, plan.D, plan.H)
    if len(set(sizes)) == 1 or min(sizes) > 8:
        return plan
    ones = [n == 1 for n in sizes]
    fits = [some for some in POOL if [n == 1 for n in some] == ones]
    if plan.L > 1 or plan.directions > 1:  # dearest of all to compile: one size, biases, and a third layer one way only
        ones, fits = [False] * 4, [POOL[0]]
        plan = replace(plan, biases="both")
    chosen = fits[sum(n * 7**k for k, n in enumerate(sizes)) % len(fits)] if fits else POOL[0]
    plan = replace(plan, L=min(plan.L, 4 - plan.directions))
    return resized(plan, *(1 if one else n for one, n in zip(ones, chosen, strict=True)))


def resized(plan: Plan, T: int, B: int, D: int, H: int) -> Plan:
    """The plan with other sizes; lengths are those of the first rows, again and again, as parts of T."""

    def fitted(rows: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(-(-rows[b % len(rows)] * T // plan.T) for b in range(B))

    lengths = plan.lengths
    if lengths is not None:
        lengths = fitted(lengths) if isinstance(lengths[0], int) else tuple(map(fitted, lengths))
    return replace(plan, T=T, B=B, D=D, H=H, lengths=lengths)


@st.composite
def plans(
    draw_: st.DrawFn,
    biases: tuple[str, ...] = ("both", "both", "none"),
    lengths: bool = False,
    group: bool = False,
    empty_rows: bool = False,
    layers: tuple[int, ...] = (1,),
    directions: tuple[int, ...] = (1,),
    scales: tuple[float, ...] = (0.5, 1.0, 2.0),
    largest: int = 7,
) -> Plan:
    """Plans with pairwise different sizes from 1 to `largest`, T >= 3; `lengths` and `group` add lengths and an axis E.

    Biases, scales, numbers of layers and directions are drawn from what is given. The seed and the lengths depend on
    all that was drawn: Hypothesis draws numbers unevenly and repeats them (of 200 seeds 45 were distinct, 29 of them
    0), and a law makes its numbers and takes its sub-cases by the seed alone. Sizes stay as it draws them, small ones
    more often, whose bounds are narrow: drawn evenly, an error of 1e-5 in a gradient by biases shows half as often.
    """
    sizes = draw_(st.lists(st.integers(1, largest), min_size=4, max_size=4, unique=True))
    T = next(n for n in sizes if n >= 3)
    B, D, H = (n for n in sizes if n != T)
    chosen = {
        "scale": draw_(st.sampled_from(scales)),
        "opposed": draw_(st.sampled_from((0.0, 6.0, 30.0))),
        "biases": draw_(st.sampled_from(biases)),
        "E": draw_(st.integers(1, 4)) if group else None,
        "shared": draw_(st.booleans()) if group else False,
        "L": draw_(st.sampled_from(layers)),
        "directions": draw_(st.sampled_from(directions)),
    }
    rng = draw.generator("plan", T, B, D, H, *chosen.values(), draw_(st.integers(0, 2**32 - 1)))
    seed = int(rng.integers(2**32))
    by_row = None if not lengths else _lengths(rng, T, B, chosen["E"], least=0 if empty_rows else 1)
    return Plan(T, B, D, H, seed, lengths=by_row, **chosen)


def some_of_one_step(plan: Plan) -> Plan:
    """The plan, in a third of the cases with one step alone."""
    return plan if plan.seed % 3 else resized(plan, 1, plan.B, plan.D, plan.H)


def _lengths(rng: np.random.Generator, T: int, B: int, E: int | None, least: int) -> tuple[Any, ...]:
    """Lengths from `least` to T, each as likely; of a group by row or, as often, by model and row."""
    shape = (B,) if E is None or rng.integers(2) else (E, B)
    found = rng.integers(least, T + 1, shape).tolist()
    return tuple(found) if len(shape) == 1 else tuple(map(tuple, found))


def head_of(case: Case, V: int) -> Head:
    """A read-out for a case's cell: weight_hy ([E,] V, H), bias_hy ([E,] V), or none where the plan has no biases."""
    E = () if case.plan.E is None else (case.plan.E,)
    weight, bias = case.normal(*E, V, case.plan.H), case.normal(*E, V)
    return Head(weight, None if case.plan.biases == "none" else bias)
