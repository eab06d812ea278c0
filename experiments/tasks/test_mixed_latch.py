"""The latch of mixed delays: its generator, mask, lengths and closed forms, against faults of such generators."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

from experiments.tasks import mixed_latch
from experiments.tasks.testing import holds, tolerance
from impl import draw

LONGEST, ROWS = 20, 10_000


def test_a_bit_noise_of_a_rows_own_length_and_nothing_after_it():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*mixed_latch.draw(draw.generator("test mixed"), LONGEST, ROWS)) == set()


@pytest.mark.parametrize("fault", ["bit", "first", "noise", "leak", "after", "mask", "delays", "target"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(*mixed_latch.draw(draw.generator("test mixed"), LONGEST, ROWS)))


@pytest.mark.parametrize("longest", [5, 20, 80])
def test_the_chances_of_delays_are_those_of_a_log_uniform_floor(longest):
    """They add up to 1, telescope to ln((d + 1) / 5) / ln((longest + 1) / 5), and are nearly 1/d."""
    p, d = mixed_latch.chances(longest), np.arange(5, longest + 1)
    assert p.sum() == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(p.cumsum(), np.log((d + 1) / 5) / math.log((longest + 1) / 5), rtol=1e-13)
    np.testing.assert_allclose(p * (d + 0.5), (p * (d + 0.5))[0], rtol=0.004)


@pytest.mark.parametrize("window", [6, 12, LONGEST, LONGEST + 1])
def test_the_loss_of_a_window_is_that_of_the_rows_whose_bit_it_misses(window):
    """Who sees the last `window` steps pays ln 2 where the delay is at least that long."""
    lengths = mixed_latch.draw(draw.generator("window"), LONGEST, ROWS)[3]
    assert holds(math.log(2) * (lengths > window), mixed_latch.bayes_loss(window, LONGEST))


def test_the_ends_are_chance_and_nothing():
    """A window of the shortest delay misses every bit; one of all steps sees them all."""
    for window in (0, 1, 5):
        assert mixed_latch.bayes_loss(window, 80) == pytest.approx(mixed_latch.CHANCE_LOSS, rel=1e-14)
    assert mixed_latch.bayes_loss(81, 80) == 0 < mixed_latch.bayes_loss(80, 80) < 0.01


def test_the_twins_loss_counts_one_step_a_row():
    """The logit 0 pays ln 2 a row under the mask, whatever stands at the other steps."""
    from impl.numpy_twin import loss

    _, target, mask, _ = mixed_latch.draw(draw.generator("loss"), LONGEST, 64)
    y = np.where(mask[..., None], 0.0, np.nan)
    total, _ = getattr(loss, mixed_latch.LOSS)(y, target, mask)
    assert total / mask.sum() == pytest.approx(mixed_latch.CHANCE_LOSS, rel=1e-14)


def test_the_batch_is_one_that_training_takes():
    """Draw's four arrays are a Batch; the gradient does not depend on what stands after a row's last step."""
    from experiments.harness import training
    from experiments.harness.engine import engine
    from impl.spec import Head, Model

    rng = draw.generator("batch")
    x, *asked = mixed_latch.draw(rng, 8, 3)
    model = Model(draw.uniform(rng, "rnn", 1, 4), Head(rng.normal(size=(1, 4)), np.zeros(1)))
    noisy = x + (np.arange(9)[:, None] >= asked[2])[..., None]
    twin = engine("numpy")
    losses = [training.loss_and_gradient(twin, "rnn", "logistic", model, training.Batch(a, *asked)) for a in (x, noisy)]
    assert losses[0][0] == losses[1][0] and (losses[0][1].cell[0] == losses[1][1].cell[0]).all()


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch has T = longest + 1 steps; `cost` looks at the masked step alone and keeps E and B."""
    x, target, mask, lengths = mixed_latch.draw(draw.generator("shape"), 80, 7)
    assert x.shape == target.shape == (81, 7, 1) and mask.shape == (81, 7) and lengths.shape == (7,)
    assert lengths.dtype == np.int64 and mask.dtype == bool
    answer = np.where(mask[..., None], 2 * target - 1, np.nan)
    y, asked = np.stack([answer, -answer], 1), (np.stack([target, target], 1), np.stack([mask, mask], 1), lengths)
    cost = mixed_latch.cost(y, *asked)
    assert cost.shape == (2, 7) and not cost[0].any() and cost[1].all()
    assert (mixed_latch.correct(answer, target, mask, lengths) == (cost[0] == 0)).all()


def test_a_longest_delay_below_the_shortest_is_refused():
    """No delay is left."""
    with pytest.raises(ValueError, match="`longest` must be at least 5"):
        mixed_latch.draw(draw.generator("none"), 4, 4)


def faults(x, target, mask, lengths):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    (T, n, _), found = x.shape, set()
    step, sign = np.arange(T)[:, None], np.sign(x[0, :, 0])
    inside = (step > 0) & (step < lengths)
    if (mask != (step == lengths - 1)).any():
        found.add("mask")
    if (x[..., 0] * (step >= lengths)).any():
        found.add("after")
    if (abs(x[0]) != 1).any():
        found.add("first")
    if (target[lengths - 1, np.arange(n), 0] != (sign > 0)).any():
        found.add("target")
    counts = np.bincount(lengths - 1, minlength=T)
    expected = n * mixed_latch.chances(T - 1)
    if counts[:5].any() or chi2.sf(((counts[5:] - expected) ** 2 / expected).sum(), T - 6) < 1e-6:
        found.add("delays")
    z, N = x[..., 0] / mixed_latch.NOISE * inside, inside.sum(1)[1:]
    tests = {
        "bit": (abs(sign.mean()), 1 / math.sqrt(n), 1),
        "noise": (abs((z * z).sum() / inside.sum() - 1), math.sqrt(2 / inside.sum()), 1),
        "leak": ((abs((z * sign).sum(1))[1:] / np.sqrt(N)).max(), 1, T - 1),
    }
    return found | {name for name, (size, sd, looks) in tests.items() if size > tolerance(looks) * sd}


def unbalanced(x, target, mask, lengths):
    """Every tenth row answers 1."""
    x[0, ::10], target[:, ::10] = 1, mask[:, ::10, None]
    return x, target, mask, lengths


def weighted(rule):
    """A fault: delays drawn by another rule, a function of (rng, B)."""

    def fault(x, target, mask, lengths):
        rng, bit = draw.generator("fault"), x[0] > 0
        lengths, step = rule(rng, len(lengths)) + 1, np.arange(len(x))[:, None]
        full = np.where(step == 0, x[0, :, 0], rng.normal(0, mixed_latch.NOISE, mask.shape))
        mask = step == lengths - 1
        return (full * (step < lengths))[..., None], (mask[..., None] & bit).astype(float), mask, lengths

    return fault


def rounded(rng, B):
    """A log-uniform delay in [5, longest] rounded: half a weight at both ends."""
    return np.rint(5 * (LONGEST / 5) ** rng.random(B)).astype(int)


def leaked(x, target, mask, lengths):
    """A late step carries a tenth of the noise's size of the bit."""
    x[4] += 0.1 * mixed_latch.NOISE * x[0]
    return x, target, mask, lengths


def longer(x, target, mask, lengths):
    """The noise goes on after the row's last step."""
    noise = draw.generator("fault").normal(0, mixed_latch.NOISE, x.shape)
    return np.where(x == 0, noise, x), target, mask, lengths


PLANTED = {
    "bit": (unbalanced,),
    "first": (lambda x, *asked: (np.concatenate([0.9 * x[:1], x[1:]]), *asked),),
    "noise": (lambda x, *asked: (np.concatenate([x[:1], 1.02 * x[1:]]), *asked),),
    "leak": (leaked,),
    "after": (longer,),
    "mask": (
        lambda x, target, mask, lengths: (x, target, np.roll(mask, -1, 0), lengths),  # a step early
        lambda x, target, mask, lengths: (x, target, mask | np.roll(mask, -1, 0), lengths),  # two steps
        lambda x, target, mask, lengths: (x, target, np.roll(mask, 1, 1), lengths),  # the next row's
    ),
    "delays": (weighted(rounded), weighted(lambda rng, B: rng.integers(5, LONGEST + 1, B))),
    "target": (
        lambda x, target, mask, lengths: (x, np.roll(target, 1, 1), mask, lengths),  # the next row's
        lambda x, target, mask, lengths: (x, np.roll(target, -1, 0), mask, lengths),  # a step early
    ),
}
