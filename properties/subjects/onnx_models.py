"""What the two adapters of ONNX share: the model of one RNN or LSTM node, and a layer in one direction or two.

The functions that make the model use onnx and numpy alone, so that a report can print them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from impl.spec import STATES
from properties.subject import Call, Output, Stack
from properties.subjects.plain import Conventions, Plain, refuse_undeclared

IMPORTS = "import numpy as np\nimport onnx"
CONVENTIONS = Conventions(gates="iofg", no_bias=True, no_state=True)  # ONNX's c is our g


def tensors(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """A call's arrays as the inputs of the operator, in its order and by its names; None where one is omitted."""
    return {
        "X": x,
        "W": weight_ih[None],
        "R": weight_hh[None],
        "B": None if bias_ih is None else np.concatenate([bias_ih, bias_hh])[None],
        "sequence_lens": None if lengths is None else np.asarray(lengths, np.int32),
        "initial_h": None if h0 is None else h0[None],
        "initial_c": None if c0 is None else c0[None],
    }


def model(cell, given, fixed=(), **attributes):
    """A model of one node whose inputs are those given; those named `fixed` are part of the model."""
    operator, outputs = ("LSTM", ["Y", "Y_h", "Y_c"]) if cell == "lstm" else ("RNN", ["Y", "Y_h"])
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    if cell == "rnn_relu":
        attributes["activations"] = ["Relu"] * directions
    names = ["" if a is None else name for name, a in given.items()]
    while not names[-1]:
        names.pop()
    node = onnx.helper.make_node(operator, names, outputs, hidden_size=given["R"].shape[-1], **attributes)
    types = {n: onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in given.items() if a is not None}
    graph = onnx.helper.make_graph(
        [node],
        "one_node",
        [
            onnx.helper.make_tensor_value_info(n, types[n], [None] * given[n].ndim)
            for n in names
            if n and n not in fixed
        ],
        [onnx.helper.make_tensor_value_info(n, types["X"], None) for n in outputs],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(given[n]), n) for n in names if n in fixed],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)


class OneNode(Plain):
    """A subject that runs a model of one node; `run` takes cell, given and attributes, and gives the node's outputs.

    Attributes:
        errors: what else the library raises when it refuses: neither ValueError, TypeError nor RuntimeError.
    """

    def __init__(self, *args: Any, run: Callable[..., Any], errors: tuple[type, ...] = (), **kwargs: Any) -> None:
        """See Plain."""
        super().__init__(*args, conventions=CONVENTIONS, **kwargs)
        self.run, self.errors = run, errors

    def forward(self, call: Call) -> Output:
        """See Subject."""
        try:
            return super().forward(call)
        except self.errors as error:
            raise ValueError(str(error)) from error

    def stack(self, call: Stack) -> Output:
        """See Subject; one layer, since a node is one."""
        directions = len(call.layers[0])
        asked = {
            "layers": len(call.layers) > 1,
            "dropout": call.dropout > 0 and call.train,
            "directions": directions > 1,
            "batch first": call.batch_first,
        }
        lacking = [need for need, is_asked in asked.items() if is_asked and need not in self.capabilities]
        if lacking:
            raise NotImplementedError(f"{self.name} does not declare {' and '.join(map(repr, lacking))}.")
        x = call.x.swapaxes(0, 1) if call.batch_first else call.x
        states = (None,) * directions if call.state is None else call.state[0]
        sides = [
            Call(call.cell, params, x, state, call.lengths)
            for params, state in zip(call.layers[0], states, strict=True)
        ]
        for side in sides:
            refuse_undeclared(self, side)
        try:
            return self.run_layer(call, [self.conventions.given(replace(side, x=call.x)) for side in sides])
        except self.errors as error:
            raise ValueError(str(error)) from error

    def run_layer(self, call: Stack, sides: list[Any]) -> Output:
        """The layer as one node: what belongs to a direction stands side by side along ONNX's axis of directions."""
        each = [tensors(*side, call.lengths) for side in sides]
        given = {
            name: a if a is None or name in ("X", "sequence_lens") else np.concatenate([one[name] for one in each])
            for name, a in each[0].items()
        }
        attributes = {"direction": "bidirectional"} if len(sides) == 2 else {}
        if call.batch_first:
            given |= {n: None if given[n] is None else given[n].swapaxes(0, 1) for n in ("initial_h", "initial_c")}
            attributes["layout"] = 1
        Y, *last = self.run(call.cell, given, **attributes)
        if call.batch_first:  # Y is (B, T, directions, H), and the states are (B, directions, H)
            h, last = Y.reshape(*Y.shape[:2], -1), [a.swapaxes(0, 1) for a in last]
        else:  # Y is (T, directions, B, H)
            h = Y.swapaxes(1, 2).reshape(Y.shape[0], Y.shape[2], -1)
        return Output(h, (tuple(STATES[call.cell](*parts) for parts in zip(*last, strict=True)),))
