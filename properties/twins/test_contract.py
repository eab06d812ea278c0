"""What the rest of the project may rely on: plain pickles, no torch in the NumPy twin, two backwards written out."""

import ast
import difflib
import inspect
import multiprocessing
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import Phase, settings

from impl.spec import COMMON, leaves, rebuild, tree_map
from impl.torch_twin import scan
from properties.cases import Plan, arrays, gradients, outputs
from properties.laws import registry
from properties.loading import judged_by_default, load
from properties.subject import Result, Subject
from properties.twins.both import MODULES, both, into, out, part

PLAN = Plan(5, 3, 4, 2, seed=7, lengths=(5, 2, 4))
ROOT = Path(__file__).parents[2]


def same(one, other):
    """Whether two trees hold the same bits."""
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(leaves(one), leaves(other), strict=True))


def run_both(subject, call, cotangent):
    """A subject's outputs and gradients; a module's function, so that a child process finds it."""
    return subject.forward(call), subject.backward(call, cotangent)


@pytest.fixture(scope="module")
def child():
    """A process of its own, which imports everything afresh."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


@pytest.mark.parametrize("name", judged_by_default())
def test_a_subject_its_calls_and_its_results_travel_to_another_process(name, child):
    """NumPy in and out, all of it picklable: a child process gives the same bits."""
    subject, case = load(name), PLAN.case("lstm", "float32")
    there = child.apply(run_both, (subject, case.call, case.cotangent))
    assert same(there, run_both(subject, case.call, case.cotangent))
    assert [type(given).__name__ for given in there] == ["Output", "Result"]
    assert all(isinstance(array, np.ndarray) for array in leaves(there))


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_torch_twins_backward_needs_no_autograd(cell, dtype):
    """Under inference_mode, where autograd cannot record, every bit of values and gradients is the same."""
    subject, case = load("torch_twin"), PLAN.case(cell, dtype)
    usual = run_both(subject, case.call, case.cotangent)
    with torch.inference_mode():
        assert same(run_both(subject, case.call, case.cotangent), usual)


def traced(case):
    """The torch twin's arguments, which require gradients, and <dh, h> + <dlast, last> by its plain forward."""
    call = case.call
    params, x, state = tree_map(lambda a: torch.tensor(a, requires_grad=True), (call.params, call.x, call.state))
    run = scan.forward(call.cell, params, x, state, torch.tensor(call.lengths))
    pairs = zip(leaves((run.states.h, run.last)), leaves(tuple(case.cotangent)), strict=True)
    return (x, params, state), sum((a * torch.tensor(d)).sum() for a, d in pairs)


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("biases", ["both", "hh", "none"])
def test_autograd_traces_the_plain_forward_and_finds_the_written_gradient(cell, dtype, biases):
    """No `out=`, nothing in place: autograd's gradients lie within the referee's bound too, as the written ones do."""
    case = Plan(5, 3, 4, 2, seed=7, lengths=(5, 2, 4), biases=biases).case(cell, dtype)
    arguments, loss = traced(case)
    found = rebuild(arguments, [d.numpy() for d in torch.autograd.grad(loss, leaves(arguments))])
    named, judged = gradients(Result(*found)), case.judged(gradients=True)
    written = gradients(load("torch_twin").backward(case.call, case.cotangent))
    assert named.keys() == written.keys() - {"h_t", "c_t"}
    for name, array in named.items():
        assert judged[name].fraction(array)[0] <= 1
        assert judged[name].fraction(written[name])[0] <= 1


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
from impl import draw, spec
from impl.numpy_twin import array, embedding, exchange, head, loss, lstm, optim, rnn, rnn_relu, scan, stack
rng = draw.generator("no torch")
for cell in spec.GATES:
    model = spec.Model(draw.orthogonal(rng, cell, 3, 4), draw.head(rng, 5, 4))
    x = rng.normal(size=(6, 2, 3))
    run = scan.forward(cell, model.cell, x, lengths=np.array([6, 3]))
    y = head.forward(model.head, run.states.h)
    value, dy = loss.softmax_cross_entropy(y, rng.integers(0, 5, (6, 2)))
    fed = scan.feed_back(cell, model.cell, x[0], 3, lambda h: head.likeliest(model.head, h)[..., :3])
    dh, dhead = head.backward(model.head, run.states.h, dy)
    gradient = scan.backward(cell, model.cell, run.cache, dh)
    clipped, norm = optim.clip(spec.Model(gradient.params, dhead), 1.0)
    model, memory = optim.adam(model, clipped, optim.adam_start(model), 1e-3)
    layers = ((model.cell,),)
    layers = exchange.from_torch(exchange.to_torch(layers)) if cell in spec.COMMON else layers
    table, index = rng.normal(size=(7, 3)), rng.integers(0, 7, (6, 2))
    dtable = embedding.backward(table, index, embedding.look_up(table, index))
    deep = stack.backward(cell, layers, stack.forward(cell, layers, x).cache, dh)
    params, _ = optim.rmsprop(layers, deep.layers, optim.rmsprop_start(layers), 1e-3)
    assert all(np.isfinite(a).all() for a in spec.leaves(params))
    assert all(np.isfinite(a).all() for a in spec.leaves(fed))
    assert np.isfinite(dtable).all()
    assert np.isfinite(value) and np.isfinite(norm) and all(np.isfinite(a).all() for a in spec.leaves(model))
assert sys.modules["torch"] is None
print("ran")
"""


def test_the_numpy_twin_runs_where_torch_cannot_be_imported():
    """All its modules, spec and draw: forward, read-out, loss, backward, clipping and an update."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout.strip()) == (0, "ran"), done.stderr


def functions(tree):
    """Names and arguments of a file's functions, methods included, in order."""
    return [
        (n.name, ast.unparse(n.args)) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name != "convert"
    ]


def source(twin, module):
    """The text of a twin's module."""
    return inspect.getsource(part(twin, module))


@pytest.mark.parametrize("module", MODULES)
def test_both_twins_have_the_same_functions_in_the_same_order(module):
    """`diff -r` of the twins then shows the whole difference."""
    numpy_twin, torch_twin = (functions(ast.parse(source(twin, module))) for twin in ("numpy_twin", "torch_twin"))
    assert numpy_twin == torch_twin
    assert numpy_twin


def test_both_twins_have_the_same_files():
    """The fast forms, module.py with its switch, kernels/ and what they ask of torch apart, which only one has."""
    alone = {"fast", "fast_lstm", "fast_rnn", "module", "backend", "vendor", "tf32"}
    alone |= {"fast_products", "compiled", "__init__"}
    for twin in ("numpy_twin", "torch_twin"):
        files = {path.stem for path in Path(part(twin, "scan").__file__).parent.glob("*.py")}
        assert files - alone == set(MODULES)


AUTOGRAD = {"autograd", "requires_grad", "requires_grad_", "grad", "backward", "func", "vjp", "jvp", "nn"}
OWN = {"scan.backward", "loop.backward"}


def faults_of(twin, text):
    """Why a twin's module does not write its own backward out: what it uses of the other twin or of autograd."""
    other = {"numpy_twin": "torch_twin", "torch_twin": "numpy_twin"}[twin]
    nodes = list(ast.walk(ast.parse(text)))
    imported = [ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    borrowed = [line for line in imported if other in line or (twin == "numpy_twin" and re.search(r"\btorch\b", line))]
    return borrowed + [
        n.attr for n in nodes if isinstance(n, ast.Attribute) and n.attr in AUTOGRAD and ast.unparse(n) not in OWN
    ]


@pytest.mark.parametrize("twin", ["numpy_twin", "torch_twin"])
@pytest.mark.parametrize("module", MODULES)
def test_a_twin_writes_its_own_backward_out(twin, module):
    """Neither autograd nor the other twin stands in for it, so that three backwards can be compared."""
    assert faults_of(twin, source(twin, module)) == []


@pytest.mark.parametrize(
    ("twin", "line"),
    [
        ("torch_twin", "from impl.numpy_twin import lstm"),
        ("torch_twin", "import torch\nd = torch.autograd.grad(y, x)"),
        ("torch_twin", "import torch\nmodule = torch.nn.LSTM(3, 4)"),
        ("torch_twin", "loss.backward()"),
        ("torch_twin", "stack.scan.backward()"),
        ("numpy_twin", "import torch"),
        ("numpy_twin", "from torch import tanh"),
        ("numpy_twin", "from impl.torch_twin.scan import backward"),
    ],
)
def test_a_borrowed_backward_is_noticed(twin, line):
    """The check above is no formality: each way to borrow a backward is found."""
    assert faults_of(twin, source(twin, "lstm")) == []
    assert faults_of(twin, source(twin, "lstm") + "\n" + line)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"array"}))
def test_the_twins_differ_in_imports_and_in_a_few_lines(module):
    """Both are read side by side: no more than six lines differ."""
    texts = [source(twin, module).splitlines() for twin in ("numpy_twin", "torch_twin")]
    changed = [d for d in difflib.ndiff(*texts) if d[0] in "+-"]
    assert len(changed) <= 12, "\n".join(changed)


@pytest.mark.parametrize("name", sorted(registry()))
def test_a_law_calls_only_what_a_subject_offers(name):
    """A subject with the methods of properties.subject.Subject and nothing else can be put under every law."""
    twin, offered = load("numpy_twin"), [n for n in vars(Subject) if not n.startswith("_")]
    bare = SimpleNamespace(**{n: getattr(twin, n) for n in offered})
    few = settings(max_examples=3, derandomize=True, database=None, deadline=None, phases=(Phase.generate,))
    for law in registry()[name]:
        law.run(bare, law.cells[-1], "float64", few)


@pytest.mark.parametrize("biases", ["both", "none", "ih", "hh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", COMMON)
def test_a_group_may_have_lengths_of_its_own_for_each_model(cell, dtype, biases):
    """Lengths (E, B): every model's rows end where its own say, values and gradients within the bound."""
    case = Plan(5, 3, 4, 2, seed=9, E=2, biases=biases, lengths=((5, 0, 2), (1, 4, 5))).case(cell, dtype)
    judged = case.judged(gradients=True)
    for name in ("numpy_twin", "torch_twin"):
        subject = load(name)
        got = outputs(subject.forward(case.call)) | gradients(subject.backward(case.call, case.cotangent))
        assert {n: f for n, a in got.items() if (f := judged[n].fraction(a)[0]) > 1} == {}


@both
def test_arrays_go_in_and_out_in_memory_of_their_own(twin):
    """Whoever writes to a result changes no parameter, and the other way round."""
    given = PLAN.case("lstm", "float64").call.params
    held = into(twin, given)
    handed_out = out(twin, held)
    handed_out.weight_hh[...] = 0
    assert np.array_equal(out(twin, held).weight_hh, given.weight_hh)
    given.weight_ih[...] = 0
    assert out(twin, held).weight_ih.all()


@both
def test_arrays_that_run_backwards_come_in(twin):
    """A sequence turned in time, x[::-1], and a number without an axis."""
    for a in (np.arange(6.0).reshape(2, 3)[::-1, ::-1], np.ones((1, 2, 1))[::-1, :, ::-1], np.float64(2)):
        np.testing.assert_array_equal(out(twin, into(twin, a)), a)


@both
def test_arrays_come_in_from_another_byte_order_and_go_to_no_other_dtype_than_ours(twin):
    """Files of other machines hold such; what the loops would refuse later is refused on the way in."""
    for kind in ("f8", "f4", "i4"):
        given = np.arange(6).astype(f">{kind}"), np.arange(6).astype(f"<{kind}")
        for a in out(twin, into(twin, given)):
            assert a.dtype == kind and a.tolist() == [*range(6)]
    asarray = part(twin, "array").asarray
    for wrong in ("float16", "int64", "no_such", np.dtype("float32")):
        with pytest.raises(
            ValueError, match=rf"^`dtype` must be None or one of float32, float64; got {re.escape(repr(wrong))}\.$"
        ):
            asarray(np.ones(3), wrong)


def test_a_tensor_lies_in_memory_of_torch_and_in_one_layout():
    """Whatever the array's layout, also one that cannot be written: from the start of a line of cache, without gaps."""
    locked, a = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3)
    locked.flags.writeable = False
    for given in (a, locked, a.T, a[::-1], a[:, ::2], np.broadcast_to(a, (2, 2, 3)), np.array(2.0), np.ones((2, 0))):
        with warnings.catch_warnings(action="error"):
            tensor = into("torch_twin", given)
        assert out("torch_twin", tensor).tobytes() == given.tobytes() and tensor.shape == given.shape
        assert tensor.is_contiguous() and tensor.data_ptr() % 64 == 0
        tensor.fill_(7)
        assert not (given == 7).any()


def test_tensors_are_made_on_torchs_default_device():
    """As torch makes its own, unless another is named."""
    with torch.device("meta"):
        assert into("torch_twin", np.ones(3)).device.type == "meta"
        assert part("torch_twin", "array").asarray(np.ones(3), device="cpu").device.type == "cpu"


@both
@pytest.mark.parametrize("cell", COMMON)
def test_the_initial_state_may_be_overwritten_between_forward_and_backward(twin, cell):
    """The cache keeps the first state as it was: a caller that reuses its buffers gets the same gradient."""
    case = PLAN.case(cell, "float64")
    params, x, state, lengths = (into(twin, t) for t in list(vars(case.call).values())[1:5])
    dh, dlast = into(twin, tuple(case.cotangent))
    loop, found = part(twin, "scan"), []
    for overwrite in (False, True):
        run = loop.forward(cell, params, x, state, lengths)
        if overwrite:
            state.h[...] = 0
        found.append(out(twin, tuple(loop.backward(cell, params, run.cache, dh, dlast))))
    assert same(*found)


@both
@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("E", [None, 2])
def test_a_sequence_of_no_steps_hands_state_and_cotangent_through(twin, cell, E):
    """T = 0: the last state is the first, its gradient the cotangent, both in memory of their own; the rest is zero."""
    case = Plan(5, 3, 4, 2, seed=7, E=E).case(cell, "float64")
    params, x, state = into(twin, (case.call.params, case.call.x[:0], case.call.state))
    dh, dlast = into(twin, (case.cotangent.h[:0], case.cotangent.last))
    loop = part(twin, "scan")
    run = loop.forward(cell, params, x, state)
    gradient = loop.backward(cell, params, run.cache, dh, dlast)
    for got, from_ in ((run.last, state), (gradient.state, dlast)):
        assert same(out(twin, got), out(twin, from_))
        got.h[...] = 7
        assert not (from_.h == 7).any()
    assert run.states.h.shape == dh.shape and gradient.x.shape == x.shape
    assert not any(a.any() for a in leaves(out(twin, gradient.params)))


def test_the_twins_take_a_device_and_say_which_they_lack():
    """The torch twin puts arrays where it is told; the NumPy twin refuses any place but the CPU, by name."""
    tree = PLAN.case("lstm", "float32").call.params
    assert all(leaf.device.type == "meta" for leaf in leaves(part("torch_twin", "array").asarray(tree, device="meta")))
    assert all(leaf.dtype == np.float64 for leaf in leaves(part("numpy_twin", "array").asarray(tree, "float64", "cpu")))
    with pytest.raises(ValueError, match="`device` must be cpu, since this is the NumPy twin; got 'cuda'"):
        part("numpy_twin", "array").asarray(tree, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch sees none")
@pytest.mark.parametrize("cell", COMMON)
def test_the_torch_twin_is_right_on_a_gpu(cell):
    """Float64 values and gradients on CUDA lie within the referee's bound."""
    case, array = PLAN.case(cell, "float64"), part("torch_twin", "array")
    params, x, state, lengths = (
        array.asarray(getattr(case.call, name), device="cuda") for name in ("params", "x", "state", "lengths")
    )
    dh, dlast = (array.asarray(t, device="cuda") for t in case.cotangent)
    run = scan.forward(cell, params, x, state, lengths)
    got = array.numpy(tuple(scan.backward(cell, params, run.cache, dh, dlast)))
    judged = case.judged(gradients=True)
    assert judged["h"].fraction(array.numpy(run.states.h))[0] <= 1
    assert judged["x"].fraction(got[0])[0] <= 1
    assert judged["weight_hh"].fraction(got[1].weight_hh)[0] <= 1


@pytest.mark.parametrize("word", ["no_such_module", "properties.laws:TALLY"])
def test_a_subject_that_cannot_be_loaded_is_a_usage_error_in_one_line(word):
    """Exit code 4, pytest's own for wrong usage; the message names the word and what would do."""
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "properties/test_dtype.py", f"--subject={word}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert done.returncode == 4
    assert len(lines) == 1
    assert re.match(r"ERROR: --subject.*" + re.escape(word), lines[0])


def test_arguments_are_arrays_alone():
    """`arrays` lists all that a law may compare, poison or lock: parameters, x, state, lengths."""
    call = PLAN.case("lstm", "float32").call
    assert len(arrays(call)) == 4 + 1 + 2 + 1
