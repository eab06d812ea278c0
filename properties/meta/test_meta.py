"""Every law kills the faults planted for it, and accuses the unchanged carrier of none."""

from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from properties.laws import registry
from properties.meta.faults import FAULTS, Carrier

HUNT = settings(settings.get_profile("ci"), phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
LAWS = registry()
ROWS = [pytest.param(law, fault, id=f"{law}-{fault.name.replace(' ', '_')}") for fault in FAULTS for law in fault.laws]


def breaks(law: str, subject, cells, dtypes) -> str:
    """The first failure that a law's tests find in a subject, or nothing."""
    for found, cell, dtype in product(LAWS[law], cells, dtypes):
        try:
            HUNT(given(plan=found.plan)(found.body))(subject=subject, cell=cell, dtype=dtype)
        except (AssertionError, ValueError, TypeError, RuntimeError) as error:
            return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("law", "fault"), ROWS)
def test_a_law_kills_the_faults_planted_for_it(law, fault, record_property):
    """A property that has never failed proves little."""
    failure = breaks(law, fault.subject, fault.cells, fault.dtypes)
    record_property("kill", [law, fault.name, bool(failure)])
    assert failure, f"law {law!r} did not notice the planted fault {fault.name!r}"


@pytest.mark.parametrize("law", sorted(LAWS))
def test_every_law_has_a_fault_to_kill_and_spares_the_unchanged_carrier(law):
    """The kill is the fault's doing: the same subject without it passes."""
    assert any(law in fault.laws for fault in FAULTS), f"law {law!r} has no planted fault"
    for found, cell in product(LAWS[law], ("rnn", "lstm")):
        settings(HUNT, max_examples=5)(given(plan=found.plan)(found.body))(
            subject=Carrier(), cell=cell, dtype="float32"
        )
