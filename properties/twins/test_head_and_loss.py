"""Read-out and losses against closed forms: values, gradients by central differences, masks, groups."""

import numpy as np
import pytest
import torch

from impl.spec import Head
from properties import oracle
from properties.twins.both import both, call, into, part

LOSSES = ("squared_error", "logistic")
SHAPE = (4, 3, 2)


def data(name, first=(), seed=0):
    """y, target and mask: (T, B, V), or (T, E, B, V) with `first` = (E,)."""
    rng, shape = np.random.default_rng(seed), (SHAPE[0], *first, *SHAPE[1:])
    y, mask = 3 * rng.normal(size=shape), rng.random(shape[:-1]) < 0.6
    return y, rng.normal(size=shape) if name == "squared_error" else rng.integers(0, 2, shape).astype(float), mask


def closed_form(name, y, target):
    """Each step's and output's loss in long double, from the definition."""
    y, target = y.astype(np.longdouble), target.astype(np.longdouble)
    if name == "squared_error":
        return (y - target) ** 2
    p = 1 / (1 + np.exp(-y))
    return -target * np.log(p) - (1 - target) * np.log1p(-p)


@both
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("masked", [False, True])
def test_a_loss_is_the_sum_of_its_closed_form_where_the_mask_holds(twin, name, masked):
    """A plain sum over steps, rows and outputs: no mean, no factor of a half."""
    y, target, mask = data(name)
    loss, _ = call(twin, "loss", name, y, target, *([mask] if masked else []))
    wanted = (closed_form(name, y, target) * (mask[..., None] if masked else 1)).sum()
    assert np.shape(loss) == ()
    assert abs(loss - wanted) < 1e-14 * wanted


@both
@pytest.mark.parametrize("name", LOSSES)
def test_a_losss_gradient_is_the_central_difference(twin, name):
    """By every entry of y, zero where masked; step 2^-17, so that truncation and rounding stay below 1e-9."""
    (y, target, mask), step = data(name), 2.0**-17
    _, dy = call(twin, "loss", name, y, target, mask)
    for place in np.ndindex(y.shape):
        nudge = np.zeros_like(y)
        nudge[place] = step
        ahead, behind = (closed_form(name, y + s * nudge, target)[place] for s in (1, -1))
        wanted = float((ahead - behind) / (2 * step)) if mask[place[:-1]] else 0.0
        assert abs(dy[place] - wanted) < 1e-9


@pytest.mark.parametrize("name", [*LOSSES, "softmax_cross_entropy"])
@pytest.mark.parametrize("masked", [False, True])
def test_autograd_finds_a_losss_written_gradient_also_where_the_logits_are_zero(name, masked):
    """At y = 0, where a read-out of zeros starts, a softplus written by cases or by |y| has another slope."""
    y, target, mask = data(name if name in LOSSES else "logistic")
    y[0] = 0
    target = target if name in LOSSES else target[..., 0].astype(np.int64)
    y, target, mask = into("torch_twin", (y, target, mask))
    loss, dy = getattr(part("torch_twin", "loss"), name)(y.requires_grad_(), target, mask if masked else None)
    (found,) = torch.autograd.grad(loss, y)
    assert (found - dy).abs().max() < 1e-15


@pytest.mark.parametrize("masked", [False, True])
def test_autograd_finds_the_logistic_losss_second_derivative_also_where_the_logits_are_zero(masked):
    """sigma(y) (1 - sigma(y)), a quarter at 0; by |y|, whose slope there is taken as 0, it would be 0."""
    y, target, mask = data("logistic")
    y[0] = 0
    wanted = 1 / (2 + np.exp(y) + np.exp(-y)) * (mask[..., None] if masked else 1)
    y, target, mask = into("torch_twin", (y, target, mask))
    loss, _ = part("torch_twin", "loss").logistic(y.requires_grad_(), target, mask if masked else None)
    (slope,) = torch.autograd.grad(loss, y, create_graph=True)
    (found,) = torch.autograd.grad(slope.sum(), y)
    assert np.abs(found.numpy() - wanted).max() < 1e-15


@both
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_what_a_mask_hides_reaches_neither_loss_nor_gradient(twin, name, wild):
    """y and targets may hold anything there, NaN included."""
    y, target, mask = data(name)
    wanted = call(twin, "loss", name, y, target, mask)
    y[~mask], target[~mask] = wild, wild
    with np.errstate(invalid="ignore"):
        loss, dy = call(twin, "loss", name, y, target, mask)
    assert loss == wanted[0]
    assert np.array_equal(dy, wanted[1])


@both
@pytest.mark.parametrize("name", [*LOSSES, "softmax_cross_entropy"])
def test_a_groups_losses_are_its_models_one_number_each(twin, name):
    """(E,) numbers, each that of the model alone within rounding, gradients to the bit."""
    y, target, mask = data(name if name in LOSSES else "logistic", first=(3,))
    target = target if name in LOSSES else target[..., 0].astype(np.int64)
    loss, dy = call(twin, "loss", name, y, target, mask)
    assert loss.shape == (3,)
    for e in range(3):
        alone, dy_alone = call(twin, "loss", name, y[:, e], target[:, e], mask[:, e])
        assert abs(loss[e] - alone) < 1e-14 * abs(alone)
        assert np.array_equal(dy[:, e], dy_alone)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_logistic_loss_survives_logits_of_1e4(twin, dtype):
    """Certainty costs nothing, its opposite the distance; no overflow, no warning."""
    y = np.array([[[1e4, -1e4, 1e4, -1e4]]], dtype)
    loss, dy = call(twin, "loss", "logistic", y, np.array([[[1, 0, 0, 1]]], dtype))
    assert loss == 2e4 and loss.dtype == dtype
    assert dy.tolist() == [[[0, 0, 1, -1]]]


@both
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_refuses_what_does_not_fit_by_name(twin, name):
    """A target of another shape or dtype, a mask that is none."""
    y, target, mask = data(name)
    with pytest.raises(ValueError, match=r"`target` must have shape \(4, 3, 2\)"):
        call(twin, "loss", name, y, target[:-1], mask)
    with pytest.raises(TypeError, match=r"`target` must be .*float64"):
        call(twin, "loss", name, y, target.astype(np.float32), mask)
    with pytest.raises(TypeError, match="`mask` must be boolean"):
        call(twin, "loss", name, y, target, mask.astype(np.int64))
    with pytest.raises(ValueError, match=r"`mask` must have shape \(4, 3\)"):
        call(twin, "loss", name, y, target, mask[:, :1])


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_read_out_and_its_gradients_are_exact_for_one_model_and_a_group(twin, dtype, bias):
    """Within the referee's bound, with the bias and without, alone and with axis E."""
    rng, (T, E, B, H, V) = np.random.default_rng(0), (4, 2, 3, 5, 6)
    W, b, h, dy = (rng.normal(size=s).astype(dtype) for s in ((E, V, H), (E, V), (T, E, B, H), (T, E, B, V)))
    head = Head(W, b if bias else None)
    y, (dh, dhead) = call(twin, "head", "forward", head, h), call(twin, "head", "backward", head, h, dy)
    for e in range(E):
        judged = oracle.judge_head(W[e], b[e] if bias else None, h[:, e], dy[:, e], dtype=dtype)
        got = {"y": y[:, e], "h": dh[:, e], "weight_hy": dhead.weight_hy[e]}
        got |= {"bias_hy": dhead.bias_hy[e]} if bias else {}
        assert got.keys() == judged.keys()
        assert {name: f for name, a in got.items() if (f := judged[name].fraction(a)[0]) > 1} == {}
    assert bias or dhead.bias_hy is None
    one = Head(W[0], b[0] if bias else None)
    assert call(twin, "head", "forward", one, h[:, 0]).shape == (T, B, V)


@both
@pytest.mark.parametrize("level", [-1e30, -2e3, 2e3, 1e30])
def test_the_cross_entropy_of_equal_outputs_is_the_logarithm_of_their_number_at_any_level(twin, level):
    """log 4 and 1/4 a class, where exp of the outputs, or of twice them, is 0 or infinite."""
    loss, dy = call(twin, "loss", "softmax_cross_entropy", np.full((1, 1, 4), level), np.zeros((1, 1), int))
    assert abs(loss - np.log(4)) < 1e-14
    assert np.array_equal(dy, [[[-0.75, 0.25, 0.25, 0.25]]])
