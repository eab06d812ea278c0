"""Law "value": outputs agree with the oracle."""

import numpy as np

from properties import oracle
from properties.cases import head_of, only, outputs, plans
from properties.laws import agree, law


@law(
    "value",
    plans(),
    cells=("rnn", "lstm", "rnn_relu"),
    seen_in=("pytorch#94754", "burn#2701", "nicodjimenez/lstm#47"),
    share=5,  # a relative error of 1e-6 in one gate shows in 4 to 20 % of float32 cases; 99 of 100 runs are to catch it
)
def test_every_output_is_the_exact_one_within_the_bound_of_rounding(subject, cell, dtype, plan):
    """The equations define h_t, hT and cT; a correct subject is off by rounding alone, whatever order it sums in."""
    case = plan.case(cell, dtype)
    agree(subject, case, outputs(subject.forward(case.call)), case.judged(subject.alpha(dtype)))


@law("value", plans(), needs=("head",))
def test_the_read_out_is_the_exact_one_within_the_bound_of_rounding(subject, cell, dtype, plan):
    """y = W h + b, at every step alike, with the bias and without."""
    case = plan.case(cell, dtype)
    head, h = head_of(case, plan.D + 1), case.cotangent.h
    judged = oracle.judge_head(head.weight_hy, head.bias_hy, h, case.normal(*h.shape[:-1], plan.D + 1), dtype=dtype)
    agree(subject, case, {"y": subject.head(head, h)}, only(judged, ("y",)))


def masked_logits(case):
    """Logits (T, B, V), targets and a mask that hides about a third of the steps."""
    T, B, V = case.plan.T, case.plan.B, case.plan.D + 1
    mask = case.rng.random((T, B)) < 0.7
    return 3 * case.normal(T, B, V), case.rng.integers(0, V, (T, B)), mask


@law("value", plans(), needs=("loss",))
def test_the_loss_and_its_gradient_are_the_exact_ones_within_the_bound_of_rounding(subject, cell, dtype, plan):
    """The summed cross-entropy is given by a formula too; masked steps do not count."""
    case = plan.case(cell, dtype)
    y, targets, mask = masked_logits(case)
    for on in (None, mask):
        loss, dy = subject.loss(y, targets, on)
        agree(subject, case, {"loss": loss, "dy": dy}, oracle.judge_loss(y, targets, on, dtype=dtype))


@law("value", plans(), needs=("loss", "clean masks"), seen_in=("jax#15183",))
def test_what_a_mask_hides_reaches_neither_the_loss_nor_its_gradient(subject, cell, dtype, plan):
    """Logits of NaN and inf at masked steps change no result: their gradient is zero."""
    case = plan.case(cell, dtype)
    y, targets, mask = masked_logits(case)
    y[~mask] = (np.nan, np.inf, -np.inf)[plan.seed % 3]
    loss, dy = subject.loss(y, targets, mask)
    agree(subject, case, {"loss": loss, "dy": dy}, oracle.judge_loss(y, targets, mask, dtype=dtype))
