"""Faults planted in the LSTM's variants, each in one line of variants.py, are caught by the law that is for them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from impl.spec import VARIANTS
from properties.laws import registry
from properties.meta.transplant import transplanted
from properties.subjects.numpy_twin import NumpyTwin

HUNT = settings(max_examples=2, derandomize=True, database=None, deadline=None, phases=(Phase.generate,))
HUNT = settings(HUNT, suppress_health_check=list(HealthCheck))
MODULES = ("exchange", "head", "loss", "optim", "scan", "stack")

FAULTS = {
    # name: (old, new, cell, who must notice)
    "coupled: di with the wrong sign": ("df - di if", "df + di if", "lstm_coupled", "vjp"),
    "coupled: the gradient by i is left out": ("df - di if", "df if", "lstm_coupled", "vjp"),
    "coupled: the gradient by f is left out": ("df - di if", "-di if", "lstm_coupled", "vjp"),
    "coupled: i is f": ("return 1 - f if", "return f if", "lstm_coupled", "value"),
    "coupled: i is 1": ("return 1 - f if", "return 1.0 if", "lstm_coupled", "value"),
    "linear output: tanh's slope is kept": (
        "(dshown if cell == LINEAR else dshown * (1 - shown * shown))",
        "dshown * (1 - shown * shown)",
        "lstm_linear_output",
        "vjp",
    ),
    "linear output: tanh is kept": (
        "c_next if cell == LINEAR else tanh(c_next)",
        "tanh(c_next)",
        "lstm_linear_output",
        "value",
    ),
    "gates in another order": ('for gate in "ifgo")\n', 'for gate in "figo")\n', "lstm_linear_output", "value"),
    "gates in another order, three of them": (
        'for gate in "ifgo")\n',
        'for gate in "ogfi")\n',
        "lstm_no_forget",
        "value",
    ),
    "gradients in another order": ("in GATES[cell]], -1)", "in sorted(GATES[cell])], -1)", "lstm_linear_output", "vjp"),
    "gradients in another order, three of them": (
        "in GATES[cell]], -1)",
        "in sorted(GATES[cell])], -1)",
        "lstm_no_output",
        "vjp",
    ),
    "o is forgotten": ("h_next = o * shown", "h_next = 1 * shown", "lstm_coupled", "value"),
    "o is forgotten on the way back": ("dshown = dh_next * o", "dshown = dh_next", "lstm_no_forget", "vjp"),
    "i is forgotten on the way back": ("dc_next * g, dc_next * i", "dc_next * g, dc_next", "lstm_coupled", "vjp"),
    "f is forgotten on the way back": ("dc_next * c, dc_next * f", "dc_next * c, dc_next", "lstm_no_input", "vjp"),
    "an absent gate is shut": ("y.get(gate, 1.0)", "y.get(gate, 0.0)", "lstm_no_forget", "value"),
    "an absent gate is half open": ("y.get(gate, 1.0)", "y.get(gate, 0.5)", "lstm_no_output", "value"),
}


def noticed(by, package, cell):
    """Whether the law accuses a copy of the twin."""
    subject = NumpyTwin("planted fault", package, f"numpy {np.__version__}")
    try:
        registry()[by][0].run(subject, cell, "float32", HUNT)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_one_line_of_a_variant_is_caught(name, tmp_path, record_property):
    """By the law that it is for."""
    old, new, cell, by = FAULTS[name]
    killed = noticed(by, transplanted("numpy_twin", tmp_path, "variants.py", old, new, *MODULES), cell)
    record_property("kill", [by, name, killed])
    assert killed, f"{by!r} did not notice the planted fault {name!r}"


def test_the_copy_without_a_fault_is_spared(tmp_path):
    """The kill is the fault's doing."""
    line = "h_next = o * shown"
    package = transplanted("numpy_twin", tmp_path, "variants.py", line, line, *MODULES)
    assert not any(noticed(by, package, cell) for cell in VARIANTS for by in ("value", "vjp"))
