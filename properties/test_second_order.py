"""Law "second order": double backward is right, or refused in words."""

from impl.spec import tree_map
from properties.cases import gradients, judge_once, plans
from properties.laws import agree, law, require
from properties.subject import Result

WORDS = ("double backward", "differentiate twice")
"""What a refusal says, in plain words or as torch has it; or that a derivative is not implemented."""


def named(tree):
    """x, parameters and state as the referee takes them."""
    return tree[1]._asdict(), tree[0], tuple(tree[2])


@law(
    "second order",
    plans(),
    needs=("backward", "cell state"),
    seen_in=("pytorch#9229", "pytorch#25315"),
    cells=("rnn", "lstm", "rnn_relu"),
    share=0.5,
)
def test_double_backward_is_right_or_refused(subject, cell, dtype, plan):
    """The gradient of <u, gradient> by every argument: exact within the referee's bound, or an error that says so."""
    case = plan.case(cell, dtype)
    call, cotangent = case.call, case.cotangent
    u = tree_map(lambda a: case.normal(*a.shape), Result(call.x, call.params, call.state))
    try:
        result = subject.double_backward(call, cotangent, u)
    except (NotImplementedError, RuntimeError) as error:
        text = str(error).lower()
        said = any(word in text for word in WORDS) or ("derivative" in text and "not implemented" in text)
        require(subject, case, said, f"a refusal must say that there is no double backward; it says: {error}.")
        return
    params, x, state = named((call.x, call.params, call.state))
    direction = named((u.x, u.params, u.state))
    judged = judge_once(
        "judge_second", cell, params, x, state, *cotangent, direction, dtype=dtype, alpha=subject.alpha(dtype)
    )
    agree(subject, case, gradients(result), judged)
