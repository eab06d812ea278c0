"""Law "empty time": without a step, of the sequence or of a row, the initial state is handed back."""

from dataclasses import replace

import numpy as np

from impl.spec import leaves
from properties.cases import plans, results
from properties.laws import agree, law, require, same_bits
from properties.subject import Cotangent

EMPTY = plans(lengths=True, empty_rows=True)


@law("empty time", plans(), needs=("backward", "no steps"), seen_in=("pytorch#50192", "onnxruntime#28052"), share=0.5)
def test_a_sequence_without_steps_hands_back_its_initial_state(subject, cell, dtype, plan):
    """Nothing is computed: hT is h0 and cT is c0 to the bit, outputs have no steps, and dh0 is the cotangent of hT."""
    case = plan.case(cell, dtype)
    call, cotangent = replace(case.call, x=case.call.x[:0]), Cotangent(case.cotangent.h[:0], case.cotangent.last)
    output, result = subject.forward(call), subject.backward(call, cotangent)
    for name, got, wanted in (("last", output.last, call.state), ("state gradient", result.state, cotangent.last)):
        for part, a, b in zip("hc", got, wanted, strict=False):
            same_bits(subject, case, f"{name} {part}", a, b)
    same_bits(subject, case, "h", output.h, cotangent.h)
    same_bits(subject, case, "dx", result.x, call.x)
    for d, p in zip(leaves(result.params), leaves(call.params), strict=True):
        same_bits(subject, case, "a parameter's gradient", d, np.zeros_like(p))


@law("empty time", EMPTY, needs=("lengths", "backward", "empty rows"), seen_in=("onnxruntime#28052",))
def test_rows_of_length_zero_hand_back_their_initial_state(subject, cell, dtype, plan):
    """A row without steps computes nothing: hT is h0 and cT is c0, and so are their gradients, to the bit."""
    case = replace(plan, lengths=(0, *plan.lengths[1:])).case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
    for part, first, last in zip("hc", case.call.state, case.cotangent.last, strict=False):
        same_bits(subject, case, f"{part}T of an empty row", got[f"{part}T"][0], first[0])
        same_bits(subject, case, f"d{part}0 of an empty row", got[f"{part}0"][0], last[0])
    require(subject, case, not got["x"][:, 0].any(), "an empty row's gradient by x must be zero.")
