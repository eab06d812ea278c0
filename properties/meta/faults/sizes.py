"""Faults of some sizes alone: of what lies beyond the first eight or thirty-two, and of sizes that are equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import cotangent_of, rows_of
from properties.meta.carrier import TWIN, Carrier, fault
from properties.subject import Cotangent


@fault("sizes", cells=("rnn", "lstm", "rnn_relu"))
class RecurrentGradientCutEveryEighthStep(Carrier):
    def backward(self, call, cotangent):
        if call.lengths is not None or len(call.x) <= 8:
            return TWIN.backward(call, cotangent)
        now, after = slice(8), slice(8, None)
        rest = replace(call, x=call.x[after], state=TWIN.forward(replace(call, x=call.x[now])).last)
        cut = Cotangent(cotangent.h[now], tree_map(np.zeros_like, cotangent.last))
        first = TWIN.backward(replace(call, x=call.x[now]), cut)
        others = self.backward(rest, cotangent._replace(h=cotangent.h[after]))
        x, states = (tree_map(lambda *a: np.concatenate(a), first[n], others[n]) for n in (0, 3))
        return first._replace(x=x, params=tree_map(lambda a, b: a + b, first.params, others.params), states=states)


@fault("sizes")
class UnitsBeyondTheEighthLoseATenth(Carrier):
    def after(self, call, output):
        far = np.where(np.arange(output.h.shape[-1]) < 8, 1, 0.9).astype(output.h.dtype)
        return tree_map(lambda a: a * far, output)


@fault("sizes")
class InputsBeyondTheEighthAreLeftOut(Carrier):
    def before(self, call):
        return replace(call, x=np.where(np.arange(call.x.shape[-1]) < 8, call.x, np.zeros_like(call.x)))

    def backward(self, call, cotangent):
        return TWIN.backward(self.before(call), cotangent)


@fault("sizes")
class BiasGradientOfTheFirst32RowsAlone(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.x.ndim > 3 or call.x.shape[1] <= 32:
            return result
        few = TWIN.backward(rows_of(call, slice(32)), cotangent_of(cotangent, slice(32))).params
        return result._replace(params=result.params._replace(bias_ih=few.bias_ih, bias_hh=few.bias_hh))


@fault("sizes")
class InputAndRecurrentWeightsExchangedWhereDEqualsH(Carrier):
    def before(self, call):
        W, R = call.params.weight_ih, call.params.weight_hh
        return replace(call, params=call.params._replace(weight_ih=R, weight_hh=W)) if W.shape == R.shape else call


@fault("sizes")
class StepsAndRowsExchangedWhereTEqualsB(Carrier):
    def before(self, call):
        T, B = call.x.shape[0], call.x.shape[-2]
        return replace(call, x=call.x.swapaxes(0, -2)) if T == B else call


@fault("sizes")
class GradientOfTheStateTransposedWhereBEqualsH(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        square = len(set(result.state.h.shape[-2:])) == 1
        return result._replace(state=tree_map(lambda a: a.mT.copy(), result.state)) if square else result
