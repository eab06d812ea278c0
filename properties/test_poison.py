"""Law "poison": nothing is read that was not written, and steps times rows beyond 65,536 are computed like few.

Element counts past 2^31 concern the offsets that kernels compute; a kernel brings the check of its own arithmetic.
"""

from dataclasses import replace

import numpy as np

from properties.cases import cotangent_of, gradients, judged_rows, outputs, plans, results, rows_of
from properties.laws import agree, law, same_bits
from properties.oracle import PARAMETERS, Judged

SEEN = ("pytorch#177834",)


def poison(case):
    """Memory of the sizes that a call uses, filled with NaN and given back: whoever takes it unwritten reads NaN."""
    T, B, D, H = (getattr(case.plan, name) for name in "TBDH")
    sizes = {B * H, B * D, B * 4 * H, T * B * H, T * B * D, T * B * 4 * H, 4 * H * D, 4 * H * H, 4 * H, B, H}
    blocks = [np.full(n, np.nan, case.dtype) for n in sizes for _ in range(8)]
    del blocks


@law("poison", plans(lengths=True), needs=("lengths",), seen_in=SEEN, share=0.5)
def test_memory_full_of_nan_reaches_no_result(subject, cell, dtype, plan):
    """Outputs, padding and gradients are written wherever they are read: after poisoning, the same bits."""
    case = plan.case(cell, dtype)
    wanted = results(subject, case.call, case.cotangent)
    poison(case)
    got = outputs(subject.forward(case.call))
    if "backward" in subject.capabilities:
        poison(case)
        got |= gradients(subject.backward(case.call, case.cotangent))
    for name, array in got.items():
        same_bits(subject, case, name, array, wanted[name])
        finite = np.where(np.isfinite(array), array, 0)
        same_bits(subject, case, f"{name}, which must be finite,", array, finite)


MANY = 22_001


@law("poison", plans(largest=4), seen_in=SEEN, share=0.05)
def test_more_than_65536_steps_times_rows_are_computed_like_few(subject, cell, dtype, plan):
    """Every row of a batch of copies is the row; a weight's gradient is that of the few, K times.

    A sum of K n terms errs by gamma_(Kn-1) times the sum of magnitudes; the bound of the n terms grants gamma_(n-1) of
    1/K of that: so the sum is granted K (K n - 1) / (n - 1) times the bound, n = T B. That gamma_m is m u / (1 - m u),
    .8 % more than m u at the largest, is within what is granted beyond need: each term's own rounding, grown alike.
    """
    case, n = replace(plan, T=3, B=2).case(cell, dtype), 3 * 2
    tile = np.arange(2 * MANY) % 2
    judged = case.judged(subject.alpha(dtype), gradients=True)
    grown = MANY * (MANY * n - 1) / (n - 1)
    sums = {m: Judged(MANY * j.hi, MANY * j.lo, grown * j.bound) for m, j in judged.items() if m in PARAMETERS}
    got = results(subject, rows_of(case.call, tile), cotangent_of(case.cotangent, tile))
    agree(subject, case, got, judged_rows(judged, tile) | sums)
