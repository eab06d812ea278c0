"""Planted faults. Each is a subject made from the NumPy twin by one change, attached to the laws that must kill it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from impl.numpy_twin import lstm, scan
from impl.spec import Head, Parameters, block, leaves, rebuild, tree_map
from properties.subject import CAPABILITIES, Call, Cotangent, Output, Result, Subject
from properties.subjects.numpy_twin import subject as TWIN


@dataclass(frozen=True)
class Fault:
    """A fault's name, the laws that must kill it, the cells and dtypes it shows in, and the subject that has it."""

    name: str
    laws: tuple[str, ...]
    subject: Subject
    cells: tuple[str, ...]
    dtypes: tuple[str, ...]


FAULTS: list[Fault] = []


def fault(*laws: str, cells: tuple[str, ...] = ("rnn", "lstm"), dtypes: tuple[str, ...] = ("float32",)) -> Callable:
    """Registers a class of subjects under its name, read as words."""

    def register(kind: type[Subject]) -> type[Subject]:
        name = "".join(" " + c.lower() if c.isupper() else c for c in kind.__name__).strip()
        kind.name, kind.cells = f"planted fault ({name})", cells
        FAULTS.append(Fault(name, laws, kind(), cells, dtypes))
        return kind

    return register


class Carrier(Subject):
    """The NumPy twin, handed on unchanged: where a fault is planted, and the control that every law must pass."""

    name = "carrier"
    capabilities = frozenset(CAPABILITIES)

    def before(self, call: Call) -> Call:
        """A place for a change of the call."""
        return call

    def after(self, call: Call, output: Output) -> Output:
        """A place for a change of the outputs."""
        return output

    def forward(self, call: Call) -> Output:
        """See Subject."""
        return self.after(call, TWIN.forward(self.before(call)))

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        return TWIN.backward(call, cotangent)

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return TWIN.head(params, h)

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        return TWIN.head_backward(params, h, dy)

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject."""
        return TWIN.loss(y, targets, mask)


@contextmanager
def patched(owner: Any, **changes: Any):
    """Some attributes of a module, changed for a while."""
    saved = {name: getattr(owner, name) for name in changes}
    for name, value in changes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(owner, name, value)


def permuted(params: Parameters, order: str) -> Parameters:
    """An LSTM's parameters with their gate blocks in another order."""
    H = params.weight_hh.shape[-1]
    rows = np.concatenate([np.r_[block("lstm", gate, H)] for gate in order])
    return Parameters(
        *(None if a is None else np.take(a, rows, -1 if a.ndim == params.weight_hh.ndim - 1 else -2) for a in params)
    )


# Values


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
    to = lambda tree: tree_map(lambda a: a.astype(np.float32), tree)  # noqa: E731
    return replace(call, params=to(call.params), x=to(call.x), state=to(call.state))


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


# Time


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


# Rows and lengths


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


# Gradients


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

        cells = scan.CELLS | {"lstm": SimpleNamespace(step=lstm.step, step_backward=wrong)}
        with patched(scan, CELLS=cells):
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


@fault("vjp", cells=("lstm",))
class GradientCutBetweenCells(Carrier):
    def backward(self, call, cotangent):
        def wrong(weights, cache, dstate):
            dx, before, da = lstm.step_backward(weights, cache, dstate)
            return dx, before._replace(c=before.c * 0), da

        with patched(scan, CELLS=scan.CELLS | {"lstm": SimpleNamespace(step=lstm.step, step_backward=wrong)}):
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


# Biases


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


# Conduct


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


# Read-out, likelihood, groups


@fault("emission")
class ReadOutSeesTheStateBefore(Carrier):
    def head(self, params, h):
        return TWIN.head(params, h + np.roll(h, 1, 0) * np.asarray(1e-4, h.dtype))


@fault("emission")
class ReadOutNormalisedOverTime(Carrier):
    def head(self, params, h):
        return TWIN.head(params, (h / np.abs(h).max()).astype(h.dtype))


@fault("chain rule")
class SoftmaxWithoutTheFirstClass(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        p = np.exp(y - y.max(-1, keepdims=True)).astype(y.dtype)
        return loss + np.log1p(-(p / p.sum(-1, keepdims=True))[..., 0] * np.float32(0.01)).sum().astype(y.dtype), dy


@fault("chain rule", "value")
class LossInBits(Carrier):
    def loss(self, y, targets, mask=None):
        loss, dy = TWIN.loss(y, targets, mask)
        return (loss / np.log(2)).astype(y.dtype), dy


@fault("chain rule")
class FirstStepCostsNothing(Carrier):
    def loss(self, y, targets, mask=None):
        counted = np.ones(targets.shape, bool) if mask is None else mask.copy()
        counted[0] = False
        return TWIN.loss(y, targets, counted)


@fault("chain rule")
class SoftmaxOverflows(Carrier):
    def loss(self, y, targets, mask=None):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            e = np.exp(y)
            p = e / e.sum(-1, keepdims=True)
            losses = -np.log(np.take_along_axis(p, targets[..., None], -1))
        return losses.sum().astype(y.dtype), (p - (np.arange(y.shape[-1]) == targets[..., None])).astype(y.dtype)


@fault("ensemble")
class ModelsShareTheFirstOnesBias(Carrier):
    def before(self, call):
        bias = call.params.bias_ih
        grouped = bias is not None and bias.ndim == 2
        return (
            replace(call, params=call.params._replace(bias_ih=np.repeat(bias[:1], len(bias), 0))) if grouped else call
        )


@fault("ensemble")
class SharedInputGetsOneModelsGradient(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        E = call.params.weight_hh.shape[0] if call.params.weight_hh.ndim == 3 else 1
        return result._replace(x=result.x / np.asarray(E, result.x.dtype)) if call.x.ndim == 3 else result


@fault("ensemble")
class WeightGradientsSummedOverTheGroup(Carrier):
    def backward(self, call, cotangent):
        result = TWIN.backward(call, cotangent)
        if call.params.weight_hh.ndim == 2:
            return result
        mixed = [a + a.sum(0, keepdims=True) - a[:1] for a in leaves(result.params)]
        return result._replace(params=rebuild(result.params, mixed))


@fault("ensemble")
class ModelsShareTheFirstOnesLengths(Carrier):
    def before(self, call):
        own = call.lengths is not None and call.lengths.ndim == 2
        return replace(call, lengths=call.lengths[0]) if own else call
