"""Finite sets of pictures: the split, standardising, drawing, rungs; and faults that such loaders have had."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest

from experiments.tasks import answers, digit_rows, digits, images, mnist1d
from impl import draw

TASKS = [digits, mnist1d]
SMALL = images.parted(
    np.arange(120, dtype=np.uint8).reshape(30, 4),
    np.arange(30) % 10,
    [np.arange(20), np.arange(20, 25), np.arange(25, 30)],
)


@pytest.mark.parametrize("task", TASKS)
def test_a_good_set_shows_no_fault(task):
    """Nothing of what `faults` looks for."""
    assert faults(task.data()) == set()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("fault", ["leak", "labels", "statistics", "shares"])
def test_each_planted_fault_of_a_set_is_seen(task, fault):
    """Each fault planted in a good set is found, under its own name and no other."""
    assert faults(PLANTED[fault](task.data())) == {fault}


def test_digits_are_read_row_by_row_and_a_transposed_picture_is_seen():
    """The side columns of a digit are nearly blank, its first row is not; step t shows row t // 8, column t % 8."""
    data = digits.data()
    assert transposed(data) is False
    turned = [part._replace(pixels=across(part.pixels)) for part in data[:3]]
    assert transposed(images.of(*turned)) is True and faults(images.of(*turned)) == set()
    x, target = images.batch(data, "test")
    for t in (0, 3, 8, 21, 63):
        picture = data.test.pixels.reshape(-1, 8, 8)[:, t // 8, t % 8]
        np.testing.assert_allclose(x[t, :, 0], (picture - data.mean) / data.deviation, rtol=1e-12, atol=1e-12)
    assert (target[0] == data.test.labels).all()


def test_the_digits_are_those_that_were_measured():
    """1797 pictures of 64 values from 0 to 16 with the known hash, put together again from the parts."""
    rows = np.concatenate([np.c_[part.pixels, part.labels] for part in digits.data()[:3]]).astype(np.uint8)
    assert rows.shape == (1797, 65)
    ordered = rows[np.lexsort(rows.T)].tobytes()
    assert hashlib.sha256(ordered).hexdigest() == "922f8bcf7625699058bfcdca9f67ada239072ee6998c6c7618869bf9ed8adc35"


@pytest.mark.parametrize(("task", "sizes"), [(digits, (1258, 270, 269)), (mnist1d, (3501, 499, 1000))])
def test_parts_have_their_sizes(task, sizes):
    """All rows, in three parts that are kept and cannot be written to."""
    assert tuple(len(part.labels) for part in task.data()[:3]) == sizes and task.data() is task.data()
    assert not any(some.flags.writeable for part in task.data()[:3] for some in part)


def test_a_split_is_the_same_again():
    """Loading anew gives the same bits."""
    for one, other in zip(digits.data()[:3], digits.data.__wrapped__()[:3], strict=True):
        assert (one.pixels == other.pixels).all() and (one.labels == other.labels).all()


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.15), (0.5, 0.5), (1.0,)])
def test_a_stratified_split_takes_every_row_once_and_every_class_by_its_share(shares):
    """Classes of very different sizes, each cut by the shares to one row; another stream cuts otherwise."""
    labels = np.repeat([0, 3, 7], [10, 101, 500])
    parts = images.stratified(draw.generator("split", 1), labels, shares)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part, share in zip(parts, shares, strict=True):
        for label, n in ((0, 10), (3, 101), (7, 500)):
            assert abs((labels[part] == label).sum() - share * n) <= 1
    again = images.stratified(draw.generator("split", 2), labels, shares)
    assert shares == (1.0,) or any(len(a) != len(b) or (a != b).any() for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize("shares", [(0.7, 0.2), (1.2, -0.2)])
def test_shares_that_do_not_part_all_rows_are_refused(shares):
    """They must be positive with the sum 1."""
    with pytest.raises(ValueError, match="`shares` must be positive with the sum 1"):
        images.stratified(draw.generator("split"), np.zeros(4, int), shares)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_has_the_protocols_shapes_and_rows_of_its_part_alone(task):
    """x (T, B, 1) float64, target (1, B) int64, by default of training; equal streams give equal bits."""
    for part in images.PARTS:
        x, target = task.draw(draw.generator("batch"), task.STEPS, 50, part)
        assert x.shape == (task.STEPS, 50, 1) and x.dtype == np.float64 and x.flags.c_contiguous
        assert target.shape == (1, 50) and target.dtype == np.int64
        whole, classes = images.batch(task.data(), part)
        known = {row.tobytes(): c for row, c in zip(whole[..., 0].T.copy(), classes[0], strict=True)}
        assert [known[row.tobytes()] for row in x[..., 0].T.copy()] == target[0].tolist()
    again, _ = task.draw(draw.generator("batch"), task.STEPS, 50)
    assert (again == task.draw(draw.generator("batch"), task.STEPS, 50, "training")[0]).all()


def test_rows_are_drawn_with_replacement_and_all_alike():
    """3000 draws of 20 rows: each about 150 times (8 standard deviations are 96)."""
    x, _ = images.draw(SMALL, draw.generator("again"), 4, 3000)
    _, times = np.unique(x[0], return_counts=True)
    assert len(times) == 20 and abs(times - 150).max() < 96


def test_pixels_in_bytes_do_not_overflow():
    """0 and 255 are standardised as numbers: differences and squares of bytes would wrap at 256."""
    pixels = np.array([[0, 255], [255, 255], [0, 0], [255, 0]], np.uint8)
    data = images.parted(pixels, np.arange(4), [np.arange(4)] * 3)
    assert (data.mean, data.deviation) == (127.5, 127.5)
    x, _ = images.batch(data, "test")
    assert x[..., 0].T.tolist() == [[-1, 1], [1, 1], [-1, -1], [1, -1]]


def test_costs_and_answers_for_one_model_and_for_a_group():
    """One where the largest output is another class, without the step and output axes, with E and B kept."""
    target = np.array([[3, 0, 9]])
    y = -np.square(np.arange(10.0) - target[..., None])
    assert images.cost(y, target).tolist() == [0, 0, 0] and images.correct(y, target).dtype == bool
    y[0, 1, 5] = 1.0
    group, targets = np.stack([y, -y], 1), np.stack([target, target], 1)
    assert group.shape == (1, 2, 3, 10)
    assert images.cost(group, targets)[0].tolist() == images.cost(y, target).tolist() == [0, 1, 0]
    assert images.cost(group, targets)[1].tolist() == [1, 1, 1] and images.correct(group, targets).shape == (2, 3)


@pytest.mark.parametrize(
    ("length", "B", "part", "rule"),
    [
        (63, 4, "test", "`length` must be 64, since .* one pixel a step; got 63"),
        (128, 4, "test", "`length` must be 64, since .* one pixel a step; got 128"),
        (64, 0, "test", "`B` must be at least 1, since a batch has rows; got 0"),
        (64, 4, "train", "`part` must be one of training, validation, test; got 'train'"),
        (64, 4, "mean", "`part` must be one of training, validation, test; got 'mean'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(length, B, part, rule):
    """Another number of steps, no row, no such part."""
    with pytest.raises(ValueError, match=rule):
        digits.draw(draw.generator("none"), length, B, part)


def test_the_chance_loss_is_that_of_ten_equal_outputs():
    """Both twins' loss agrees; who knows the shares pays less or as much, and little less, since classes are even."""
    from impl.numpy_twin import loss

    _, target = digits.draw(draw.generator("chance"), 64, 32)
    total, _ = getattr(loss, images.LOSS)(np.zeros((1, 32, 10)), target)
    assert total / 32 == pytest.approx(images.CHANCE_LOSS, rel=1e-14)
    for task in TASKS:
        assert task.CHANCE_LOSS - 0.01 < task.chance("training").loss <= task.CHANCE_LOSS == math.log(10)
        assert 0.88 < task.chance().error < 0.92


def test_chance_is_counted_from_the_shares():
    """Training 2 of 3 ones: the test's ones are right, and cost ln 3/2; a class never seen costs infinitely much."""
    parts = [images.Part(np.zeros((len(c), 1)), np.array(c)) for c in ([1, 1, 0], [2], [1, 0])]
    data = images.Images(*parts, 0.0, 1.0)
    assert images.chance(data) == (0.5, pytest.approx((math.log(1.5) + math.log(3)) / 2))
    assert images.chance(data, "validation") == (1.0, math.inf)


@pytest.mark.parametrize("task", TASKS)
def test_rows_to_judge_by_are_those_of_a_part_each_once(task):
    """`test` and `validation` are the whole parts in their order, kept and read-only."""
    for rows, part in ((task.test, "test"), (task.validation, "validation")):
        for some, whole in zip(rows(), images.batch(task.data(), part), strict=True):
            np.testing.assert_array_equal(some, whole)
            assert not some.flags.writeable
        assert rows() is rows() and task.MODE == "many_to_one"


@pytest.mark.parametrize("task", [*TASKS, digit_rows])
def test_the_success_of_chance_is_what_its_error_leaves(task):
    """The measure of answers and the rung agree on who sees no pixel."""
    assert answers.chance(task) == pytest.approx(1 - task.chance().error, abs=1e-12)


@pytest.mark.parametrize(("task", "low", "high"), [(digits, 0.005, 0.06), (mnist1d, 0.64, 0.72)])
def test_logistic_regression_stands_between_chance_and_no_error(task, low, high):
    """A few per cent of the digits wrong, two thirds of MNIST-1D (the paper's: 68 %), by a method without memory."""
    rung = task.rung()
    assert low < rung.error < high and rung.error < task.chance().error - 0.1
    assert 0 < rung.loss < task.CHANCE_LOSS


def test_nothing_is_loaded_before_the_first_draw():
    """Importing the tasks imports neither scikit-learn nor scipy."""
    tasks = "digits, mnist1d, mnist, digit_rows, digit_names, moving_digits"
    asked = f"import sys; from experiments.tasks import {tasks}; print({{'sklearn', 'scipy'}} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout == "set()\n"


def faults(data):
    """Names what is wrong with a set, by what holds for every good one of ten even classes."""
    found, rows = set(), [{row.tobytes() for row in part.pixels} for part in data[:3]]
    if sum(map(len, rows)) != len(set.union(*rows)):
        found.add("leak")
    x, _ = images.batch(data, "training")
    if abs(x.mean()) > 1e-9 or abs(x.std() - 1) > 1e-9:
        found.add("statistics")
    means = np.stack([data.training.pixels[data.training.labels == c].mean(0) for c in range(10)])
    near = ((data.test.pixels[:, None] - means) ** 2).sum(-1).argmin(1)
    if (near == data.test.labels).mean() < 0.2:  # chance is .1, with a deviation of .02 at most
        found.add("labels")
    for part in data[:3]:
        n = len(part.labels)
        if abs(np.bincount(part.labels, minlength=10) - n / 10).max() > 5 * math.sqrt(0.09 * n):
            found.add("shares")
    return found


def transposed(data):
    """Whether the first column of the pictures holds more ink than their first row."""
    picture = data.training.pixels.mean(0).reshape(8, 8)
    return bool(picture[:, 0].sum() > picture[0].sum())


def across(pixels):
    """The pictures' pixels column by column."""
    return pixels.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)


def leak(data):
    """Twenty of the test's rows stand in training too, in the place of others."""
    some = slice(0, 20)
    pixels, labels = data.training.pixels.copy(), data.training.labels.copy()
    pixels[some], labels[some] = data.test.pixels[some], data.test.labels[some]
    return images.of(images.Part(pixels, labels), data.validation, data.test)


def shifted(data):
    """Every label is that of the row before."""
    parts = [shuffled(part) for part in data[:3]]
    return images.of(*(part._replace(labels=np.roll(part.labels, 1)) for part in parts))


def shuffled(part):
    """The part in another order, pixels with their labels."""
    order = draw.generator("order").permutation(len(part.labels))
    return images.Part(part.pixels[order], part.labels[order])


def by_the_test(data):
    """Standardised by the test's mean and deviation."""
    return data._replace(mean=data.test.pixels.mean(), deviation=data.test.pixels.std())


def uneven(data):
    """Four of five rows of class 0 are missing in training."""
    zeros = np.flatnonzero(data.training.labels == 0)
    kept = np.delete(np.arange(len(data.training.labels)), zeros[len(zeros) // 5 :])
    return images.of(images.Part(*(some[kept] for some in data.training)), data.validation, data.test)


PLANTED = {"leak": leak, "labels": shifted, "statistics": by_the_test, "shares": uneven}
