"""Masks in losses: what they hide may be anything, and autograd finds the written gradient behind them too."""

import numpy as np
import pytest
import torch

from properties.twins.both import both, call, part

NAMES = ("softmax_cross_entropy", "squared_error", "logistic")
T, B, V = 4, 3, 5


def masked(name):
    """y, target and a mask that hides some steps and shows others."""
    rng = np.random.default_rng(2)
    y, mask = rng.normal(size=(T, B, V)), np.arange(T * B).reshape(T, B) % 3 > 0
    targets = {"softmax_cross_entropy": rng.integers(0, V, (T, B)), "squared_error": rng.normal(size=(T, B, V))}
    return y, targets.get(name, rng.integers(0, 2, (T, B, V)).astype(float)), mask


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wild", [1.0, np.nan, np.inf])
def test_autograd_finds_the_written_gradient_of_a_masked_loss(name, wild):
    """What is hidden is replaced before any arithmetic: a NaN that is only selected away at the end would come back."""
    y, target, mask = masked(name)
    y[~mask], target[~mask] = wild, wild if target.dtype == float else -7
    y, target, mask = torch.tensor(y, requires_grad=True), torch.tensor(target), torch.tensor(mask)
    loss, dy = getattr(part("torch_twin", "loss"), name)(y, target, mask)
    (found,) = torch.autograd.grad(loss, y)
    assert (found - dy).abs().max() < 1e-14
    assert not found[~mask].any()


@both
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "logistic"])
@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_hidden_logits_and_targets_raise_no_warning(twin, name, wild):
    """No arithmetic is done on them (warnings are errors here)."""
    y, target, mask = masked(name)
    wanted = call(twin, "loss", name, y, target, mask)
    y[~mask], target[~mask] = wild, wild if target.dtype == float else -7
    assert call(twin, "loss", name, y, target, mask)[0] == wanted[0]


@both
def test_classes_beyond_the_outputs_may_stand_where_a_mask_hides_them(twin):
    """Data pads its targets with whatever it likes, -1 or V; shown, they are refused by name."""
    y, targets, mask = masked("softmax_cross_entropy")
    for pad in (-1, V, 99):
        padded = np.where(mask, targets, pad)
        assert call(twin, "loss", "softmax_cross_entropy", y, padded, mask)[0] > 0
        with pytest.raises(ValueError, match=r"`targets` must lie in 0\.\.4, since y has V=5 outputs; got"):
            call(twin, "loss", "softmax_cross_entropy", y, padded)
    with pytest.raises(TypeError, match=r"`mask` must be boolean, since it selects steps; got dtype .*int64"):
        call(twin, "loss", "softmax_cross_entropy", y, targets, mask.astype(np.int64))
