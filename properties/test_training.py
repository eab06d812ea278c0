"""Law "training": K optimiser steps lie within a stated bound; clipping bounds the global norm."""

from dataclasses import replace

import numpy as np

from impl.spec import leaves, tree_map
from properties.cases import GRADIENTS, gradients, judge, judge_once, named, only, plans
from properties.laws import agree, law, require, same_bits
from properties.oracle import Judged, unit

RULES = ("sgd", "adam", "rmsprop")
K = 4


@law("training", plans(), needs=("optimisers",), share=0.5)
def test_updates_are_the_exact_ones_within_the_bound(subject, cell, dtype, plan):
    """The rules are formulas: after each of K updates the parameters are exact within the bound of what was rounded."""
    case = plan.case(cell, dtype)
    params, rule = case.call.params, RULES[plan.seed % 3]
    given = [tree_map(lambda a: case.normal(*a.shape), params) for _ in range(K)]
    judged = judge_once("judge_update", rule, named(params), [named(g) for g in given], dtype=dtype, lr=0.01)
    found = subject.updates(rule, params, given, 0.01)
    require(subject, case, len(found) == K, f"{K} updates must give {K} sets of parameters; got {len(found)}.")
    for n, updated in enumerate(found):
        missing = judged[n].keys() - named(updated).keys()
        require(subject, case, not missing, f"every parameter must be given; {sorted(missing)} are missing.")
        agree(subject, case, named(updated), judged[n])


@law("training", plans(), needs=("optimisers", "backward"), share=0.25)
def test_forward_backward_and_update_repeat_within_the_bounds_of_each_step(subject, cell, dtype, plan):
    """These three in turn: each gradient is judged at the subject's own parameters, the updates by its own gradients.

    Rules with a memory run from the first parameters by all gradients so far: so the bound is that of all updates.
    """
    case, alpha = plan.case(cell, dtype), subject.alpha(dtype)
    call, rule, steps = case.call, RULES[plan.seed % 3], []
    for _ in range(3):
        result = subject.backward(call, case.cotangent)
        agree(subject, case, gradients(result), only(judge(call, case.cotangent, dtype, alpha), GRADIENTS))
        steps.append(result.params)
        *_, updated = subject.updates(rule, case.call.params, steps, 0.05)
        judged = judge_once(
            "judge_update", rule, named(case.call.params), [named(s) for s in steps], dtype=dtype, lr=0.05
        )
        agree(subject, case, named(updated), judged[-1])
        call = replace(call, params=updated)


@law("training", plans(), needs=("clipping",), share=0.5)
def test_clipping_bounds_the_global_norm_and_leaves_a_small_gradient_alone(subject, cell, dtype, plan):
    """The norm is the exact one within its bound; the clipped gradient's is at most the limit and 8 roundings.

    Scaling rounds the factor and each entry: (1 + u)^k with k below 8. A gradient within the limit keeps its bits, one
    beyond it its direction: every entry is c times what it was, c being the quotient of both norms. Dividing by the
    norm and by the norm plus 1e-6, as torch does, are both right.
    """
    case, (u, tiny) = plan.case(cell, dtype), unit(dtype)
    gradient = tree_map(lambda a: case.normal(*a.shape), case.call.params)
    exact = judge_once("judge_norm", named(gradient), dtype=dtype)
    limit = float(exact.hi) * (0.5 if plan.seed % 2 else 2.0)
    clipped, norm = subject.clip(gradient, limit)
    agree(subject, case, {"norm": norm}, {"norm": exact})
    left = float(judge_once("judge_norm", named(clipped), dtype=dtype).hi)
    allowed = limit * (1 + 8 * u) + float(exact.bound)
    require(subject, case, left <= allowed, f"the clipped norm must be at most {limit:.9g}; got {left:.9g}.")
    wanted = min(1.0, limit / float(exact.hi)) * float(exact.hi)
    short = left >= wanted * (1 - 2e-6 / limit - 8 * u) - float(exact.bound)
    require(subject, case, short, f"no more may be cut than the limit {limit:.9g} asks; {left:.9g} is left.")
    for before, after in zip(leaves(gradient), leaves(clipped), strict=True):
        if plan.seed % 2 == 0:
            same_bits(subject, case, "a gradient within the limit", after, before)
        else:
            scaled = before.astype(np.float64) * (left / float(exact.hi))
            judged = Judged(scaled, np.zeros_like(scaled), 8 * u * abs(scaled) + tiny)
            agree(subject, case, {"clipped": after}, {"clipped": judged})
