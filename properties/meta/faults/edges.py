"""Faults at the edges: no steps, no rows, axes of one; of gates, steps and modes taken apart; of biases; of relu."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import rnn_relu, scan
from impl.numpy_twin.head import likeliest
from impl.spec import GATES, tree_map
from properties.meta.carrier import TWIN, Carrier, fault, recomputed
from properties.subject import Output


@fault("empty time")
class EmptySequenceGivesAStateOfZeros(Carrier):
    def after(self, call, output):
        return output if len(call.x) else output._replace(last=tree_map(np.zeros_like, output.last))


@fault("empty time")
class FirstStepAlwaysRuns(Carrier):
    def before(self, call):
        return call if call.lengths is None else replace(call, lengths=np.maximum(call.lengths, 1))

    def backward(self, call, cotangent):
        return TWIN.backward(self.before(call), cotangent)


@fault("empty time")
class EmptySequenceLosesTheCotangent(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result if len(call.x) else result._replace(state=tree_map(np.zeros_like, result.state))


@fault("empty time")
class EmptySequenceHandsBackTheCallersOwnState(Carrier):
    def after(self, call, output):
        return output if len(call.x) else output._replace(last=call.state)


@fault("empty time")
class EmptySequenceHandsBackTheCallersOwnCotangent(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result if len(call.x) else result._replace(state=cotangent.last)


@fault("empty batch")
class EmptyBatchLosesItsFeatures(Carrier):
    def after(self, call, output):
        return output if call.x.shape[1] else output._replace(h=output.h[..., :0])


@fault("empty batch")
class EmptyBatchDividesByItsRows(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        with np.errstate(invalid="ignore", divide="ignore"):
            none = np.asarray(0.0, call.x.dtype) / call.x.shape[1]
        return result if call.x.shape[1] else result._replace(params=tree_map(lambda a: a + none, result.params))


@fault("empty batch")
class ReadOutOfNoRowsForgetsItsOutputs(Carrier):
    def head(self, params, h):
        return TWIN.head(params, h) if h.shape[1] else h


@fault("unit axes")
class BatchOfOneIsSqueezed(Carrier):
    def after(self, call, output):
        return output._replace(h=output.h[:, 0]) if call.x.shape[1] == 1 else output


@fault("unit axes")
class OneStepIsTakenForNone(Carrier):
    def after(self, call, output):
        return output._replace(last=tree_map(np.copy, call.state)) if len(call.x) == 1 else output


@fault("unit axes")
class OneInputIsTakenForABias(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.x.shape[-1] != 1:
            return result
        W = result.params.weight_ih
        return result._replace(params=result.params._replace(weight_ih=W / np.asarray(call.x.mean() or 1, W.dtype)))


@fault("unit axes")
class OneUnitHasNoRecurrentGradient(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        one = call.params.weight_hh.shape[-1] == 1
        return result._replace(params=result.params._replace(weight_hh=result.params.weight_hh * (not one)))


def rows_reordered(params, order):
    """Parameters with the stacked rows in another order."""
    return type(params)(*(None if a is None else np.ascontiguousarray(a[order]) for a in params))


@fault("stacked", cells=("lstm",))
class GateRowsInterleaved(Carrier):
    def before(self, call):
        n = len(call.params.weight_hh)
        return replace(call, params=rows_reordered(call.params, np.arange(n).reshape(4, -1).T.ravel()))


@fault("stacked", cells=("lstm",))
class GateRowsOffByOne(Carrier):
    def before(self, call):
        return replace(call, params=rows_reordered(call.params, np.roll(np.arange(len(call.params.weight_hh)), 1)))


@fault("stacked", cells=("lstm",))
class OutputGateReadsTheCandidatesBias(Carrier):
    def before(self, call):
        bias, H = call.params.bias_ih, call.params.weight_hh.shape[-1]
        if bias is None:
            return call
        mixed = np.concatenate([bias[: 3 * H], bias[2 * H : 3 * H]])
        return replace(call, params=call.params._replace(bias_ih=mixed))


def of_the_last_step(call, cotangent):
    """The parameters' gradient by the last step alone."""
    before = TWIN.forward(replace(call, x=call.x[:-1])).last
    return TWIN.backward(replace(call, x=call.x[-1:], state=before), cotangent._replace(h=cotangent.h[-1:])).params


@fault("untied sum")
class LastStepsGradientCountsTwice(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if len(call.x) == 1:
            return result
        last = of_the_last_step(call, cotangent)
        return result._replace(params=tree_map(lambda a, b: a + b, result.params, last))


@fault("untied sum")
class GradientOfTheLastStepsWeightsAlone(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result if len(call.x) == 1 else result._replace(params=of_the_last_step(call, cotangent))


@fault("modes")
class InputWeightsActWithoutInput(Carrier):
    def after(self, call, output):
        return output._replace(h=output.h + call.params.weight_ih.mean() * np.asarray(1e-3, output.h.dtype))


@fault("modes")
class ManyToOneReadsTheMeanState(Carrier):
    def after(self, call, output):
        return output._replace(last=output.last._replace(h=output.h.mean(0).astype(output.h.dtype)))


@fault("modes")
class DecoderRemembersTheSource(Carrier):
    last = 0.0

    def forward(self, call):
        output = TWIN.forward(call)
        h = output.h + np.asarray(self.last, output.h.dtype)
        self.last = float(call.x.sum()) * 1e-3
        return output._replace(h=h)


@fault("modes")
class CotangentOfTheLastOutputDropped(Carrier):
    def backward(self, call, cotangent):
        dh = cotangent.h.copy()
        dh[-1:] = 0
        return TWIN.backward(call, cotangent._replace(h=dh))


def fed_back(call, steps, following):
    """What a loop with another choice of the next input gives."""
    fed = scan.feed_back(call.cell, call.params, call.x[0], steps, following, call.state)
    return fed.x, Output(fed.states.h, fed.last)


@fault("modes")
class DecoderHearsAllOutputsInsteadOfOne(Carrier):
    def feed_back(self, call, head, embedding, steps):
        return fed_back(call, steps, lambda h: TWIN.head(head, h[None])[0] @ embedding)


@fault("modes")
class DecoderHearsTheClassBeforeTheLikeliest(Carrier):
    def feed_back(self, call, head, embedding, steps):
        return fed_back(call, steps, lambda h: np.roll(likeliest(head, h), -1, -1) @ embedding)


@fault("modes")
class DecoderHearsWhatItSaidAStepBefore(Carrier):
    def feed_back(self, call, head, embedding, steps):
        said = [call.x[0]]

        def following(h):
            said.append(likeliest(head, h) @ embedding)
            return said[-2]

        return fed_back(call, steps, following)


@fault("modes")
class DecoderStartsFromZeros(Carrier):
    def feed_back(self, call, head, embedding, steps):
        return TWIN.feed_back(replace(call, state=None), head, embedding, steps)


@fault("modes")
class DecoderStartsFromWhereItStopped(Carrier):
    stopped = None

    def feed_back(self, call, head, embedding, steps):
        fits = self.stopped is not None and self.stopped.h.shape == call.state.h.shape
        fits = fits and self.stopped.h.dtype == call.state.h.dtype and type(self.stopped) is type(call.state)
        fed, output = TWIN.feed_back(replace(call, state=self.stopped) if fits else call, head, embedding, steps)
        self.stopped = output.last
        return fed, output


@fault("modes")
class DecoderRunsTwiceOnItsFirstInput(Carrier):
    def feed_back(self, call, head, embedding, steps):
        begun = TWIN.forward(replace(call, x=call.x[:1])).last
        return TWIN.feed_back(replace(call, state=begun), head, embedding, steps)


@fault("modes")
class DecodersLastStateIsTheOneBefore(Carrier):
    def feed_back(self, call, head, embedding, steps):
        fed, output = TWIN.feed_back(call, head, embedding, steps)
        early = TWIN.feed_back(call, head, embedding, steps - 1)[1].last if steps > 1 else call.state
        return fed, output._replace(last=early)


@fault("value")
class AbsentReadOutBiasIsOne(Carrier):
    def head(self, params, h):
        bias = np.ones(params.weight_hy.shape[:-1], h.dtype) if params.bias_hy is None else params.bias_hy
        return TWIN.head(params._replace(bias_hy=bias), h)


@fault("rows")
class GradientOfARowInAPairIsShared(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        mixed = result.x + result.x.mean(-2, keepdims=True).astype(result.x.dtype) * np.asarray(1e-3, result.x.dtype)
        return result._replace(x=mixed)


@fault("rows", "unit axes")
class ALoneRowsGradientByTheTransposedWeights(Carrier):
    def backward(self, call, cotangent):
        if call.x.shape[1] != 1:
            return TWIN.backward(call, cotangent)
        H, W = call.params.weight_hh.shape[-1], call.params.weight_hh
        turned = W.reshape(len(GATES[call.cell]), H, H).mT.reshape(W.shape)
        return TWIN.backward(replace(call, params=call.params._replace(weight_hh=turned)), cotangent)


@fault("exact", cells=("rnn_relu",))
class ReluSlopeAtZeroIsOne(Carrier):
    def backward(self, call, cotangent):
        def step(weights, x, state):
            a = x @ weights.W_ih.mT + state.h @ weights.W_hh.mT + weights.b
            after, cache = rnn_relu.step(weights, x, state)
            return after, cache._replace(h_next=np.where(a == 0, 1, cache.h_next))

        with recomputed("rnn_relu", step=step):
            return TWIN.backward(call, cotangent)
