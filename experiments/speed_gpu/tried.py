"""What was tried against what is missed, as plain data: by hand, a kernel at a time, as the decisions tell it."""

from __future__ import annotations

from typing import NamedTuple


class Tried(NamedTuple):
    """One attempt.

    Attributes:
        what: in words.
        where: the setting; T=100, B=64, float32.
        before, after: microseconds of the kernel, "" where it did not come to that.
        came: "kept", or why not.
        decision: its number, decisions/NUMBER-*.md.
    """

    what: str
    where: str
    before: str
    after: str
    came: str
    decision: str


TRIED = (
    Tried("input's product in tiles of 64 rows instead of 32", "LSTM E=32 H=64", "932", "584", "kept", "0022"),
    Tried("the same with two warps, dividing in 32 bits", "LSTM E=32 H=64", "551", "391", "kept", "0023"),
    Tried("the same by the library", "LSTM E=32 H=64", "", "391", "not: its sums depend on the number of rows", "0022"),
    Tried("the same in tiles of 128 rows", "LSTM E=32 H=64", "", "", "not: registers spill", "0023"),
    Tried("programs of 4, 8 or 16 rows, forward", "LSTM E=1 H=64", "409", "145", "kept", "0023"),
    Tried("programs of 4, 8 or 16 rows, back", "LSTM E=1 H=64", "414", "165", "kept", "0023"),
    Tried("an LSTM's four products as one, forward", "LSTM E=32 H=64", "439", "348", "kept", "0023"),
    Tried("an LSTM's four products as one, back", "LSTM E=32 H=64", "", "", "not: registers spill", "0023"),
    Tried("two programs side by side", "LSTM E=32 H=64", "348", "334", "not: spills on sm_80", "0023"),
    Tried("W h in place of h W, back, a step", "LSTM E=32 H=64", "4.48", "4.68", "not: no gain", "0022"),
    Tried("weights' gradient in parts, a product", "LSTM E=8 H=64", "226", "57", "kept", "0023"),
    Tried("weights' gradient in parts, a product", "LSTM E=32 H=32", "219", "84", "kept", "0023"),
    Tried(
        "our calls in CUDA graphs of our own", "all", "", "", "not: memory would have to be ours, and copied", "0023"
    ),
)
"""The latest form of each stands in the kernels; what is left is told by the profile."""
