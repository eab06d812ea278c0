"""Law "lengths": rows of different lengths, padded."""

from dataclasses import replace

import numpy as np

from properties.cases import judged_rows, outputs, plans, results, rows_of
from properties.laws import agree, all_same_bits, law
from properties.subject import Cotangent

PLAN = plans(lengths=True)


def padding_filled(case, wild):
    """The same call and cotangents with the padding of x and of dh full of `wild`."""
    padding = np.arange(case.plan.T)[:, None] >= case.call.lengths
    x, dh = case.call.x.copy(), case.cotangent.h.copy()
    x[padding], dh[padding] = wild, wild
    return replace(case.call, x=x), Cotangent(dh, case.cotangent.last)


@law("lengths", PLAN, needs=("lengths",), seen_in=("onnxruntime#1400", "mxnet#19323", "jax#15183"))
def test_padded_rows_give_the_exact_values_and_gradients(subject, cell, dtype, plan):
    """A row stops at its length: later outputs are zero, the last state is that there, for any order of lengths."""
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))


@law("lengths", PLAN, needs=("lengths",), seen_in=("onnxruntime#1193", "tensorflow#60192"))
def test_a_padded_row_equals_the_row_alone_without_padding(subject, cell, dtype, plan):
    """Padding is a way to store rows, not a part of them."""
    case, row = plan.case(cell, dtype), plan.row
    n = plan.lengths[row]
    alone = rows_of(replace(case.call, lengths=None, x=case.call.x[:n]), [row])
    judged = judged_rows(case.judged(subject.alpha(dtype)), [row])
    agree(subject, case, outputs(subject.forward(alone)), judged | {"h": judged["h"].take(slice(0, n))})


@law("lengths", PLAN, needs=("lengths",))
def test_padding_reaches_no_value_and_no_gradient(subject, cell, dtype, plan):
    """Whatever the padding of x and of the cotangents holds, NaN and inf included, no bit changes, weights included."""
    case = plan.case(cell, dtype)
    wanted = results(subject, case.call, case.cotangent)
    call, cotangent = padding_filled(case, (np.nan, np.inf, 1e30)[plan.seed % 3])
    got = results(subject, call, cotangent)
    all_same_bits(subject, case, got, wanted)
