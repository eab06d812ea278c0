"""Subjects for a card, without one: their bounds on stand-ins that round as tensor cores do, and what surrounds them.

A stand-in is the torch twin's written loop whose products of matrices are formed otherwise: exact products of rounded
factors, summed one after the other, each sum cut off after 24 bits.
"""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from torch.overrides import TorchFunctionMode

from impl.spec import LSTMState, Parameters, tree_map
from impl.torch_twin import scan, vendor
from properties import cases, on_card, oracle
from properties.arithmetic import Carried, Value
from properties.cases import Plan
from properties.check import check, check_subject
from properties.false_alarms import judge_case
from properties.guard import InProcess
from properties.loading import load
from properties.on_card import BF16, CUDNN, TF32X3, Eager, Fused, FusedBF16, FusedTF32x3, OnCard, Vendor, products_of
from properties.roundoff import Coarse, Products, granted
from properties.subject import Output

HOW = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
KERNELS = ("fused", "fused_tf32x3", "fused_bf16")


def cut(a, bits):
    """Float32 with so many significant bits, the others cut off."""
    return (a.view(torch.int32) & (-1 << (24 - bits))).view(torch.float32)


def tf32(a):
    """Rounded to nearest in 11 bits, halves away from zero, as cvt.rna does."""
    return ((a.view(torch.int32) + (1 << 12)) & (-1 << 13)).view(torch.float32)


def bf16(a):
    """Rounded to nearest in 8 bits."""
    return a.to(torch.bfloat16).to(a.dtype)


def summed(a, b):
    """a @ b of exact products, every partial sum cut off after 24 bits."""
    products = a.double()[..., None] * b.double()[..., None, :, :]
    total = torch.zeros_like(products[..., 0, :])
    for k in range(products.shape[-2]):
        fraction, exponent = torch.frexp(total + products[..., k, :])
        total = torch.ldexp(torch.trunc(fraction * 2**24), exponent - 24)
    return total.to(torch.float32)


def split(a):
    """The high and the low part of a factor of tf32x3."""
    return tf32(a), cut(a - tf32(a), 11)


def tf32x3(a, b):
    """The small products first, then the large one; that of both low parts is left out."""
    (a_h, a_l), (b_h, b_l) = split(a), split(b)
    return summed(torch.cat([a_l, a_h, a_h], -1), torch.cat([b_h, b_l, b_h], -2))


def factors(rounded):
    """Products of factors that a function rounds."""
    return lambda a, b: summed(rounded(a), rounded(b))


class Formed(TorchFunctionMode):
    """Products of matrices by a function of the two, and by another where the left one is transposed: for weights."""

    def __init__(self, product, outer):
        super().__init__()
        self.product, self.outer = product, outer

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.matmul, torch.Tensor.__matmul__, torch.matmul):
            with torch._C.DisableTorchFunction():
                a, b = args
                return (self.product if a.stride(-1) == 1 else self.outer)(a, b)
        return function(*args, **(kwargs or {}))


def loop_within(mode, *how):
    """The written loop, each call of it within a mode made of `how`."""

    def within(function):
        def run(*args, **options):
            with mode(*how):
                return function(*args, **options)

        return run

    return SimpleNamespace(forward=within(scan.forward), backward=within(scan.backward))


def stand_in(kind, product, outer=torch.matmul):
    """A subject of a kind on a card whose loop is the written one with such products; it promises no row its bits."""
    subject = object.__new__(kind)
    OnCard.__init__(subject, "cpu", loop_within(Formed, product, outer))
    subject.products = products_of(kind.precision, "cuda")
    subject.capabilities, subject.share, subject.pooled = subject.capabilities - {"row bits"}, 1.0, False
    return subject


def judged(subject, laws, examples):
    """The verdicts of some laws, by law."""
    how = settings(max_examples=examples, phases=[Phase.generate], **HOW)
    return {v.law: v for v in check(InProcess(subject), laws, how).verdicts}


LAWS = ("value", "vjp", "split", "saturation", "unit axes", "bias")


@pytest.mark.parametrize(
    ("kind", "product", "least"),
    [(FusedTF32x3, tf32x3, 0.05), (FusedBF16, factors(bf16), 0.3)],
    ids=["tf32x3", "bf16"],
)
def test_products_as_declared_break_no_law(kind, product, least):
    """Within every bound, and where a product decides (value, split) not far below it."""
    found = judged(stand_in(kind, product), LAWS, 3)
    assert {v.word for v in found.values()} == {"holds"}, [v.why for v in found.values() if v.word != "holds"]
    assert found["value"].worst > least and found["split"].worst > least


@pytest.mark.parametrize(
    ("kind", "product", "laws"),
    [
        (FusedTF32x3, factors(tf32), ("value", "vjp", "split", "adjoint")),
        (FusedTF32x3, factors(bf16), ("value", "vjp", "split", "adjoint")),
        (
            FusedTF32x3,
            lambda a, b: summed(torch.cat([split(a)[1], tf32(a)], -1), torch.cat([tf32(b)] * 2, -2)),
            ("vjp",),
        ),
        (FusedBF16, factors(lambda a: cut(bf16(a), 4)), ("value", "vjp", "split")),
        (FusedBF16, factors(lambda a: cut(bf16(a), 7)), ("vjp", "unit axes")),
        (FusedBF16, factors(lambda a: a.half().float()), ("saturation",)),
    ],
    ids=["plain tf32", "bf16", "tf32x2", "four bits lost", "a bit lost", "float16"],
)
def test_products_worse_than_declared_break_laws(kind, product, laws):
    """Fewer bits, a product left out, the range of float16: each of the laws named sees it."""
    found = judged(stand_in(kind, product), laws, 5)
    assert {v.word for v in found.values()} == {"broken"}


def test_gradients_of_weights_are_granted_the_dtypes_own_roundoff():
    """The kernels leave them to torch's products of float32: formed of bfloat16's factors too, they break a law.

    On few steps that is seen: on many, what da carries from the step before hides it.
    """
    rounded = factors(bf16)
    (found,) = judged(stand_in(FusedBF16, rounded, rounded), ("unit axes",), 10).values()
    assert found.word == "broken" and "weight_hh" in found.why


@pytest.mark.parametrize(
    ("product", "declared", "worst"),
    [(tf32x3, TF32X3, 1 + 4095 * 2**-23), (factors(bf16), BF16, 1 + 2**-8)],
    ids=["tf32x3", "bf16"],
)
def test_no_product_of_two_numbers_errs_by_more_than_declared_and_one_by_nearly_as_much(product, declared, worst):
    """Random significands, and the one that loses most: its square comes within half a percent of `factors`."""
    rng = np.random.default_rng(1000)
    a, b = (torch.tensor(1 + rng.integers(0, 2**23, 4000) * 2.0**-23, dtype=torch.float32) for _ in range(2))
    a[0] = b[0] = a[1] = worst
    found = product(a[:, None, None], b[:, None, None])[:, 0, 0].double()
    exact = a.double() * b.double()
    errors = ((found - exact) / exact).abs()
    assert errors.max() <= declared.factors + declared.sums
    assert errors[0] > 0.995 * declared.factors


def test_whole_numbers_keep_their_bits_in_tf32x3_and_not_in_bf16():
    """Why the one has the law "exact" and the other, which cannot, has not the cell that it is about."""
    found = judged(stand_in(FusedTF32x3, tf32x3), ("exact",), 10)
    assert found["exact"].word == "holds" and found["exact"].cases == 10
    other = stand_in(FusedBF16, factors(bf16))
    assert judged(other, ("exact",), 2)["exact"].word == "cannot"
    other.cells = ("rnn_relu",)
    assert judged(other, ("exact",), 2)["exact"].word == "broken"


def test_only_what_is_declared_is_granted_and_only_meanwhile():
    """Without `products` the stand-in of bf16 breaks "value"; afterwards the referee is as before."""
    before = oracle.Carried, cases.answer
    case = Plan(3, 2, 4, 5, seed=7).case("lstm", "float32")
    plain = case.judged(gradients=True)
    with granted(SimpleNamespace(products=BF16)):
        wide = case.judged(gradients=True)
    with granted(SimpleNamespace(products=Products(0.0, 2.0**-24))):
        same = case.judged(gradients=True)
    assert all((wide[name].bound > plain[name].bound).all() for name in ("h", "x", "weight_hh", "c0"))
    assert all(np.allclose(same[name].bound, plain[name].bound, rtol=1e-12) for name in plain)
    subject = stand_in(FusedBF16, factors(bf16))
    subject.products = None
    assert judged(subject, ("value",), 3)["value"].word == "broken"
    assert (oracle.Carried, cases.answer) == before


class Off(TorchFunctionMode):
    """tanh of float32 is off by some of itself, most at 1 and in either direction, as cuDNN's; sigma is made of it."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in (torch.tanh, torch.sigmoid) or args[0].dtype != torch.float32:
            return function(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():
            (a,) = args
            return self.tanh(a) if function is torch.tanh else (1 + self.tanh(a / 2)) / 2

    def tanh(self, a):
        """Off by nothing at 0, in between by as much as is said, in either direction."""
        return torch.tanh(a) * (1 + self.error * torch.sin(np.pi / 2 * a.clamp(-2, 2) ** 2))


def coarse(error, declared=CUDNN):
    """A subject whose written loop has such a tanh, and what it declares."""
    subject = object.__new__(Eager)
    OnCard.__init__(subject, "cpu", loop_within(Off, error))
    subject.activation_error, subject.share = declared, 1.0
    return subject


@pytest.mark.slow
def test_a_tanh_as_coarse_as_declared_breaks_no_law_and_one_that_is_coarser_does():
    """9e-6 is cuDNN's at 1, which the bounds of float32 do not grant; of float64 nothing more is granted."""
    found = judged(coarse(9e-6), ("value", "vjp", "split"), 3)
    assert {v.word for v in found.values()} == {"holds"}, [v.why for v in found.values() if v.word != "holds"]
    assert found["value"].worst > 0.3
    for other in (coarse(9e-6, None), coarse(4 * CUDNN)):
        assert judged(other, ("value",), 3)["value"].word == "broken"


@pytest.mark.parametrize("error", [2 * CUDNN, -1e-9, float("nan"), "1e-6"])
def test_no_subject_declares_a_tanh_coarser_than_cudnns(error):
    """As with alpha: what one may declare is limited, or a constant would pass."""
    with pytest.raises(ValueError, match=r"`activation_error` of eager_cpu must be from 0 to 1\.5e-05; got "):
        InProcess(coarse(0.0, error))


def test_no_subject_declares_products_and_a_coarse_tanh_together():
    """The second was ignored; it is refused before a case is run."""
    subject = coarse(0.0)
    subject.products = BF16
    with pytest.raises(ValueError, match="`activation_error` and `products` of eager_cpu must not be declared both"):
        InProcess(subject)


def test_a_coarse_tanh_widens_the_bounds_of_tanh_and_sigma_of_float32_alone_and_by_no_more():
    """tanh by its error relative to it, sigma by half of that and a rounding; what follows from them follows."""
    a, u = Value(np.array([[-20, 0, 2.0**-10, 1]]), np.zeros((1, 4))), 2.0**-24
    plain, wide = Carried(u, 0.0), Coarse(CUDNN, u, 0.0)
    more = {
        name: getattr(wide, name)(a).e - getattr(plain, name)(a).e for name in ("tanh", "sigma", "exp", "one_minus")
    }
    assert np.allclose(more["tanh"], CUDNN * np.abs(np.tanh(a.v)), rtol=1e-6, atol=0)
    assert np.allclose(more["sigma"], CUDNN / 2 + u, rtol=1e-6, atol=0)
    assert not more["exp"].any() and not more["one_minus"].any()
    case = Plan(3, 2, 4, 5, seed=7).case("lstm", "float64")
    plain = case.judged(gradients=True)
    with granted(coarse(0.0)):
        assert all((case.judged(gradients=True)[name].bound == one.bound).all() for name, one in plain.items())


def test_the_count_of_false_alarms_grants_the_products_that_are_declared():
    """The referee's bounds for the dtype's own products would accuse the same right numbers many times over."""
    subject, plan = stand_in(FusedBF16, factors(bf16)), Plan(3, 2, 4, 5, seed=7)
    assert max(seen.fraction for seen in judge_case(subject, plan, "lstm", "float32")) <= 1
    subject.products = None
    assert max(seen.fraction for seen in judge_case(subject, plan, "lstm", "float32")) > 100


def test_bounds_of_large_inputs_stay_finite():
    """Where errors of 1e28 reach a gate, neither it nor a correct subject's leaves [0, 1]."""
    case = Plan(T=5, B=1, D=6, H=4, seed=916054, scale=0.5).case("lstm", "float32")
    case.call.x[...] *= np.float32(1e30)
    with granted(SimpleNamespace(products=BF16)):
        assert all(np.isfinite(one.bound).all() for one in case.judged(gradients=True).values())


card = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") != "0",
        reason="needs a CUDA device, and TRITON_INTERPRET=0 in the environment",
    ),
]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=card)])
@pytest.mark.parametrize("kind", [FusedTF32x3, FusedBF16])
def test_sums_of_products_in_the_kernels_lie_within_what_is_declared(kind, device):
    """Relative to the sum of magnitudes, for terms of all sizes and signs, and significands that lose most.

    On a card this looks at the tensor cores themselves; who declares nothing is granted float32's own roundoff.
    A layer of rnn_relu on one step is a product of matrices.
    """
    fused = interpreted() if device == "cpu" else on_card.kernels(device)
    rng, products = np.random.default_rng(1001), kind(device).products or Products(factors=0.0, sums=2.0**-24)
    for D in (1, 2, 5, 16, 37):
        x, W = (np.float32(rng.normal(size=(n, D)) * 4.0 ** rng.integers(-4, 5, (n, D))) for n in (33, 16))
        x[0], W[0], W[1] = 1 + 4095 * 2.0**-23, 1 + 4095 * 2.0**-23, -(1 + 2.0**-8)
        given = [torch.tensor(a, device=device) for a in (x[None], W, np.zeros((16, 16), np.float32))]
        run = fused.forward("rnn_relu", Parameters(*given[1:], None, None), given[0], precision=kind.precision)
        exact, size = x.astype(float) @ W.T.astype(float), np.abs(x).astype(float) @ np.abs(W).T.astype(float)
        sums = Carried(products.sums, 0.0).gamma(D)
        off = np.abs(run.last.h.cpu().numpy() - np.maximum(exact, 0))
        assert (off <= (products.factors * (1 + sums) + sums) * size).all()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=card)])
@pytest.mark.parametrize(("T", "B"), [(1, 4096), (64, 64)])
def test_sigma_and_tanh_of_torchs_kernels_lie_within_what_is_declared(T, B, device):
    """Of either sign from 2^-20 to 2^5: of an RNN that sees x alone, and a forget gate that does, of a cell of 1."""
    subject, rng, H = Vendor(device), np.random.default_rng(1003), 16
    put = lambda a: torch.tensor(a, dtype=torch.float32, device=device)  # noqa: E731
    x = put(rng.choice([-1, 1], (T, B, H)) * 2.0 ** rng.uniform(-20, 5, (T, B, H)))
    eye, none = torch.eye(H, device=device), torch.zeros(H, H, device=device)
    h = vendor.forward("rnn", Parameters(eye, none, None, None), x).states.h
    weights = Parameters(torch.cat([none, eye, none, none]), none.repeat(4, 1), None, None)
    state = LSTMState(torch.zeros_like(x[0]), torch.ones_like(x[0]))
    c = vendor.forward("lstm", weights, x[:1], state).last.c
    exact, u = (x.double().tanh(), x[0].double().sigmoid()), 2.0**-24
    of_tanh, of_sigma = ((found.double() - a).abs() for found, a in zip((h, c), exact, strict=True))
    error = getattr(subject, "activation_error", 0.0)
    assert (of_tanh / exact[0].abs()).max().item() <= error + 4 * u
    assert (of_sigma - 4 * u * exact[1]).max().item() <= error / 2 + u


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_vendor_refuses_on_a_card_cudnn_computes_otherwise():
    """A unit that is 0 lets the gradient through, which a CPU's does not: where that has changed, OTHERWISE may go."""
    found = {}
    for device in ("cpu", "cuda"):
        layer = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False, device=device)
        for weight in layer.parameters():
            torch.nn.init.zeros_(weight)
        layer(torch.ones(1, 1, 1, device=device))[0].sum().backward()
        found[device] = layer.weight_ih_l0.grad.item()
    assert found == {"cpu": 0.0, "cuda": 1.0} and ("cuda", "rnn_relu") in vendor.OTHERWISE


# What surrounds them


@pytest.mark.parametrize("name", ["eager", "vendor", *KERNELS])
def test_without_a_card_asking_for_one_ends_in_one_line(name, monkeypatch):
    """What is needed and what there is, for every subject; and where kernels would be interpreted on a card."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=f"^--subject=properties.on_card:{name}: needs a CUDA device, and torch sees none.$"
    ):
        load(f"properties.on_card:{name}")
    if name in KERNELS:
        pytest.importorskip("triton")
        common = pytest.importorskip("impl.torch_twin.kernels.common")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(common, "INTERPRETED", SimpleNamespace(value=True))
        with pytest.raises(ValueError, match="needs TRITON_INTERPRET=0 in the environment"):
            load(f"properties.on_card:{name}")


def test_products_of_tf32_are_refused_and_cudnns_are_turned_off(monkeypatch):
    """torch's default for its own products is float32, a card's and a CPU's, for cuDNN's kernels TF32."""
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(ValueError, match="unrounded, its default; torch is set to allow TF32 or less"):
            Eager("cpu")
    finally:
        torch.set_float32_matmul_precision("highest")
    assert Eager("cpu").name == "eager_cpu"
    with monkeypatch.context() as patched:
        patched.setattr(torch.backends.mkldnn, "matmul", SimpleNamespace(fp32_precision="bf16"), raising=False)
        with pytest.raises(ValueError, match="unrounded, its default; torch is set to allow TF32 or less"):
            Eager("cpu")
    before = torch.backends.cudnn.allow_tf32
    with vendor.products(SimpleNamespace(is_cuda=True), "ieee"):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize("kind", [Eager, Vendor])
def test_on_a_cpu_the_same_subjects_keep_the_laws(kind):
    """Copied in and out, every method that they declare."""
    subject = pickle.loads(pickle.dumps(kind("cpu")))
    assert (type(subject), subject.device, subject.name) == (kind, "cpu", f"{kind.form}_cpu")
    laws = ("vjp", "purity", "second order", "stack", "chain rule", "strides", "training", "exact")
    found = judged(subject, laws, 2)
    assert {v.word for v in found.values()} <= {"holds", "cannot"}, [
        v.why for v in found.values() if v.word == "broken"
    ]
    assert found["chain rule"].word == ("holds" if kind is Eager else "cannot")


def test_interpreted_kernels_are_judged_by_what_they_declare_in_a_process_of_their_own(tmp_path):
    """The referee of such a subject sits beside it: what TF32's three products would be granted is not enough."""
    fused = interpreted()
    path = tmp_path / "kernels.py"
    lines = ["from properties.on_card import FusedBF16, TF32X3", "fair, other = FusedBF16('cpu'), FusedBF16('cpu')"]
    lines += ["fair.share = other.share = 1", "other.products = TF32X3", "subjects = [fair, other]"]
    path.write_text("\n".join(lines))
    fair, other = check_subject(f"{path}:subjects", ("value",), 1)
    assert fair.holds and fair.verdicts[0].worst > 0.1, str(fair)
    assert other.verdicts[0].word == "broken"
    x = torch.tensor([[[1 + 3 * 2.0**-9]]])
    one = Parameters(torch.ones(1, 1), torch.zeros(1, 1), None, None)
    assert fused.forward("rnn_relu", one, x, precision="bf16").last.h == 1  # cut off, where a card gives 1 + 2^-7


def interpreted():
    """The fused loop under Triton's interpreter, or a skipped test."""
    common = pytest.importorskip("impl.torch_twin.kernels.common", reason="the kernels need triton")
    if not common.INTERPRETED.value:
        pytest.skip("kernels are compiled: TRITON_INTERPRET is not 1")
    return pytest.importorskip("impl.torch_twin.kernels.fused")


def test_what_is_written_to_a_copy_is_seen_by_the_caller():
    """A loop that scales x in place breaks "purity", though the caller's own array was never near it."""

    def forward(cell, params, x, *args):
        run = scan.forward(cell, params, x, *args)
        x.mul_(2)
        return run

    subject = Eager("cpu", SimpleNamespace(forward=forward, backward=scan.backward, feed_back=scan.feed_back))
    assert judged(subject, ("purity",), 2)["purity"].word == "broken"
    assert subject.lent == []


def test_every_tensor_of_a_call_is_on_the_device():
    """On torch's device "meta", which has no numbers: one tensor left on the CPU would be refused there."""

    class Shapes(Eager):
        def out(self, tree):
            return tree_map(lambda a: self.shape_of(a), tree)

        def shape_of(self, a):
            assert a.device.type == "meta"
            return np.zeros(tuple(a.shape), str(a.dtype).removeprefix("torch."))

        def hand_back(self):
            self.lent = []

    subject, case = Shapes("meta"), Plan(3, 2, 4, 5, seed=7, L=2, directions=2).case("lstm", "float32")
    output = subject.forward(case.call)
    gradient = subject.backward(case.call, case.cotangent)
    assert isinstance(output, Output) and output.h.shape == (3, 2, 5) and gradient.x.shape == (3, 2, 4)
    assert subject.double_backward(case.call, case.cotangent, gradient).x.shape == (3, 2, 4)
    assert subject.stack(case.stack).h.shape == (3, 2, 10)
    assert subject.stack_backward(case.stack, case.stack_cotangent).x.shape == (3, 2, 4)
    head = cases.head_of(case, 6)
    assert subject.head(head, output.h).shape == (3, 2, 6)
    assert len(subject.updates("adam", case.call.params, [gradient.params] * 2, 0.1)) == 2


def test_names_in_reports_say_form_and_device():
    """So that records of a card stand beside those of a CPU."""
    kinds = {name: getattr(on_card, name) for name in ("eager", "vendor", *KERNELS)}
    assert {name: kind.form for name, kind in kinds.items()} == {name: name for name in kinds}
    assert kinds["fused_bf16"].dtypes == kinds["fused_tf32x3"].dtypes == ("float32",)
    assert issubclass(kinds["fused"], Fused) and "row bits" in kinds["fused_bf16"].capabilities
