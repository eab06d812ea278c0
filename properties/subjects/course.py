"""A file as courses hand it out, taken as it is: rnn_forward, lstm_forward, their backwards, and the steps.

    rnn_step_forward(x, prev_h, Wx, Wh, b) -> next_h, cache
    rnn_step_backward(dnext_h, cache) -> dx, dprev_h, dWx, dWh, db
    lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b) -> next_h, next_c, cache
    lstm_step_backward(dnext_h, dnext_c, cache) -> dx, dprev_h, dprev_c, dWx, dWh, db
    rnn_forward, lstm_forward(x, h0, Wx, Wh, b) -> h, cache
    rnn_backward, lstm_backward(dh, cache) -> dx, dh0, dWx, dWh, db
    temporal_softmax_loss(x, y, mask) -> loss, dx

x is (N, T, D), Wx (D, 4H), Wh (H, 4H), b (4H,), the gates stand in the order i, f, o, g, an LSTM starts from c0 = 0,
and the loss is summed over time and averaged over the N rows. The functions over a sequence are one subject; the steps,
run in a loop, are another, which takes and gives the cell too. Where one cell has its backward and the other has not,
each is a subject of its own, so that what is there is judged. Arrays are float64, as in such files; `dtypes` in the
file says otherwise, `capabilities` adds what else it does, and `alpha` says by how many roundoffs its
sigma and tanh err.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np

from properties.subject import CAPABILITIES
from properties.subjects.function import can_be_called, imported, several, subset
from properties.subjects.plain import Conventions, Plain

CELLS = ("rnn", "lstm")
CONVENTIONS = Conventions(gates="ifog", transposed=True, batch_first=True, biases="input")
STEPS = Conventions(gates="ifog", transposed=True, biases="input")


def names(kind: str) -> list[str]:
    """The functions of a kind, "" for those over a sequence or "step_"."""
    return [f"{cell}_{kind}{way}" for cell in CELLS for way in ("forward", "backward")]


def is_course(module: Any) -> bool:
    """Whether a module has one of the functions."""
    return any(hasattr(module, name) for kind in ("", "step_") for name in names(kind) if name.endswith("forward"))


def subjects(module: ModuleType, name: str) -> list[Plain]:
    """The file's subjects: over a sequence, and by steps."""
    found = []
    for kind in (Sequence, Steps):
        parts = kind.parts_of(module)
        found += [kind(module, name if len(parts) == 1 else f"{name}:{cells[0]}", cells) for cells in parts]
    return found


class Course(Plain):
    """What both have in common; `kind` is a part of the functions' names."""

    kind = ""
    conventions_ = CONVENTIONS
    always: tuple[str, ...] = ()
    words = {"weight_ih": "Wx", "weight_hh": "Wh", "bias_ih": "b"}  # noqa: RUF012

    @classmethod
    def cells_of(cls, module: ModuleType) -> tuple[str, ...]:
        """The cells that the file has a forward of."""
        return tuple(cell for cell in CELLS if hasattr(module, f"{cell}_{cls.kind}forward"))

    @classmethod
    def parts_of(cls, module: ModuleType) -> list[tuple[str, ...]]:
        """The cells by subject: each alone where one has a backward and the other has not."""
        cells = cls.cells_of(module)
        differ = len({cls.has_backward(module, cell) for cell in cells}) > 1
        return [(cell,) for cell in cells] if differ else [cells] if cells else []

    @classmethod
    def has_backward(cls, module: ModuleType, cell: str) -> bool:
        """Whether the file has a cell's backward."""
        return hasattr(module, f"{cell}_{cls.kind}backward")

    def __init__(self, module: ModuleType, name: str, cells: tuple[str, ...]) -> None:
        self.module = module
        backward = all(self.has_backward(module, cell) for cell in cells)
        more = subset(name, "capabilities", getattr(module, "capabilities", ()), CAPABILITIES)
        super().__init__(
            f"{name} (steps)" if self.kind else name,
            self.run,
            self.pull if backward else None,
            conventions=self.conventions_,
            cells=cells,
            dtypes=subset(name, "dtypes", getattr(module, "dtypes", ("float64",)), ("float32", "float64")),
            capabilities=(*more, *self.always),
            version=f"numpy {np.__version__}",
            alpha=getattr(module, "alpha", 0),
            imports=imported(module, [f"{c}_{self.kind}{w}" for c in cells for w in ways(backward)]),
        )
        self.source = ()
        self.refuse_others()

    def arguments(self, cell: str, way: str) -> tuple[str, ...]:
        """What one of the file's functions is called with, by place."""
        raise NotImplementedError

    def refuse_others(self) -> None:
        """Refuses functions that cannot be called with what they are given, which every law would tell anew."""
        for cell, way in product(self.cells, ways(self.call_gradients is not None)):
            name, names = f"{cell}_{self.kind}{way}", self.arguments(cell, way)
            function = getattr(self.module, name)
            if not callable(function):
                raise ValueError(f"{self.name}, {name} must be a function; got {function!r}.")
            if not can_be_called(function, list(names), []):
                raise ValueError(
                    f"arguments of {self.name}, {name} must be what stands for ({', '.join(names)}), since it is "
                    f"called with these; got {inspect.signature(function)}."
                )

    def function(self, cell: str, way: str, outputs: tuple[str, ...]) -> Callable[..., tuple]:
        """One of the file's functions; it must return so many values, arrays but for the cache."""
        name = f"{cell}_{self.kind}{way}"
        found = getattr(self.module, name)

        def call(*args: Any) -> tuple:
            result = found(*args)
            if not isinstance(result, (tuple, list)) or len(result) != len(outputs):
                several(f"{self.name}, {name}", result, outputs)
            values = [(n, a) for n, a in zip(outputs, result, strict=True) if n != "cache"]
            several(f"{self.name}, {name}", [a for _, a in values], tuple(n for n, _ in values))
            return tuple(result)

        return call


def ways(backward: bool) -> tuple[str, ...]:
    """Forward, and backward where there is one."""
    return ("forward", "backward") if backward else ("forward",)


class Sequence(Course):
    """The functions over a sequence, and the loss."""

    def __init__(self, module: ModuleType, name: str, cells: tuple[str, ...]) -> None:
        super().__init__(module, name, cells)
        if hasattr(module, "temporal_softmax_loss"):
            self.capabilities |= {"loss"}

    def arguments(self, cell: str, way: str) -> tuple[str, ...]:
        """See Course."""
        return ("x", "h0", "Wx", "Wh", "b") if way == "forward" else ("dh", "cache")

    def run(self, cell: str, x: Any, h0: Any, c0: Any, Wx: Any, Wh: Any, b: Any, *_: Any) -> tuple[Any, ...]:
        """See Plain; the last state is the last output."""
        h, _ = self.function(cell, "forward", ("h", "cache"))(x, h0, Wx, Wh, b)
        return h, np.array(np.asarray(h)[:, -1]), None

    def pull(self, cell: str, x: Any, h0: Any, c0: Any, Wx: Any, Wh: Any, b: Any, *rest: Any) -> list[Any]:
        """See Plain; the gradient by the last state enters by the last output."""
        _, _, dh, dhT, _ = rest
        _, cache = self.function(cell, "forward", ("h", "cache"))(x, h0, Wx, Wh, b)
        whole = np.array(dh)
        whole[:, -1] += dhT
        dx, dh0, dWx, dWh, db = self.function(cell, "backward", ("dx", "dh0", "dWx", "dWh", "db"))(whole, cache)
        return [dx, dh0, None, dWx, dWh, db, None]

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject; rows that are masked fill the batch up to a power of two, so that averaging rounds nothing."""
        if "loss" not in self.capabilities:
            return super().loss(y, targets, mask)
        B, given = y.shape[1], self.scored(y, targets, mask)
        N = len(given["scores"])
        found = self.module.temporal_softmax_loss(*given.values())
        loss, dy = several(f"{self.name}, temporal_softmax_loss", found, ("loss", "dx"))
        return np.asarray(loss * N, y.dtype), np.ascontiguousarray(dy[:B].swapaxes(0, 1) * N)

    def scored(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """What the file's loss is called with, by place."""
        T, B, V = y.shape
        N = 1 << (B - 1).bit_length() if B else 1
        scores, labels, kept = np.zeros((N, T, V), y.dtype), np.zeros((N, T), np.int64), np.zeros((N, T), bool)
        scores[:B], labels[:B] = y.swapaxes(0, 1), np.swapaxes(targets, 0, 1)
        kept[:B] = True if mask is None else np.swapaxes(mask, 0, 1)
        return {"scores": scores, "targets": labels, "mask": kept}

    def text(self, cell: str, gradients: bool) -> str:
        """See Plain."""
        run = f"h, cache = {cell}_forward(x, h0, Wx, Wh, b)"
        pull = (
            f"dh[:, -1] += dhT  # the last state is the last output\ndx, dh0, dWx, dWh, db = {cell}_backward(dh, cache)"
        )
        return f"{run}\n{pull}" if gradients else run

    def results(self, cell: str) -> dict[str, str]:
        """See Plain."""
        found = {"h": "h", "hT": "h[:, -1]", "dx": "dx", "dh0": "dh0", "dweight_ih": "dWx", "dweight_hh": "dWh"}
        return found | {"dbias_ih": "db", "dbias_hh": "db"}


class Steps(Course):
    """The functions of one step, in a loop over time."""

    kind, conventions_, always = "step_", STEPS, ("cell state",)

    def arguments(self, cell: str, way: str) -> tuple[str, ...]:
        """See Course."""
        h, c = ("prev_h", "prev_c") if way == "forward" else ("dnext_h", "dnext_c")
        state = (h, c) if cell == "lstm" else (h,)
        return ("x", *state, "Wx", "Wh", "b") if way == "forward" else (*state, "cache")

    def forwards(self, cell: str, x: Any, h: Any, c: Any, *weights: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """h and c after every step, and the caches."""
        if cell == "lstm":
            step = self.function(cell, "forward", ("next_h", "next_c", "cache"))
        else:
            plain = self.function(cell, "forward", ("next_h", "cache"))
        hs, cs, caches = [], [], []
        for x_t in x:
            if cell == "lstm":
                h, c, cache = step(x_t, h, c, *weights)
            else:
                h, cache = plain(x_t, h, *weights)
            hs, cs, caches = [*hs, h], [*cs, c], [*caches, cache]
        return hs, cs, caches

    def run(self, cell: str, x: Any, h0: Any, c0: Any, Wx: Any, Wh: Any, b: Any, *_: Any) -> tuple[Any, ...]:
        """See Plain."""
        hs, cs, _ = self.forwards(cell, x, h0, c0, Wx, Wh, b)
        return np.stack(hs), np.array(hs[-1]), None if cell == "rnn" else np.array(cs[-1])

    def pull(self, cell: str, x: Any, h0: Any, c0: Any, Wx: Any, Wh: Any, b: Any, *rest: Any) -> list[Any]:
        """See Plain; the steps' gradients by the weights are summed, the last step's first."""
        _, _, dhs, dh, dc = rest
        *_, caches = self.forwards(cell, x, h0, c0, Wx, Wh, b)
        state = ("dprev_h", "dprev_c") if cell == "lstm" else ("dprev_h",)
        step = self.function(cell, "backward", ("dx", *state, "dWx", "dWh", "db"))
        sums, dxs = [np.zeros_like(w) for w in (Wx, Wh, b)], []
        for dh_t, cache in zip(dhs[::-1], caches[::-1], strict=True):
            dx, dh, *more = step(dh + dh_t, *((dc,) if cell == "lstm" else ()), cache)
            if cell == "lstm":
                dc, *more = more
            sums, dxs = [s + d for s, d in zip(sums, more, strict=True)], [dx, *dxs]
        return [np.stack(dxs), np.array(dh), None if cell == "rnn" else np.array(dc), *sums, None]

    def text(self, cell: str, gradients: bool) -> str:
        """See Plain."""
        c, dc = (", c", ", dc") if cell == "lstm" else ("", "")
        start = ", c = h0, c0" if c else " = h0"
        run = f"h{start}\nhs, caches = [], []\nfor x_t in x:\n"
        run += f"    h{c}, cache = {cell}_step_forward(x_t, h{c}, Wx, Wh, b)\n"
        run += "    hs.append(h)\n    caches.append(cache)"
        if not gradients:
            return run
        begin = "dh_t, dc = dhT, dcT" if dc else "dh_t = dhT"
        pull = f"{begin}\ndxs, dWx, dWh, db = [], 0, 0, 0\nfor dh_out, cache in zip(dh[::-1], caches[::-1]):\n"
        pull += f"    dx_t, dh_t{dc}, *d = {cell}_step_backward(dh_t + dh_out{dc}, cache)\n"
        return f"{run}\n{pull}    dxs, dWx, dWh, db = [dx_t, *dxs], dWx + d[0], dWh + d[1], db + d[2]"

    def results(self, cell: str) -> dict[str, str]:
        """See Plain."""
        found = {"h": "np.stack(hs)", "hT": "h", "cT": "c", "dx": "np.stack(dxs)", "dh0": "dh_t", "dc0": "dc"}
        return found | {"dweight_ih": "dWx", "dweight_hh": "dWh", "dbias_ih": "db", "dbias_hh": "db"}
