"""Faults of rows and their lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import scan
from impl.spec import tree_map
from properties.meta.carrier import TWIN, Carrier, fault, patched


@fault("rows")
class RowsCoupledByTheirMean(Carrier):
    def before(self, call):
        return replace(call, x=(call.x - call.x.mean(-2, keepdims=True)).astype(call.x.dtype))


@fault("rows")
class StatesOfRowsRotated(Carrier):
    def before(self, call):
        return replace(call, state=tree_map(lambda a: np.roll(a, 1, -2), call.state))


@fault("rows")
class GradientScaledByTheBatchNorm(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(x=result.x / np.maximum(np.asarray(1, result.x.dtype), np.abs(result.x).max()))


@fault("lengths")
class LengthsIgnored(Carrier):
    def before(self, call):
        return replace(call, lengths=None)


@fault("lengths", cells=("lstm",))
class LastCellOfPaddedRowsIsNotGiven(Carrier):
    def after(self, call, output):
        return output if call.lengths is None else output._replace(last=output.last._replace(c=None))


@fault("lengths")
class PaddingMultipliedAway(Carrier):
    def before(self, call):
        if call.lengths is None:
            return call
        running = (np.arange(len(call.x))[:, None] < call.lengths)[..., None]
        return replace(call, x=call.x * running.astype(call.x.dtype))

    def forward(self, call):
        with patched(scan, where=lambda rows, a, b: a * rows + b * ~rows):
            return TWIN.forward(self.before(call))

    def backward(self, call, cotangent):
        with patched(scan, where=lambda rows, a, b: a * rows + b * ~rows):
            return TWIN.backward(call, cotangent)


@fault("lengths")
class LengthsOffByOne(Carrier):
    def before(self, call):
        return call if call.lengths is None else replace(call, lengths=np.minimum(call.lengths + 1, len(call.x)))


@fault("lengths")
class LengthsSortedWithoutTheRows(Carrier):
    def before(self, call):
        return call if call.lengths is None else replace(call, lengths=-np.sort(-call.lengths))


@fault("lengths")
class LastStateOfPaddedRowsIsZero(Carrier):
    def after(self, call, output):
        return output if call.lengths is None else output._replace(last=output.last._replace(h=output.h[-1].copy()))


@fault("lengths")
class OutputsRepeatedOverThePadding(Carrier):
    def after(self, call, output):
        if call.lengths is None:
            return output
        running = (np.arange(len(call.x))[:, None] < call.lengths)[..., None]
        return output._replace(h=np.where(running, output.h, output.last.h))


@fault("lengths")
class CotangentsOfThePaddingAreCounted(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.lengths is None:
            return result
        padding = (np.arange(len(call.x))[:, None] >= call.lengths)[..., None]
        extra = (cotangent.h * padding).sum().astype(result.x.dtype)
        return result._replace(params=result.params._replace(weight_hh=result.params.weight_hh + extra))
