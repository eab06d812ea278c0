"""Generators of data, each with its chance level and its floor in closed form.

A task that cells are trained on from fresh data is a module of these names:

    NAME, LENGTH         what it is called, and what its length counts ("delay", "steps")
    D, V, LOSS           features of x, outputs of the read-out, the loss in both twins' loss.py
    draw(rng, length, B) x (T, B, D) and target: (K, B) classes or (K, B, V) values, asked for at the last K steps;
                         then, where the task needs them, mask (K, B) and lengths (B,), as in harness.training.Batch.
                         Floats are float64 and classes int64.
    cost(y, *asked)      one number >= 0 a row, from the outputs y (K, [E,] B, V) and what draw gave after x, with the
                         same axis E: what decides whether a model has solved the task. ([E,] B). A task whose cost
                         depends on its length declares the keyword `length`, without a default; `cost_at` binds it
    SOLVED_BELOW         solved: the mean cost over held-out rows is below this; absent where no criterion is known
    CHANCE_LOSS          mean loss of who has seen nothing, in the loss's own unit; a function of the length where it
                         depends on it
    bayes_loss(...)      the closed form of the rungs below it: what who sees the last steps, or knows some parts, pays
    held_out(rng, length, B)  rows that training never sees, where `draw` has but finitely many
    correct(y, *asked)   where answers are right or wrong: whether a row's are, all of them; ([E,] B)

A task that stands for an input/output mode has besides:

    MODE                 one of "one_to_many", "many_to_one", "delayed", "aligned"
    test(), validation() fixed rows as `draw` gives them, read-only: all of the part, each once, where the set is
                         finite, else a fixed sample; neither shares a row with training or with the other
    answered(choice, target, mask=None)  what share of a row's answers is right, from chosen classes (K, [E,] B): of its
                         steps in mode "aligned", else 1 or 0 for all together; ([E,] B). See `answers`
    constant()           the best answer (K,) of who sees no input, chosen on the training part; `answers.chance(task)`
                         is its success on `test`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from types import ModuleType

import numpy as np


def cost_at(task: ModuleType, length: int) -> Callable[..., np.ndarray]:
    """The task's cost(y, *asked) at a length, which is bound where the cost declares the keyword."""
    return partial(task.cost, length=length) if "length" in signature(task.cost).parameters else task.cost
