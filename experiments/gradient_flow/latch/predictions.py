"""The one-unit latch: when two stable states become one.

    a' = w tanh a + u                     (h' = tanh(w h + u), a' = w h' + u)

For w > 1 and small |u| there are two stable states, one on either side; a push u > 0 moves the lower one up until it
meets the unstable state, where the slope w (1 - tanh^2 a) is 1, that is tanh a = -sqrt(1 - 1/w). There

    u = a - w tanh a = sqrt(w (w - 1)) - ln(sqrt(w) + sqrt(w - 1))

Just above, a lingers where the two met: da/dt = (u - threshold) + b (a - a*)^2, b = |tanh a*| = sqrt(1 - 1/w), takes
pi / sqrt(b (u - threshold)) steps. Who waits for S steps finds a threshold that lies too high by pi^2 / (b S^2).

Source: Bengio, Simard, Frasconi 1994, section III (the latch and its condition w > 1); this threshold after the notes.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq


def threshold(w: float) -> float:
    """The least constant push that takes the bit away.

    Raises:
        ValueError: w <= 1, where one unit keeps nothing.
    """
    if w <= 1:
        raise ValueError(f"`w` must be above 1, since one unit keeps no bit else; got {w:g}.")
    return math.sqrt(w * (w - 1)) - math.log(math.sqrt(w) + math.sqrt(w - 1))


def lingering(w: float, steps: int) -> float:
    """How much too high a threshold is found by who waits for so many steps."""
    return math.pi**2 / (math.sqrt(1 - 1 / w) * steps**2)


def slope(w: float) -> float:
    """d h'/dh = w (1 - h^2) at the state h = tanh(w h) that keeps the bit: what a gradient is multiplied by a step."""
    h = brentq(lambda h: math.tanh(w * h) - h, 1e-3, 1, xtol=1e-15)
    return w * (1 - h * h)
