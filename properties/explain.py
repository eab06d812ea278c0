"""What would explain wrong values or gradients, in words: "the gates are ordered i, f, o, g", "c0 is ignored".

A few fixed cases are put to the subject. Where its values are not the exact ones, every way that people get an RNN or
LSTM wrong is tried on the referee: the 24 orders of the gates, transposed and misread weights, exchanged or ignored
states and biases, another time direction, another non-linearity, less precision. A way that gives what the subject
gives, in every case and within the bound, is its explanation. Right values and wrong gradients are looked at likewise,
the order of the gates in each.
The first call is made twice: where the second gives something else, what the others give explains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np

from impl.spec import GATES, Parameters, block, tree_map
from properties.cases import Case, Plan, gradients, judge, outputs, resized
from properties.oracle import PARAMETERS, Judged
from properties.snippet import copied
from properties.subject import Call, Cotangent, Subject

PLANS = tuple(Plan(T, B, D, H, seed=s) for s, (T, B, D, H) in enumerate(((3, 2, 4, 5), (4, 3, 2, 5), (5, 2, 3, 4))))
GATES_OF = "ifgo"
AGAIN = "the same call gives something else the second time: it remembers earlier ones, or draws random numbers"

Way = Callable[[Call], Call]
"""What a wrong subject makes of a call."""

Back = Callable[[Cotangent], Cotangent]
"""What a wrong subject makes of its cotangents."""


def explain(subject: Subject, cell: str, dtype: str) -> str:
    """A sentence, or "" where nothing is wrong or nothing tried explains it.

    The subject gets copies: what it writes to its arguments is not to change what its results are compared with.
    """
    whole = "cell state" in subject.capabilities
    cases = [replace(plan, cell_state=whole).case(cell, dtype) for plan in PLANS]
    alpha = subject.alpha(dtype)
    try:
        first, *found = [outputs(subject.forward(*copied((case.call,)))) for case in (cases[0], *cases)]
        if differ(first, found[0], judged_values(cases[0].call, dtype, alpha)):
            return AGAIN
        if all(within(got, judged_values(case.call, dtype, alpha)) for got, case in zip(found, cases, strict=True)):
            return explain_gradients(subject, cases, alpha) if "backward" in subject.capabilities else ""
    except Exception:
        return ""
    return explain_values(subject, cases, found, alpha)


def judged_values(call: Call, dtype: str, alpha: float) -> dict[str, Judged]:
    """What the referee says of a call's outputs."""
    return judge(call, Cotangent(None, None), dtype, alpha)


def within(got: dict[str, np.ndarray], judged: dict[str, Judged]) -> bool:
    """Whether all arrays are within their bounds."""
    return all(name in judged and judged[name].fraction(np.asarray(a))[0] <= 1 for name, a in got.items())


def differ(one: dict[str, np.ndarray], other: dict[str, np.ndarray], judged: dict[str, Judged]) -> bool:
    """Whether arrays that the same call gave are further apart than two within their bounds."""
    return one.keys() != other.keys() or not all(near(a, other[name], judged.get(name)) for name, a in one.items())


def near(a: np.ndarray, b: np.ndarray, exact: Judged | None) -> bool:
    """Whether two arrays are as near as two within the bound; NaN is near NaN."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    bound = exact.bound if exact is not None and exact.bound.shape == a.shape else 0.0
    return bool(((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= 2 * bound)).all())


# Values


def explain_values(subject: Subject, cases: list[Case], found: list[dict[str, np.ndarray]], alpha: float) -> str:
    """The first way that gives what came."""
    cell, dtype = cases[0].cell, cases[0].dtype
    for words, changed in outputs_changed(cell):
        wanted = [changed(judged_values(case.call, dtype, alpha), case.call) for case in cases]
        if all(within(got, exact) for got, exact in zip(found, wanted, strict=True)):
            return words
    for words, way in ways(subject, cell):
        try:
            wanted = [judged_values(way(case.call), dtype, alpha) for case in cases]
        except (ValueError, IndexError):
            continue  # the shapes do not allow it
        if all(within(got, exact) for got, exact in zip(found, wanted, strict=True)):
            return words
    return less_precise(cases, found) if dtype == "float64" else ""


def outputs_changed(cell: str) -> Iterator[tuple[str, Callable[[dict[str, Judged], Call], dict[str, Judged]]]]:
    """Right numbers in wrong places."""
    if cell == "lstm":
        yield "hT and cT are exchanged", lambda j, call: j | {"hT": j["cT"], "cT": j["hT"]}
    yield "hT is the output of the first step", lambda j, call: j | {"hT": j["h"].take(0)}
    yield "h holds the state before each step, not after it", lambda j, call: j | {"h": shifted(j["h"], call.state.h)}


def shifted(h: Judged, h0: np.ndarray) -> Judged:
    """The outputs one step late, the first state in front."""
    zero, exact = np.zeros_like(h0, dtype=np.float64), h0.astype(np.float64)
    parts = ((exact, h.hi), (zero, h.lo), (zero, h.bound))
    return Judged(*(np.concatenate([first[None], rest[:-1]]) for first, rest in parts))


def ways(subject: Subject, cell: str) -> Iterator[tuple[str, Way]]:
    """What people make of a call, the likeliest first."""
    if cell == "lstm":
        yield from gate_orders(subject)
        yield "h0 and c0 are exchanged", lambda c: replace(c, state=type(c.state)(c.state.c, c.state.h))
        yield "c0 is ignored", lambda c: replace(c, state=c.state._replace(c=np.zeros_like(c.state.c)))
        yield "1 is added to the bias of the forget gate", forget_bias
        yield "the rows of the weights are read as unit by unit, not gate by gate", interleaved
    yield "h0 is ignored", lambda c: replace(c, state=c.state._replace(h=np.zeros_like(c.state.h)))
    yield "the initial state is ignored", lambda c: replace(c, state=tree_map(np.zeros_like, c.state))
    yield "weight_hh is used transposed", transposed
    for name in ("weight_ih", "weight_hh"):
        yield f"{name} is read in memory order as its transpose (reshape where .T was meant)", reshaped(name)
    for name in ("bias_ih", "bias_hh"):
        yield f"{name} is ignored", without(name)
        yield f"{name} is added twice", twice(name)
    yield "the biases are ignored", lambda c: without("bias_hh")(without("bias_ih")(c))
    yield "time runs backwards", lambda c: replace(c, x=np.ascontiguousarray(c.x[::-1]))
    if cell == "rnn":
        yield "the non-linearity is relu, not tanh", lambda c: replace(c, cell="rnn_relu")


def gate_orders(subject: Subject) -> Iterator[tuple[str, Way]]:
    """All other orders of the four gates; in words of the order that the subject was given them in."""
    gates = declared(subject)
    for order in permutations(GATES_OF):
        used = dict(zip(GATES_OF, order, strict=True))  # our gate, and what the subject takes it for
        if any(a != b for a, b in used.items()):
            words = f"the gates are ordered {', '.join(used[g] for g in gates)}, not {', '.join(gates)}"
            yield words, lambda c, used=used: replace(c, params=Parameters(*(reordered(a, used) for a in c.params)))


def declared(subject: Subject) -> str:
    """The order of the gates that a subject says it has."""
    conventions = getattr(subject, "conventions", None)
    return conventions.gates if conventions else GATES_OF


def reordered(a: np.ndarray | None, used: dict[str, str]) -> np.ndarray | None:
    """A parameter as a right LSTM must have it to do what one with another order does."""
    if a is None:
        return None
    H, taken_from = len(a) // 4, {taken: given for given, taken in used.items()}
    return np.concatenate([a[block("lstm", taken_from[g], H)] for g in GATES_OF])


def changed_params(call: Call, **arrays: np.ndarray) -> Call:
    """The call with other parameters."""
    return replace(call, params=call.params._replace(**arrays))


def forget_bias(call: Call) -> Call:
    """The forget gate's bias is one larger."""
    b = call.params.bias_ih.copy()
    b[block("lstm", "f", len(b) // 4)] += 1
    return changed_params(call, bias_ih=b)


def interleaved(call: Call) -> Call:
    """Row 4 j + k is gate k of unit j."""
    return replace(call, params=Parameters(*(None if a is None else by_unit(a) for a in call.params)))


def by_unit(a: np.ndarray) -> np.ndarray:
    """Rows from unit by unit to gate by gate."""
    return np.ascontiguousarray(a.reshape(len(a) // 4, 4, *a.shape[1:]).swapaxes(0, 1).reshape(a.shape))


def transposed(call: Call) -> Call:
    """Each block of weight_hh transposed."""
    R, G = call.params.weight_hh, len(GATES[call.cell])
    H = R.shape[1]
    return changed_params(call, weight_hh=np.concatenate([R[k * H : (k + 1) * H].T for k in range(G)]))


def reshaped(name: str) -> Way:
    """A weight whose memory is read as that of its transpose."""

    def way(call: Call) -> Call:
        W = getattr(call.params, name)
        return changed_params(call, **{name: np.ascontiguousarray(W.reshape(W.shape[::-1]).T)})

    return way


def without(name: str) -> Way:
    """A bias of zeros."""
    return lambda call: changed_params(call, **{name: np.zeros_like(getattr(call.params, name))})


def twice(name: str) -> Way:
    """A bias that counts twice."""
    return lambda call: changed_params(call, **{name: 2 * getattr(call.params, name)})


LEAST_SINGLE = 5e-3
"""Of float32's bound: how far off results in float32 are somewhere, after one rounding too: .0098 to .1 were seen."""


def less_precise(cases: list[Case], found: list[dict[str, np.ndarray]]) -> str:
    """Whether float64 results are those of float32: within its bound, and as far off as it rounds."""
    singles = [judged_values(case.call, "float32", 0.0) for case in cases]
    pairs = list(zip(found, singles, strict=True))
    off = max(exact[name].fraction(a)[0] for got, exact in pairs for name, a in got.items() if name in exact)
    fits = off >= LEAST_SINGLE and all(within(got, exact) for got, exact in pairs)
    return "somewhere inside it computes as in float32" if fits else ""


# Gradients


def explain_gradients(subject: Subject, cases: list[Case], alpha: float) -> str:
    """Which gradients are wrong, where, and what would explain it."""
    single = [resized(case.plan, 1, *sizes(case.plan)).case(case.cell, case.dtype) for case in cases]
    first, *found = gradients_of(subject, [cases[0], *cases])
    if differ(first, found[0], judge(cases[0].call, cases[0].cotangent, cases[0].dtype, alpha)):
        return AGAIN
    alone = gradients_of(subject, single)
    gates = declared(subject)
    one, many = what_is_wrong(alone, single, alpha, gates), what_is_wrong(found, cases, alpha, gates)
    if not many:
        return ""
    for words, way in cotangents(cases[0].cell):
        if follows(found, cases, way, alpha):
            return words
    if first_left_out(subject, cases, found, alpha):
        return "the first step has no part in the gradients"
    for words, way in cotangents(cases[0].cell) if one else ():
        if follows(alone, single, way, alpha):
            return f"{words}; over several steps, beside that, {what_is_wrong(found, cases, alpha, gates, way)}"
    if one == many:
        return many
    return f"in a single step, {one}" if one else f"a single step is right; over several, {many}"


def gradients_of(subject: Subject, cases: list[Case]) -> list[dict[str, np.ndarray]]:
    """Each case's gradients by name; copies, since later calls may write to what these gave."""
    given = (copied((case.call, case.cotangent)) for case in cases)
    return list(copied(tuple([gradients(subject.backward(*each)) for each in given])))


def sizes(plan: Plan) -> tuple[int, int, int]:
    """All sizes but T."""
    return plan.B, plan.D, plan.H


def follows(found: list[dict[str, np.ndarray]], cases: list[Case], way: Back, alpha: float) -> bool:
    """Whether gradients are those of what a way makes of the cotangents."""
    other = [judge(case.call, way(case.cotangent), case.dtype, alpha) for case in cases]
    return all(within(got, j) for got, j in zip(found, other, strict=True))


def first_left_out(subject: Subject, cases: list[Case], found: list[dict[str, np.ndarray]], alpha: float) -> bool:
    """Whether the gradients by x and the parameters are those of the steps after the first, from its state on."""
    for case, got in zip(cases, found, strict=True):
        call, cotangent = case.call, case.cotangent
        if got["x"].shape != call.x.shape or got["x"][0].any():
            return False
        state = subject.forward(*copied((replace(call, x=call.x[:1]),))).last
        if any(part is None for part in state):
            return False
        later = replace(call, x=call.x[1:], state=state)
        exact = judge(later, cotangent._replace(h=cotangent.h[1:]), case.dtype, alpha)
        if not within({name: a for name, a in got.items() if name in PARAMETERS} | {"x": got["x"][1:]}, exact):
            return False
    return True


def what_is_wrong(
    found: list[dict[str, np.ndarray]], cases: list[Case], alpha: float, gates: str, way: Back = lambda c: c
) -> str:
    """Which of the gradients found in some cases are wrong, and how; those of which the same is to be said, together.

    They are compared with those of what a way makes of the cotangents; `gates` is the order that the subject declares.
    """
    exact = [judge(case.call, way(case.cotangent), case.dtype, alpha) for case in cases]
    pairs = list(zip(found, exact, strict=True))
    said: dict[str, list[str]] = {}
    for name in found[0]:
        if not all(within({name: got[name]}, j) for got, j in pairs):
            said.setdefault(one_gradient(name, pairs, cases, gates), []).append(name)
    return "; ".join(f"the {said_of(names)} {words}" for words, names in said.items())


def said_of(names: list[str]) -> str:
    """One gradient is, several are."""
    return f"gradients by {', '.join(names)} are" if len(names) > 1 else f"gradient by {names[0]} is"


def cotangents(cell: str) -> Iterator[tuple[str, Back]]:
    """What a backward may make of what comes back."""
    yield "the gradient that comes in by hT is ignored", lambda c: c._replace(last=zeroed(c.last, "h"))
    if cell == "lstm":
        yield "the gradient that comes in by cT is ignored", lambda c: c._replace(last=zeroed(c.last, "c"))
        yield (
            "the gradients that come in by hT and cT are ignored",
            lambda c: c._replace(last=tree_map(np.zeros_like, c.last)),
        )
        yield (
            "the gradients that come in by hT and cT are exchanged",
            lambda c: c._replace(last=type(c.last)(c.last.c, c.last.h)),
        )
    yield "only the gradient of the last output is used", last_output
    yield "the gradient that comes in by h is ignored", lambda c: c._replace(h=np.zeros_like(c.h))
    yield "gradients that come in are clipped to [-1, 1]", lambda c: Cotangent(*tree_map(clipped, tuple(c)))


def zeroed(state: Any, part: str) -> Any:
    """A state with one part of zeros."""
    return state._replace(**{part: np.zeros_like(getattr(state, part))})


def clipped(a: np.ndarray) -> np.ndarray:
    """Entries cut to [-1, 1]."""
    return np.clip(a, -1, 1)


def last_output(cotangent: Cotangent) -> Cotangent:
    """All outputs but the last have no gradient."""
    h = np.zeros_like(cotangent.h)
    h[-1] = cotangent.h[-1]
    return cotangent._replace(h=h)


def one_gradient(
    name: str, pairs: list[tuple[dict[str, np.ndarray], dict[str, Judged]]], cases: list[Case], gates: str
) -> str:
    """What is wrong with the gradient by one argument."""
    got, exact = [g[name] for g, _ in pairs], [j[name] for _, j in pairs]
    if any(g.shape != j.hi.shape for g, j in zip(got, exact, strict=True)):
        return "of another shape"
    if not any(np.any(g) for g in got):
        return "zero"
    for words, factors in scalings(cases):
        if all(close(g, j, f) for g, j, f in zip(got, exact, factors, strict=True)):
            return f"{words} what must come"
    if name == "weight_hh" and all(close(turned(g), j, 1.0) for g, j in zip(got, exact, strict=True)):
        return "transposed, gate by gate"
    if cases[0].cell == "lstm" and name in PARAMETERS:
        return gate_rows(got, exact, gates)
    return f"wrong{at_steps(name, got, exact)}"


def scalings(cases: list[Case]) -> Iterator[tuple[str, list[float]]]:
    """Constant factors, and what they come from."""
    yield "minus", [-1.0 for _ in cases]
    yield "twice", [2.0 for _ in cases]
    yield "half", [0.5 for _ in cases]
    yield "1/B times (an average over the batch of B rows)", [1 / case.plan.B for case in cases]
    yield "B times", [float(case.plan.B) for case in cases]
    yield "1/T times (an average over the T steps)", [1 / case.plan.T for case in cases]
    yield "1/(T B) times (an average over steps and rows)", [1 / (case.plan.T * case.plan.B) for case in cases]


def close(got: np.ndarray, exact: Judged, factor: float) -> bool:
    """Whether it is so many times the exact one, within the bound and two roundings."""
    slack = 4 * np.finfo(got.dtype).eps * np.abs(exact.hi * factor)
    return bool((np.abs(got - factor * exact.hi) <= abs(factor) * exact.bound + slack).all())


def turned(a: np.ndarray) -> np.ndarray:
    """Each square block transposed."""
    H = a.shape[1]
    return np.concatenate([a[k * H : (k + 1) * H].T for k in range(len(a) // H)])


def gate_rows(got: list[np.ndarray], exact: list[Judged], gates: str) -> str:
    """Which gates' rows are wrong, or in which order they are right."""
    fit = {pair for pair in product(GATES_OF, GATES_OF) if rows_fit(got, exact, *pair)}
    wrong = [gate for gate in GATES_OF if (gate, gate) not in fit]
    for order in permutations(gates):
        if fit.issuperset(zip(gates, order, strict=True)):
            return f"ordered by gates {', '.join(order)}, not {', '.join(gates)}"
    if len(wrong) == len(GATES_OF):
        return "wrong in the rows of every gate"
    rows = f"gate{'s' * (len(wrong) > 1)} {' and '.join(wrong)}"
    return f"wrong in the rows of {rows} alone"


def rows_fit(got: list[np.ndarray], exact: list[Judged], gate: str, other: str) -> bool:
    """Whether a gate's rows are those that another must have."""
    for g, j in zip(got, exact, strict=True):
        mine, theirs = (block("lstm", name, len(g) // 4) for name in (gate, other))
        if not j.take(theirs).fraction(g[mine])[0] <= 1:
            return False
    return True


def at_steps(name: str, got: list[np.ndarray], exact: list[Judged]) -> str:
    """Where in time the gradient by x is right."""
    if name != "x" or len(got[0]) == 1:
        return ""
    right = [[j.take(t).fraction(g[t])[0] <= 1 for t in range(len(g))] for g, j in zip(got, exact, strict=True)]
    if all(r[-1] and not any(r[:-1]) for r in right):
        return " but at the last step: it does not pass from step to step"
    if all(not r[-1] and all(r[:-1]) for r in right):
        return " at the last step alone"
    if all(not r[0] and all(r[1:]) for r in right):
        return " at the first step alone"
    return ""
