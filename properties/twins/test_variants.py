"""The LSTM's variants in both twins: the laws that hold of them, what their gates do exactly, and who refuses them.

The referee judges them as it judges the LSTM: properties/meta/test_oracle.py ties its variants to its LSTM, and
properties/meta/test_variant_faults.py plants faults.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings

from impl import draw
from impl.numpy_twin import compiled, fast, scan
from impl.spec import COMMON, GATES, VARIANTS, block, leaves, rebuild, tree_map
from impl.torch_twin import backend, vendor
from impl.torch_twin import scan as torch_scan
from impl.torch_twin.kernels.plan import plan as planned
from properties.cases import Plan, gradients, plans
from properties.laws import registry
from properties.loading import judged_by_default, load
from properties.subject import Result
from properties.twins.both import both, into, part

variants = pytest.mark.parametrize("cell", VARIANTS)
HOW = settings(derandomize=True, database=None, deadline=None, phases=(Phase.generate,))
FEW = settings(HOW, max_examples=4)
TWINS = ("numpy_twin", "torch_twin")
LAWS = {
    **{"value": 6, "vjp": 6, "split": 2, "causality": 2, "rows": 1, "lengths": 2, "ensemble": 3, "reversal": 2},
    **{"stack": 1, "untied sum": 2, "omitted state": 2, "empty time": 1, "purity": 1, "training": 1},
}
"""The laws that hold of every cell with the LSTM's state, and how many cases each of their tests gets."""


@variants
@pytest.mark.parametrize("name", LAWS)
def test_what_holds_of_every_cell_holds_of_a_variant(name, cell):
    """Values and gradients within the referee's bound, and what it says of time, rows, groups, layers, directions."""
    whole = name in ("value", "vjp")  # their other tests are of the read-out and the loss
    for law in registry()[name][: 1 if whole else None]:
        for dtype in ("float32", "float64") if whole else ("float32",):
            for twin in (load(name) for name in TWINS):
                if not law.lacking(twin, "lstm"):
                    law.run(twin, cell, dtype, settings(HOW, max_examples=max(1, round(LAWS[name] / law.share))))


@variants
@given(plan=plans(biases=("both", "none", "ih"), largest=5))
@FEW
def test_autograd_through_the_plain_forward_finds_the_written_gradient(cell, plan):
    """By x, the parameters and the initial state, autograd's gradient lies within the referee's bound too."""
    case = plan.case(cell, "float64")
    given = tree_map(lambda a: torch.tensor(a, requires_grad=True), (case.call.x, case.call.params, case.call.state))
    x, params, state = given
    run = torch_scan.forward(cell, params, x, state)
    pairs = zip(leaves((run.states.h, run.last)), leaves(tuple(case.cotangent)), strict=True)
    found = torch.autograd.grad(sum((a * torch.tensor(d)).sum() for a, d in pairs), leaves(given))
    judged = case.judged(gradients=True)
    for name, array in gradients(Result(*rebuild(given, [d.numpy() for d in found]))).items():
        assert judged[name].fraction(array)[0] <= 1, name


def with_gates(case, **open_):
    """The case's call with those of these gates that its cell computes open (True) or shut by a bias of 1e3."""
    bias_ih, bias_hh = case.call.params.bias_ih.copy(), case.call.params.bias_hh.copy()
    for gate in set(open_) & set(GATES[case.cell]):
        rows = block(case.cell, gate, case.plan.H)
        bias_ih[rows], bias_hh[rows] = (1e3 if open_[gate] else -1e3), 0
    return replace(case.call, params=case.call.params._replace(bias_ih=bias_ih, bias_hh=bias_hh))


@both
@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if cell != "lstm_no_input"])
@given(plan=plans(biases=("both",)))
@FEW
def test_a_cell_that_neither_forgets_nor_takes_in_is_kept_to_the_bit(twin, cell, plan):
    """f is 1 or held open, i shut or 1 - f: c_T is c_0; where o is shut too, dc_0 is the cotangent of c_T."""
    case, twin = plan.case(cell, "float32"), load(twin)
    call = with_gates(case, f=True, i=False, o=False)
    assert np.array_equal(twin.forward(call).last.c, call.state.c)
    if "o" in GATES[cell]:
        assert np.array_equal(twin.backward(call, case.cotangent).state.c, case.cotangent.last.c)


@both
@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if "f" in GATES[cell]])
@given(plan=plans(biases=("both",)))
@FEW
def test_a_shut_forget_gate_forgets_the_cell(twin, cell, plan):
    """Whatever c_0 was, all outputs keep their bits, and nothing comes back to it: dc_0 is exactly zero."""
    case, twin = plan.case(cell, "float32"), load(twin)
    call = with_gates(case, f=False)
    other = replace(call, state=call.state._replace(c=case.normal(*call.state.c.shape)))
    one, two = twin.forward(call), twin.forward(other)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(tuple(one)), leaves(tuple(two)), strict=True))
    assert not twin.backward(call, case.cotangent).state.c.any()


@both
@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if "o" in GATES[cell]])
@given(plan=plans(biases=("both",)))
@FEW
def test_a_shut_output_gate_shows_nothing_and_an_open_one_all(twin, cell, plan):
    """h is exactly zero while the cell lives on; behind an open gate it is tanh(c), or c itself, to the bit."""
    case, twin = plan.case(cell, "float32"), load(twin)
    shut, shown = twin.forward(with_gates(case, o=False)), twin.forward(with_gates(case, o=True))
    assert not shut.h.any() and shut.last.c.all()
    c = shown.last.c.astype("float64")
    wanted, within = (c, 0.0) if cell == "lstm_linear_output" else (np.tanh(c), 4 * twin.u("float32"))
    assert (np.abs(shown.last.h - wanted) <= within * np.abs(wanted)).all()


@variants
def test_torchs_backend_runs_a_variant_by_the_plain_loop(cell):
    """`auto` finds it, for one model and a group, and says why not the others; bits and gradients are the loop's."""
    for E in (None, 2):
        case = Plan(4, 3, 2, 5, seed=3, E=E).case(cell, "float32")
        params, x, state, dh = into("torch_twin", (case.call.params, case.call.x, case.call.state, case.cotangent.h))
        run, plain = backend.forward(cell, params, x, state), torch_scan.forward(cell, params, x, state)
        assert run.cache.choice.backend == "eager"
        assert f"torch has no kernel of the cell {cell}" in backend.explain(cell, params, x)
        got, wanted = backend.backward(cell, params, run.cache, dh), torch_scan.backward(cell, params, plain.cache, dh)
        pairs = zip(leaves((run.last, tuple(got))), leaves((plain.last, tuple(wanted))), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@variants
def test_forms_and_layouts_that_know_no_variants_refuse_them_by_name(cell):
    """The fast and compiled forms, torch's kernels, ours, ONNX's layout and torch's: none computes something else."""
    params, x = draw.uniform(draw.generator("refused"), cell, 2, 3), np.zeros((4, 3, 2))
    theirs, there = into("torch_twin", (params, x))
    known = f"^`cell` must be one of {', '.join(COMMON)}, since {{}}; got '{cell}'"
    cache = scan.forward(cell, params, x).cache
    for form in (fast, compiled):
        for call in (lambda f=form: f.forward(cell, params, x), lambda f=form: f.backward(cell, params, cache)):
            with pytest.raises(ValueError, match=known.format("the fast forms have no other")):
                call()
    with pytest.raises(ValueError, match=known.format("the kernels know no other")):
        planned(cell, 3, "float32", "ieee", None)
    for call in (
        lambda: vendor.forward(cell, theirs, there),
        lambda: backend.forward(cell, theirs, there, backend="vendor"),
    ):
        with pytest.raises(ValueError, match=f"`backend` cannot be 'vendor': torch has no kernel of the cell {cell}"):
            call()
    with pytest.raises(ValueError, match=r"`backend` cannot be 'fused': .*the kernels know no other"):
        backend.forward(cell, theirs, there, backend="fused")
    for exchange in (part(twin, "exchange") for twin in TWINS):
        for call in (exchange.to_onnx, exchange.from_onnx):
            with pytest.raises(ValueError, match=known.format("ONNX has no other")):
                call(cell, (params,))
    if len(GATES[cell]) == 3:  # four blocks are an LSTM's for all that torch's layout can tell
        with pytest.raises(ValueError, match=r"must have shape \(12, 3\), since the cell is lstm, 4 blocks"):
            part("numpy_twin", "exchange").to_torch(((params,),))


@pytest.mark.parametrize("name", sorted(set(judged_by_default()) - set(TWINS)))
def test_a_subject_that_has_no_variants_computes_none(name):
    """A call of any of them raises, also one whose parameters have an LSTM's shapes; none is declared."""
    subject = load(name)
    assert not set(subject.cells) & set(VARIANTS)
    for cell in VARIANTS:
        case = Plan(4, 3, 2, 5, seed=4).case(cell, "float32")
        with pytest.raises(ValueError, match=f"(got '|the cell ){cell}"):
            subject.forward(case.call)


@both
def test_a_variants_parameters_are_told_from_anothers_by_their_shapes(twin):
    """Three blocks where there must be four, or the other way round, are refused by the name of the cell."""
    case = Plan(4, 3, 2, 5, seed=5).case("lstm", "float32")
    params, x = into(twin, (case.call.params, case.call.x))
    with pytest.raises(
        ValueError, match=r"^`weight_hh` must have shape \(15, 5\), since the cell is lstm_coupled, 3 blo"
    ):
        part(twin, "scan").forward("lstm_coupled", params, x)
