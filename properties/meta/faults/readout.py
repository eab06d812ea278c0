"""Faults of the read-out, of likelihoods, and of groups of models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.spec import leaves, rebuild
from properties.meta.carrier import TWIN, Carrier, fault


@fault("emission")
class ReadOutSeesTheStateBefore(Carrier):
    def head(self, params, h):
        return TWIN.head(params, h + np.roll(h, 1, 0) * np.asarray(1e-4, h.dtype))


@fault("emission")
class ReadOutNormalisedOverTime(Carrier):
    def head(self, params, h):
        return TWIN.head(params, (h / np.abs(h).max()).astype(h.dtype))


@fault("chain rule")
class SoftmaxWithoutTheFirstClass(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        p = np.exp(y - y.max(-1, keepdims=True)).astype(y.dtype)
        return loss + np.log1p(-(p / p.sum(-1, keepdims=True))[..., 0] * np.float32(0.01)).sum().astype(y.dtype), dy


@fault("chain rule", "value")
class LossInBits(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        return (loss / np.log(2)).astype(y.dtype), dy


@fault("chain rule")
class FirstStepCostsNothing(Carrier):
    def loss(self, y, targets, mask=None):
        counted = np.ones(targets.shape, bool) if mask is None else mask.copy()
        counted[0] = False
        return TWIN.loss(y, targets, counted)


@fault("chain rule")
class SoftmaxOverflows(Carrier):
    def loss(self, y, targets, mask=None):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            e = np.exp(y)
            p = e / e.sum(-1, keepdims=True)
            losses = -np.log(np.take_along_axis(p, targets[..., None], -1))
        return losses.sum().astype(y.dtype), (p - (np.arange(y.shape[-1]) == targets[..., None])).astype(y.dtype)


@fault("ensemble")
class ModelsShareTheFirstOnesBias(Carrier):
    def before(self, call):
        bias = call.params.bias_ih
        grouped = bias is not None and bias.ndim == 2
        return (
            replace(call, params=call.params._replace(bias_ih=np.repeat(bias[:1], len(bias), 0))) if grouped else call
        )


@fault("ensemble")
class SharedInputGetsOneModelsGradient(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        E = call.params.weight_hh.shape[0] if call.params.weight_hh.ndim == 3 else 1
        return result._replace(x=result.x / np.asarray(E, result.x.dtype)) if call.x.ndim == 3 else result


@fault("ensemble")
class WeightGradientsSummedOverTheGroup(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.params.weight_hh.ndim == 2:
            return result
        mixed = [a + a.sum(0, keepdims=True) - a[:1] for a in leaves(result.params)]
        return result._replace(params=rebuild(result.params, mixed))


@fault("ensemble")
class ModelsShareTheFirstOnesLengths(Carrier):
    def before(self, call):
        own = call.lengths is not None and call.lengths.ndim == 2
        return replace(call, lengths=call.lengths[0]) if own else call


@fault("ensemble")
class SomeGradientsOfAGroupAreNotGiven(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.params.weight_hh.ndim == 2:
            return result
        return result._replace(params=result.params._replace(weight_ih=None, bias_hh=None))
