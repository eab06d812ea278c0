"""The NumPy twin's compiled form as a subject: the same modules around another time loop. It needs numba."""

from __future__ import annotations

import numba

import impl.numpy_twin
from impl.numpy_twin import compiled
from properties.subjects import numpy_fast, numpy_twin

subject = numpy_fast.NumpyFast(
    "numpy_compiled", impl.numpy_twin, f"{numpy_twin.subject.version}, numba {numba.__version__}", compiled
)
