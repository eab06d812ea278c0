"""Law "purity": a call changes nothing but what it returns."""

from properties.cases import gradients, outputs, plans, results
from properties.handed_in import arrays_of, form_of, other_form
from properties.laws import all_same_bits, law, require, same_bits, share_no_memory


@law("purity", plans(), seen_in=("pytorch#1721", "keras#23462", "mxnet#18203"))
def test_inputs_parameters_states_and_cotangents_stay_as_they_are(subject, cell, dtype, plan):
    """What is handed in belongs to the caller: it keeps its bits and its form, and may be read-only."""
    case = plan.case(cell, dtype)
    before = [(name, a, form_of(a), a.copy()) for name, a in arrays_of(case.call, case.cotangent)]
    for method, arguments in calls(subject, case):
        getattr(subject, method)(*arguments)
        for name, array, form, copy in before:
            other = other_form(name, array, form)
            require(subject, case, not other, f"{method} {other}")
            same_bits(subject, case, f"after {method} {name}", array, copy)


def calls(subject, case):
    """The calls of a case that a subject takes."""
    yield "forward", (case.call,)
    if "backward" in subject.capabilities:
        yield "backward", (case.call, case.cotangent)


@law("purity", plans())
def test_read_only_arrays_are_taken(subject, cell, dtype, plan):
    """Nothing is written to an argument, so none need be writable, and none becomes so."""
    case = plan.case(cell, dtype)
    given = arrays_of(case.call, case.cotangent)
    for _, array in given:
        array.flags.writeable = False
    results(subject, case.call, case.cotangent)
    for name, array in given:
        require(subject, case, not array.flags.writeable, f"a call unlocked {name}, which is read-only.")


@law("purity", plans())
def test_results_share_no_memory_with_arguments_or_each_other(subject, cell, dtype, plan):
    """Whoever writes to a result changes nothing else."""
    case = plan.case(cell, dtype)
    found = [(f"`{name}`", a) for name, a in outputs(subject.forward(case.call)).items()]
    if "backward" in subject.capabilities:
        back = gradients(subject.backward(case.call, case.cotangent))
        found += [(f"the gradient by {name}", a) for name, a in back.items()]
    share_no_memory(subject, case, found, arrays_of(case.call, case.cotangent))


@law("purity", plans())
def test_the_same_call_again_gives_the_same_bits(subject, cell, dtype, plan):
    """No call sees an earlier one."""
    case = plan.case(cell, dtype)
    first = results(subject, case.call, case.cotangent)
    second = results(subject, case.call, case.cotangent)
    all_same_bits(subject, case, second, first)
