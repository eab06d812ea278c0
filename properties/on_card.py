"""Subjects for a machine with a CUDA card: `--subject properties.on_card:eager`, and so on.

    eager           the torch twin, tensors on the card
    vendor          torch's own kernels behind the twin's contract: cuDNN's
    fused           the Triton kernels, compiled
    fused_tf32x3    the same with products of three TF32 products each, float32 arrays alone
    fused_bf16      the same with factors rounded to bfloat16, float32 arrays alone

The kernels need TRITON_INTERPRET=0 in the environment. A subject that cannot run says why in one line. Every call gets
copies of its arrays on the card; what it writes to them is handed back, so that the law "purity" sees it, and
memory of the card that torch has freed is NaN before it, for the law "poison".
"""

from __future__ import annotations

import os
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuDNN's products may differ from run to run

import numpy as np
import torch

import impl.torch_twin
from impl.spec import COMMON
from impl.torch_twin import backend, scan, stack, tf32  # noqa: F401  (Twin finds stack in the package)
from impl.torch_twin import vendor as vendor_kernels
from properties.guard import METHODS
from properties.roundoff import COARSEST, Products
from properties.subjects.torch_kernels import TorchKernels
from properties.subjects.torch_twin import TorchTwin, tensor
from properties.subjects.torch_vendor import TorchVendor

CUT = 2.0**-22
"""The unit roundoff of a sum on tensor cores, 4 of float32's (u = 2^-24).

They add exact products and the sum so far on the scale of the largest and cut off what lies below its last bit, 2u of
it (some cards keep a few bits more, which is not counted on). Of n terms in blocks of 4 or more, that is once a term
but for the largest of its block, and once a block for the block's sum: (n + b - 1) 2u of the sum of magnitudes, b
blocks, and with the sum of low parts, which is one term more, (n + b) 2u. Since b <= n, that is at most n times 4u; and
one product alone needs as much.

Source: Fasi, Higham, Mikaitis, Pranesh 2021, Numerical behavior of NVIDIA tensor cores (V100, T4, A100).
"""

TF32X3 = Products(factors=2.0**-21, sums=CUT * (1 + 2.0**-10))
"""A factor a is split into a_h, 11 bits rounded to nearest, and the rest, which the tensor core cuts to 11 bits.

In units of a's last bit, |a| >= 2^23, the rest is at most 2^12; at most 1 is cut off it, and none where it is 2^12. Of
a b, a_l b_l is left out, at most 2^-22 |a b|, and what is cut off either factor is missing, 2^-23 |a b| each: 2^-21 in
all, 8u. The sums of a_h b_l and a_l b_h are cut off too, on magnitudes of 2^-10 of a_h b_h's at most. The split is
Triton's, read in what it compiles: cvt.rna.tf32 for the high part, nothing for the low one.
"""

BF16 = Products(factors=(1 + 1 / 257) ** 2 - 1, sums=CUT)
"""A factor is rounded to nearest in 8 bits: off by at most 2^-8 / (1 + 2^-8) = 1/257 of itself; .0078, near 2^-7."""

INTERPRETED_BF16 = Products(factors=(1 + 2.0**-7) ** 2 - 1, sums=CUT)
"""Triton's interpreter cuts a factor off after 8 bits, where a card rounds (cvt.rn.bf16x2 in what is compiled)."""

CUDNN = COARSEST
"""How far cuDNN's tanh of float32 may be off, relative to it, 256 units of roundoff; its sigma by half as much.

Seen on an H100 with cuDNN 9.19, by the smallest breaks of what float32 grants: tanh at 1/4, 1/2, 1 and 2 is off by
-3.2e-6, -5.1e-6, +9.0e-6 and +1.8e-6 of itself, and nothing contradicts that a sigma is made of it. Those are not all
arguments: the bound is a guess with room until a test of test_on_card.py that needs a card has run (decisions/0048).
float64 is granted what everyone is.
"""

POISONED = (12, 16, 19, 20, 22, 24)
"""Powers of two, bytes of the blocks that are filled: torch keeps those up to 1 MiB and larger ones apart."""


class OnCard(TorchTwin):
    """A torch subject on a device, "cuda" unless a test says otherwise."""

    form = ""

    def __init__(self, device: str = "cuda", loop: Any = None) -> None:
        """Refuses, in one line, a device that is not there, or products of TF32 where float32 is asked for."""
        require(device)
        self.device, self.lent = device, []
        super().__init__(f"{self.form}_{device}", impl.torch_twin, version(device), loop)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as its class and device, so that a child process makes its own."""
        return type(self), (self.device,)

    def moved(self, a: Any) -> Any:
        """See TorchTwin; a copy also on the device "cpu", kept beside the caller's array."""
        if not isinstance(a, np.ndarray):
            return a
        there = tensor(a).to(self.device, copy=True)
        self.lent.append((a, there))
        return there

    def hand_back(self) -> None:
        """Writes into the caller's arrays what was changed in their copies."""
        lent, self.lent = self.lent, []
        for a, there in lent:
            now = there.cpu().numpy()
            if now.tobytes() != a.tobytes():
                a[...] = now

    def poison(self) -> None:
        """Fills memory of the device with ones and frees it: who takes it unwritten reads NaN, in either dtype."""
        blocks = [torch.full((1 << size,), 255, dtype=torch.uint8, device=self.device) for size in POISONED]
        del blocks


def around(name: str) -> Any:
    """A method of Subject, on poisoned memory and with what it wrote to its arguments handed back."""

    def method(self: OnCard, *args: Any, **options: Any) -> Any:
        self.poison()
        try:
            return getattr(super(OnCard, self), name)(*args, **options)
        finally:
            self.hand_back()

    method.__name__, method.__doc__ = name, "See Subject."
    return method


for _name in METHODS:
    setattr(OnCard, _name, around(_name))


class Eager(OnCard):
    """The whole torch twin: the plain loop in torch's own operations, and what stands around it."""

    form = "eager"


class Vendor(OnCard, TorchVendor):
    """cuDNN's kernels: `vendor.products` turns their TF32, which is torch's default for them, off for each call.

    On a card without the cells that they compute otherwise, and with their own sigma and tanh.
    """

    form, share = "vendor", 1.0

    def __init__(self, device: str = "cuda") -> None:
        loop = SimpleNamespace(forward=partial(backend.forward, backend="vendor"), backward=backend.backward)
        super().__init__(device, loop)
        where = torch.device(device).type
        self.cells = tuple(cell for cell in self.cells if (where, cell) not in vendor_kernels.OTHERWISE)
        if where == "cuda":
            self.activation_error = CUDNN
            self.version += f", tanh of float32 granted {CUDNN:.2g} of itself"


class Fused(OnCard, TorchKernels):
    """The Triton kernels; on the device "cpu" under Triton's interpreter."""

    form, precision = "fused", "ieee"

    def __init__(self, device: str = "cuda") -> None:
        require(device)
        fused = kernels(device)
        loop = SimpleNamespace(forward=partial(fused.forward, precision=self.precision), backward=fused.backward)
        super().__init__(device, loop)
        self.products = products_of(self.precision, device)


class FusedTF32x3(Fused):
    """Products of three TF32 products each.

    The law "exact" holds: its numbers times 1, 0 or -1 have at most 22 bits, of which the high part takes 11 and the
    low one the others.
    """

    form, precision, dtypes = "fused_tf32x3", "tf32x3", ("float32",)


class FusedBF16(Fused):
    """Products with factors of bfloat16.

    The law "exact" asks for the bits of integers of up to 20 significant bits, and products here keep 8. It is a law of
    the cell rnn_relu and asks for no capability, so that cell is not declared, rather than a bound that holds no bit.
    """

    form, precision, dtypes = "fused_bf16", "bf16", ("float32",)
    cells = tuple(cell for cell in COMMON if cell != "rnn_relu")


def require(device: str) -> None:
    """Refuses a device that torch does not see, and products that torch may round below float32, a card's or a CPU's.

    Raises:
        ValueError: what is needed, in one line.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError("needs a CUDA device, and torch sees none.")
    on_cpu = getattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", "ieee")  # none before torch 2.9
    if tf32.allowed() or on_cpu in ("tf32", "bf16"):
        raise ValueError(
            "needs torch's products of float32 unrounded, its default; torch is set to allow TF32 or less."
        )


def products_of(precision: str, device: str) -> Products | None:
    """How the kernels form products in a precision on a device; None where that is in the dtype."""
    if torch.device(device).type == "cuda":
        return {"tf32x3": TF32X3, "bf16": BF16}.get(precision)
    return {"bf16": INTERPRETED_BF16}.get(precision)  # the interpreter multiplies tf32x3 as float32


def kernels(device: str) -> Any:
    """The fused loop, where Triton compiles for a card and interprets on a CPU.

    Raises:
        ValueError: what is needed, in one line.
    """
    if find_spec("triton") is None:
        raise ValueError("needs triton, which is not installed.")
    from impl.torch_twin.kernels import common, fused

    wanted = "0" if torch.device(device).type == "cuda" else "1"
    if common.INTERPRETED.value != (wanted == "1"):
        raise ValueError(f"needs TRITON_INTERPRET={wanted} in the environment, which triton reads when first imported.")
    return fused


def version(device: str) -> str:
    """Torch's version, and Triton's where it is installed, and the card's name."""
    found = [f"{name} {__import__(name).__version__.split('+')[0]}" for name in ("torch", "triton") if find_spec(name)]
    card = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
    return ", ".join([*found, card])


eager, vendor, fused, fused_tf32x3, fused_bf16 = Eager, Vendor, Fused, FusedTF32x3, FusedBF16
