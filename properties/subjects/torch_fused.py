"""The torch twin's Triton kernels as a subject: under Triton's interpreter, or with TRITON_INTERPRET=0 on a GPU.

The variable is read when triton is first imported; the root conftest and the runner of verdicts set it to 1 where it is
not set.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TRITON_INTERPRET", "1")

import triton

import impl.torch_twin
from impl.spec import tree_map
from impl.torch_twin import stack  # noqa: F401  (Twin finds it in the package)
from impl.torch_twin.kernels import fused
from properties.subjects.torch_vendor import TorchVendor

DEVICE = "cpu" if os.environ["TRITON_INTERPRET"] == "1" else "cuda"


class TorchFused(TorchVendor):
    """The time loop alone, and stacks of it; what stands around is the torch twin's, which is judged as itself."""

    capabilities = TorchVendor.capabilities | {"row bits"}
    pooled = DEVICE == "cpu"
    share = 0.05 if DEVICE == "cpu" else 1.0

    def alpha(self, dtype: str) -> float:
        """See Subject."""
        return 2 * self.u(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """See TorchVendor."""
        return _here, ()

    def into(self, tree: Any) -> Any:
        """See Twin."""
        return tree_map(lambda a: a.to(DEVICE), super().into(tree))

    def out(self, tree: Any) -> Any:
        """See Twin."""
        return super().out(tree_map(lambda a: a.cpu(), tree))


def _here() -> TorchFused:
    return subject


LOOP = SimpleNamespace(forward=fused.forward, backward=fused.backward)
subject = TorchFused("torch_fused", impl.torch_twin, f"triton {triton.__version__}", LOOP)
