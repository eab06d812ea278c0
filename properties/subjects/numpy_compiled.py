"""The NumPy twin's compiled form as a subject: the same modules around another time loop. It needs numba."""

from __future__ import annotations

import numba

import impl.numpy_twin
from impl.numpy_twin import compiled
from properties.subjects import numpy_fast, numpy_twin


class NumpyCompiled(numpy_fast.NumpyFast):
    """Its loops are others, its way around them is the fast form's, which is judged on more examples."""

    share = 0.1


subject = NumpyCompiled(
    "numpy_compiled", impl.numpy_twin, f"{numpy_twin.subject.version}, numba {numba.__version__}", compiled
)
