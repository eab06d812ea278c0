"""What the adapters of one layer share: a subject made of plain functions that have conventions of their own.

An adapter is a module with one function `forward`, or two, that import nothing of ours:

    forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths) -> h, hT, cT    (cT is None for an RNN)
    gradients(the same, dh, dhT, dcT) -> a gradient for each of x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh

in the order of gates, the layout and the number of biases that the library has; `Plain` says which, and converts. Since
the functions use the library alone, a report can print them with the numbers of a failing case: that is its snippet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from impl.spec import GATES, STATES, Parameters, block, leaves
from properties.subject import Call, Cotangent, Output, Result, Subject


class Given(NamedTuple):
    """A call's arrays in a subject's own conventions; or gradients by them. What there is not is None."""

    x: Any
    h0: Any
    c0: Any
    weight_ih: Any
    weight_hh: Any
    bias_ih: Any
    bias_hh: Any


@dataclass(frozen=True)
class Conventions:
    """How a subject wants its arrays.

    Attributes:
        gates: the order of an LSTM's blocks, the first rows first.
        transposed: weights are (D, G*H) and (H, G*H), for x @ W.
        batch_first: x and h are (B, T, ...), not (T, B, ...).
        biases: "both"; "input" or "hidden": one bias, the sum of both, in the place of that one.
        no_bias: absent biases are handed over as None; otherwise as zeros.
        no_state: an absent initial state is handed over as None; otherwise as zeros.
    """

    gates: str = "ifgo"
    transposed: bool = False
    batch_first: bool = False
    biases: str = "both"
    no_bias: bool = False
    no_state: bool = False

    def __post_init__(self) -> None:
        if sorted(self.gates) != sorted("ifgo"):
            raise ValueError(f"`gates` must be an order of the letters i, f, g, o; got {self.gates!r}.")
        if self.biases not in ("both", "input", "hidden"):
            raise ValueError(f"`biases` must be 'both', 'input' or 'hidden'; got {self.biases!r}.")

    def given(self, call: Call) -> Given:
        """The call's arrays in these conventions."""
        params, state = call.params, call.state
        if state is None and not self.no_state:
            B, H = call.x.shape[1], params.weight_hh.shape[-1]
            state = STATES[call.cell](*(np.zeros((B, H), call.x.dtype) for _ in STATES[call.cell]._fields))
        h0, c0 = (*(state or ()), None, None)[:2]
        W, R = (self.weight(call.cell, w) for w in (params.weight_ih, params.weight_hh))
        return Given(self.sequence(call.x), h0, c0, W, R, *self.both_biases(call.cell, params))

    def both_biases(self, cell: str, params: Parameters) -> tuple[Any, Any]:
        """The two biases, or their sum in one's place; zeros or None where there are none."""
        both = [b for b in (params.bias_ih, params.bias_hh) if b is not None]
        if len({b.shape for b in both}) > 1:  # where one bias is wanted, their sum would broadcast
            raise ValueError(f"both biases must have one shape; got {' and '.join(str(b.shape) for b in both)}.")
        if not both and self.no_bias:
            return None, None
        zeros = np.zeros(len(params.weight_hh), params.weight_hh.dtype)
        if self.biases == "both":
            return tuple(self.rows(cell, zeros if b is None else b) for b in (params.bias_ih, params.bias_hh))
        one = self.rows(cell, sum(both) if both else zeros)
        return (one, None) if self.biases == "input" else (None, one)

    def output(self, cell: str, h: Any, hT: Any, cT: Any) -> Output:
        """A forward's results, in ours."""
        return Output(self.sequence(h), STATES[cell](*(hT, cT)[: len(STATES[cell]._fields)]))

    def result(self, call: Call, gradients: Given) -> Result:
        """Gradients in these conventions, in ours: what the call has not has none.

        Of a sum of biases each has the gradient, in memory of its own.
        """
        g, params = gradients, call.params
        W, R = (None if d is None else self.weight_back(call.cell, d) for d in (g.weight_ih, g.weight_hh))
        only = g.bias_ih if self.biases == "input" else g.bias_hh
        again = None if only is None else np.array(only)
        by_bias = (g.bias_ih, g.bias_hh) if self.biases == "both" else (only, again)
        biases = [
            None if b is None or d is None else self.rows_back(call.cell, d)
            for b, d in zip((params.bias_ih, params.bias_hh), by_bias, strict=True)
        ]
        state = None if call.state is None else type(call.state)(*(g.h0, g.c0)[: len(call.state)])
        return Result(self.sequence(g.x), Parameters(W, R, *biases), state)

    def sequence(self, a: Any) -> Any:
        """A sequence to or from these conventions; None, which is none, stays."""
        return a.swapaxes(0, 1) if self.batch_first and a is not None else a

    def weight(self, cell: str, W: np.ndarray) -> np.ndarray:
        """A weight in these conventions."""
        W = self.rows(cell, W)
        return np.ascontiguousarray(W.T) if self.transposed else W

    def weight_back(self, cell: str, W: np.ndarray) -> np.ndarray:
        """A weight, or the gradient by one, in ours."""
        return self.rows_back(cell, np.ascontiguousarray(W.T) if self.transposed else W)

    def rows(self, cell: str, a: np.ndarray) -> np.ndarray:
        """The blocks of rows in this order."""
        return a if self.same_order(cell) else a[self.order(cell, len(a))]

    def rows_back(self, cell: str, a: np.ndarray) -> np.ndarray:
        """The blocks of rows in ours."""
        return a if self.same_order(cell) else a[np.argsort(self.order(cell, len(a)))]

    def same_order(self, cell: str) -> bool:
        """Whether the blocks stand as ours do."""
        return cell != "lstm" or tuple(self.gates) == GATES["lstm"]

    def order(self, cell: str, rows: int) -> np.ndarray:
        """Which of our rows stands in each place."""
        H = rows // len(GATES[cell])
        return np.concatenate([np.r_[block(cell, gate, H)] for gate in self.gates])


class Plain(Subject):
    """A subject made of plain functions: see the module."""

    def __init__(
        self,
        name: str,
        forward: Callable[..., tuple],
        gradients: Callable[..., tuple] | None = None,
        *,
        conventions: Conventions = Conventions(),
        cells: tuple[str, ...] = ("rnn", "lstm"),
        dtypes: tuple[str, ...] = ("float32", "float64"),
        capabilities: tuple[str, ...] = (),
        alpha: float = 0.0,
        version: str = "",
        pooled: bool = False,
        source: tuple[Any, ...] = (),
        imports: str = "import numpy as np",
    ) -> None:
        """As the attributes of Subject; `alpha` in units of u; the functions that a snippet needs, and its imports.

        Raises:
            ValueError: `alpha` is no number from 0 to 4.
        """
        self.name, self.version, self.cells, self.dtypes, self.pooled = name, version, cells, dtypes, pooled
        self.conventions, self.alphas, self.imports = conventions, in_roundoffs(name, alpha), imports
        self.call_forward, self.call_gradients = forward, gradients
        self.capabilities = frozenset(capabilities) | ({"backward"} if gradients else set())
        self.source = source or tuple(f for f in (forward, gradients) if f)

    words: dict[str, str] = {}  # noqa: RUF012
    """Own names of some arguments, for a report."""

    def text(self, cell: str, gradients: bool) -> str:
        """The call in words of a program, once the arguments bear their names."""
        given = f"{cell!r}, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths"
        if not gradients:
            return f"h, hT, cT = {self.call_forward.__name__}({given})"
        results = "dx, dh0, dc0, dweight_ih, dweight_hh, dbias_ih, dbias_hh"
        return f"{results} = {self.call_gradients.__name__}({given}, dh, dhT, {'dcT' if cell == 'lstm' else 'None'})"

    def results(self, cell: str) -> dict[str, str]:
        """What stands for each result, or d and the name for each gradient, after the text of the call."""
        biases = {"input": ("bias_ih", "bias_ih"), "hidden": ("bias_hh", "bias_hh")}
        ih, hh = biases.get(self.conventions.biases, ("bias_ih", "bias_hh"))
        found = {name: name for name in ("h", "hT", "cT", "dx", "dh0", "dc0", "dweight_ih", "dweight_hh")}
        return found | {"dbias_ih": f"d{ih}", "dbias_hh": f"d{hh}"}

    def alpha(self, dtype: str) -> float:
        """See Subject."""
        return self.alphas * self.u(dtype)

    def forward(self, call: Call) -> Output:
        """See Subject."""
        refuse_undeclared(self, call)
        found = self.call_forward(call.cell, *self.conventions.given(call), call.lengths)
        return self.conventions.output(call.cell, *found)

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        if self.call_gradients is None:
            return super().backward(call, cotangent)
        refuse_undeclared(self, call)
        refuse_cotangent(call, cotangent)
        dh, dlast = self.conventions.sequence(cotangent.h), (*cotangent.last, None)[:2]
        given = self.conventions.given(call)
        return self.conventions.result(call, Given(*self.call_gradients(call.cell, *given, call.lengths, dh, *dlast)))


LARGEST_ALPHA = 4
"""In units of the roundoff: as much again as each sigma and tanh is granted of its own result (rho)."""


def in_roundoffs(name: str, alpha: Any) -> float:
    """The alpha that a subject declares, in units of the roundoff.

    Raises:
        ValueError: it is no number, or one that no bound can be widened by.
    """
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 <= alpha <= LARGEST_ALPHA:
        raise ValueError(
            f"`alpha` of {name} must be a number from 0 to {LARGEST_ALPHA}, in units of the roundoff, since a wider "
            f"bound hides what is wrong; got {alpha!r}."
        )
    return float(alpha)


def refuse_undeclared(subject: Subject, call: Call) -> None:
    """Refuses a call for what a subject does not declare.

    Raises:
        ValueError, NotImplementedError: it names what was asked for.
    """
    T, B = call.x.shape[0], call.x.shape[1]
    asked = {
        "ensemble": call.params.weight_hh.ndim > 2,
        "one bias": (call.params.bias_ih is None) != (call.params.bias_hh is None),
        "lengths": call.lengths is not None,
        "empty rows": call.lengths is not None and 0 in call.lengths,
        "no steps": T == 0,
        "no rows": B == 0,
        "cell state": call.cell == "lstm" and call.state is not None and bool(np.any(call.state.c)),
    }
    if call.cell not in subject.cells:
        raise ValueError(f"{subject.name} has the cells {', '.join(subject.cells)}; got {call.cell!r}.")
    wrong = sorted({a.dtype.name for a in leaves((call.x, call.params, call.state))} - set(subject.dtypes))
    if wrong:
        raise ValueError(f"{subject.name} computes in {' and '.join(subject.dtypes)}; got {', '.join(wrong)}.")
    lacking = [need for need, is_asked in asked.items() if is_asked and need not in subject.capabilities]
    if lacking:
        raise NotImplementedError(f"{subject.name} does not declare {' and '.join(map(repr, lacking))}.")


def refuse_cotangent(call: Call, cotangent: Cotangent) -> None:
    """Refuses a cotangent of h that has not its shape.

    Raises:
        ValueError: the shape it must have, and that it has.
    """
    shape = (*call.x.shape[:2], call.params.weight_hh.shape[-1])
    if cotangent.h.shape != shape:
        raise ValueError(f"`dh` must have shape {shape}, that of h; got {cotangent.h.shape}.")
