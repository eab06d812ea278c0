"""The modules as drop-ins for torch.nn's: a user's script changes one import line, and everything else stays."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from impl.spec import STATES, Parameters, leaves, tree_map
from impl.torch_twin import backend, module, scan
from impl.torch_twin.exchange import from_torch, to_onnx, to_torch
from properties.cases import Plan, gradients, judge, judge_once, judge_stack, outputs
from properties.check import check_subject
from properties.subject import Call, Cotangent, Stack
from properties.subjects.torch_module import TorchModule

KINDS = ("LSTM", "RNN")
ENGINES = ("eager", "vendor")
OPTIONS = (
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 3, "dtype": torch.float64},
)


def pair(kind, *args, seed=0, **options):
    """torch.nn's module and ours, each made from the same state of torch's generator."""
    made = []
    for source, more in ((nn, {}), (module, {"backend": options.pop("backend", "auto")})):
        torch.manual_seed(seed)
        made.append(getattr(source, kind)(*args, **options, **more))
    return made


def same(one, other):
    """Whether two trees, lists or dicts of tensors hold the same bits."""
    one, other = ([*a.values()] if isinstance(a, dict) else [*a] for a in (one, other))
    return len(one) == len(other) and all(map(torch.equal, one, other))


# A script


SCRIPT = """
import torch
from torch.nn import LSTM

torch.manual_seed(1)
model, head = LSTM(3, 5), torch.nn.Linear(5, 2)
optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=0.02)
losses, steps = [], []
for _ in range(50):
    x, target = torch.randn(6, 4, 3), torch.randn(6, 4, 2)
    h, _ = model(x)
    h.retain_grad()
    loss = torch.nn.functional.mse_loss(head(h), target + x.cumsum(0)[..., :2])
    optimiser.zero_grad()
    loss.backward()
    steps.append((x, h.grad, [(p.detach().clone(), p.grad.clone()) for p in model.parameters()]))
    optimiser.step()
    losses.append(loss.item())
final = [p.detach().clone() for p in model.parameters()]
"""
"""What a user may have; `steps` keeps what the referee asks for."""

CHANGES = {
    "torch.nn": ("from torch.nn import LSTM", "from torch.nn import LSTM"),
    "auto": ("from torch.nn import LSTM", "from impl.torch_twin.module import LSTM"),
    "eager": ("from torch.nn import LSTM", "from functools import partial; from impl.torch_twin import module\n"
              "LSTM = partial(module.LSTM, backend='eager')"),
}  # fmt: skip


def trained(change, kind="LSTM"):
    """What the script leaves behind, with its import line changed."""
    old, new = CHANGES[change]
    found = {}
    assert SCRIPT.count(old) == 1
    exec(compile(SCRIPT.replace(old, new).replace("LSTM", kind), f"script with {change}", "exec"), found)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_updates_with_the_import_line_changed(kind, record_property):
    """Each gradient is exact at the module's own parameters, and the updates by its own gradients, within the bounds.

    As the law "training" states it: after many steps rounding alone decides what separates two correct modules, so the
    difference from torch.nn's parameters is told, and no bound is made up for it. Of the engine that is torch's own
    kernels there is none, to the bit.
    """
    runs = {change: trained(change, kind) for change in CHANGES}
    for change, run in runs.items():
        for n in (0, 1, 7, 24, 49):
            assert worst_of_step(kind, run["steps"][n]) <= 1, (change, n)
        assert worst_of_updates(run) <= 1, change
    for change in ("auto", "eager"):
        pairs = zip(runs[change]["final"], runs["torch.nn"]["final"], strict=True)
        off = max(float((a - b).abs().max()) for a, b in pairs)
        record_property(f"largest difference of {change} from torch.nn", off)
    assert runs["auto"]["losses"] == runs["torch.nn"]["losses"]
    assert same(runs["auto"]["final"], runs["torch.nn"]["final"])
    assert runs["torch.nn"]["losses"][-1] < 0.7 * runs["torch.nn"]["losses"][0]


def worst_of_step(kind, step):
    """The worst fraction of its bound that a gradient takes, at the parameters it was taken at."""
    x, dh, each = step
    params, found = (Parameters(*(a.numpy() for a in some)) for some in zip(*each, strict=True))
    state = STATES[kind.lower()](*[np.zeros((4, 5), "float32") for _ in STATES[kind.lower()]._fields])
    call = Call(kind.lower(), params, x.numpy(), state)
    judged = judge(call, Cotangent(dh.numpy(), state), "float32")
    return max(judged[name].fraction(a)[0] for name, a in found._asdict().items())


def worst_of_updates(run):
    """The same of the last parameters, after all updates by the run's own gradients."""
    first, *_ = (
        {n: p.numpy() for n, (p, _) in zip(Parameters._fields, each, strict=True)} for *_, each in run["steps"]
    )
    given = [{n: g.numpy() for n, (_, g) in zip(Parameters._fields, each, strict=True)} for *_, each in run["steps"]]
    judged = judge_once("judge_update", "adam", first, given, dtype="float32", lr=0.02)[-1]
    return max(judged[n].fraction(a.numpy())[0] for n, a in zip(Parameters._fields, run["final"], strict=True))


# Parameters


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_names_shapes_order_and_initial_bits_are_torchs(kind, options):
    """The same seed gives the same parameters, and leaves torch's generator where torch.nn leaves it."""
    (theirs, mine), after = pair(kind, 3, 4, seed=5, **options), torch.rand(1)
    torch.manual_seed(5)
    getattr(nn, kind)(3, 4, **options)
    assert torch.equal(torch.rand(1), after)
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert same(mine.parameters(), theirs.parameters())
    assert [len(side) for side in mine.all_weights] == [len(side) for side in theirs.all_weights]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_go_both_ways_to_the_bit(kind, options):
    """Strictly, through a file, and by `exchange` as layers."""
    theirs, mine = pair(kind, 3, 4, **options)
    torch.manual_seed(9)
    other = getattr(nn, kind)(3, 4, **options)
    file = io.BytesIO()
    torch.save(other.state_dict(), file)
    file.seek(0)
    mine.load_state_dict(torch.load(file), strict=True)
    theirs.load_state_dict(mine.state_dict(), strict=True)
    assert same(theirs.state_dict(), other.state_dict()) and list(mine.state_dict()) == list(other.state_dict())
    assert same(leaves(from_torch(other.state_dict())), leaves(mine.layers()))
    again = getattr(module, kind).from_layers(mine.layers())
    assert same(again.parameters(), mine.parameters())
    with torch.no_grad():
        again.weight_hh_l0.zero_()
    assert mine.weight_hh_l0.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_starts_as_modules_made_one_after_the_other(kind):
    """Model e has the bits of the e-th torch.nn module."""
    torch.manual_seed(3)
    each = [getattr(nn, kind)(3, 4, 2) for _ in range(3)]
    torch.manual_seed(3)
    group = getattr(module, kind)(3, 4, 2, ensemble=3)
    assert same(group.parameters(), [torch.stack(parts) for parts in zip(*(m.parameters() for m in each), strict=True)])


def test_copies_pickles_and_conversions_are_modules_of_their_own():
    """deepcopy, pickle, .to(dtype); none shares memory with what it was made from."""
    mine = module.LSTM(3, 4, ensemble=2, backend="vendor", batch_first=True)
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert repr(other) == repr(mine) and same(other.parameters(), mine.parameters())
        other.weight_hh_l0.data.zero_()
    assert mine.weight_hh_l0.any()
    assert mine.double()(torch.zeros(2, 5, 3, dtype=torch.float64))[0].dtype == torch.float64
    assert mine.flatten_parameters() is None


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (module.LSTM(3, 4), "LSTM(3, 4)"),
        (
            module.LSTM(3, 4, 2, bias=False, batch_first=True, dropout=0.5, bidirectional=True),
            "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)",
        ),
        (module.RNN(3, 4, nonlinearity="relu", ensemble=2), "RNN(3, 4, ensemble=2, nonlinearity='relu')"),
        (module.RNN(3, 4, backend="eager"), "RNN(3, 4, backend='eager')"),
    ],
)
def test_a_module_shows_what_is_not_as_usual(made, text):
    """As torch.nn's do."""
    assert repr(made) == text


class Counted(nn.Module):
    """A parametrization that counts how often it is computed."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def forward(self, weight):
        """The weight."""
        self.times += 1
        return weight


@pytest.mark.parametrize("kind", KINDS)
def test_a_parametrized_weight_is_computed_once_a_call(kind):
    """spectral_norm iterates, and orthogonal multiplies, at each computation."""
    net, x = getattr(module, kind)(3, 4, num_layers=2, bidirectional=True), torch.zeros(5, 2, 3)
    state = torch.zeros(4, 2, 4)
    hx = (state, state) if kind == "LSTM" else state
    counts = {name: Counted() for name in net.shapes()}
    for name, count in counts.items():
        nn.utils.parametrize.register_parametrization(net, name, count)
    for call in (net, net.explain):
        for args in ((x,), (x, hx), (pack_padded_sequence(x, [5, 2]), hx)):
            for count in counts.values():
                count.times = 0
            call(*args)
            assert {name: count.times for name, count in counts.items()} == dict.fromkeys(counts, 1)


# Calls


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_without_a_batch_is_a_batch_of_one(kind, engine):
    """(T, D) in, (T, H) and states (layers, H) out, in either layout; the shapes are those of torch.nn."""
    for batch_first in (False, True):
        theirs, mine = pair(kind, 3, 4, 2, batch_first=batch_first, backend=engine)
        x, h0 = torch.randn(5, 3), torch.randn(2, 4)
        hx = (h0, h0) if kind == "LSTM" else h0
        got, wanted = mine(x, hx), theirs(x, hx)
        whole, _ = mine(x.unsqueeze(0 if batch_first else 1), tree_map(lambda a: a[:, None], hx))
        assert tree_map(lambda a: a.shape, got) == tree_map(lambda a: a.shape, wanted)
        assert torch.equal(got[0], whole.squeeze(0 if batch_first else 1))


@pytest.mark.parametrize("step", [1, -1])
def test_lengths_of_numpy_are_kept_as_they_were_in_whatever_layout(step):
    """A caller that reuses its buffer gets the same gradient of a gradient, and sorted lengths may run backwards."""
    lstm, x = module.LSTM(3, 4), X.clone().requires_grad_()
    found = []
    for overwrite in (False, True):
        lengths = np.array([5, 2][::step])[::step]
        h, _ = lstm(x, lengths=lengths)
        lengths[...] = 1 if overwrite else lengths
        found += torch.autograd.grad(h.square().sum(), x, create_graph=True)
    assert torch.equal(*found) and found[0][4, 0].any() and not found[0][2:, 1].any()


def packed_case(order):
    """Rows of lengths in some order, packed; and what the lengths are."""
    lengths = torch.tensor(order)
    x = torch.randn(5, 4, 3, requires_grad=True)
    return x, lengths, pack_padded_sequence(x, lengths, enforce_sorted=list(order) == sorted(order, reverse=True))


@pytest.mark.parametrize("order", [(5, 4, 2, 1), (2, 5, 1, 4)])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_packed_rows_come_back_packed(kind, engine, order):
    """Sizes and indices are kept; the data are exact, and are those of `lengths` without packing."""
    theirs, mine = pair(kind, 3, 4, 2, bidirectional=True, backend=engine)
    x, lengths, packed = packed_case(order)
    part = torch.randn(4, 4, 4)
    hx = (part, part + 1) if kind == "LSTM" else part
    (y, last), (wanted, _), (h, last_of_rows) = mine(packed, hx), theirs(packed, hx), mine(x, hx, lengths=lengths)
    assert y.data.shape == wanted.data.shape and torch.equal(y.batch_sizes, wanted.batch_sizes)
    for got, their in ((y.sorted_indices, wanted.sorted_indices), (y.unsorted_indices, wanted.unsorted_indices)):
        assert (got is None and their is None) or torch.equal(got, their)
    whole, _ = pad_packed_sequence(y)
    state = tuple(tuple(states_of(kind, hx, 2 * k + d) for d in range(2)) for k in range(2))
    layers = tree_map(lambda a: a.detach().numpy(), mine.layers())
    call = Stack(kind.lower(), layers, x.detach().numpy(), state, lengths.numpy())
    judged = judge_stack(call, Cotangent(None, None), "float32")["h"]
    assert judged.fraction(whole.detach().numpy())[0] <= 1 and judged.fraction(h.detach().numpy())[0] <= 1
    assert [a.shape for a in leaves(last)] == [a.shape for a in leaves(last_of_rows)]
    if order == (5, 4, 2, 1):
        assert torch.equal(whole, h) and same(leaves(last), leaves(last_of_rows))
    (dx,) = torch.autograd.grad(y.data.sum(), x)
    assert not dx[lengths <= torch.arange(5)[:, None]].any()


def states_of(kind, hx, n):
    """The n-th initial state as NumPy arrays."""
    return STATES[kind.lower()](*(part[n].numpy() for part in (hx if kind == "LSTM" else (hx,))))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_draws_what_torch_nn_draws(kind, packed):
    """The same seed drops the same units, of a batch and of packed rows: with torch's own kernels, the same bits."""
    theirs, mine = pair(kind, 3, 4, 3, dropout=0.4, dtype=torch.float64, backend="vendor")
    x = torch.randn(5, 4, 3, dtype=torch.float64)
    given = pack_padded_sequence(x, torch.tensor([5, 4, 2, 1])) if packed else x
    found = []
    for one in (theirs, mine):
        torch.manual_seed(11)
        h, last = one(given)
        found.append([h.data if packed else h, *leaves(last)])
    assert same(*found)
    assert not torch.equal(mine.eval()(x)[0], mine.train()(x)[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_group_of_64_is_its_models(cell, engine):
    """Values and gradients of each are those of the model alone, within the referee's bound."""
    subject = type("Engine", (TorchModule,), {"backend": engine})()
    case = Plan(4, 3, 1, 2, seed=5, E=64, shared=True).case(cell, "float32")
    got = outputs(subject.forward(case.call)) | gradients(subject.backward(case.call, case.cotangent))
    judged = case.judged(gradients=True)
    assert {n: f for n, a in got.items() if (f := judged[n].fraction(a)[0]) > 1} == {}


def test_a_group_takes_a_shared_x_or_one_for_each_in_either_layout():
    """(T, B, D) is (T, E, B, D) with equal models; batch first stands (E, B, T, D)."""
    group = module.LSTM(3, 4, 2, ensemble=5, bidirectional=True)
    first = copy.deepcopy(group)
    first.batch_first = True
    x, hx = torch.randn(6, 2, 3), (torch.randn(4, 5, 2, 4), torch.randn(4, 5, 2, 4))
    wanted, last = group(x, hx)
    assert wanted.shape == (6, 5, 2, 8) and [a.shape for a in last] == [(4, 5, 2, 4)] * 2
    assert torch.equal(group(x[:, None].expand(6, 5, 2, 3), hx)[0], wanted)
    for given in (x.transpose(0, 1), x.transpose(0, 1).expand(5, 2, 6, 3)):
        h, again = first(given, hx)
        assert torch.equal(h, wanted.permute(1, 2, 0, 3)) and same(again, last)


LAWS = {
    "vendor": ("backward again", "empty time", "ensemble", "lengths", "second order", "stacked", "updates", "vjp"),
    "auto": ("ensemble", "value"),
}


@pytest.mark.parametrize("engine", LAWS)
def test_the_laws_hold_on_the_other_engines_too(engine):
    """The subject torch_module judges "eager" in full; here a few cases of the laws that ask most of a module."""
    engine_of = {"backend": engine, "name": f"torch_module ({engine})"}
    checks = check_subject(type("Engine", (TorchModule,), engine_of)(), LAWS[engine], 3)
    assert checks.holds, str(checks)


# Gradients


def function_of(made):
    """A module as a function of x, the initial state and its parameters, with its arguments; lengths are given."""
    names = [name for name, _ in made.named_parameters()]
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True) for _ in STATES[made.cell]._fields]

    def run(x, *given):
        hx, params = given[: len(state)], given[len(state) :]
        hx = hx if len(hx) > 1 else hx[0]
        named = dict(zip(names, params, strict=True))
        h, last = torch.func.functional_call(made, named, (x, hx), {"lengths": torch.tensor([3, 1])})
        return h, *leaves(last if isinstance(last, tuple) else (last,))

    return run, (x, *state, *(p.detach().requires_grad_() for p in made.parameters()))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_double_backward_agree_with_differences(kind, engine):
    """torch's own check, by every argument, with a row that ends early; nothing is silently zero."""
    torch.manual_seed(0)
    run, given = function_of(getattr(module, kind)(2, 2, dtype=torch.float64, backend=engine))
    assert torch.autograd.gradcheck(run, given)
    assert torch.autograd.gradgradcheck(run, given)


def test_fused_kernels_train_and_have_a_double_backward():
    """Under triton's interpreter, in float64: the same check."""
    pytest.importorskip("triton")
    pytest.importorskip("impl.torch_twin.kernels.fused")
    torch.manual_seed(0)
    run, given = function_of(module.RNN(2, 2, dtype=torch.float64, backend="fused"))
    assert torch.autograd.gradcheck(run, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, given, fast_mode=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_needs_no_gradient_gets_none(engine):
    """x without one, and frozen parameters; the others keep their bits."""
    made, x = module.LSTM(3, 4, backend=engine), torch.randn(5, 2, 3)
    made(x)[0].sum().backward()
    wanted = made.weight_hh_l0.grad.clone()
    made.zero_grad()
    made.weight_ih_l0.requires_grad_(False)
    made(x)[0].sum().backward()
    assert made.weight_ih_l0.grad is None and torch.equal(made.weight_hh_l0.grad, wanted)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("twice", [False, True])
def test_of_frozen_layers_no_parameters_gradient_is_computed(engine, twice, monkeypatch):
    """Only where all four are frozen; those by x and by the state keep their bits, also in a graph of the gradient."""
    made, asked = module.LSTM(3, 4, num_layers=2, backend=engine), []
    loop = scan if twice else backend  # of a gradient that is to be differentiated, autograd traces the plain loop
    inner = loop.backward
    monkeypatch.setattr(loop, "backward", lambda *given: asked.append(set(given[-1])) or inner(*given))
    given = [torch.randn(s, requires_grad=True) for s in ((5, 2, 3), (2, 2, 4), (2, 2, 4))]

    def gradients():
        asked.clear()
        y, last = made(given[0], tuple(given[1:]))
        return torch.autograd.grad(y.sum() + sum(a.sum() for a in last), given, create_graph=twice)

    wanted = gradients()
    assert asked == [{"states"}] * 2
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        getattr(made, name).requires_grad_(False)
    assert all(map(torch.equal, gradients(), wanted)) and asked == [{"states"}] * 2
    made.bias_hh_l0.requires_grad_(False)
    assert all(map(torch.equal, gradients(), wanted)) and asked == [{"states"}, {"states", "params"}]
    made.requires_grad_(False)
    assert all(map(torch.equal, gradients(), wanted)) and asked == [{"states", "params"}] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_backward_frees_its_record_unless_the_graph_is_kept(engine):
    """A loss that is still held keeps no record: as torch's own layers, two steps of training hold one."""
    made, x = module.LSTM(3, 4, backend=engine), torch.randn(5, 2, 3)
    h, _ = made(x)
    node, loss = h.grad_fn, h.sum()
    loss.backward(retain_graph=True)
    assert node.cache is not None
    loss.backward()
    assert node.cache is None
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()
    gone = weakref.ref(node)
    gc.disable()
    try:
        del node, loss, h, _
        assert gone() is None, "a cycle of references holds the graph"
    finally:
        gc.enable()


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_overwritten_between_forward_and_backward_raise(engine):
    """As in torch: never the gradient at other numbers."""
    made = module.LSTM(3, 4, backend=engine)
    loss = made(torch.randn(5, 2, 3))[0].sum()
    with torch.no_grad():
        made.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# Modes


@pytest.mark.parametrize("engine", ENGINES)
def test_no_grad_and_inference_mode_give_the_same_values(engine):
    """And no record."""
    made, x = (
        module.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64, backend=engine),
        torch.randn(5, 2, 3).double(),
    )
    wanted = made(x)[0]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            h, _ = made(x.clone())
            assert not h.requires_grad and torch.equal(h, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_autocast_leaves_the_layers_in_their_own_dtype(engine):
    """A half-precision x, as a layer below gives it, is taken at its value; gradients and double backward run."""
    made, below = module.LSTM(3, 4, backend=engine), nn.Linear(3, 3)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = below(x)
        h, _ = made(z)
    assert z.dtype == torch.bfloat16 and h.dtype == torch.float32
    assert torch.equal(h, made(z.float())[0])
    h.sum().backward()
    got, made.weight_hh_l0.grad = made.weight_hh_l0.grad, None
    made(z.detach().float())[0].sum().backward()
    assert torch.equal(got, made.weight_hh_l0.grad) and below.weight.grad.any()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # dynamo's own
@pytest.mark.parametrize("engine", ENGINES)
def test_compiled_models_give_the_same(engine):
    """torch.compile leaves the layers alone and compiles what stands around, for any number of steps."""
    model = nn.ModuleDict({"layer": module.LSTM(3, 4, backend=engine), "head": nn.Linear(4, 2)})

    def run(x):
        return model["head"](model["layer"](x * 2)[0]).square().sum()

    compiled = torch.compile(run, backend="eager", dynamic=True)
    for T in (3, 5, 8):
        x, found = torch.randn(T, 2, 3), []
        for one in (run, compiled):
            model.zero_grad()
            loss = one(x)
            loss.backward()
            found.append([loss, *(p.grad.clone() for p in model.parameters())])
        assert same(*found)
    whole = torch.compile(model["layer"], backend="eager")
    assert torch.equal(whole(x)[0], model["layer"](x)[0])


@pytest.mark.parametrize("grad", [True, False])
def test_transforms_that_are_not_supported_raise(grad):
    """vmap, grad and forward-mode differentiation: an error, never a wrong number."""
    made, x = module.LSTM(3, 4), torch.randn(5, 2, 3)
    with torch.set_grad_enabled(grad):
        for transform in (torch.func.vmap(lambda z: made(z)[0]), torch.func.grad(lambda z: made(z)[0].sum())):
            with pytest.raises(RuntimeError, match="setup_context"):
                transform(torch.stack([x, x]) if "vmap" in transform.__qualname__ else x)


def test_the_meta_device_tells_shapes():
    """As torch.nn's modules do."""
    h, (hT, _) = module.LSTM(3, 4, 2, device="meta")(torch.zeros(5, 2, 3, device="meta"))
    assert (h.shape, hT.shape, h.device.type) == ((5, 2, 4), (2, 2, 4), "meta")


# What is explained and refused


def test_explain_tells_the_engine_of_a_call():
    """One text for all layers that run alike."""
    text = module.LSTM(3, 4, 2).explain(torch.zeros(5, 2, 3))
    assert [line.split(":")[0] for line in text.splitlines()] == ["vendor", "not eager", "not fused"]
    text = module.RNN(3, 4, ensemble=8).explain(torch.zeros(5, 2, 3))
    assert text.startswith("eager: it runs a group as one computation") and "not vendor: it can do it too" in text


X = torch.zeros(5, 2, 3)
STATE = torch.zeros(1, 2, 4)


@pytest.mark.parametrize(
    ("ask", "kind", "sentence"),
    [
        (lambda: module.LSTM(3.0, 4), TypeError, "`input_size` must be an integer; got float."),
        (lambda: module.LSTM(3, 0), ValueError, "`hidden_size` must be greater than zero; got 0."),
        (lambda: module.RNN(3, 4, 0), ValueError, "`num_layers` must be greater than zero; got 0."),
        (lambda: module.RNN(3, 4, nonlinearity="sine"), ValueError,
         "`nonlinearity` must be 'tanh' or 'relu'; got 'sine'."),
        (lambda: module.LSTM(3, 4, bias=1), TypeError, "`bias` must be a bool; got int."),
        (lambda: module.LSTM(3, 4, batch_first=None), TypeError, "`batch_first` must be a bool; got NoneType."),
        (lambda: module.LSTM(3, 4, dropout=2), ValueError,
         "`dropout` must be a number from 0 to 1, a probability; got 2."),
        (lambda: module.LSTM(3, 4, proj_size=2), ValueError,
         "`proj_size` must be 0, since projections are not supported; got 2."),
        (lambda: module.LSTM(3, 4, dtype=torch.float16), TypeError,
         "`dtype` must be float32 or float64; got torch.float16."),
        (lambda: module.LSTM(3, 4, ensemble=0), ValueError, "`ensemble` must be greater than zero; got 0."),
        (lambda: module.LSTM(3, 4, backend="cudnn"), ValueError,
         "`backend` must be one of auto, eager, fused, vendor; got 'cudnn'."),
        (lambda: module.LSTM(3, 4, precision="half"), ValueError,
         "`precision` must be one of ieee, tf32, tf32x3, bf16; got 'half'."),
        (lambda: module.LSTM(3, 4)([1, 2]), TypeError, "`x` must be a tensor or a PackedSequence; got list."),
        (lambda: module.LSTM(3, 4)(X[..., :2]), ValueError,
         "`x` must have shape (T, B, D) with D=3, since weight_ih_l0 is (16, 3); got (5, 2, 2)."),
        (lambda: module.LSTM(3, 4, batch_first=True)(X[None]), ValueError,
         "`x` must have shape (B, T, D) with D=3, since weight_ih_l0 is (16, 3); got (1, 5, 2, 3)."),
        (lambda: module.LSTM(3, 4, ensemble=2)(X[:, 0]), ValueError,
         "`x` must have shape (T, B, D) or (T, E, B, D) with D=3, E=2, since weight_ih_l0 is (2, 16, 3); got (5, 3)."),
        (lambda: module.LSTM(3, 4)(X.double()), TypeError,
         "`x` must be torch.float32, since all arrays of a call share one dtype; got torch.float64."),
        (lambda: module.LSTM(3, 4).half()(X.half()), TypeError, "`x` must be float32 or float64; got torch.float16."),
        (lambda: module.LSTM(3, 4)(X, STATE), TypeError,
         "`hx` must be a pair of tensors, h and c, since the cell is lstm; got a Tensor."),
        (lambda: module.LSTM(3, 4)(X, (STATE,)), TypeError,
         "`hx` must be a pair of tensors, h and c, since the cell is lstm; got a tuple of 1."),
        (lambda: module.RNN(3, 4)(X, (STATE, STATE)), TypeError,
         "`hx` must be a tensor h, since the cell is rnn; got a tuple of 2."),
        (lambda: module.LSTM(3, 4, 2)(X, (torch.zeros(2, 2, 4), STATE)), ValueError,
         "`state.c` must have shape (2, 2, 4), since `x` has the batch (2,), and num_layers * directions is 2; "
         "got (1, 2, 4)."),
        (lambda: module.LSTM(3, 4)(X[:, 0], (STATE, STATE)), ValueError,
         "`state.h` must have shape (1, 4), since `x` has no batch, and num_layers * directions is 1; got (1, 2, 4)."),
        (lambda: module.LSTM(3, 4).half()(X), TypeError,
         "`weight_ih_l0` must be float32 or float64; got torch.float16."),
        (lambda: module.LSTM(3, 4)(X.half()), TypeError,
         "`x` must be torch.float32, since all arrays of a call share one dtype; got torch.float16."),
        (lambda: module.LSTM(3, 4)(X, lengths=[5, 6]), ValueError,
         "`lengths` must lie in 0..5, since x has T=5 steps; got [6]."),
        (lambda: module.LSTM(3, 4)(X, lengths=torch.ones(2)), TypeError,
         "`lengths` must hold integers, since they count steps; got dtype torch.float32."),
        (lambda: module.LSTM(3, 4)(pack_padded_sequence(X, [5, 2]), lengths=[5, 2]), ValueError,
         "`lengths` must be None, since a PackedSequence has its own; got both."),
        (lambda: module.LSTM(3, 4, ensemble=2)(pack_padded_sequence(X, [5, 2])), ValueError,
         "`x` must be a tensor, since an ensemble takes `lengths`; got a PackedSequence."),
        (lambda: module.LSTM(3, 4, precision="bf16", backend="eager")(X), ValueError,
         "`backend` cannot be 'eager': torch's products on cpu have the precision 'ieee' as torch is set, not 'bf16'."),
        (lambda: module.RNN.from_layers(((Parameters(X[0], torch.zeros(2, 2), torch.zeros(2)),),)), ValueError,
         "`bias_hh_l0` must be given, since a module has all biases or none; got None."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(ask, kind, sentence):
    """The argument, the rule and what came; x stands for `input`, state.h and state.c for `hx`."""
    with pytest.raises(kind) as error:
        ask()
    assert str(error.value) == sentence


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_state_may_be_detached_in_place(kind, layers):
    """The idiom of truncated back-propagation: h.detach_() from chunk to chunk."""
    net = getattr(module, kind)(3, 4, layers)
    hx = None
    for _ in range(2):
        y, hx = net(torch.zeros(5, 2, 3), hx)
        y.sum().backward()
        for a in leaves(hx) if isinstance(hx, tuple) else [hx]:
            assert not a.detach_().requires_grad


@pytest.mark.parametrize(
    ("name", "shape", "rule"),
    [
        ("weight_hh_l0", (16, 3), "must have shape (12, 3), since the cell is lstm, 4 blocks of H=3 rows;"),
        ("weight_hh_l1", (16, 3), "must have shape (12, 3), since the cell is lstm, 4 blocks of H=3 rows;"),
        ("bias_ih_l1", (15,), "must have shape (16,), since weight_hh_l1 is (16, 4);"),
        ("weight_ih_l1", (16, 3), "must have shape (16, 4), since weight_hh_l0 is (16, 4), in 1 direction;"),
    ],
)  # fmt: skip
def test_a_parameter_that_was_replaced_is_named_with_its_layer(name, shape, rule):
    """By the module's own name, in a call as in `explain`."""
    net = module.LSTM(3, 4, 2)
    setattr(net, name, nn.Parameter(torch.zeros(shape)))
    for ask in (net, net.explain):
        with pytest.raises(ValueError) as error:
            ask(X)
        assert str(error.value) == f"`{name}` {rule} got {shape}."


def test_from_layers_refuses_what_the_parameters_say_and_arrays_of_numpy():
    """An option that would be overwritten, by name; parameters as draw.py gives them, with what converts them."""
    held = module.LSTM(3, 4, dtype=torch.float64).layers()
    told = {"num_layers": 3, "bias": False, "bidirectional": True, "ensemble": 2, "device": "meta", "input_size": 3}
    for name, value in (told | {"dtype": torch.float32, "hidden_size": 4}).items():
        with pytest.raises(TypeError, match=f"`{name}` must not be given, since the parameters say it; got {value!r}"):
            module.LSTM.from_layers(held, **{name: value})
    assert module.LSTM.from_layers(held, batch_first=True, backend="eager").batch_first
    with pytest.raises(
        TypeError, match=r"`weight_ih_l0` must be a tensor of torch, .*array.asarray.* got numpy.ndarray"
    ):
        module.LSTM.from_layers(tree_map(lambda a: a.detach().numpy(), held))


def test_what_goes_into_other_layouts_is_without_a_graph():
    """As torch's own state dict: to be copied, pickled or handed to NumPy."""
    net = module.LSTM(3, 4)
    for named in (to_torch(net.layers()), to_onnx("lstm", net.layers()[0])):
        assert not any(a.requires_grad for a in copy.deepcopy(named).values())
    assert all(a.requires_grad for a in leaves(from_torch(dict(net.named_parameters()))))  # there the graph is kept


def test_a_bias_that_is_gone_is_not_taken_for_none():
    """A module has all biases or none: as torch.nn says."""
    net = module.LSTM(3, 4)
    del net.bias_hh_l0
    with pytest.raises(AttributeError, match="bias_hh_l0"):
        net(torch.zeros(5, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_cotangents_may_come_in_a_batch(kind, engine):
    """What jacobian(vectorize=True) does; every one as alone."""
    net, x = getattr(module, kind)(3, 4, backend=engine), torch.randn(5, 2, 3, requires_grad=True)
    y, _ = net(x)
    some = torch.randn(3, *y.shape)
    batched = torch.autograd.grad(y, x, some, is_grads_batched=True, retain_graph=True)[0]
    for one, d in zip(batched, some, strict=True):
        torch.testing.assert_close(one, torch.autograd.grad(y, x, d, retain_graph=True)[0])


def test_torch_fx_traces_around_a_layer_that_its_tracer_takes_for_a_leaf():
    """By itself it takes torch.nn's own for leaves alone, and would trace into ours."""
    net, x = nn.Sequential(nn.Linear(2, 3), module.LSTM(3, 4)), torch.ones(5, 2, 2)

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m, name):
            return isinstance(m, module.Recurrent) or super().is_leaf_module(m, name)

    assert torch.equal(torch.fx.GraphModule(net, Tracer().trace(net))(x)[0], net(x)[0])
    with pytest.raises(TypeError, match="`x` must be a tensor or a PackedSequence; got Proxy"):
        torch.fx.symbolic_trace(net)


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_exported_has_no_gradients_and_a_warning_says_so(frozen):
    """torch.export keeps values and loses gradients, those below a frozen layer too; none is missed under no_grad."""
    net, x = module.LSTM(3, 4).requires_grad_(not frozen), torch.zeros(5, 2, 3)
    with pytest.warns(UserWarning, match="gives no gradients, neither of its parameters nor of x and hx"):
        made = torch.export.export(net, (x,)).module()
    assert torch.equal(made(x)[0], net(x)[0]) and not made(x.clone().requires_grad_())[0].requires_grad
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("error", message="What torch.export makes")
        torch.export.export(net, (x,))


def test_dropout_without_a_layer_above_is_warned_of():
    """As torch.nn does."""
    with pytest.warns(UserWarning, match="one layer has none; got 0.5"):
        module.LSTM(3, 4, dropout=0.5)
