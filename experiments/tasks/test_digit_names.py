"""Digits to their rows and to their names, against faults that such data have had."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import digit_names, digit_rows, digits
from impl import draw
from impl.numpy_twin import loss

ROWS = 400
V, END = digit_names.V, digit_names.LETTERS.index(digit_names.END)


def test_names_follow_the_image_seen_once_and_the_letters_before():
    """No part shows any of the faults that `faults` looks for."""
    for part in ("training", "validation", "test"):
        batch = digit_names.draw(draw.generator("names"), digit_names.STEPS, ROWS, part)
        assert faults(*batch, part) == set()
    assert faults(*digit_names.test(), "test") == faults(*digit_names.validation(), "validation") == set()


@pytest.mark.parametrize("fault", ["forcing", "image", "name", "mask", "part"])
def test_each_planted_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name and no other."""
    for planted in PLANTED[fault]:
        batch = digit_names.draw(draw.generator("names"), digit_names.STEPS, ROWS)
        assert faults(*planted(*batch), "training") == {fault}


def test_all_ten_names_are_spelled_as_in_english():
    """Fifteen letters and an end mark in six steps; who writes on after the end mark has still said the name."""
    assert V == len(set(digit_names.LETTERS)) == 16 and digit_names.SPELLED.shape == (10, 6)
    assert digit_names.spelled(digit_names.SPELLED.T) == list(digit_names.NAMES)
    written = np.array(
        [[digit_names.LETTERS.index(c) for c in "one.ne"], [digit_names.LETTERS.index(c) for c in "." * 6]]
    )
    assert digit_names.spelled(written.T) == ["one", ""] and digit_names.NAMES[9] == "nine"


def test_every_picture_of_a_part_is_named_once():
    """The sets to judge by are the parts of `digits`, row by row."""
    for rows, part in ((digit_names.test(), digits.data().test), (digit_names.validation(), digits.data().validation)):
        assert [digit_names.NAMES.index(name) for name in digit_names.spelled(rows[1])] == part.labels.tolist()


def test_who_knows_the_letters_before_and_no_image_pays_the_chance_loss():
    """Ten names, each once: the shares of the next letters after what has been written cost CHANCE_LOSS a step."""
    _, target, mask = digit_names.named(np.zeros((64, 10, 1)), np.arange(10)[None])
    y = np.zeros((*target.shape, V))
    for t, row in zip(*np.nonzero(mask), strict=True):
        alike = (target[:t] == target[:t, [row]]).all(0)
        y[t, row] = np.log(np.bincount(target[t, alike], minlength=V) / alike.sum() + 1e-300)
    total, _ = loss.softmax_cross_entropy(y, target, mask)
    assert total / mask.sum() == pytest.approx(digit_names.CHANCE_LOSS, rel=1e-12)
    assert mask.sum() == 50


def test_a_step_shows_a_row_and_a_column_instead_is_seen():
    """Step t has the pixels 8 t .. 8 t + 7; the side columns of a digit are nearly blank, its first row is not."""
    for part in ("training", "test"):
        x, target = digit_rows.draw(draw.generator("rows"), 8, ROWS, part)
        pixels, label = digits.draw(draw.generator("rows"), 64, ROWS, part)
        assert (target == label).all() and not by_columns(x) and by_columns(x.transpose(2, 1, 0))
        for t in range(8):
            np.testing.assert_array_equal(x[t].T, pixels[8 * t : 8 * t + 8, :, 0])
    for rows, all_pixels in ((digit_rows.test(), digits.test()), (digit_rows.validation(), digits.validation())):
        assert (rows[1] == all_pixels[1]).all() and rows[0].sum() == pytest.approx(all_pixels[0].sum())


def by_columns(x):
    """Whether the first step has less ink than all steps' first pixels, as if pictures were read column by column."""
    return bool(x[0].mean() < x[..., 0].mean())


def faults(x, target, mask, part):
    """Names what is wrong with a batch of a part; everything holds exactly."""
    found, letters, image = set(), x[..., :V], x[..., V:]
    if letters[0].any() or (letters[1:] != np.eye(V)[target[:-1]]).any():
        found.add("forcing")
    if image[1:].any():
        found.add("image")
    pixels, labels = (rows[..., 0].T.copy() if rows.ndim == 3 else rows[0] for rows in images_of(part))
    known = {row.tobytes(): digit_names.NAMES[label] for row, label in zip(pixels, labels, strict=True)}
    names = [known.get(row.tobytes()) for row in image[0]]
    if None in names:
        found.add("part")
    said = ["".join(digit_names.LETTERS[k] for k in row) for row in target.T]
    if any(name and name.ljust(6, ".") != word for name, word in zip(names, said, strict=True)):
        found.add("name")
    if [int(n) for n in mask.sum(0)] != [word.index(".") + 1 for word in said] or (np.diff(mask * 1, axis=0) > 0).any():
        found.add("mask")
    return found


def images_of(part):
    """All pictures of a part, standardised, and their labels."""
    return digits.images.batch(digits.data(), part)


def forced(shift):
    """A fault: the letters shown are those of another step."""

    def fault(x, target, mask):
        x[1:, :, :V] = np.eye(V)[np.roll(target, shift, 0)[1:]]
        return x, target, mask

    return fault


def first_letter_shown(x, target, mask):
    """Step 0 has the end mark of the row before."""
    x[0, :, END] = 1
    return x, target, mask


def image_twice(x, target, mask):
    """The image stays for a second step."""
    x[1, :, V:] = x[0, :, V:]
    return x, target, mask


def image_at_the_end(x, target, mask):
    """One row sees it again at the last step."""
    x[-1, 3, V:] = x[0, 3, V:]
    return x, target, mask


def next_rows_image(x, target, mask):
    """The images are those of the next row."""
    x[0, :, V:] = np.roll(x[0, :, V:], 1, 0)
    return x, target, mask


def other_part(x, target, mask):
    """The rows are those of the test."""
    return digit_names.draw(draw.generator("names"), digit_names.STEPS, ROWS, "test")


PLANTED = {
    "forcing": (forced(0), forced(2), first_letter_shown),
    "image": (image_twice, image_at_the_end),
    "name": (next_rows_image,),
    "mask": (
        lambda x, target, mask: (x, target, target != END),  # without the end mark
        lambda x, target, mask: (x, target, mask | True),  # all steps
        lambda x, target, mask: (x, target, mask[::-1]),  # the last steps
    ),
    "part": (other_part,),
}
