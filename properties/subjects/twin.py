"""What the adapters of both twins share: the twins have the same modules with the same functions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from impl.spec import Head
from properties.subject import CAPABILITIES, Call, Cotangent, Output, Result, Subject


class Twin(Subject):
    """A twin as a subject: `package` is impl.numpy_twin or impl.torch_twin with its modules imported."""

    capabilities = frozenset(CAPABILITIES)

    def __init__(self, name: str, package: ModuleType, version: str) -> None:
        self.name, self.package, self.version = name, package, version

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles by name, so that a child process imports its own."""
        from properties.subject import load

        return load, (self.name,)

    def forward(self, call: Call) -> Output:
        """See Subject."""
        run = self.run(call)
        return Output(self.out(run.states.h), self.out(run.last))

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        run, params = self.run(call), self.into(call.params)
        dh, dlast = self.into(cotangent.h), self.into(cotangent.last)
        gradient = self.package.scan.backward(call.cell, params, run.cache, dh, dlast)
        return Result(*(self.out(part) for part in gradient))

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return self.out(self.package.head.forward(self.into(params), self.into(h)))

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        return self.out(self.package.head.backward(self.into(params), self.into(h), self.into(dy)))

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject."""
        args = (self.into(y), self.into(targets), None if mask is None else self.into(mask))
        return self.out(self.package.loss.softmax_cross_entropy(*args))

    def run(self, call: Call) -> Any:
        """The twin's own forward."""
        args = [self.into(part) for part in (call.params, call.x, call.state, call.lengths)]
        return self.package.scan.forward(call.cell, *args)

    def into(self, tree: Any) -> Any:
        """NumPy in: what the caller holds itself, so that a law sees whether it was written to."""
        raise NotImplementedError

    def out(self, tree: Any) -> Any:
        """NumPy out."""
        raise NotImplementedError
