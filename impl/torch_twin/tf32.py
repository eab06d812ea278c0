"""Whether torch's own products of float32 on CUDA may be rounded to TF32, and a block in which they may not.

Torch has two ways to say so. From 2.9 on cuBLAS follows torch.backends.cuda.matmul.fp32_precision, which the older
settings (allow_tf32, torch.set_float32_matmul_precision) set too, and which can be put aside without touching them:
to ask or to set the older ones is an error, or changes what a CPU does, where a user has taken the newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from impl.spec import Array


def allowed() -> bool:
    """Whether they may."""
    return _setting()[1] in ("tf32", True)


@contextmanager
def without(x: Array) -> Iterator[None]:
    """Products in float32 where x lies on CUDA, whatever torch is set to; elsewhere nothing is touched."""
    name, kept = _setting()
    if not x.is_cuda or kept not in ("tf32", True):
        yield
        return
    setattr(torch.backends.cuda.matmul, name, "ieee" if name == "fp32_precision" else False)
    try:
        yield
    finally:
        setattr(torch.backends.cuda.matmul, name, kept)


def _setting() -> tuple[str, str | bool]:
    """The setting that cuBLAS follows, and its value."""
    name = "fp32_precision" if hasattr(torch.backends.cuda.matmul, "fp32_precision") else "allow_tf32"
    return name, getattr(torch.backends.cuda.matmul, name)
