"""Memory that nobody has written, under Triton's interpreter: no kernel of ours and no product of torch's reads it.

compute-sanitizer's initcheck asks that on a card; here every tensor that is made without values holds a mark, which is
looked for in what a kernel loads where its mask is true, and in what torch's operations are given. Results alone do not
show it: what is read and then masked changes none.
"""

import math
import traceback
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from impl.spec import leaves
from properties.twins import referee, small_kernels

pytestmark = pytest.mark.slow

MARKS = {
    torch.float32: (torch.int32, 0x7FC0DEAD),
    torch.float64: (torch.int64, 0x7FF8DEAD0000DEAD),
    torch.bfloat16: (torch.int16, 0x7FED),
    torch.int32: (torch.int32, 0x5EADDEAD),
    torch.int64: (torch.int64, 0x5EADDEAD5EADDEAD),
}
"""By dtype the integers of its size, and what stands for a number that nobody has written: of floats a NaN."""

MADE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""Operations that make a tensor without values."""

SHAPES_ALONE = MADE | {"new_zeros", "new_full", "new_ones", "zeros_like", "full_like", "ones_like"}
SHAPES_ALONE |= {"view", "_unsafe_view", "as_strided", "alias", "detach", "expand", "permute", "transpose", "t"}
SHAPES_ALONE |= {"select", "slice", "squeeze", "unsqueeze", "unbind", "split"}
"""Operations that look at no value of what they are given."""

WRITES = {"copy_", "fill_", "zero_"}
"""Operations that write their first argument without looking at it."""


def marks(a):
    """How many numbers of a tensor or an array nobody has written."""
    a = torch.from_numpy(a) if isinstance(a, np.ndarray) else a
    whole, mark = MARKS.get(a.dtype, (None, 0))
    return 0 if whole is None else int((a.contiguous().view(whole) == mark).sum())


class Marked(TorchDispatchMode):
    """Marks what is made without values, and counts by operation what is given of it."""

    def __init__(self):
        super().__init__()
        self.read = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        if name not in SHAPES_ALONE:
            given = args[1:] if name in WRITES else args
            for a in given:
                for one in a if isinstance(a, (list, tuple)) else [a]:
                    self.note(name, marks(one) if isinstance(one, torch.Tensor) else 0)
        made = operation(*args, **(kwargs or {}))
        if name in MADE and made.dtype in MARKS:
            whole, mark = MARKS[made.dtype]
            made.view(whole).fill_(mark)
        return made

    def note(self, name, count):
        """Counts, with the line of ours that asked."""
        if count:
            ours = [f for f in traceback.extract_stack() if "torch_twin" in f.filename]
            self.read[f"{name} in {ours[-1].name}" if ours else name] += count


@pytest.fixture
def marked(monkeypatch):
    """The mode, which loads of interpreted kernels report to as well."""
    common = pytest.importorskip("impl.torch_twin.kernels.common", reason="the kernels need triton")
    if not common.INTERPRETED.value:
        pytest.skip("kernels are compiled: TRITON_INTERPRET is not 1")
    from triton.runtime.interpreter import InterpreterBuilder

    common._nothing.cache_clear()  # what is kept was not made under the mode
    mode, load = Marked(), InterpreterBuilder.create_masked_load

    def counted(self, pointers, mask, *rest):
        loaded = load(self, pointers, mask, *rest)
        numbers = np.asarray(loaded.data)
        mode.note("a load", marks(np.ascontiguousarray(numbers[np.broadcast_to(mask.data, numbers.shape)])))
        return loaded

    monkeypatch.setattr(InterpreterBuilder, "create_masked_load", counted)
    return mode


def read(mode, case):
    """What a case reads of what nobody has written, in either direction."""
    from impl.torch_twin.kernels import fused

    params, x, first, dh, last, lengths = small_kernels.drawn(case, "cpu")
    options = {"precision": "ieee" if case.number == "float64" else case.number, "force": case.path}
    with mode:
        for reverse in (False, True):
            call = case.cell, params, x, first, dh, last, lengths, reverse
            mode.note("what is returned", sum(map(marks, leaves(referee.ran(fused, *call, **options)))))
    return dict(mode.read)


CASES = [
    case
    for case in small_kernels.cases([20])
    if case.number in ("ieee", "float64") and case.rows in (0, 4) and (case.E is None or case.number == "ieee")
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_kernel_reads_what_nobody_has_written(marked, case):
    """Sizes that are padded, cells, paths, groups, lengths; both directions."""
    assert read(marked, case) == {}


@pytest.mark.parametrize("path", ["persistent", "stepped"])
def test_a_read_of_what_nobody_has_written_is_seen(marked, monkeypatch, path):
    """The projection left out: a kernel loads pre-activations that do not exist."""
    from impl.torch_twin.kernels import project

    monkeypatch.setattr(project, "forward", lambda *_: None)
    case = next(case for case in CASES if case.path == path and case.number == "ieee")
    found = read(marked, case)
    assert sum(found.values()) >= small_kernels.T * small_kernels.B * math.prod((case.E or 1, case.H))
