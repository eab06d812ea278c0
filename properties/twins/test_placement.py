"""Where results live and in which dtype: both follow the arguments, never a default of the framework."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from impl.spec import COMMON, leaves, tree_map
from properties.cases import Plan
from properties.twins.both import both, into, out, part

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CELLS = pytest.mark.parametrize("cell", COMMON)
LENGTHS = ((5, 0, 2), (1, 4, 5))


@pytest.fixture
def elsewhere():
    """Whatever torch makes without being told where lands on a device that holds no values."""
    with torch.device("meta"):
        yield


def arguments(twin, cell, dtype, T=5):
    """A group's parameters, x, state, lengths and cotangents, cut to T steps."""
    case = Plan(5, 3, 4, 2, seed=3, E=2, lengths=LENGTHS).case(cell, dtype)
    lengths, dh = np.minimum(case.call.lengths, T), case.cotangent.h[:T]
    given = (case.call.params, case.call.x[:T], case.call.state, lengths, dh, case.cotangent.last)
    return [into(twin, tree) for tree in given]


@CELLS
@pytest.mark.parametrize("T", [0, 5])
def test_what_the_torch_twin_makes_lies_where_its_arguments_lie(cell, T, request):
    """Zero states, empty outputs and row counters too: no default device enters."""
    params, x, _, lengths, dh, _ = arguments("torch_twin", cell, "float32", T)
    request.getfixturevalue("elsewhere")
    loop = part("torch_twin", "scan")
    run = loop.forward(cell, params, x, None, lengths)
    gradient = loop.backward(cell, params, run.cache, dh)
    assert {a.device.type for a in leaves((run.states, run.last, tuple(gradient)))} == {"cpu"}


def test_the_torch_twins_cross_entropy_counts_classes_where_its_logits_lie(request):
    """The classes 0 to V-1 are compared with the targets, so they must be on the same device."""
    y, targets = torch.zeros(4, 3, 5), torch.ones(4, 3, dtype=torch.int64)
    request.getfixturevalue("elsewhere")
    loss, dy = part("torch_twin", "loss").softmax_cross_entropy(y, targets)
    assert loss.device.type == dy.device.type == "cpu"
    assert abs(float(loss) - 12 * np.log(5)) < 1e-5


@pytest.mark.parametrize("group", [False, True])
def test_the_torch_twins_embedding_numbers_its_rows_where_its_table_lies(group, request):
    """Rows are counted and gradients are summed there, for one model and a group."""
    embedding, index = part("torch_twin", "embedding"), torch.tensor([[0, 2], [1, 2]])
    table = torch.arange(24.0).reshape(2, 3, 4) if group else torch.arange(12.0).reshape(3, 4)
    request.getfixturevalue("elsewhere")
    x = embedding.look_up(table, index)
    dtable = embedding.backward(table, index, x)
    assert x.device.type == dtable.device.type == "cpu"
    assert dtable.sum() == x.sum()


class Operations(TorchDispatchMode):
    """Notes by name what torch is asked to do, and the flags that it is given."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.asked.append((function.name(), *(a for a in args if isinstance(a, bool))))
        return function(*args, **kwargs or {})


@pytest.mark.parametrize(("device", "adds"), [("cpu", ("aten::index_add_",)), ("meta", ("aten::index_put_", True))])
def test_the_torch_twins_embedding_adds_in_an_order_that_its_device_keeps(device, adds):
    """On the CPU threads of index_put_ add in any order, on a card those of index_add_; so asked by name."""
    rows, place = torch.ones(4, 3, device=device), torch.zeros(4, dtype=torch.int64, device=device)
    with Operations() as operations:
        part("torch_twin", "embedding").sum_rows(rows, place, 2)
    assert [asked for asked in operations.asked if asked[0].startswith("aten::index_")] == [adds]


def ran(twin, cell, params, x, state, lengths, dh, dlast):
    """Outputs and gradients of a call as NumPy arrays."""
    run = part(twin, "scan").forward(cell, params, x, state, lengths)
    return out(twin, (run.states, run.last, *part(twin, "scan").backward(cell, params, run.cache, dh, dlast)))


@both
@CELLS
@DTYPES
@pytest.mark.parametrize("T", [0, 5])
@pytest.mark.parametrize("absent", [("state",), ("dh",), ("dlast",), ("state", "dh", "dlast")])
def test_what_is_left_out_stands_for_zeros_of_the_parameters_dtype(twin, cell, dtype, T, absent):
    """Initial state and cotangents: the same bits as with zeros of a group's shape written out, in the same dtype."""
    params, x, *rest = arguments(twin, cell, dtype, T)
    rest = dict(zip(("state", "lengths", "dh", "dlast"), rest, strict=True))
    zeros = {name: tree_map(lambda a: a * 0, rest[name]) for name in absent}
    got, wanted = ran(twin, cell, params, x, **rest | dict.fromkeys(absent)), ran(twin, cell, params, x, **rest | zeros)
    assert {a.dtype for a in leaves(got)} == {np.dtype(dtype)}
    assert all(np.array_equal(a, b) for a, b in zip(leaves(got), leaves(wanted), strict=True))


@both
@DTYPES
def test_arrays_that_go_in_take_the_wanted_dtype_and_keep_it_otherwise(twin, dtype):
    """What is floating is converted, integers and booleans are not; without a wish nothing is."""
    given = (np.ones(2, np.float32), np.ones(2, np.float64), np.ones(2, np.int64), np.ones(2, bool), None)
    asked, plain = part(twin, "array").asarray(given, dtype), part(twin, "array").asarray(given)
    assert [a.dtype for a in leaves(out(twin, asked))] == [np.dtype(dtype)] * 2 + [np.dtype(int), np.dtype(bool)]
    assert [a.dtype for a in leaves(out(twin, plain))] == [a.dtype for a in leaves(given)]
    assert all((a == 1).all() for a in leaves(out(twin, asked)))
