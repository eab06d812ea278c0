"""Faults planted in the fast and the compiled form, each in one line, are caught by the laws or by the long cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from properties.laws import registry
from properties.meta.transplant import transplanted
from properties.subjects.numpy_fast import NumpyFast
from properties.twins.long import LONG, within

HUNT = settings(settings.get_profile("ci"), max_examples=15, phases=(Phase.generate,))
HUNT = settings(HUNT, suppress_health_check=list(HealthCheck))
LAWS = registry()
MODULES = ("array", "exchange", "head", "loss", "optim", "scan", "stack")

FAULTS = {
    # name: (file, old, new, cell, who must notice)
    "sigma without its half": ("fast_lstm.py", "        add(s, half, out=s)\n", "", "lstm", "value"),
    "the halved rows are not halved": (
        "fast_lstm.py",
        "multiply(a[:, : 3 * H], 0.5, out=result[:, : 3 * H])",
        "multiply(a[:, : 2 * H], 0.5, out=result[:, : 2 * H])",
        "lstm",
        "value",
    ),
    "gates inside in another order": ("fast_lstm.py", '"i", "f", "o", "g"', '"f", "i", "o", "g"', "lstm", "value"),
    "gradients leave in the order inside": (
        "fast_lstm.py",
        'return reordered(a, ORDER, GATES["lstm"], H)',
        "return a",
        "lstm",
        "vjp",
    ),
    "the next block of steps begins from zero": (
        "fast_products.py",
        "hs[0][...] = hs[N]",
        "hs[0][...] = hs[N] if lo == 0 else 0",
        "lstm",
        "long",
    ),
    "sums of earlier steps are lost": (
        "fast_products.py",
        "self.dW += self._part",
        "self.dW[...] = self._part",
        "rnn",
        "long",
    ),
    "the gradient by x of one model for all": (
        "fast_products.py",
        "matmul(da.mT, self.W[..., : dx.shape[-1]])",
        "matmul(da.mT, self.W[:1, :, : dx.shape[-1]])",
        "rnn",
        "ensemble",
    ),
    "an ended row goes on": ("fast_rnn.py", "copyto(h_after, h, where=ended[t].mT)", "pass", "rnn", "lengths"),
    "an ended row's cell goes on": ("fast_lstm.py", "copyto(c, cs[t], where=ended[t])", "pass", "lstm", "lengths"),
    "an ended row takes a gradient": ("fast_rnn.py", "clear(ended[t].mT, dh_t)", "pass", "rnn", "lengths"),
    "an ended row loses its gradient": (
        "fast_rnn.py",
        "copyto(dh_t, kept, where=ended[t].mT)",
        "pass",
        "rnn",
        "lengths",
    ),
    "an ended row's cell loses its gradient": (
        "fast_lstm.py",
        "copyto(dc, kept[1], where=ended[t])",
        "pass",
        "lstm",
        "lengths",
    ),
    "dc' forgets dh'": ("fast_lstm.py", "            add(dc, part, out=dc)\n", "", "lstm", "vjp"),
    "dc is not forgotten by f": ("fast_lstm.py", "            multiply(dc, f_t, out=dc)\n", "", "lstm", "vjp"),
    "the output gate's factor for the forget gate": (
        "fast_lstm.py",
        "multiply(dc, P_f, out=da_f)",
        "multiply(dc, P_o, out=da_f)",
        "lstm",
        "vjp",
    ),
    "the candidate's slope is 1": (
        "fast_lstm.py",
        "    subtract(i, P_g, out=P_g)\n",
        "    P_g[...] = i\n",
        "lstm",
        "vjp",
    ),
    "tanh's slope by half": (
        "fast_rnn.py",
        "subtract(1, out, out=out)",
        "subtract(1, out * 0.5, out=out)",
        "rnn",
        "vjp",
    ),
    "relu's slope at 0 is 1": ("fast_rnn.py", "subtract(h <= 0, 1,", "subtract(h < 0, 1,", "rnn_relu", "exact"),
    "reverse runs forward": ("fast.py", "way, batch = -1 if reverse else 1,", "way, batch = 1,", "rnn", "reversal"),
    "two models take the first one's x": (
        "fast_rnn.py",
        "begin(Z, place.of(x))",
        "begin(Z, place.of(x)[:, :1])",
        "rnn",
        "ensemble",
    ),
    "the second part of a group has the first one's state": (
        "fast.py",
        "tree_map(lambda a: grouped(a, 3)[models], state)",
        "tree_map(lambda a: grouped(a, 3)[: models.stop - models.start], state)",
        "rnn",
        "ensemble",
    ),
    "both biases are one array": (
        "fast.py",
        "else a[0].copy()",
        "else a[0]",
        "rnn",
        "purity",
    ),
    "compiled: steps change their rows": (
        "compiled.py",
        "da[(t - lo) * B : (t - lo + 1) * B]\n            if ended.size:\n                kept[:]",
        "da[(hi - 1 - t) * B : (hi - t) * B]\n            if ended.size:\n                kept[:]",
        "rnn",
        "long",
    ),
    "compiled: an ended row loses its gradient": ("compiled.py", "a[b] = kept[b]", "pass", "rnn", "lengths"),
    "compiled: an ended row goes on": ("compiled.py", "h[b, m] = Z[t * B + b, K - H + m]", "pass", "rnn", "lengths"),
    "compiled: a part of a group is the first one": (
        "compiled.py",
        "dW[e], dx, by_h\n        rnn_steps_back(*given, first + e,",
        "dW[e], dx, by_h\n        rnn_steps_back(*given, e,",
        "rnn",
        "ensemble",
    ),
    "compiled: time runs forward in reverse": (
        "compiled.py",
        "return t if way > 0 else T - 1 - t",
        "return t",
        "rnn",
        "reversal",
    ),
    "compiled: a coarser tanh": ("compiled.py", "1.33314422036e-1", "1.33e-1", "rnn", "value"),
}


def noticed(by: str, subject: NumpyFast, cell: str) -> bool:
    """Whether a law, or the long cases, accuse a faulty subject."""
    try:
        if by == "long":
            for plan in LONG.values():
                within(subject, plan, cell, "float32")
            return False
        for law in LAWS[by]:
            if cell in law.cells:
                law.run(subject, cell, "float32", HUNT)
    except AssertionError:
        return True
    return False


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_one_line_of_the_fast_form_is_caught(name, tmp_path, record_property):
    """By the law that it is for."""
    file, old, new, cell, by = FAULTS[name]
    form = form_of(file)
    package = transplanted("numpy_twin", tmp_path, file, old, new, *MODULES, form)
    killed = noticed(by, faulty(package, form, name), cell)
    if by in LAWS:
        record_property("kill", [by, name, killed])
    assert killed, f"{by!r} did not notice the planted fault {name!r}"


def faulty(package, form, name):
    """A copy of the twin as a subject, with its own time loop."""
    return NumpyFast(f"planted fault ({name})", package, f"numpy {np.__version__}", getattr(package, form))


def form_of(file):
    """The form that a fault in a file shows in."""
    return "compiled" if file == "compiled.py" else "fast"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("form", ["fast", "compiled"])
def test_the_copy_without_a_fault_is_spared(form, tmp_path):
    """The kill is the fault's doing."""
    line = "        add(s, half, out=s)\n"
    package = transplanted("numpy_twin", tmp_path, "fast_lstm.py", line, line, *MODULES, form)
    for by, cell in sorted({(by, cell) for file, _, _, cell, by in FAULTS.values() if form_of(file) == form}):
        assert not noticed(by, faulty(package, form, "none"), cell)


def test_a_fault_whose_line_is_gone_is_refused(tmp_path):
    """A fault that is planted nowhere would prove nothing."""
    with pytest.raises(ValueError, match=r"^`old` must stand once in fast.py; 'no such line' stands there 0 times"):
        transplanted("numpy_twin", tmp_path, "fast.py", "no such line", "")
