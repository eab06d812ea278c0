"""Dates in four formats to ISO dates, against Python's calendar and against faults that such data have had."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pytest

from experiments.tasks import dates
from experiments.tasks.images import PARTS
from experiments.tasks.testing import balanced
from impl import draw

ROWS = 500
READ = (
    r"(?P<d>[1-9]\d?) (?P<b>[A-Z][a-z]+) (?P<y>\d{4})",
    r"(?P<b>[A-Z][a-z]{2}) (?P<d>[1-9]\d?), (?P<y>\d{4})",
    r"(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<y>\d{4})",
    r"(?P<b>[A-Z][a-z]+) (?P<d>[1-9]\d?)(?P<th>st|nd|rd|th), (?P<y>\d{4})",
)
NAMES = {f"{datetime.date(2000, month, 1):%B}": month for month in range(1, 13)}
SHORT = {f"{datetime.date(2000, month, 1):%b}": month for month in range(1, 13)}
ENDINGS = {1: "st", 21: "st", 31: "st", 2: "nd", 22: "nd", 3: "rd", 23: "rd"}


def test_dates_can_be_read_back_and_the_decoder_sees_what_was_written_before():
    """No part shows any of the faults that `faults` looks for."""
    for part in PARTS:
        assert faults(*dates.draw(draw.generator("dates"), dates.STEPS, ROWS, part), part) == set()
    assert faults(*dates.test(), "test") == faults(*dates.validation(), "validation") == set()


@pytest.mark.parametrize("fault", ["unreadable", "target", "ending", "forcing", "lengths", "formats", "part"])
def test_each_planted_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name and no other."""
    for planted in PLANTED[fault]:
        batch = planted(*dates.draw(draw.generator("dates"), dates.STEPS, ROWS))
        assert faults(*batch, "training") == {fault}


def test_every_day_of_two_centuries_is_pythons():
    """All 73,049 of them, from the first to the last; the ISO classes are those of the standard library's dates."""
    first = datetime.date(1900, 1, 1).toordinal()
    days = [datetime.date.fromordinal(n).isoformat() for n in range(first, datetime.date(2100, 1, 1).toordinal())]
    written = np.array([*dates.SYMBOLS], "S1")[dates.table().iso].view("S10")[:, 0]
    assert dates.DAYS == len(days) == 73_049 and (written == np.array(days, "S10")).all()
    assert dates.AFTER == "2100-01-01" and days[-1] == "2099-12-31" and b"2000-02-29" in written


def test_the_formats_are_those_of_the_examples():
    """30 September 1999 in all four; and the longest source is one that occurs, so that no step is for nothing."""
    day = (datetime.date(1999, 9, 30) - datetime.date(1900, 1, 1)).days
    pair, target, mask, lengths = dates.written(np.full(4, day), np.arange(4))
    assert tuple(dates.text(pair.source)) == dates.FORMATS and lengths.tolist() == [*map(len, dates.FORMATS)]
    assert dates.iso(target) == ["1999-09-30"] * 4 and mask is None
    assert dates.table().lengths.max() == dates.table().codes.shape[-1] == len("September 30th, 1999")
    assert set(np.unique(dates.table().codes)) == set(range(dates.D + 1))  # no feature is idle


def test_no_date_can_be_read_as_another():
    """What stands before the year is another for each day of the year and each format."""
    heads = [head for m in range(1, 13) for d in range(1, 32) for head in dates.before_year(m, d)]
    assert len(set(heads)) == len(heads) == 12 * 31 * 4


@pytest.mark.parametrize(("part", "share"), [*zip(PARTS, dates.SHARES, strict=True)])
def test_every_day_is_of_one_part_by_its_share_and_by_no_rule(part, share):
    """70, 10 and 20 % of the days, disjoint; each month has its share of the part's days, as of all."""
    mine, others = dates.days()[part], np.concatenate([dates.days()[other] for other in PARTS if other != part])
    assert abs(len(mine) - share * dates.DAYS) <= 1 and (np.sort(np.r_[mine, others]) == np.arange(dates.DAYS)).all()
    month = dates.table().iso[:, 5] * 10 + dates.table().iso[:, 6]
    sizes = np.bincount(month)[1:]
    assert balanced(np.bincount(month[mine])[1:] / sizes, share, sizes)


def test_rows_to_judge_by_are_2000_dates_in_known_formats_that_training_never_has():
    """`formats` says which; 500 for validation; chance is 0, for nobody has the right date from training."""
    from experiments.tasks import answers

    texts = dates.text(dates.test()[0].source)
    assert [bool(re.fullmatch(READ[k], text)) for k, text in zip(dates.formats(), texts, strict=True)] == [True] * 2000
    assert len(dates.validation()[3]) == 500 and answers.chance(dates) == 0
    day = datetime.date.fromisoformat(dates.iso(dates.constant()[:, None])[0]) - datetime.date(1900, 1, 1)
    assert day.days in dates.days()["training"]


def test_all_days_of_a_part_and_all_formats_are_drawn_alike():
    """20,000 draws: each seventh of the training days and each format by its share."""
    day, form = dates.chosen(draw.generator("uniform"), 20_000, "training")
    rank = np.searchsorted(dates.days()["training"], day)
    assert balanced(np.bincount(rank * 7 // len(dates.days()["training"])) / 20_000, 1 / 7, 20_000)
    assert balanced(np.bincount(form * 7 + day % 7) / 20_000, 1 / 28, 20_000)


def test_who_knows_the_characters_before_and_no_source_pays_the_chance_loss():
    """The entropy of each character given those before it, over all days, counted; its mean over the ten is ln DAYS."""
    prefix, entropy, before = np.zeros(dates.DAYS, int), [], 0.0
    for symbol in dates.table().iso.T:
        prefix = prefix * dates.V + symbol
        share = np.unique(prefix, return_counts=True)[1] / dates.DAYS
        entropy.append(-(share * np.log(share)).sum() - before)
        before += entropy[-1]
    assert np.mean(entropy) == pytest.approx(dates.CHANCE_LOSS, rel=1e-12) and entropy[4] == pytest.approx(0, abs=1e-12)


def faults(x, target, mask, lengths, part):
    """Names what is wrong with a batch of a part: exactly, but for the shares of the formats."""
    texts, found, kinds = dates.text(x.source), set(), []
    shown = np.arange(len(x.source))[:, None] < lengths
    if (x.source.sum(-1) != shown).any() or not np.isin(x.source, (0, 1)).all():
        found.add("lengths")
    for text, answer in zip(texts, dates.iso(target), strict=True):
        kind, day, ending = read(text)
        kinds.append(kind)
        if day is None:
            found.add("unreadable")
        elif day.isoformat() != answer:
            found.add("target")
        elif ending not in (None, ENDINGS.get(day.day, "th")):
            found.add("ending")
    forced = np.concatenate([np.zeros((1, len(texts), dates.V)), np.eye(dates.V)[target[:-1]]])
    if (x.forced != forced).any():
        found.add("forcing")
    if not balanced(np.bincount([k for k in kinds if k is not None], minlength=4) / len(texts), 0.25, len(texts)):
        found.add("formats")
    first, known = datetime.date(1900, 1, 1), set(dates.days()[part].tolist())
    if not {(datetime.date.fromisoformat(answer) - first).days for answer in dates.iso(target)} <= known:
        found.add("part")
    return found


def read(text):
    """The format, the day and the ordinal's ending of a date, or None where there is none; by the standard library."""
    for kind, pattern in enumerate(READ):
        if match := re.fullmatch(pattern, text):
            parts = match.groupdict()
            month = int(parts["m"]) if "m" in parts else (SHORT if kind == 1 else NAMES).get(parts["b"], 0)
            try:
                return kind, datetime.date(int(parts["y"]), month, int(parts["d"])), parts.get("th")
            except ValueError:
                return kind, None, None
    return None, None, None


def rewritten(change):
    """A fault: some texts are written otherwise, as `change` says of a text; lengths follow."""

    def fault(x, target, mask, lengths):
        texts = [change(text) for text in dates.text(x.source)]
        source = np.zeros_like(x.source)
        for row, text in enumerate(texts):
            source[range(len(text)), row, [dates.CHARACTERS.index(c) for c in text]] = 1
        return x._replace(source=source), target, mask, np.array([*map(len, texts)])

    return fault


def forced(shift):
    """A fault: the characters shown to the decoder are those of another step."""

    def fault(x, target, mask, lengths):
        x.forced[1:] = np.eye(dates.V)[np.roll(target, shift, 0)[1:]]
        return x, target, mask, lengths

    return fault


def first_is_a_dash(x, target, mask, lengths):
    """The decoder's step 0 is not blank."""
    x.forced[0, :, dates.SYMBOLS.index("-")] = 1
    return x, target, mask, lengths


def month_first(text):
    """Dotted dates have the month before the day, where it can be one of both."""
    return re.sub(r"^(0\d|1[0-2])\.(0\d|1[0-2])\.", r"\2.\1.", text)


def seen_in_training(x, target, mask, lengths):
    """The dates of the test, in formats of their own."""
    return dates.draw(draw.generator("dates"), dates.STEPS, ROWS, "test")


def padded(x, target, mask, lengths):
    """Blanks stand behind a row's end."""
    x.source[..., dates.CHARACTERS.index(" ")] += ~x.source.any(-1)
    return x, target, mask, lengths


def never_dotted(x, target, mask, lengths):
    """Dotted dates are rarer than others."""
    day, form = dates.chosen(draw.generator("fault"), ROWS, "training")
    return dates.written(day, np.where(np.arange(ROWS) % 2 == 0, form // 2, form))


PLANTED = {
    "unreadable": (
        rewritten(lambda text: text.replace("Sep ", "Sept ")),
        rewritten(lambda text: re.sub("^01[.]", "1.", text)),
    ),
    "target": (
        rewritten(month_first),
        lambda x, target, mask, lengths: (
            x._replace(forced=np.roll(x.forced, 1, 1)),
            np.roll(target, 1, 1),
            mask,
            lengths,
        ),
    ),
    "ending": (
        rewritten(lambda text: re.sub("(?<=[123])(st|nd|rd),", "th,", text)),
        rewritten(lambda text: text.replace(" 11th,", " 11st,")),
    ),
    "forcing": (forced(0), forced(2), first_is_a_dash),
    "lengths": (
        lambda x, target, mask, lengths: (x, target, mask, lengths - 1),
        lambda x, target, mask, lengths: (x, target, mask, np.full_like(lengths, len(x.source))),
        lambda x, target, mask, lengths: (x, target, mask, np.roll(lengths, 1)),
    ),
    "formats": (never_dotted,),
    "part": (seen_in_training,),
}
