"""Faults of structure: directions, layers, layouts, dropout between layers, and what is exported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl import draw
from impl.spec import STATES, tree_map
from properties.meta.carrier import TWIN, Carrier, fault, patched


class Changed(Carrier):
    """A place for a change of a stack's call, and of its results."""

    def seen(self, call):
        return call

    def given(self, call, output):
        return output

    def returned(self, call, result):
        return result

    def stack(self, call):
        return self.given(call, TWIN.stack(self.seen(call)))

    def stack_backward(self, call, cotangent):
        return self.returned(call, TWIN.stack_backward(self.seen(call), cotangent))


# Directions


@fault("reversal")
class DirectionsShareTheirWeights(Changed):
    def seen(self, call):
        return replace(call, layers=tuple((layer[0],) * len(layer) for layer in call.layers))


@fault("reversal")
class ReverseOutputsNotTurnedBack(Changed):
    def given(self, call, output):
        H = call.layers[-1][0].weight_hh.shape[-1]
        return output._replace(h=np.concatenate([output.h[..., :H], output.h[::-1, :, H:]], -1))


@fault("reversal")
class PaddingReversedWithTheRow(Changed):
    def stack(self, call):
        output = TWIN.stack(call)
        if call.lengths is None or len(call.layers[0]) == 1:
            return output
        unpadded = TWIN.stack(replace(call, lengths=None))
        last = ((output.last[0][0], unpadded.last[0][1]), *output.last[1:])
        return output._replace(last=last)


@fault("reversal")
class DirectionsExchanged(Changed):
    def given(self, call, output):
        H = call.layers[-1][0].weight_hh.shape[-1]
        return output._replace(h=np.concatenate([output.h[..., H:], output.h[..., :H]], -1))


@fault("reversal")
class ReverseGradientsMissTheirLastStep(Changed):
    def stack_backward(self, call, cotangent):
        dh = cotangent.h.copy()
        dh[0, :, call.layers[-1][0].weight_hh.shape[-1] :] = 0
        return TWIN.stack_backward(call, cotangent._replace(h=dh))


# Layers


@fault("stack")
class LayersShareTheFirstState(Changed):
    def seen(self, call):
        return call if call.state is None else replace(call, state=(call.state[0],) * len(call.state))


@fault("stack")
class LastStatesFromTheTopDown(Changed):
    def given(self, call, output):
        return output._replace(last=output.last[::-1])


@fault("stack")
class GradientStopsBelowTheTopLayer(Changed):
    def returned(self, call, result):
        if len(call.layers) == 1:
            return result
        return result._replace(params=(*tree_map(np.zeros_like, result.params[:-1]), result.params[-1]))


@fault("stack")
class TopLayerComputedTwice(Changed):
    def seen(self, call):
        return replace(call, layers=(*call.layers[:-1], call.layers[-2])) if len(call.layers) > 2 else call


@fault("stack")
class RecurrentGradientsOfLayersAreNotGiven(Changed):
    def returned(self, call, result):
        params = tuple(tuple(side._replace(weight_hh=None, bias_hh=None) for side in layer) for layer in result.params)
        return result._replace(params=params)


@fault("stack", cells=("lstm",))
class LastCellsOfLayersAreNotGiven(Changed):
    def given(self, call, output):
        return output._replace(last=tuple(tuple(side._replace(c=None) for side in layer) for layer in output.last))


# Layout


@fault("layout")
class BatchFirstReshapedInsteadOfTransposed(Changed):
    def seen(self, call):
        if not call.batch_first:
            return call
        B, T, D = call.x.shape
        return replace(call, x=np.ascontiguousarray(call.x.reshape(T, B, D).swapaxes(0, 1)))


@fault("layout")
class BatchFirstOutputsLeftTimeFirst(Changed):
    def given(self, call, output):
        return output._replace(h=output.h.swapaxes(0, 1)) if call.batch_first else output


@fault("layout")
class BatchFirstStatesTransposedToo(Changed):
    def given(self, call, output):
        return output._replace(last=tree_map(lambda a: a.T.copy(), output.last)) if call.batch_first else output


@fault("layout")
class BatchFirstGradientReshaped(Changed):
    def returned(self, call, result):
        if not call.batch_first:
            return result
        return result._replace(x=result.x.swapaxes(0, 1).reshape(result.x.shape))


# Exchange


@fault("exchange", cells=("lstm",))
class OnnxGatesInTorchsOrder(Carrier):
    def export(self, cell, layers, layout):
        named = TWIN.export(cell, layers, layout)
        return named if layout != "onnx" else named | {"W": np.stack([p.weight_ih for p in layers[0]])}


@fault("exchange")
class OnnxBiasesOfInputAndStateExchanged(Carrier):
    def export(self, cell, layers, layout):
        named = TWIN.export(cell, layers, layout)
        return named if "B" not in named else named | {"B": np.roll(named["B"], named["B"].shape[1] // 2, 1)}


@fault("exchange")
class ReverseSuffixForgotten(Carrier):
    def export(self, cell, layers, layout):
        return {name.removesuffix("_reverse"): a for name, a in TWIN.export(cell, layers, layout).items()}


@fault("exchange")
class RecurrentWeightsImportedTransposed(Carrier):
    def restore(self, cell, exported, layout):
        name = {"torch": "weight_hh_l0", "onnx": "R"}[layout]
        H = exported[name].shape[-1]
        turned = exported[name].reshape(*exported[name].shape[:-2], -1, H, H).mT.reshape(exported[name].shape)
        return TWIN.restore(cell, exported | {name: np.ascontiguousarray(turned)}, layout)


@fault("exchange")
class AbsentBiasComesBackAsZeros(Carrier):
    def restore(self, cell, exported, layout):
        def filled(p):
            zero = np.zeros(p.weight_hh.shape[:1], p.weight_hh.dtype)
            return p._replace(**{n: zero.copy() for n in ("bias_ih", "bias_hh") if getattr(p, n) is None})

        return tuple(tuple(filled(p) for p in layer) for layer in TWIN.restore(cell, exported, layout))


@fault("exchange")
class ExportIsAView(Carrier):
    def export(self, cell, layers, layout):
        named = TWIN.export(cell, layers, layout)
        return named if layout != "torch" else named | {"weight_ih_l0": layers[0][0].weight_ih}

    def restore(self, cell, exported, layout):
        layers = TWIN.restore(cell, exported, layout)
        if layout != "torch":
            return layers
        first = layers[0][0]._replace(weight_ih=exported["weight_ih_l0"])
        return ((first, *layers[0][1:]), *layers[1:])


# Dropout


class Masked(Carrier):
    """A place for a change of the masks."""

    def masks(self, call):
        return type(TWIN).masks(TWIN, call)

    def stack(self, call):
        with patched(TWIN, masks=self.masks):
            return TWIN.stack(call)

    def stack_backward(self, call, cotangent):
        with patched(TWIN, masks=self.masks):
            return TWIN.stack_backward(call, cotangent)


@fault("dropout")
class SameMaskAtEveryStep(Masked):
    def masks(self, call):
        return tuple(np.repeat(mask[:1], len(mask), 0) for mask in super().masks(call))


@fault("dropout")
class SameMaskInEveryLayer(Masked):
    def masks(self, call):
        masks = super().masks(call)
        return (masks[0],) * len(masks)


@fault("dropout")
class SameMaskInEveryRow(Masked):
    def masks(self, call):
        return tuple(np.repeat(mask[:, :1], mask.shape[1], 1) for mask in super().masks(call))


@fault("dropout")
class TwoNeighbouringUnitsShareTheirMask(Masked):
    def masks(self, call):
        return tuple(np.repeat(mask[..., ::2], 2, -1)[..., : mask.shape[-1]] for mask in super().masks(call))


@fault("dropout")
class SeedIsIgnored(Masked):
    def masks(self, call):
        return super().masks(replace(call, seed=0))


@fault("dropout")
class KeptUnitsAreNotScaled(Masked):
    def masks(self, call):
        return tuple((mask > 0).astype(mask.dtype) for mask in super().masks(call))


@fault("dropout")
class RateIsThatOfKeeping(Masked):
    def masks(self, call):
        return super().masks(replace(call, dropout=1 - call.dropout))


@fault("dropout")
class BackwardDrawsAnotherMask(Masked):
    def stack_backward(self, call, cotangent):
        return super().stack_backward(replace(call, seed=call.seed + 1), cotangent)


@fault("dropout")
class DropoutInEvaluationToo(Masked):
    def stack(self, call):
        return super().stack(replace(call, train=bool(call.dropout)))


@fault("dropout")
class TopLayerDroppedToo(Carrier):
    def stack(self, call):
        output = TWIN.stack(call)
        if not (call.train and call.dropout):
            return output
        (mask,) = draw.dropout(draw.generator("top", call.seed), call.dropout, 2, *output.h.shape)
        return output._replace(h=output.h * mask.astype(output.h.dtype))


# Initial states


@fault("omitted state")
class OmittedStateIsSmallNotZero(Carrier):
    def before(self, call):
        if call.state is not None:
            return call
        shape = (call.x.shape[-2], call.params.weight_hh.shape[-1])
        kind = STATES[call.cell]
        return replace(call, state=kind(*[np.full(shape, 1e-3, call.x.dtype)] * len(kind._fields)))


@fault("omitted state", "no memory")
class OmittedStateIsTheLastOne(Carrier):
    kept = None

    def forward(self, call):
        fits = self.kept is not None and self.kept[0].shape == (call.x.shape[1], call.params.weight_hh.shape[-1])
        fits = fits and type(self.kept).__name__.lower().startswith(call.cell)
        output = TWIN.forward(replace(call, state=self.kept) if call.state is None and fits else call)
        self.kept = output.last
        return output


@fault("omitted state")
class GradientsWithoutAStateAreThoseOfTwoSequences(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result if call.state is not None else result._replace(x=result.x * np.asarray(2, result.x.dtype))


@fault("omitted state")
class OmittedStateOfTheReverseIsTheLastOfTheForward(Changed):
    def seen(self, call):
        if call.state is not None or len(call.layers[0]) == 1:
            return call
        zero = np.zeros((call.x.shape[1], call.layers[0][0].weight_hh.shape[-1]), call.x.dtype)
        start = STATES[call.cell](*[zero] * len(STATES[call.cell]._fields))
        return replace(call, state=tuple((start, last[0]) for last in TWIN.stack(call).last))


@fault("omitted state")
class GradientsOfAStackWithoutStatesMissTheFirstStep(Changed):
    def stack_backward(self, call, cotangent):
        if call.state is None:
            cotangent = cotangent._replace(h=np.concatenate([0 * cotangent.h[:1], cotangent.h[1:]]))
        return TWIN.stack_backward(call, cotangent)
