"""Law "training": K optimiser steps lie within a stated bound; clipping bounds the global norm."""

from dataclasses import replace

import numpy as np

from impl.spec import leaves, tree_map
from properties.cases import gradients, judge, judge_once, plans
from properties.laws import agree, law, require, same_bits
from properties.oracle import unit

RULES = ("sgd", "adam", "rmsprop")
K = 4


def named(params):
    """The parameters that there are, by name."""
    return {name: a for name, a in params._asdict().items() if a is not None}


@law("training", plans(), needs=("optimisers",), share=0.5)
def test_updates_are_the_exact_ones_within_the_bound(subject, cell, dtype, plan):
    """The rules are formulas: after each of K updates the parameters are exact within the bound of what was rounded."""
    case = plan.case(cell, dtype)
    params, rule = case.call.params, RULES[plan.seed % 3]
    given = [tree_map(lambda a: case.normal(*a.shape), params) for _ in range(K)]
    judged = judge_once("judge_update", rule, named(params), [named(g) for g in given], dtype=dtype, lr=0.01)
    for n, updated in enumerate(subject.updates(rule, params, given, 0.01)):
        agree(subject, case, named(updated), judged[n])


@law("training", plans(), needs=("optimisers", "backward"), share=0.25)
def test_forward_backward_and_update_repeat_within_the_bounds_of_each_step(subject, cell, dtype, plan):
    """These three in turn: each gradient is judged at the subject's own parameters, each update from there."""
    case, alpha = plan.case(cell, dtype), subject.alpha(dtype)
    call = case.call
    for _ in range(3):
        result = subject.backward(call, case.cotangent)
        agree(subject, case, gradients(result), judge(call, case.cotangent, dtype, alpha))
        step, before = result.params, named(call.params)
        (updated,) = subject.updates("sgd", call.params, [step], 0.05)
        judged = judge_once("judge_update", "sgd", before, [named(step)], dtype=dtype, lr=0.05)
        agree(subject, case, named(updated), judged[0])
        call = replace(call, params=updated)


@law("training", plans(), needs=("clipping",), share=0.5)
def test_clipping_bounds_the_global_norm_and_leaves_a_small_gradient_alone(subject, cell, dtype, plan):
    """The norm is the exact one within its bound; the clipped gradient's is at most the limit and 8 roundings.

    Scaling rounds the factor and each entry: (1 + u)^k with k below 8. A gradient within the limit keeps its bits.
    """
    case, (u, _) = plan.case(cell, dtype), unit(dtype)
    gradient = tree_map(lambda a: case.normal(*a.shape), case.call.params)
    exact = judge_once("judge_norm", named(gradient), dtype=dtype)
    limit = float(exact.hi) * (0.5 if plan.seed % 2 else 2.0)
    clipped, norm = subject.clip(gradient, limit)
    agree(subject, case, {"norm": norm}, {"norm": exact})
    left = float(judge_once("judge_norm", named(clipped), dtype=dtype).hi)
    allowed = limit * (1 + 8 * u) + float(exact.bound)
    require(subject, case, left <= allowed, f"the clipped norm must be at most {limit:.9g}; got {left:.9g}.")
    wanted = min(1.0, limit / float(exact.hi)) * float(exact.hi)
    short = left >= wanted * (1 - 2e-6 / limit - 8 * u) - float(exact.bound)  # torch divides by the norm plus 1e-6
    require(subject, case, short, f"no more may be cut than the limit {limit:.9g} asks; {left:.9g} is left.")
    for before, after in zip(leaves(gradient), leaves(clipped), strict=True):
        if plan.seed % 2 == 0:
            same_bits(subject, case, "a gradient within the limit", after, before)
        else:
            turned = np.sign(before) != np.sign(after)
            require(subject, case, not turned.any(), "clipping must keep every sign.")
