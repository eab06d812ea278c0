"""Law "adjoint": <v, J u> = <J^T v, u> in random directions, J u by differences of the subject's own forward."""

from dataclasses import replace

import numpy as np

from impl.spec import leaves, rebuild
from properties.cases import GRADIENTS, gradients, judge, named, only, outputs, plans
from properties.laws import TALLY, agree, law, require
from properties.subject import Cotangent

STEP = {"float32": 2.0**-8, "float64": 2.0**-17}
SEEN = ("deeplearning4j#8838", "axon#646", "numpy-ml#42")


def inner(one, other):
    """The inner product of two lists of arrays in float64, and the sum of the magnitudes."""
    flat = [[np.asarray(a, np.float64).ravel() for a in some] for some in (one, other)]
    pairs = list(zip(*flat, strict=True))
    return sum(float(a @ b) for a, b in pairs), sum(float(abs(a) @ abs(b)) for a, b in pairs)


def displaced(case):
    """The call a step to either side in a random direction, and half the difference, which float64 holds exactly."""
    call, h = case.call, np.asarray(STEP[case.dtype], case.dtype)
    given = (call.x, call.params, call.state)
    u = [h * case.normal(*a.shape) for a in leaves(given)]
    sides = [[a + s * b for a, b in zip(leaves(given), u, strict=True)] for s in (1, -1)]
    d = [(a.astype(np.float64) - b) / 2 for a, b in zip(*sides, strict=True)]
    calls = [replace(call, **dict(zip(("x", "params", "state"), rebuild(given, side), strict=True))) for side in sides]
    return calls, d


@law("adjoint", plans(), needs=("backward", "cell state"), seen_in=SEEN, cells=("rnn", "lstm"), share=0.5)
def test_the_gradient_is_the_adjoint_of_the_subjects_own_forward(subject, cell, dtype, plan):
    """|<v, J u> - <g, u>| is at most the exact truncation of the difference, and what the bounds of both sides allow.

    The values at both ends may be off by their bounds, the gradient by its own; the truncation is that of exact values
    and gradients (balls); float64 sums of n terms err by n 2^-53 of their magnitudes.
    """
    case, alpha = plan.case(cell, dtype), subject.alpha(dtype)
    (plus, minus), d = displaced(case)
    v = leaves(tuple(case.cotangent))
    names = ("h", "hT", "cT")[: len(v)]
    got = [[outputs(subject.forward(call))[n] for n in names] for call in (plus, minus)]
    judged = [judge(call, Cotangent(None, None), dtype, alpha) for call in (plus, minus)]
    exact = case.judged(alpha, gradients=True)
    by = ["x", *named(case.call.params), "h0", "c0"][: len(d)]
    g = gradients(subject.backward(case.call, case.cotangent))

    change = [(a.astype(np.float64) - b) / 2 for a, b in zip(*got, strict=True)]
    true_change = [((judged[0][n].hi - judged[1][n].hi) + (judged[0][n].lo - judged[1][n].lo)) / 2 for n in names]
    forward, size_1 = inner(v, change)
    backward, size_2 = inner([g[n] for n in by], d)
    true_forward, size_3 = inner(v, true_change)
    true_backward, size_4 = inner([exact[n].hi for n in by], d)
    allowed = abs(true_forward - true_backward)
    allowed += inner([abs(a) for a in v], [(judged[0][n].bound + judged[1][n].bound) / 2 for n in names])[0]
    allowed += inner([abs(a) for a in d], [exact[n].bound for n in by])[0]
    terms = sum(a.size for a in (*v, *d)) + 8
    scale = max(float(abs(np.asarray(a, np.float64)).max(initial=0)) for side in got for a in side)
    allowed += terms * 2.0**-53 * (size_1 + size_2 + size_3 + size_4 + scale * sum(float(abs(a).sum()) for a in v))
    off = abs(forward - backward)
    TALLY.see(off / allowed)
    sentence = f"<v, J u> is {forward:.9g} and <J^T v, u> {backward:.9g}: off by {off:.3g}, allowed {allowed:.2g}."
    require(subject, case, off <= allowed, sentence)


@law("adjoint", plans(), needs=("backward",), seen_in=SEEN, share=0.25)
def test_the_gradient_is_linear_in_its_cotangents(subject, cell, dtype, plan):
    """Twice the cotangents give twice the gradient: a power of two rounds nothing, so within twice the bound."""
    case = plan.case(cell, dtype)
    twice = Cotangent(*rebuild(tuple(case.cotangent), [2 * a for a in leaves(tuple(case.cotangent))]))
    got = {name: a / 2 for name, a in gradients(subject.backward(case.call, twice)).items()}
    agree(subject, case, got, only(case.judged(subject.alpha(dtype), gradients=True), GRADIENTS))
