"""The referee as a whole: its backward by finite differences at 200 bits, its bounds by simulated subjects."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from flint import arb

from properties import oracle
from properties.arithmetic import Balls
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
}


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("name", PLANS)
def test_the_referees_backward_is_the_central_difference_of_its_forward(name, cell):
    """By every entry of x, every parameter, h0 and c0, with a step of 2^-60 in balls of 200 bits."""
    case = PLANS[name].case(cell, "float64")
    call, cotangent, parts = case.call, case.cotangent, CELLS[cell].parts
    given = {n: a for n, a in call.params._asdict().items() if a is not None}
    states = {f"{part}0": a for part, a in zip(parts, call.state, strict=True)}

    def run(named, *cotangents):
        params = dict.fromkeys(oracle.PARAMETERS) | {n: named[n] for n in given}
        state = [named[f"{part}0"] for part in parts]
        return oracle._sequence(
            Open(), CELLS[cell], params, named["x"], state, call.lengths, *(cotangents or (None,) * 2)
        )

    def loss(named):
        outputs = run(named)
        pairs = [
            (outputs["h"], cotangent.h),
            *((outputs[f"{p}T"], d) for p, d in zip(parts, cotangent.last, strict=True)),
        ]
        return sum((Balls().constant(d) * value).sum() for value, d in pairs)

    arguments = {"x": call.x, **given, **states}
    check_gradient(loss, arguments, run(arguments, cotangent.h, cotangent.last))


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradient_by_a_carried_state_is_that_of_the_rest_of_the_sequence(cell):
    """At every cut: dh_t plus what the remaining steps give for their initial state; at the end, the last cotangent."""
    case = Plan(4, 2, 3, 2, seed=6).case(cell, "float64")
    call, (dh, dlast), parts = case.call, case.cotangent, CELLS[cell].parts
    params = call.params._asdict()
    whole = oracle._sequence(Balls(), CELLS[cell], params, call.x, call.state, None, dh, dlast)
    for t in range(4):
        early = oracle._sequence(Open(), CELLS[cell], params, call.x[: t + 1], call.state, None, None, None)
        state = [early[f"{part}T"] for part in parts]
        rest = oracle._sequence(Open(), CELLS[cell], params, call.x[t + 1 :], state, None, dh[t + 1 :], dlast)
        for part in parts:
            wanted = rest[f"{part}0"] + (Balls().constant(dh[t]) if part == "h" else 0)
            assert all(a.overlaps(b) for a, b in zip(whole[f"{part}_t"][t].ravel(), wanted.ravel(), strict=True))


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
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
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


def test_the_loss_of_logits_far_apart_is_what_they_say():
    """Certainty costs nothing, its opposite the distance, whatever constant all logits share."""
    y = np.array([[[1e4, 0.0, 0.0], [1e4, 0.0, 0.0]]])
    judged = oracle.judge_loss(y, np.array([[0, 1]]), None, dtype="float64")
    assert judged["loss"].hi == 1e4
    assert judged["dy"].hi[0].tolist() == [[0, 0, 0], [1, -1, 0]]


def test_a_group_is_its_members_side_by_side_and_a_shared_x_receives_the_sum():
    """E stands before B in sequences and states; the sum is exact to 106 bits, and its bound covers any order."""
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


def test_a_ball_too_wide_to_judge_is_an_error():
    """A radius must be negligible against the bound: 2^-20 of it."""
    wide = np.array([arb(1, 1e-20)], dtype=object)
    assert oracle._judged("h", wide, np.array([1e-12])).hi.tolist() == [1]
    with pytest.raises(ArithmeticError, match="the referee needs balls of `h` narrower than"):
        oracle._judged("h", wide, np.array([1e-15]))


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
