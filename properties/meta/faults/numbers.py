"""Faults of numbers: saturation, symmetry, precision, and how arrays lie in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import lstm, rnn
from impl.spec import tree_map
from properties.cases import cotangent_of, mapped, rows_of
from properties.meta.carrier import TWIN, Carrier, fault, patched, recomputed
from properties.meta.faults.values import narrow


class Computed(Carrier):
    """The twin with some functions of its cells replaced, forward and backward."""

    def forward(self, call):
        with patched(lstm, **self.functions(lstm)), patched(rnn, **self.functions(rnn)):
            return TWIN.forward(call)

    def backward(self, call, cotangent):
        with patched(lstm, **self.functions(lstm)), patched(rnn, **self.functions(rnn)):
            return TWIN.backward(call, cotangent)

    def functions(self, module):
        """The replaced functions that a module has."""
        return {name: function for name, function in self.replaced().items() if hasattr(module, name)}

    def replaced(self):
        """Functions by name."""
        return {}


SIGMA = lstm.sigma


@fault("gates", cells=("lstm",))
class SigmaStopsShortOfItsLimits(Computed):
    def replaced(self):
        return {"sigma": lambda a: np.clip(SIGMA(a), np.asarray(1e-7, a.dtype), np.asarray(1 - 1e-6, a.dtype))}


@fault("gates", cells=("lstm",))
class ShutGatesLeak(Computed):
    def replaced(self):
        return {"sigma": lambda a: np.maximum(SIGMA(a), np.asarray(1e-30, a.dtype))}


@fault("gates", cells=("lstm",))
class ForgetGateLeaksBackwards(Carrier):
    def backward(self, call, cotangent):
        def leaky(weights, cache, dstate):
            return lstm.step_backward(weights, cache._replace(f=cache.f * np.asarray(1 - 1e-6, cache.f.dtype)), dstate)

        with recomputed("lstm", step_backward=leaky):
            return TWIN.backward(call, cotangent)


@fault("gates", cells=("lstm",))
class ShutForgetGateLeaksBackwards(Carrier):
    def backward(self, call, cotangent):
        def leaky(weights, cache, dstate):
            return lstm.step_backward(weights, cache._replace(f=np.maximum(cache.f, 1e-30)), dstate)

        with recomputed("lstm", step_backward=leaky):
            return TWIN.backward(call, cotangent)


@fault("symmetry")
class FirstUnitIsPreferred(Carrier):
    def after(self, call, output):
        h = output.h.copy()
        h[..., 0] *= np.asarray(1.001, h.dtype)
        return output._replace(h=h)


@fault("symmetry")
class TanhIsNotOdd(Computed):
    def replaced(self):
        return {"tanh": lambda a: np.tanh(a + np.asarray(1e-6, a.dtype))}


@fault("symmetry")
class GradientOfTheFirstUnitTwice(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        h = result.state.h.copy()
        h[..., 0] *= 2
        return result._replace(state=result.state._replace(h=h))


@fault("range")
class TanhOvershoots(Computed):
    def replaced(self):
        return {"tanh": lambda a: np.tanh(a) * np.asarray(1 + 4 * np.finfo(a.dtype).eps, a.dtype)}


@fault("range", cells=("lstm",))
class CellGrowsByMoreThanOne(Carrier):
    def after(self, call, output):
        c = output.last.c * np.asarray(1.001 if len(call.x) else 1, output.last.c.dtype)
        return output._replace(last=output.last._replace(c=c))


@fault("saturation", cells=("lstm",))
class SigmaByAnExponentialThatOverflows(Computed):
    def replaced(self):
        return {"sigma": lambda a: 1 / (1 + np.exp(-a))}


@fault("saturation")
class TanhByExponentials(Computed):
    def replaced(self):
        def quotient(a):
            with np.errstate(over="ignore", invalid="ignore"):
                e = np.exp(2 * a)
                return (e - 1) / (e + 1)

        return {"tanh": quotient}


@fault("saturation")
class NoGradientByLargeInputs(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        far = np.abs(call.x).max() > 1e3
        return result._replace(x=0 * result.x, state=tree_map(np.zeros_like, result.state)) if far else result


@fault("saturation")
class PreActivationsClippedAtEight(Computed):
    def replaced(self):
        return {"tanh": lambda a: np.tanh(np.clip(a, -8, 8)), "sigma": lambda a: SIGMA(np.clip(a, -8, 8))}


class CellOf(Carrier):
    """The twin with another cell c', or another tanh of it, in every step."""

    def forward(self, call):
        def step(weights, x, state):
            after, cache = lstm.step(weights, x, state)
            c, tanh_c = self.cell(after.c)
            return type(state)(cache.o * tanh_c, c), cache._replace(tanh_c=tanh_c)

        with recomputed("lstm", step=step):
            return TWIN.forward(call)

    def cell(self, c):
        """What is kept, and its tanh."""
        return c, np.tanh(c)


@fault("saturation", cells=("lstm",))
class CellClippedAtFifty(CellOf):
    def cell(self, c):
        return np.clip(c, -50, 50), np.tanh(c)


@fault("saturation", cells=("lstm",))
class TanhOfALargeCellByExponentials(CellOf):
    def cell(self, c):
        with np.errstate(over="ignore", invalid="ignore"):
            up, down = np.exp(c), np.exp(-c)
            return c, np.where(abs(c) < 20, np.tanh(c), (up - down) / (up + down)).astype(c.dtype)


@fault("exact", cells=("rnn_relu",))
class ElevenBitsInProducts(Carrier):
    def before(self, call):
        def short(a):
            m, e = np.frexp(a)
            return np.ldexp(np.round(m * 2**11) / 2**11, e).astype(a.dtype)

        return replace(call, x=short(call.x))


@fault("exact", cells=("rnn_relu",), dtypes=("float64",))
class SinglePrecisionInsideTheReluCell(Carrier):
    def before(self, call):
        return mapped(narrow(call), lambda a: a.astype(np.float64))


@fault("exact", "vjp", cells=("rnn_relu",))
class ReluPassesATenthOfWhatIsNegative(Carrier):
    def backward(self, call, cotangent):
        def leaky(weights, cache, dstate):
            (dh,) = dstate
            da = np.where(cache.h_next > 0, dh, dh / 10)
            return da @ weights.W_ih, type(dstate)(da @ weights.W_hh), da

        with recomputed("rnn_relu", step_backward=leaky):
            return TWIN.backward(call, cotangent)


@fault("exact", cells=("rnn_relu",))
class WeightGradientSummedInHalfPrecision(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        a = result.params.weight_ih
        m, e = np.frexp(a)
        return result._replace(params=result.params._replace(weight_ih=np.ldexp(np.round(m * 2048) / 2048, e)))


@fault("value", cells=("rnn_relu",))
class ReluCutAtSix(Carrier):
    def after(self, call, output):
        return tree_map(lambda a: np.minimum(a, np.asarray(6, a.dtype)), output)


@fault("strides")
class ArraysReadInMemoryOrder(Carrier):
    def before(self, call):
        return replace(call, x=call.x.ravel("K").reshape(call.x.shape))


@fault("strides")
class StridedInputsAreUsedAsWorkspace(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if not call.x.flags.c_contiguous and call.x.flags.writeable:
            call.x[...] = result.x
        return result


@fault("strides")
class WeightsReadInMemoryOrder(Carrier):
    def before(self, call):
        W = call.params.weight_hh
        return replace(call, params=call.params._replace(weight_hh=W.ravel("K").reshape(W.shape)))


@fault("strides")
class WeightsOfAGroupReadInMemoryOrder(Carrier):
    def before(self, call):
        W = call.params.weight_ih
        read = W.ravel("K").reshape(W.shape) if W.ndim == 3 else W
        return replace(call, params=call.params._replace(weight_ih=read))


@fault("strides")
class GradientOfAnExpandedInputIsSummed(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        axes = tuple(n for n, stride in enumerate(call.x.strides) if stride == 0 and call.x.shape[n] > 1)
        return result._replace(x=np.broadcast_to(result.x.sum(axes, keepdims=True), result.x.shape)) if axes else result


@fault("poison")
class OutputsAddedToUnwrittenMemory(Carrier):
    def forward(self, call):
        workspace = np.empty((*call.x.shape[:-1], call.params.weight_hh.shape[-1]), call.x.dtype)
        output = TWIN.forward(call)
        with np.errstate(invalid="ignore", over="ignore"):
            return output._replace(h=output.h + 0 * workspace)


@fault("poison")
class RowsBeyondTheLargestGridAreLeftOut(Carrier):
    def after(self, call, output):
        h = output.h.copy()
        h[:, 65535 // max(len(h), 1) :] = 0
        return output._replace(h=h)


@fault("poison")
class WeightGradientOfTheFirst65536StepsTimesRows(Carrier):
    def backward(self, call, cotangent):
        result, rows = TWIN.backward(call, cotangent), slice(65536 // max(len(call.x), 1))
        if call.lengths is not None or call.x.shape[1] <= rows.stop:
            return result
        return result._replace(params=TWIN.backward(rows_of(call, rows), cotangent_of(cotangent, rows)).params)


@fault("poison")
class GradientOfTheInputAddedToUnwrittenMemory(Carrier):
    def backward(self, call, cotangent):
        workspace = np.empty(call.x.shape, call.x.dtype)
        result = TWIN.backward(call, cotangent)
        with np.errstate(invalid="ignore", over="ignore"):
            return result._replace(x=result.x + 0 * workspace)
