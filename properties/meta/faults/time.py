"""Faults of time: what is carried from call to call, and which inputs a step sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.meta.carrier import TWIN, Carrier, fault


@fault("split")
class StateResetAtEveryCall(Carrier):
    def before(self, call):
        return replace(call, state=None)


@fault("split")
class LastStateIsTheOneBefore(Carrier):
    def after(self, call, output):
        h = output.h[-2] if len(output.h) > 1 else call.state.h
        return output._replace(last=output.last._replace(h=h.copy()))


@fault("split", "vjp")
class GradientOfTheLastStateDropped(Carrier):
    def backward(self, call, cotangent):
        return TWIN.backward(call, cotangent._replace(last=tree_map(np.zeros_like, cotangent.last)))


@fault("split")
class InputsWeightedByTheirPlaceInTheCall(Carrier):
    def before(self, call):
        place = np.arange(len(call.x)).reshape(-1, *[1] * (call.x.ndim - 1))
        return replace(call, x=(call.x * (1 + place / 1000)).astype(call.x.dtype))


@fault("causality")
class SecondDirectionMixedIn(Carrier):
    def after(self, call, output):
        other = TWIN.forward(replace(call, x=call.x[::-1], lengths=None)).h[::-1]
        return output._replace(h=(output.h + other / 1000).astype(output.h.dtype))


@fault("causality")
class NextInputSeenEarly(Carrier):
    def before(self, call):
        ahead = np.concatenate([call.x[1:], call.x[-1:]])
        return replace(call, x=call.x + ahead * np.asarray(1e-3, call.x.dtype))


@fault("causality")
class InputsNormalisedOverTime(Carrier):
    def before(self, call):
        return replace(call, x=(call.x - call.x.mean(0)).astype(call.x.dtype))


@fault("causality")
class LaterInputsGetASmallGradient(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(x=result.x + np.asarray(1e-30, result.x.dtype) * result.x.max(initial=1))
