"""How two things agree: what `agree`, `same_bits` and `require` let pass, and the sentence with which they fail."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from hypothesis import settings

from properties.cases import Plan, _lengths, head_of, plans
from properties.laws import TALLY, Guard, agree, all_same_bits, law, registry, require, same_bits
from properties.loading import load
from properties.oracle import Judged
from properties.subject import USUAL
from properties.test_chain_rule import forced, loss_bound
from properties.test_modes import may_be_likeliest
from properties.test_sizes import SIZES, sized

ROOT = Path(__file__).parents[2]
SUBJECT = SimpleNamespace(name="some subject", capabilities=USUAL)
CASE = Plan(3, 2, 4, 5, seed=7).case("lstm", "float32")
JUDGED = {"h": Judged(np.array([[1.0, 2.0]]), np.zeros((1, 2)), np.full((1, 2), 0.5))}


def test_agreement_within_the_bound_is_tallied():
    """The worst fraction so far is what the closing table prints."""
    TALLY.reset()
    agree(SUBJECT, CASE, {"h": np.array([[1.1, 2.2]])}, JUDGED)
    agree(SUBJECT, CASE, {"h": np.array([[1.0, 2.1]])}, JUDGED)
    assert TALLY.worst == pytest.approx(0.4)


def test_disagreement_says_what_where_how_far_and_in_which_case():
    """Subject, name, place, value, exact value, bound, fraction, cell, dtype, and a plan that makes the case again."""
    with pytest.raises(AssertionError) as failure:
        agree(SUBJECT, CASE, {"h": np.array([[1.0, 3.0]])}, JUDGED)
    wanted = (
        "some subject: h[0, 1] is 3.0, must be 2 within 0.5: off by 2 bounds. lstm float32, Plan(T=3, B=2, D=4, H=5"
    )
    assert str(failure.value).startswith(wanted)
    assert eval(str(failure.value).split("float32, ")[1], {"Plan": Plan}) == CASE.plan
    with pytest.raises(AssertionError, match=r"h must have shape \(1, 2\); got \(2,\)"):
        agree(SUBJECT, CASE, {"h": np.ones(2)}, JUDGED)


@pytest.mark.parametrize(
    ("name", "optional_without"),
    [
        ("hT", None),
        ("cT", "cell state"),
        ("c0_l1_reverse", "cell state"),
        ("h_t", "states"),
        ("c_t", "states"),
        ("weight_hh_l0", "backward"),
        ("x", "backward"),
    ],
)
def test_what_a_subject_leaves_out_is_missed_unless_it_does_not_declare_it(name, optional_without):
    """Gradients and the cell's state need not come of who does not declare them; h must, and all that is declared."""
    judged = JUDGED | {name: JUDGED["h"]}
    got, lesser = {"h": JUDGED["h"].hi}, SimpleNamespace(name="lesser", capabilities=USUAL - {optional_without})
    with pytest.raises(AssertionError, match=f"some subject: {name} must be given; got h alone. lstm float32, Plan"):
        agree(SUBJECT, CASE, got, judged)
    if optional_without is not None:
        agree(lesser, CASE, got, judged)
    with pytest.raises(AssertionError, match="lesser: h must be given; got nothing alone"):
        agree(lesser, CASE, {}, JUDGED)


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (np.array([1.0, np.nextafter(2.0, 3), np.nan]), r"\[1\] must be 2.0, to the bit; got 2.0000000000000004"),
        (np.array([1.0, 2.0, 0.0]), r"\[2\] must be nan, to the bit; got 0.0"),
        (np.array([1.0, 2.0]), r"must be float64 \(3,\); got float64 \(2,\)"),
        (np.array([1.0, 2.0, np.nan], np.float32), r"must be float64 \(3,\); got float32 \(3,\)"),
    ],
)
def test_bits_that_differ_are_named_by_place(got, says):
    """One unit in the last place, a NaN gone, another shape, another dtype."""
    with pytest.raises(AssertionError, match=says):
        same_bits(SUBJECT, CASE, "h", got, np.array([1.0, 2.0, np.nan]))


def test_equal_bits_pass_and_a_negative_zero_is_not_zero():
    """NaN equals NaN, whatever its payload."""
    same_bits(SUBJECT, CASE, "h", np.array([np.nan, -0.0]), np.array([-np.nan, -0.0]))
    with pytest.raises(AssertionError, match=r"\[0\] must be -0.0, to the bit; got 0.0"):
        same_bits(SUBJECT, CASE, "h", np.zeros(1), np.array([-0.0]))


def test_arrays_are_compared_by_name_and_the_sentence_says_whose_they_are():
    """What is wanted must come, and hold the bits."""
    zeros, ones = np.zeros(2), np.ones(2)
    with pytest.raises(AssertionError, match=r"some subject: x of row 3 must be given; got h alone. lstm float32"):
        all_same_bits(SUBJECT, CASE, {"h": zeros}, {"h": zeros, "x": ones}, "of row 3")
    with pytest.raises(AssertionError, match=r"some subject: x of row 3\[0\] must be 1.0, to the bit; got 0.0"):
        all_same_bits(SUBJECT, CASE, {"h": zeros, "x": zeros}, {"h": zeros, "x": ones}, "of row 3")


def test_a_condition_that_does_not_hold_is_said_with_the_case():
    """`require` is for what is neither a value nor bits."""
    require(SUBJECT, CASE, True, "never said.")
    with pytest.raises(AssertionError, match=r"some subject: the sky must be blue. lstm float32, Plan\("):
        require(SUBJECT, CASE, False, "the sky must be blue.")


def test_where_rounding_decides_which_output_is_the_likeliest_none_is_a_wrong_choice():
    """Two outputs a bound apart may change places; three bounds apart, or exact, they may not."""
    hi, lo = np.array([[1.0, 1.5, 0.0], [1.0, 2.5, 0.0], [1.0, 1.0, 1.0]]), np.zeros((3, 3))
    lo[2] = (0, 2.0**-60, 0)
    for bound, wanted in ((0.5, [[1, 1, 0], [0, 1, 0], [1, 1, 1]]), (0.0, [[0, 1, 0], [0, 1, 0], [0, 1, 0]])):
        found = may_be_likeliest(Judged(hi, lo, np.full((3, 3), bound)))
        assert found.astype(int).tolist() == wanted


def test_the_loss_of_a_sequence_is_judged_against_more_than_float64():
    """Law "chain rule": the referee's losses are those of mpmath at 200 bits to 2^-90, logits included."""
    case, V = Plan(3, 2, 4, 5, seed=7).case("rnn", "float64"), 5
    targets = case.rng.integers(0, V, (3, 2))
    call, head = forced(case, V, targets), head_of(case, V)
    _, exact, left = loss_bound(case, 0.0, call, head, targets)
    h = case.judged(call=call)["h"]
    with mpmath.workprec(200):
        wide = np.vectorize(mpmath.mpf, otypes=[object])
        y = (wide(h.hi) + wide(h.lo)) @ wide(head.weight_hy.T) + wide(head.bias_hy)
        steps = [mpmath.log(sum(map(mpmath.exp, y[at]))) - y[(*at, targets[at])] for at in np.ndindex(3, 2)]
        off = sum(steps) - sum(wide(exact)) - sum(wide(left))
        assert abs(off) < mpmath.mpf(2) ** -90 and any(left)


def test_knowing_nothing_costs_ln_v_within_the_loss_own_bound():
    """Law "chain rule": a float64 loss that is 8e-13 off is within no bound of so few steps; the right one is."""
    (found,) = (one for one in registry()["chain rule"] if one.test.startswith("test_equal_logits"))
    twin, plan = load("numpy_twin"), Plan(3, 2, 4, 5, seed=7)
    found.body(subject=twin, cell="rnn", dtype="float64", plan=plan)
    near = SimpleNamespace(name="near", loss=lambda y, targets: (twin.loss(y, targets)[0] + 8e-13, None))
    with pytest.raises(AssertionError, match="zero logits must cost T B ln V"):
        found.body(subject=near, cell="rnn", dtype="float64", plan=plan)


def test_a_law_keeps_its_docstring_and_what_it_needs():
    """The registry is read by the closing table, the planted faults and the README."""
    from properties.laws import REGISTRY

    try:

        @law("of this test", plans(), needs=("head",), seen_in=("project#1",))
        def body(subject, cell, dtype, plan):
            """The property in one sentence."""

        assert body.law.statement == "The property in one sentence."
        assert (body.law.needs, body.law.seen_in) == (("head",), ("project#1",))
        assert REGISTRY["of this test"] == [body.law]
    finally:
        del REGISTRY["of this test"]


def test_a_case_is_a_function_of_its_plan():
    """The same plan gives the same bits; another cell, seed or scale gives others; float32 is float64 rounded."""
    plan = Plan(5, 3, 4, 2, seed=1)
    one, again = plan.case("lstm", "float64"), plan.case("lstm", "float64")
    assert np.array_equal(one.call.x, again.call.x) and np.array_equal(one.cotangent.h, again.cotangent.h)
    assert not np.array_equal(one.call.x, plan.case("rnn", "float64").call.x)
    assert np.array_equal(plan.case("lstm", "float32").call.x, one.call.x.astype(np.float32))
    assert all(a.dtype == np.float32 for a in plan.case("lstm", "float32").call.params)
    first, second = plan.case("lstm", "float32").cotangent, plan.case("lstm", "float32")
    _ = second.judged(gradients=True)
    assert np.array_equal(first.h, second.cotangent.h), "the order of questions must not matter"


class Noting(Guard):
    """Runs nothing, and keeps the plans of the cases that a law asks for."""

    name, pooled, share, capabilities = "noting", False, 1.0, USUAL

    def __init__(self):
        self.plans = []

    def case(self, law, cell, dtype, plan):
        self.plans.append(plan)


DRAWN = (("value", 0), ("vjp", 0), ("lengths", 0), ("empty time", 1), ("ensemble", 1), ("saturation", 1), ("range", 0))


@pytest.mark.parametrize(("name", "number"), DRAWN)
def test_the_cases_of_a_law_have_seeds_of_their_own_and_reach_every_sub_case(name, number):
    """Hypothesis draws small numbers and repeats them: seeds and lengths were uneven for it."""
    subject, how = Noting(), settings(settings.get_profile("ci"), max_examples=40)
    registry()[name][number].judge(subject, "lstm", "float32", how)
    found = subject.plans
    assert len({plan.seed for plan in found}) >= 0.95 * len(found) >= 38
    for k in (2, 3, 4, 5):
        counts = np.bincount([plan.seed % k for plan in found], minlength=k)
        assert counts.min() >= 0.25 * len(found) / k, f"sub-cases {counts.tolist()} of {k}"
    lengths = [plan.lengths for plan in found if plan.lengths is not None]
    assert np.mean([not np.any(n) for n in lengths] or [0]) < 0.15, "cases without a row that runs"


def test_a_default_run_has_every_plan_of_the_law_sizes_and_a_dear_subject_the_widest():
    """Which only holds while Hypothesis repeats none and takes the first one first."""
    (found,), how = registry()["sizes"], settings.get_profile("ci")
    for share, wanted in ((1.0, SIZES), (0.05, SIZES[:1])):
        subject = Noting()
        subject.share = share
        found.judge(subject, "lstm", "float32", how)
        assert sorted(subject.plans, key=repr) == sorted(map(sized, wanted), key=repr)


def test_lengths_are_even_from_the_least_to_all_steps():
    """Of groups by row as often as by model and row."""
    rng = np.random.default_rng(0)
    rows = [_lengths(rng, 4, 3, None, least) for least in (0, 1) for _ in range(200)]
    assert {len(row) for row in rows} == {3}
    for some, counts in ((rows[:200], [120] * 5), (rows[200:], [0, *[150] * 4])):
        assert np.allclose(np.bincount(np.ravel(some)), counts, atol=40)
    groups = [np.shape(_lengths(rng, 4, 3, 2, 0)) for _ in range(100)]
    assert set(groups) == {(3,), (2, 3)} and 30 < groups.count((3,)) < 70


def test_a_subject_without_a_method_says_so():
    """What is not declared is not asked; what is asked all the same is refused in words."""
    from properties.subject import Subject

    class Empty(Subject):
        name = "empty"

    for ask in (
        lambda s: s.forward(CASE.call),
        lambda s: s.backward(CASE.call, CASE.cotangent),
        lambda s: s.loss(0, 0),
    ):
        with pytest.raises(NotImplementedError, match="empty has no"):
            ask(Empty())
    assert Empty().u("float32") == 2.0**-24 and Empty().alpha("float32") == 0
    assert load("numpy_twin").u("float64") == 2.0**-53


DRAW = """
import sys
from hypothesis import Phase, settings
from properties.cases import plans
from properties.laws import TALLY, law
from properties.subject import Subject
if len(sys.argv) > 1:
    import strange_constants

@law("nothing", plans())
def anything_goes(subject, cell, dtype, plan):
    pass

how = settings(max_examples=1000, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
anything_goes.law.run(Subject(), "rnn", "float32", how)
print(TALLY.digest)
"""


def test_the_same_command_draws_the_same_cases_whatever_else_is_imported(tmp_path):
    """Hypothesis would also try constants of local modules that happen to be imported; then seeds would not decide."""
    (tmp_path / "strange_constants.py").write_text("A, B, C, D = 12345, 4, 5, 424242\n" + "E = [2, 3, 6, 77777]\n")
    (tmp_path / "draw.py").write_text(DRAW)
    line, path = [sys.executable, str(tmp_path / "draw.py")], {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    runs = [subprocess.run(line + more, capture_output=True, text=True, env=os.environ | path) for more in ([], ["x"])]
    assert runs[0].stdout == runs[1].stdout != "", runs[0].stderr + runs[1].stderr
