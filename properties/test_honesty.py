"""Law "honesty": an option that is not supported raises; it is never ignored."""

from dataclasses import replace

import numpy as np

from impl import draw
from impl.spec import leaves, tree_map
from properties.cases import head_of, mapped, plans, take
from properties.laws import law, require
from properties.subject import Cotangent

SEEN = ("tvm#15176", "keras#13399", "onnxruntime#27224")
REFUSALS = (ValueError, TypeError, RuntimeError)
UNKNOWN = (*REFUSALS, KeyError, AttributeError)  # look-ups of a name that is not there say which


def requests(subject, case):
    """What a subject may be asked for, by the capability that it takes.

    "states", "clean masks", "checks" and "refuses" say how well something is done: no call asks for them.
    """
    call, p, stack = case.call, case.plan, case.stack
    group = draw.group([call.params] * 2)
    lengths = np.maximum(1, np.arange(p.B) % (p.T + 1))
    pair, two = (stack.layers[0] * 2,), (stack.state[0] * 2,)
    deep, params = replace(stack, layers=stack.layers * 2, state=stack.state * 2), call.params
    yield "lengths", lambda: subject.forward(replace(call, lengths=lengths))
    yield "empty rows", lambda: subject.forward(replace(call, lengths=np.zeros(p.B, int)))
    yield "no steps", lambda: subject.forward(replace(call, x=call.x[:0]))
    yield "no rows", lambda: subject.forward(replace(call, x=call.x[:, :0], state=take(call.state, slice(0))))
    yield (
        "ensemble",
        lambda: subject.forward(replace(call, params=group, state=tree_map(lambda a: a[None][[0, 0]], call.state))),
    )
    if case.cell == "lstm":
        yield "cell state", lambda: subject.forward(replace(call, state=tree_map(np.ones_like, call.state)))
    yield "one bias", lambda: subject.forward(replace(call, params=params._replace(bias_ih=None)))
    yield "layers", lambda: subject.stack(deep)
    yield "directions", lambda: subject.stack(replace(stack, layers=pair, state=two))
    yield "batch first", lambda: subject.stack(replace(stack, x=stack.x.swapaxes(0, 1), batch_first=True))
    yield "dropout", lambda: subject.stack(replace(deep, dropout=0.5, train=True))
    yield "several backwards", lambda: subject.backwards(call, [case.cotangent] * 2)
    yield "optimisers", lambda: subject.updates("sgd", params, [params], 0.1)
    yield "clipping", lambda: subject.clip(params, 1.0)
    yield "torch layout", lambda: subject.export(case.cell, stack.layers, "torch")
    yield "onnx layout", lambda: subject.export(case.cell, stack.layers, "onnx")
    yield "backward", lambda: subject.backward(call, case.cotangent)
    yield "head", lambda: subject.head(head_of(case, p.D + 1), case.cotangent.h)
    yield "feeds back", lambda: subject.feed_back(call, head_of(case, p.D), case.normal(p.D, p.D), p.T)
    yield "loss", lambda: subject.loss(case.cotangent.h, np.zeros(case.cotangent.h.shape[:-1], int))


def refused(ask, errors=REFUSALS):
    """Whether a request is refused, by one of some errors."""
    try:
        ask()
    except errors:
        return True
    return False


@law("honesty", plans(biases=("both",)), seen_in=SEEN, share=0.25)
def test_what_a_subject_does_not_declare_it_refuses(subject, cell, dtype, plan):
    """Whoever asks for an option gets it or an error, never a result that is silent about it."""
    case = replace(plan, D=plan.H).case(cell, dtype)
    for capability, ask in requests(subject, case):
        if capability not in subject.capabilities:
            require(subject, case, refused(ask), f"{capability!r} is not declared, so a call for it must be refused.")


@law("honesty", plans(biases=("both",)), seen_in=SEEN, share=0.25)
def test_an_unknown_cell_rule_layout_or_dtype_is_refused(subject, cell, dtype, plan):
    """There is no GRU behind the name of an LSTM, and no rounding behind integers."""
    case = plan.case(cell, dtype)
    call = case.call
    asked = {
        "the cell 'gru'": lambda: subject.forward(replace(call, cell="gru")),
        "integers": lambda: subject.forward(mapped(call, lambda a: a.astype("int64"))),
    }
    if "optimisers" in subject.capabilities:
        asked["the rule 'adagrad'"] = lambda: subject.updates("adagrad", call.params, [call.params], 0.1)
    if "torch layout" in subject.capabilities:
        asked["the layout 'caffe'"] = lambda: subject.export(cell, ((call.params,),), "caffe")
    for what, ask in asked.items():
        require(subject, case, refused(ask, UNKNOWN), f"{what} must be refused; a result came.")


@law("honesty", plans(), seen_in=SEEN, share=0.25)
def test_half_precision_is_refused_or_stays_half_precision(subject, cell, dtype, plan):
    """Whoever asks for float16 never gets another dtype in silence; torch.nn computes in it, the twins refuse it."""
    case = plan.case(cell, dtype)
    try:
        output = subject.forward(mapped(case.call, lambda a: a.astype("float16")))
    except REFUSALS:
        return
    given = {a.dtype.name for a in leaves(tuple(output))}
    require(subject, case, given == {"float16"}, f"float16 must be refused or stay; {sorted(given)} came.")


@law("honesty", plans(), needs=("backward",), share=0.25)
def test_a_cotangent_that_does_not_fit_is_refused(subject, cell, dtype, plan):
    """A gradient for outputs of another shape is not the gradient of anything here."""
    case = plan.case(cell, dtype)
    wrong = Cotangent(case.cotangent.h[:, :, :0], case.cotangent.last)
    longer = Cotangent(np.concatenate([case.cotangent.h] * 2), case.cotangent.last)
    for cotangent in (wrong, longer):
        ask = lambda cotangent=cotangent: subject.backward(case.call, cotangent)  # noqa: E731
        shape = cotangent.h.shape
        require(subject, case, refused(ask), f"a cotangent of shape {shape} must be refused; it was taken.")
