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
from impl.torch_twin import stack  # noqa: F401  (Twin finds it in the package)
from impl.torch_twin.kernels import fused
from properties.subjects.torch_kernels import TorchKernels

DEVICE = "cpu" if os.environ["TRITON_INTERPRET"] == "1" else "cuda"


class TorchFused(TorchKernels):
    """On the device that the variable says."""

    device = DEVICE

    def __reduce__(self) -> tuple[Any, ...]:
        """See TorchVendor."""
        return _here, ()


def _here() -> TorchFused:
    return subject


LOOP = SimpleNamespace(forward=fused.forward, backward=fused.backward)
subject = TorchFused("torch_fused", impl.torch_twin, f"triton {triton.__version__}", LOOP)
