"""Law "stack": L layers equal their composition, layer by layer."""

import numpy as np

from impl.spec import tree_map
from properties.cases import plans, stack_outputs, stack_results
from properties.laws import agree, law
from properties.subject import Output, Stack

DEEP = plans(layers=(3, 4), directions=(1, 2), largest=5)


def composed(subject, call):
    """The same layers as stacks of one, each fed with what the one below gives."""
    x, last = call.x, []
    for layer, state in zip(call.layers, call.state, strict=True):
        output = subject.stack(Stack(call.cell, (layer,), x, (state,), call.lengths))
        x, last = np.ascontiguousarray(output.h), [*last, output.last[0]]
    return Output(x, tuple(last))


@law("stack", DEEP, needs=("layers", "directions"), seen_in=("mxnet#17479",), share=0.3)
def test_layers_equal_their_composition(subject, cell, dtype, plan):
    """What a layer gives is all that the layer above sees: both forms are exact within the bound."""
    case = plan.case(cell, dtype)
    judged = case.judged_stack(subject.alpha(dtype))
    agree(subject, case, stack_outputs(composed(subject, case.stack)), judged)
    agree(subject, case, stack_outputs(subject.stack(case.stack)), judged)


@law("stack", DEEP, needs=("layers", "directions", "backward"), share=0.3)
def test_gradients_pass_through_all_layers(subject, cell, dtype, plan):
    """Every layer's and direction's gradients, by weights, biases and states, and that by x."""
    case = plan.case(cell, dtype)
    got = stack_results(subject, case.stack, case.stack_cotangent)
    agree(subject, case, got, case.judged_stack(subject.alpha(dtype), gradients=True))


@law(
    "stack",
    plans(layers=(3,), directions=(1, 2), largest=5, lengths=True),
    needs=("layers", "directions", "lengths"),
    share=0.2,
)
def test_padding_reaches_no_layer(subject, cell, dtype, plan):
    """Rows end in every layer alike, whatever their padding holds: values and gradients within the bound."""
    case = plan.case(cell, dtype)
    padding = np.arange(plan.T)[:, None] >= case.stack.lengths
    judged = case.judged_stack(subject.alpha(dtype), gradients=True)
    cotangent = tree_map(np.copy, case.stack_cotangent)
    case.stack.x[padding], cotangent.h[padding] = (0.0, 1e30)[plan.seed % 2], 7.0
    agree(subject, case, stack_results(subject, case.stack, cotangent), judged)
