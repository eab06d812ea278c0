"""Each operation of both arithmetics alone: balls enclose, and no correct subject exceeds a carried bound."""

import mpmath
import numpy as np
import pytest
from flint import arb

from properties.arithmetic import Arithmetic, Balls, Carried, Dual, Pair, Value, double_double
from properties.meta.simulated import SLOPES_OF_TANH, Simulated
from properties.oracle import Judged, unit

RANGES = {
    "ordinary": lambda rng, shape: rng.normal(size=shape),
    "large": lambda rng, shape: 300 * rng.normal(size=shape),
    "small": lambda rng, shape: 1e-6 * rng.normal(size=shape),
    "saturated": lambda rng, shape: rng.choice([-1, 1], shape) * rng.uniform(8, 88, shape),
    "cancelling": lambda rng, shape: rng.choice([-1, 1], shape) * (1 + rng.integers(0, 4, shape) * 2.0**-20),
    "underflow": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.choice([-37, -20, -19], shape),
    "least": lambda rng, shape: rng.choice([-1, 1], shape) * rng.uniform(1, 2, shape) * 2.0**-126,
}
OPERATIONS = {
    "product": (lambda a, p: a.product(*p), [(3, 5), (5, 4)]),
    "affine": (lambda a, p: a.affine([p[:2], p[2:4]], p[4:]), [(3, 5), (5, 4), (3, 2), (2, 4), (3, 4), (3, 4)]),
    "total": (lambda a, p: a.total(*p), [(6, 4)]),
    "add of two": (lambda a, p: a.add(*p), [(3, 4)] * 2),
    "add of four": (lambda a, p: a.add(*p), [(3, 4)] * 4),
    "sub": (lambda a, p: a.sub(*p), [(3, 4)] * 2),
    "mul of two": (lambda a, p: a.mul(*p), [(3, 4)] * 2),
    "mul of three": (lambda a, p: a.mul(*p), [(3, 4)] * 3),
    "difference": (lambda a, p: a.difference(*p), [(3, 4)] * 2),
    "div": (lambda a, p: a.div(*p), [(3, 4), (3, 4)]),
    "one_minus": (lambda a, p: a.one_minus(*p), [(3, 4)]),
    "sigma": (lambda a, p: a.sigma(*p), [(3, 4)]),
    "tanh": (lambda a, p: a.tanh(*p), [(3, 4)]),
    "exp": (lambda a, p: a.exp(*p), [(3, 4)]),
    "log": (lambda a, p: a.log(*p), [(3, 4)]),
    "sqrt": (lambda a, p: a.sqrt(*p), [(3, 4)]),
    "relu": (lambda a, p: a.relu(*p), [(3, 4)]),
    "relu of a difference": (lambda a, p: a.relu(a.sub(*p)), [(3, 4)] * 2),
    "tanh_back": (lambda a, p: a.tanh_back(*p), [(3, 4)] * 2),
    "relu_back": (lambda a, p: a.relu_back(*p), [(3, 4)] * 2),
    "relu_back at a difference": (lambda a, p: a.relu_back(p[0], a.sub(*p[1:])), [(3, 4)] * 3),
}
MOVING = ("product", "affine", "total", "add of four", "mul of two", "mul of three", "one_minus")
MOVING += ("sigma", "tanh", "relu", "relu_back")


def slope(operation):
    """The derivative of an operation; each operand is followed by the direction in which it moves."""
    return lambda a, p: operation(Dual(a), [Pair(*two) for two in zip(p[::2], p[1::2], strict=True)]).slope


OPERATIONS |= {
    f"slope of {name}": (slope(OPERATIONS[name][0]), [shape for shape in OPERATIONS[name][1] for _ in range(2)])
    for name in MOVING
}
DOMAINS = {
    "exp": lambda values: np.clip(values, -88, 88),
    "log": lambda values: np.abs(values) + 1e-30,
    "sqrt": np.abs,
    "div": lambda values: np.where(np.abs(values) < 1e-9, 1e-9, values),
}


def operand(rng, dtype, values, roundings):
    """One operand in three forms: what the subject holds, the exact value so many roundings off, and its bound."""
    held = values.astype(dtype)
    e = roundings * unit(dtype)[0] * np.abs(held.astype(np.float64))
    exact = Balls().constant(held) - Balls().constant(rng.choice([-1, 1], held.shape) * e)
    return held, exact, Value(double_double(exact)[0], e)


def worst(name, dtype, ranges, carried, draws=30, *, flushes=False):
    """The worst fractions of the bound: of a simulated correct subject's result, and of the carried value itself."""
    operation, shapes = OPERATIONS[name]
    rng, fractions = np.random.default_rng([len(name), *map(ord, ranges)]), []
    for n in range(draws):
        values = [DOMAINS.get(name, np.asarray)(RANGES[ranges](rng, shape)) for shape in shapes]
        held, exact, value = zip(*(operand(rng, dtype, v, (0, 1, 40)[n % 3]) for v in values), strict=True)
        hi, lo, _ = double_double(operation(Balls(), list(exact)))
        result = operation(carried, list(value))
        near = operation(Carried(*unit("float64")), [Value(v.v, 2.0**-53 * np.abs(v.v)) for v in value])
        with np.errstate(all="ignore"):
            got = operation(Simulated(dtype, rng, carried.alpha, flushes=flushes), list(held))
        fractions.append((Judged(hi, lo, result.e).fraction(got)[0], Judged(hi, lo, near.e).fraction(result.v)[0]))
    return np.max(fractions, axis=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_correct_subject_exceeds_the_bound_of_an_operation(name, ranges, dtype):
    """Whatever the order of its sums and the errors it was handed; and the carried value is a correct float64 one."""
    subject, value = worst(name, dtype, ranges, Carried(*unit(dtype)))
    assert subject <= 1
    assert value <= 1


class OneUnderflow(Carried):
    """A planted fault: eta once where a sum has many terms, and never where nothing is multiplied."""

    def affine(self, factors, terms):
        found, n = super().affine(factors, terms), sum(a.shape[1] for a, _ in factors) + len(terms)
        return Value(found.v, found.e - (n - 1) * self.eta)

    def total(self, a):
        return Value(a.v.sum(0), super().total(a).e - (len(a.v) - 1) * self.eta)

    def add(self, *terms):
        found = super().add(*terms)
        return Value(found.v, found.e - (len(terms) - 1) * self.eta)


@pytest.mark.parametrize("name", ["product", "affine", "total", "add of two", "add of four", "sub"])
def test_no_subject_that_flushes_every_underflow_to_zero_exceeds_the_bound(name):
    """Each loses up to the smallest normal number; to grant that once a sum is too little."""
    ranges = "underflow" if name in ("product", "affine") else "least"
    share = lambda kind: worst(name, "float32", ranges, kind(*unit("float32")), draws=300, flushes=True)[0]  # noqa: E731
    assert share(Carried) <= 1
    assert share(OneUnderflow) > 1


@pytest.mark.parametrize("name", ["sigma", "tanh"])
def test_a_declared_alpha_is_allowed_and_an_undeclared_one_is_not(name):
    """Half-folded forms of sigma err by an absolute 2u near zero: the bound holds them with alpha, and not without."""
    alpha = 2 * unit("float32")[0]
    ranges = {"sigma": "saturated", "tanh": "small"}[name]
    assert worst(name, "float32", ranges, Carried(*unit("float32"), alpha))[0] <= 1
    undeclared = Carried(*unit("float32"))
    undeclared.alpha, held = 0.0, np.full((1, 1), {"sigma": -40.0, "tanh": 1e-6}[name], np.float32)
    exact, _, _ = double_double(getattr(Balls(), name)(Balls().constant(held)))
    got = Simulated("float32", np.random.default_rng(0), alpha)
    bound = getattr(undeclared, name)(undeclared.constant(held)).e
    assert Judged(exact, 0 * exact, bound).fraction(getattr(got, name)(held))[0] > 1


@pytest.mark.parametrize(("name", "ends"), [("sigma", (0, 1)), ("tanh", (-1, 1))])
def test_no_error_of_the_argument_moves_a_bounded_function_by_more_than_its_range(name, ends):
    """An infinite one neither; the bound reaches from either end to the other, and no farther than rounding."""
    carried, e = Carried(*unit("float32"), alpha=1e-7), np.array([0.0, 1e3, 1e30, np.inf])
    for v in (-100.0, 0.0, 100.0):
        found = getattr(carried, name)(Value(np.full(4, v), e))
        farthest = np.abs(np.array(ends)[:, None] - found.v).max(0)
        assert (found.e[1:] >= farthest[1:]).all()
        assert (found.e <= (ends[1] - ends[0]) * (1 + 20 * carried.u) + 2e-7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_sum_in_its_worst_order_reaches_the_bound_and_no_further(n, dtype):
    """1 + u + ... + u loses every u to rounding: all of gamma_{n-1} is needed; gamma_{n-2} or its half is too small."""
    u, eta = unit(dtype)
    terms = np.array([1.0, *[u] * (n - 1)], dtype)[:, None]
    got = np.array([np.add.accumulate(terms)[-1, 0]])
    hi, lo, _ = double_double(Balls().total(Balls().constant(terms)))
    fraction = lambda gamma: Judged(hi, lo, gamma * np.ones(1)).fraction(got)[0]  # noqa: E731
    carried = Carried(u, eta)
    bound = float(carried.total(carried.constant(terms)).e[0])
    assert 0.99 < fraction(bound) <= 1
    assert fraction(carried.gamma(n - 2) * (1 + n * u)) > 1
    assert fraction(bound / 2) > 1


@pytest.mark.parametrize("formula", SLOPES_OF_TANH, ids=["1 - t t", "(1 - t) (1 + t)", "(d + d t) (1 - t)"])
def test_every_formula_of_the_slope_of_tanh_is_within_its_bound_where_it_rounds_worst(formula):
    """Of 300,000 numbers of float32 from 1e-5 to saturation; the bound of the first formula alone holds no other."""
    rng, n = np.random.default_rng(0), 300_000
    t = np.tanh(10 ** rng.uniform(-5, 1, n) * rng.choice([-1, 1], n)).astype(np.float32)
    d, carried = rng.normal(size=n).astype(np.float32), Carried(*unit("float32"))
    bound = carried.tanh_back(carried.constant(d), carried.constant(t)).e
    exact = d.astype(np.float64) * ((1 - t.astype(np.float64)) * (1 + t.astype(np.float64)))
    assert 1 / 3 < Judged(exact, 0 * exact, bound).fraction(formula(d, t))[0] <= 1
    alone = Arithmetic.tanh_back(carried, carried.constant(d), carried.constant(t)).e
    assert (Judged(exact, 0 * exact, alone).fraction(formula(d, t))[0] > 1) == (formula is not SLOPES_OF_TANH[0])


class HalfGamma(Carried):
    """A planted fault: half of each rounding."""

    def gamma(self, n):
        return super().gamma(n) / 2


class Cancelling(Carried):
    """A planted fault: the error of a product as a difference, which cancels."""

    def _mul(self, a, b):
        return Value(a.v * b.v, a.size * b.size - np.abs(a.v * b.v))


class SlopeAtTheMiddle(Carried):
    """A planted fault: the slope where the value is, not the largest within its error."""

    def tanh(self, a):
        return self._function(np.tanh(a.v), a.e / np.cosh(np.minimum(np.abs(a.v), 300)) ** 2 * 0.5)


class OneSide(Carried):
    """A planted fault: every subject's slope of relu is that of the value here."""

    def relu_back(self, d, pre):
        return Value(np.where(pre.v > 0, d.v, 0), np.where(pre.v > 0, d.e, 0))


class AlwaysBelow(Carried):
    """A planted fault: where the value is below zero, so is every subject's."""

    def relu(self, a):
        return Value(np.maximum(a.v, 0), np.where(a.v <= 0, 0, a.e))


class RootOfTheError(Carried):
    """A planted fault: the slope of the root where the value is, without the half that comes of its own rounding."""

    def sqrt(self, a):
        return Value(np.sqrt(a.v), a.e / (2 * np.sqrt(a.v)))


class RelativeToTheResult(Carried):
    """A planted fault: a sum's rounding as if all its terms were added at once."""

    def add(self, *terms):
        v = sum(t.v for t in terms)
        return Value(v, sum(t.e for t in terms) + self.gamma(1) * np.abs(v))


class NoUnderflow(Carried):
    """A planted fault: no eta."""

    def __init__(self, u, eta):
        super().__init__(u, 0.0)


@pytest.mark.parametrize(
    ("kind", "name", "dtype", "ranges"),
    [
        (HalfGamma, "add of two", "float32", "ordinary"),
        (HalfGamma, "mul of two", "float64", "ordinary"),
        (Cancelling, "mul of two", "float64", "ordinary"),
        (SlopeAtTheMiddle, "tanh", "float32", "ordinary"),
        (NoUnderflow, "sigma", "float32", "large"),
        (NoUnderflow, "mul of two", "float32", "underflow"),
        (OneSide, "relu_back at a difference", "float32", "cancelling"),
        (AlwaysBelow, "relu of a difference", "float32", "cancelling"),
        (RootOfTheError, "sqrt", "float32", "ordinary"),
        (HalfGamma, "difference", "float32", "ordinary"),
        (RelativeToTheResult, "add of four", "float32", "ordinary"),
        (HalfGamma, "sqrt", "float64", "ordinary"),
        (HalfGamma, "slope of mul of two", "float32", "ordinary"),
    ],
)
def test_a_planted_bound_that_is_too_small_is_exceeded(kind, name, dtype, ranges):
    """The simulated subjects come near enough to each bound to notice one that is too small."""
    assert worst(name, dtype, ranges, kind(*unit(dtype)), draws=60)[0] > 1


MPMATH = {
    "sigma": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "relu": lambda z: max(z, 0),
    "one_minus": lambda z: 1 - z,
}


def exactly(ball):
    """The midpoint and radius of a ball as exact numbers of mpmath."""
    pairs = [part.man_exp() for part in (ball.mid(), ball.rad())]
    return [mpmath.ldexp(mpmath.mpf(int(man)), int(exp)) for man, exp in pairs]


def encloses(ball, value):
    """Whether a ball holds a number of mpmath at 900 bits."""
    mid, rad = exactly(ball)
    return abs(mid - value) <= rad + abs(value) * mpmath.mpf(2) ** -800


@pytest.mark.parametrize("name", MPMATH)
def test_a_ball_encloses_the_value_that_mpmath_gives(name):
    """A second opinion on every function of the balls, at 900 bits, from 1e-30 to saturation."""
    points = [1e-30, 1e-8, 0.3, 1.0, 7.5, 36.0, 88.0, 300.0]
    points = points if name in ("log", "sqrt") else points + [-p for p in points] + [0.0]
    balls = getattr(Balls(), name)(Balls().constant(np.array(points)))
    with mpmath.workprec(900):
        for point, ball in zip(points, balls, strict=True):
            assert encloses(ball, MPMATH[name](mpmath.mpf(point)))


def test_sums_and_products_of_balls_enclose_the_values_that_mpmath_gives():
    """Matrix products, sums over rows, elementwise products, quotients and differences."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 5)), rng.normal(size=(5, 4)) * 1e6, rng.normal(size=(3, 4))
    x, y, z = (Balls().constant(m) for m in (a, b, c))
    with mpmath.workprec(900):
        A, B, C = (np.vectorize(mpmath.mpf, otypes=[object])(m) for m in (a, b, c))
        wanted = [A @ B, A @ B + C, C.sum(0), C * C * C, C / (A @ B), C - A @ B, 1 - C]
        k = Balls()
        got = [k.product(x, y), k.affine([(x, y)], [z]), k.total(z), k.mul(z, z, z), k.div(z, k.product(x, y))]
        got += [k.sub(z, k.product(x, y)), k.one_minus(z)]
        for balls, values in zip(got, wanted, strict=True):
            assert all(encloses(*pair) for pair in zip(balls.ravel(), values.ravel(), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_root_near_zero_may_be_off_by_as_much_as_its_operand_may_move_it(dtype):
    """Errors beyond the operand itself, from where the slope is infinite: all operands within it stay in the bound."""
    carried, e = Carried(*unit(dtype)), 1e-3
    for v in (0.0, 1e-5, e, 1.001 * e, 1.0):
        bound = carried.sqrt(Value(np.array([v]), np.array([e]))).e
        moved = np.sqrt(np.maximum(np.linspace(v - e, v + e, 2001), 0))
        assert np.abs(moved - np.sqrt(v)).max() <= bound <= 1.2 * np.abs(moved - np.sqrt(v)).max()


@pytest.mark.parametrize("name", ["div", "log"])
def test_an_operand_that_may_be_zero_leaves_the_error_open(name):
    """A number known to within its own size, or twice that, bounds neither a quotient nor a logarithm."""
    carried, e = Carried(*unit("float32")), np.array([0.5, 0.999, 1.0, 2.0])
    found = getattr(carried, name)(*[carried.constant(np.ones(4))] * (name == "div"), Value(np.ones(4), e))
    moved = (1 / (1 - e[:2]) - 1) if name == "div" else -np.log(1 - e[:2])
    assert (found.e[:2] >= moved).all() and np.isfinite(found.e[:2]).all()
    assert found.e[2:].tolist() == [np.inf, np.inf]
    negative = carried.div(carried.constant(np.ones(2)), Value(-np.ones(2), np.array([0.5, 2.0])))
    assert 1 <= negative.e[0] < 1.01 and negative.e[1] == np.inf


def test_the_slope_of_relu_is_zero_at_zero_and_certain_away_from_it():
    """By both arithmetics; a side that the error leaves open may cost a subject the whole of what it hands on."""
    d, pre = np.full(5, 3.0), np.array([-1.0, 0.0, 1e-300, 1.0, -0.0])
    assert Balls().relu_back(Balls().constant(d), Balls().constant(pre)).tolist() == [0, 0, 3, 3, 0]
    carried = Carried(*unit("float32"))
    exact = carried.relu_back(Value(d, np.full(5, 0.25)), carried.constant(pre))
    assert (exact.v.tolist(), exact.e.tolist()) == ([0, 0, 3, 3, 0], [0, 0, 0.25, 0.25, 0])
    near = carried.relu_back(Value(d, np.full(5, 0.25)), Value(pre, np.array([0.4, 1e-38, 1e-300, 0.5, 0])))
    assert (near.v.tolist(), near.e.tolist()) == ([0, 0, 3, 3, 0], [0, 3.25, 3.25, 3.25, 0])


def test_relu_hands_no_error_on_where_every_subject_is_below_zero():
    """There a correct result is exactly zero; elsewhere it is as far off as its operand."""
    relu = Carried(*unit("float32")).relu(Value(np.array([-3.0, -2.0, 0.0, 2.0]), np.ones(4)))
    assert (relu.v.tolist(), relu.e.tolist()) == ([0, 0, 0, 2], [0, 1, 1, 1])


def test_a_ball_across_zero_has_no_slope_of_relu():
    """The referee says so, and does not choose a side."""
    across = np.array([arb(0, 1e-30)], dtype=object)
    with pytest.raises(ArithmeticError, match=r"needs a side of zero for the slope of relu; got the ball \["):
        Balls().relu_back(across, across)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_setting_is_worked_out_in_double_precision_and_rounded_once(dtype):
    """1 - beta keeps its own relative precision; in float32 nothing else is lost, whatever cancels in the formula."""
    power = lambda a: a.mul(*[a.constant(np.array([0.999]))] * 3)  # noqa: E731
    formula = lambda a: a.difference(a.constant(np.ones(1)), power(a))  # noqa: E731
    hi, lo, _ = double_double(Balls().setting(formula))
    got = Simulated(dtype, np.random.default_rng(0)).setting(formula)
    bound = Carried(*unit(dtype)).setting(formula).e
    assert got.dtype == dtype
    assert Judged(hi, lo, bound).fraction(got)[0] <= 1
    assert bound <= (1.001 if dtype == "float32" else 1000) * unit(dtype)[0] * hi


def test_a_difference_errs_by_the_size_of_its_result():
    """1 - 0.999 is exact in double precision, so its bound is 2^-53 of it, not of 1."""
    carried = Carried(*unit("float64"))
    near_one = carried.constant(np.array([0.999]))
    difference = carried.difference(carried.constant(np.ones(1)), near_one)
    assert difference.e == pytest.approx(2.0**-53 * 1e-3, rel=1e-9)
    assert carried.one_minus(near_one).e > 1000 * difference.e


@pytest.mark.parametrize("name", MOVING)
def test_a_slope_is_the_central_difference_along_the_direction(name):
    """Of the same operation on balls, with a step of 2^-60."""
    (value, shapes), rng, step = OPERATIONS[name], np.random.default_rng(0), arb(2) ** -60
    points, directions = ([Balls().constant(rng.normal(size=shape)) for shape in shapes] for _ in range(2))
    along = lambda s: value(Balls(), [p + s * d for p, d in zip(points, directions, strict=True)])  # noqa: E731
    wanted = (along(step) - along(-step)) / (2 * step)
    got = slope(value)(Balls(), [m for pair in zip(points, directions, strict=True) for m in pair])
    assert got.shape == wanted.shape
    assert all(abs(a - b) < 2.0**-100 for a, b in zip(got.ravel(), wanted.ravel(), strict=True))


def test_two_ways_to_one_value_must_meet():
    """`either` is for formulas that are equal: balls that do not overlap are an error of ours."""
    one, two = Balls().constant(np.ones(1)), Balls().constant(np.full(1, 2.0))
    with pytest.raises(ArithmeticError, match="values that differ"):
        Balls().either(one, two)
    assert Carried(1, 1).either(Value(1, 2), Value(1, 3)) == Value(1, 3)


def test_a_double_double_holds_106_bits_of_the_midpoint():
    """1 + 2^-80 needs both halves."""
    hi, lo, radius = double_double(np.array([arb(1) + arb(2) ** -80, arb(0), arb(-3)], dtype=object))
    assert hi.tolist() == [1, 0, -3]
    assert lo.tolist() == [2.0**-80, 0, 0]
    assert radius.max() == 0


@pytest.mark.parametrize("kind", ["balls", "carried"])
def test_moving_numbers_changes_none(kind):
    """Selecting, joining, transposing, stacking, reshaping and scattering act alike on both parts of a value."""
    k = {"balls": Balls(), "carried": Carried(*unit("float32"))}[kind]
    numbers, rows = np.arange(12.0).reshape(3, 4), np.array([True, False, True])
    a, b = k.constant(numbers), k.constant(-numbers)
    read = lambda m: (double_double(m)[0] if kind == "balls" else m.v).tolist()  # noqa: E731
    assert read(k.select(rows, a, b)) == np.where(rows[:, None], numbers, -numbers).tolist()
    assert read(k.concatenate([a, b], 1)) == np.concatenate([numbers, -numbers], 1).tolist()
    assert read(k.columns(a, slice(1, 3))) == numbers[:, 1:3].tolist()
    assert read(k.transpose(a)) == numbers.T.tolist()
    assert read(k.stack([a, b])) == [numbers.tolist(), (-numbers).tolist()]
    assert read(k.reshape(a, (4, 3))) == numbers.reshape(4, 3).tolist()
    assert read(k.scatter(k.columns(a, slice(0, 2)), np.array([[True, True], [False, True]]))) == [
        [[0, 1], [4, 5]],
        [[0, 0], [8, 9]],
    ]
