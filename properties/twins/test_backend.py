"""The switch over the engines: what `auto` takes, what is refused and in which words, and that nothing is silent."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from impl.spec import COMMON, SKIPPABLE, STATES, Parameters, leaves, tree_map
from impl.torch_twin import backend, scan, stack, vendor
from properties.cases import Plan, gradients, judge, judge_once, member, member_cotangent, outputs
from properties.oracle import judge_group
from properties.subject import Cotangent, Output, Result
from properties.subjects.torch_twin import own

PLAN = Plan(5, 3, 4, 2, seed=7, lengths=(5, 0, 4))
CPU = {"fused": "x is on cpu, and the kernels are for CUDA (TRITON_INTERPRET=1 runs them for tests)"}

EAGER_HAS_NOT_BF16 = "torch's products on cpu have the precision 'ieee' as torch is set, not 'bf16'"


def arguments(cell="lstm", dtype="float32", plan=PLAN):
    """A case, and its call's parameters, x, state and lengths as tensors."""
    case = plan.case(cell, dtype)
    call = case.call
    return case, tree_map(own, (call.params, call.x, call.state, call.lengths))


def both(cell, params, gradient_of, cotangent, **options):
    """Outputs and gradients of a call by `backend`, under the referee's names."""
    run = backend.forward(cell, params, *gradient_of, **options)
    gradient = backend.backward(cell, params, run.cache, *tree_map(own, tuple(cotangent)))
    arrays = tree_map(lambda a: a.numpy(), (Output(run.states.h, run.last), Result(*gradient)))
    return run, outputs(arrays[0]) | gradients(arrays[1])


def facts(device="cpu", cell="lstm", dtype="float32", E=None, H=32, states=False, path=None):
    """Facts, most of them as usual."""
    return backend.Facts(device, cell, dtype, E, H, states, path)


# What auto takes


@pytest.mark.parametrize(
    ("given", "reasons", "wanted"),
    [
        (facts(), CPU, "vendor"),
        (facts(E=1), CPU, "vendor"),
        (facts(cell="rnn_relu", dtype="float64"), CPU, "vendor"),
        (facts(states=True), CPU, "eager"),
        (facts(E=16, H=8), CPU, "vendor"),
        (facts(E=64, H=64), CPU, "vendor"),
        (facts(E=64, H=8), CPU, "eager"),
        (facts(E=2, dtype="float64"), CPU, "eager"),
        (facts(E=2, cell="rnn"), CPU, "eager"),
        (facts(), CPU | {"vendor": "why"}, "eager"),
        (facts("cuda", H=64, path="persistent"), {}, "fused"),
        (facts("cuda", H=512, path="stepped"), {}, "fused"),
        (facts("cuda", H=512, path="stepped", cell="rnn"), {}, "vendor"),
        (facts("cuda", H=192, path="stepped"), {}, "fused"),
        (facts("cuda", H=128, path="stepped"), {}, "vendor"),
        (facts("cuda", H=512, path="stepped", states=True), {}, "fused"),
        (facts("cuda", E=64, H=32, path="persistent"), {}, "fused"),
        (facts("cuda", E=64, H=512, path="stepped"), {}, "fused"),
        (facts("cuda", H=512), {"fused": "no triton"}, "vendor"),
        (facts("cuda", E=64), {"fused": "no triton"}, "eager"),
        (facts("cuda", states=True), {"fused": "no triton"}, "eager"),
        (facts("mps"), CPU, "eager"),
    ],
)
def test_auto_takes_the_first_rule_that_fits(given, reasons, wanted):
    """By device, cell, dtype, models, width, states asked for, and the path of the fused kernels' plan."""
    choice = backend.decide(given, reasons)
    assert choice.backend == wanted
    assert choice.refused == choice.refused | {n: why for n, why in reasons.items() if n != wanted}


def test_no_choice_is_silent():
    """Whatever the facts and whoever is refused: a sentence why, one for each other backend, or an error with all."""
    spans = (("cpu", "cuda"), COMMON, ("float32", "float64"), (None, 1, 2, 64), (8, 300), (False, True))
    for given, out in product(product(*spans, ("persistent", "stepped")), product((False, True), repeat=3)):
        gone = dict(zip(backend.BACKENDS, out, strict=True)) | ({"fused": True} if given[0] == "cpu" else {})
        reasons = {name: f"no {name}" for name, is_gone in gone.items() if is_gone}
        if len(reasons) == 3:
            with pytest.raises(
                ValueError, match="finds none that can do it: not eager, no eager; not fused, no fused;"
            ):
                backend.decide(backend.Facts(*given), reasons)
            continue
        choice = backend.decide(backend.Facts(*given), reasons)
        assert choice.why and set(choice.refused) == set(backend.BACKENDS) - {choice.backend}
        assert all(choice.refused.values()) and choice.backend not in reasons


def test_every_rule_says_what_it_rests_on():
    """What was measured says where, estimates are called so."""
    for rule in backend.RULES:
        assert rule.backend in backend.BACKENDS and rule.why
        assert any(word in rule.basis for word in ("measured on", "estimate", "elimination", "contract"))


# What is explained


def test_explain_tells_the_choice_and_the_reason_against_each_other():
    """A line each."""
    _, (params, x, _, lengths) = arguments()
    lines = backend.explain("lstm", params, x, lengths).splitlines()
    assert lines[0].startswith("vendor: for one model torch's own kernels take") and "measured" in lines[0]
    assert lines[1:] == [
        "not eager: it can do it too, but vendor goes first.",
        f"not fused: {CPU['fused']}.",
    ]
    assert backend.explain("lstm", params, x, backend="eager").splitlines() == [
        "eager: the caller named it.",
        "not fused: backend='eager' was named.",
        "not vendor: backend='eager' was named.",
    ]


@pytest.mark.parametrize("name", ["eager", "vendor", "auto"])
def test_the_cache_remembers_the_choice(name):
    """A backward runs on the engine of its forward, and the run tells which that was."""
    _, (params, x, state, lengths) = arguments()
    run = backend.forward("lstm", params, x, state, lengths, backend=name)
    assert run.cache.choice.asked == name
    assert isinstance(run.cache.inner, scan.Cache if name == "eager" else vendor.Cache)


# What is refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backend": "cudnn"}, "`backend` must be one of auto, eager, fused, vendor; got 'cudnn'."),
        ({"precision": "half"}, "`precision` must be one of ieee, tf32, tf32x3, bf16; got 'half'."),
        (
            {"backend": "vendor", "precision": "tf32"},
            "`backend` cannot be 'vendor': torch's kernels on cpu have the precision ieee, not 'tf32'.",
        ),
        (
            {"backend": "eager", "precision": "bf16"},
            f"`backend` cannot be 'eager': {EAGER_HAS_NOT_BF16}.",
        ),
        ({"backend": "fused"}, f"`backend` cannot be 'fused': {CPU['fused']}."),
        (
            {"precision": "bf16"},
            f"`backend` 'auto' finds none that can do it: not eager, {EAGER_HAS_NOT_BF16}; not fused, {CPU['fused']}; "
            "not vendor, torch's kernels on cpu have the precision ieee, not 'bf16'.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(options, sentence, monkeypatch):
    """A backend that is named never gives way to another."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    _, (params, x, state, lengths) = arguments()
    with pytest.raises(ValueError) as error:
        backend.forward("lstm", params, x, state, lengths, **options)
    assert str(error.value) == sentence


def test_the_cell_whose_slope_at_zero_cudnn_has_otherwise_is_refused_on_a_card_alone():
    """cuDNN's relu lets a gradient through a unit that is 0: seen by the law "exact" on an H100."""
    _, (params, x, *_) = arguments("rnn_relu")
    there = SimpleNamespace(device=torch.device("cuda"))
    assert vendor.why_not("rnn_relu", params, x) is None and vendor.why_not("rnn", params, there) is None
    assert "the slope of cuDNN's relu at 0 is 1" in vendor.why_not("rnn_relu", params, there)


def test_kernels_that_cannot_be_imported_are_a_reason(monkeypatch):
    """Without triton the fused backend is refused with the import's own words."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "impl.torch_twin.kernels.plan", None)
    _, (params, x, _, _) = arguments()
    with pytest.raises(ValueError, match=r"`backend` cannot be 'fused': its kernels cannot be imported: .+\.$"):
        backend.choose("lstm", params, x, backend="fused")


@pytest.mark.parametrize("module", [backend, vendor])
def test_a_group_of_no_models_is_refused_by_torchs_kernels(module):
    """There would be nothing to stack."""
    params, x = Parameters(torch.zeros(0, 8, 4), torch.zeros(0, 8, 2)), torch.zeros(5, 3, 4)
    options = {"backend": "vendor"} if module is backend else {}
    with pytest.raises(ValueError, match="`backend` cannot be 'vendor': a group of no models gives torch's kernels"):
        module.forward("lstm", params, x, **options)


@pytest.mark.parametrize("name", ["eager", "vendor"])
def test_a_forward_without_a_record_has_no_backward(name):
    """Its values are the same; its cache is empty, and the backward says so."""
    _, (params, x, state, lengths) = arguments()
    run = backend.forward("lstm", params, x, state, lengths, backend=name, record=False)
    wanted = backend.forward("lstm", params, x, state, lengths, backend=name)
    assert torch.equal(run.states.h, wanted.states.h)
    with pytest.raises(ValueError, match="`cache` must be that of a forward with record=True; got one without"):
        backend.backward("lstm", params, run.cache)


@pytest.mark.parametrize("skip", [(name,) for name in SKIPPABLE] + [SKIPPABLE])
def test_what_vendor_skips_is_none_and_the_rest_is_as_it_was(skip):
    """As of the loops, rows of different lengths and all."""
    case, (params, x, state, lengths) = arguments()
    run = vendor.forward("lstm", params, x, state, lengths)
    cotangent = tree_map(own, tuple(case.cotangent))
    full, part = (vendor.backward("lstm", params, run.cache, *cotangent, some)._asdict() for some in ((), skip))
    assert {name for name, value in part.items() if value is None} == set(skip)
    kept = [name for name in full if name not in skip]
    assert all(torch.equal(a, b) for n in kept for a, b in zip(leaves(full[n]), leaves(part[n]), strict=True))


def test_cotangents_that_do_not_fit_are_refused_by_vendor_as_by_the_loop():
    """The same words."""
    _, (params, x, state, lengths) = arguments()
    run = vendor.forward("lstm", params, x, state, lengths)
    for wrong, name in (((torch.zeros(4, 3, 2),), "dh"), ((None, STATES["lstm"](x[0], x[0])), "dlast.h")):
        with pytest.raises(ValueError, match=f"`{name}` must have shape"):
            vendor.backward("lstm", params, run.cache, *wrong)
    with pytest.raises(ValueError, match="`skip` must hold names among"):
        vendor.backward("lstm", params, run.cache, skip=("h",))


# What runs


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("E", [None, 2])
@pytest.mark.parametrize("biases", ["both", "ih", "none"])
@pytest.mark.parametrize("cell", COMMON)
def test_vendor_is_exact_in_either_direction(cell, biases, E, reverse):
    """Values and gradients, those by every h_t and c_t too, with rows that have ended: within the referee's bound."""
    case, (params, *rest) = arguments(cell, "float32", replace(PLAN, biases=biases, E=E))
    _, got = both(cell, params, (*rest, reverse), case.cotangent, backend="vendor")
    judged = judged_in(case, reverse)
    assert {n: f for n, a in got.items() if (f := judged[n].fraction(np.asarray(a))[0]) > 1} == {}
    assert got.keys() == judged.keys()


def judged_in(case, reverse):
    """What the referee says of a case, or of its loop in reverse."""
    E, models = case.plan.E, []
    for e in range(E or 1):
        call = case.call if E is None else member(case.call, e)
        cotangent = case.cotangent if E is None else member_cotangent(case.cotangent, e)
        given = (call.cell, call.params._asdict(), call.x, call.state, call.lengths, *cotangent)
        models.append(judge_once("judge", *given, dtype=case.dtype, reverse=reverse))
    return models[0] if E is None else judge_group(models, case.call.x.ndim == 3, dtype=case.dtype)


@pytest.mark.parametrize("lengths", [None, (5, 0, 4)])
@pytest.mark.parametrize("E", [None, 2])
@pytest.mark.parametrize("cell", COMMON)
def test_vendor_runs_sequences_without_features(cell, E, lengths):
    """Biases and states alone, as the plain loop has them: torch packs no such rows."""
    case, (params, x, state, lengths) = arguments(cell, "float64", replace(PLAN, E=E, lengths=lengths))
    params, x = params._replace(weight_ih=params.weight_ih[..., :0]), x[..., :0]
    found = []
    for loop, options in ((vendor, {"states": True}), (scan, {})):
        run = loop.forward(cell, params, x, state, lengths, **options)
        gradient = loop.backward(cell, params, run.cache, *tree_map(own, tuple(case.cotangent)))
        found.append(leaves((run.states, run.last, gradient)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cell", COMMON)
def test_vendor_hands_torchs_kernels_weights_and_states_without_gaps(cell, monkeypatch):
    """Which cuDNN's ask for, and a CPU's do not; the law "strides" saw it on an H100."""
    taken, kernel = [], vendor.KERNELS[cell]

    def noted(x, hx, flat, *rest):
        taken.extend([*flat, *(hx if isinstance(hx, list) else [hx])])
        return kernel(x, hx, flat, *rest)

    monkeypatch.setitem(vendor.KERNELS, cell, noted)
    _, (params, x, state, _) = arguments(cell)
    gaps = lambda a: torch.stack([a, a], -1)[..., 0]  # noqa: E731
    run = vendor.forward(cell, tree_map(gaps, params), x, tree_map(lambda a: gaps(a.mT).mT, state))
    assert len(taken) == 4 + len(state) and all(a.is_contiguous() for a in taken)
    assert torch.equal(run.states.h, vendor.forward(cell, params, x, state).states.h)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vendors_cell_states_of_every_step_are_those_of_shorter_runs(dtype):
    """c_t is the cT of the first t steps, within its bound; not asked for, it is not there."""
    case, (params, x, state, _) = arguments(dtype=dtype, plan=replace(PLAN, lengths=None))
    run = vendor.forward("lstm", params, x, state, states=True)
    assert vendor.forward("lstm", params, x, state).states.c is None
    for t in range(case.plan.T):
        judged = judge(replace(case.call, x=case.call.x[: t + 1]), Cotangent(None, None), dtype)
        assert judged["cT"].fraction(run.states.c[t].numpy())[0] <= 1


def test_what_vendor_skips_changes_no_other_bit():
    """The gradients by every h_t and c_t come from a run by steps, and no other result does."""
    case, (params, x, state, lengths) = arguments()
    run = vendor.forward("lstm", params, x, state, lengths)
    cotangent = tree_map(own, tuple(case.cotangent))
    whole = vendor.backward("lstm", params, run.cache, *cotangent)
    some = vendor.backward("lstm", params, run.cache, *cotangent, ("x", "states"))
    assert some.x is None and some.states is None
    assert all(map(torch.equal, leaves((some.params, some.state)), leaves((whole.params, whole.state))))


def test_vendors_first_state_may_be_overwritten_and_inference_mode_changes_no_bit():
    """As of the loop: the cache keeps the first state, and needs no grad mode of the caller's."""
    case, (params, x, state, lengths) = arguments()
    cotangent = tree_map(own, tuple(case.cotangent))
    found = []
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            first = tree_map(torch.clone, state)
            run = vendor.forward("lstm", params, x, first, lengths)
            first.h[...] = 0
            found.append(leaves(tuple(vendor.backward("lstm", params, run.cache, *cotangent))))
    assert all(map(torch.equal, found[0], found[1])) and all(map(torch.equal, found[0], found[2]))


def test_a_stack_runs_on_the_switch():
    """`backend` has the functions of a loop, so `stack` takes it for one."""
    case, _ = arguments(plan=Plan(5, 3, 4, 2, seed=3, lengths=(5, 1, 4), L=2, directions=2))
    call, judged = case.stack, case.judged_stack(gradients=True)
    layers, x, lengths, state = tree_map(own, (call.layers, call.x, call.lengths, call.state))
    run = stack.forward("lstm", layers, x, state, lengths, loop=backend)
    gradient = stack.backward("lstm", layers, run.cache, *tree_map(own, tuple(case.stack_cotangent)), loop=backend)
    assert judged["h"].fraction(run.h.numpy())[0] <= 1
    assert judged["x"].fraction(gradient.x.numpy())[0] <= 1


@pytest.mark.parametrize("E", [None, 2])
@pytest.mark.parametrize("cell", COMMON)
def test_fused_runs_where_it_is_named(cell, E):
    """Under triton's interpreter: values and gradients within the referee's bound, by the same two functions."""
    pytest.importorskip("triton")
    pytest.importorskip("impl.torch_twin.kernels.fused")
    case, (params, *rest) = arguments(cell, plan=replace(PLAN, E=E))
    run, got = both(cell, params, rest, case.cotangent, backend="fused")
    judged = case.judged(2.0**-22, gradients=True)  # the kernels' sigma and tanh err by up to 2u, absolutely
    assert run.cache.choice.backend == "fused"
    assert {n: f for n, a in got.items() if (f := judged[n].fraction(np.asarray(a))[0]) > 1} == {}
