"""How the models of the memory experiment start, learn and are judged."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.memory import learning
from experiments.memory.latch import sweep
from experiments.tasks import latch
from impl import draw
from impl.spec import Model, Parameters, block, leaves

OPTIONS = SimpleNamespace(engine="numpy")
TINY = sweep.Preset((5,), seeds=4, updates=50, every=10, held_out=600)


@pytest.mark.parametrize(("arm", "value"), [("lstm_b0", 0.0), ("lstm_b1", 1.0), ("lstm_b3", 3.0)])
def test_a_forget_bias_is_exactly_what_its_arm_says(arm, value):
    """The two biases of gate f add up to the value, bit for bit; the other gates keep torch's default."""
    cell = model(arm).cell
    plain = draw.uniform(draw.generator("memory", "latch", 20, 3, "weights", "lstm"), "lstm", 1, 8)
    rest = np.r_[0:8, 16:32]
    np.testing.assert_array_equal((cell.bias_ih + cell.bias_hh)[block("lstm", "f", 8)], value)
    np.testing.assert_array_equal(cell.bias_ih[rest], plain.bias_ih[rest])
    np.testing.assert_array_equal(cell.weight_hh, plain.weight_hh)


def test_chrono_reaches_for_one_and_a_half_times_the_length():
    """b_f = ln u with u in [1, 1.5 * length - 1], b_i = -b_f; over many seeds u fills that range evenly."""
    cells = [model("lstm_chrono", seed).cell for seed in range(500)]
    b = np.stack([cell.bias_ih + cell.bias_hh for cell in cells])
    u = np.exp(b[:, block("lstm", "f", 8)]).ravel()
    np.testing.assert_array_equal(b[:, block("lstm", "i", 8)], -b[:, block("lstm", "f", 8)])
    assert u.min() >= 1 and u.max() <= 29
    # the mean of n uniforms has standard deviation (b - a) / sqrt(12 n); five of them fail once in two million
    assert abs(u.mean() - 15) < 5 * 28 / np.sqrt(12 * u.size)


def test_arms_of_one_cell_share_what_they_have_in_common():
    """Same seed and length: the same input weights and read-out; another seed or length: other numbers everywhere."""
    for cell in ("rnn", "lstm"):
        first, *others = (model(name) for name, arm in arms.ARMS.items() if arm.cell == cell)
        for other in others:
            np.testing.assert_array_equal(first.cell.weight_ih, other.cell.weight_ih)
            np.testing.assert_array_equal(first.head.weight_hy, other.head.weight_hy)
        for other in (model("rnn_uniform", seed=4), model("rnn_uniform", length=28)):
            assert all((a != b).all() for a, b in zip(leaves(model("rnn_uniform")), leaves(other), strict=True))


def test_orthogonal_arms_keep_lengths_and_one_of_them_starts_without_bias():
    """W_hh W_hh^T = 1 in both; the biases of the one are zero and still parameters, all else is shared."""
    plain, torch = model("rnn_orthogonal").cell, model("rnn_orthogonal_torch_biases").cell
    np.testing.assert_allclose(plain.weight_hh @ plain.weight_hh.T, np.eye(8), atol=1e-14)
    np.testing.assert_array_equal(plain.weight_hh, torch.weight_hh)
    assert not plain.bias_ih.any() and not plain.bias_hh.any()
    assert torch.bias_ih.all() and torch.bias_hh.all()


def test_half_lives_at_the_start():
    """A gate at its bias halves c in `half_life` steps; the uniform RNN's spectral radius is near 1/sqrt 3."""
    for name, value in {"lstm_b0": 0.0, "lstm_b1": 1.0, "lstm_b3": 3.0}.items():
        assert (1 / (1 + np.exp(-value))) ** arms.ARMS[name].half_life == pytest.approx(0.5, rel=1e-14)
    radius = abs(np.linalg.eigvals(model("rnn_uniform", H=500).cell.weight_hh)).max()
    # at H = 500 the radius scatters by about 2 % around its limit
    assert radius ** arms.ARMS["rnn_uniform"].half_life == pytest.approx(0.5, rel=0.1)


def test_arms_of_one_seed_and_length_see_the_same_data_and_seeds_do_not():
    """The streams do not know the arm; held-out rows are none of the training rows."""
    twin = engine("numpy")
    a, b = (next(learning.batches(group(arm), twin)) for arm in ("lstm_b1", "rnn_uniform"))
    np.testing.assert_array_equal(a.x, b.x)
    assert len(np.unique(a.x[1, :, :, 0])) == a.x[1].size, "two seeds share noise"
    assert not np.isin(learning.held_out(group("lstm_b1")).x[1], a.x[1]).any()


def test_batches_are_fresh_at_every_update():
    """No noise value comes twice in ten updates (float64, so that values do not collide by rounding)."""
    g = group("lstm_b1", dtype="float64")
    x = np.stack([batch.x[1:] for batch, _ in zip(learning.batches(g, engine("numpy")), range(10), strict=False)])
    assert len(np.unique(x)) == x.size


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_dropping_hopeless_models_changes_no_verdict(name):
    """A model passes after the early stop exactly if it passes on all rows, and its share is then the same."""
    g, twin = group("rnn_uniform"), engine(name)
    asked = learning.held_out(g)
    errors = [0, 5, 6, 300]  # of 600: fewer than .01 wrong means at most 5
    for e, n in enumerate(errors):
        asked.target[:, e, :n] = 1 - asked.target[:, e, :n]
    model_ = twin.asarray(reader_of_the_first_step(len(errors)), g.dtype)
    full = learning.mean_cost(twin, "rnn", latch, model_, asked)
    quick = learning.mean_cost(twin, "rnn", latch, model_, asked, latch.SOLVED_BELOW)
    np.testing.assert_array_equal(full, np.array(errors) / 600)
    np.testing.assert_array_equal(quick < latch.SOLVED_BELOW, [True, True, False, False])
    np.testing.assert_array_equal(quick[:2], full[:2])
    right = learning.mean_cost(twin, "rnn", latch, model_, asked, of="correct")
    np.testing.assert_allclose(right, 1 - full, rtol=1e-15)


def test_a_run_says_who_solved_when_and_is_the_same_twice():
    """At delay 5 an LSTM with b_f = 3 solves within 50 updates: at a check, for good, and bit for bit again."""
    marks = []
    first = learning.run(group("lstm_b3"), lambda done, total: marks.append((done, total)))
    again = learning.run(group("lstm_b3"), lambda done, total: None)
    assert first == again
    got = {m: np.array([r.value for r in first if r.metric == m]) for m in METRICS}
    assert [r.seed for r in first if r.metric == "solved"] == [0, 1, 2, 3]
    assert {r.index for r in first} == {5} and {r.setting for r in first} == {"latch/arm=lstm_b3/delay=5"}
    assert got["solved"].all() and (got["accuracy"] > 0.9).all()
    assert (got["first_solved_step"] % TINY.every == 0).all()
    assert (got["updates"] == got["first_solved_step"].max()).all()
    checks = range(TINY.every, int(got["updates"][0]) + 1, TINY.every)
    assert marks == [(n, TINY.updates) for n in (*checks, TINY.updates)]


def test_models_that_do_not_learn_answer_by_chance_and_never_solve():
    """At a rate of zero every model stays within five standard deviations of one half."""
    g = group("lstm_b0", length=40, lr=0.0)
    got = learning.run(g, lambda done, total: None)
    share = np.array([r.value for r in got if r.metric == "accuracy"])
    assert (abs(share - latch.CHANCE_ACCURACY) < 5 * 0.5 / np.sqrt(TINY.held_out)).all()
    assert {r.value for r in got if r.metric == "first_solved_step"} == {learning.NEVER}
    assert {r.value for r in got if r.metric == "solved"} == {0.0}
    assert {r.value for r in got if r.metric == "updates"} == {TINY.updates}


def test_a_stop_asked_for_at_a_checkpoint_ends_the_run():
    """Whatever `checkpoint` raises comes through: nothing is returned half-done."""

    class Asked(Exception):
        pass

    def stop(done, total):
        raise Asked

    with pytest.raises(Asked):
        learning.run(group("rnn_uniform"), stop)


METRICS = ("solved", "accuracy", "first_solved_step", "updates")


def group(arm, length=5, dtype="float32", **settings):
    """A small group of the sweep, with other settings where asked."""
    g = sweep.group(arm, length, TINY, OPTIONS)
    fields = {
        name: getattr(g, name) for name in ("experiment", "version", "setting", "seeds", "engine", "data", "cost")
    }
    return type(g)(settings=g.settings | settings, dtype=dtype, **fields)


def model(arm, seed=3, length=20, H=8):
    """One model of an arm."""
    return arms.model(arm, ("memory", "latch", length, seed), length, 1, 1, H)


def reader_of_the_first_step(E):
    """RNNs of one unit that hold the sign of the first input: h' = tanh(3 x + 9 h) stays beside +-1 under the noise."""
    one = Model(Parameters(np.array([[3.0]]), np.array([[9.0]])), draw.head(draw.generator("sign"), 1, 1, bias=False))
    return draw.group([one._replace(head=one.head._replace(weight_hy=np.array([[1.0]])))] * E)
