"""The referee: each cell and its backward once, as plain loops over an abstract arithmetic; nothing of `impl` enters.

`judge` runs a call in balls (the exact values and gradients) and in error-carrying float64 (how far a correct subject
may be off), and gives a `Judged` for every output by name:

    h, hT, cT                                    values; cT for the LSTM alone
    x, weight_ih, weight_hh, bias_ih, bias_hh    gradients, where the cotangents were given
    h0, c0, h_t, c_t                             gradients by the initial state, and by that carried out of each step

Gates stand in the order i, f, g, o. A row stops at its length: its later outputs are exactly zero.

`judge_stack` does so for layers and directions, `judge_second` for the gradient's derivative along a direction,
`judge_head`, `judge_loss`, `judge_update` and `judge_norm` for what stands around a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from properties.arithmetic import Arithmetic, Balls, Carried, Dual, Matrix, double_double

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OVER_TIME = ("h", "x", "h_t", "c_t")
"""What has a time axis first; the other outputs are of one step (states) or of the whole call (parameters)."""
SECOND_ORDER = 4.0
"""How many times the bound of the gradient's derivative, as we compute it, is granted to a correct subject.

We carry values and slopes through forward and backward at once; a subject that differentiates its backward in reverse
sums the same paths in another order, with more of them apart, and so may round and cancel at other places: no rule
here proves its bound. Torch's double backward took at most 0.6 of the bound alone in 6000 cases of the three cells.
"""


@dataclass(frozen=True)
class Judged:
    """An exact value, hi + lo, and the bound of a correct subject's error in it: float64 arrays of one shape."""

    hi: np.ndarray
    lo: np.ndarray
    bound: np.ndarray

    def fraction(self, got: np.ndarray) -> tuple[float, tuple[int, ...]]:
        """The worst |got - exact| / bound and its place; inf where got is not finite or an exact zero is missed."""
        if got.shape != self.hi.shape:
            return np.inf, ()
        if not got.size:
            return 0.0, ()
        with np.errstate(all="ignore"):
            off = np.abs((got.astype(np.float64) - self.hi) - self.lo)
            shares = np.where(off == 0, 0.0, off / self.bound)
        shares = np.where(np.isfinite(got) & ~np.isnan(shares), shares, np.inf)
        place = np.unravel_index(int(np.argmax(shares)), shares.shape)
        return float(shares[place]), tuple(int(n) for n in place)

    def take(self, index: Any) -> Judged:
        """The same of a part: `index` as of an array."""
        return Judged(self.hi[index], self.lo[index], self.bound[index])


def unit(dtype: str) -> tuple[float, float]:
    """The unit roundoff u and the smallest normal number of float32 or float64."""
    info = np.finfo(dtype)
    return float(info.eps) / 2, float(info.tiny)


def judge(
    cell: str,
    params: dict[str, np.ndarray | None],
    x: np.ndarray,
    state: tuple[np.ndarray, ...] | None = None,
    lengths: np.ndarray | None = None,
    dh: np.ndarray | None = None,
    dlast: tuple[np.ndarray, ...] | None = None,
    *,
    dtype: str,
    alpha: float = 0.0,
    reverse: bool = False,
) -> dict[str, Judged]:
    """What one model must give for a call, by name (see the module's head).

    Args:
        cell: a name in CELLS.
        params: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih, bias_hh (G*H,) or None.
        x: (T, B, D). state: h (and c), each (B, H), or None for zeros. lengths: (B,) or None.
        dh: (T, B, H), cotangent of h; dlast: cotangents of hT (and cT), each (B, H). Without them, values only.
        dtype: that of the subject; alpha: its declared absolute error of sigma and tanh.
        reverse: whether each row runs from its own last step to its first. Outputs and gradients keep the order of x;
            hT and cT are then the state after step 0, and h_t, c_t belong to what is carried from step t to t - 1.
    """
    return _judge(
        lambda a: _sequence(a, CELLS[cell], params, x, state, lengths, dh, dlast, reverse=reverse), dtype, alpha
    )


def judge_stack(
    cell: str,
    layers: tuple[tuple[dict[str, np.ndarray | None], ...], ...],
    x: np.ndarray,
    state: tuple[tuple[tuple[np.ndarray, ...], ...], ...] | None = None,
    lengths: np.ndarray | None = None,
    dh: np.ndarray | None = None,
    dlast: tuple[tuple[tuple[np.ndarray, ...], ...], ...] | None = None,
    masks: tuple[np.ndarray, ...] | None = None,
    *,
    dtype: str,
    alpha: float = 0.0,
) -> dict[str, Judged]:
    """What a stack of one model must give, by name: "h", "x", and the others as torch names them ("hT_l0_reverse").

    Args:
        layers: by layer, by direction (one, or a second that runs in reverse), parameters as in `judge`.
        x: (T, B, D). state: by layer, by direction, h (and c), each (B, H), or None for zeros. lengths: (B,) or None.
        dh: (T, B, directions * H), cotangent of the last layer's h; dlast: as state. Without them, values only.
        masks: a factor (T, B, directions * H) of the outputs of every layer but the last, or None.
        dtype, alpha: as in `judge`.
    """
    return _judge(lambda a: _stack_of(a, CELLS[cell], layers, x, state, lengths, dh, dlast, masks), dtype, alpha)


def judge_second(
    cell: str,
    params: dict[str, np.ndarray | None],
    x: np.ndarray,
    state: tuple[np.ndarray, ...],
    dh: np.ndarray,
    dlast: tuple[np.ndarray, ...],
    direction: tuple[dict[str, np.ndarray | None], np.ndarray, tuple[np.ndarray, ...]],
    *,
    dtype: str,
    alpha: float = 0.0,
) -> dict[str, Judged]:
    """The gradient, by x, the parameters, h0 (and c0), of <direction, first gradient>: double backward.

    Since second derivatives commute, it is the derivative of the first gradient along that direction.

    Args:
        params, x, state, dh, dlast, dtype, alpha: as in `judge`.
        direction: what multiplies the first gradient: as params, x and state.
    """
    judged = _judge(lambda a: _second(Dual(a), CELLS[cell], params, x, state, dh, dlast, direction), dtype, alpha)
    return {name: replace(one, bound=SECOND_ORDER * one.bound) for name, one in judged.items()}


def judge_head(weight: np.ndarray, bias: np.ndarray | None, h: np.ndarray, dy: np.ndarray, *, dtype: str) -> dict:
    """The read-out of one model: y, and the gradients h, weight_hy, bias_hy for the cotangent dy.

    Args:
        weight: (V, H); bias: (V,) or None; h: (T, B, H); dy: (T, B, V).
    """
    return _judge(lambda a: _head(a, weight, bias, h, dy), dtype)


def judge_loss(y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None, *, dtype: str) -> dict[str, Judged]:
    """Softmax cross-entropy of one model, summed over steps and rows: loss () and its gradient dy (T, B, V)."""
    return _judge(lambda a: _cross_entropy(a, y, targets, mask), dtype)


def judge_update(
    rule: str, params: dict[str, np.ndarray], gradients: list[dict[str, np.ndarray]], *, dtype: str, **settings: float
) -> list[dict[str, Judged]]:
    """The parameters after every update of an optimiser that starts without memory, by given gradients.

    A subject may round each setting to its dtype, and what depends on settings alone (1 - beta, lr / (1 - beta^n)),
    once it has worked that out in double precision.

    Args:
        rule: "sgd", "adam" or "rmsprop".
        params: arrays by name. gradients: the same for each of at least one update.
        settings: lr; for adam beta1, beta2, eps; for rmsprop decay, eps.
    """

    def path(a: Arithmetic) -> dict[str, Matrix]:
        by_name = {n: [a.constant(gradient[n]) for gradient in gradients] for n in params}
        return {n: a.stack(list(RULES[rule](a, a.constant(params[n]), by_name[n], **settings))) for n in params}

    judged = _judge(path, dtype)
    return [{name: one.take(n) for name, one in judged.items()} for n in range(len(gradients))]


def judge_norm(gradients: dict[str, np.ndarray], *, dtype: str) -> Judged:
    """The Euclidean norm () of all arrays together, for subjects that keep squares in range (see `_norm`)."""
    entries = np.concatenate([array.ravel() for array in gradients.values()])
    return _judge(lambda a: {"norm": _norm(a, entries)}, dtype)["norm"]


def judge_group(members: list[dict[str, Judged]], shared_x: bool, *, dtype: str) -> dict[str, Judged]:
    """A group's outputs from its members' alone: axis E stands before B in sequences and states, first elsewhere.

    Args:
        members: one result of `judge` a model.
        shared_x: whether the models share one x, whose gradient is then the sum over E.
    """
    group = {n: _stack([m[n] for m in members], 1 if n in OVER_TIME else 0) for n in members[0]}
    if shared_x and "x" in group:
        group["x"] = _sum([m["x"] for m in members], len(members[0]["weight_ih"].hi), dtype)
    return group


def _judge(formula: Callable[[Arithmetic], dict[str, Matrix]], dtype: str, alpha: float = 0.0) -> dict[str, Judged]:
    exact, carried = formula(Balls()), formula(Carried(*unit(dtype), alpha))
    return {name: _judged(name, ball, carried[name].e) for name, ball in exact.items()}


def _judged(name: str, ball: np.ndarray, bound: np.ndarray) -> Judged:
    hi, lo, radii = double_double(np.asarray(ball, dtype=object))
    if np.isnan(bound).any():
        raise ArithmeticError(f"the referee needs a bound of `{name}` that is a number or infinite; got NaN.")
    wide = ~(radii <= 2.0**-20 * bound) | ~np.isfinite(radii)
    if wide.any():
        raise ArithmeticError(
            f"the referee needs balls of `{name}` narrower than 2^-20 of the bound; got radius {radii[wide].max():.3g} "
            f"at the bound {bound[wide].min():.3g}."
        )
    return Judged(hi, lo, bound)


# The cells: one step and its backward, on matrices (B, H)


class Cell(NamedTuple):
    """A cell's parts of the state; its step and the backward of it, each a function over an arithmetic.

    `step(a, pre, state)` gives the next state and what `back` needs; `back(a, kept, state, total)` gives the gradient
    by the pre-activations, and by the old state's parts beyond h, where `total` is that by the new state.
    """

    parts: str
    step: Callable[..., tuple[list[Matrix], tuple[Matrix, ...]]]
    back: Callable[..., tuple[Matrix, list[Matrix]]]


def _rnn_step(a: Arithmetic, pre: Matrix, state: list[Matrix]) -> tuple[list[Matrix], tuple[Matrix, ...]]:
    h = a.tanh(pre)
    return [h], (h,)


def _rnn_back(a: Arithmetic, kept: tuple, state: list[Matrix], total: list[Matrix]) -> tuple[Matrix, list[Matrix]]:
    (h,), (dh,) = kept, total
    return a.tanh_back(dh, h), []


def _relu_step(a: Arithmetic, pre: Matrix, state: list[Matrix]) -> tuple[list[Matrix], tuple[Matrix, ...]]:
    return [a.relu(pre)], (pre,)


def _relu_back(a: Arithmetic, kept: tuple, state: list[Matrix], total: list[Matrix]) -> tuple[Matrix, list[Matrix]]:
    (pre,), (dh,) = kept, total
    return a.relu_back(dh, pre), []


def _lstm_step(a: Arithmetic, pre: Matrix, state: list[Matrix]) -> tuple[list[Matrix], tuple[Matrix, ...]]:
    _, c = state
    H = pre.shape[1] // 4
    i, f, g, o = (a.columns(pre, slice(k * H, (k + 1) * H)) for k in range(4))
    i, f, g, o = a.sigma(i), a.sigma(f), a.tanh(g), a.sigma(o)
    c = a.add(a.mul(f, c), a.mul(i, g))
    tanh_c = a.tanh(c)
    return [a.mul(o, tanh_c), c], (i, f, g, o, tanh_c)


def _lstm_back(a: Arithmetic, kept: tuple, state: list[Matrix], total: list[Matrix]) -> tuple[Matrix, list[Matrix]]:
    (i, f, g, o, tanh_c), (_, c), (dh, dc) = kept, state, total
    dc = a.add(dc, a.tanh_back(a.mul(dh, o), tanh_c))
    di, df, dg, do = a.mul(dc, g), a.mul(dc, c), a.mul(dc, i), a.mul(dh, tanh_c)
    di, df, do = (a.mul(d, s, a.one_minus(s)) for d, s in ((di, i), (df, f), (do, o)))
    dg = a.tanh_back(dg, g)
    return a.concatenate([di, df, dg, do], 1), [a.mul(dc, f)]


def _variant(gates: str, coupled: bool = False, linear: bool = False) -> Cell:
    """An LSTM that computes these gates alone, i, f or o being 1 where absent; or i = 1 - f; or h = o c."""

    def step(a: Arithmetic, pre: Matrix, state: list[Matrix]) -> tuple[list[Matrix], tuple[Matrix, ...]]:
        H = pre.shape[1] // len(gates)
        y = {gate: a.columns(pre, slice(k * H, (k + 1) * H)) for k, gate in enumerate(gates)}
        y = {gate: (a.tanh if gate == "g" else a.sigma)(y[gate]) for gate in gates}
        i = a.one_minus(y["f"]) if coupled else y.get("i")
        old = a.mul(y["f"], state[1]) if "f" in y else state[1]
        c = a.add(old, y["g"] if i is None else a.mul(i, y["g"]))
        seen = c if linear else a.tanh(c)
        return [a.mul(y["o"], seen) if "o" in y else seen, c], (y, i, seen)

    def back(a: Arithmetic, kept: tuple, state: list[Matrix], total: list[Matrix]) -> tuple[Matrix, list[Matrix]]:
        (y, i, seen), (_, c), (dh, dc) = kept, state, total
        by_seen = a.mul(dh, y["o"]) if "o" in y else dh
        dc = a.add(dc, by_seen if linear else a.tanh_back(by_seen, seen))
        d = {"i": a.mul(dc, y["g"]), "f": a.mul(dc, c), "o": a.mul(dh, seen)}
        d |= {"f": a.sub(d["f"], d["i"])} if coupled else {}
        d = {gate: a.mul(d[gate], y[gate], a.one_minus(y[gate])) for gate in "ifo" if gate in y}
        d["g"] = a.tanh_back(dc if i is None else a.mul(dc, i), y["g"])
        return a.concatenate([d[gate] for gate in gates], 1), [a.mul(dc, y["f"]) if "f" in y else dc]

    return Cell("hc", step, back)


CELLS = {
    "rnn": Cell("h", _rnn_step, _rnn_back),
    "rnn_relu": Cell("h", _relu_step, _relu_back),
    "lstm": Cell("hc", _lstm_step, _lstm_back),
    "lstm_no_forget": _variant("igo"),
    "lstm_no_input": _variant("fgo"),
    "lstm_no_output": _variant("ifg"),
    "lstm_coupled": _variant("fgo", coupled=True),
    "lstm_linear_output": _variant("ifgo", linear=True),
}


# Layers and directions: a single layer in one direction is the stack of one


Naming = Callable[[str, int, int], str]
"""The name of an output, of what it is, its layer and its direction."""


class _Net(NamedTuple):
    """What stays as it is throughout a call.

    Attributes:
        layers: parameters by layer and direction, absent biases left out.
        masks: by layer but the last, None or the factors of its outputs by step.
        runs: which rows run at each step, (T, B); ways: by direction, 1 from first to last or -1.
    """

    a: Arithmetic
    cell: Cell
    layers: list[list[dict[str, Matrix]]]
    masks: list[list[Matrix] | None]
    runs: np.ndarray
    ways: tuple[int, ...]


def _sequence(
    a: Arithmetic, cell: Cell, params: dict, x: Any, state: Any, lengths: Any, *cotangents: Any, reverse: bool = False
) -> dict[str, Matrix]:
    dh, dlast = cotangents
    call = (x, None if state is None else ((state,),), lengths, dh, ((dlast,),), None)
    return _lifted(a, cell, ((params,),), call, (-1 if reverse else 1,), _plain)


def _stack_of(a: Arithmetic, cell: Cell, layers: Any, *call: Any) -> dict[str, Matrix]:
    named = _lifted(a, cell, layers, call, (1, -1)[: len(layers[0])], _as_in_torch)
    return {name: matrix for name, matrix in named.items() if not name.startswith(("h_t", "c_t"))}


def _plain(name: str, layer: int, direction: int) -> str:
    return name


def _as_in_torch(name: str, layer: int, direction: int) -> str:
    return f"{name}_l{layer}" + "_reverse" * direction


def _second(
    a: Dual, cell: Cell, params: dict, x: Any, state: Any, dh: Any, dlast: Any, direction: Any
) -> dict[str, Matrix]:
    along, along_x, along_state = direction
    moving = {name: a.moving(array, along[name]) for name, array in params.items() if array is not None}
    xs, first = ([a.moving(*pair) for pair in zip(*two, strict=True)] for two in ((x, along_x), (state, along_state)))
    net = _Net(a, cell, [[moving]], [], _runs(x, None), (1,))
    cotangents = [a.constant(step) for step in dh], [[_constants(a, dlast)]]
    named = _answers(net, xs, [[first]], cotangents, _plain)
    return {name: named[name].slope for name in ("x", *moving, *(f"{part}0" for part in cell.parts))}


def _lifted(
    a: Arithmetic, cell: Cell, layers: Any, call: tuple[Any, ...], ways: tuple[int, ...], name: Naming
) -> dict[str, Matrix]:
    """The answers to a call of arrays, which become matrices here, whatever stands at padding set to zero before."""
    x, state, lengths, dh, dlast, masks = call
    runs = _runs(x, lengths)
    state = _grid(lambda params: _zero_state(cell, params, x), layers) if state is None else state
    lifted = _grid(lambda params: {n: a.constant(p) for n, p in params.items() if p is not None}, layers)
    factors = [None] * (len(layers) - 1) if masks is None else [_steps(a, mask, runs) for mask in masks]
    cotangents = None if dh is None else (_steps(a, dh, runs), _grid(lambda parts: _constants(a, parts), dlast))
    net = _Net(a, cell, lifted, factors, runs, ways)
    first = _grid(lambda parts: _constants(a, parts), state)
    return _answers(net, _steps(a, x, runs), first, cotangents, name)


def _answers(net: _Net, xs: list[Matrix], state: Any, cotangents: Any, name: Naming) -> dict[str, Matrix]:
    """All outputs by `name(what, layer, direction)`, gradients where there are cotangents (h by step, last)."""
    a, places, (B, H) = net.a, list(np.ndindex(len(net.layers), len(net.ways))), state[0][0][0].shape
    h, done = _forward_layers(net, xs, state)
    result = {"h": _over_steps(a, h, (B, len(net.ways) * H))}
    for k, d in places:
        result |= {name(f"{part}T", k, d): one for part, one in zip(net.cell.parts, done[k][d].last, strict=True)}
    if cotangents is None:
        return result
    dx, backs = _backward_layers(net, done, *cotangents)
    result["x"] = _over_steps(a, dx, (B, net.layers[0][0]["weight_ih"].shape[1]))
    for k, d in places:
        result |= {name(n, k, d): m for n, m in _gradients(net, net.layers[k][d], done[k][d], backs[k][d]).items()}
    return result


def _forward_layers(net: _Net, xs: list[Matrix], state: Any) -> tuple[list[Matrix], list[list[_Run]]]:
    """The last layer's outputs by step, directions side by side, and every layer's runs by direction."""
    done = []
    for layer, first, mask in zip(net.layers, state, [None, *net.masks], strict=True):
        xs = _times(net.a, xs, mask)
        done.append([_forward(net, p, xs, s, way) for p, s, way in zip(layer, first, net.ways, strict=True)])
        xs = [net.a.concatenate(list(parts), 1) for parts in zip(*(run.h for run in done[-1]), strict=True)]
    return xs, done


def _backward_layers(net: _Net, done: Any, dh: list[Matrix], dlast: Any) -> tuple[list[Matrix], list[list[_Back]]]:
    """The gradient by x by step, and every layer's backwards by direction."""
    backs = []
    for layer, runs, last, mask in reversed(list(zip(net.layers, done, dlast, [None, *net.masks], strict=True))):
        H = last[0][0].shape[1]
        shares = [[net.a.columns(d, slice(n * H, (n + 1) * H)) for d in dh] for n in range(len(layer))]
        backs.insert(0, [_backward(net, *args) for args in zip(layer, runs, shares, last, net.ways, strict=True)])
        dh = _times(net.a, _gradient_of_x(net.a, layer, backs[0]), mask)
    return dh, backs


def _gradient_of_x(a: Arithmetic, layer: list[dict], backs: list[_Back]) -> list[Matrix]:
    """By step, one sum over both directions: for any order of it."""
    steps = zip(*(back.das for back in backs), strict=True)
    return [a.affine([(da, p["weight_ih"]) for da, p in zip(das, layer, strict=True)], []) for das in steps]


def _times(a: Arithmetic, steps: list[Matrix], mask: list[Matrix] | None) -> list[Matrix]:
    return steps if mask is None else [a.mul(*pair) for pair in zip(steps, mask, strict=True)]


def _grid(function: Callable[[Any], Any], grid: Any) -> list[list[Any]]:
    return [[function(entry) for entry in layer] for layer in grid]


def _runs(x: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    T, B, _ = x.shape
    return np.arange(T)[:, None] < (np.full(B, T) if lengths is None else lengths)


def _zero_state(cell: Cell, params: dict, x: np.ndarray) -> list[np.ndarray]:
    return [np.zeros((x.shape[1], params["weight_hh"].shape[1]))] * len(cell.parts)


def _steps(a: Arithmetic, array: np.ndarray, runs: np.ndarray) -> list[Matrix]:
    return _constants(a, np.where(runs[..., None], array, 0))


def _constants(a: Arithmetic, arrays: Any) -> list[Matrix]:
    return [a.constant(array) for array in arrays]


# The time loop of one direction, forward and backward


class _Step(NamedTuple):
    """What the backward needs of a step: x, the state before, what the cell kept."""

    x: Matrix
    state: list[Matrix]
    kept: tuple[Matrix, ...]


class _Run(NamedTuple):
    """A forward: h by step, zero at padding; the last state's parts; the steps. All in the order of x."""

    h: list[Matrix]
    last: list[Matrix]
    steps: list[_Step]


class _Back(NamedTuple):
    """A backward: gradients by every step's pre-activations; by the state carried out of it; by the initial state."""

    das: list[Matrix]
    totals: list[list[Matrix]]
    first: list[Matrix]


def _forward(net: _Net, params: dict[str, Matrix], xs: list[Matrix], state: list[Matrix], way: int) -> _Run:
    a, runs, h, steps = net.a, net.runs, [], []
    W, R = (a.transpose(params[name]) for name in ("weight_ih", "weight_hh"))
    biases = [a.rows(params[name], state[0].shape[0]) for name in PARAMETERS[2:] if name in params]
    zero = a.constant(np.zeros(state[0].shape))
    for t in range(len(xs))[::way]:
        stepped, kept = net.cell.step(a, a.affine([(xs[t], W), (state[0], R)], biases), state)
        steps.append(_Step(xs[t], state, kept))
        state = [a.select(runs[t], new, old) for new, old in zip(stepped, state, strict=True)]
        h.append(a.select(runs[t], state[0], zero))
    return _Run(h[::way], state, steps[::way])


def _backward(
    net: _Net, params: dict[str, Matrix], run: _Run, dh: list[Matrix], dlast: list[Matrix], way: int
) -> _Back:
    a, runs, R, passed, das, totals = net.a, net.runs, params["weight_hh"], dlast, [], []
    zero = a.constant(np.zeros(dlast[0].shape))
    for t in range(len(dh))[::-way]:
        later = (das[-1], runs[t + way]) if das else None
        dh_t = _gradient_of_h(a, dh[t], passed[0], later, R)
        total = [a.select(runs[t], d, zero) for d in (dh_t, *passed[1:])]
        da, others = net.cell.back(a, run.steps[t].kept, run.steps[t].state, total)
        passed = [a.select(runs[t], d, p) for d, p in zip((a.product(da, R), *others), passed, strict=True)]
        das.append(da)
        totals.append(total)
    return _Back(das[::-way], totals[::-way], passed)


def _gradient_of_h(a: Arithmetic, dh: Matrix, passed: Matrix, later: Any, R: Matrix) -> Matrix:
    """The output's cotangent and what comes back through time: one sum where the row runs on, for any order of it."""
    alone = a.add(dh, passed)
    if later is None:
        return alone
    da, runs_on = later
    return a.select(runs_on, a.affine([(da, R)], [dh]), alone)


def _gradients(net: _Net, params: dict[str, Matrix], run: _Run, back: _Back) -> dict[str, Matrix]:
    a, result = net.a, _gradient_of_parameters(net.a, params, run, back)
    for k, part in enumerate(net.cell.parts):
        by_step = _over_steps(a, [total[k] for total in back.totals], back.first[k].shape)
        result |= {f"{part}0": back.first[k], f"{part}_t": by_step}
    return result


def _gradient_of_parameters(a: Arithmetic, params: dict[str, Matrix], run: _Run, back: _Back) -> dict[str, Matrix]:
    """One product over all T*B rows, since every step uses the same weights."""
    rows = [back.das, [step.x for step in run.steps], [step.state[0] for step in run.steps]]
    widths = (params["weight_hh"].shape[0], params["weight_ih"].shape[1], params["weight_hh"].shape[1])
    da, x, h = (
        a.concatenate(steps, 0) if steps else a.constant(np.zeros((0, n)))
        for steps, n in zip(rows, widths, strict=True)
    )
    weights = {"weight_ih": a.outer(da, x), "weight_hh": a.outer(da, h)}
    return weights | {name: a.total(da) for name in PARAMETERS[2:] if name in params}


# Read-out and loss


def _head(a: Arithmetic, weight: np.ndarray, bias: np.ndarray | None, h: np.ndarray, dy: np.ndarray) -> dict:
    N, W = h.shape[0] * h.shape[1], a.constant(weight)
    h_rows, dy_rows = (a.constant(array.reshape(N, array.shape[-1])) for array in (h, dy))
    y = a.affine([(h_rows, a.transpose(W))], [] if bias is None else [a.rows(a.constant(bias), N)])
    result = {"y": a.reshape(y, dy.shape), "h": a.reshape(a.product(dy_rows, W), h.shape)}
    result["weight_hy"] = a.outer(dy_rows, h_rows)
    return result if bias is None else result | {"bias_hy": a.total(dy_rows)}


def _cross_entropy(a: Arithmetic, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None) -> dict:
    """The losses ln s - z_target, z = y - max(y), s = sum exp(z); and p - [target], p = exp(z) / s or exp(z - ln s)."""
    on = np.ones(targets.shape, bool) if mask is None else mask
    y_on, hit = y[on], np.arange(y.shape[-1]) == targets[on][:, None]
    z = a.sub(a.constant(y_on), a.constant(y_on.max(-1, keepdims=True)))
    e = a.exp(z)
    s = a.reshape(a.total(a.transpose(e)), (len(y_on), 1))
    losses = a.sub(a.log(s), a.places(lambda array: array[hit][:, None], z))
    p = a.either(a.div(e, s), a.exp(a.sub(z, a.log(s))))
    dy = a.sub(p, a.constant(hit.astype(np.float64)))
    return {"loss": a.reshape(a.total(losses), ()), "dy": a.scatter(dy, on)}


def _over_steps(a: Arithmetic, steps: list[Matrix], shape: tuple[int, int]) -> Matrix:
    return a.stack(steps) if steps else a.constant(np.zeros((0, *shape)))


# Optimisers: a rule gives an array after every update; settings are numbers, computed and rounded as `setting` says


def _sgd(a: Arithmetic, p: Matrix, gradients: list[Matrix], lr: float) -> Iterator[Matrix]:
    """p - lr g."""
    for g in gradients:
        p = a.sub(p, a.mul(_number(a, lr), g))
        yield p


def _adam(
    a: Arithmetic,
    p: Matrix,
    gradients: list[Matrix],
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Iterator[Matrix]:
    """Kingma, Ba 2015, algorithm 1: the root may be drawn before the correction or after, eps comes after both."""
    mean = square = a.constant(np.zeros(p.shape))
    for n, g in enumerate(gradients, 1):
        mean, square = _running(a, mean, g, beta1), _running(a, square, a.mul(g, g), beta2)
        scale = a.setting(lambda k, n=n: k.div(_number(k, lr), _correction(k, beta1, n)))
        correction = a.setting(lambda k, n=n: _correction(k, beta2, n))
        root = a.setting(lambda k, n=n: k.sqrt(_correction(k, beta2, n)))
        corrected = a.either(a.div(a.sqrt(square), root), a.sqrt(a.div(square, correction)))
        p = a.sub(p, _scaled_quotient(a, scale, mean, a.add(corrected, _number(a, eps))))
        yield p


def _rmsprop(
    a: Arithmetic, p: Matrix, gradients: list[Matrix], lr: float, decay: float = 0.99, eps: float = 1e-8
) -> Iterator[Matrix]:
    """Tieleman, Hinton 2012, lecture 6e; eps is added to the root, as in torch.optim.RMSprop."""
    square = a.constant(np.zeros(p.shape))
    for g in gradients:
        square = _running(a, square, a.mul(g, g), decay)
        p = a.sub(p, _scaled_quotient(a, _number(a, lr), g, a.add(a.sqrt(square), _number(a, eps))))
        yield p


RULES = {"sgd": _sgd, "adam": _adam, "rmsprop": _rmsprop}


def _number(a: Arithmetic, number: float) -> Matrix:
    return a.setting(lambda k: k.constant(np.array([number])))


def _correction(a: Arithmetic, beta: float, n: int) -> Matrix:
    """1 - beta^n, where beta^1 is exact, and other powers are as good as n products."""
    one, factor = (a.constant(np.array([number])) for number in (1.0, beta))
    return a.difference(one, factor if n == 1 else a.mul(one, *[factor] * n))


def _running(a: Arithmetic, mean: Matrix, new: Matrix, decay: float) -> Matrix:
    """decay * mean + (1 - decay) * new, or mean + (1 - decay) * (new - mean)."""
    keep, take = _number(a, decay), a.setting(lambda k: _correction(k, decay, 1))
    sum_of_two = a.add(a.mul(keep, mean), a.mul(take, new))
    return a.either(sum_of_two, a.add(mean, a.mul(take, a.sub(new, mean))))


def _scaled_quotient(a: Arithmetic, scale: Matrix, top: Matrix, bottom: Matrix) -> Matrix:
    """scale * top / bottom, either first."""
    return a.either(a.div(a.mul(scale, top), bottom), a.mul(scale, a.div(top, bottom)))


def _norm(a: Arithmetic, entries: np.ndarray) -> Matrix:
    """The norm of all entries (n,), divided by the largest before and multiplied by it after, as far squares need it.

    That takes more roundings than the root of the sum of squares, or of the squares of each array's norm.
    """
    largest = np.abs(entries).max(initial=0)
    scale = a.constant(np.array([largest or 1.0]))
    parts = a.div(a.constant(entries[:, None]), scale)
    return a.reshape(a.mul(scale, a.sqrt(a.total(a.mul(parts, parts)))), ())


# Groups


def _stack(parts: list[Judged], axis: int) -> Judged:
    return Judged(*(np.stack([getattr(p, n) for p in parts], axis) for n in ("hi", "lo", "bound")))


def _sum(parts: list[Judged], n: int, dtype: str) -> Judged:
    """The sum over E members, each one of n products, hi + lo by Knuth's exact sum of two.

    A subject may sum all E n products at once, in any order. A member's bound holds gamma_n of its own products'
    magnitudes, so gamma_{E n} / gamma_n times all bounds, about E times, hold gamma_{E n} of them.
    """
    carried = Carried(*unit(dtype))
    hi, lo = parts[0].hi, parts[0].lo
    for part in parts[1:]:
        s = hi + part.hi
        back = s - hi
        lo = lo + part.lo + ((hi - (s - back)) + (part.hi - back))
        hi = s
    return Judged(hi, lo, carried.gamma(len(parts) * n) / carried.gamma(n) * sum(p.bound for p in parts))
