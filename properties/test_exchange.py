"""Law "exchange": export then import is the identity."""

import numpy as np

from impl.spec import block, leaves
from properties.cases import named, plans, sides
from properties.laws import law, require, same_bits

SEEN = ("coremltools#93", "Paddle#70245")
ONNX_ORDER = {"rnn": "a", "rnn_relu": "a", "lstm": "iofg"}
"""The gates' order in ONNX's W, R and B, by our names; its c is our g."""


def onnx_tensors(cell, directions, H):
    """W, R and B as the operators' specification lays them out, by hand."""
    rows = np.concatenate([np.r_[block(cell, gate, H)] for gate in ONNX_ORDER[cell]])
    named = {"W": [p.weight_ih[rows] for p in directions], "R": [p.weight_hh[rows] for p in directions]}
    if directions[0].bias_ih is not None:
        named["B"] = [np.concatenate([p.bias_ih[rows], p.bias_hh[rows]]) for p in directions]
    return {name: np.stack(parts) for name, parts in named.items()}


def same_layers(subject, case, got, wanted):
    """Two trees of parameters hold the same bits, and no memory in common."""
    require(subject, case, len(leaves(got)) == len(leaves(wanted)), "as many arrays must come back as went out.")
    for a, b in zip(leaves(got), leaves(wanted), strict=False):
        same_bits(subject, case, "a parameter", a, b)
        require(subject, case, not np.shares_memory(a, b), "an imported parameter must have memory of its own.")


@law("exchange", plans(layers=(1, 2, 3), directions=(1, 2)), needs=("torch layout",), seen_in=SEEN, share=0.5)
def test_a_torch_state_dict_holds_every_parameter_under_torchs_name(subject, cell, dtype, plan):
    """weight_ih_l0, bias_hh_l1_reverse and so on, to the bit, and nothing else; import gives the layers back."""
    case = plan.case(cell, dtype)
    layers = case.stack.layers
    wanted = {f"{n}{s}": a for s, p in sides(layers) for n, a in named(p).items()}
    exported = subject.export(cell, layers, "torch")
    require(subject, case, set(exported) == set(wanted), f"the names must be {sorted(wanted)}; got {sorted(exported)}.")
    for name, array in wanted.items():
        same_bits(subject, case, name, exported.get(name, np.zeros(0)), array)
    same_layers(subject, case, subject.restore(cell, exported, "torch"), layers)


@law("exchange", plans(directions=(1, 2)), needs=("onnx layout",), seen_in=SEEN, share=0.5)
def test_onnx_tensors_stand_where_the_specification_says(subject, cell, dtype, plan):
    """W and R by direction with gates i, o, f, c; B holds all biases of the input, then those of the state: bits."""
    case = plan.case(cell, dtype)
    directions = case.stack.layers[0]
    wanted, exported = onnx_tensors(cell, directions, plan.H), subject.export(cell, (directions,), "onnx")
    require(subject, case, set(exported) == set(wanted), f"the names must be {sorted(wanted)}; got {sorted(exported)}.")
    for name, array in wanted.items():
        same_bits(subject, case, name, exported.get(name, np.zeros(0)), array)
    same_layers(subject, case, subject.restore(cell, exported, "onnx"), (directions,))


@law("exchange", plans(biases=("ih", "hh"), directions=(1, 2)), needs=("torch layout", "one bias"), share=0.5)
def test_one_bias_alone_comes_back_alone(subject, cell, dtype, plan):
    """An absent bias is not a bias of zeros: it stays absent."""
    case = plan.case(cell, dtype)
    layers = case.stack.layers
    same_layers(subject, case, subject.restore(cell, subject.export(cell, layers, "torch"), "torch"), layers)
