"""The global norm where squares overflow or vanish: every model is scaled by its own largest entry, wherever it is."""

import numpy as np
import pytest

from impl.spec import Head, Model, Parameters, leaves, rebuild, tree_map
from properties.twins.both import both, call

EPS, EPS32 = (float(np.finfo(dtype).eps) for dtype in ("float64", "float32"))
SHAPES = Model(Parameters((8, 3), (8, 2), (8,), None), Head((5, 2), (5,)))
ARRAYS = len(leaves(Model(Parameters(1, 1, 1, None), Head(1, 1))))


def gradient(E):
    """A tree of random gradients of E models, one bias absent."""
    rng = np.random.default_rng(0)
    fill = lambda shapes: type(shapes)(*(None if s is None else rng.normal(size=(E, *s)) for s in shapes))  # noqa: E731
    return Model(*(fill(shapes) for shapes in SHAPES))


def norms(tree):
    """Each model's Euclidean norm in long double, whose exponents reach 4932."""
    return np.sqrt(sum((a.astype(np.longdouble).reshape(a.shape[0], -1) ** 2).sum(-1) for a in leaves(tree)))


@both
@pytest.mark.parametrize("place", range(ARRAYS))
def test_the_norm_is_right_wherever_the_largest_entry_is(twin, place):
    """One array of 1e200 among ordinary ones: its square overflows unless the scale is taken from it."""
    arrays = [a * (1e200 if n == place else 1.0) for n, a in enumerate(leaves(gradient(2)))]
    grown = rebuild(gradient(2), arrays)
    found = call(twin, "optim", "global_norm", grown)
    assert np.abs(found / norms(grown) - 1).max() < 60 * EPS


@both
def test_a_norm_that_is_the_largest_allowed_stays_as_it_is(twin):
    """To the bit: 3, 4 and 5 are exact."""
    given = (np.array([[3.0, 4.0]]),)
    clipped, norm = call(twin, "optim", "clip", given, 5.0)
    assert norm == 5 and np.array_equal(clipped[0], given[0])


@both
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_models_norm_does_not_depend_on_the_other_models_of_its_group(twin, size):
    """Beside a model of ordinary size, one whose squares leave float64's range keeps its own scale."""
    grown = tree_map(lambda a: a * np.array([1.0, size]).reshape(2, *[1] * (a.ndim - 1)), gradient(2))
    found = call(twin, "optim", "global_norm", grown)
    assert np.abs(found / norms(grown) - 1).max() < 60 * EPS


@both
def test_zeros_stay_zeros_under_a_limit_of_zero(twin):
    """A norm that equals its limit is not above it, and nothing is divided by it."""
    zeros = tree_map(lambda a: a * 0, gradient(2))
    with np.errstate(invalid="ignore"):
        clipped, norm = call(twin, "optim", "clip", zeros, 0.0)
    assert norm.tolist() == [0, 0]
    assert not any(a.any() for a in leaves(clipped))


@both
@pytest.mark.parametrize(
    ("dtype", "entry", "limit"),
    [("float32", 1e-40, 0.0), ("float32", 4e-45, 1e-45), ("float32", 2.9e38, 1e3), ("float64", 1e-310, 1e-312)],
)
def test_the_smallest_and_the_largest_norms_are_clipped(twin, dtype, entry, limit):
    """Where 1 over the norm is infinite or has few bits: to the limit, and not to infinity or NaN."""
    clipped, _ = call(twin, "optim", "clip", (np.array([[entry, 0]], dtype),), limit)
    least = np.finfo(dtype).smallest_subnormal
    wanted = np.array(limit, dtype)
    assert clipped[0].tolist()[0][1] == 0 and abs(clipped[0][0, 0] - wanted) <= 2 * (least + wanted * EPS32)


@both
def test_an_infinite_entry_has_an_infinite_norm_and_leaves_the_other_models_alone(twin):
    """What is finite beside it becomes 0, and itself NaN, as in torch; a NaN has the norm NaN, and changes nothing."""
    grown = tree_map(lambda a: a.copy(), gradient(3))
    leaves(grown)[1][0].flat[0], leaves(grown)[1][1].flat[0] = -np.inf, np.nan
    with np.errstate(invalid="ignore"):
        clipped, norm = call(twin, "optim", "clip", grown, 1.0)
    assert norm[0] == np.inf and np.isnan(norm[1]) and abs(norms(clipped)[2] - 1) < 60 * EPS
    values = np.concatenate([a[0].ravel() for a in leaves(clipped)])
    assert all(np.array_equal(a[1], b[1], equal_nan=True) for a, b in zip(leaves(clipped), leaves(grown), strict=True))
    assert np.isnan(values).sum() == 1 and (values[~np.isnan(values)] == 0).all()


@both
@pytest.mark.parametrize("limit", [-1.0, np.nan])
def test_a_limit_that_is_no_norm_is_refused(twin, limit):
    """A negative one would turn gradients round."""
    with pytest.raises(ValueError, match="`max_norm` must be at least 0, since it is a norm; got"):
        call(twin, "optim", "clip", gradient(2), limit)
