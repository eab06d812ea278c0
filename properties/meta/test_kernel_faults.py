"""Faults planted in the text of the Triton kernels, each in one line, are caught by the laws under the interpreter."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest.importorskip("triton", reason="the kernels need triton")

from impl.torch_twin.kernels.common import INTERPRETED
from properties.laws import registry
from properties.meta.transplant import transplanted
from properties.subjects.torch_fused import TorchFused

HUNT = settings(settings.get_profile("ci"), max_examples=100, phases=(Phase.generate,))
HUNT = settings(HUNT, suppress_health_check=list(HealthCheck))
LAWS = registry()
MODULES = ("array", "head", "loss", "optim", "scan", "stack", "kernels.fused")

FAULTS = {
    # name: (file, old, new, cell, the law that must notice)
    "sigma overflows": ("common.py", "z = tl.exp(-tl.abs(a))", "z = tl.exp(a)", "lstm", "value"),
    "tanh by the naive exponential form": (
        "common.py",
        "t = divide(1.0 - e, 1.0 + e)\n    return tl.where(a < 0, -t, t)",
        "y = tl.exp(2.0 * a)\n    return divide(y - 1.0, y + 1.0)",
        "rnn",
        "saturation",
    ),
    "tanh without its sign": ("common.py", "return tl.where(a < 0, -t, t)", "return t", "rnn", "value"),
    "a product of bits that depend on the place": (
        "common.py",
        "return acc + tl.sum(a[:, :, None] * b[None, :, :], 1)",
        "\n        ".join(
            (
                "s = a[:, :, None] * b[None, :, :]",
                "first = (tl.arange(0, a.shape[1]) < 2)[None, :, None]",
                "lo, hi = tl.sum(tl.where(first, s, 0.0), 1), tl.sum(tl.where(first, 0.0, s), 1)",
                "even = (tl.arange(0, a.shape[0]) % 2 == 0)[:, None]",
                "return tl.where(even, (acc + lo) + hi, acc + (lo + hi))",
            )
        ),
        "lstm",
        "rows",
    ),
    "the projection of the step before": (
        "rnn.py",
        "a_now = a_next\n",
        "a_now = tl.load(a - step_p * (k > 0) + at_p, mask=real, other=0.0)\n",
        "rnn",
        "value",
    ),
    "a row runs one step too few": (
        "rnn.py",
        "runs = inside & (t < n)\n        h =",
        "runs = inside & (t + 1 < n)\n        h =",
        "rnn",
        "value",
    ),
    "ended rows go on": ("rnn.py", "h = tl.where(runs, z, h)", "h = tl.where(inside, z, h)", "rnn", "lengths"),
    "outputs repeated over the padding": (
        "rnn.py",
        "tl.store(states + at_h, tl.where(runs, h, 0.0), mask=inside)",
        "tl.store(states + at_h, h, mask=inside)",
        "rnn",
        "lengths",
    ),
    "the first model's weights for all": (
        "rnn.py",
        "w_hh + e * P * P + tl.arange(0, P)[:, None] * P + col), PRECISION)\n"
        "    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)\n    h =",
        "w_hh + tl.arange(0, P)[:, None] * P + col), PRECISION)\n"
        "    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)\n    h =",
        "rnn",
        "ensemble",
    ),
    "the first model's lengths for all": (
        "lstm.py",
        "n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)\n    h =",
        "n = tl.load(lengths + first + row, mask=real & (ragged != 0), other=T)\n    h =",
        "lstm",
        "ensemble",
    ),
    "lengths are not looked at": (
        "rnn.py",
        "mask=real & (ragged != 0), other=T)\n    h =",
        "mask=real & (ragged == 0), other=T)\n    h =",
        "rnn",
        "lengths",
    ),
    "an initial state is taken for none": (
        "lstm.py",
        "c = tl.load(c0 + (e * B + first) * H + at_h, mask=inside & (started != 0), other=0.0)",
        "c = tl.load(c0 + (e * B + first) * H + at_h, mask=inside & (started == 0), other=0.0)",
        "lstm",
        "value",
    ),
    "a gradient by the last state is taken for none": (
        "rnn.py",
        "mask=inside & (ended != 0), other=0.0)",
        "mask=inside & (ended == 0), other=0.0)",
        "rnn",
        "vjp",
    ),
    "the old cell is forgotten twice": ("lstm.py", "f * c + i * g", "f * f * c + i * g", "lstm", "value"),
    "gates g and o exchanged": (
        "lstm.py",
        "g = dot(h, W_g, a_g, PRECISION)",
        "g = dot(h, W_o, a_g, PRECISION)",
        "lstm",
        "value",
    ),
    "tanh of the old cell on the way back": (
        "lstm.py",
        "tanh_c = tanh(c_after)",
        "tanh_c = tanh(c_before)",
        "lstm",
        "vjp",
    ),
    "the cell's gradient at an ended row is lost": (
        "lstm.py",
        "dc = tl.where(runs, dc_next * f, dc)",
        "dc = tl.where(runs, dc_next * f, 0.0)",
        "lstm",
        "lengths",
    ),
    "the candidate gets the forget gate's slope": (
        "lstm.py",
        "da_g = dc_next * i * (1.0 - g * g)",
        "da_g = dc_next * i * (1.0 - f * f)",
        "lstm",
        "vjp",
    ),
    "one gate is left out of the gradient by h": (
        "lstm.py",
        "        product = dot(da_o, W_o, product, PRECISION)\n",
        "",
        "lstm",
        "vjp",
    ),
    "cotangents of the padding are counted": (
        "rnn.py",
        "total = tl.where(runs, d + dh_now, 0.0)",
        "total = tl.where(runs, d + dh_now, dh_now)",
        "rnn",
        "lengths",
    ),
    "relu's slope at zero is one": (
        "rnn.py",
        "delta = tl.where(h_now <= 0, 0.0, total) if RELU",
        "delta = tl.where(h_now < 0, 0.0, total) if RELU",
        "rnn_relu",
        "exact",
    ),
    "the gradient by h_t before its cotangent": (
        "rnn.py",
        "tl.store(dstates + at_h, total, mask=inside)",
        "tl.store(dstates + at_h, d, mask=inside)",
        "rnn",
        "vjp",
    ),
    "a column too many": ("project.py", "deep = k0 + k < K\n", "deep = k0 + k < K - 1\n", "rnn", "value"),
    "a shared x gets one model's gradient": (
        "project.py",
        "groups, models = (E, 1) if dx.ndim == 4 else (1, E)",
        "groups, models = (E, 1) if dx.ndim == 4 else (1, 1)",
        "rnn",
        "ensemble",
    ),
    "stepped: the carried gradient is not kept": (
        "pointwise.py",
        "    tl.store(carry + r * P + col, d, mask=real)\n    runs",
        "    runs",
        "rnn",
        "stepped reversal",
    ),
    "stepped: the step's product is not added": (
        "stepped.py",
        "        _product(work.a[:, t], h, W, precision, add=True)\n",
        "",
        "lstm",
        "stepped value",
    ),
}


def faulty(package, name: str, by: str) -> TorchFused:
    """A copy of the twin as a subject, on the path that the fault is in."""
    fused = package.kernels.fused
    force = "stepped" if by.startswith("stepped") else None
    loop = SimpleNamespace(forward=lambda *args: fused.forward(*args, force=force), backward=fused.backward)
    return TorchFused(f"planted fault ({name})", package, "", loop)


def noticed(by: str, subject: TorchFused, cell: str) -> bool:
    """Whether a law accuses a faulty subject."""
    try:
        for law in LAWS[by.removeprefix("stepped ")][::-1]:
            if (cell in law.cells or by == "exact") and not law.lacking(subject, cell):
                law.run(subject, cell, "float32", HUNT)
    except AssertionError:
        return True
    return False


@pytest.mark.skipif(not INTERPRETED.value, reason="the laws run in the interpreter: TRITON_INTERPRET is not 1")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_one_line_of_a_kernel_is_caught(name, tmp_path, record_property):
    """By the law that it is for."""
    file, old, new, cell, by = FAULTS[name]
    package = transplanted("torch_twin", tmp_path, f"kernels/{file}", old, new, *MODULES)
    killed = noticed(by, faulty(package, name, by), cell)
    record_property("kill", [by.removeprefix("stepped "), name, killed])
    assert killed, f"{by!r} did not notice the planted fault {name!r}"


@pytest.mark.skipif(not INTERPRETED.value, reason="the laws run in the interpreter: TRITON_INTERPRET is not 1")
@pytest.mark.parametrize("by", ["vjp", "rows", "stepped value"])
def test_the_copy_without_a_fault_is_spared(by, tmp_path):
    """The kill is the fault's doing."""
    line = "z = tl.exp(-tl.abs(a))"
    package = transplanted("torch_twin", tmp_path, "kernels/common.py", line, line, *MODULES)
    assert not noticed(by, faulty(package, "none", by), "rnn")
