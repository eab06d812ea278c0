"""Law "unit axes": T, B, D and H may be 1, alone and together."""

from dataclasses import replace

from hypothesis import strategies as st

from properties.cases import plans, results
from properties.laws import agree, law

AXES = ("T", "B", "D", "H")
ONES = st.sets(st.sampled_from(AXES), min_size=1)


@law(
    "unit axes",
    st.builds(lambda plan, ones: replace(plan, **dict.fromkeys(ones, 1)), plans(), ONES),
    seen_in=("chainer#7545", "pytorch-qrnn#11"),
    cells=("rnn", "lstm", "rnn_relu"),
)
def test_axes_of_one_are_kept_and_computed_like_any_other(subject, cell, dtype, plan):
    """No axis is squeezed, broadcast or taken for another: values and gradients are the exact ones within the bound."""
    case = plan.case(cell, dtype)
    agree(
        subject,
        case,
        results(subject, case.call, case.cotangent),
        case.judged(subject.alpha(dtype), gradients=True),
    )
