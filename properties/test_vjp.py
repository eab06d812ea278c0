"""Law "vjp": gradients of every argument agree with the oracle's backward."""

from properties import oracle
from properties.cases import GRADIENTS, gradients, head_of, named, only, plans
from properties.laws import agree, law


@law(
    "vjp",
    plans(),
    needs=("backward",),
    cells=("rnn", "lstm", "rnn_relu"),
    seen_in=("deeplearning4j#8838", "axon#646", "numpy-ml#42", "mxnet#17898", "haste#43"),
    share=2,  # 1e-5 in one gradient term shows in 10 to 30 % of float32 cases, or more
)
def test_every_gradient_is_the_exact_one_within_the_bound_of_rounding(subject, cell, dtype, plan):
    """For random cotangents on all outputs: by x, every parameter, h0 and c0; and by every h_t and c_t where given."""
    case = plan.case(cell, dtype)
    got = gradients(subject.backward(case.call, case.cotangent))
    agree(subject, case, got, only(case.judged(subject.alpha(dtype), gradients=True), GRADIENTS))


@law("vjp", plans(), needs=("head",))
def test_gradients_of_the_read_out_are_the_exact_ones_within_the_bound_of_rounding(subject, cell, dtype, plan):
    """dh = W^T dy at every step, and one sum over all steps and rows for the parameters."""
    case = plan.case(cell, dtype)
    head, h = head_of(case, plan.D + 1), case.cotangent.h
    dy = case.normal(*h.shape[:-1], plan.D + 1)
    dh, dhead = subject.head_backward(head, h, dy)
    judged = oracle.judge_head(head.weight_hy, head.bias_hy, h, dy, dtype=dtype)
    agree(subject, case, {"h": dh, **named(dhead)}, only(judged, ("h", "weight_hy", "bias_hy")))
