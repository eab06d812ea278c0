"""The referee: each cell and its backward once, as plain loops over an abstract arithmetic; nothing of `impl` enters.

`judge` runs a call in balls (the exact values and gradients) and in error-carrying float64 (how far a correct subject may
be off), and gives a `Judged` for every output by name:

    h, hT, cT                                      values; cT for the LSTM alone
    x, weight_ih, weight_hh, bias_ih, bias_hh      gradients, where the cotangents were given
    h0, c0, h_t, c_t                               gradients by the initial state, and by the state carried out of each step

Gates stand in the order i, f, g, o. A row stops at its length: its later outputs are exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from properties.arithmetic import Balls, Carried, double_double


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
    u, eta = unit(dtype)
    runs = [_run(a, cell, params, x, state, lengths, dh, dlast) for a in (Balls(), Carried(u, eta, alpha))]
    return {name: _judged(ball, runs[1][name].e) for name, ball in runs[0].items()}


def judge_head(weight: np.ndarray, bias: np.ndarray | None, h: np.ndarray, dy: np.ndarray, *, dtype: str) -> dict:
    """The read-out of one model: y, and the gradients h, weight_hy, bias_hy for the cotangent dy.

    Args:
        weight: (V, H); bias: (V,) or None; h: (T, B, H); dy: (T, B, V).
    """
    results = []
    for a in (Balls(), Carried(*unit(dtype))):
        rows, W, d = a.constant(h.reshape(-1, h.shape[-1])), a.constant(weight), a.constant(dy.reshape(-1, dy.shape[-1]))
        terms = [] if bias is None else [_row(a, bias, _height(rows))]
        result = {"y": a.affine([(rows, a.transpose(W))], terms), "h": a.product(d, W)}
        result["weight_hy"] = a.product(a.transpose(d), rows)
        results.append(result if bias is None else result | {"bias_hy": a.total(d)})
    shapes = {"y": dy.shape, "h": h.shape}
    judged = {name: _judged(ball, results[1][name].e) for name, ball in results[0].items()}
    return {name: _reshape(j, shapes.get(name, j.hi.shape)) for name, j in judged.items()}


def judge_loss(y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None, *, dtype: str) -> dict[str, Judged]:
    """Softmax cross-entropy of one model, summed over steps and rows: loss () and its gradient dy (T, B, V).

    With z = y - max(y), s = sum exp(z), l = ln s - z_target. Subtraction errs by u |z_j|, so exp(z_j) by a relative
    r_j = (u |z_j| + rho)(1 + u); s by a relative R = sum p_j r_j + gamma_V; ln s by R + rho |ln s|; l by gamma_2 of its two terms more
    (doubled where first-order terms are dropped: each r_j, R << 1). p_j = exp(z_j) / s errs by p_j (r_j + R + u).
    """
    V, (u, eta) = y.shape[-1], unit(dtype)
    on = np.ones(targets.shape, bool) if mask is None else mask
    rows, wanted = y[on].astype(np.float64), targets[on]
    exact = [_cross_entropy(row, int(k)) for row, k in zip(Balls().constant(rows), wanted, strict=True)]
    z = rows - rows.max(-1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    r = 1.01 * (u * np.abs(z) + 4 * u)
    gamma = Carried(u, eta).gamma
    R = (p * r).sum(-1) + gamma(V)
    ln_s, z_t = np.log(np.exp(z).sum(-1)), np.take_along_axis(z, wanted[:, None], -1)[:, 0]
    e = 1.01 * R + 4 * u * (np.abs(ln_s) + R) + gamma(2) * (np.abs(ln_s) + np.abs(z_t) + R) + eta
    n, magnitude = len(wanted), np.abs(ln_s - z_t) + e
    loss_exact = np.array(sum((loss for loss, _ in exact), Balls().constant(np.zeros(()))[()]), dtype=object)
    dy = Balls().constant(np.zeros(y.shape))
    if n:
        dy[on] = np.stack([gradient for _, gradient in exact])
    e_dy = np.zeros(y.shape)
    e_dy[on] = 1.01 * p * (r + R[:, None] + u) + gamma(1) * (p + (np.arange(V) == wanted[:, None])) + eta
    return {"loss": _judged(loss_exact, e.sum() + gamma(n - 1) * magnitude.sum()), "dy": _judged(dy, e_dy)}


def judge_group(members: list[dict[str, Judged]], shared_x: bool, *, dtype: str) -> dict[str, Judged]:
    """A group's outputs from its members' alone: axis E stands before B in sequences and states, first elsewhere.

    Args:
        members: one result of `judge` a model.
        shared_x: whether the models share one x, whose gradient is then the sum over E.
    """
    over_time = {"h", "x", "h_t", "c_t"}
    group = {n: _stack([m[n] for m in members], 1 if n in over_time else 0) for n in members[0]}
    if shared_x and "x" in group:
        group["x"] = _sum([m["x"] for m in members], dtype)
    return group


def _run(a: Any, cell: str, params: dict, x: np.ndarray, state: Any, lengths: Any, dh: Any, dlast: Any) -> dict:
    T, B, _ = x.shape
    H = params["weight_hh"].shape[1]
    runs = np.arange(T)[:, None] < (np.full(B, T) if lengths is None else lengths)
    xs = [a.constant(np.where(runs[t][:, None], x[t], 0)) for t in range(T)]
    W, R = a.constant(params["weight_ih"]), a.constant(params["weight_hh"])
    biases = [_row(a, params[name], B) for name in ("bias_ih", "bias_hh") if params[name] is not None]
    state = [a.constant(s) for s in state] if state is not None else [a.constant(np.zeros((B, H)))] * _parts(cell)
    forward, steps, outputs = _FORWARD[cell], [], []
    zero = a.constant(np.zeros((B, H)))
    for t in range(T):
        pre = a.affine([(xs[t], a.transpose(W)), (state[0], a.transpose(R))], biases)
        following, kept = forward(a, pre, state)
        steps.append((state, kept))
        state = [a.select(runs[t], new, old) for new, old in zip(following, state, strict=True)]
        outputs.append(a.select(runs[t], state[0], zero))
    result = {"h": _stacked(outputs, (B, H)), **dict(zip(("hT", "cT"), state, strict=False))}
    if dh is None:
        return result
    return result | _backward(a, cell, params, W, R, xs, steps, runs, dh, dlast)


def _backward(a: Any, cell: str, params: dict, W: Any, R: Any, xs: list, steps: list, runs: Any, dh: Any, dlast: Any) -> dict:
    T, (B, H), G = len(steps), dlast[0].shape, 4 if cell == "lstm" else 1
    zero = a.constant(np.zeros((B, H)))
    passed = [a.constant(d) for d in dlast]
    products, das, dxs, totals = [], [], [], []
    for t in reversed(range(T)):
        out = a.constant(np.where(runs[t][:, None], dh[t], 0))
        # dL/dh_t is one sum: the output's cotangent, and what later steps or the last state hand back.
        dh_t = a.affine(products, [out]) if products else a.add(out, passed[0])
        dh_t = dh_t if not products else a.select(_still(runs, t), dh_t, a.add(out, passed[0]))
        total = [a.select(runs[t], d, zero) for d in (dh_t, *passed[1:])]
        da, others = _BACKWARD[cell](a, steps[t], total)
        products = [(da, R)]
        passed = [a.select(runs[t], d, p) for d, p in zip((a.product(da, R), *others), passed, strict=True)]
        das, dxs, totals = [da, *das], [a.product(da, W), *dxs], [total, *totals]
    rows = a.concatenate(das, 0) if T else a.constant(np.zeros((0, G * H)))
    x_rows = a.concatenate(xs, 0) if T else a.constant(np.zeros((0, W[0].shape[-1] if T else params["weight_ih"].shape[1])))
    h_rows = a.concatenate([state[0] for state, _ in steps], 0) if T else a.constant(np.zeros((0, H)))
    result = {"x": _stacked(dxs, (B, params["weight_ih"].shape[1]))}
    result |= {"weight_ih": a.product(a.transpose(rows), x_rows), "weight_hh": a.product(a.transpose(rows), h_rows)}
    result |= {name: a.total(rows) for name in ("bias_ih", "bias_hh") if params[name] is not None}
    result |= dict(zip(("h0", "c0"), passed, strict=False))
    return result | {f"{n}_t": _stacked([total[k] for total in totals], (B, H)) for k, n in enumerate("hc"[: len(passed)])}


def _still(runs: np.ndarray, t: int) -> np.ndarray:
    return runs[t + 1] if t + 1 < len(runs) else np.zeros(runs.shape[1], bool)


def _rnn_forward(a: Any, pre: Any, state: list) -> tuple[list, tuple]:
    h = a.tanh(pre)
    return [h], (h,)


def _rnn_backward(a: Any, step: tuple, total: list) -> tuple[Any, tuple]:
    _, (h,) = step
    return a.mul(total[0], a.one_minus(a.mul(h, h))), ()


def _lstm_forward(a: Any, pre: Any, state: list) -> tuple[list, tuple]:
    H = _width(pre) // 4
    i, f, g, o = (a.columns(pre, slice(k * H, (k + 1) * H)) for k in range(4))
    i, f, g, o = a.sigma(i), a.sigma(f), a.tanh(g), a.sigma(o)
    c = a.add(a.mul(f, state[1]), a.mul(i, g))
    tanh_c = a.tanh(c)
    return [a.mul(o, tanh_c), c], (i, f, g, o, tanh_c)


def _lstm_backward(a: Any, step: tuple, total: list) -> tuple[Any, tuple]:
    (_, c), (i, f, g, o, tanh_c) = step
    dh, dc = total
    dc = a.add(dc, a.mul(dh, o, a.one_minus(a.mul(tanh_c, tanh_c))))
    di, df, dg, do = a.mul(dc, g), a.mul(dc, c), a.mul(dc, i), a.mul(dh, tanh_c)
    slopes = [a.mul(s, a.one_minus(s)) for s in (i, f, o)]
    da = [a.mul(di, slopes[0]), a.mul(df, slopes[1]), a.mul(dg, a.one_minus(a.mul(g, g))), a.mul(do, slopes[2])]
    return a.concatenate(da, 1), (a.mul(dc, f),)


_FORWARD = {"rnn": _rnn_forward, "lstm": _lstm_forward}
_BACKWARD = {"rnn": _rnn_backward, "lstm": _lstm_backward}


def _parts(cell: str) -> int:
    return {"rnn": 1, "lstm": 2}[cell]


def _cross_entropy(row: np.ndarray, k: int) -> tuple[Any, np.ndarray]:
    exps = np.array([value.exp() for value in row], dtype=object)
    s = exps.sum()
    return s.log() - row[k], exps / s - (np.arange(len(row)) == k).astype(int)


def _row(a: Any, bias: np.ndarray, B: int) -> Any:
    return a.constant(np.broadcast_to(bias, (B, bias.shape[0])))


def _height(a: Any) -> int:
    return len(a[0]) if isinstance(a, tuple) else len(a)


def _width(a: Any) -> int:
    return (a[0] if isinstance(a, tuple) else a).shape[1]


def _stacked(steps: list, shape: tuple[int, int]) -> Any:
    if steps and isinstance(steps[0], tuple):
        return type(steps[0])(*(np.stack(arrays) for arrays in zip(*steps, strict=True)))
    return np.stack(steps) if steps else _Empty(np.zeros((0, *shape)), np.zeros((0, *shape)))


class _Empty(tuple):
    """No steps at all: serves either arithmetic."""

    def __new__(cls, v: np.ndarray, e: np.ndarray) -> _Empty:
        made = super().__new__(cls, (v, e))
        made.v, made.e = v, e
        return made


def _judged(ball: Any, bound: Any) -> Judged:
    if isinstance(ball, _Empty):
        return Judged(ball.v, ball.v, ball.v)
    hi, lo = double_double(np.asarray(ball, dtype=object))
    return Judged(hi, lo, np.asarray(bound, dtype=np.float64))


def _reshape(j: Judged, shape: tuple[int, ...]) -> Judged:
    return Judged(j.hi.reshape(shape), j.lo.reshape(shape), j.bound.reshape(shape))


def _stack(parts: list[Judged], axis: int) -> Judged:
    return Judged(*(np.stack([getattr(p, n) for p in parts], axis) for n in ("hi", "lo", "bound")))


def _sum(parts: list[Judged], dtype: str) -> Judged:
    gamma = Carried(*unit(dtype)).gamma(len(parts) - 1)
    hi, lo, magnitude = parts[0].hi, parts[0].lo, sum(np.abs(p.hi) + p.bound for p in parts)
    for part in parts[1:]:
        s = hi + part.hi
        back = s - hi
        lo = lo + part.lo + ((hi - (s - back)) + (part.hi - back))
        hi = s
    return Judged(hi, lo, sum(p.bound for p in parts) + gamma * magnitude)
