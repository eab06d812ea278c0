"""The NumPy twin's fast form as a subject: the same modules around another time loop."""

from __future__ import annotations

import impl.numpy_twin
from impl.numpy_twin import fast
from properties.subject import USUAL, Subject
from properties.subjects import numpy_twin


class NumpyFast(numpy_twin.NumpyTwin):
    """Its sigma is tanh(a/2)/2 + 1/2. The loop on its own outputs is the plain twin's alone."""

    capabilities = USUAL - {"feeds back"}
    share = 0.25
    feed_back = Subject.feed_back

    def alpha(self, dtype: str) -> float:
        """See Subject."""
        return 2 * self.u(dtype)


subject = NumpyFast("numpy_fast", impl.numpy_twin, numpy_twin.subject.version, fast)
