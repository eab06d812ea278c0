"""The source recall(tau): a fair bit is shown, and asked for after a gap of geometric length.

    b . . . ? b  b' . ? b'  ..        symbols 0 and 1 (the bits), 2 (".", nothing) and 3 ("?", the cue)

After a bit has been shown, each step is the cue with chance 1/tau, else nothing. After the cue the bit follows again
for certain, then the next bit is shown. A period has a shown bit, tau steps in the mean up to and with the cue, and the
bit again: tau + 2 steps, with one fair bit and tau coins of chance 1/tau,

    rate = (1 + tau h(1/tau)) / (tau + 2)        h the entropy of a coin, bits

Who sees k >= 2 symbols knows where in the period it stands, and errs only after a cue whose bit lies further back: the
gap has k - 1 steps of nothing or more, which has chance (1 - 1/tau)^(k-1), and it costs one bit,

    h_k - rate = (1 - 1/tau)^(k-1) / (tau + 2),        k >= 2

At k = 1 it does not know besides whether a bit was shown or asked for, which costs one bit at 2 steps of a period:
h_1 - rate = 3 / (tau + 2). The Markov order is infinite, and what is to be remembered is one bit, all or none.

Source: ours.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.tasks import arguments
from experiments.tasks.hidden_markov import Source, bits
from experiments.tasks.processes import by_edges

NOTHING, CUE = 2, 3


@cache
def source(tau: float) -> Source:
    """States: 0 the next bit is shown; 1 and 2 a 0 or a 1 is kept; 3 and 4 it is asked for."""
    _check(tau)
    shown = [(0, bit, 1 + bit, 0.5) for bit in (0, 1)]
    kept = [(1 + bit, NOTHING, 1 + bit, 1 - 1 / tau) for bit in (0, 1)]
    cued = [(1 + bit, CUE, 3 + bit, 1 / tau) for bit in (0, 1)]
    return by_edges("recall", 4, [*shown, *kept, *cued, *((3 + bit, bit, 0, 1.0) for bit in (0, 1))])


def rate(tau: float) -> float:
    """The entropy rate, bits a symbol."""
    _check(tau)
    return (1 + tau * _coin(tau)) / (tau + 2)


def rung(order: int, tau: float) -> float:
    """How far the best predictor who sees `order` symbols is above the rate, bits a symbol."""
    arguments.at_least("order", order, 0, "it counts the symbols that are seen")
    if order == 0:
        return float(bits(np.array([1, 1, tau - 1, 1]) / (tau + 2))) - rate(tau)
    return ((1 - 1 / tau) ** (order - 1) + 2 * (order == 1)) / (tau + 2)


def _coin(tau: float) -> float:
    """The entropy of a coin of chance 1/tau, bits."""
    return float(bits(np.array([1 / tau, 1 - 1 / tau])))


def _check(tau: float) -> None:
    """Refuses a gap without length."""
    if not tau > 1:
        raise ValueError(f"`tau` must be above 1, since it is the mean number of steps up to the cue; got {tau}.")
