"""The referee on the time loops' own calls: the plain loop keeps every bound, a fault in any array is told by name."""

import numpy as np
import pytest
import torch

from impl.spec import COMMON, leaves, rebuild, tree_map
from impl.torch_twin import scan
from properties.on_card import BF16, TF32X3, FusedBF16
from properties.twins import test_scan
from properties.twins.referee import ALPHA, ran, worst
from properties.twins.test_on_card import Formed, bf16, factors, tf32, tf32x3

cells = pytest.mark.parametrize("cell", COMMON)
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
NAMES = "h", "c", "hT", "cT", "x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0", "h_t", "c_t"
CALLS = {
    "one model": (None, True, None),
    "rows of all lengths": (None, True, [5, 0, 2]),
    "group": (2, False, [[5, 0, 2], [1, 4, 3]]),
    "group sharing x and lengths": (2, True, [5, 0, 2]),
}


def call_of(cell, name="group", dtype=torch.float32, reverse=False):
    """Arguments of a loop's forward and backward: T=5, B=3, D=4, H=2."""
    E, shared, lengths = CALLS[name]
    put = lambda a: torch.tensor(np.asarray(a), dtype=dtype)  # noqa: E731
    arrays = tree_map(put, test_scan.arguments(cell, E, shared))
    return cell, *arrays, None if lengths is None else torch.tensor(lengths), reverse


def formed(call, product, outer=torch.matmul):
    """The same with products of matrices by a function, and by another for the gradients of weights."""
    with Formed(product, outer):
        return ran(scan, *call)


@cells
@directions
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_plain_loop_errs_within_the_bounds(cell, name, dtype, reverse):
    """Outputs, c of every step, last states and all gradients; no bound is so wide that nothing shows."""
    call = call_of(cell, name, dtype, reverse)
    assert 0 < worst(ran(scan, *call), *call).share <= 1


@cells
@directions
def test_an_error_in_any_array_is_told_by_its_name(cell, reverse):
    """A ten-thousandth in the number that has the most room, of one array at a time."""
    call = call_of(cell, reverse=reverse)
    found = ran(scan, *call)
    names = [name for name in NAMES if cell == "lstm" or not name.startswith("c")]
    for n, name in enumerate(names):
        arrays = [a.clone() for a in leaves(found)]
        arrays[n].view(-1)[arrays[n].abs().argmax()] *= 1 + 1e-4
        told = worst(rebuild(found, arrays), *call)
        assert told.name == name and told.share > 1


@cells
@directions
def test_what_stands_at_padding_must_be_zero(cell, reverse):
    """The smallest number there, in h, c or their gradients, breaks every bound; NaN does so anywhere."""
    call = call_of(cell, "rows of all lengths", reverse=reverse)
    found = ran(scan, *call)
    for tree in (0, 5):
        for n in range(len(leaves(found[tree]))):
            for what in (1e-38, torch.nan):
                arrays = [a.clone() for a in leaves(found[tree])]
                arrays[n][-1, 1, 0] = what  # a row of no steps
                spoilt = (*found[:tree], rebuild(found[tree], arrays), *found[tree + 1 :])
                assert worst(spoilt, *call).share == np.inf


@pytest.mark.parametrize(
    ("product", "products", "worse"),
    [(tf32x3, TF32X3, factors(tf32)), (factors(bf16), BF16, factors(lambda a: bf16(a) * (1 + 2**-6)))],
    ids=["tf32x3", "bf16"],
)
@cells
def test_products_are_granted_what_they_declare(cell, product, products, worse):
    """Within the bounds; float32's own are broken by bf16, and theirs by plain TF32 and by factors 1/64 too large."""
    call = call_of(cell)
    found = formed(call, product)
    assert worst(found, *call, products=products).share <= 1
    assert products is TF32X3 or worst(found, *call).share > 100
    assert worst(formed(call, worse), *call, products=products).share > 1


def test_one_per_cent_in_states_of_bf16_shows_on_nearly_all_calls():
    """On 23 of these 24 where this was written; a tolerance of .05 passes them all."""
    calls = [call_of(cell, name, reverse=reverse) for cell in COMMON for name in CALLS for reverse in (False, True)]
    found = [formed(call, factors(bf16)) for call in calls]
    spoilt = [(states._replace(h=1.01 * states.h), *others) for states, *others in found]
    shares = [worst(one, *call, products=BF16).share for one, call in zip(spoilt, calls, strict=True)]
    assert sum(share > 1 for share in shares) >= 22


def test_weights_gradients_are_granted_the_dtypes_own_roundoff():
    """Torch forms them: of factors in bfloat16 they are out of bounds, where the kernels' products are within."""
    call = call_of("rnn_relu")
    told = worst(formed(call, torch.matmul, factors(bf16)), *call, products=BF16)
    assert told.name.startswith("weight") and told.share > 1


def test_sigma_and_tanh_are_granted_what_the_kernels_subjects_declare():
    """In units of the roundoff."""
    subject = object.__new__(FusedBF16)
    assert all(subject.alpha(dtype) == ALPHA * subject.u(dtype) for dtype in ("float32", "float64"))


def test_arrays_of_another_dtype_and_too_few_are_refused():
    """By name."""
    call = call_of("rnn")
    states, last, dx, *others = ran(scan, *call)
    with pytest.raises(ValueError, match=r"`found` must be float32, since `x` is; got {'x': 'float64'}."):
        worst((states, last, dx.double(), *others), *call)
    with pytest.raises(ValueError, match=r"`found` must hold .*, x; got .*, weight_ih."):
        worst((states, last, None, *others), *call)
