"""Cases of many steps and models, where the fast forms divide their work.

The law "sizes" has longer and wider ones of a single model, of which it shows a dear subject few.
"""

from __future__ import annotations

import numpy as np

from properties.cases import Case, Plan, results
from properties.laws import agree
from properties.subject import Subject

LONG = {
    "more steps than are worked on at once": Plan(35, 2, 3, 2, seed=11, scale=0.7),
    "more steps, and rows that end": Plan(35, 3, 2, 3, seed=12, scale=0.7, lengths=(35, 0, 20)),
    "a wide batch, whose steps are eight at once": Plan(9, 33, 2, 3, seed=13, scale=0.7),
    "a wide layer, whose products are made in blocks": Plan(3, 40, 160, 96, seed=17, scale=0.2),
    "a group in several parts": Plan(4, 3, 2, 3, seed=14, E=17),
    "a group in several parts that share x": Plan(4, 3, 2, 3, seed=15, E=17, shared=True),
    "a group with lengths of each model": Plan(3, 2, 2, 3, seed=16, E=3, lengths=((3, 1), (0, 2), (2, 3))),
}


def within(subject: Subject, plan: Plan, cell: str, dtype: str) -> Case:
    """Values and gradients of a case lie within the referee's bounds; raises what a broken law does."""
    case = plan.case(cell, dtype)
    with np.errstate(invalid="ignore"):
        got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
    return case
