"""The embedding against the product of one-hot inputs with the table, and against planted faults."""

import numpy as np
import pytest
import torch

from impl import draw
from properties import oracle
from properties.twins.both import MODULES, both, call, into, out, part
from properties.twins.test_refused_in_full import sentence_of

T, E, B, V, D = 7, 3, 4, 5, 6  # 28 places of 5 rows: every row stands at several
SHARED = "since all arrays of a call share one dtype"


def data(dtype="float64", kind="int64", shared=False, group=True):
    """table ([E,] V, D), index (T, [E,] B) and the gradient dx by x (T, [E,] B, D)."""
    rng, E_ = draw.generator("embedding", dtype), (E,) if group else ()
    table, dx = (rng.normal(size=s).astype(dtype) for s in ((*E_, V, D), (T, *E_, B, D)))
    return table, rng.integers(0, V, (T, B) if shared else (T, *E_, B)).astype(kind), dx


def worst_fraction(twin, table, index, dx):
    """Of the bound for the product of one-hot inputs with the table, how much x and the table's gradient take, over
    all models: a product h W^T with h one-hot and W the table transposed."""
    x, dtable = (call(twin, "embedding", *of) for of in (("look_up", table, index), ("backward", table, index, dx)))
    assert x.dtype == dtable.dtype == table.dtype and x.shape == dx.shape and dtable.shape == table.shape
    fractions = []
    for e in range(E):
        one_hot = np.eye(V, dtype=table.dtype)[index if index.ndim == 2 else index[:, e]]
        judged = oracle.judge_head(table[e].T, None, one_hot, dx[:, e], dtype=table.dtype.name)
        fractions += [judged["y"].fraction(x[:, e])[0], judged["weight_hy"].fraction(dtable[e].T)[0]]
    return max(fractions)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_look_up_and_its_gradient_are_those_of_the_one_hot_product(twin, dtype, shared):
    """Within the referee's bound for the product, for a group with indices of its own or shared ones."""
    assert worst_fraction(twin, *data(dtype, shared=shared)) <= 1


@both
@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "int64"])
def test_every_kind_of_integer_means_the_same_rows(twin, kind):
    """Also with more rows in all than the kind can number; a byte is no mask."""
    index = draw.generator("kinds").integers(0, 100, (T, E, B))
    table, dx = draw.generator("table").normal(size=(E, 100, D)), np.ones((T, E, B, D))
    for some, rows, upstream in ((index, table, dx), (index[:, 0], table[0], dx[:, 0])):
        wanted = [call(twin, "embedding", *of) for of in (("look_up", rows, some), ("backward", rows, some, upstream))]
        some = some.astype(kind)
        np.testing.assert_array_equal(call(twin, "embedding", "look_up", rows, some), wanted[0])
        np.testing.assert_array_equal(call(twin, "embedding", "backward", rows, some, upstream), wanted[1])


@both
@pytest.mark.parametrize("shared", [False, True])
def test_a_model_in_a_group_has_the_bits_that_it_has_alone(twin, shared):
    """Values and gradients, float32: no model's sum depends on the others."""
    table, index, dx = data("float32", shared=shared)
    x, dtable = (call(twin, "embedding", *of) for of in (("look_up", table, index), ("backward", table, index, dx)))
    for e in range(E):
        own = index if shared else index[:, e]
        np.testing.assert_array_equal(call(twin, "embedding", "look_up", table[e], own), x[:, e])
        np.testing.assert_array_equal(call(twin, "embedding", "backward", table[e], own, dx[:, e]), dtable[e])


@both
def test_a_row_that_is_not_looked_up_has_no_gradient_and_no_places_give_none(twin):
    """Zero to the bit, also where NaN flows into other rows; with T = 0 everywhere."""
    table, index, dx = data()
    index[index == 2] = 1
    dtable = call(twin, "embedding", "backward", table, index, np.full_like(dx, np.nan))
    assert not dtable[:, 2].any() and np.isnan(dtable[:, 1]).all()
    assert call(twin, "embedding", "look_up", table, index[:0]).shape == (0, E, B, D)
    assert not call(twin, "embedding", "backward", table, index[:0], dx[:0]).any()


def test_the_twins_agree_to_rounding():
    """x to the bit; the table's gradient within the rounding of its sums, n terms each: n u sum |dx| on either side."""
    table, index, dx = data("float32")
    looked_up = [call(twin, "embedding", "look_up", table, index) for twin in ("numpy_twin", "torch_twin")]
    np.testing.assert_array_equal(*looked_up)
    one, other = (call(twin, "embedding", "backward", table, index, dx) for twin in ("numpy_twin", "torch_twin"))
    n, size = (call("numpy_twin", "embedding", "backward", table, index, a) for a in (np.ones_like(dx), abs(dx)))
    assert (abs(one - other) <= 2 * n * np.finfo("float32").eps / 2 * 1.001 * size).all()


@both
def test_a_repeated_sum_has_the_same_bits(twin):
    """60,000 rows at 7 places, float32: no order of threads shows."""
    rng = draw.generator("repeated")
    table, index, dx = np.zeros((7, 16), "f"), rng.integers(0, 7, (100, 600)), rng.normal(size=(100, 600, 16))
    arrays, module = into(twin, (table, index, dx.astype("f"))), part(twin, "embedding")
    first, *others = (out(twin, module.backward(*arrays)) for _ in range(5))
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch sees none")
def test_a_repeated_sum_has_the_same_bits_on_a_gpu_and_is_the_cpus_to_rounding():
    """Float64: the order of the sums is another than on the CPU, and always the same."""
    array, module = part("torch_twin", "array"), part("torch_twin", "embedding")
    table, index, dx = data()
    first, *others = (array.numpy(module.backward(*array.asarray((table, index, dx), device="cuda"))) for _ in range(5))
    assert all(np.array_equal(first, other) for other in others)
    np.testing.assert_allclose(first, call("torch_twin", "embedding", "backward", table, index, dx), atol=1e-14)


# Planted faults


def overwriting(module):
    """Of the rows of one place the last one counts."""

    def last(rows, place, n):
        total = module.zeros((n, rows.shape[-1]), dtype=rows.dtype)
        total[place] = rows
        return total

    return "sum_rows", last


def next_row(module):
    """Every index means the row after its own, the last one the first."""
    places = module.places
    return "places", lambda table, index: places(table, (index + 1) % table.shape[-2])


def other_model(module):
    """Every model's index means a row of the next model's table, and its gradient goes there."""
    places = module.places
    return "places", lambda table, index: (places(table, index) + table.shape[-2]) % (E * V)


def once_too_many(module):
    """The first place is added twice."""
    sum_rows = module.sum_rows

    def twice(rows, place, n):
        total = sum_rows(rows, place, n)
        total[place[0]] += rows[0]
        return total

    return "sum_rows", twice


@both
@pytest.mark.parametrize("fault", [overwriting, next_row, other_model, once_too_many])
def test_each_planted_fault_is_seen(twin, fault, monkeypatch):
    """Each leaves the bound by a factor of a million and more."""
    monkeypatch.setattr(part(twin, "embedding"), *fault(part(twin, "embedding")))
    assert worst_fraction(twin, *data()) > 1e6


@both
def test_a_gradient_that_goes_to_another_model_is_seen_by_the_gradient_alone(twin, monkeypatch):
    """The look-up is right; the tables' gradients stand one model further on."""
    module = part(twin, "embedding")
    backward = module.backward
    monkeypatch.setattr(module, "backward", lambda table, index, dx: backward(table, index, dx)[[1, 2, 0]])
    assert worst_fraction(twin, *data()) > 1e6


@both
@pytest.mark.parametrize("E", [None, 3])
def test_a_table_without_features_gives_inputs_without_any(twin, E):
    """As the time loops take them: nothing is guessed of a shape that holds no numbers."""
    group = () if E is None else (E,)
    table, index = np.zeros((*group, V, 0)), np.zeros((T, *group, B), np.int64)
    x = call(twin, "embedding", "look_up", table, index)
    assert x.shape == (T, *group, B, 0)
    assert call(twin, "embedding", "backward", table, index, x).shape == table.shape


# Refusals

TABLE, INDEX = np.ones((V, D)), np.zeros((T, B), np.int64)
TABLES = np.ones((E, V, D))
PLACE = np.arange(T * B).reshape(T, B)
REFUSED = {
    "a table that is no array": (TABLE.tolist(), INDEX, "`table` must be an array; got list."),
    "a table of half precision": (TABLE.astype("float16"), INDEX, "`table` must be float32 or float64; got float16."),
    "a table of another rank": (TABLE[0], INDEX, "`table` must have shape (V, D) or (E, V, D); got (6,)."),
    "an index that is no array": (TABLE, INDEX.tolist(), "`index` must be an array; got list."),
    "an index of floats": (
        TABLE,
        INDEX * 1.0,
        "`index` must hold integers, since they number the table's rows; got dtype float64.",
    ),
    "an index of unsigned 64 bits": (
        TABLES,
        INDEX.astype("uint64"),
        "`index` must fit int64, since rows are counted in it; got dtype uint64.",
    ),
    "a mask": (
        TABLE,
        INDEX == 0,
        "`index` must hold integers, since they number the table's rows; got dtype bool.",
    ),
    "one step": (TABLE, INDEX[0], "`index` must have shape (T, B), since table is (5, 6); got (4,)."),
    "a group's index for one model": (
        TABLE,
        np.zeros((T, E, B), int),
        "`index` must have shape (T, B), since table is (5, 6); got (7, 3, 4).",
    ),
    "an index of another group": (
        TABLES,
        np.zeros((T, 2, B), int),
        "`index` must have shape (T, B) or (T, E, B) with E=3, since table is (3, 5, 6); got (7, 2, 4).",
    ),
    "the row V": (TABLE, INDEX + V * (PLACE == 7), "`index` must lie in 0..4, since table has V=5 rows; got [5]."),
    "the row V of a group, where the next model's begin": (
        TABLES,
        INDEX + V,
        "`index` must lie in 0..4, since table has V=5 rows; got [5, 5, 5, 5, 5].",
    ),
    "the row -1": (TABLE, INDEX - (PLACE == 7), "`index` must lie in 0..4, since table has V=5 rows; got [-1]."),
}


@both
@pytest.mark.parametrize("what", REFUSED)
def test_the_embedding_says_what_does_not_fit_forward_and_backward(twin, what):
    """Both look at the table and the index first."""
    *arguments, sentence = REFUSED[what]
    arguments = [into(twin, a) if isinstance(a, np.ndarray) else a for a in arguments]
    module = part(twin, "embedding")
    assert sentence_of(module.look_up, *arguments) == sentence
    assert sentence_of(module.backward, *arguments, arguments[0]) == sentence


@both
def test_the_gradient_by_x_says_what_does_not_fit(twin):
    """dx has the places of the index and the width of the table, for every model of a group."""
    module = part(twin, "embedding")
    table, tables, index, dx = into(twin, (TABLE, TABLES, INDEX, np.ones((T, B, D))))
    why = "since it is the gradient by x"
    say = f"`dx` must have shape (7, 4, 6), {why}; got (6, 4, 6)."
    assert sentence_of(module.backward, table, index, dx[1:]) == say
    say = f"`dx` must have shape (7, 3, 4, 6), {why}; got (7, 4, 6)."
    assert sentence_of(module.backward, tables, index, dx) == say
    single = into(twin, np.ones((T, B, D), "f"))
    assert sentence_of(module.backward, table, index, single) == f"`dx` must be float64, {SHARED}; got float32."
    assert sentence_of(module.backward, table, index, dx.tolist()) == "`dx` must be an array; got list."


def test_the_embedding_is_a_module_of_both_twins():
    """So that the contract's checks (the same functions, no borrowed backward) hold for it."""
    assert "embedding" in MODULES
