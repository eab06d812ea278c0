"""The referee: each cell and its backward once, as plain loops over an abstract arithmetic; nothing of `impl` enters.

`judge` runs a call in balls (the exact values and gradients) and in error-carrying float64 (how far a correct subject
may be off), and gives a `Judged` for every output by name:

    h, hT, cT                                    values; cT for the LSTM alone
    x, weight_ih, weight_hh, bias_ih, bias_hh    gradients, where the cotangents were given
    h0, c0, h_t, c_t                             gradients by the initial state, and by that carried out of each step

Gates stand in the order i, f, g, o. A row stops at its length: its later outputs are exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from properties.arithmetic import Arithmetic, Balls, Carried, Matrix, double_double

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OVER_TIME = ("h", "x", "h_t", "c_t")
"""What has a time axis first; the other outputs are of one step (states) or of the whole call (parameters)."""


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
) -> dict[str, Judged]:
    """What one model must give for a call, by name (see the module's head).

    Args:
        cell: "rnn" or "lstm".
        params: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih, bias_hh (G*H,) or None.
        x: (T, B, D). state: h (and c), each (B, H), or None for zeros. lengths: (B,) or None.
        dh: (T, B, H), cotangent of h; dlast: cotangents of hT (and cT), each (B, H). Without them, values only.
        dtype: that of the subject; alpha: its declared absolute error of sigma and tanh.
    """
    return _judge(lambda a: _sequence(a, CELLS[cell], params, x, state, lengths, dh, dlast), dtype, alpha)


def judge_head(weight: np.ndarray, bias: np.ndarray | None, h: np.ndarray, dy: np.ndarray, *, dtype: str) -> dict:
    """The read-out of one model: y, and the gradients h, weight_hy, bias_hy for the cotangent dy.

    Args:
        weight: (V, H); bias: (V,) or None; h: (T, B, H); dy: (T, B, V).
    """
    return _judge(lambda a: _head(a, weight, bias, h, dy), dtype)


def judge_loss(y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None, *, dtype: str) -> dict[str, Judged]:
    """Softmax cross-entropy of one model, summed over steps and rows: loss () and its gradient dy (T, B, V)."""
    return _judge(lambda a: _cross_entropy(a, y, targets, mask), dtype)


def judge_group(members: list[dict[str, Judged]], shared_x: bool, *, dtype: str) -> dict[str, Judged]:
    """A group's outputs from its members' alone: axis E stands before B in sequences and states, first elsewhere.

    Args:
        members: one result of `judge` a model.
        shared_x: whether the models share one x, whose gradient is then the sum over E.
    """
    group = {n: _stack([m[n] for m in members], 1 if n in OVER_TIME else 0) for n in members[0]}
    if shared_x and "x" in group:
        group["x"] = _sum([m["x"] for m in members], dtype)
    return group


def _judge(formula: Callable[[Arithmetic], dict[str, Matrix]], dtype: str, alpha: float = 0.0) -> dict[str, Judged]:
    exact, carried = formula(Balls()), formula(Carried(*unit(dtype), alpha))
    return {name: _judged(name, ball, carried[name].e) for name, ball in exact.items()}


def _judged(name: str, ball: np.ndarray, bound: np.ndarray) -> Judged:
    hi, lo, radii = double_double(np.asarray(ball, dtype=object))
    wide = radii > 2.0**-20 * bound
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
    return a.mul(dh, a.one_minus(a.mul(h, h))), []


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
    dc = a.add(dc, a.mul(dh, o, a.one_minus(a.mul(tanh_c, tanh_c))))
    di, df, dg, do = a.mul(dc, g), a.mul(dc, c), a.mul(dc, i), a.mul(dh, tanh_c)
    di, df, do = (a.mul(d, s, a.one_minus(s)) for d, s in ((di, i), (df, f), (do, o)))
    dg = a.mul(dg, a.one_minus(a.mul(g, g)))
    return a.concatenate([di, df, dg, do], 1), [a.mul(dc, f)]


CELLS = {"rnn": Cell("h", _rnn_step, _rnn_back), "lstm": Cell("hc", _lstm_step, _lstm_back)}


# The time loop, forward and backward


class _Trace(NamedTuple):
    """What the backward needs of the forward, a list entry a step: x, the state before, what the cell kept."""

    x: list[Matrix]
    state: list[list[Matrix]]
    kept: list[tuple[Matrix, ...]]


def _sequence(a: Arithmetic, cell: Cell, params: dict, x: Any, state: Any, lengths: Any, dh: Any, dlast: Any) -> dict:
    (T, B, _), H = x.shape, params["weight_hh"].shape[1]
    runs = np.arange(T)[:, None] < (np.full(B, T) if lengths is None else lengths)
    first = [np.zeros((B, H))] * len(cell.parts) if state is None else state
    trace, result = _forward(a, cell, params, np.where(runs[..., None], x, 0), first, runs)
    if dh is None:
        return result
    return result | _backward(a, cell, params, trace, np.where(runs[..., None], dh, 0), dlast, runs)


def _forward(a: Arithmetic, cell: Cell, params: dict, x: Any, state: Any, runs: np.ndarray) -> tuple[_Trace, dict]:
    T, B, _ = x.shape
    W, R = (a.transpose(a.constant(params[name])) for name in ("weight_ih", "weight_hh"))
    biases = [_rows(a, params[name], B) for name in ("bias_ih", "bias_hh") if params[name] is not None]
    state, h, trace = [a.constant(part) for part in state], [], _Trace([], [], [])
    zero = a.constant(np.zeros(state[0].shape))
    for t in range(T):
        x_t = a.constant(x[t])
        stepped, kept = cell.step(a, a.affine([(x_t, W), (state[0], R)], biases), state)
        for entries, entry in zip(trace, (x_t, state, kept), strict=True):
            entries.append(entry)
        state = [a.select(runs[t], new, old) for new, old in zip(stepped, state, strict=True)]
        h.append(a.select(runs[t], state[0], zero))
    last = {f"{part}T": value for part, value in zip(cell.parts, state, strict=True)}
    return trace, {"h": _over_steps(a, h, zero.shape), **last}


def _backward(
    a: Arithmetic, cell: Cell, params: dict, trace: _Trace, dh: np.ndarray, dlast: Any, runs: np.ndarray
) -> dict[str, Matrix]:
    T, (B, H), D = len(dh), dlast[0].shape, params["weight_ih"].shape[1]
    W, R, zero = a.constant(params["weight_ih"]), a.constant(params["weight_hh"]), a.constant(np.zeros((B, H)))
    passed, das, dxs, totals = [a.constant(d) for d in dlast], [], [], []
    for t in reversed(range(T)):
        dh_t = _gradient_of_h(a, a.constant(dh[t]), passed[0], das[0] if das else None, R, runs[t + 1 : t + 2])
        total = [a.select(runs[t], d, zero) for d in (dh_t, *passed[1:])]
        da, others = cell.back(a, trace.kept[t], trace.state[t], total)
        passed = [a.select(runs[t], d, p) for d, p in zip((a.product(da, R), *others), passed, strict=True)]
        das, dxs, totals = [da, *das], [a.product(da, W), *dxs], [total, *totals]
    result = {"x": _over_steps(a, dxs, (B, D)), **_gradient_of_parameters(a, params, trace, das, (D, H))}
    for k, part in enumerate(cell.parts):
        result |= {f"{part}0": passed[k], f"{part}_t": _over_steps(a, [total[k] for total in totals], (B, H))}
    return result


def _gradient_of_h(a: Arithmetic, dh: Matrix, passed: Matrix, later: Any, R: Matrix, runs_on: np.ndarray) -> Matrix:
    """The output's cotangent and what comes back through time: one sum where the row runs on, for any order of it."""
    alone = a.add(dh, passed)
    return alone if later is None else a.select(runs_on[0], a.affine([(later, R)], [dh]), alone)


def _gradient_of_parameters(a: Arithmetic, params: dict, trace: _Trace, das: list, sizes: tuple[int, int]) -> dict:
    """One product over all T*B rows, since every step uses the same weights."""
    rows = [das, trace.x, [state[0] for state in trace.state]]
    widths = (len(params["weight_hh"]), *sizes)
    da, x, h = (
        a.concatenate(steps, 0) if steps else a.constant(np.zeros((0, n)))
        for steps, n in zip(rows, widths, strict=True)
    )
    weights = {"weight_ih": a.product(a.transpose(da), x), "weight_hh": a.product(a.transpose(da), h)}
    return weights | {name: a.total(da) for name in PARAMETERS[2:] if params[name] is not None}


# Read-out and loss


def _head(a: Arithmetic, weight: np.ndarray, bias: np.ndarray | None, h: np.ndarray, dy: np.ndarray) -> dict:
    N, W = h.shape[0] * h.shape[1], a.constant(weight)
    h_rows, dy_rows = (a.constant(array.reshape(N, array.shape[-1])) for array in (h, dy))
    y = a.affine([(h_rows, a.transpose(W))], [] if bias is None else [_rows(a, bias, N)])
    result = {"y": a.reshape(y, dy.shape), "h": a.reshape(a.product(dy_rows, W), h.shape)}
    result["weight_hy"] = a.product(a.transpose(dy_rows), h_rows)
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


def _rows(a: Arithmetic, bias: np.ndarray, n: int) -> Matrix:
    return a.constant(np.broadcast_to(bias, (n, len(bias))))


def _over_steps(a: Arithmetic, steps: list[Matrix], shape: tuple[int, int]) -> Matrix:
    return a.stack(steps) if steps else a.constant(np.zeros((0, *shape)))


# Groups


def _stack(parts: list[Judged], axis: int) -> Judged:
    return Judged(*(np.stack([getattr(p, n) for p in parts], axis) for n in ("hi", "lo", "bound")))


def _sum(parts: list[Judged], dtype: str) -> Judged:
    """The sum over members, hi + lo by Knuth's exact sum of two; the bound by the rule of `Carried.total`."""
    gamma = Carried(*unit(dtype)).gamma(len(parts) - 1)
    hi, lo, size = parts[0].hi, parts[0].lo, sum(np.abs(p.hi) + p.bound for p in parts)
    for part in parts[1:]:
        s = hi + part.hi
        back = s - hi
        lo = lo + part.lo + ((hi - (s - back)) + (part.hi - back))
        hi = s
    return Judged(hi, lo, sum(p.bound for p in parts) + gamma * size)
