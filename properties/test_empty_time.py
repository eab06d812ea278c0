"""Law "empty time": without a step, of the sequence or of a row, the initial state is handed back."""

from dataclasses import replace

import numpy as np

from properties.cases import GRADIENTS, by_name, named, plans, results, without_states
from properties.handed_in import arrays_of
from properties.laws import agree, all_same_bits, law, require, same_bits, share_no_memory
from properties.subject import Cotangent

EMPTY = plans(lengths=True, empty_rows=True)


@law("empty time", plans(), needs=("no steps", "cell state"), seen_in=("pytorch#50192", "onnxruntime#28052"), share=0.5)
def test_a_sequence_without_steps_hands_back_its_initial_state(subject, cell, dtype, plan):
    """Nothing is computed: hT is h0 and cT is c0 to the bit, outputs have no steps, and dh0 is the cotangent of hT.

    They are copies: whoever writes to a result changes no argument.
    """
    case = plan.case(cell, dtype)
    call, cotangent = replace(case.call, x=case.call.x[:0]), Cotangent(case.cotangent.h[:0], case.cotangent.last)
    wanted = {"h": cotangent.h, "x": call.x}
    wanted |= by_name(("hT", "cT"), call.state) | by_name(("h0", "c0"), cotangent.last)
    wanted |= {name: np.zeros_like(p) for name, p in named(call.params).items()}
    got = without_states(results(subject, call, cotangent))
    all_same_bits(subject, case, got, wanted)
    found = ((f"the gradient by {name}" if name in GRADIENTS else f"`{name}`", a) for name, a in got.items())
    share_no_memory(subject, case, found, arrays_of(call, cotangent))


@law("empty time", EMPTY, needs=("lengths", "empty rows", "cell state"), seen_in=("onnxruntime#28052",))
def test_rows_of_length_zero_hand_back_their_initial_state(subject, cell, dtype, plan):
    """A row without steps computes nothing: hT is h0 and cT is c0, and so are their gradients, to the bit."""
    case = replace(plan, lengths=(0, *plan.lengths[1:])).case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
    for part, first, last in zip("hc", case.call.state, case.cotangent.last, strict=False):
        same_bits(subject, case, f"{part}T of an empty row", got[f"{part}T"][0], first[0])
        if "backward" in subject.capabilities:
            same_bits(subject, case, f"d{part}0 of an empty row", got[f"{part}0"][0], last[0])
    if "backward" in subject.capabilities:
        require(subject, case, not got["x"][:, 0].any(), "an empty row's gradient by x must be zero.")
