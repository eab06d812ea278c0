"""Law "strides": how an array lies in memory does not matter."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import arrays, judge, mapped, plans, results
from properties.laws import agree, law, same_bits
from properties.subject import Cotangent


def sliced(a):
    """Every second entry of something larger."""
    larger = np.full((*(2 * n for n in a.shape),), 7, a.dtype)
    larger[tuple(slice(None, None, 2) for _ in a.shape)] = a
    return larger[tuple(slice(None, None, 2) for _ in a.shape)]


def backwards(a):
    """Negative strides along every axis."""
    turn = tuple(slice(None, None, -1) for _ in a.shape)
    return np.ascontiguousarray(a[turn])[turn]


LAYOUTS = {"Fortran order": np.asfortranarray, "sliced": sliced, "negative strides": backwards}


@law("strides", plans(), seen_in=("pytorch#345",), share=0.6)
def test_sliced_transposed_and_reversed_arrays_give_the_same(subject, cell, dtype, plan):
    """The same numbers in another layout are the same call: within the bound, and the arguments keep their bits."""
    same_in_a_layout(subject, plan.case(cell, dtype), dtype)


@law("strides", plans(group=True), needs=("ensemble",), share=0.2)
def test_a_group_in_another_layout_gives_the_same(subject, cell, dtype, plan):
    """The models of a group may lie anywhere too: in each other, with gaps, the last one first."""
    same_in_a_layout(subject, plan.case(cell, dtype), dtype)


def same_in_a_layout(subject, case, dtype):
    """A case gives the same where its arrays lie in one of LAYOUTS, by the plan's seed."""
    name = sorted(LAYOUTS)[case.plan.seed % len(LAYOUTS)]
    layout = LAYOUTS[name]
    call, cotangent = case.call, case.cotangent
    strange = mapped(call, layout)
    turned = Cotangent(*tree_map(layout, tuple(cotangent)))
    got = results(subject, strange, turned)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
    for array, dense in zip(arrays(strange) + arrays(turned), arrays(call) + arrays(cotangent), strict=True):
        same_bits(subject, case, f"an argument of shape {dense.shape} in {name}", array, dense)


@law("strides", plans(), seen_in=("pytorch#345",), share=0.6)
def test_expanded_arrays_give_the_same(subject, cell, dtype, plan):
    """One row or step, expanded over all by strides of zero, is what it looks like."""
    case = plan.case(cell, dtype)
    call, cotangent, axis = case.call, case.cotangent, plan.seed % 2
    first = slice(0, 1)
    x = np.broadcast_to(call.x[first] if axis == 0 else call.x[:, first], call.x.shape)
    state = tree_map(lambda a: np.broadcast_to(a[first], a.shape), call.state)
    dh = np.broadcast_to(cotangent.h[first], cotangent.h.shape)
    flat = Cotangent(np.ascontiguousarray(dh), cotangent.last)
    dense = replace(call, x=np.ascontiguousarray(x), state=tree_map(np.ascontiguousarray, state))
    got = results(subject, replace(call, x=x, state=state), Cotangent(dh, cotangent.last))
    agree(subject, case, got, judge(dense, flat, dtype, subject.alpha(dtype)))
