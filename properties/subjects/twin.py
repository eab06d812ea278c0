"""What the adapters of both twins share: the twins have the same modules with the same functions."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from impl import draw
from impl.spec import COMMON, Head
from properties.subject import USUAL, Call, Cotangent, Output, Result, Stack, Subject


class Twin(Subject):
    """A twin as a subject: `package` is impl.numpy_twin or impl.torch_twin with its modules imported.

    `loop` is its time loop: the plain one, package.scan, or another form with the same functions.
    """

    cells = COMMON
    capabilities = USUAL

    def __init__(self, name: str, package: ModuleType, version: str, loop: Any = None) -> None:
        self.name, self.package, self.version, self.loop = name, package, version, loop or package.scan

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles by name, so that a child process imports its own."""
        from properties.loading import load

        return load, (self.name,)

    def forward(self, call: Call) -> Output:
        """See Subject."""
        run = self.run(call)
        return Output(self.out(run.states.h), self.out(run.last))

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        return self.backwards(call, [cotangent])[0]

    def backwards(self, call: Call, cotangents: Sequence[Cotangent], frozen: Sequence[str] = ()) -> list[Result]:
        """See Subject; the twins give every gradient, and a frozen parameter's is not passed on."""
        run, params = self.run(call), self.into(call.params)
        results = []
        for cotangent in cotangents:
            dh, dlast = self.into(cotangent.h), self.into(cotangent.last)
            gradient = self.loop.backward(call.cell, params, run.cache, dh, dlast)
            result = Result(*(self.out(part) for part in gradient))
            results.append(result._replace(params=result.params._replace(**dict.fromkeys(frozen))))
        return results

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return self.out(self.package.head.forward(self.into(params), self.into(h)))

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        return self.out(self.package.head.backward(self.into(params), self.into(h), self.into(dy)))

    def feed_back(self, call: Call, head: Head, embedding: np.ndarray, steps: int) -> tuple[np.ndarray, Output]:
        """See Subject."""
        if call.lengths is not None:
            raise ValueError("`lengths` must be None, since a loop on its own outputs has no padding; got lengths.")
        args = (self.into(part) for part in (call.params, call.x[0], call.state, head, embedding))
        params, x, state, head, embedding = args
        following = lambda h: self.package.head.likeliest(head, h) @ embedding  # noqa: E731
        fed = self.loop.feed_back(call.cell, params, x, steps, following, state)
        return self.out(fed.x), Output(self.out(fed.states.h), self.out(fed.last))

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject."""
        args = (self.into(y), self.into(targets), None if mask is None else self.into(mask))
        return self.out(self.package.loss.softmax_cross_entropy(*args))

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        run = self.run_stack(call)
        return Output(self.out(run.h), self.out(run.last))

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject; the masks are drawn again from the call's seed."""
        cache, layers = self.run_stack(call).cache, self.into(call.layers)
        dh, dlast = self.into(cotangent.h), self.into(cotangent.last)
        gradient = self.package.stack.backward(call.cell, layers, cache, dh, dlast, self.loop)
        return Result(*self.out(tuple(gradient)))

    def run_stack(self, call: Stack) -> Any:
        """The twin's own forward of a stack."""
        masks = self.masks(call) if call.train and call.dropout else None
        args = [self.into(part) for part in (call.layers, call.x, call.state, call.lengths, masks)]
        return self.package.stack.forward(call.cell, *args, batch_first=call.batch_first, loop=self.loop)

    def masks(self, call: Stack) -> tuple[np.ndarray, ...]:
        """The masks of a call in training, from its seed alone."""
        T, B = call.x.shape[:2] if not call.batch_first else call.x.shape[1::-1]
        first = call.layers[0]
        K = len(first) * first[0].weight_hh.shape[-1]
        masks = draw.dropout(draw.generator("dropout", call.seed), call.dropout, len(call.layers), T, B, K)
        return tuple(mask.astype(call.x.dtype) for mask in masks)

    def updates(self, rule: str, params: Any, gradients: Sequence[Any], lr: float) -> list[Any]:
        """See Subject."""
        optim, params, found = self.package.optim, self.into(params), []
        state = None if rule == "sgd" else getattr(optim, f"{rule}_start")(params)
        for gradient in map(self.into, gradients):
            if rule == "sgd":
                params = optim.sgd(params, gradient, lr)
            else:
                params, state = getattr(optim, rule)(params, gradient, state, lr)
            found.append(self.out(params))
        return found

    def clip(self, gradient: Any, max_norm: float) -> tuple[Any, np.ndarray]:
        """See Subject."""
        return tuple(self.out(part) for part in self.package.optim.clip(self.into(gradient), max_norm))

    def export(self, cell: str, layers: tuple, layout: str) -> dict[str, np.ndarray]:
        """See Subject."""
        layers = self.into(layers)
        writers = {"torch": lambda to: to.to_torch(layers), "onnx": lambda to: to.to_onnx(cell, layers[0])}
        return {name: self.out(a) for name, a in writers[layout](self.package.exchange).items()}

    def restore(self, cell: str, exported: dict[str, np.ndarray], layout: str) -> tuple:
        """See Subject."""
        named = {name: self.into(a) for name, a in exported.items()}
        readers = {"torch": lambda to: to.from_torch(named), "onnx": lambda to: (to.from_onnx(cell, named),)}
        return self.out(readers[layout](self.package.exchange))

    def run(self, call: Call) -> Any:
        """The twin's own forward."""
        args = [self.into(part) for part in (call.params, call.x, call.state, call.lengths)]
        return self.loop.forward(call.cell, *args)

    def into(self, tree: Any) -> Any:
        """NumPy in: what the caller holds itself, so that a law sees whether it was written to."""
        raise NotImplementedError

    def out(self, tree: Any) -> Any:
        """NumPy out."""
        raise NotImplementedError
