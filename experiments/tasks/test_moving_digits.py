"""Videos of a moving digit: the chain, its closed forms, the frames; and faults that such generators have had."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from experiments.tasks import digits, moving_digits, moving_labels
from experiments.tasks.images import PARTS
from experiments.tasks.testing import balanced, tolerance
from impl import draw

T, ROWS, CHAINS = moving_digits.STEPS, 4000, 20_000
STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def test_the_digit_walks_by_the_rules():
    """The generator's places and headings show none of the faults that `walk_faults` looks for."""
    assert walk_faults(*moving_digits.walk(draw.generator("walk"), T, ROWS)) == set()
    assert walk_faults(*by_the_rules(draw.generator("rules"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["start", "step", "turns", "first"])
def test_each_planted_fault_of_the_walk_is_seen(fault):
    """Each fault planted in the walk is found, under its own name."""
    for planted in WALKS[fault]:
        assert fault in walk_faults(*planted(draw.generator("walk")))


def test_frames_show_the_digit_of_their_part_where_it_is():
    """No part shows any of the faults that `film_faults` looks for."""
    for part in PARTS:
        assert film_faults(*moving_digits.draw(draw.generator("film"), T, 60, part), part) == set()
    for rows, part in ((moving_digits.test(), "test"), (moving_digits.validation(), "validation")):
        assert film_faults(*(some[:, ::10] for some in rows), part) == set()
    assert moving_digits.test()[0].shape == (T, 2000, 256) and moving_digits.validation()[1].shape == (T, 500)


@pytest.mark.parametrize("fault", ["label", "move", "part", "scale"])
def test_each_planted_fault_of_the_frames_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name and no other."""
    for planted in FILMS[fault]:
        batch = moving_digits.draw(draw.generator("film"), T, 60)
        assert film_faults(*planted(*batch), "training") == {fault}


def test_the_chances_of_turning_are_those_of_the_rules_one_by_one():
    """81 places, 4 headings: kept with 4/5, else any of the four, and where it would leave any of those that do not."""
    turn, names = Fraction(1, 5), moving_digits.HEADINGS
    for place in range(81):
        allowed = [k for k, name in enumerate(names) if inside(place, STEPS[name])]
        for before in range(4):
            p = dict.fromkeys(range(4), Fraction(0))
            for wish, chance in [(before, 1 - turn), *((k, turn / 4) for k in range(4))]:
                for new in [wish] if wish in allowed else allowed:
                    p[new] += chance if wish in allowed else chance / len(allowed)
            assert sum(p.values()) == 1
            np.testing.assert_allclose(
                moving_digits.turns()[place, before], [float(p[k]) for k in range(4)], atol=1e-15
            )


@pytest.mark.parametrize("source", ["walk", "rules"])
def test_the_best_who_sees_a_place_and_the_best_who_sees_all_get_what_the_closed_forms_say(source):
    """20,000 chains, of the generator and of the rules written out: by frame, within binomial bounds."""
    walk = {"walk": moving_digits.walk, "rules": by_the_rules}[source]
    places, headings = walk(draw.generator("chains", source), T, CHAINS)
    best = moving_digits.chances(T).argmax(-1)
    alone = np.stack([best[t, places[t]] for t in range(T)])
    assert balanced((alone == headings).mean(1), moving_digits.frame_alone(), CHAINS)
    by_move = np.stack([np.zeros(CHAINS, int), *(move_of(places[t - 1], places[t]) for t in range(1, T))])
    seen = (by_move == headings).mean(1)
    assert (seen[1:] == 1).all() and balanced(seen[:1], 0.25, CHAINS)
    np.testing.assert_array_equal(moving_digits.ceiling(), [0.25] + [1] * 15)


def test_the_joint_chances_are_those_of_the_chain():
    """They sum to 1; frame 0 is uniform; all headings are equally common at every frame, so that chance is 1/4."""
    a = moving_digits.chances(T)
    np.testing.assert_allclose(a.sum((1, 2)), 1, rtol=1e-13)
    np.testing.assert_allclose(a.sum(1), 0.25, rtol=1e-13)
    assert pytest.approx(np.log(4), rel=1e-15) == moving_digits.CHANCE_LOSS
    assert (a[0] == 1 / 324).all() and moving_digits.frame_alone()[0] == pytest.approx(0.25)
    places, headings = by_the_rules(draw.generator("joint"), T, ROWS)
    assert all(a[t, places[t], headings[t]].min() > 0 for t in range(T))  # nothing happens that has no chance


def test_a_video_can_be_drawn_again_from_a_digits_pixels_and_its_path():
    """`path` and `fixed` say where each of the 64 pixels of each test row lies in each frame."""
    x, target = moving_digits.test()
    path, pixels = moving_digits.path(), moving_digits.fixed("test").pixels
    assert path.shape == (T, 2000, 2) and path.min() == 0 and path.max() == 8
    for t, row in ((0, 0), (7, 3), (15, 1999)):
        canvas, (r, c) = np.zeros((16, 16)), path[t, row]
        canvas[r : r + 8, c : c + 8] = pixels[row].reshape(8, 8) / 16
        np.testing.assert_array_equal(x[t, row].reshape(16, 16), canvas)
    steps = np.array([STEPS[name] for name in moving_digits.HEADINGS])
    np.testing.assert_array_equal(np.diff(path, axis=0), steps[target[1:]])


def test_the_constant_answer_is_the_commonest_label_of_its_sample():
    """One heading for all frames, no rarer than another in the 2,000 videos that it is counted in."""
    _, headings = moving_digits.walk(draw.generator("moving_digits", "constant"), T, 2000)
    counts = [int((headings == k).sum()) for k in range(4)]
    assert moving_digits.constant().tolist() == [counts.index(max(counts))] * T


def test_a_cost_is_the_share_of_wrong_frames():
    """Two of 16 wrong cost 1/8, and the row is not correct."""
    _, target = moving_digits.draw(draw.generator("cost"), T, 3)
    y = np.eye(4)[target]
    y[[2, 9], 1] = np.eye(4)[(target[[2, 9], 1] + 1) % 4]
    assert moving_digits.cost(y, target).tolist() == [0, 0.125, 0]
    assert moving_digits.correct(y, target).tolist() == [True, False, True]


def test_a_video_without_a_frame_has_no_closed_form():
    """It is refused by name, as where it is drawn."""
    for call in (moving_digits.chances, moving_digits.ceiling, moving_digits.frame_alone):
        with pytest.raises(ValueError, match="`length` must be at least 1, since a video has a frame; got 0"):
            call(0)


def inside(place, step):
    """Whether a step from a place stays on the canvas."""
    return all(0 <= at + by <= 8 for at, by in zip(divmod(place, 9), step, strict=True))


def move_of(before, after):
    """The heading that leads from one place to another."""
    rows, columns = (np.array(divmod(after, 9)) - np.array(divmod(before, 9))).tolist()
    known = {step: k for k, step in enumerate(STEPS[name] for name in moving_digits.HEADINGS)}
    return np.array([known.get(step, -1) for step in zip(rows, columns, strict=True)])


def by_the_rules(rng, T, B, turn=0.2, bounce=False, start=81):
    """Places and headings by the rules as they are told: keep or draw anew, draw again at an edge, move."""
    steps = np.array([STEPS[name] for name in moving_digits.HEADINGS])
    at, heading = np.stack(divmod(rng.integers(0, start, B), 9), -1), rng.integers(0, 4, B)
    places, headings = [at @ (9, 1)], [heading]
    for _ in range(1, T):
        heading = np.where(rng.random(B) < turn, rng.integers(0, 4, B), heading)
        leaves = off(at + steps[heading])
        if bounce:
            heading = np.where(leaves, heading ^ 1, heading)
        while (leaves := off(at + steps[heading])).any():
            heading = np.where(leaves, rng.integers(0, 4, B), heading)
        at = at + steps[heading]
        places.append(at @ (9, 1))
        headings.append(heading)
    return np.stack(places), np.stack(headings)


def off(at):
    """Which places (B, 2) lie off the canvas."""
    return ((at < 0) | (at > 8)).any(-1)


def walk_faults(places, headings):
    """Names what is wrong with walks: exactly, or by statistics whose standard deviation if they are good is known."""
    found, n = set(), places.shape[1]
    for lines in divmod(places[0], 9):
        if not balanced(np.bincount(lines * 4 + headings[0], minlength=36) / n, 1 / 36, n):
            found.add("start")
    if any((move_of(places[t - 1], places[t]) != headings[t]).any() for t in range(1, len(places))):
        found.add("step")
    for name, some in (("first", slice(0, 1)), ("turns", slice(1, -1))):
        p = moving_digits.turns()[places[some], headings[some]].reshape(-1, 4)
        before, edge = headings[some].ravel(), edges(places[some]).ravel()
        new = np.eye(4)[headings[some.start + 1 : some.stop + 1 or None].ravel()]
        for kind in range(8):
            mine = before + 4 * edge == kind
            spread = np.sqrt((p * (1 - p))[mine].sum(0))
            if (abs((new - p)[mine].sum(0)) > tolerance(64) * spread + 1e-9).any():
                found.add(name)
    return found


def edges(places):
    """Whether places lie at the edge."""
    row, column = divmod(places, 9)
    return ((row % 8 == 0) | (column % 8 == 0)).astype(int)


def film_faults(x, target, part):
    """Names what is wrong with frames and labels of a batch of a part; everything holds exactly."""
    found, frames = set(), x.reshape(*x.shape[:2], 16, 16)
    if frames.min() < 0 or frames.max() != 1 or (frames * 16 % 1).any():
        return {"scale"}
    known = {inked(picture) for picture in getattr(digits.data(), part).pixels.reshape(-1, 8, 8)}
    if any(inked(16 * frame) not in known for frame in frames[:: len(x) - 1].reshape(-1, 16, 16)):
        found.add("part")
    moved = np.stack([np.roll(frames[:-1], STEPS[name], (-2, -1)) for name in moving_digits.HEADINGS])
    is_move = (moved == frames[1:]).all((-2, -1))
    if not (is_move.sum(0) == 1).all():
        found.add("move")
    elif (is_move.argmax(0) != target[1:]).any():
        found.add("label")
    return found


def inked(picture):
    """What has ink of a picture, as bytes without the margins."""
    rows, columns = np.nonzero(picture.any(1))[0], np.nonzero(picture.any(0))[0]
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8).tobytes()


def wrapped(rng):
    """The digit leaves on one side and comes in on the other, wherever it is."""
    places, headings = by_the_rules(rng, T, ROWS)
    row, column = divmod(places, 9)
    return (row + 1) % 9 * 9 + column, headings


def first_is_second(rng):
    """The label of frame 0 is that of frame 1."""
    places, headings = by_the_rules(rng, T, ROWS)
    headings[0] = headings[1]
    return places, headings


def labelled(shift):
    """Labels of another frame, by the walk."""

    def fault(rng):
        places, headings = moving_digits.walk(rng, T + 1, ROWS)
        return places[1:], headings[:-1] if shift else np.roll(headings, 1, 1)[1:]

    return fault


def held_still(x, target):
    """One row's digit does not move from one frame to the next."""
    x[5, 7] = x[4, 7]
    return x, target


def cut_off(x, target):
    """A column of the last frame is black in all rows."""
    x[-1].reshape(-1, 16, 16)[:, :, 7] = 0
    return x, target


def other_part(x, target):
    """The digits are those of the test."""
    return moving_digits.draw(draw.generator("film"), T, 60, "test")


WALKS = {
    "start": (lambda rng: by_the_rules(rng, T, ROWS, start=72), first_is_second),
    "step": (wrapped, labelled(1), labelled(0)),
    "turns": (
        lambda rng: by_the_rules(rng, T, ROWS, turn=4 / 15),  # anew from the other three
        lambda rng: by_the_rules(rng, T, ROWS, bounce=True),
    ),
    "first": (first_is_second, lambda rng: by_the_rules(rng, T, ROWS, turn=1.0)),
}
FILMS = {
    "label": (
        lambda x, target: (x[:-1], target[1:]),  # a frame early
        lambda x, target: (x[1:], target[:-1]),  # a frame late
        lambda x, target: (x, np.roll(target, 1, 1)),  # the next row's
        lambda x, target: (x, target ^ 1),  # where it came from
    ),
    "move": (held_still, lambda x, target: (x[::2], target[::2])),
    "part": (other_part,),
    "scale": (lambda x, target: (x * 16, target), lambda x, target: ((x - x.mean()) / x.std(), target)),
}


def test_the_label_of_a_frame_is_the_digit_that_it_shows():
    """moving_labels asks of the same videos which digit it is: the one whose pixels are shown, at every frame."""
    data = digits.data().test
    x, target = moving_labels.test()
    assert (target == target[0]).all() and (x[:, :50] == moving_digits.test()[0][:, :50]).all()
    for label, pixels in zip(target[0, :50], moving_digits.fixed("test").pixels[:50], strict=True):
        assert label in data.labels[(data.pixels == pixels).all(1)]
    frames, heading = moving_digits.draw(draw.generator("labels"), 16, 5)
    same, digit = moving_labels.draw(draw.generator("labels"), 16, 5)
    assert (frames == same).all() and digit.shape == heading.shape and (digit[0] != heading[0]).any()
