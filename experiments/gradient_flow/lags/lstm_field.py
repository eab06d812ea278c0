"""The LSTM's mean field at initialisation: its state's moments forward in time, its total gradient back.

For large H the pre-activations of a unit are Gaussian and independent between gates and units. Each has a part that
stays for the whole run (its biases; what the lasting part of h does to it through the recurrent weights) and a part
that is new at every step (the input; the rest of h). A unit is therefore a node: its chrono time scale, if any, and
the lasting parts z_i, z_f, z_g, z_o, all standard normal. Given the node, steps are independent, and c is Gaussian.

    a = b + sqrt(bias + Q/3) z_lasting + sqrt(D/(3 H) + R/3) z_new,   Q = E (E[h | node])^2,   R = E h^2 - Q
    c' = f c + i g,   h' = o tanh(c')                                       (moments of c and tanh c given the node)

Back in time, delta_n is the gradient by c at step T-n, and the gradients dh_n by h form a Gaussian process over lags,
the same for all nodes, whose covariance Delta passes through the recurrent weights of all four gates. "Twice" means at
step T-n times at step T-m; the c beside f' is that before the step:

    delta_n = f delta_{n-1} + o (1 - tanh^2 c) dh_n,   P(n, m) = E[delta_n delta_m | node],   Delta(0, 0) = 1
    3 Delta(n+1, m+1) = E[o' tanh c, twice] Delta(n, m) + E[P(n, m) ([f' c, twice] + [i' g, twice] + [i g', twice])]
    |dL/ds_{T-n}|^2 / |dL/ds_T|^2 = Delta(n, n) + E[f^2 P(n-1, n-1)]

The covariance at two lags matters since the weights are the same at every step: paths that go through them equally
often, at different steps, add up. With fresh weights at every step (Delta(n, m) = 0 for n != m) the gradient would
decay faster. In the linear corner (every gate constant, c small) what comes out is the mean square of (f + i o W)^n,
whose growth per step is f + i o / sqrt(3), the spectral radius.

Layers upon each other. Upper input weights have H columns and the same variance 1/(3 H), but are another matrix. So a
layer k > 1 has Q/3 and R/3 of the layer below in the place of 0 and D/(3 H), beside its own; and back, with 3 S for the
right-hand side above, what a layer passes on through either matrix, the parts that arrive by both ways add up:

    Delta^k(n, m) = S^k(n-1, m-1) + S^{k+1}(n, m),   S^k = 0 at a negative lag,   above the top layer S(0, 0) = 1

Assumed: H to infinity at a fixed lag; the gradient counts as independent of the forward run; h either lasts or is new.
Source: derived here, after Sompolinsky, Crisanti, Sommers 1988; fresh weights: Gilboa et al. 2019 (arXiv 1901.08987).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from experiments.gradient_flow.quadrature import half_line, hermite, legendre, line
from experiments.gradient_flow.starts import Start
from impl.spec import tree_map

GATES = "ifgo"
FUNCTIONS = {"i": expit, "f": expit, "g": np.tanh, "o": expit}
SLOPES = {"i": lambda y: y * (1 - y), "f": lambda y: y * (1 - y), "g": lambda y: 1 - y * y, "o": lambda y: y * (1 - y)}
RECURRENT = 1 / 3
"""H times the variance of a recurrent weight uniform in +-1/sqrt(H)."""


Rule = Callable[[float, float, int], tuple[np.ndarray, np.ndarray]]
"""Nodes and weights of a uniform variable between two ends."""


class Pair(NamedTuple):
    """A quantity's mean and mean square given the node, (K,) at a step or (T, K) over steps."""

    mean: np.ndarray
    square: np.ndarray


class Gates(NamedTuple):
    """One Pair a gate."""

    i: Pair
    f: Pair
    g: Pair
    o: Pair


class Nodes(NamedTuple):
    """The quadrature over units: weight (K,), the biases (K,), the lasting parts z (K,) and their bias variance.

    Many nodes are alike in what a function asks of them, which is then computed once: `alike` names the first of those
    that are alike and, (K,), which of them a node is; by gate, and under "c" in all that the cell depends on.
    """

    weight: np.ndarray
    bias: dict[str, np.ndarray]
    z: dict[str, np.ndarray]
    lasting: dict[str, float]
    alike: dict[str, tuple[np.ndarray, np.ndarray]]


class Step(NamedTuple):
    """Moments given the node, (K,) at one step or (T, K) over steps.

    gate, slope: i, f, g, o and their derivatives by the pre-activation. log_f: E ln f. mean, variance: of c before the
    step. tanh, open: tanh c and 1 - tanh^2 c after it. square: E h^2 over all nodes, a number or (T,).
    """

    gate: Gates
    slope: Gates
    log_f: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    tanh: Pair
    open: Pair
    square: np.ndarray


class Factors(NamedTuple):
    """What depends on one lag alone in what h gets from a step, (T, K) by lag: of three of the terms, and of what comes
    through o. kept: of the fourth, the slope of f times the forget gates' product between the lag and lag n, which
    `hidden_covariance` takes from one n to the next."""

    terms: tuple[np.ndarray, ...]
    by_h: np.ndarray
    kept: np.ndarray


class Field(NamedTuple):
    """The nodes' weight (K,) and the moments of steps 1..T."""

    weight: np.ndarray
    steps: Step


def nodes(start: Start, H: int, T: int, scales: Rule | None = None) -> Nodes:
    """The units of a start: chrono's time scales u in [1, T - 1], by a rule, and the lasting parts of each gate.

    z_g may be taken positive: g and c are odd in it, and every average is even. It sets how far c runs, so it has many
    nodes; the other gates move little and have two.
    """
    chrono = start.kind == "chrono"
    u, weight_u = (scales or legendre)(1.0, T - 1.0, 8) if chrono else (np.ones(1), np.ones(1))
    axes = [np.arange(len(u)), *(np.arange(2) for _ in "ifo"), np.arange(len(half_line()[0]))]
    k, *two, g = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    z = {gate: hermite(2)[0][index] for gate, index in zip("ifo", two, strict=True)} | {"g": half_line()[0][g]}
    b_f = np.log(u[k]) if chrono else np.full(len(k), start.value)
    bias = {"i": -b_f if chrono else 0 * b_f, "f": b_f, "g": 0 * b_f, "o": 0 * b_f}
    exact = {"chrono": "if", "forget_bias": "f"}.get(start.kind, "")
    lasting = {gate: 0.0 if gate in exact else 2 / (3 * H) for gate in GATES}
    alike = {gate: first_of_each(bias[gate], z[gate]) for gate in GATES}
    alike["c"] = first_of_each(*(part[gate] for part in (bias, z) for gate in "ifg"))
    return Nodes(weight_u[k] * half_line()[1][g] / 8, bias, z, lasting, alike)


def first_of_each(*given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of the nodes that are alike in some numbers (K,) each, and which of these every node is like, (K,)."""
    _, first, which = np.unique(np.stack(given), axis=1, return_index=True, return_inverse=True)
    return first, which.reshape(-1)


@cache
def field(start: Start, D: int, H: int, T: int) -> Field:
    """The moments of an LSTM's gates and state over T steps from h = c = 0."""
    return driven(nodes(start, H, T), np.zeros(T), np.full(T, D / (3 * H)))


@cache
def fields(start: Start, D: int, H: int, T: int, layers: int) -> tuple[Field, ...]:
    """The moments of each layer of a stack, from the lowest."""
    units = nodes(start, H, T, even_in_logarithm)
    if layers == 1:
        return (driven(units, np.zeros(T), np.full(T, D / (3 * H))),)
    below = fields(start, D, H, T, layers - 1)  # what lies above changes nothing here
    weight, steps = below[-1]
    Q = (steps.gate.o.mean * steps.tanh.mean) ** 2 @ weight
    return (*below, driven(units, Q, RECURRENT * (steps.square - Q)))


def even_in_logarithm(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A uniform variable on [low, high] by Gauss-Legendre in its logarithm.

    Chrono's units of short time scales are few, but what goes down to the layer below goes through them: E i^2, i =
    1 / (1 + u), is 1/240 at T = 120; 8 nodes even in u make it 14 % less, these 2e-8.
    """
    y, weight = legendre(np.log(low), np.log(high), n)
    return np.exp(y), weight * np.exp(y) / (weight @ np.exp(y))


def driven(units: Nodes, lasting: np.ndarray, new: np.ndarray) -> Field:
    """The moments of a layer over steps 1..T from h = c = 0.

    Args:
        units: its nodes.
        lasting: (T,), Q of the layer below, 0 for the lowest.
        new: (T,), the variance that what is new in the input gives a pre-activation.
    """
    mean = variance = np.zeros(len(units.weight))
    Q = R = 0.0
    steps = []
    for t in range(len(new)):
        gate, slope, log_f = gates(units, Q + lasting[t], new[t] + RECURRENT * R)
        mean_next, variance_next = cell(gate, mean, variance)
        first, which = units.alike["c"]
        tanh, open_ = tree_map(lambda a, which=which: a[which], squashed(mean_next[first], variance_next[first]))
        Q = units.weight @ (gate.o.mean * tanh.mean) ** 2
        R = units.weight @ (gate.o.square * tanh.square) - Q
        steps.append(Step(gate, slope, log_f, mean, variance, tanh, open_, Q + R))
        mean, variance = mean_next, variance_next
    return Field(units.weight, tree_map(lambda *each: np.stack(each), *steps))


def gates(units: Nodes, Q: float, new: float) -> tuple[Gates, Gates, np.ndarray]:
    """The four gates and their slopes given the node, and E ln f, where `new` is the variance of what is new."""
    z, weight = hermite(12)
    gate, slope = {}, {}
    for name in GATES:
        first, which = units.alike[name]
        lasting = np.sqrt(units.lasting[name] + RECURRENT * Q) * units.z[name][first]
        a = (units.bias[name][first] + lasting)[:, None] + np.sqrt(new) * z
        y = FUNCTIONS[name](a)
        gate[name], slope[name] = (Pair(*(moment[which] for moment in pair(of, weight))) for of in (y, SLOPES[name](y)))
        if name == "f":
            log_f = (log_expit(a) @ weight)[which]
    return Gates(**gate), Gates(**slope), log_f


def cell(gate: Gates, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of c' = f c + i g given the node."""
    i, f, g, _ = gate
    fresh = i.mean * g.mean
    square = f.square * (variance + mean**2) + 2 * f.mean * mean * fresh + i.square * g.square
    after = f.mean * mean + fresh
    return after, np.maximum(square - after**2, 0)


def squashed(mean: np.ndarray, variance: np.ndarray) -> tuple[Pair, Pair]:
    """tanh c and 1 - tanh^2 c given the node, for a Gaussian c."""
    z, weight = line(41, 6.0)
    y = np.tanh(mean[:, None] + np.sqrt(variance)[:, None] * z)
    return pair(y, weight), pair(1 - y * y, weight)


def pair(values: np.ndarray, weight: np.ndarray) -> Pair:
    """Mean and mean square over the last axis."""
    return Pair(values @ weight, values**2 @ weight)


def total(moments: Field) -> np.ndarray:
    """log10 of |dL/ds_{T-n}| / |dL/ds_T| for n = 0..T, (T + 1,), s = (h, c)."""
    return by_layer((moments,))[0]


def by_layer(stack: tuple[Field, ...]) -> np.ndarray:
    """log10 of |dL/ds_{T-n}| / |v| by layer, from the lowest, and n = 0..T, (layers, T + 1); L = v . h_T of the top."""
    T, rows = len(stack[0].steps.square), []
    passed = np.zeros((T + 1, T + 1))
    passed[0, 0] = 1.0
    for moments in reversed(stack):
        squares, passed = through(moments, passed)
        rows.append(0.5 * np.log10(squares))
    return np.array(rows[::-1])


def through(moments: Field, above: np.ndarray) -> tuple[list[float], np.ndarray]:
    """The gradient back in time through one layer, and down.

    Args:
        moments: of the layer.
        above: (T + 1, T + 1), S of the layer above by two lags: the covariance of what arrives at h from there.
    Returns:
        |dL/ds|^2 over |v|^2 by lag 0..T; and S of this layer, (T + 1, T + 1).
    """
    weight, back = moments.weight, tree_map(lambda each: each[::-1], moments.steps)  # the index is now the lag
    delta, down = above.copy(), np.zeros_like(above)
    P, squares, across = np.zeros((0, len(weight))), [delta[0, 0]], hidden_factors(back)
    for n in range(len(back.square)):
        P = cell_covariance(back, n, P, delta)
        S = hidden_covariance(back, across, n, P, delta, weight)
        down[n, : n + 1] = down[: n + 1, n] = S
        delta[n + 1, 1 : n + 2] += S
        delta[1 : n + 2, n + 1] = delta[n + 1, 1 : n + 2]
        squares.append(delta[n + 1, n + 1] + weight @ (back.gate.f.square[n] * P[n]))
    return squares, down


def cell_covariance(back: Step, n: int, P: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """P(n, m) for m = 0..n, (n + 1, K), from P(n-1, m) and Delta."""
    f, o = back.gate.f, back.gate.o
    k = o.mean[: n + 1] * back.open.mean[: n + 1]
    mixed = k * delta[n, : n + 1, None]  # E[dh_n delta_m | node]
    for m in range(1, n + 1):
        mixed[m] += f.mean[m - 1] * mixed[m - 1]
    row = k[n] * mixed
    row[n] = o.square[n] * back.open.square[n] * delta[n, n]
    if n:
        row[:n] += f.mean[n - 1] * P
        row[n] += f.square[n - 1] * P[n - 1] + 2 * k[n] * f.mean[n - 1] * mixed[n - 1]
    return row


def hidden_factors(back: Step) -> Factors:
    """What `hidden_covariance` multiplies."""
    i, f, g, _ = back.gate
    di, df, dg, do = back.slope
    terms = (back.mean * df.mean, g.mean * di.mean, i.mean * dg.mean)
    return Factors(terms, do.mean * back.tanh.mean, np.empty_like(f.mean))


def hidden_covariance(
    back: Step, across: Factors, n: int, P: np.ndarray, delta: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """S(n, m) for m = 0..n, (n + 1,): what h one step before, and the layer below at the same step, get from here.

    For m < n means multiply, so that each of the four terms is a sum over nodes of a factor of n and one of m.
    """
    i, f, g, _ = back.gate
    di, df, dg, do = back.slope
    across.kept[:n] *= f.mean[n]
    across.kept[n] = df.mean[n]
    pairs = (weight * back.variance[n] * df.mean[n]) * across.kept[: n + 1]
    for term in across.terms:
        pairs += (weight * term[n]) * term[: n + 1]
    S = delta[n, : n + 1] * (across.by_h[: n + 1] @ (weight * across.by_h[n])) + np.einsum("mk,mk->m", P, pairs)
    squares = (back.mean[n] ** 2 + back.variance[n]) * df.square[n]
    squares = squares + g.square[n] * di.square[n] + i.square[n] * dg.square[n]
    S[n] = weight @ (delta[n, n] * do.square[n] * back.tanh.square[n] + P[n] * squares)
    return RECURRENT * S
