"""The torch twin as a subject, on CPU."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import impl.torch_twin
from impl.spec import leaves, rebuild, tree_map
from impl.torch_twin import exchange, head, loss, optim, scan, stack  # noqa: F401  (Twin finds them in the package)
from properties.subject import Call, Cotangent, Result
from properties.subjects.twin import Twin


def tensor(a: Any, device: str = "cpu") -> Any:
    """An array as a tensor, on the CPU over the same memory where torch can; whatever else stands in a call as it is.

    torch warns of read-only memory, and has no negative strides.
    """
    if not isinstance(a, np.ndarray):
        return a
    if any(stride < 0 for stride in a.strides):
        return torch.from_numpy(a.copy()).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(a).to(device)


def own(a: np.ndarray) -> torch.Tensor:
    """A tensor in memory of its own, whatever the strides of the array."""
    return torch.from_numpy(np.array(a, order="C"))


class TorchTwin(Twin):
    """On the CPU, tensors share the caller's memory, so that the law "purity" sees what is written.

    Attributes:
        device: where it computes, as torch names it.
    """

    device = "cpu"

    def into(self, tree: Any) -> Any:
        """See Twin."""
        return tree_map(self.moved, tree)

    def moved(self, a: Any) -> Any:
        """See `tensor`; on the device."""
        return tensor(a, self.device)

    def out(self, tree: Any) -> Any:
        """See Twin."""
        return tree_map(lambda a: a.cpu().numpy(), tree)

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """See Subject; autograd through the written backward, which is plain torch like the forward."""
        given = tree_map(lambda a: own(a).to(self.device).requires_grad_(), (call.x, call.params, call.state))
        x, params, state = given
        run = scan.forward(call.cell, params, x, state)
        gradient = scan.backward(call.cell, params, run.cache, *map(self.into, cotangent))
        pairs = zip(leaves(tuple(gradient[:3])), leaves(self.into(tuple(direction[:3]))), strict=True)
        inner = sum((d * v).sum() for d, v in pairs)
        second = torch.autograd.grad(inner, leaves(given), materialize_grads=True)
        return Result(*self.out(rebuild(given, list(second))))


subject = TorchTwin("torch_twin", impl.torch_twin, f"torch {torch.__version__.split('+')[0]}")
