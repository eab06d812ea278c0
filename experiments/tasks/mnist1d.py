"""MNIST-1D: ten hand-made curves, deformed and with noise, in 40 steps. Made here, nothing is downloaded.

    template of 12 points, a class's own     padded with 36 to 60 zeros, stretched to 72 points     times 1 + .4 u
    shifted round by 0 to 47 points     smooth noise where the curve is 0, white noise of .02 everywhere
    minus the ramp .75 u' (-1/2 .. 1/2)     40 of the 72 points          u, u' uniform in +-1/2

5000 rows from the recipe's seed 42: the last 1000 are its test, and of its 4000 for training an eighth of each class is
our validation. The random numbers are drawn in the order of the authors' package, so the rows are its rows.

Source: S. Greydanus, D. Kobak 2024 (arXiv 2011.14439), the defaults of `make_dataset` in their package mnist1d 0.0.2,
Apache-2.0, whose templates these are. Departures: signals are standardised by the training part alone, there by all
rows; and part of the training rows is held out, so published errors (a GRU's: 9 %) come of a seventh more data. Their
stored file, a download, was not compared.

No criterion SOLVED_BELOW is set: errors are reported between `chance` and `rung`.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.tasks import answers, images
from impl import draw as streams

NAME, LENGTH = "mnist1d", "steps"
STEPS = 40
MODE, D, V, LOSS, CHANCE_LOSS = images.MODE, images.D, images.V, images.LOSS, images.CHANCE_LOSS
SEED, ROWS, TEST, SHARES = 42, 5000, 1000, (0.875, 0.125)
PADDING, STRETCHED, SHIFTS = (36, 60), 72, 48
SCALE, SMOOTH_NOISE, SMOOTH_WIDTH, WHITE_NOISE, RAMP = 0.4, 0.25, 2.0, 0.02, 0.75
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
answered, correct, cost = images.answered, images.correct, images.cost


@cache
def data() -> images.Images:
    """The set in its fixed split; made by the first call, in half a second."""
    signals, labels = generate()
    kept = images.stratified(streams.generator("mnist1d", "split"), labels[:-TEST], SHARES)
    return images.parted(signals, labels, [*kept, np.arange(ROWS - TEST, ROWS)])


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, np.ndarray]:
    """B rows of a part, with replacement: x (40, B, 1) standardised, and the class at the last step (1, B)."""
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
    """Error and loss of logistic regression on all 40 points at once."""
    return images.rung(data(), part)


def generate(rows: int = ROWS, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """The recipe: signals (rows, 40) as they come, not standardised, and labels (rows,); as many of each class.

    The generator is NumPy's old one, as in the recipe: its stream is frozen for good.
    """
    rng = np.random.RandomState(seed)
    labels = np.repeat(np.arange(V), rows // V)
    signals = np.stack([_deformed(rng, curve) for curve in np.repeat(curves(), rows // V, 0)])
    order = rng.permutation(len(labels))
    return signals[order], labels[order]


def curves() -> np.ndarray:
    """The ten templates (10, 12): of deviation 1/6, and moved so that each begins at 0."""
    x = np.array(TEMPLATES, float)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    return (x - x[:, :1]) / 6.0


def _deformed(rng: np.random.RandomState, curve: np.ndarray) -> np.ndarray:
    """One row (40,). The 1e-8 parts a curve's own zeros from the padding's, which alone get smooth noise."""
    from scipy.ndimage import gaussian_filter

    low, high = PADDING
    x = np.concatenate([curve + 1e-8, np.zeros(low + int(rng.rand() * (high - low + 1)))])
    x = _resampled(x, STRETCHED) * (1 + SCALE * (rng.rand() - 0.5))
    x = np.roll(x, rng.choice(SHIFTS))
    smooth = gaussian_filter(SMOOTH_NOISE * rng.randn(STRETCHED), SMOOTH_WIDTH)
    x = np.where(x != 0, x, smooth) + WHITE_NOISE * rng.randn(STRETCHED)
    x = x - RAMP * (rng.rand() - 0.5) * np.linspace(-0.5, 0.5, STRETCHED)
    return _resampled(x, STEPS)


def _resampled(x: np.ndarray, n: int) -> np.ndarray:
    """n points at equal distances on the broken line through x."""
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(x)), x)
