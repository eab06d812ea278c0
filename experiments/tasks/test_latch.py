"""The latch's generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from experiments.tasks import latch
from experiments.tasks.testing import tolerance
from impl import draw

DELAY, ROWS = 12, 40_000


def test_a_bit_is_balanced_the_noise_has_its_size_and_no_later_step_tells_the_bit():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*latch.draw(draw.generator("test latch"), DELAY, ROWS)) == set()


@pytest.mark.parametrize("fault", ["bit", "first", "noise", "mean", "leak", "spread"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name and no other."""
    x, target = latch.draw(draw.generator("test latch"), DELAY, ROWS)
    assert faults(*PLANTED[fault](x, target)) == {fault}


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_the_error_with_noise_on_the_bit_is_the_normal_tail(noise):
    """With noise on x_0 the best answer is its sign, wrong with probability Phi(-1/s)."""
    rng = draw.generator("noisy bit")
    x, target = latch.draw(rng, 1, ROWS)
    y = x[:1] + rng.normal(0.0, noise, x[:1].shape)
    p = latch.bayes_error(2, 1, noise)
    assert p == pytest.approx(norm.cdf(-1 / noise), rel=1e-12)
    assert abs((~latch.correct(y, target)).mean() - p) < tolerance(1) * math.sqrt(p * (1 - p) / ROWS)


def test_the_floor_is_zero_once_the_first_step_is_seen_and_chance_before():
    """Reading x_0 answers every row; the last `delay` steps give the best constant answer and no more."""
    x, target = latch.draw(draw.generator("floor"), DELAY, ROWS)
    assert latch.correct(x[:1], target).all()
    assert latch.bayes_error(DELAY + 1, DELAY) == latch.bayes_loss(DELAY + 1, DELAY) == 0
    assert latch.bayes_error(DELAY, DELAY) == 1 - latch.CHANCE_ACCURACY
    y = x[1:].sum(0, keepdims=True)
    assert abs(latch.correct(y, target).mean() - latch.CHANCE_ACCURACY) < tolerance(1) * 0.5 / math.sqrt(ROWS)


def test_the_chance_loss_is_that_of_the_logit_zero():
    """A predictor that knows nothing says one half and pays ln 2 nats a row, both twins' loss agrees."""
    from impl.numpy_twin import loss

    _, target = latch.draw(draw.generator("chance"), 1, 64)
    total, _ = loss.logistic(np.zeros_like(target), target)
    assert total / 64 == pytest.approx(latch.CHANCE_LOSS, rel=1e-14)
    assert latch.bayes_loss(1, 1) == latch.CHANCE_LOSS


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (delay + 1, B, 1); `correct` drops the step and output axes, and keeps E and B."""
    x, target = latch.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (6, 7, 1) and target.shape == (1, 7, 1)
    group = np.stack([target, 1 - target], 1)
    right = latch.correct(np.stack([x[:1], x[:1]], 1), group)
    assert right.shape == (2, 7) and right[0].all() and not right[1].any()


def test_a_delay_without_noise_steps_is_refused():
    """Delay 0 would ask for the bit in the step that shows it."""
    with pytest.raises(ValueError, match="`delay` must be at least 1"):
        latch.draw(draw.generator("none"), 0, 4)


def faults(x, target):
    """Names what is wrong with a batch, by statistics whose standard deviation under a good generator is known."""
    T, n, _ = x.shape
    bit, later = target[0, :, 0], x[1:, :, 0]
    sign, z = 2 * bit - 1, later / latch.NOISE
    N = later.size
    tests = {
        "bit": (abs(bit.mean() - 0.5), 0.5 / math.sqrt(n), 1),
        "noise": (abs((z * z).mean() - 1), math.sqrt(2 / N), 1),
        "mean": (abs(z.mean()), 1 / math.sqrt(N), 1),
        "leak": (abs((z * sign).mean(1)).max(), 1 / math.sqrt(n), T - 1),
        "spread": (abs(((z * z - 1) * sign).mean(1)).max(), math.sqrt(2 / n), T - 1),
    }
    found = {name for name, (statistic, sd, looks) in tests.items() if statistic > tolerance(looks) * sd}
    return found | ({"first"} if (x[0, :, 0] != sign).any() else set())


def planted(change):
    """A fault: the batch with its later steps changed in place."""

    def fault(x, target):
        x = x.copy()
        change(x[1:], 2 * target - 1)
        return x, target

    return fault


def noisy_first(x, target):
    """Noise on the bit itself."""
    x = x.copy()
    x[0] += draw.generator("first").normal(0.0, latch.NOISE, x[0].shape)
    return x, target


def unbalanced(x, target):
    """Every tenth row answers 1."""
    x, target = x.copy(), target.copy()
    target[:, ::10], x[0, ::10] = 1, 1
    return x, target


def leak(later, sign):
    """One late step carries a twentieth of the noise's size of the bit."""
    later[7:8] += 0.05 * latch.NOISE * sign


def spread(later, sign):
    """The bit scales one step's noise by 1 +- .04: the mean tells nothing, the square does."""
    later[3:4] *= 1 + 0.04 * sign


def noise(later, sign):
    """The variance given where the standard deviation is due: far larger; here one per cent too large suffices."""
    later *= 1.01


def mean(later, sign):
    """Noise off centre by a fiftieth of its size."""
    later += 0.02 * latch.NOISE


PLANTED = {
    "bit": unbalanced,
    "first": noisy_first,
    "noise": planted(noise),
    "mean": planted(mean),
    "leak": planted(leak),
    "spread": planted(spread),
}
