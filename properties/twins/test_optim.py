"""Optimisers and clipping: against torch.optim, and one model at a time within a group."""

import numpy as np
import pytest
import torch

from impl import draw
from impl.spec import Head, Model, Parameters, leaves, tree_map
from impl.torch_twin import array as torch_array
from impl.torch_twin import optim as torch_optim
from impl.torch_twin.module import LSTM
from properties.twins.both import both, call, into, out, part

EPS = np.finfo(np.float64).eps


def models(E=None, seed=0):
    """A tree of random arrays like a model's, and gradients of the same form; of one model or of a group."""
    rng, first = np.random.default_rng(seed), () if E is None else (E,)
    shapes = Model(Parameters((8, 3), (8, 2), (8,), None), Head((5, 2), (5,)))
    fill = lambda: Model(*(type(p)(*(None if s is None else rng.normal(size=first + s) for s in p)) for p in shapes))  # noqa: E731
    return fill(), fill()


def close(one, other, roundings):
    """Whether two trees agree within so many units of float64 roundoff, relative to their largest entry."""
    pairs = zip(leaves(one), leaves(other), strict=True)
    return all(np.abs(a - b).max() <= roundings * EPS * max(1, np.abs(b).max()) for a, b in pairs)


def by_torch(kind, params, gradients, **options):
    """What torch.optim makes of parameters after one update for each gradient."""
    tensors = [torch.tensor(a, requires_grad=True) for a in leaves(params)]
    optimiser = kind(tensors, **options)
    for gradient in gradients:
        for tensor, d in zip(tensors, leaves(gradient), strict=True):
            tensor.grad = torch.tensor(d)
        optimiser.step()
    return [t.detach().numpy() for t in tensors]


@both
@pytest.mark.parametrize("E", [None, 3])
def test_gradient_descent_equals_torch_optim(twin, E):
    """p - lr d, for one model and for a group."""
    params, gradient = models(E)
    got = call(twin, "optim", "sgd", params, gradient, 0.1)
    assert type(got) is Model
    assert close(tuple(leaves(got)), tuple(by_torch(torch.optim.SGD, params, [gradient], lr=0.1)), 2)


@both
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_a_list_or_a_dictionary_is_no_tree(twin, name):
    """A list times a number is another list, so that a memory of no arrays came of one; each is refused by name."""
    optim, (params, gradient) = part(twin, "optim"), (into(twin, tree) for tree in models(None))
    step = getattr(optim, name)
    memory = [] if name == "sgd" else [getattr(optim, f"{name}_start")(params)]
    for wrong, came in ((leaves(params), "list"), ({"weight": leaves(params)[0]}, "dict"), ((None, "W"), "str")):
        rule = rf"must be an array, or \(named\) tuples of arrays; got {came}\.$"
        with pytest.raises(TypeError, match=rf"^`params` {rule}"):
            step(wrong, gradient, *memory, 0.1)
        with pytest.raises(TypeError, match=rf"^`gradient` {rule}"):
            step(params, wrong, *memory, 0.1)
        with pytest.raises(TypeError, match=rf"^`gradient` {rule}"):
            optim.clip(wrong, 1.0)
        if memory:
            with pytest.raises(TypeError, match=rf"^`params` {rule}"):
                getattr(optim, f"{name}_start")(wrong)


@both
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_trees_that_do_not_fit_the_parameters_are_refused_by_name_and_place(twin, name):
    """None, as a backward that skips the parameters gives it, another form, a shape that would broadcast, a dtype."""
    optim, (params, gradient) = part(twin, "optim"), (into(twin, tree) for tree in models(None))
    memory = [] if name == "sgd" else [getattr(optim, f"{name}_start")(params)]
    bias = lambda tree, a: tree._replace(head=tree.head._replace(bias_hy=a))  # noqa: E731
    one, single = gradient.head.bias_hy[:1], into(twin, np.ones(5, np.float32))
    wrong = {
        r"` must be Model of 2, since params is; got None\.$": (TypeError, None),
        r"\.cell` must be Parameters of 4, since params\.cell is; got Head of 2\.$": (
            TypeError,
            Model(gradient.head, gradient.head),
        ),
        r"` must be Model of 2, since params is; got Parameters of 4\.$": (TypeError, gradient.cell),
        r"\.head\.bias_hy` must be an array, since params\.head\.bias_hy is; got None\.$": (
            TypeError,
            bias(gradient, None),
        ),
        r"\.head\.bias_hy` must have shape \(5,\), since params\.head\.bias_hy has it; got \(1,\)\.$": (
            ValueError,
            bias(gradient, one),
        ),
        r"\.head\.bias_hy` must be (torch\.)?float64, .*; got (torch\.)?float32\.$": (
            TypeError,
            bias(gradient, single),
        ),
    }
    step = getattr(optim, name)
    for sentence, (kind, tree) in wrong.items():
        with pytest.raises(kind, match=f"^`gradient{sentence}"):
            step(params, tree, *memory, 0.1)
        if name == "adam":
            for field in ("mean", "square"):
                with pytest.raises(kind, match=rf"^`state\.{field}{sentence}"):
                    step(params, gradient, memory[0]._replace(**{field: tree}), 0.1)
        if name == "rmsprop":
            with pytest.raises(kind, match=f"^`square{sentence}"):
                step(params, gradient, tree, 0.1)


@both
def test_a_memory_of_the_other_optimiser_is_refused_by_name(twin):
    """RMSprop's for Adam, and Adam's for RMSprop."""
    optim, (params, gradient) = part(twin, "optim"), (into(twin, tree) for tree in models(None))
    with pytest.raises(TypeError, match=r"^`state` must be AdamState, since Adam has two means; got Model\.$"):
        optim.adam(params, gradient, optim.rmsprop_start(params), 0.1)
    with pytest.raises(TypeError, match=r"^`square` must be an array, or \(named\) tuples of arrays; got int\.$"):
        optim.rmsprop(params, gradient, optim.adam_start(params), 0.1)


@both
def test_clipping_refuses_a_gradient_without_a_weight_by_name(twin):
    """None is what a backward that skips the parameters gives."""
    for wrong, came in ((None, "NoneType"), ((), "tuple"), (((), None), "tuple")):
        with pytest.raises(TypeError, match=rf"^`gradient` must be .*, a weight first; got {came}\.$"):
            part(twin, "optim").clip(wrong, 1.0)


@both
@pytest.mark.parametrize("E", [None, 3])
@pytest.mark.parametrize("options", [{}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}])
def test_adam_equals_torch_optim_over_many_updates(twin, E, options):
    """Ten updates with gradients of changing size: running means, their corrections and the place of eps agree."""
    optim, (params, _) = part(twin, "optim"), models(E)
    gradients = [tree_map(lambda a, n=n: a * 10.0 ** (n % 4 - 2), models(E, seed=n)[1]) for n in range(10)]
    mine, memory = into(twin, params), optim.adam_start(into(twin, params))
    for gradient in gradients:
        mine, memory = optim.adam(mine, into(twin, gradient), memory, 0.01, **options)
    betas = (options.get("beta1", 0.9), options.get("beta2", 0.999))
    wanted = by_torch(torch.optim.Adam, params, gradients, lr=0.01, betas=betas, eps=options.get("eps", 1e-8))
    assert close(tuple(leaves(out(twin, mine))), tuple(wanted), 200)
    assert memory.count == 10
    assert not close(tuple(leaves(params)), tuple(wanted), 200), "the updates must move the parameters"


@both
@pytest.mark.parametrize("E", [None, 3])
@pytest.mark.parametrize("options", [{}, {"decay": 0.5, "eps": 1e-3}])
def test_rmsprop_equals_torch_optim_over_many_updates(twin, E, options):
    """Ten updates with gradients of changing size: the running mean, its default decay and the place of eps agree."""
    optim, (params, _) = part(twin, "optim"), models(E)
    gradients = [tree_map(lambda a, n=n: a * 10.0 ** (n % 4 - 2), models(E, seed=n)[1]) for n in range(10)]
    mine, square = into(twin, params), optim.rmsprop_start(into(twin, params))
    for gradient in gradients:
        mine, square = optim.rmsprop(mine, into(twin, gradient), square, 0.01, **options)
    alpha, eps = options.get("decay", 0.99), options.get("eps", 1e-8)
    wanted = by_torch(torch.optim.RMSprop, params, gradients, lr=0.01, alpha=alpha, eps=eps)
    assert close(tuple(leaves(out(twin, mine))), tuple(wanted), 200)
    assert not close(tuple(leaves(params)), tuple(wanted), 200), "the updates must move the parameters"


@both
def test_rmsprop_by_hand(twin):
    """d = 3 from p = 1 with decay 3/4: the mean is 9/4, its root 3/2, and p - lr * 3 / (3/2 + eps); then d = 0."""
    optim, one = part(twin, "optim"), into(twin, (np.array([1.0]),))
    start = optim.rmsprop_start(one)
    assert out(twin, start)[0].tolist() == [0.0]
    params, square = optim.rmsprop(one, into(twin, (np.array([3.0]),)), start, 0.25, decay=0.75, eps=0.5)
    assert (out(twin, params)[0].item(), out(twin, square)[0].item()) == (1 - 0.25 * 3 / 2, 2.25)
    params, square = optim.rmsprop(params, into(twin, (np.array([0.0]),)), square, 0.25, decay=0.75, eps=0.5)
    assert (out(twin, params)[0].item(), out(twin, square)[0].item()) == (1 - 0.25 * 3 / 2, 2.25 * 0.75)
    params, square = optim.rmsprop(one, into(twin, (np.array([1e-8]),)), start, 1.0)
    assert out(twin, params)[0].item() == pytest.approx(1 - 1e-8 / (1e-9 + 1e-8)), "the default eps counts as torch's"


@both
def test_a_groups_update_is_that_of_each_model_alone_to_the_bit(twin):
    """No model sees another's gradient: elementwise updates have no room for it."""
    optim, (params, gradient) = part(twin, "optim"), models(3)
    params, gradient = into(twin, params), into(twin, gradient)
    together, _ = optim.adam(params, gradient, optim.adam_start(params), 0.01)
    by_square, _ = optim.rmsprop(params, gradient, optim.rmsprop_start(params), 0.01)
    for e in range(3):
        mine, d = (tree_map(lambda a, e=e: a[e], tree) for tree in (params, gradient))
        alone, _ = optim.adam(mine, d, optim.adam_start(mine), 0.01)
        assert all((a[e] == b).all() for a, b in zip(leaves(together), leaves(alone), strict=True))
        alone, _ = optim.rmsprop(mine, d, optim.rmsprop_start(mine), 0.01)
        assert all((a[e] == b).all() for a, b in zip(leaves(by_square), leaves(alone), strict=True))


@both
def test_an_optimiser_changes_nothing_that_it_is_given(twin):
    """Parameters, gradients and memory are values: the caller's keep their bits."""
    optim, (params, gradient) = part(twin, "optim"), models()
    given = into(twin, (params, gradient))
    memory = optim.adam_start(given[0])
    optim.adam(*given, memory, 0.01)
    optim.rmsprop(*given, memory.square, 0.01)
    optim.sgd(*given, 0.01)
    optim.clip(given[1], 0.1)
    kept = [*leaves(out(twin, given)), *leaves(out(twin, (memory.mean, memory.square)))]
    zeros = [np.zeros_like(a) for a in leaves((params, params))]
    assert all(np.array_equal(a, b) for a, b in zip(kept, [*leaves((params, gradient)), *zeros], strict=True))
    assert memory.count == 0


def norms(tree, E):
    """Each model's Euclidean norm, by NumPy's own in long double."""
    rows = [np.asarray(a, np.longdouble).reshape(E, -1) for a in leaves(tree)]
    return np.sqrt(sum((row**2).sum(-1) for row in rows))


@both
def test_clipping_bounds_each_models_own_global_norm(twin):
    """A norm above the limit becomes the limit, one below stays, to the bit; the norm before is handed back."""
    _, gradient = models(3)
    gradient = tree_map(lambda a: a * np.array([1e-3, 1.0, 1e3]).reshape(3, *[1] * (a.ndim - 1)), gradient)
    before, limit = norms(gradient, 3), 2.0
    clipped, norm = call(twin, "optim", "clip", gradient, limit)
    assert np.abs(norm - before).max() <= 60 * EPS * before.max()
    assert before[0] < limit < before[1] < before[2]
    after = norms(clipped, 3)
    assert np.abs(after[1:] - limit).max() <= 60 * EPS * limit
    for a, b in zip(leaves(clipped), leaves(gradient), strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.allclose(a[2] * (before[2] / limit).astype(float), b[2], rtol=100 * EPS, atol=0)


@both
def test_clipping_survives_gradients_of_1e30_in_float32(twin):
    """Their squares overflow; divided by the largest entry they do not. Exploding gradients are what we measure."""
    gradient = tree_map(lambda a: (a * 1e30).astype(np.float32), models()[1])
    clipped, norm = call(twin, "optim", "clip", gradient, 1.0)
    assert norm.dtype == np.float32
    assert abs(norm / norms(gradient, 1)[0] - 1) < 1e-6
    assert abs(norms(clipped, 1)[0] - 1) < 1e-6


@both
def test_clipping_a_gradient_of_zeros_gives_zeros(twin):
    """No division of zero by zero."""
    clipped, norm = call(twin, "optim", "clip", tree_map(np.zeros_like, models(2)[1]), 1.0)
    assert norm.tolist() == [0, 0]
    assert not any(a.any() for a in leaves(clipped))


@both
def test_a_single_model_and_a_group_of_one_are_clipped_alike(twin):
    """() and (1,): the axis E makes no difference to the numbers."""
    _, gradient = models()
    alone, norm = call(twin, "optim", "clip", gradient, 0.5)
    group, norms_ = call(twin, "optim", "clip", draw.group([gradient]), 0.5)
    assert np.shape(norm) == () and norms_.shape == (1,)
    assert close(tuple(leaves(tree_map(lambda a: a[0], group))), tuple(leaves(alone)), 8)


@both
def test_a_step_size_of_numpy_keeps_the_parameters_dtype(twin):
    """Any schedule by np.cos gives one: the next forward would refuse parameters of float64."""
    optim = part(twin, "optim")
    params = into(twin, draw.uniform(draw.generator("steps"), "rnn", 2, 3)._replace(bias_hh=None))
    params = into(twin, tree_map(lambda a: np.asarray(a, np.float32), out(twin, params)))
    for one in (np.float64(0.1), np.array(0.1)):
        assert dtypes(optim, params, one) == {"float32"}


@both
def test_what_is_not_one_number_is_refused_by_name(twin):
    """An array of step sizes, one a model, would meet the parameters' last axis: with E = H in silence."""
    optim, params = part(twin, "optim"), into(twin, draw.group([draw.uniform(draw.generator("lr"), "rnn", 3, 3)] * 3))
    start, zero = optim.adam_start(params), optim.rmsprop_start(params)
    rules = {
        "lr": [
            lambda lr: optim.sgd(params, params, lr),
            lambda lr: optim.adam(params, params, start, lr),
            lambda lr: optim.rmsprop(params, params, zero, lr),
        ],
        "beta1": [lambda one: optim.adam(params, params, start, 0.1, beta1=one)],
        "beta2": [lambda one: optim.adam(params, params, start, 0.1, beta2=one)],
        "decay": [lambda one: optim.rmsprop(params, params, zero, 0.1, decay=one)],
        "eps": [
            lambda one: optim.adam(params, params, start, 0.1, eps=one),
            lambda one: optim.rmsprop(params, params, zero, 0.1, eps=one),
        ],
        "max_norm": [lambda one: optim.clip(params, one)],
    }
    several = (np.ones(3), r"\(3,\)"), (into(twin, np.ones(1)), r"\(1,\)"), ([0.1], "list"), ("0.1", "str")
    for name, asked in rules.items():
        for update in asked:
            update(into(twin, np.array(0.5)))
            for wrong, came in several:
                with pytest.raises(TypeError, match=rf"^`{name}` must be one number, .*; got {came}\.$"):
                    update(wrong)


@both
def test_options_out_of_their_range_are_refused_by_name(twin):
    """A decay of 1 divides by zero or keeps nothing, one above makes complex numbers; a negative rate climbs."""
    optim, params = part(twin, "optim"), into(twin, draw.uniform(draw.generator("range"), "rnn", 2, 3))
    adam, rmsprop = optim.adam_start(params), optim.rmsprop_start(params)
    asked = {
        "lr": lambda one: optim.sgd(params, params, one),
        "beta1": lambda one: optim.adam(params, params, adam, 0.1, beta1=one),
        "beta2": lambda one: optim.adam(params, params, adam, 0.1, beta2=one),
        "decay": lambda one: optim.rmsprop(params, params, rmsprop, 0.1, decay=one),
        "eps": lambda one: optim.rmsprop(params, params, rmsprop, 0.1, eps=one),
    }
    for name, update in asked.items():
        rule = "finite" if name in ("lr", "eps") else "below 1, since it is the decay of a mean"
        update(0), update(0.99)
        for wrong in (-0.1, np.nan, np.inf, 1.0 if rule != "finite" else -1):
            with pytest.raises(ValueError, match=rf"^`{name}` must be at least 0 and {rule}; got {wrong}\.$"):
                update(wrong)


def test_an_update_is_differentiable_and_one_of_detached_parameters_keeps_nothing():
    """As a module's docstring says of its layers."""
    layers = LSTM(2, 3).layers()
    for given, recorded in ((layers, True), (tree_map(torch_array.detached, layers), False)):
        updated, memory = torch_optim.adam(given, given, torch_optim.adam_start(given), 0.1)
        assert {a.requires_grad for a in leaves((updated, memory.mean))} == {recorded}


def dtypes(optim, params, one):
    """Those of what each function makes of parameters and a number of NumPy's."""
    found = [
        optim.sgd(params, params, one),
        *optim.adam(params, params, optim.adam_start(params), one, one, one, one)[::2][:1],
        *optim.rmsprop(params, params, optim.rmsprop_start(params), one, one, one),
        optim.clip(params, one)[0],
    ]
    return {str(a.dtype).removeprefix("torch.") for tree in found for a in leaves(tree)}


@both
def test_clipping_takes_models_without_inputs_and_groups_without_models(twin):
    """As the time loops do: what has no entries adds nothing to a norm."""
    optim, model = part(twin, "optim"), draw.uniform(draw.generator("none"), "rnn", 2, 3)
    less = model._replace(weight_ih=model.weight_ih[:, :0])
    alone = out(twin, optim.clip(into(twin, less), 0.1))
    assert alone[0].weight_ih.shape == (3, 0)
    assert alone[1] == pytest.approx(sum((a**2).sum() for a in less[1:]) ** 0.5)
    none = tree_map(lambda a: a[None][:0], model)
    assert [a.shape for a in leaves(out(twin, optim.clip(into(twin, none), 0.1)))] == [
        *((0, *a.shape) for a in model),
        (0,),
    ]
