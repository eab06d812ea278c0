"""Law "dropout": units are dropped between layers, in training alone, with the same mask forward and backward.

The mask is read off the outputs: the layer above is made so that its output is exactly zero where its input is. What is
random is judged by exact binomial tails at 1e-10 a count. A case has at most five counts, so that it accuses a correct
subject with a probability below 1e-9: the default profile, with fewer than 1,000 counts, in less than one of 10^7 runs.
"""

from dataclasses import replace

import numpy as np
from scipy.special import bdtr, bdtrc

from impl.spec import block, tree_map
from properties.cases import judge_stack, plans, stack_outputs, stack_results
from properties.laws import agree, all_same_bits, law, require

NEEDS = ("layers", "dropout")
SEEN = ("pytorch#185351", "haste#43")
RATES = (0.1, 0.3, 0.5, 0.8)
RARE = 1e-10


def transparent(params, cell, H):
    """A layer whose h is exactly zero where its input is: each unit sees one input, and an LSTM forgets at once."""
    W, b = np.zeros((len(params.weight_ih), H), params.weight_ih.dtype), np.zeros_like(params.bias_ih)
    W[block(cell, "g" if cell == "lstm" else "a", H)] = np.eye(H)
    if cell == "lstm":
        b[block(cell, "f", H)] = -1e3
    return params._replace(weight_ih=W, weight_hh=np.zeros_like(params.weight_hh), bias_ih=b, bias_hh=np.zeros_like(b))


def watched(plan, cell, dtype, L=2):
    """A case, its rate of dropout, and its stack in training, whose masks show: the upper layers are transparent."""
    case = replace(plan, L=L, T=12, B=11, H=8, biases="both").case(cell, dtype)
    call, H = case.stack, 8
    above = tuple((transparent(layer[0], cell, H),) for layer in call.layers[1:])
    call = replace(
        call, layers=(call.layers[0], *above), state=(call.state[0], *tree_map(np.zeros_like, call.state[1:]))
    )
    rate = rate_of(plan)
    return case, rate, replace(call, dropout=rate, train=True, seed=plan.seed % 2**31)


def kept(output):
    """Which units came through, (T, B, H)."""
    return output.h != 0


def likely(count, n, p):
    """Whether a binomial count is one that chance gives, but for the rare."""
    return min(bdtr(count, n, p), bdtrc(count - 1, n, p)) > RARE / 2


def rate_of(plan):
    """The case's rate of dropout, by its seed."""
    return RATES[plan.seed % len(RATES)]


@law("dropout", plans(), needs=NEEDS, seen_in=SEEN, share=0.25)
def test_the_share_kept_is_one_minus_the_rate(subject, cell, dtype, plan):
    """Each unit of each step and row is kept with that probability: over all of them, and unit by unit."""
    case, p, call = watched(plan, cell, dtype)
    on = kept(subject.stack(call))
    for what, count, n in (("all", on.sum(), on.size), ("the first unit", on[..., 0].sum(), on[..., 0].size)):
        require(subject, case, likely(count, n, 1 - p), f"of {what} {n}, {count} were kept at rate {p}.")


def pairs(on, axis):
    """Neighbours along an axis, each place in one pair only: agreements of pairs that overlap are not independent."""
    on = np.moveaxis(on, axis, 0)
    return on[1::2], on[:-1:2]


def without_unseen(case, call, subject):
    """Cotangents without those of units that are zero below, undropped: a mask cannot be seen there.

    In float32 some pre-activation in a million is rounded to zero where large biases cancel.
    """
    unseen = subject.stack(replace(call, layers=call.layers[:1], state=call.state[:1], dropout=0.0, train=False)).h == 0
    case.stack_cotangent.h[unseen] = 0
    for part in case.stack_cotangent.last[-1][0]:
        part[unseen[-1]] = 0
    return case.stack_cotangent


@law("dropout", plans(), needs=NEEDS, seen_in=SEEN, share=0.25)
def test_masks_of_other_calls_steps_and_layers_are_independent(subject, cell, dtype, plan):
    """Two masks agree at a place with probability p^2 + (1 - p)^2: other seeds, neighbouring steps, rows and units."""
    case, p, call = watched(plan, cell, dtype)
    on, other = (kept(subject.stack(replace(call, seed=call.seed + n))) for n in (0, 1))
    axes = {f"neighbouring {name}": pairs(on, axis) for axis, name in enumerate(("steps", "rows", "units"))}
    for what, (a, b) in {"two calls": (on, other), **axes}.items():
        same = int((a == b).sum())
        fair = likely(same, a.size, p * p + (1 - p) ** 2)
        require(subject, case, fair, f"masks of {what} agree at {same} of {a.size} places at rate {p}.")
    twice = kept(subject.stack(watched(plan, cell, dtype, L=3)[-1]))
    fair = likely(int(twice.sum()), twice.size, (1 - p) ** 2)
    require(subject, case, fair, f"through two masks, {twice.sum()} of {twice.size} came at rate {p}.")


@law("dropout", plans(), needs=(*NEEDS, "backward"), seen_in=SEEN, share=0.1)
def test_the_mask_of_the_forward_scales_by_what_it_keeps_and_is_that_of_the_backward(subject, cell, dtype, plan):
    """With the mask that the outputs show, and kept units times 1 / (1 - p), values and gradients are exact."""
    case, p, call = watched(plan, cell, dtype)
    on = kept(subject.stack(call))
    mask = np.where(on, 1 / (1 - p), 0).astype(dtype)
    cotangent = without_unseen(case, call, subject)
    judged = judge_stack(call, cotangent, dtype, subject.alpha(dtype), (mask,))
    agree(subject, case, stack_results(subject, call, cotangent), judged)


@law("dropout", plans(), needs=NEEDS, share=0.15)
def test_the_same_seed_drops_the_same_and_evaluation_drops_nothing(subject, cell, dtype, plan):
    """The seed alone decides; in evaluation the rate is without effect: bits."""
    case, _, train = watched(plan, cell, dtype)
    evaluation, without = replace(train, train=False), replace(train, train=False, dropout=0.0)
    for one, other in ((train, train), (evaluation, without), (replace(train, dropout=0.0), without)):
        all_same_bits(subject, case, stack_outputs(subject.stack(one)), stack_outputs(subject.stack(other)))
