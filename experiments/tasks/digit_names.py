"""A digit's picture to its English name, letter by letter: one image in, many letters out.

    step          0              1 .. 5
    image         the picture    0              64 pixels of `digits`, standardised
    letters       0              letter before, one-hot
    asked for     the letters of the name and the end mark, then nothing (mask)

The image is seen once, at step 0, so that the state has to carry it. In training the letter before is the right one
(teacher forcing); a model that is asked for a name is given its own.

Source: Vinyals, Toshev, Bengio, Erhan 2015, whose captions see the image at the first step alone; there a network gives
its features and a start word follows, here the pixels come as they are and the first letter is asked for at once. The
pictures and their split are those of `digits`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from experiments.tasks import answers, arguments, digits

NAME, LENGTH, MODE = "digit_names", "letters", "one_to_many"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
END = "."
LETTERS = "".join(sorted(set("".join(NAMES)))) + END
"""The vocabulary in its order, the end mark last."""
STEPS = max(map(len, NAMES)) + 1
V, LOSS = len(LETTERS), "softmax_cross_entropy"
D = V + digits.STEPS
SPELLED = np.array([[LETTERS.index(letter) for letter in name.ljust(STEPS, END)] for name in NAMES])
"""The classes of each name, with end marks up to the last step: (10, 6)."""
CHANCE_LOSS = len(NAMES) * math.log(len(NAMES)) / sum(len(name) + 1 for name in NAMES)
"""Nats a step that counts, of who sees the letters before but no image: by the chain rule a name costs ln 10 in all,
where all ten are equally common, over five steps in the mean."""
answered, correct, cost = answers.exact, answers.correct, answers.cost


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, ...]:
    """B pictures of a part, with replacement.

    Returns:
        x (6, B, V + 64), target (6, B) and mask (6, B), true up to and with the first end mark.
    """
    arguments.exactly("length", length, STEPS, f"the longest name has {STEPS - 1} letters and an end mark follows")
    return named(*digits.draw(rng, digits.STEPS, B, part))


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, ...]:
    """B pictures of the test part, with replacement, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[np.ndarray, ...]:
    """The test part, each picture once, as `draw` gives them."""
    return answers.kept(named(*digits.test()))


@cache
def validation() -> tuple[np.ndarray, ...]:
    """The validation part, each picture once."""
    return answers.kept(named(*digits.validation()))


def named(pixels: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, ...]:
    """A batch of `digits`, pixels (64, B, 1) and labels (1, B), as `draw` gives it."""
    target = np.ascontiguousarray(SPELLED[label[0]].T)
    x, mask = np.zeros((*target.shape, D)), np.ones(target.shape, bool)
    x[0, :, V:] = pixels[..., 0].T
    x[1:, :, :V] = np.eye(V)[target[:-1]]
    mask[1:] = target[:-1] != LETTERS.index(END)
    return x, target, mask


def spelled(choice: np.ndarray) -> list[str]:
    """What chosen classes (K, B) say: a string a row, up to the end mark."""
    return ["".join(LETTERS[k] for k in row).partition(END)[0] for row in choice.T]


def constant() -> np.ndarray:
    """The letters of the commonest name of the training part: (6,)."""
    return SPELLED[digits.constant()[0]]
