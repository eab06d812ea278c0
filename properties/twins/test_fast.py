"""What the fast and the compiled form promise beyond the laws: work divided anyhow, threads, exact blocks, tanh."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from impl import draw
from impl.numpy_twin import compiled, fast, fast_products, scan
from impl.spec import COMMON, SKIPPABLE, Parameters, leaves
from properties.cases import Plan
from properties.loading import load
from properties.twins.long import LONG, within

FORMS = {"numpy_fast": fast, "numpy_compiled": compiled}
forms = pytest.mark.parametrize("name", FORMS)


@forms
@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("what", LONG)
def test_divided_work_is_right_within_the_bounds(name, cell, dtype, what):
    """Steps worked on at once, models in a part: what laws show these forms too seldom."""
    within(load(name), LONG[what], cell, dtype)


def whole(form, case, **options):
    """Values and gradients of a case, with everything that is asked for."""
    call = case.call
    run = form.forward(call.cell, call.params, call.x, call.state, call.lengths, **options)
    options = {n: a for n, a in options.items() if n == "threads"}
    return run[:2], tuple(form.backward(call.cell, call.params, run.cache, *case.cotangent, **options))


@forms
@pytest.mark.parametrize("cell", COMMON)
def test_a_groups_bits_do_not_depend_on_the_threads(name, cell):
    """How a group is divided is a matter of its sizes alone."""
    case = Plan(12, 64, 3, 17, seed=2, E=9).case(cell, "float32")
    one, two = (leaves(whole(FORMS[name], case, threads=threads)) for threads in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("E", "B", "count"), [(1, 5, 1), (2, 5, 2), (3, 5, 2), (19, 5, 3), (4, 4096, 4)])
def test_a_group_is_divided_into_parts_that_fit_the_cache_and_two_at_least(E, B, count):
    """Every model once, in order."""
    params = draw.group([draw.uniform(draw.generator("parts"), "lstm", 3, 4)] * E)
    parts = fast.divided(params, (E, B))
    assert len(parts) == count
    assert [n for part in parts for n in range(part.start, part.stop)] == list(range(E))


@forms
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_one_model_alone_and_among_64_lie_within_the_bounds(name, cell):
    """Values and gradients of each, at the referee's bounds, which both have to keep."""
    within(load(name), Plan(4, 3, 2, 3, seed=21, E=64), cell, "float32")
    within(load(name), Plan(4, 3, 2, 3, seed=21, E=1), cell, "float32")
    within(load(name), Plan(4, 3, 2, 3, seed=21), cell, "float32")


@pytest.mark.parametrize(("M", "K", "B"), [(12, 5, 3), (256, 129, 32), (512, 257, 32), (512, 129, 64), (300, 200, 60)])
def test_a_product_in_blocks_is_the_product(M, K, B):
    """On integers, where every order of summing gives the same bits; sizes on both sides of the limit."""
    rng = np.random.default_rng(M)
    W, z = rng.integers(-9, 9, (2, M, K)).astype("f"), rng.integers(-9, 9, (2, K, B)).astype("f")
    blocks, out = fast_products.blocked(W, B), np.empty((2, M, B), "f")
    np.matmul(blocks, z[:, None], out=out.reshape(*blocks.shape[:3], B))
    assert np.array_equal(out, W @ z)


@pytest.mark.parametrize(("M", "K", "N"), [(1, 1, 1), (12, 5, 3), (33, 241, 127), (40, 257, 128), (70, 500, 200)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_compiled_product_is_the_product(M, K, N, turned, added, blocks, dtype, products):
    """On integers, with rows that lie apart; with blocks and without, whichever this processor uses."""
    rng = np.random.default_rng(M)
    a, b, out = (np.full((n, m + 3), np.nan, dtype)[:, :m] for n, m in ((K, M) if turned else (M, K), (K, N), (M, N)))
    for array in (a, b, out):
        array[...] = rng.integers(-9, 9, array.shape)
    wanted = (a.T if turned else a) @ b + (out if added else 0)
    beyond = out.base[:, N:].copy()
    products[blocks](a, b, out, np.arange(2).astype(dtype), turned, added)
    assert np.array_equal(out, wanted)
    assert np.array_equal(out.base[:, N:], beyond, equal_nan=True)


@pytest.fixture(scope="module")
def products():
    """`compiled.product` without and with blocks, compiled here."""
    with pytest.MonkeyPatch.context() as patch:
        found = {}
        for blocks in (False, True):
            patch.setattr(compiled, "BLOCKS", blocks)
            found[blocks] = njit(compiled.product.py_func)
            for dtype in ("float32", "float64"):
                a = np.ones((2, 3), dtype)[:, :2]
                found[blocks](a, a, a, np.arange(2).astype(dtype), False, False)
    return found


def test_what_stands_at_the_right_of_a_product_begins_at_a_line_of_cache():
    """Small or large, new or used again; rows that lie apart, each of them."""
    for shape in ((3, 5), (300, 300), (300, 300), (2000, 7)):
        assert fast_products.memory(shape, np.float32).ctypes.data % fast_products.LINE == 0
        rows = fast_products.rows_of(shape, np.float32)
        assert rows.shape == shape and rows.ctypes.data % fast_products.LINE == 0
        assert rows.strides[0] % fast_products.LINE == 0 and not rows.flags.c_contiguous


def test_products_are_divided_where_that_is_faster():
    """Just beyond the limit, into blocks of at least 8 rows, or not at all."""
    rows = lambda M, K, B: fast_products.blocked(np.empty((1, M, K)), B).shape[2]  # noqa: E731
    assert [rows(256, 120, 32), rows(256, 129, 32), rows(512, 257, 32)] == [256, 128, 64]
    assert [rows(512, 257, 128), rows(24, 513, 256)] == [16, 24]


@njit
def tanhs(x, result):
    """`tanh_of` of every number."""
    for n in range(x.size):
        result[n] = compiled.tanh_of(x[n])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_compiled_tanh_is_right_within_some_three_roundoffs(dtype):
    """Relative, at 200,000 arguments, also around .625, where two forms meet; odd; NaN, infinity and zeros keep."""
    u, rng = np.finfo(dtype).eps / 2, np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-20, 20, 80_000), 10 ** rng.uniform(-30, 1, 80_000), rng.normal(0.625, 0.01, 40_000)]
    )
    x = x.astype(dtype)
    got = np.empty_like(x)
    tanhs(x, got)
    exact = np.tanh(x.astype(np.longdouble))
    assert np.max(abs(got - exact) / abs(exact)) < 3.1 * u
    minus = np.empty_like(x)
    tanhs(-x, minus)
    assert np.array_equal(minus, -got)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e3, -1e3], dtype)
    got = np.empty_like(special)
    tanhs(special, got)
    assert np.array_equal(got, np.array([np.nan, 1, -1, 0.0, -0.0, 1, -1], dtype), equal_nan=True)
    assert np.array_equal(np.signbit(got[3:5]), [False, True])


@forms
@pytest.mark.parametrize("skip", [(name,) for name in SKIPPABLE] + [SKIPPABLE])
@pytest.mark.parametrize("cell", COMMON)
def test_what_is_skipped_is_none_and_the_rest_is_as_it_was(name, cell, skip):
    """As of the plain form."""
    case, form = Plan(5, 3, 2, 4, seed=3).case(cell, "float32"), FORMS[name]
    run = form.forward(cell, case.call.params, case.call.x, case.call.state)
    full = form.backward(cell, case.call.params, run.cache, *case.cotangent)._asdict()
    part = form.backward(cell, case.call.params, run.cache, *case.cotangent, skip=skip)._asdict()
    assert all(part[field] is None for field in skip)
    kept = [n for n in full if n not in skip]
    assert all(np.array_equal(a, b) for n in kept for a, b in zip(leaves(full[n]), leaves(part[n]), strict=True))


@forms
@pytest.mark.parametrize("cell", COMMON)
def test_outputs_are_written_over_without_changing_the_backward(name, cell):
    """The cache has its own memory: y, states and the last state belong to the caller."""
    case, form = Plan(5, 3, 2, 4, seed=3).case(cell, "float32"), FORMS[name]
    wanted = leaves(whole(form, case))
    run = form.forward(cell, case.call.params, case.call.x, case.call.state)
    for a in leaves(run[:2]):
        a[...] = np.nan
    got = leaves(tuple(form.backward(cell, case.call.params, run.cache, *case.cotangent)))
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted[-len(got) :], strict=True))


@forms
@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("E", [None, 2])
def test_a_cache_is_pickled_or_copied_and_gives_the_same_gradient(name, cell, E):
    """Its arrays lie otherwise then: the compiled loops asked for the memory around them, which a copy has not."""
    case = Plan(5, 3, 2, 4, seed=3, E=E, lengths=(5, 2, 4)).case(cell, "float32")
    call, cotangent = case.call, case.cotangent
    run = FORMS[name].forward(cell, call.params, call.x, call.state, call.lengths)
    copies = copy.deepcopy(run.cache), *(pickle.loads(pickle.dumps(run.cache, protocol)) for protocol in (2, 5))
    wanted, *found = (
        leaves(tuple(FORMS[name].backward(cell, call.params, cache, *cotangent))) for cache in (run.cache, *copies)
    )
    for got in found:
        assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize("form", [scan, fast, compiled])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_infinite_cotangent_passes_a_dead_unit_by(form, dtype):
    """Relu's derivative selects: 0 times infinity would be NaN. Nor does a NaN there reach anything."""
    one = np.ones((1, 1), dtype)
    params = Parameters(np.concatenate([one, -one]), np.diag([1, 1]).astype(dtype))
    run = form.forward("rnn_relu", params, one[None])
    for wild in (np.inf, -np.inf, np.nan):
        gradient = form.backward("rnn_relu", params, run.cache, np.array([[[3, wild]]], dtype))
        assert gradient.params.weight_ih.tolist() == [[3], [0]] and gradient.x.tolist() == [[[3]]]
        gradient = form.backward("rnn_relu", params, run.cache, np.array([[[wild, 3]]], dtype))
        assert np.array_equal(gradient.params.weight_ih, np.array([[wild], [0]]), equal_nan=True)


def test_memory_is_used_again_when_nothing_refers_to_it_and_not_before(monkeypatch):
    """Any view keeps its block; the limit holds, whatever is asked for."""
    monkeypatch.setattr(fast_products, "_held", {})
    first = fast_products.memory((300, 300), np.float32)
    part, place = first[5:7, ::2], first.ctypes.data
    del first
    assert fast_products.memory((300, 300), np.float32).ctypes.data != place  # a view of it lives
    del part
    again = fast_products.memory((180000,), np.float16), fast_products.memory((300, 300), np.float32)
    assert place in [a.ctypes.data for a in again]
    monkeypatch.setattr(fast_products, "HELD", 2**20)
    kept = [fast_products.memory((2**17,), np.float64) for _ in range(3)]
    assert sum(n * len(blocks) for n, blocks in fast_products._held.items()) <= 2**20
    assert len({a.ctypes.data for a in kept}) == 3


def test_sizes_of_which_no_memory_is_held_are_forgotten(monkeypatch):
    """As where every batch has its own longest row: each call went through all sizes that there had ever been."""
    monkeypatch.setattr(fast_products, "_held", {})
    monkeypatch.setattr(fast_products, "HELD", 2**20)
    used = fast_products.memory((2**16,), np.uint8)
    for n in range(500):
        fast_products.memory((2**16 + 2 + n,), np.uint8)
    assert all(fast_products._held.values()) and len(fast_products._held) <= 2**20 // 2**16
    assert any(np.shares_memory(used, block) for blocks in fast_products._held.values() for block in blocks)


@pytest.mark.parametrize("name", FORMS)
def test_states_that_are_not_asked_for_are_none(name):
    """Of an LSTM's states c; h is the output."""
    case = Plan(5, 3, 2, 4, seed=3).case("lstm", "float32")
    args = case.call.params, case.call.x, case.call.state
    run, whole = (FORMS[name].forward("lstm", *args, states=states) for states in (False, True))
    assert run.states.c is None and np.array_equal(run.states.h, whole.states.h)
    assert all(np.array_equal(a, b) for a, b in zip(run.last, whole.last, strict=True))


FORKED = """
import os, signal, sys
import numpy as np
from impl import draw
from impl.numpy_twin import compiled, fast

models = draw.group([draw.uniform(draw.generator(e), "rnn", 3, 64) for e in range(4)])
x = np.ones((2, 64, 3))
form = {"fast": fast, "compiled": compiled}[sys.argv[1]]
run = lambda: form.forward("rnn", models, x, threads=2).states.h
first, child = run(), os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if np.array_equal(run(), first) else 1)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", ["fast", "compiled"])
def test_a_forked_child_has_threads_of_its_own(name):
    """As multiprocessing.Pool makes them: those of its parent would be waited for without end."""
    assert subprocess.run([sys.executable, "-c", FORKED, name], timeout=120).returncode == 0


HELD = """
import os, signal, sys, threading
import numpy as np
from impl.numpy_twin import fast_products

held, go = threading.Event(), threading.Event()

def hold():
    with fast_products._lock:
        held.set()
        go.wait(1)

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    fast_products.memory((1000, 1000), np.dtype("f8"))
    os._exit(0)
go.set()
sys.exit(os.waitpid(child, 0)[1] != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_a_thread_that_holds_the_lock_on_memory():
    """In the child nobody would give it back."""
    assert subprocess.run([sys.executable, "-c", HELD], timeout=120).returncode == 0


@pytest.mark.parametrize("threads", [0, -1, 2.0, None, True])
def test_threads_are_a_positive_integer(threads):
    """Refused by name, forward and backward."""
    case = Plan(3, 2, 2, 2, seed=1).case("rnn", "float32").call
    run = fast.forward("rnn", case.params, case.x)
    for call in (
        lambda: fast.forward("rnn", case.params, case.x, threads=threads),
        lambda: fast.backward("rnn", case.params, run.cache, threads=threads),
    ):
        with pytest.raises(ValueError, match="`threads` must be an integer of at least 1"):
            call()
