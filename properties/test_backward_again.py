"""Law "backward again": several backwards from one forward agree, and frozen parameters change nothing else."""

from impl.spec import tree_map
from properties.cases import GRADIENTS, gradients, judge, named, only, plans
from properties.laws import agree, all_same_bits, law, require
from properties.subject import Cotangent

NEEDS = ("backward", "several backwards")
SEEN = ("pytorch#1532", "pytorch#776")


@law("backward again", plans(), needs=NEEDS, seen_in=SEEN)
def test_a_second_backward_from_one_forward_agrees_with_the_first(subject, cell, dtype, plan):
    """The forward's record is read, not used up: the same cotangents give the same bits, others the exact ones."""
    case = plan.case(cell, dtype)
    other = Cotangent(*tree_map(lambda a: case.normal(*a.shape), tuple(case.cotangent)))
    first, between, again = map(gradients, subject.backwards(case.call, [case.cotangent, other, case.cotangent]))
    agree(subject, case, first, only(case.judged(subject.alpha(dtype), gradients=True), GRADIENTS))
    agree(subject, case, between, only(judge(case.call, other, dtype, subject.alpha(dtype)), GRADIENTS))
    all_same_bits(subject, case, again, first, "a second time")


@law("backward again", plans(), needs=NEEDS, seen_in=SEEN)
def test_frozen_parameters_have_no_gradient_and_change_no_other(subject, cell, dtype, plan):
    """What is not asked for is not given, and the rest keeps its bits."""
    case = plan.case(cell, dtype)
    frozen = [name for n, name in enumerate(named(case.call.params)) if (plan.seed >> n) & 1]
    (whole,), (some,) = (subject.backwards(case.call, [case.cotangent], f) for f in ((), frozen))
    given = [name for name in frozen if getattr(some.params, name) is not None]
    require(subject, case, not given, f"frozen parameters must have no gradient; {given} have one.")
    wanted = {name: a for name, a in gradients(whole).items() if name not in frozen}
    all_same_bits(subject, case, gradients(some), wanted, "beside frozen parameters")
