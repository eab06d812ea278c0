"""Law "rows": a batch is rows side by side, and nothing more."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import GRADIENTS, cotangent_of, gradients, judged_rows, only, outputs, plans, results, rows_of
from properties.laws import agree, all_same_bits, law
from properties.oracle import OVER_TIME, PARAMETERS
from properties.subject import Call, Cotangent


def by_row(named: dict, row) -> dict:
    """The arrays that have rows, at some rows: axis 1 of sequences, axis 0 of states."""
    kept = {name: a for name, a in named.items() if name not in PARAMETERS}
    return {name: (a[:, row] if name in OVER_TIME else a[row]) for name, a in kept.items()}


@law("rows", plans(), seen_in=("pytorch#180744", "pytorch#177016"))
def test_reordering_rows_reorders_the_outputs(subject, cell, dtype, plan):
    """Rows do not know their places: the same sequences in another order give the same results in that order."""
    case = plan.case(cell, dtype)
    order = case.rng.permutation(plan.B)
    judged = judged_rows(case.judged(subject.alpha(dtype)), order)
    agree(subject, case, outputs(subject.forward(rows_of(case.call, order))), judged)


@law("rows", plans(), seen_in=("pytorch#95118",))
def test_a_row_alone_equals_the_row_in_its_batch(subject, cell, dtype, plan):
    """What a row gives does not depend on its company, within the bound (products of other shapes sum otherwise)."""
    case, row = plan.case(cell, dtype), [plan.row]
    judged = judged_rows(case.judged(subject.alpha(dtype)), row)
    agree(subject, case, outputs(subject.forward(rows_of(case.call, row))), judged)


@law("rows", plans(), needs=("backward",), share=0.5)
def test_a_row_alone_has_the_gradients_of_the_row_in_its_batch(subject, cell, dtype, plan):
    """No row's dx, dh0 or dc0 holds a part of another's, within the bound; the parameters' are sums over all rows."""
    case, row = plan.case(cell, dtype), [plan.row]
    alone = gradients(subject.backward(rows_of(case.call, row), cotangent_of(case.cotangent, row)))
    judged = judged_rows(only(case.judged(subject.alpha(dtype), gradients=True), GRADIENTS), row)
    agree(subject, case, {name: a for name, a in alone.items() if name not in PARAMETERS}, judged)


@law("rows", plans(), needs=("cell state",), seen_in=("onnxruntime#3893",))
def test_what_other_rows_hold_changes_no_bit_of_a_row(subject, cell, dtype, plan):
    """At the same shapes, other rows full of NaN or inf leave a row's values and gradients as they are, to the bit."""
    case, others = plan.case(cell, dtype), np.arange(plan.B) != plan.row
    wild = (np.nan, np.inf, -np.inf)[plan.seed % 3]
    x, state, dh, dlast = (tree_map(np.copy, a) for a in (case.call.x, case.call.state, *case.cotangent))
    for array in (*state, *dlast, x.swapaxes(0, 1), dh.swapaxes(0, 1)):
        array[others] = wild
    with np.errstate(invalid="ignore"):
        poisoned = replace(case.call, x=x, state=state)
        got = results(subject, poisoned, Cotangent(dh, dlast))
    wanted = by_row(results(subject, case.call, case.cotangent), plan.row)
    all_same_bits(subject, case, by_row(got, plan.row), wanted, f"of row {plan.row}")


def alone(case, e: int):
    """The call and the cotangents of one model of a group."""
    call, cotangent = case.call, case.cotangent
    lengths = call.lengths[e] if np.ndim(call.lengths) == 2 else call.lengths
    x = call.x if call.x.ndim == 3 else call.x[:, e]
    params, state, last = (tree_map(lambda a: a[e], tree) for tree in (call.params, call.state, cotangent.last))
    return Call(call.cell, params, x, state, lengths), Cotangent(cotangent.h[:, e], last)


@law("rows", plans(group=True, lengths=True), needs=("row bits", "ensemble", "lengths"), share=0.5)
def test_a_row_has_the_same_bits_in_any_batch_and_group(subject, cell, dtype, plan):
    """A promise beyond the law: rows of one model alone, in another order, hold the bits that they have in a group.

    Of what belongs to a row; the gradient by an x that models share is a sum over them.
    """
    case = plan.case(cell, dtype)
    e, B = plan.seed % plan.E, plan.B
    rows = np.roll(np.arange(B), 1 + plan.seed % max(1, B - 1))[: max(1, B - plan.seed % 2)]  # each at another place
    call, cotangent = alone(case, e)
    group = results(subject, case.call, case.cotangent)
    own = [name for name in group if name not in PARAMETERS and not (name == "x" and plan.shared)]
    wanted = {name: group[name][:, e][:, rows] if name in OVER_TIME else group[name][e][rows] for name in own}
    got = results(subject, rows_of(call, rows), cotangent_of(cotangent, rows))
    all_same_bits(
        subject,
        case,
        {name: a for name, a in got.items() if name in own},
        wanted,
        f"of rows {rows.tolist()} of model {e}",
    )
