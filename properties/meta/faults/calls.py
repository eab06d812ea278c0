"""Faults of calls: what one call leaves to the next, several backwards, optimisers, and options that are ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from impl.numpy_twin import lstm, optim
from impl.spec import STATES, leaves, rebuild, tree_map
from properties.cases import mapped
from properties.meta.carrier import TWIN, Carrier, fault, patched
from properties.subject import USUAL, Result
from properties.subjects.torch_twin import subject as TORCH

# No memory, updates


@fault("no memory")
class OutputsWrittenToOneBuffer(Carrier):
    buffers: dict = {}  # noqa: RUF012  (shared on purpose: that is the fault)

    def after(self, call, output):
        shape, dtype = output.h.shape[1:], output.h.dtype
        view = self.buffers.setdefault((shape, dtype), np.empty((99, *shape), dtype))[: len(output.h)]
        view[...] = output.h
        return output._replace(h=view)


@fault("no memory", "updates")
class WeightsKeptByTheIdentityOfTheirArray(Carrier):
    def __init__(self):
        self.kept = {}

    def before(self, call):
        W = call.params.weight_hh
        _, copy = self.kept.setdefault(id(W), (W, W.copy()))
        return replace(call, params=call.params._replace(weight_hh=copy)) if copy.shape == W.shape else call


@fault("updates")
class WeightsKeptByTheirFirstNumber(Carrier):
    def __init__(self):
        self.kept = {}

    def before(self, call):
        W = call.params.weight_ih
        key = (W.shape, W.dtype, W.ravel()[:1].tobytes())
        return replace(call, params=call.params._replace(weight_ih=self.kept.setdefault(key, W.copy())))


@fault("no memory", "omitted state")
class OneStepFromZerosGoesOnFromTheCallBefore(Carrier):
    last = None

    def before(self, call):
        zero = call.state is None or not any(a.any() for a in call.state)
        fits = isinstance(self.last, STATES[call.cell]) and self.last.h.dtype == call.x.dtype
        fits = fits and self.last.h.shape == (*call.x.shape[1:-1], call.params.weight_hh.shape[-1])
        return replace(call, state=self.last) if fits and zero and len(call.x) == 1 else call

    def after(self, call, output):
        self.last = tree_map(np.copy, output.last)
        return output


@fault("no memory")
class TrainingModeSticks(Carrier):
    rate = 0.0

    def stack(self, call):
        if call.train:
            self.rate = call.dropout
        return TWIN.stack(replace(call, dropout=self.rate or call.dropout, train=bool(self.rate)))


@fault("no memory")
class GradientOfTheCallBefore(Carrier):
    earlier = 0.0

    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        x = result.x + np.asarray(self.earlier, result.x.dtype)
        self.earlier = float(abs(result.x).max(initial=0)) * 1e-3
        return result._replace(x=x)


@fault("no memory")
class LossAddsALittleOfTheOneBefore(Carrier):
    earlier = 0.0

    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        found = loss + np.asarray(1e-3 * self.earlier, loss.dtype)
        self.earlier = float(np.max(loss))
        return found, dy


@fault("updates")
class TiedBiasesCountedOnce(Carrier):
    def before(self, call):
        params = call.params
        tied = params.bias_ih is not None and params.bias_ih is params.bias_hh
        return replace(call, params=params._replace(bias_hh=None)) if tied else call


@fault("updates")
class TiedWeightsShareOneGradient(Carrier):
    def backward(self, call, cotangent):
        result, params = TWIN.backward(call, cotangent), call.params
        if params.weight_ih is not params.weight_hh:
            return result
        both = result.params.weight_ih + result.params.weight_hh
        return result._replace(params=result.params._replace(weight_ih=both, weight_hh=both.copy()))


@fault("updates")
class SharedLayersShareOneGradient(Carrier):
    def stack_backward(self, call, cotangent):
        result = TWIN.stack_backward(call, cotangent)
        if len(call.layers) < 2 or call.layers[0] is not call.layers[1]:
            return result
        total = tree_map(lambda a, b: a + b, *result.params[:2])
        return result._replace(params=(total, tree_map(np.copy, total), *result.params[2:]))


# Gradients against the forward


@fault("adjoint", cells=("lstm",))
class BackwardOfAnotherForward(Carrier):
    def forward(self, call):
        with patched(lstm, sigma=lambda a, sigma=lstm.sigma: sigma(a * np.asarray(1.01, a.dtype))):
            return TWIN.forward(call)


@fault("adjoint", "vjp")
class GradientByTheInitialStateHalved(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        return result._replace(state=tree_map(lambda a: a / 2, result.state))


@fault("adjoint")
class LargeCotangentsAreClipped(Carrier):
    def backward(self, call, cotangent):
        return TWIN.backward(call, cotangent._replace(h=np.clip(cotangent.h, -2, 2)))


# Several backwards


@fault("backward again")
class SecondBackwardAddsToTheFirst(Carrier):
    def backwards(self, call, cotangents, frozen=()):
        results = TWIN.backwards(call, cotangents, frozen)
        added = [results[0]]
        for result in results[1:]:
            added.append(result._replace(x=result.x + added[-1].x))
        return added


@fault("backward again")
class RecordUsedUpByTheFirstBackward(Carrier):
    def backwards(self, call, cotangents, frozen=()):
        first, *others = TWIN.backwards(call, cotangents, frozen)
        return [first, *(tree_map(np.zeros_like, other) for other in others)]


@fault("backward again")
class FrozenWeightsStopTheGradient(Carrier):
    def backwards(self, call, cotangents, frozen=()):
        results = TWIN.backwards(call, cotangents, frozen)
        stopped = "weight_hh" in frozen
        return [r._replace(state=tree_map(np.zeros_like, r.state)) if stopped else r for r in results]


@fault("backward again")
class FrozenParametersAreGivenAllTheSame(Carrier):
    def backwards(self, call, cotangents, frozen=()):
        return TWIN.backwards(call, cotangents)


# Second order


@fault("second order")
class DoubleBackwardIsZero(Carrier):
    def double_backward(self, call, cotangent, direction):
        return tree_map(np.zeros_like, Result(call.x, call.params, call.state))


@fault("second order")
class DoubleBackwardIsTheFirst(Carrier):
    def double_backward(self, call, cotangent, direction):
        return TWIN.backward(call, cotangent)._replace(states=None)


@fault("second order")
class DoubleBackwardFailsWithoutAWord(Carrier):
    def double_backward(self, call, cotangent, direction):
        raise RuntimeError("internal error 17")


@fault("second order")
class DoubleBackwardLeavesTheWeightsOut(Carrier):
    def double_backward(self, call, cotangent, direction):
        result = TORCH.double_backward(call, cotangent, direction)
        return result._replace(params=result.params._replace(weight_ih=None, weight_hh=None))


@fault("second order")
class DoubleBackwardRunsOutOfTime(Carrier):
    def double_backward(self, call, cotangent, direction):
        raise RuntimeError("no result within 3 seconds")


# Training


@fault("training")
class AdamWithoutCorrectionOfItsBias(Carrier):
    def updates(self, rule, params, gradients, lr):
        if rule != "adam":
            return TWIN.updates(rule, params, gradients, lr)
        mean, square, found = tree_map(np.zeros_like, params), tree_map(np.zeros_like, params), []
        for g in gradients:
            mean = tree_map(lambda m, d: 0.9 * m + 0.1 * d, mean, g)
            square = tree_map(lambda s, d: 0.999 * s + 0.001 * d * d, square, g)
            params = tree_map(lambda p, m, s: (p - lr * m / (np.sqrt(s) + 1e-8)).astype(p.dtype), params, mean, square)
            found.append(params)
        return found


@fault("training", dtypes=("float64",))
class EpsilonInsideTheRoot(Carrier):
    def updates(self, rule, params, gradients, lr):
        with patched(optim, sqrt=lambda a: np.sqrt(a + 1e-8)):
            return TWIN.updates(rule, params, gradients, lr)


@fault("training")
class MomentumInPlainDescent(Carrier):
    def updates(self, rule, params, gradients, lr):
        if rule != "sgd":
            return TWIN.updates(rule, params, gradients, lr)
        smooth = [gradients[0]]
        for g in gradients[1:]:
            smooth.append(tree_map(lambda a, b: (0.1 * a + b).astype(b.dtype), smooth[-1], g))
        return TWIN.updates(rule, params, smooth, lr)


@fault("training")
class UpdateAscends(Carrier):
    def updates(self, rule, params, gradients, lr):
        return TWIN.updates(rule, params, [tree_map(np.negative, d) for d in gradients], lr)


@fault("training")
class LastUpdateIsLeftOut(Carrier):
    def updates(self, rule, params, gradients, lr):
        return TWIN.updates(rule, params, gradients, lr)[: max(1, len(gradients) - 1)]


@fault("training")
class UpdatesLoseTheBiases(Carrier):
    def updates(self, rule, params, gradients, lr):
        return [p._replace(bias_ih=None, bias_hh=None) for p in TWIN.updates(rule, params, gradients, lr)]


@fault("training")
class LargeEntriesCutBeforeScaling(Carrier):
    def clip(self, gradient, max_norm):
        clipped, norm = TWIN.clip(gradient, max_norm)
        if norm <= max_norm:
            return clipped, norm
        most = 0.9 * max(abs(a).max() for a in leaves(gradient))
        cut = tree_map(lambda a: np.clip(a, -most, most).astype(a.dtype), gradient)
        return TWIN.clip(cut, max_norm)[0], norm


@fault("training")
class EachParameterClippedAlone(Carrier):
    def clip(self, gradient, max_norm):
        _, norm = TWIN.clip(gradient, max_norm)
        return rebuild(gradient, [TWIN.clip((a,), max_norm)[0][0] for a in leaves(gradient)]), norm


@fault("training")
class NormOfTheLargestEntry(Carrier):
    def clip(self, gradient, max_norm):
        clipped, _ = TWIN.clip(gradient, max_norm)
        largest = max(abs(a).max() for a in leaves(gradient))
        return clipped, np.asarray(largest)


@fault("training")
class ClippedToTheSquareOfTheLimit(Carrier):
    def clip(self, gradient, max_norm):
        clipped, norm = TWIN.clip(gradient, max_norm)
        return (clipped if norm <= max_norm else tree_map(lambda a: a / 2, clipped)), norm


# Honesty


@fault("honesty")
class UndeclaredLengthsAreIgnored(Carrier):
    capabilities = USUAL - {"lengths", "empty rows"}

    def before(self, call):
        return replace(call, lengths=None)


@fault("honesty")
class UndeclaredDropoutIsIgnored(Carrier):
    capabilities = USUAL - {"dropout"}

    def stack(self, call):
        return TWIN.stack(replace(call, dropout=0.0))


@fault("honesty")
class UndeclaredSecondDirectionIsIgnored(Carrier):
    capabilities = USUAL - {"directions"}

    def stack(self, call):
        return TWIN.stack(
            replace(call, layers=tuple(a[:1] for a in call.layers), state=tuple(a[:1] for a in call.state))
        )


@fault("honesty")
class UndeclaredEmptyBatchIsGivenARow(Carrier):
    capabilities = USUAL - {"no rows"}

    def before(self, call):
        if call.x.shape[1]:
            return call
        row = lambda a: np.zeros((*a.shape[:-2], 1, a.shape[-1]), a.dtype)  # noqa: E731
        return replace(call, x=row(call.x), state=tree_map(row, call.state))


@fault("honesty", cells=("lstm",))
class UndeclaredCellIsIgnored(Carrier):
    capabilities = USUAL - {"cell state"}

    def before(self, call):
        return replace(call, state=call.state and call.state._replace(c=np.zeros_like(call.state.c)))


@fault("honesty")
class UndeclaredReadOutHandsOnTheState(Carrier):
    capabilities = USUAL - {"head"}

    def head(self, params, h):
        return h


@fault("honesty")
class HalfPrecisionIsConvertedInSilence(Carrier):
    def before(self, call):
        return mapped(call, lambda a: a.astype(np.float32) if a.dtype == np.float16 else a)


@fault("honesty")
class UnknownCellRunsAsAnother(Carrier):
    def before(self, call):
        return replace(call, cell={1: "rnn", 2: "lstm"}[len(call.state)]) if call.cell == "gru" else call


@fault("honesty")
class IntegersAreConvertedInSilence(Carrier):
    def before(self, call):
        return mapped(call, lambda a: a.astype(np.float32) if a.dtype.kind == "i" else a)


@fault("honesty")
class UnknownRuleIsPlainDescent(Carrier):
    def updates(self, rule, params, gradients, lr):
        return TWIN.updates(rule if rule in ("sgd", "adam", "rmsprop") else "sgd", params, gradients, lr)


@fault("honesty")
class LongCotangentsAreCutOff(Carrier):
    def backward(self, call, cotangent):
        return TWIN.backward(call, cotangent._replace(h=cotangent.h[: len(call.x)]))
