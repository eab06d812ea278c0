"""Law "emission": y_t is a function of h_t alone (claim N4)."""

from properties.cases import head_of, plans
from properties.laws import law, same_bits


@law("emission", plans(), needs=("head",))
def test_the_same_state_by_another_past_emits_the_same(subject, cell, dtype, plan):
    """Two histories that meet in one h_t have the same y_t, to the bit, as a hidden Markov model's states do."""
    case = plan.case(cell, dtype)
    head, t = head_of(case, plan.D + 1), plan.cut
    one = subject.forward(case.call).h
    other = case.normal(*one.shape)
    other[t] = one[t]
    same_bits(subject, case, f"y at step {t}", subject.head(head, other)[t], subject.head(head, one)[t])
