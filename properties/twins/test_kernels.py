"""The Triton kernels, under triton's CPU interpreter: numbers within derived bounds, bits that no company changes."""

import collections
import contextlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="the kernels need triton")
import triton
import triton.language as tl

from impl import draw
from impl.spec import COMMON, GATES, STATES, Parameters, leaves, tree_map
from impl.torch_twin import module, scan, tf32
from impl.torch_twin.kernels import common, compiled, fused, plan, stepped
from properties.on_card import products_of
from properties.twins.referee import ran, worst
from properties.twins.test_scan import arguments

cells = pytest.mark.parametrize("cell", COMMON)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
paths = pytest.mark.parametrize("force", plan.PATHS)
interpreted = pytest.mark.skipif(not common.INTERPRETED.value, reason="kernels are compiled: TRITON_INTERPRET is not 1")
CASES = {
    "one model": (None, True, None, False),
    "rows of all lengths": (None, True, [5, 0, 2], False),
    "their reverse": (None, True, [5, 0, 2], True),
    "group": (2, False, [[5, 0, 2], [1, 4, 3]], False),
    "group sharing x": (2, True, [[5, 0, 2], [1, 4, 3]], True),
}


def given(cell, dtype, E=None, shared=True, seed=0):
    """As test_scan's arguments (T=5, B=3, D=4, H=2), tensors of a dtype: parameters, x, state, dh, dlast."""
    return tree_map(lambda a: torch.tensor(np.asarray(a), dtype=dtype), arguments(cell, E, shared, seed))


def wide(cell, dtype, B=18, D=7, H=20, E=2, T=3, device="cpu"):
    """More rows than a program of a card takes, and sizes that are no powers of two; a group sharing x."""
    rng = np.random.default_rng(1)
    draw = lambda *shape: torch.tensor(rng.normal(size=shape) / H**0.5, dtype=dtype, device=device)  # noqa: E731
    G, fields = len(GATES[cell]), len(STATES[cell]._fields)
    params = Parameters(draw(E, G * H, D), draw(E, G * H, H), draw(E, G * H), draw(E, G * H))
    states = [STATES[cell](*(draw(E, B, H) for _ in range(fields))) for _ in range(2)]
    return params, draw(T, B, D), states[0], draw(T, E, B, H), states[1]


def same(one, other):
    """Whether two trees hold the same bits."""
    return all(torch.equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def hidden(a, lengths, what):
    """A sequence with `what` at padding."""
    running = scan.running_rows(a, lengths, tuple(lengths.shape))
    return torch.where(running if running.ndim == a.ndim else running.any(1), a, what)


@interpreted
@cells
@dtypes
@paths
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_err_within_their_bounds(cell, dtype, force, case):
    """Values and every gradient, those by each h_t and c_t too; NaN and inf at padding reach neither."""
    E, shared, lengths, reverse = CASES[case]
    params, x, state, dh, dlast = given(cell, dtype, E, shared)
    if lengths is not None:
        lengths = torch.tensor(lengths)
        x, dh = hidden(x, lengths, torch.nan), hidden(dh, lengths, torch.inf)
    call = cell, params, x, state, dh, dlast, lengths, reverse
    found = ran(fused, *call, force=force)
    assert all(torch.isfinite(a).all() for a in leaves(found))
    assert worst(found, *call).share <= 1


@interpreted
@cells
@pytest.mark.parametrize("T, B", [(0, 2), (2, 0), (0, 0), (1, 1)])
def test_sequences_without_steps_and_batches_without_rows(cell, T, B):
    """The shapes and numbers that the referee has, with nothing given but x, and one bias or none."""
    both, x, *_ = given(cell, torch.float64)
    for params in (both, both._replace(bias_hh=None), both._replace(bias_ih=None, bias_hh=None)):
        call = cell, params, x[:T, :B], None, None, None
        assert worst(ran(fused, *call), *call).share <= 1


@interpreted
@cells
@pytest.mark.parametrize("reverse", [False, True])
def test_more_rows_than_a_program_takes_and_odd_sizes(cell, reverse):
    """B=18, D=7, H=20; x, dh and parameters of strides of their own."""
    params, x, state, dh, dlast = wide(cell, torch.float32)
    x, dh = x.mT.contiguous().mT, dh.transpose(0, 2).contiguous().transpose(0, 2)
    params = params._replace(weight_hh=params.weight_hh.mT.contiguous().mT, bias_ih=params.bias_ih[:1].expand(2, -1))
    call = cell, params, x, state, dh, dlast, None, reverse
    assert worst(ran(fused, *call), *call).share <= 1


@interpreted
@cells
@pytest.mark.parametrize("H", [1, 3])
def test_a_groups_weights_may_be_transposed(cell, H):
    """Padding keeps their strides, and of one unit the rows of its blocks then make no view."""
    params, *rest = wide(cell, torch.float32, B=2, D=3, H=H)
    turned = params._replace(**{n: getattr(params, n).mT.contiguous().mT for n in ("weight_ih", "weight_hh")})
    assert worst(ran(fused, cell, turned, *rest), cell, params, *rest).share <= 1


@interpreted
def test_one_direction_may_be_persistent_and_the_other_stepped():
    """Float64's LSTM of 64 units: its backward has no clean kernel. H=60 stands padded in what both read."""
    args = wide("lstm", torch.float64, B=2, D=3, H=60, T=2)
    chosen = fused.forward("lstm", *args[:3]).cache.plan
    assert (chosen.forward.path, chosen.backward.path, chosen.P) == ("persistent", "stepped", 64)
    assert worst(ran(fused, "lstm", *args), "lstm", *args).share <= 1


@interpreted
def test_an_lstms_four_products_as_one():
    """The variant of 33 to 64 units in float32; H=40 stands padded."""
    args = wide("lstm", torch.float32, B=3, D=5, H=40, T=3)
    assert fused.forward("lstm", *args[:3]).cache.plan.forward.variant == "joined"
    assert worst(ran(fused, "lstm", *args), "lstm", *args).share <= 1


@interpreted
@cells
def test_a_group_of_no_models(cell):
    """Empty arrays; a shared x has the gradient zero."""
    args = wide(cell, torch.float32, E=0)
    assert same(ran(fused, cell, *args), ran(scan, cell, *args))


@interpreted
@cells
@dtypes
def test_no_bit_of_a_row_depends_on_its_batch_or_group(cell, dtype):
    """Some rows of one model alone, in another order: the bits that they have in the whole batch of the whole group."""
    params, x, state, dh, dlast = wide(cell, dtype)
    whole = x[:, None].expand(-1, 2, -1, -1)
    states, last, dx, _, dstate, dstates = ran(fused, cell, params, whole, state, dh, dlast)
    for rows in ([17, 3, 4], [5]):
        one = lambda tree, rows=rows: tree_map(lambda a: a[1][rows], tree)  # noqa: E731
        over = lambda tree, rows=rows: tree_map(lambda a: a[:, 1, rows], tree)  # noqa: E731
        alone = ran(fused, cell, tree_map(lambda a: a[1], params), x[:, rows], one(state), over(dh), one(dlast))
        assert same((alone[0], alone[2], alone[5]), (over(states), over(dx), over(dstates)))
        assert same((alone[1], alone[4]), (one(last), one(dstate)))


@interpreted
@cells
@paths
def test_memory_is_written_before_it_is_read_and_the_cache_is_only_read(cell, force):
    """Workspaces full of NaN change no bit, nor does an earlier backward; arguments keep theirs; parts can be left."""
    params, x, state, dh, dlast = before = given(cell, torch.float32, 2)
    copies = tree_map(torch.clone, tuple(before))
    run = fused.forward(cell, params, x, state, force=force)
    first, again = (fused.backward(cell, params, run.cache, dh, dlast) for _ in range(2))
    torch.use_deterministic_algorithms(True)  # torch then fills what it hands out with NaN
    try:
        poisoned = ran(fused, cell, params, x, state, dh, dlast, force=force)
    finally:
        torch.use_deterministic_algorithms(False)
    assert same(first, again) and same(poisoned, (run.states, run.last, *first)) and same(tuple(before), copies)
    assert fused.backward(cell, params, run.cache, dh, dlast, skip=("x", "states"))[::3] == (None, None)
    assert same(fused.backward(cell, params, run.cache, dh, dlast, skip=["x"])[1:], first[1:])
    frozen = fused.backward(cell, params, run.cache, dh, dlast, skip=["params"])
    assert frozen.params is None and same(frozen._replace(params=first.params), first)


@interpreted
@cells
@pytest.mark.parametrize("reverse", [False, True])
def test_a_recorded_graph_reads_this_calls_arrays_and_not_an_earlier_ones(cell, reverse, monkeypatch):
    """Without a card: a graph that runs the loop over its own arrays. Several calls and backwards by one graph each."""
    graphs = collections.OrderedDict()
    monkeypatch.setattr(stepped, "_graphs", graphs)
    monkeypatch.setattr(stepped, "_run", stepped._replay)
    monkeypatch.setattr(stepped, "_record", lambda own, loop: SimpleNamespace(replay=lambda: loop(own)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))
    lengths = torch.tensor([5, 0, 2])
    calls = [(cell, *given(cell, torch.float64, seed=seed), lengths, reverse) for seed in (0, 1)]
    for call in (*calls, calls[0]):
        assert worst(ran(fused, *call, force="stepped"), *call).share <= 1
    assert len(graphs) == 2
    cell, params, x, state, dh, dlast, *_ = calls[0]
    bare = cell, params, x, None, dh, None, None, reverse
    for _ in range(2):
        assert worst(ran(fused, *bare, force="stepped"), *bare).share <= 1
    assert len(graphs) == 4  # a call without lengths and states has graphs of its own
    run = fused.forward(cell, params, x, state, lengths, reverse, force="stepped")
    assert fused.backward(cell, params, run.cache, dh, dlast, skip=["states"]).states is None
    assert len(graphs) == 5


@interpreted
@paths
def test_an_lstms_c_of_every_step_where_it_is_not_asked_for(force):
    """None, and all else as where it is."""
    params, x, state, dh, dlast = given("lstm", torch.float64)
    whole, some = (fused.forward("lstm", params, x, state, force=force, states=asked) for asked in (True, False))
    assert some.states.c is None and same((some.states.h, some.last), (whole.states.h, whole.last))
    first, second = (fused.backward("lstm", params, run.cache, dh, dlast) for run in (whole, some))
    assert same(first, second)


@interpreted
@cells
@paths
def test_other_precisions_err_within_bounds_of_their_own(cell, force):
    """The interpreter multiplies tf32x3 as float32; bf16 cuts both factors off, far beyond float32's bounds."""
    call = cell, *given(cell, torch.float32)
    assert products_of("tf32x3", "cpu") is None
    assert worst(ran(fused, *call, precision="tf32x3", force=force), *call).share <= 1
    found, products = ran(fused, *call, precision="bf16", force=force), products_of("bf16", "cpu")
    assert worst(found, *call, products=products).share <= 1 < worst(found, *call).share / 1000


@interpreted
@cells
@paths
def test_infinite_and_undefined_numbers_stay_in_their_rows(cell, force):
    """Saturated units are exactly 0 and 1, padded columns bring no NaN, and NaN of one row reaches no other."""
    params, x, state, *_ = given(cell, torch.float64)
    large = fused.forward(cell, params._replace(bias_ih=torch.full_like(params.bias_ih, 1e3)), x, state, force=force)
    assert cell != "rnn" or bool((large.states.h == 1).all())
    assert cell != "lstm" or bool((large.states.c[1:] == large.states.c[:-1] + 1).all())  # all gates open, g = 1
    x[1, 1], state.h[2] = torch.nan, torch.inf
    found = fused.forward(cell, params, x, state, force=force).states.h
    wanted = scan.forward(cell, params, x, state).states.h
    assert torch.equal(found.isnan(), wanted.isnan()) and torch.equal(found.isinf(), wanted.isinf())


@triton.jit
def squash(a, t, s, N: tl.constexpr):
    """tanh and sigma of N numbers."""
    at = tl.arange(0, N)
    tl.store(t + at, common.tanh(tl.load(a + at)))
    tl.store(s + at, common.sigma(tl.load(a + at)))


@interpreted
@dtypes
def test_tanh_and_sigma_err_by_2u_and_a_little_and_saturate(dtype):
    """At most 2u + 4u |result|, as the laws grant with alpha = 2u; exact at 0 and at 1e3; NaN stays; tanh is odd."""
    u, ends = torch.finfo(dtype).eps / 2, [0, 1e3, -1e3, 89, -89, 745, -745, torch.nan]
    a = torch.cat([torch.linspace(-30, 30, 2000), torch.logspace(-30, 0, 2088), torch.tensor(ends)]).to(dtype)
    t, s, minus = (torch.empty_like(a) for _ in range(3))
    squash[(1,)](a, t, s, N=4096)
    squash[(1,)](-a, minus, torch.empty_like(a), N=4096)
    exact = a.numpy().astype(np.longdouble)
    with np.errstate(over="ignore"):
        pairs = ((t, np.tanh(exact)), (s, 1 / (1 + np.exp(-exact))))
    for found, wanted in pairs:
        assert np.isnan(found[-1].item())
        assert (np.abs(found.numpy() - wanted)[:-1] <= u * (2 + 4 * np.abs(wanted[:-1]))).all()
    assert t[4088:4091].tolist() == [0, 1, -1] and s[4088:4091].tolist() == [0.5, 1, 0]
    assert torch.equal(minus[:-1], -t[:-1])


@interpreted
@pytest.mark.parametrize(
    "change, message",
    [
        ({"precision": "tf32"}, "`precision` must be ieee or tf32x3 or bf16, since float32 has no other; got 'tf32'."),
        ({"force": "fast"}, "`force` must be persistent or stepped, or None; got 'fast'."),
        ({"lengths": torch.tensor([6, 1, 1])}, r"`lengths` must lie in 0..5, since x has T=5 steps; got [6]."),
    ],
)
def test_a_forward_refuses_by_name(change, message):
    """In the scan's words where the scan has the argument too."""
    params, x, *_ = given("rnn", torch.float32)
    with pytest.raises(ValueError) as refused:
        fused.forward("rnn", params, x, **change)
    assert str(refused.value) == message


@interpreted
def test_a_backward_refuses_by_name():
    """As the scan does; and names of parts that it cannot leave out."""
    params, x, *_ = given("lstm", torch.float64)
    run, other = fused.forward("lstm", params, x), scan.forward("lstm", params, x)
    for change in ({"dh": x}, {"dlast": x}):
        told = []
        for loop, cache in ((fused, run.cache), (scan, other.cache)):
            with pytest.raises((TypeError, ValueError)) as refused:
                loop.backward("lstm", params, cache, **change)
            told.append(str(refused.value))
        assert told[0] == told[1]
    for skip in (("state",), "x"):
        with pytest.raises(ValueError, match="`skip` must hold names among x, params, states; got"):
            fused.backward("lstm", params, run.cache, skip=skip)


@interpreted
@pytest.mark.parametrize(
    "cell, params, message",
    [
        (
            "rnn_relu",
            given("rnn", torch.float32)[0],
            "`cell` must be rnn, since the cache is of its forward; got 'rnn_relu'.",
        ),
        ("rnn", wide("rnn", torch.float32, D=4, H=7)[0], "`weight_ih` must have shape (2, 4), {}; got (2, 7, 4)."),
        ("rnn", Parameters(torch.ones(3, 4), torch.ones(3, 3)), "`weight_ih` must have shape (2, 4), {}; got (3, 4)."),
    ],
)
def test_a_backward_refuses_what_its_cache_is_not_of(cell, params, message):
    """Units that the forward had not were given gradients by what pads its own, and a cell the slope of another."""
    own, x, *_ = given("rnn", torch.float32)
    cache = fused.forward("rnn", own, x).cache
    with pytest.raises(ValueError) as refused:
        fused.backward(cell, params, cache)
    assert str(refused.value) == message.format("since the forward that the cache is of had it")
    with pytest.raises(TypeError, match=r"`cache` must be that of fused.forward, .*; got scan's."):
        fused.backward("rnn", own, scan.forward("rnn", own, x).cache)


def test_float64_has_one_precision_and_cpu_tensors_need_the_interpreter(monkeypatch):
    """Each message says what to do."""
    with pytest.raises(ValueError, match=r"`precision` must be ieee, since float64 has no other; got 'bf16'."):
        plan.plan("rnn", 8, torch.float64, "bf16", (9, 0))
    monkeypatch.setattr(fused, "INTERPRETED", tl.constexpr(False))
    params, x, *_ = given("rnn", torch.float32)
    with pytest.raises(RuntimeError, match=r"`x` must be on a CUDA device, .* set TRITON_INTERPRET=1 before triton"):
        fused.forward("rnn", params, x)


def test_a_plan_follows_the_card():
    """Persistent where the weights fit, else stepped, and a sentence says why."""
    path = lambda *args: [config.path for config in plan.plan(*args)[:2]]  # noqa: E731
    persistent, both = ["persistent"] * 2, ["stepped"] * 2
    assert path("lstm", 64, torch.float32, "ieee", (9, 0)) == path("lstm", 50, "float32", "ieee", (8, 0)) == persistent
    assert path("lstm", 65, torch.float32, "ieee", (9, 0)) == path("lstm", 8, torch.float32, "ieee", (7, 5)) == both
    assert path("lstm", 128, torch.float32, "bf16", (8, 0)) == path("rnn", 128, "float32", "ieee", (8, 6)) == persistent
    assert path("lstm", 128, torch.float32, "bf16", (8, 6)) == path("rnn", 128, "float32", "ieee", (12, 1)) == both
    found = plan.plan("lstm", 50, torch.float32, "ieee", (9, 0))
    assert found.why == (
        "Forward persistent, backward persistent: lstm of H=50 padded to 64 in ieee needs 68 KiB forward and 80 KiB "
        "backward, and a program of this card may have 227 KiB."
    )
    assert found.P == 64 and plan.plan("lstm", 300, torch.float32, "ieee", (9, 0)).P == 300
    with pytest.raises(ValueError, match=r"`force` must not be persistent, since lstm of H=300 .* no clean kernel"):
        plan.plan("lstm", 300, torch.float32, "ieee", (9, 0), "persistent")


@pytest.mark.parametrize("E, B, rows", [(1, 64, 4), (8, 64, 4), (9, 64, 8), (33, 64, 8), (34, 64, 16), (0, 5, 4)])
def test_programs_have_few_rows_while_all_of_them_run_at_once(E, B, rows):
    """One of 4 rows for each of 132 multiprocessors, two of 8; whatever has but one configuration keeps it."""
    for config in plan.plan("rnn", 64, torch.float32, "ieee", (9, 0))[:2]:
        assert config.spread(E, B, 132).rows == rows
        assert config.spread(E, B, 0).rows == (16 if E else 4)
    alone = plan.plan("lstm", 64, torch.float32, "tf32x3", (9, 0)).forward
    assert alone.spread(E, B, 132) is alone


def test_whatever_a_plan_may_choose_is_compiled_clean():
    """compiled.csv has a row for each, of both architectures and directions: no stack, and shared memory that fits."""
    rows = {tuple(row[name] for name in compiled.Row._fields[:6]): row for row in compiled.read()}
    fields = lambda kernel: (*map(str, kernel[:4]), str(kernel.config.rows if kernel.P else 0))  # noqa: E731
    wanted = [(*fields(kernel), str(arch)) for kernel in compiled.kernels() for arch in compiled.ARCHES]
    assert sorted(rows) == sorted(wanted)
    for kernel in compiled.kernels():
        for arch in map(str, compiled.ARCHES):
            row = rows[(*fields(kernel), arch)]
            assert (row["stack"], row["ok"]) == ("0", "True")
            assert (row["path"], row["warps"], row["variant"]) == tuple(map(str, kernel.config[:3]))
            assert int(row["shared"]) <= int(row["limit"]) == plan.limit_of(divmod(int(arch), 10))
            assert kernel.P == 0 or int(row["shared"]) <= kernel.config.shared
    needs = collections.defaultdict(int)
    for key, row in rows.items():
        if key[3] != "0":
            needs[key[:5]] = max(needs[key[:5]], int(row["shared"]))
    loops = [(key, one) for key, config in plan.PERSISTENT.items() for one in (config, *config.fewer)]
    assert needs == {(*map(str, key), str(config.rows)): config.shared for key, config in loops}


@pytest.mark.skipif(not compiled.CUOBJDUMP.exists(), reason="this triton has no tools of NVIDIA's")
def test_kernels_compile_without_a_card_as_the_table_has_it():
    """A handful, in a process of their own: whatever triton compiles them, no stack and no more memory than planned."""
    only = ["--only=lstm:forward:ieee:32", "--only=rnn:backward:bf16:64"]
    command = [sys.executable, "-m", "impl.torch_twin.kernels.compiled", *only]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[5] for line in done.stdout.splitlines()[1:]] == ["80", "90"] * 4


card = pytest.mark.skipif(
    not torch.cuda.is_available() or common.INTERPRETED.value,
    reason="needs a CUDA device, and TRITON_INTERPRET=0 in the environment",
)


@pytest.mark.gpu
@card
@cells
@paths
@pytest.mark.parametrize("precision", [*plan.PRECISIONS, "float64"])
def test_a_card_errs_within_the_kernels_bounds(cell, force, precision):
    """All precisions on both paths, twice, so that a recorded graph is used again."""
    products = products_of(precision, "cuda")
    dtype, precision = (torch.float64, "ieee") if precision == "float64" else (torch.float32, precision)
    for lengths in (None, torch.tensor([3, 0, 2] * 6, device="cuda")):
        params, *rest = wide(cell, dtype, device="cuda")
        if cell == "rnn_relu":  # far from the kink: there a rounding of bfloat16 would choose another slope
            signs = torch.arange(params.bias_ih.shape[-1], device="cuda") % 2 * 2 - 1
            params = params._replace(bias_ih=params.bias_ih + 9 * signs, weight_hh=params.weight_hh / 10)
        call = cell, params, *rest, lengths
        for _ in range(2):
            found = ran(fused, *call, precision=precision, force=force)
            assert worst(found, *call, products=products).share <= 1
    assert force == "persistent" or len(stepped._graphs) > 0


@pytest.mark.gpu
@card
@cells
@pytest.mark.parametrize("H", [16, 32, 64, 128])
def test_on_a_card_no_bit_depends_on_how_many_rows_a_program_has(cell, H):
    """The same models in groups whose programs have 4, 8 and 16 rows."""
    processors, least = common.processors_of(torch.device("cuda", 0)), 3
    configs = plan.plan(cell, H, torch.float32, "ieee", torch.cuda.get_device_capability())[:2]
    if plan.STEPPED in configs:
        pytest.skip("the weights do not stay on this card")
    sizes, B = (least, processors // 2, 2 * processors), 16  # 12, 132 and 264 programs on 132 multiprocessors
    for config in configs:
        assert [config.spread(E, B, processors).rows for E in sizes] == [4, 8, 16]
    params, x, state, dh, dlast = wide(cell, torch.float32, B=B, H=H, E=sizes[-1], device="cuda")
    found = []
    for E in sizes:
        some = lambda tree, E=E: tree_map(lambda a: a[:E], tree)  # noqa: E731
        given_x = x[:, None].expand(-1, E, -1, -1)
        states, last, dx, _, dstate, dstates = ran(
            fused, cell, some(params), given_x, some(state), dh[:, :E], some(dlast)
        )
        over = tree_map(lambda a: a[:, :least], (states, dx, dstates))
        found.append((over, tree_map(lambda a: a[:least], (last, dstate))))
    assert same(found[0], found[1]) and same(found[0], found[2])


@pytest.mark.gpu
@card
@cells
@pytest.mark.parametrize("precision", plan.PRECISIONS)
def test_on_a_card_no_bit_of_a_row_depends_on_its_batch(cell, precision):
    """Rows in another order, and fewer of them, on the persistent path."""
    params, x, state, dh, dlast = wide(cell, torch.float32, device="cuda")
    whole = ran(fused, cell, params, x, state, dh, dlast, precision=precision)
    rows = [17, 3, 4]
    some = lambda tree: tree_map(lambda a: a[:, rows], tree)  # noqa: E731
    over = lambda tree: tree_map(lambda a: a[:, :, rows], tree)  # noqa: E731
    alone = ran(fused, cell, params, x[:, rows], some(state), over(dh), some(dlast), precision=precision)
    assert same((alone[0], alone[5], alone[2]), (over(whole[0]), over(whole[5]), whole[2][:, rows]))
    assert same((alone[1], alone[4]), (some(whole[1]), some(whole[4])))


@pytest.mark.gpu
@card
@pytest.mark.parametrize("kind", [module.RNN, module.LSTM], ids=["rnn", "lstm"])
@pytest.mark.parametrize("H", [16, 300], ids=["persistent", "stepped"])
def test_a_training_step_may_be_recorded_in_a_cuda_graph(kind, H):
    """A forward and a backward as the user records them: on other inputs a replay has the bits of a call."""
    model = kind(8, H, ensemble=2, backend="fused", device="cuda")
    x, dh = torch.randn(5, 2, 3, 8, device="cuda"), torch.randn(5, 2, 3, H, device="cuda")

    def step():
        model.zero_grad()
        h, _ = model(x)
        h.backward(dh)
        return h, *(weight.grad for weight in model.parameters())

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    for seed in (1, 2):
        x.copy_(torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)))
        graph.replay()
        replayed = [a.clone() for a in found]
        assert same(tuple(replayed), tuple(step()))


@interpreted
def test_both_loops_and_the_weights_gradient_run_without_tf32(monkeypatch):
    """What forms products of torch's own: each within the block, which then is left."""
    within, seen = [], []

    @contextlib.contextmanager
    def watched(x):
        within.append(x)
        yield
        within.pop()

    monkeypatch.setattr(tf32, "without", watched)
    for name in ("run_forward", "run_backward", "tied_gradient"):
        plain = getattr(fused, name)
        monkeypatch.setattr(
            fused, name, lambda *a, plain=plain, name=name: seen.append((name, len(within))) or plain(*a)
        )
    params = tree_map(torch.tensor, draw.uniform(draw.generator("products"), "lstm", 2, 3))
    run = fused.forward("lstm", params, torch.ones(2, 1, 2, dtype=torch.float64))
    fused.backward("lstm", params, run.cache, torch.ones(2, 1, 3, dtype=torch.float64))
    assert seen == [("run_forward", 1), ("run_backward", 1), ("tied_gradient", 1)] and not within
