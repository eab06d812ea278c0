"""Law "dtype": what goes in comes out."""

from properties.cases import plans, results
from properties.laws import law, require


@law("dtype", plans(), seen_in=("tensorflow#32369", "oneDNN#976"))
def test_every_result_has_the_dtype_of_the_arguments(subject, cell, dtype, plan):
    """Outputs, states and gradients alike: a silent float64 doubles the memory, a silent float32 loses the digits."""
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    wrong = {name: str(a.dtype) for name, a in got.items() if a.dtype != dtype}
    require(subject, case, not wrong, f"results must be {dtype} like the arguments; got {wrong}.")
