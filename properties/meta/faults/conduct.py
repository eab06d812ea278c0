"""Faults of conduct: what a call changes, takes, and gives back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.meta.carrier import TWIN, Carrier, fault


@fault("purity")
class InputScaledInPlace(Carrier):
    def before(self, call):
        if call.x.flags.writeable:
            call.x[...] = call.x * 2
        return call


@fault("purity")
class CotangentAccumulatedInPlace(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        cotangent.h[-1] += 1
        return result


@fault("purity")
class LastStateIsAViewOfTheOutputs(Carrier):
    def after(self, call, output):
        return output._replace(last=output.last._replace(h=output.h[-1]))


@fault("purity")
class RemembersEarlierCalls(Carrier):
    calls = 0

    def after(self, call, output):
        self.calls += 1
        return output._replace(h=output.h + np.asarray(self.calls * 1e-6, output.h.dtype))


@fault("purity")
class GradientsAccumulateOverCalls(Carrier):
    earlier = 0.0

    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        weight = result.params.weight_ih + np.asarray(self.earlier, result.x.dtype)
        self.earlier = float(np.nan_to_num(weight).ravel()[0])
        return result._replace(params=result.params._replace(weight_ih=weight))


@fault("dtype")
class LastStateAlwaysDouble(Carrier):
    def after(self, call, output):
        return output._replace(last=tree_map(lambda a: a.astype(np.float64), output.last))


@fault("dtype")
class GradientsAlwaysDouble(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(params=tree_map(lambda a: a.astype(np.float64), result.params))


@fault("dtype", dtypes=("float64",))
class OutputsAlwaysSingle(Carrier):
    def after(self, call, output):
        return tree_map(lambda a: a.astype(np.float32), output)


@fault("shapes")
class StateBroadcastOverTheBatch(Carrier):
    def before(self, call):
        shape = (call.x.shape[-2], call.params.weight_hh.shape[-1])
        try:
            state = tree_map(lambda a: np.broadcast_to(a, shape), call.state)
        except ValueError:
            return call
        return replace(call, state=state)


@fault("shapes")
class ExtraInputsCutOff(Carrier):
    def before(self, call):
        return replace(call, x=call.x[..., : call.params.weight_ih.shape[-1]])


@fault("shapes")
class LengthsClippedInSilence(Carrier):
    def before(self, call):
        return call if call.lengths is None else replace(call, lengths=np.clip(call.lengths, 0, len(call.x)))


@fault("shapes")
class InputsConvertedInSilence(Carrier):
    def before(self, call):
        return replace(call, x=call.x.astype(call.params.weight_ih.dtype))


@fault("shapes")
class RefusesWithoutAName(Carrier):
    def forward(self, call):
        try:
            return TWIN.forward(call)
        except (ValueError, TypeError) as error:
            raise ValueError("shapes do not match") from error
