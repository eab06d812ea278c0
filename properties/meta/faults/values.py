"""Faults of value: gates, biases, precision, the read-out and the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import lstm
from impl.spec import Parameters, block, tree_map
from properties.cases import mapped
from properties.meta.carrier import TWIN, Carrier, fault, patched
from properties.subject import Call


def permuted(params: Parameters, order: str) -> Parameters:
    """An LSTM's parameters with their gate blocks in another order."""
    H = params.weight_hh.shape[-1]
    rows = np.concatenate([np.r_[block("lstm", gate, H)] for gate in order])
    return Parameters(
        *(None if a is None else np.take(a, rows, -1 if a.ndim == params.weight_hh.ndim - 1 else -2) for a in params)
    )


@fault("value", cells=("lstm",))
class GatesInTheOrderIfog(Carrier):
    def before(self, call):
        return replace(call, params=permuted(call.params, "ifog"))


@fault("value", cells=("lstm",))
class ForgetAndInputGateExchanged(Carrier):
    def before(self, call):
        return replace(call, params=permuted(call.params, "figo"))


@fault("value", "split", cells=("lstm",))
class InitialCellIgnored(Carrier):
    def before(self, call):
        return replace(call, state=call.state._replace(c=np.zeros_like(call.state.c)))


@fault("value")
class RecurrenceTransposed(Carrier):
    def before(self, call):
        params, H = call.params, call.params.weight_hh.shape[-1]
        turned = params.weight_hh.reshape(*params.weight_hh.shape[:-2], -1, H, H).mT.reshape(params.weight_hh.shape)
        return replace(call, params=params._replace(weight_hh=np.ascontiguousarray(turned)))


@fault("value", "vjp", dtypes=("float64",))
class SinglePrecisionInside(Carrier):
    def forward(self, call):
        return tree_map(lambda a: a.astype(np.float64), TWIN.forward(narrow(call)))

    def backward(self, call, cotangent):
        thin = tree_map(lambda a: a.astype(np.float32), cotangent)
        return tree_map(lambda a: a.astype(np.float64), TWIN.backward(narrow(call), thin))


def narrow(call: Call) -> Call:
    """The call in float32."""
    return mapped(call, lambda a: a.astype(np.float32))


@fault("value", cells=("lstm",), dtypes=("float32", "float64"))
class GateOffByFortyRoundings(Carrier):
    def forward(self, call):
        eps = np.finfo(call.x.dtype).eps
        with patched(lstm, sigma=lambda a, sigma=lstm.sigma: sigma(a) * np.asarray(1 + 40 * eps, a.dtype)):
            return TWIN.forward(call)


@fault("value", cells=("lstm",))
class ForgetBiasOfOneInSecret(Carrier):
    def before(self, call):
        bias, H = call.params.bias_ih, call.params.weight_hh.shape[-1]
        if bias is None:
            return call
        raised = bias.copy()
        raised[..., block("lstm", "f", H)] += 1
        return replace(call, params=call.params._replace(bias_ih=raised))


@fault("value", cells=("lstm",))
class HardSigmoid(Carrier):
    def forward(self, call):
        with patched(lstm, sigma=lambda a: np.clip(a / 6 + np.asarray(0.5, a.dtype), 0, 1).astype(a.dtype)):
            return TWIN.forward(call)


@fault("value", cells=("lstm",))
class CellClippedAtTwo(Carrier):
    def after(self, call, output):
        return output._replace(last=output.last._replace(c=np.clip(output.last.c, -2, 2)))


@fault("value")
class BiasAddedTwice(Carrier):
    def before(self, call):
        bias = call.params.bias_ih
        return call if bias is None else replace(call, params=call.params._replace(bias_ih=bias * 2))


@fault("value", cells=("lstm",))
class LastStatesExchanged(Carrier):
    def after(self, call, output):
        return output._replace(last=type(output.last)(output.last.c, output.last.h))


@fault("value")
class ReadOutOfTheStepBefore(Carrier):
    def head(self, params, h):
        return TWIN.head(params, np.roll(h, 1, 0))


@fault("value")
class LossIsAMean(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        n = np.asarray(targets.size if mask is None else max(mask.sum(), 2), y.dtype)
        return np.asarray(loss / n), dy / n


@fault("value")
class MaskIsIgnoredInTheGradient(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        return loss, dy if mask is None else np.where(mask[..., None], dy, 1 / np.float32(7)).astype(y.dtype)


@fault("bias")
class HiddenBiasDropped(Carrier):
    def before(self, call):
        return replace(call, params=call.params._replace(bias_hh=None))


@fault("bias")
class HiddenBiasGetsHalfTheGradient(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        half = None if result.params.bias_hh is None else result.params.bias_hh / 2
        return result._replace(params=result.params._replace(bias_hh=half))


@fault("bias")
class AbsentBiasIsOne(Carrier):
    def before(self, call):
        ones = np.ones(call.params.weight_ih.shape[:-1], call.x.dtype)
        return call if call.params.bias_ih is not None else replace(call, params=call.params._replace(bias_ih=ones))
