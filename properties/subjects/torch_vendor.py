"""impl.torch_twin.vendor as a subject: torch's own kernels behind the twin's contract, on CPU."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

import impl.torch_twin
from impl.torch_twin import backend, stack  # noqa: F401  (Twin finds it in the package)
from properties.subject import USUAL, Call, Cotangent, Result, Subject
from properties.subjects.torch_twin import TorchTwin

LOOP = SimpleNamespace(forward=partial(backend.forward, backend="vendor"), backward=backend.backward)
OTHERS = {"feeds back", "head", "loss", "clean masks", "optimisers", "clipping", "torch layout", "onnx layout"}


class TorchVendor(TorchTwin):
    """The time loop alone, and stacks of it; what stands around is the torch twin's, which is judged as itself."""

    capabilities = USUAL - OTHERS
    share = 0.1
    feed_back, head, loss, updates, clip, export, restore = (
        getattr(Subject, name) for name in ("feed_back", "head", "loss", "updates", "clip", "export", "restore")
    )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as the name of what this file holds: a loop of partial functions is made again, not sent."""
        return _here, ()

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """See Subject; vendor.backward gives numbers without a graph."""
        return Subject.double_backward(self, call, cotangent, direction)


def _here() -> TorchVendor:
    return subject


subject = TorchVendor("torch_vendor", impl.torch_twin, f"torch {torch.__version__.split('+')[0]}", LOOP)
