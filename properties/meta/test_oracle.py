"""The referee as a whole: its backward by finite differences at 200 bits, its bounds by simulated subjects.

Optimisers and norms, whose rules are formulas without a loop over time, stand in a section of their own.
"""

import importlib
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from flint import arb

from impl.numpy_twin import optim as numpy_optim
from impl.spec import COMMON, GATES, VARIANTS, block
from impl.torch_twin import optim as torch_optim
from properties import oracle
from properties.arithmetic import Balls, Carried, Dual
from properties.cases import Plan, judge, member, member_cotangent
from properties.meta.simulated import Simulated
from properties.oracle import CELLS, Judged

STEP = arb(2) ** -60
NEAR = 2.0**-100  # central differences err by STEP^2 = 2^-120 times a third derivative


class Open(Balls):
    """Balls that also take balls as inputs, so that these can be nudged by less than a float64 resolves."""

    def constant(self, a):
        """See Balls."""
        return a if a.dtype == object else super().constant(a)


def nudged(array, place, step):
    """The array as balls, one of them moved."""
    balls = Balls().constant(array)
    balls[place] += step
    return balls


def check_gradient(loss, arguments, gradients):
    """Every entry of every gradient is the central difference of the loss by that entry of that argument.

    Args:
        loss: a function of a dict of arrays, a ball.
        arguments: the arrays by name; gradients: balls by the same names.
    """
    for name, array in arguments.items():
        for place in np.ndindex(array.shape):
            ahead, behind = (loss(arguments | {name: nudged(array, place, s)}) for s in (STEP, -STEP))
            difference = (ahead - behind) / (2 * STEP)
            off = abs(difference - gradients[name][place])
            assert off < NEAR * (1 + abs(difference)), f"{name}{place}: {difference} is not {gradients[name][place]}"


PLANS = {
    "both biases": Plan(3, 2, 3, 2, seed=1),
    "no biases": Plan(3, 1, 2, 3, seed=2, biases="none"),
    "one bias": Plan(3, 2, 1, 3, seed=3, biases="ih"),
    "the other bias": Plan(3, 2, 1, 3, seed=4, biases="hh"),
    "lengths": Plan(4, 3, 2, 2, seed=5, lengths=(2, 0, 4)),
    "lengths, in reverse": Plan(4, 3, 2, 2, seed=5, lengths=(2, 0, 4)),
}


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("name", PLANS)
def test_the_referees_backward_is_the_central_difference_of_its_forward(name, cell):
    """By every entry of x, every parameter, h0 and c0, with a step of 2^-60 in balls of 200 bits."""
    reverse = "reverse" in name
    case = PLANS[name].case(cell, "float64")
    call, cotangent, parts = case.call, case.cotangent, CELLS[cell].parts
    given = {n: a for n, a in call.params._asdict().items() if a is not None}
    states = {f"{part}0": a for part, a in zip(parts, call.state, strict=True)}

    def run(named, *cotangents):
        params = dict.fromkeys(oracle.PARAMETERS) | {n: named[n] for n in given}
        state = [named[f"{part}0"] for part in parts]
        args = (CELLS[cell], params, named["x"], state, call.lengths, *(cotangents or (None, None)))
        return oracle._sequence(Open(), *args, reverse=reverse)

    def loss(named):
        outputs = run(named)
        pairs = [
            (outputs["h"], cotangent.h),
            *((outputs[f"{p}T"], d) for p, d in zip(parts, cotangent.last, strict=True)),
        ]
        return sum((Balls().constant(d) * value).sum() for value, d in pairs)

    arguments = {"x": call.x, **given, **states}
    check_gradient(loss, arguments, run(arguments, cotangent.h, cotangent.last))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("cell", COMMON)
def test_the_gradient_by_a_carried_state_is_that_of_the_rest_of_the_sequence(cell, reverse):
    """At every cut: dh_t plus what the remaining steps give for their initial state; at the end, the last cotangent."""
    case = Plan(4, 2, 3, 2, seed=6).case(cell, "float64")
    call, (dh, dlast), parts = case.call, case.cotangent, CELLS[cell].parts
    run = lambda x, state, *d: oracle._sequence(  # noqa: E731
        Open(), CELLS[cell], call.params._asdict(), x, state, None, *d, reverse=reverse
    )
    whole = run(call.x, call.state, dh, dlast)
    for t in range(4):
        before, after = (slice(t, 4), slice(0, t)) if reverse else (slice(0, t + 1), slice(t + 1, 4))
        early = run(call.x[before], call.state, None, None)
        rest = run(call.x[after], [early[f"{part}T"] for part in parts], dh[after], dlast)
        for part in parts:
            wanted = rest[f"{part}0"] + (Balls().constant(dh[t]) if part == "h" else 0)
            assert overlap(whole[f"{part}_t"][t], wanted)


def overlap(one, other):
    """Whether all balls of two arrays of one shape meet."""
    pairs = zip(one.ravel(), other.ravel(), strict=True)
    return one.shape == other.shape and all(a.overlaps(b) for a, b in pairs)


@pytest.mark.parametrize("cell", COMMON)
def test_the_reverse_direction_is_the_forward_one_on_each_rows_own_steps_reversed(cell):
    """In values, gradients and bounds; nothing else changes but the order of what has a time axis."""
    case = Plan(5, 4, 3, 2, seed=7, lengths=(5, 0, 2, 3)).case(cell, "float32")
    call, cotangent = case.call, case.cotangent
    order = np.array([[n - 1 - t if t < n else t for n in call.lengths] for t in range(5)])
    turned = lambda array: np.take_along_axis(array, order[..., None], 0)  # noqa: E731
    args = (call.state, call.lengths)
    judged = oracle.judge(cell, call.params._asdict(), call.x, *args, *cotangent, dtype="float32", reverse=True)
    x, dh = turned(call.x), turned(cotangent.h)
    wanted = oracle.judge(cell, call.params._asdict(), x, *args, dh, cotangent.last, dtype="float32")
    for name, one in judged.items():
        same = turned if name in oracle.OVER_TIME else np.asarray
        assert np.array_equal(one.hi, same(wanted[name].hi)), name
        assert np.allclose(one.bound, same(wanted[name].bound), rtol=1e-12, atol=1e-36), name  # padding holds etas


# Stacks: two or three layers of one or two directions, with lengths and masks


def stack_case(cell, dtype, sizes, seed, scale=1.0):
    """The arguments of `judge_stack`; `sizes` holds T, B, D, H, the number of layers and that of directions."""
    (T, B, D, H, L, directions), G, rng = sizes, 4 if cell == "lstm" else 1, np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: E731
    weights = lambda *shape: (scale * normal(*shape)).astype(dtype)  # noqa: E731
    grid = lambda one: tuple(tuple(one(k) for _ in range(directions)) for k in range(L))  # noqa: E731
    state = lambda k: tuple(normal(B, H) for _ in CELLS[cell].parts)  # noqa: E731
    layers = grid(
        lambda k: {
            "weight_ih": weights(G * H, directions * H if k else D),
            "weight_hh": weights(G * H, H),
            "bias_ih": normal(G * H) if seed % 3 else None,
            "bias_hh": normal(G * H),
        }
    )
    lengths = rng.integers(0, T + 1, B) if seed % 2 else None
    masks = tuple(np.asarray((rng.random((T, B, directions * H)) < 0.7) / 0.7, dtype) for _ in range(L - 1))
    return layers, normal(T, B, D), grid(state), lengths, normal(T, B, directions * H), grid(state), masks


def places(layers):
    """Every layer and direction with its suffix."""
    return [(k, d, f"_l{k}" + "_reverse" * d) for k, layer in enumerate(layers) for d in range(len(layer))]


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("sizes", [(3, 2, 2, 1, 2, 2), (2, 2, 1, 2, 3, 1)], ids=["two directions", "three layers"])
def test_a_stacks_backward_is_the_central_difference_of_its_forward(sizes, cell):
    """By every entry of x, of every layer's parameters and initial states, with lengths and masks."""
    layers, x, state, lengths, dh, dlast, masks = stack_case(cell, "float64", sizes, seed=1)
    arguments = {"x": x}
    for k, d, suffix in places(layers):
        arguments |= {f"{n}{suffix}": a for n, a in layers[k][d].items()}
        arguments |= {f"{p}0{suffix}": a for p, a in zip(CELLS[cell].parts, state[k][d], strict=True)}

    def run(named, *cotangents):
        at = lambda names: [  # noqa: E731
            [[named[f"{n}_l{k}" + "_reverse" * d] for n in names] for d in range(len(layer))]
            for k, layer in enumerate(layers)
        ]
        params = [[dict(zip(oracle.PARAMETERS, one, strict=True)) for one in layer] for layer in at(oracle.PARAMETERS)]
        first = at([f"{part}0" for part in CELLS[cell].parts])
        return oracle._stack_of(
            Open(), CELLS[cell], params, named["x"], first, lengths, *(cotangents or (None, None)), masks
        )

    def loss(named):
        outputs = run(named)
        pairs = [(outputs["h"], dh)]
        for k, d, suffix in places(layers):
            pairs += [(outputs[f"{p}T{suffix}"], a) for p, a in zip(CELLS[cell].parts, dlast[k][d], strict=True)]
        return sum((Balls().constant(d) * value).sum() for value, d in pairs)

    gradients = run(arguments, dh, dlast)
    assert {n for n in gradients if n[:2] not in ("h", "hT", "cT")} == arguments.keys()
    check_gradient(loss, arguments, gradients)


@pytest.mark.parametrize("cell", COMMON)
def test_a_stack_is_its_layers_in_turn_with_directions_side_by_side(cell):
    """Each layer reads the outputs of the one below, both directions, times the mask; states stand by name."""
    layers, x, state, lengths, _, _, masks = stack_case(cell, "float64", (4, 3, 2, 2, 3, 2), seed=5)
    stack = oracle._stack_of(Balls(), CELLS[cell], layers, x, state, lengths, None, None, masks)
    h = x
    for k, layer in enumerate(layers):
        h = h if k == 0 else h * Balls().constant(masks[k - 1])
        ways = [
            oracle._sequence(Open(), CELLS[cell], layer[d], h, state[k][d], lengths, None, None, reverse=bool(d))
            for d in range(2)
        ]
        h = np.concatenate([way["h"] for way in ways], -1)
        for d, suffix in enumerate(("", "_reverse")):
            assert all(overlap(stack[f"{p}T_l{k}{suffix}"], ways[d][f"{p}T"]) for p in CELLS[cell].parts)
    assert overlap(stack["h"], h)


@pytest.mark.parametrize("cell", COMMON)
def test_a_stack_of_one_layer_is_judged_as_the_layer_is(cell):
    """In all its numbers; no state is zeros, no mask is ones."""
    layers, x, _, lengths, dh, dlast, _ = stack_case(cell, "float32", (4, 3, 2, 5, 1, 1), seed=7)
    stack = oracle.judge_stack(cell, layers, x, None, lengths, dh, dlast, dtype="float32")
    zeros = tuple(np.zeros_like(d) for d in dlast[0][0])
    for state in (None, zeros):
        alone = oracle.judge(cell, layers[0][0], x, state, lengths, dh, dlast[0][0], dtype="float32")
        names = {n: n if n in ("h", "x") else f"{n}_l0" for n in alone if n not in ("h_t", "c_t")}
        assert set(names.values()) == stack.keys()
        assert all(np.array_equal(alone[n].hi, stack[as_].hi) for n, as_ in names.items())
        assert all(np.array_equal(alone[n].bound, stack[as_].bound) for n, as_ in names.items())


def test_absent_masks_drop_nothing():
    """Neither values nor gradients change, and the bound grants no product with a mask of ones."""
    *call, masks = stack_case("lstm", "float32", (4, 3, 2, 5, 2, 2), seed=9)
    ones = oracle.judge_stack("lstm", *call, tuple(np.ones_like(mask) for mask in masks), dtype="float32")
    none = oracle.judge_stack("lstm", *call, dtype="float32")
    for name, judged in none.items():
        assert np.array_equal(judged.hi, ones[name].hi)
        assert (judged.bound <= ones[name].bound).all()
    assert (none["x"].bound < ones["x"].bound).any()


def test_what_padding_holds_reaches_no_verdict_of_a_stack():
    """NaN and inf there, in x, in the cotangent and in the masks, change no number."""
    layers, x, state, _, dh, dlast, masks = stack_case("lstm", "float32", (4, 3, 2, 3, 2, 2), seed=4)
    lengths, spoilt = np.array([3, 1, 0]), [array.copy() for array in (x, dh, *masks)]
    for array, held in zip(spoilt, (np.nan, np.inf, np.nan), strict=True):
        array[np.arange(4)[:, None] >= lengths] = held
    clean = oracle.judge_stack("lstm", layers, x, state, lengths, dh, dlast, masks, dtype="float32")
    judged = oracle.judge_stack(
        "lstm", layers, spoilt[0], state, lengths, spoilt[1], dlast, tuple(spoilt[2:]), dtype="float32"
    )
    assert all(np.array_equal(judged[n].hi, one.hi) for n, one in clean.items())
    assert all(np.array_equal(judged[n].bound, one.bound) for n, one in clean.items())


def test_no_steps_of_a_stack_are_judged_too():
    """T = 0: every last state is its first, every gradient by a parameter zero."""
    layers, x, state, _, dh, dlast, masks = stack_case("lstm", "float32", (3, 2, 4, 5, 2, 2), seed=2)
    judged = oracle.judge_stack(
        "lstm", layers, x[:0], state, None, dh[:0], dlast, tuple(m[:0] for m in masks), dtype="float32"
    )
    assert (judged["h"].hi.shape, judged["x"].hi.shape) == ((0, 2, 10), (0, 2, 4))
    assert np.array_equal(judged["cT_l1_reverse"].hi, state[1][1][1])
    assert np.array_equal(judged["h0_l1"].hi, dlast[1][0][0])
    assert not judged["weight_ih_l1"].hi.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", COMMON)
def test_no_simulated_stack_exceeds_the_bound_of_any_output(cell, dtype):
    """Two or three layers, one direction or two, the lower layer's errors carried upwards and back."""
    for seed, sizes in enumerate([(4, 2, 3, 2, 3, 1), (3, 3, 2, 4, 2, 2), (5, 2, 1, 3, 2, 2)] * 2):
        args = stack_case(cell, dtype, sizes, seed, scale=(0.5, 1.0, 2.0)[seed % 3])
        judged = oracle.judge_stack(cell, *args, dtype=dtype)
        got = oracle._stack_of(Simulated(dtype, np.random.default_rng(seed)), CELLS[cell], *args)
        assert got.keys() == judged.keys()
        assert {name: fraction for name, a in got.items() if (fraction := judged[name].fraction(a)[0]) > 1} == {}


# The second order


def second_case(cell, dtype, seed):
    """The arguments of `judge_second`: a plan's call, its cotangents, and another plan's call as the direction."""
    plan = Plan(4, 2, 3, 2, seed=seed, scale=(0.5, 1.0, 2.0)[seed % 3], biases=("both", "none", "ih", "hh")[seed % 4])
    case, other = plan.case(cell, dtype), replace(plan, seed=seed + 1000).case(cell, dtype)
    direction = (other.call.params._asdict(), other.call.x, other.call.state)
    return case.call.params._asdict(), case.call.x, case.call.state, *case.cotangent, direction


def moved(array, direction, step):
    """Balls, moved by so many times the direction; None stays."""
    return None if array is None else Balls().constant(array) + step * Balls().constant(direction)


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("seed", range(4))
def test_the_second_order_is_the_central_difference_of_the_gradient_along_the_direction(seed, cell):
    """By every argument, with a step of 2^-60 in balls of 200 bits."""
    params, x, state, dh, dlast, direction = second_case(cell, "float64", seed)
    along, along_x, along_state = direction

    def gradient(step):
        given = {n: moved(a, along[n], step) for n, a in params.items()}
        first = [moved(*pair, step) for pair in zip(state, along_state, strict=True)]
        return oracle._sequence(Open(), CELLS[cell], given, moved(x, along_x, step), first, None, dh, dlast)

    ahead, behind = gradient(STEP), gradient(-STEP)
    judged = oracle.judge_second(cell, params, x, state, dh, dlast, direction, dtype="float64")
    assert judged.keys() == {"x", *(n for n, a in params.items() if a is not None)} | {
        f"{p}0" for p in CELLS[cell].parts
    }
    for name, one in judged.items():
        difference = (ahead[name] - behind[name]) / (2 * STEP)
        exact = Balls().constant(one.hi) + Balls().constant(one.lo)
        pairs = zip(difference.ravel(), exact.ravel(), strict=True)
        assert all(abs(a - b) < NEAR * (1 + abs(a)) for a, b in pairs), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", COMMON)
def test_no_simulated_second_order_exceeds_the_bound_before_it_is_widened(cell, dtype):
    """Values and slopes at once, in random orders: by the rules alone, without the factor SECOND_ORDER."""
    for seed in range(12):
        args = second_case(cell, dtype, seed)
        judged = oracle.judge_second(cell, *args, dtype=dtype)
        got = oracle._second(Dual(Simulated(dtype, np.random.default_rng(seed))), CELLS[cell], *args)
        fractions = {n: judged[n].fraction(a)[0] * oracle.SECOND_ORDER for n, a in got.items()}
        assert got.keys() == judged.keys()
        assert {n: fraction for n, fraction in fractions.items() if fraction > 1} == {}


def double_backward(cell, params, x, state, dh, dlast, direction):
    """The same by torch.nn and torch.autograd, reverse over reverse."""
    (H, D), names = (params["weight_hh"].shape[1], x.shape[2]), [n for n, a in params.items() if a is not None]
    kind = torch.nn.LSTM if cell == "lstm" else torch.nn.RNN
    mode = {} if cell == "lstm" else {"nonlinearity": "relu" if cell == "rnn_relu" else "tanh"}
    net = kind(D, H, dtype=getattr(torch, str(x.dtype)), **mode)
    moving = lambda array: torch.tensor(array).requires_grad_()  # noqa: E731
    weights = {
        f"{n}_l0": moving(np.zeros(len(params["weight_hh"]), x.dtype) if a is None else a) for n, a in params.items()
    }
    first = [moving(part[None]) for part in state]
    inputs = [moving(x), *(weights[f"{n}_l0"] for n in names), *first]
    h, last = torch.func.functional_call(net, weights, (inputs[0], tuple(first) if cell == "lstm" else first[0]))
    outputs = [h, *(last if cell == "lstm" else (last,))]
    cotangents = [torch.tensor(dh), *(torch.tensor(part[None]) for part in dlast)]
    once = torch.autograd.grad(outputs, inputs, cotangents, create_graph=True)
    along = [direction[1], *(direction[0][n] for n in names), *(part[None] for part in direction[2])]
    twice = torch.autograd.grad(once, inputs, [torch.tensor(a) for a in along], allow_unused=True)
    arrays = [np.zeros(i.shape, x.dtype) if a is None else a.numpy() for a, i in zip(twice, inputs, strict=True)]
    result = dict(zip(("x", *names, "h0", "c0"), arrays, strict=False))
    return {n: a[0] if n in ("h0", "c0") else a for n, a in result.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", COMMON)
def test_torchs_double_backward_is_within_the_bound(cell, dtype):
    """Reverse over reverse, another graph than ours: what SECOND_ORDER is for."""
    for seed in range(12):
        args = second_case(cell, dtype, seed)
        judged, got = oracle.judge_second(cell, *args, dtype=dtype), double_backward(cell, *args)
        assert got.keys() == judged.keys()
        assert {n: fraction for n, a in got.items() if (fraction := judged[n].fraction(a)[0]) > 1} == {}


# The read-out and the loss


def test_the_referees_read_out_gradient_is_the_central_difference():
    """By h, weight_hy and bias_hy."""
    rng = np.random.default_rng(0)
    arguments = {"weight_hy": rng.normal(size=(3, 2)), "bias_hy": rng.normal(size=3), "h": rng.normal(size=(2, 2, 2))}
    dy = rng.normal(size=(2, 2, 3))
    run = lambda named: oracle._head(Open(), named["weight_hy"], named["bias_hy"], named["h"], dy)  # noqa: E731
    check_gradient(lambda named: (run(named)["y"] * Balls().constant(dy)).sum(), arguments, run(arguments))


def test_the_referees_loss_gradient_is_the_central_difference():
    """By every logit, masked ones too: theirs is zero."""
    rng = np.random.default_rng(0)
    y, targets, mask = rng.normal(size=(3, 2, 4)), rng.integers(0, 4, (3, 2)), np.arange(6).reshape(3, 2) % 3 > 0
    run = lambda named: oracle._cross_entropy(Open(), named["y"], targets, mask)  # noqa: E731
    check_gradient(lambda named: run(named)["loss"][()], {"y": y}, {"y": run({"y": y})["dy"]})


SIMULATIONS = [
    Plan(5, 3, 2, 4, seed=1, scale=2.0),
    Plan(4, 2, 6, 3, seed=2, opposed=30.0),
    Plan(6, 4, 3, 2, seed=3, opposed=6.0, lengths=(6, 0, 3, 1)),
    Plan(7, 2, 3, 5, seed=4, scale=0.5, biases="none"),
    Plan(3, 1, 2, 6, seed=5, scale=2.0, biases="hh"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("plan", SIMULATIONS, ids=lambda plan: f"seed={plan.seed}")
def test_no_simulated_subject_exceeds_the_bound_of_any_output(plan, cell, dtype):
    """The whole forward and backward in random orders of summation, each function off by as much as it may."""
    for n in range(4):
        case = replace(plan, seed=plan.seed + 100 * n).case(cell, dtype)
        call, cotangent, judged = case.call, case.cotangent, case.judged(gradients=True)
        args = (CELLS[cell], call.params._asdict(), call.x, call.state, call.lengths, *cotangent)
        got = oracle._sequence(Simulated(dtype, np.random.default_rng(n)), *args)
        assert got.keys() == judged.keys()
        assert {name: fraction for name, a in got.items() if (fraction := judged[name].fraction(a)[0]) > 1} == {}


@pytest.mark.parametrize("scale", [1.0, 2.0**-64, 2.0**-124])
@pytest.mark.parametrize("cell", COMMON)
def test_no_simulated_subject_that_flushes_every_underflow_to_zero_exceeds_the_bound(cell, scale):
    """Of a state and cotangents so small that their sums and products underflow; float32."""
    for n in range(4):
        case = replace(SIMULATIONS[n % 2], seed=n, biases="none").case(cell, "float32")
        small = lambda a: np.where(np.abs(a * scale) < 2.0**-126, 0, a * scale).astype(np.float32)  # noqa: E731
        state, dlast = ([small(part) for part in parts] for parts in (case.call.state, case.cotangent.last))
        given = (case.call.params._asdict(), small(case.call.x), state, None, small(case.cotangent.h), dlast)
        judged = oracle.judge(cell, *given, dtype="float32")
        got = oracle._sequence(Simulated("float32", np.random.default_rng(n), flushes=True), CELLS[cell], *given)
        assert {name: fraction for name, a in got.items() if (fraction := judged[name].fraction(a)[0]) > 1} == {}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_simulated_read_out_or_loss_exceeds_its_bound(dtype):
    """Both ways to the softmax's gradient are right: exp(z) / s, and exp(z - ln s)."""
    rng = np.random.default_rng(0)
    for n in range(40):
        T, B, V, H = (int(k) for k in rng.integers(1, 7, 4))
        W, b, h, dy = (rng.normal(size=s).astype(dtype) for s in ((V, H), (V,), (T, B, H), (T, B, V)))
        subject = Simulated(dtype, np.random.default_rng(n))
        pairs = [(oracle._head(subject, W, b, h, dy), oracle.judge_head(W, b, h, dy, dtype=dtype))]
        y, targets, mask = (
            dy * np.asarray((1, 10, 80)[n % 3], dtype),
            rng.integers(0, V, (T, B)),
            rng.random((T, B)) < 0.8,
        )
        args = (y, targets, mask if n % 2 else None)
        pairs.append((oracle._cross_entropy(subject, *args), oracle.judge_loss(*args, dtype=dtype)))
        for got, judged in pairs:
            assert {name: f for name, j in judged.items() if (f := j.fraction(np.asarray(got[name]))[0]) > 1} == {}


# Optimisers and the norm


def tree(rng, dtype, scale=1.0):
    """Arrays by name, as many sizes as a cell's parameters have; `scale`: of each, or a list to choose from."""
    shapes = {"weight_ih": (3, 4), "weight_hh": (3, 3), "bias_ih": (3,)}
    return {n: (rng.choice(np.atleast_1d(scale)) * rng.normal(size=shape)).astype(dtype) for n, shape in shapes.items()}


SIZES = [1e-6, 1e-3, 1.0, 100.0]
RULES = {
    "sgd": ("sgd", {"lr": 0.1}),
    "adam": ("adam", {"lr": 0.1}),
    "adam, all settings": ("adam", {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-4}),
    "rmsprop": ("rmsprop", {"lr": 0.1}),
    "rmsprop, all settings": ("rmsprop", {"lr": 0.01, "decay": 0.9, "eps": 1e-4}),
}
UPDATES = pytest.mark.parametrize(("rule", "settings"), RULES.values(), ids=RULES)


def by_mpmath(rule, p, gradients, lr, beta1=0.9, beta2=0.999, decay=0.99, eps=1e-8):
    """The formulas of the papers, one number at a time: the parameter after every update."""
    lr, beta1, beta2, decay, eps, p, *gradients = map(mpmath.mpf, (lr, beta1, beta2, decay, eps, p, *gradients))
    mean = square = mpmath.mpf(0)
    for t, g in enumerate(gradients, 1):
        if rule == "sgd":
            p -= lr * g
        elif rule == "adam":
            mean, square = beta1 * mean + (1 - beta1) * g, beta2 * square + (1 - beta2) * g**2
            p -= lr * (mean / (1 - beta1**t)) / (mpmath.sqrt(square / (1 - beta2**t)) + eps)
        else:
            square = decay * square + (1 - decay) * g**2
            p -= lr * g / (mpmath.sqrt(square) + eps)
        yield p


@UPDATES
def test_an_update_is_the_formula_of_its_paper(rule, settings):
    """After each of four updates, to 106 bits of what mpmath gives at 300."""
    rng = np.random.default_rng(0)
    params, gradients = tree(rng, "float64"), [tree(rng, "float64", SIZES) for _ in range(4)]
    judged = oracle.judge_update(rule, params, gradients, dtype="float64", **settings)
    with mpmath.workprec(300):
        for name, place in [("weight_ih", (0, 1)), ("weight_hh", (2, 2)), ("bias_ih", (1,))]:
            path = by_mpmath(rule, params[name][place], [g[name][place] for g in gradients], **settings)
            for wanted, after in zip(path, judged, strict=True):
                got = mpmath.mpf(after[name].hi[place]) + mpmath.mpf(after[name].lo[place])
                assert abs(got - wanted) < 2.0**-100 * (1 + abs(wanted))


def worst_update(path, rule, settings, dtype, seeds=7, updates=4):
    """The worst fraction of the bound that an optimiser takes; `path` gives its parameters after every update."""
    fractions = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        params, gradients = tree(rng, dtype, SIZES), [tree(rng, dtype, SIZES) for _ in range(updates)]
        judged = oracle.judge_update(rule, params, gradients, dtype=dtype, **settings)
        for got, after in zip(path(rule, params, gradients, settings), judged, strict=True):
            assert got.keys() == after.keys()
            fractions += [after[n].fraction(a)[0] for n, a in got.items()]
    return max(fractions)


def simulated(dtype):
    """An optimiser that rounds and orders at random."""

    def path(rule, params, gradients, settings):
        a = Simulated(dtype, np.random.default_rng(0))
        paths = {n: oracle.RULES[rule](a, p, [g[n] for g in gradients], **settings) for n, p in params.items()}
        return [dict(zip(paths, arrays, strict=True)) for arrays in zip(*paths.values(), strict=True)]

    return path


def twin(package):
    """One of our twins' optimisers."""
    optim, array = (importlib.import_module(f"impl.{package}.{part}") for part in ("optim", "array"))

    def path(rule, params, gradients, settings):
        settings, arrays = dict(settings), lambda named: tuple(array.asarray(a) for a in named.values())
        lr, here = settings.pop("lr"), arrays(params)
        memory = None if rule == "sgd" else getattr(optim, f"{rule}_start")(here)
        for gradient in map(arrays, gradients):
            if rule == "sgd":
                here = optim.sgd(here, gradient, lr)
            else:
                here, memory = getattr(optim, rule)(here, gradient, memory, lr, **settings)
            yield dict(zip(params, map(np.asarray, here), strict=True))

    return path


def torch_optimiser(foreach):
    """Those of torch.optim, an array at a time or all at once."""

    def path(rule, params, gradients, settings):
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[rule]
        names = {"beta1": "betas", "decay": "alpha"}
        given = {names.get(n, n): v for n, v in settings.items() if n != "beta2"}
        if "betas" in given:
            given["betas"] = (settings["beta1"], settings["beta2"])
        here = {n: torch.tensor(p).requires_grad_() for n, p in params.items()}
        optimiser = kind(list(here.values()), foreach=foreach, **given)
        for gradient in gradients:
            for name, p in here.items():
                p.grad = torch.tensor(gradient[name])
            optimiser.step()
            yield {n: p.detach().numpy().copy() for n, p in here.items()}

    return path


PATHS = {
    "simulated": simulated,
    "numpy_twin": lambda dtype: twin("numpy_twin"),
    "torch_twin": lambda dtype: twin("torch_twin"),
    "torch": lambda dtype: torch_optimiser(False),
    "torch foreach": lambda dtype: torch_optimiser(True),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@UPDATES
@pytest.mark.parametrize("name", PATHS)
def test_no_correct_optimiser_exceeds_the_bound_after_any_update(name, rule, settings, dtype):
    """Simulated ones, our twins and torch's, by gradients of 1e-6 to 100."""
    assert worst_update(PATHS[name](dtype), rule, settings, dtype) <= 1


WRONG = {
    "eps within the root": ("rmsprop", lambda p, g, m, s, t: p - 0.1 * g / np.sqrt(s + 1e-8), 0.9, 0.99),
    "eps before the correction": (
        "adam",
        lambda p, g, m, s, t: p - 0.1 * rate(t) * m / (np.sqrt(s) + 1e-8),
        0.9,
        0.999,
    ),
    "no correction": ("adam", lambda p, g, m, s, t: p - 0.1 * m / (np.sqrt(s) + 1e-8), 0.9, 0.999),
    "a step behind": ("adam", lambda p, g, m, s, t: p - 0.1 * rate(t + 1) * m / np.sqrt(s), 0.9, 0.999),
    "another decay": ("adam", lambda p, g, m, s, t: right_adam(p, m, s, t), 0.9, 0.999001),
}


def rate(t):
    """Adam's two corrections in one number."""
    return (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)


def right_adam(p, m, s, t):
    """Adam's update as it should be."""
    return p - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s) / (1 - 0.999**t) ** 0.5 + 1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WRONG)
def test_an_optimiser_that_is_wrong_exceeds_the_bound(name, dtype):
    """Even where only the place of eps is: the gradients' sizes tell."""
    rule, update, beta1, beta2 = WRONG[name]

    def path(_, params, gradients, settings):
        here, means, squares = dict(params), dict.fromkeys(params, 0), dict.fromkeys(params, 0)
        for t, gradient in enumerate(gradients, 1):
            for n, g in gradient.items():
                means[n] = beta1 * means[n] + (1 - beta1) * g
                squares[n] = beta2 * squares[n] + (1 - beta2) * g * g
                here[n] = update(here[n], g, means[n], squares[n], t)
            yield dict(here)

    assert worst_update(path, rule, {"lr": 0.1}, dtype) > 1


def test_half_of_each_rounding_is_too_small_a_bound_for_updates(monkeypatch):
    """The simulated optimisers come near enough to notice."""
    gamma = Carried.gamma
    monkeypatch.setattr(Carried, "gamma", lambda self, n: gamma(self, n) / 2)
    for rule, settings in RULES.values():
        assert worst_update(simulated("float32"), rule, settings, "float32") > 1


def test_no_setting_is_granted_the_precision_that_its_difference_seems_to_lose():
    """1 - 0.999 is exact in double precision: Adam's first update is within a few roundings of p and lr."""
    params, gradient = {"p": np.ones(1)}, {"p": np.full(1, 0.3)}
    for dtype in ("float32", "float64"):
        (judged,) = oracle.judge_update("adam", params, [gradient], dtype=dtype, lr=1.0)
        assert judged["p"].bound < 30 * oracle.unit(dtype)[0]


NORMS = {
    "numpy_twin": lambda arrays: numpy_optim.global_norm(tuple(arrays.values())),
    "torch_twin": lambda arrays: torch_optim.global_norm(tuple(map(torch.tensor, arrays.values()))).numpy(),
}
PLAIN_NORMS = {
    "torch": lambda arrays: torch.nn.utils.get_total_norm(map(torch.tensor, arrays.values())).numpy(),
    "root of squares": lambda arrays: np.sqrt(sum((a * a).sum() for a in arrays.values())),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*NORMS, *PLAIN_NORMS])
def test_no_correct_norm_exceeds_its_bound(name, dtype):
    """With division by the largest entry or without, all entries at once or array by array; at any size with it."""
    rng, ends = np.random.default_rng(0), [1e-30, 1e30] if dtype == "float32" else [1e-250, 1e250]
    for n in range(40):
        arrays = tree(rng, dtype, [*SIZES, *(ends if name in NORMS and n % 2 else [])])
        got = np.asarray((NORMS | PLAIN_NORMS)[name](arrays))
        assert got.dtype == dtype
        assert oracle.judge_norm(arrays, dtype=dtype).fraction(got)[0] <= 1


def test_a_norm_is_the_root_of_the_sum_of_all_squares():
    """3, 4 and 12 give 13, of huge and tiny entries too; none and zeros give 0; a relative 1e-14 is noticed."""
    for scale in (1.0, 2.0**900, 2.0**-900):
        judged = oracle.judge_norm(
            {"a": scale * np.array([[3.0, 4.0]]), "b": scale * np.array([-12.0])}, dtype="float64"
        )
        assert judged.hi == 13 * scale
        assert abs(judged.lo) < 2.0**-100 * scale
        assert judged.fraction(np.asarray(13 * scale * (1 + 1e-14)))[0] > 1
    for entries in (np.zeros(0), np.zeros(3)):
        assert oracle.judge_norm({"a": entries}, dtype="float32").hi == 0


def test_no_simulated_norm_exceeds_its_bound_and_half_of_each_rounding_is_too_small(monkeypatch):
    """From the same entries in random orders of summation."""
    rng = np.random.default_rng(0)
    entries = [
        np.concatenate([a.ravel() for a in tree(rng, "float32", SIZES).values()])[: 1 + n % 4] for n in range(300)
    ]
    got = [oracle._norm(Simulated("float32", rng), e) for e in entries]
    worst = lambda: max(  # noqa: E731
        oracle.judge_norm({"a": e}, dtype="float32").fraction(g)[0] for e, g in zip(entries, got, strict=True)
    )
    assert worst() <= 1
    gamma = Carried.gamma
    monkeypatch.setattr(Carried, "gamma", lambda self, n: gamma(self, n) / 4)
    assert worst() > 1


# Logits far apart, groups, and what a verdict is


def test_the_loss_of_logits_far_apart_is_what_they_say():
    """Certainty costs nothing, its opposite the distance, whatever constant all logits share."""
    y = np.array([[[1e4, 0.0, 0.0], [1e4, 0.0, 0.0]]])
    judged = oracle.judge_loss(y, np.array([[0, 1]]), None, dtype="float64")
    assert judged["loss"].hi == 1e4
    assert judged["dy"].hi[0].tolist() == [[0, 0, 0], [1, -1, 0]]


def test_the_loss_of_logits_that_no_subject_tells_apart_has_no_negative_bound():
    """From 1e7 on differences of float32 are off by more than 1: bounds widen, to infinite ones in the end."""
    y, targets = np.random.default_rng(0).normal(size=(3, 2, 4)), np.zeros((3, 2), int)
    for scale in (1.0, 1e6, 1e7, 1e8, 1e10, 1e30):
        with np.errstate(all="ignore"):
            judged = oracle.judge_loss((scale * y).astype(np.float32), targets, None, dtype="float32")
        assert all((one.bound >= 0).all() for one in judged.values())
    assert np.isinf(judged["loss"].bound)


def test_a_group_is_its_members_side_by_side_and_a_shared_x_receives_the_sum():
    """E stands before B in sequences and states; the sum is exact to 106 bits, and no member's error is lost."""
    case = Plan(3, 2, 4, 5, seed=8, E=3, shared=True).case("lstm", "float64")
    call, cotangent = case.call, case.cotangent
    alone = [judge(member(call, e), member_cotangent(cotangent, e), "float64") for e in range(3)]
    group = oracle.judge_group(alone, True, dtype="float64")
    for name, judged in group.items():
        axis = 1 if name in oracle.OVER_TIME else 0
        for e in range(3 if name != "x" else 0):
            assert np.array_equal(judged.hi.take(e, axis), alone[e][name].hi)
    for place in np.ndindex(3, 2, 4):
        parts = [Fraction(one["x"].hi[place]) + Fraction(one["x"].lo[place]) for one in alone]
        off = sum(parts) - Fraction(group["x"].hi[place]) - Fraction(group["x"].lo[place])
        assert abs(off) <= 2.0**-100 * sum(map(abs, parts))
        assert group["x"].bound[place] >= sum(one["x"].bound[place] for one in alone)
    separate = oracle.judge_group(alone, False, dtype="float64")
    assert separate["x"].hi.shape == (3, 3, 2, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("E", "H"), [(1, 7), (2, 7), (4, 2), (4, 7)])
def test_a_gradient_by_a_shared_x_may_be_summed_over_models_and_gate_rows_in_its_worst_order(E, H, dtype):
    """1 + u + ... + u, one product of each model's rows after the other, loses every u to rounding."""
    u, one = oracle.unit(dtype)[0], lambda *shape: np.ones(shape, dtype)
    weights = u * one(E, H, 1)
    weights[0, 0] = 1
    shared = {"weight_hh": 0 * one(H, H), "bias_ih": 8 * one(H), "bias_hh": None}
    given = (one(1, 1, 1), (0 * one(1, H),), None, one(1, 1, H), (0 * one(1, H),))
    alone = [oracle.judge("rnn_relu", {"weight_ih": W, **shared}, *given, dtype=dtype) for W in weights]
    judged, got = oracle.judge_group(alone, True, dtype=dtype)["x"], np.add.accumulate(weights.ravel())[-1:]
    assert 0.5 < judged.fraction(got.reshape(1, 1, 1))[0] <= 1
    assert replace(judged, bound=judged.bound / 2).fraction(got.reshape(1, 1, 1))[0] > 1


def test_a_ball_too_wide_to_judge_is_an_error():
    """A radius must be negligible against the bound: 2^-20 of it."""
    wide = np.array([arb(1, 1e-20)], dtype=object)
    assert oracle._judged("h", wide, np.array([1e-12])).hi.tolist() == [1]
    with pytest.raises(ArithmeticError, match="the referee needs balls of `h` narrower than"):
        oracle._judged("h", wide, np.array([1e-15]))


def test_a_bound_that_is_no_number_is_an_error_and_so_is_a_ball_that_is_not_finite():
    """A subject would be accused of the one, whatever it gave, and pass by the other."""
    with pytest.raises(ArithmeticError, match="needs a bound of `h` that is a number or infinite; got NaN"):
        oracle._judged("h", np.array([arb(1), arb(2)], dtype=object), np.array([1.0, np.nan]))
    for ball in (arb("nan"), arb(1, "inf")):
        with pytest.raises(ArithmeticError, match="needs balls of `h` narrower than"):
            oracle._judged("h", np.array([ball], dtype=object), np.array([np.inf]))
    assert oracle._judged("h", np.array([arb(1)], dtype=object), np.zeros(1)).bound.tolist() == [0]


@pytest.mark.parametrize("seed", [9, 13])
def test_bounds_of_gates_end_with_their_range_however_many_steps_err(seed):
    """Each of 64 steps multiplies what it was handed; gradients' bounds were NaN where a gate's had overflowed."""
    case = Plan(64, 2, 4, 6, seed=seed, scale=2.0).case("lstm", "float32")
    assert all(np.isfinite(one.bound).all() for one in case.judged(gradients=True).values())


def test_a_fraction_names_the_worst_place_and_forgives_nothing():
    """Wrong shapes, NaN, inf and a missed exact zero are infinitely wrong."""
    judged = Judged(np.array([1.0, 0.0]), np.zeros(2), np.array([0.5, 0.0]))
    assert judged.fraction(np.array([1.25, 0.0])) == (0.5, (0,))
    assert judged.fraction(np.array([1.0, 1e-30])) == (np.inf, (1,))
    assert judged.fraction(np.array([np.nan, 0.0])) == (np.inf, (0,))
    assert judged.fraction(np.array([1.0, -np.inf])) == (np.inf, (1,))
    assert judged.fraction(np.ones(3)) == (np.inf, ())
    assert judged.take([0]).hi.tolist() == [1]


def test_no_steps_are_judged_too():
    """T = 0: the last state is the first, its gradient the cotangent, the parameters' gradients are zero."""
    case = Plan(3, 2, 4, 5, seed=8).case("lstm", "float32")
    call, cotangent = case.call, case.cotangent
    args = (call.x[:0], call.state, None, cotangent.h[:0], cotangent.last)
    judged = oracle.judge("lstm", call.params._asdict(), *args, dtype="float32")
    assert np.array_equal(judged["cT"].hi, call.state.c)
    assert np.array_equal(judged["h0"].hi, cotangent.last.h)
    assert judged["x"].hi.shape == (0, 2, 4)
    assert not judged["weight_ih"].hi.any()


def test_the_referee_imports_nothing_of_the_implementation():
    """An oracle that shared code with its subject would share its faults."""
    code = "import sys, properties.oracle; print([m for m in sys.modules if m.split('.')[0] in ('impl', 'torch')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The LSTM's variants


@pytest.mark.parametrize("cell", VARIANTS)
def test_the_referees_variants_pass_the_tests_of_its_cells(cell):
    """The gradient is the central difference, also of a carried state; simulated subjects stay within the bound."""
    test_the_referees_backward_is_the_central_difference_of_its_forward("lengths", cell)
    test_the_gradient_by_a_carried_state_is_that_of_the_rest_of_the_sequence(cell, False)
    test_the_second_order_is_the_central_difference_of_the_gradient_along_the_direction(0, cell)
    for dtype in ("float32", "float64"):
        test_no_simulated_subject_exceeds_the_bound_of_any_output(SIMULATIONS[0], cell, dtype)


def widened(cell, params, H):
    """A variant's parameters as those of an LSTM that computes the same: a gate held open, or i's rows minus f's.

    A row of i, f or o that is absent has weights of zero and a bias of 200: sigma(200) is 1 - 2^-288.
    """

    def whole(a, open_at):
        rows = {gate: a[block(cell, gate, H)] for gate in GATES[cell]}
        absent = lambda gate: np.full_like(rows["g"], open_at)  # noqa: E731
        rows |= {"i": -rows["f"]} if cell == "lstm_coupled" else {}
        return np.concatenate([rows[gate] if gate in rows else absent(gate) for gate in "ifgo"])

    return {name: whole(a, 200.0 if name == "bias_ih" else 0.0) for name, a in params._asdict().items()}


@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if cell != "lstm_linear_output"])
def test_a_variant_is_the_lstm_with_that_gate_held_open_or_tied(cell):
    """Exact values to 2^-90: outputs, and gradients by x, the states and each block; coupled, f's is f's less i's."""
    case, H = Plan(5, 2, 3, 4, seed=21, lengths=(5, 3)).case(cell, "float64"), 4
    call, near = case.call, lambda a, b: np.abs((a.hi - b[0]) + (a.lo - b[1])).max() <= 2.0**-90 * np.abs(a.hi).max()
    args = (call.x, call.state, call.lengths, *case.cotangent)
    mine = oracle.judge(cell, call.params._asdict(), *args, dtype="float64")
    lstm = oracle.judge("lstm", widened(cell, call.params, H), *args, dtype="float64")
    for name, one in mine.items():
        if name not in oracle.PARAMETERS:
            assert near(one, (lstm[name].hi, lstm[name].lo)), name
            continue
        for gate in GATES[cell]:
            hi, lo = (getattr(lstm[name], part)[block("lstm", gate, H)] for part in ("hi", "lo"))
            if cell == "lstm_coupled" and gate == "f":
                hi, lo = ((a - getattr(lstm[name], n)[block("lstm", "i", H)]) for a, n in ((hi, "hi"), (lo, "lo")))
                rows = one.take(block(cell, gate, H))
                off = np.abs((rows.hi - hi) + (rows.lo - lo)).max()  # a difference of two hi is itself rounded
                assert off <= 2.0**-50 * np.abs(lstm[name].hi).max(), name
                continue
            assert near(one.take(block(cell, gate, H)), (hi, lo)), (name, gate)


def test_a_linear_output_is_the_output_gate_times_the_cell():
    """One step: c' is the LSTM's, and h' is o c', with the LSTM's own o = h' / tanh(c')."""
    case = Plan(3, 2, 3, 4, seed=22).case("lstm_linear_output", "float64")
    args = (case.call.params._asdict(), case.call.x[:1], case.call.state)
    mine, lstm = (oracle.judge(cell, *args, dtype="float64") for cell in ("lstm_linear_output", "lstm"))
    assert np.array_equal(mine["cT"].hi, lstm["cT"].hi)
    wanted = lstm["hT"].hi / np.tanh(lstm["cT"].hi) * lstm["cT"].hi
    assert np.abs(mine["hT"].hi - wanted).max() <= 2.0**-48 * np.abs(wanted).max()
