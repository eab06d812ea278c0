"""Answers of the tasks that have an input/output mode: what share of a row is right, and what a blind answer gets.

A model chooses a class a step; `exact` asks for all of a row's classes, `share` counts them one by one. Both take the
target and the mask of a batch with or without the axis E of the choice.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def exact(choice: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """1 where all classes of a row are right, else 0.

    Args:
        choice: (K, [E,] B), the classes that were chosen.
        target: (K, B) or the shape of choice.
        mask: the shape of target, true where an answer is asked for; everywhere if None.
    Returns:
        ([E,] B) floats.
    """
    return (_right(choice, target) | ~_counted(choice, mask)).all(0).astype(float)


def share(choice: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """The share of a row's steps with the right class, of those that are asked for; arguments and shape of `exact`."""
    counted = _counted(choice, mask)
    return (_right(choice, target) & counted).sum(0) / counted.sum(0)


def correct(y: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None, lengths: Any = None) -> np.ndarray:
    """Whether the largest outputs y (K, [E,] B, V) of a row are all those of its classes: ([E,] B)."""
    return exact(y.argmax(-1), target, mask) == 1


def cost(y: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None, lengths: Any = None) -> np.ndarray:
    """1 where any class of a row is wrong by its largest output, else 0: y (K, [E,] B, V) gives ([E,] B)."""
    return 1.0 - exact(y.argmax(-1), target, mask)


def chance(task: ModuleType) -> float:
    """The mean success on a task's test rows of its best constant answer, which is chosen on the training part."""
    _, target, *mask = task.test()
    return blind(task, target, *mask[:1])


def blind(task: Any, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The mean success of a task's constant answer on rows with this target and mask, (K, B)."""
    choice = np.broadcast_to(task.constant()[:, None], target.shape)
    return float(task.answered(choice, target, mask).mean())


def kept(batch: tuple[Any, ...]) -> tuple[Any, ...]:
    """The batch with all its arrays read-only, for it is handed out again and again."""
    for part in batch:
        if isinstance(part, tuple):
            kept(part)
        elif part is not None:
            part.flags.writeable = False
    return batch


def _right(choice: np.ndarray, target: np.ndarray) -> np.ndarray:
    return choice == _with_models(target, choice)


def _counted(choice: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return np.broadcast_to(True if mask is None else _with_models(mask, choice), choice.shape)


def _with_models(part: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """(K, B), which models share, with their axis where the choice has one."""
    return part[:, None] if part.ndim < choice.ndim else part
