"""What subjects whose time loop is the Triton kernels share; it imports neither."""

from __future__ import annotations

from typing import Any

from properties.subjects.torch_vendor import TorchVendor


class TorchKernels(TorchVendor):
    """The time loop alone, and stacks of it; what stands around is the torch twin's, which is judged as itself.

    On the device "cpu" Triton's interpreter runs them, which a test is patient with.
    """

    capabilities = TorchVendor.capabilities | {"row bits"}

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pooled = self.device == "cpu"
        self.share = 0.05 if self.pooled else 1.0

    def alpha(self, dtype: str) -> float:
        """See Subject: 2u, in which sigma and tanh are computed whatever products are."""
        return 2 * self.u(dtype)
