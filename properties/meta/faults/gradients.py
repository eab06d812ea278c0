"""Faults of the backward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import lstm, rnn
from impl.spec import tree_map
from properties.meta.carrier import TWIN, Carrier, fault, patched, recomputed
from properties.subject import Cotangent


@fault("vjp")
class RecurrentGradientMissesTheFirstStep(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        early = TWIN.backward(
            replace(call, x=call.x[:1]), Cotangent(cotangent.h[:1] * 0, tree_map(lambda s: s[0], result.states))
        )
        return result._replace(
            params=result.params._replace(weight_hh=result.params.weight_hh - early.params.weight_hh)
        )


@fault("vjp")
class TruncatedAfterTwoSteps(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(state=tree_map(np.zeros_like, result.state))


@fault("vjp", cells=("lstm",))
class SlopeOfTanhAtThePreActivation(Carrier):
    def backward(self, call, cotangent):
        def wrong(i, f, g, o, di, df, dg, do):
            return lstm_gates_backward(i, f, g * g, o, di, df, dg, do)

        with patched(lstm, gates_backward=wrong):
            return TWIN.backward(call, cotangent)


lstm_gates_backward = lstm.gates_backward


@fault("vjp", cells=("lstm",))
class OutputGateLeftOutOfTheCellsGradient(Carrier):
    def backward(self, call, cotangent):
        def wrong(weights, cache, dstate):
            return lstm.step_backward(weights, cache._replace(o=cache.o * np.float32(1.001)), dstate)

        with recomputed("lstm", step_backward=wrong):
            return TWIN.backward(call, cotangent)


@fault("vjp")
class StatesGradientIsThatOfTheStepBefore(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(states=tree_map(lambda s: np.roll(s, 1, 0), result.states))


@fault("vjp", "split", cells=("lstm",))
class CotangentOfTheLastCellIgnored(Carrier):
    def backward(self, call, cotangent):
        last = cotangent.last
        return TWIN.backward(call, cotangent._replace(last=last._replace(c=np.zeros_like(last.c))))


@fault("spectrum", "vjp", cells=("rnn",))
class SlopeOfTanhAtTheStateBefore(Carrier):
    def backward(self, call, cotangent):
        def wrong(weights, cache, dstate):
            return rnn.step_backward(weights, cache._replace(h_next=cache.h), dstate)

        with recomputed("rnn", step_backward=wrong):
            return TWIN.backward(call, cotangent)


@fault("spectrum", "vjp", cells=("lstm",))
class ForgetGateAHundredthTooWideBackwards(Carrier):
    def backward(self, call, cotangent):
        def wrong(weights, cache, dstate):
            dx, before, da = lstm.step_backward(weights, cache, dstate)
            return dx, before._replace(c=before.c * np.float32(1.01)), da

        with recomputed("lstm", step_backward=wrong):
            return TWIN.backward(call, cotangent)


@fault("spectrum", "vjp", cells=("lstm",))
class GradientCutBetweenCells(Carrier):
    def backward(self, call, cotangent):
        def wrong(weights, cache, dstate):
            dx, before, da = lstm.step_backward(weights, cache, dstate)
            return dx, before._replace(c=before.c * 0), da

        with recomputed("lstm", step_backward=wrong):
            return TWIN.backward(call, cotangent)


@fault("vjp")
class GradientAveragedOverTheBatch(Carrier):
    def backward(self, call, cotangent):
        result, B = TWIN.backward(call, cotangent), call.x.shape[-2]
        return result._replace(params=tree_map(lambda a: (a / B).astype(a.dtype), result.params))


@fault("vjp")
class GradientClippedAtOne(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(params=tree_map(lambda a: np.clip(a, -1, 1), result.params))


@fault("vjp")
class GradientOfTheInitialStateMissesTheFirstStep(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(state=tree_map(lambda a: a[0].copy(), result.states))


@fault("vjp")
class StatesGradientIsNotGiven(Carrier):
    def backward(self, call, cotangent):
        return TWIN.backward(call, cotangent)._replace(states=None)


@fault("vjp")
class BiasGradientIsNotGiven(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(params=result.params._replace(bias_hh=None))


@fault("vjp")
class ReadOutGradientOfTheLastStepAlone(Carrier):
    def head_backward(self, params, h, dy):
        dh, _ = TWIN.head_backward(params, h, dy)
        return dh, TWIN.head_backward(params, h[-1:], dy[-1:])[1]
