"""Law "shapes": what does not fit is refused by name; never broadcast, never a crash."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import plans
from properties.laws import law, require


def misfits(case):
    """Calls that do not fit, each with the argument that its refusal must name."""
    call, other = case.call, "float64" if case.dtype == "float32" else "float32"
    params, wider = call.params, np.zeros((*call.x.shape[:-1], call.x.shape[-1] + 1), case.dtype)
    yield "x", replace(call, x=call.x[..., 0])
    yield "x", replace(call, x=wider)
    yield "x", replace(call, x=call.x.astype(other))
    yield "state.h", replace(call, state=tree_map(lambda a: a[:, :1].repeat(a.shape[1] + 1, 1), call.state))
    yield "state.h", replace(call, state=tree_map(lambda a: a[:1].repeat(a.shape[0] + 1, 0), call.state))
    yield "weight_hh", replace(call, params=params._replace(weight_hh=params.weight_hh[:-1]))
    yield "bias_hh", replace(call, params=params._replace(bias_hh=params.bias_hh[:-1]))
    yield "weight_ih", replace(call, params=params._replace(weight_ih=params.weight_ih[:-1]))
    if case.plan.B > 1:
        yield "state.h", replace(call, state=tree_map(lambda a: a[:1], call.state))
    if case.plan.H > 1:
        yield "state.h", replace(call, state=tree_map(lambda a: a[:, :1], call.state))


@law("shapes", plans(biases=("both",)), needs=("checks",), seen_in=("pytorch#4074", "pytorch#114874", "pytorch#176070"))
def test_what_does_not_fit_is_refused(subject, cell, dtype, plan):
    """A wrong rank, width, batch or dtype raises; a subject that promises so names the argument."""
    case, taken = plan.case(cell, dtype), []
    for name, call in misfits(case):
        try:
            subject.forward(call)
        except (ValueError, TypeError, RuntimeError) as error:
            named = "refuses" not in subject.capabilities or f"`{name}`" in str(error)
            require(subject, case, named, f"the refusal of a wrong {name} must name it; it says: {error}.")
        else:
            taken.append(f"{name}, {wrong(name, call, case)},")
    require(subject, case, not taken, f"{' and '.join(taken)} must be refused; it was taken.")


def wrong(name, call, case):
    """What an argument is that does not fit, and what fits."""
    now, fits = (argument(name, c) for c in (call, case.call))
    return f"{now.dtype.name} {now.shape} where {fits.dtype.name} {fits.shape} fits"


def argument(name, call):
    """An argument of a call by its name."""
    return {"x": call.x, "state.h": call.state.h, **call.params._asdict()}[name]


@law("shapes", plans(lengths=True), needs=("lengths", "checks"))
def test_wrong_lengths_are_refused(subject, cell, dtype, plan):
    """Lengths count steps: one integer a row, none beyond T, none below 0."""
    case = plan.case(cell, dtype)
    lengths = case.call.lengths
    for wrong in (lengths + plan.T, lengths - plan.T - 1, np.concatenate([lengths, lengths])):
        try:
            subject.forward(replace(case.call, lengths=wrong))
        except (ValueError, TypeError, RuntimeError) as error:
            named = "refuses" not in subject.capabilities or "`lengths`" in str(error)
            require(subject, case, named, f"the refusal of wrong lengths must name them; it says: {error}.")
        else:
            require(subject, case, False, f"lengths {wrong.tolist()} must be refused for T={plan.T}; they were taken.")
