"""Sequential digits: scikit-learn's small handwritten digits, 8 x 8 pixels row by row, one a step.

1797 pictures with values 0 to 16, in 70 % training, 15 % validation and 15 % test, each class so; the split is fixed.

Source: E. Alpaydin, C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI, CC BY 4.0; of it scikit-learn
(BSD) ships the test set of 13 writers. Departure: there nobody's hand stands in training and test; here it does, since
the copy does not tell who wrote what. So no number here is that of another work.

No criterion SOLVED_BELOW is set: errors are reported between `chance` and `rung`.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.tasks import answers, images
from impl import draw as streams

NAME, LENGTH = "digits", "steps"
STEPS = 64
MODE, D, V, LOSS, CHANCE_LOSS = images.MODE, images.D, images.V, images.LOSS, images.CHANCE_LOSS
SHARES = (0.7, 0.15, 0.15)
answered, correct, cost = images.answered, images.correct, images.cost


@cache
def data() -> images.Images:
    """The set in its fixed split; scikit-learn is imported by the first call."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return images.parted(pixels, labels, images.stratified(streams.generator("digits", "split"), labels, SHARES))


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, np.ndarray]:
    """B rows of a part, with replacement: x (64, B, 1) standardised, and the digit at the last step (1, B)."""
    return images.draw(data(), rng, length, B, part)


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B rows of the test part, with replacement, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[np.ndarray, np.ndarray]:
    """The test part, each row once, as `draw` gives them."""
    return answers.kept(images.batch(data(), "test"))


@cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """The validation part, each row once."""
    return answers.kept(images.batch(data(), "validation"))


def constant() -> np.ndarray:
    """The commonest class of the training part: (1,)."""
    return images.constant(data())


def chance(part: str = "test") -> images.Rung:
    """Error and loss of who knows the classes' shares alone."""
    return images.chance(data(), part)


def rung(part: str = "test") -> images.Rung:
    """Error and loss of logistic regression on all 64 pixels at once."""
    return images.rung(data(), part)
