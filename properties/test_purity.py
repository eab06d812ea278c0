"""Law "purity": a call changes nothing but what it returns."""

import numpy as np

from properties.cases import arrays, plans, results
from properties.laws import all_same_bits, law, require, same_bits


@law("purity", plans(), seen_in=("pytorch#1721", "keras#23462", "mxnet#18203"))
def test_inputs_parameters_states_and_cotangents_stay_as_they_are(subject, cell, dtype, plan):
    """What is handed in belongs to the caller: it keeps its bits, and may be read-only."""
    case = plan.case(cell, dtype)
    given = arrays(case.call) + arrays(case.cotangent)
    before = [a.copy() for a in given]
    results(subject, case.call, case.cotangent)
    for array, copy in zip(given, before, strict=True):
        same_bits(subject, case, f"an argument of shape {copy.shape}", array, copy)


@law("purity", plans())
def test_read_only_arrays_are_taken(subject, cell, dtype, plan):
    """Nothing is written to an argument, so none need be writable."""
    case = plan.case(cell, dtype)
    for array in arrays(case.call) + arrays(case.cotangent):
        array.flags.writeable = False
    results(subject, case.call, case.cotangent)


@law("purity", plans())
def test_results_share_no_memory_with_arguments_or_each_other(subject, cell, dtype, plan):
    """Whoever writes to a result changes nothing else."""
    case = plan.case(cell, dtype)
    found = list(results(subject, case.call, case.cotangent).values())
    given = arrays(case.call) + arrays(case.cotangent)
    for n, result in enumerate(found):
        shared = [a.shape for a in given + found[:n] if np.shares_memory(a, result)]
        require(
            subject, case, not shared, f"a result of shape {result.shape} shares memory with arrays of shape {shared}."
        )


@law("purity", plans())
def test_the_same_call_again_gives_the_same_bits(subject, cell, dtype, plan):
    """No call sees an earlier one."""
    case = plan.case(cell, dtype)
    first = results(subject, case.call, case.cotangent)
    second = results(subject, case.call, case.cotangent)
    all_same_bits(subject, case, second, first)
