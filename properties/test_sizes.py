"""Law "sizes": no size is special: T, B, D and H may lie above 8, 16, 32 and 64, or equal each other."""

from hypothesis import strategies as st

from impl import draw
from properties.cases import Plan, results
from properties.laws import agree, law

SIZES = (
    (9, 10, 11, 12),  # the first is all that a dear subject sees
    (17, 9, 2, 3),
    (33, 2, 3, 4),
    (65, 2, 4, 3),
    (3, 17, 2, 10),
    (4, 33, 3, 2),
    (3, 2, 17, 4),
    (4, 2, 33, 9),
    (4, 3, 2, 17),
    (3, 2, 9, 33),
    (3, 3, 3, 3),
    (3, 3, 4, 4),
    (4, 3, 4, 3),
    (4, 2, 2, 4),
)
"""T, B, D, H: one or two beyond 8, 16, 32 or 64, where loops and kernels divide their work, or in equal pairs."""


def sized(sizes):
    """A plan of these sizes, always the same one; pre-activations stay of order one however wide it is."""
    _, _, D, H = sizes
    return Plan(*sizes, seed=int(draw.generator("sizes", *sizes).integers(2**32)), scale=round(1.5 / (D + H) ** 0.5, 2))


@law("sizes", st.sampled_from(SIZES).map(sized), cells=("rnn", "lstm", "rnn_relu"), share=len(SIZES) / 40)
def test_sizes_beyond_8_16_32_and_64_and_equal_ones_are_computed_like_any_other(subject, cell, dtype, plan):
    """Nothing is left out, cut off or exchanged there: values and gradients are exact within the bound, as elsewhere.

    Hypothesis draws each of the few plans once, so that every default run has them all.
    """
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
