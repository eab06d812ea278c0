"""Every law kills the faults planted for it, and accuses the unchanged carrier of none."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from impl.spec import DTYPES
from properties.laws import registry
from properties.meta.carrier import Carrier, Fault
from properties.meta.faults import FAULTS

HUNT = settings(settings.get_profile("ci"), phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
LAWS = registry()
ROWS = [pytest.param(law, fault, id=f"{law}-{fault.name.replace(' ', '_')}") for fault in FAULTS for law in fault.laws]


def noticed(law: str, fault) -> bool:
    """Whether one of a law's tests accuses a faulty subject; that it stumbles over the fault is not enough.

    A test that asks for what the subject does not declare would accuse it without the fault.
    """
    for found, cell, dtype in product(LAWS[law], fault.cells, fault.dtypes):
        if cell in found.cells and not found.lacking(fault.subject, cell):
            try:
                found.run(fault.planted().subject, cell, dtype, HUNT)
            except AssertionError:
                return True
    return False


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("law", "fault"), ROWS)
def test_a_law_kills_the_faults_planted_for_it(law, fault, record_property):
    """A property that has never failed proves little."""
    killed = noticed(law, fault)
    record_property("kill", [law, fault.name, killed])
    assert killed, f"law {law!r} did not notice the planted fault {fault.name!r}"


@pytest.mark.parametrize("law", sorted(LAWS))
def test_every_law_has_a_fault_to_kill_and_spares_the_unchanged_carrier(law):
    """The kill is the fault's doing: the same subject without it passes."""
    assert any(law in fault.laws for fault in FAULTS), f"law {law!r} has no planted fault"
    for found in LAWS[law]:
        for cell in found.cells:
            if not found.lacking(Carrier(), cell):
                found.run(Carrier(), cell, "float32", settings(HUNT, max_examples=5))


class LogSumExp(Carrier):
    """The twin with the textbooks' loss, whose terms are as large as the logits that it is given."""

    def loss(self, y, targets, mask=None):
        largest = y.max(-1, keepdims=True)
        total = largest[..., 0] + np.log(np.exp(y - largest).sum(-1))
        each = total - np.take_along_axis(y, targets[..., None], -1)[..., 0]
        return (each if mask is None else np.where(mask, each, 0)).sum(), super().loss(y, targets, mask)[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_that_subtracts_the_targets_logit_from_the_logarithm_of_the_sum_is_right(dtype):
    """A constant added to all logits costs it bits; the bound was that of the logits without it."""
    for found in LAWS["chain rule"]:
        if found.needs == ("loss",):
            found.run(LogSumExp(), "lstm", dtype, settings(HUNT, max_examples=30))


def test_what_no_subject_need_promise_is_no_kill():
    """The carrier's products give a row other bits in another batch: all of that row's kills were this."""
    assert not noticed("rows", Fault("none", ("rows",), Carrier(), ("rnn", "lstm"), ("float32",)))
