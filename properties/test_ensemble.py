"""Law "ensemble": a group of models is its models, side by side."""

from properties.cases import plans, results
from properties.laws import agree, law


@law("ensemble", plans(group=True), needs=("ensemble",))
def test_models_at_once_equal_each_model_alone(subject, cell, dtype, plan):
    """Axis E is a way to compute, not a part of the model; a shared x receives the gradient summed over E."""
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))


@law(
    "ensemble",
    plans(group=True, lengths=True, empty_rows=True),
    needs=("ensemble", "lengths", "empty rows"),
)
def test_a_group_with_lengths_equals_each_model_alone(subject, cell, dtype, plan):
    """The same where rows end early."""
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
