"""The time loop a step at a time, for weights too large to stay on the chip: a library's product and one kernel a step.

On a card the whole loop is one CUDA graph, so that a step costs no launch from the CPU. A graph reads and writes fixed
memory: it is kept, by shapes, with arrays of its own, into which a call's inputs are copied and from which its results.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from impl.spec import Array, leaves, rebuild

from . import pointwise
from .common import Backward, Forward, device_of

GRAPHS = 16
"""How many graphs are kept, those used last."""

_graphs: OrderedDict[tuple[Any, ...], tuple[Any, torch.cuda.CUDAGraph]] = OrderedDict()


def forward(work: Forward, H: int, relu: bool, precision: str) -> None:
    """Runs all steps of a forward; the product is summed as the library sums it."""
    read = (work.a, work.w_hh, *leaves((work.state, work.lengths)))
    written = (work.a, *work.saved, *work.states, *work.last)
    _run(work, read, written, lambda own: _forward(own, H, relu, precision), ("forward", H, relu, precision))


def backward(work: Backward, H: int, relu: bool, precision: str) -> None:
    """Runs all steps of a backward."""
    read = (*leaves((work.a, work.lengths, work.dlast)), work.w_hh, *work.saved, work.dh)
    written = (work.da, *(work.dstates or ()), *work.dstate)
    _run(work, read, written, lambda own: _backward(own, H, relu, precision), ("backward", H, relu, precision))


def _forward(work: Forward, H: int, relu: bool, precision: str) -> None:
    T, first = work.a.shape[1], 0 if work.way > 0 else -1
    work = work._replace(lengths=_lengths(work, work.a), state=work.state or (0.0,) * len(work.saved))
    for saved, start in zip(work.saved, work.state, strict=True):
        saved[:, first, :, :H] = start
        saved[:, first, :, H:] = 0
    W = _factor(work.w_hh.mT, precision)
    for t in range(T)[:: work.way]:
        h = work.saved[0][:, t if work.way > 0 else t + 1]
        _product(work.a[:, t], h, W, precision, add=True)
        pointwise.forward(work, H, t, relu)
    for last, saved in zip(work.last, work.saved, strict=True):
        last.copy_(saved[:, -1 if work.way > 0 else 0, :, :H])


def _backward(work: Backward, H: int, relu: bool, precision: str) -> None:
    (E, T, B), P = work.da.shape[:3], work.saved[0].shape[-1]
    work = work._replace(lengths=_lengths(work, work.da))
    carry = tuple(work.da.new_zeros((E, B, P)) for _ in work.dstate)
    for carried, d in zip(carry, work.dlast or (), strict=False):
        carried[..., :H] = d
    product = torch.empty((E, B, P), dtype=work.da.dtype, device=work.da.device)
    W, steps = _factor(work.w_hh, precision), range(T)[:: -work.way]
    for t in steps:
        pointwise.backward(work, H, t, relu, product, carry)
        _product(product, work.da[:, t], W, precision, add=False)
    took = steps[-1] < work.lengths[..., None]
    work.dstate[0].copy_(torch.where(took, product, carry[0])[..., :H])
    for d, carried in zip(work.dstate[1:], carry[1:], strict=True):
        d.copy_(carried[..., :H])


def _lengths(work: Forward | Backward, like: Array) -> Array:
    """The steps of each row, all of them where none are given."""
    E, T, B, _ = like.shape
    return work.lengths if work.lengths is not None else like.new_full((E, B), T, dtype=torch.int32)


def _factor(a: Array, precision: str) -> Array:
    """A factor of a product as the precision has it; without a card bfloat16's values are multiplied as float32."""
    if precision != "bf16":
        return a
    return a.to(torch.bfloat16) if a.is_cuda else a.to(torch.bfloat16).to(a.dtype)


def _product(out: Array, a: Array, W: Array, precision: str, add: bool) -> None:
    """out (E, B, N) = a (E, B, K) @ W (E, K, N), or += to `add`; no kernel fills `out` with zeros first."""
    factor = _factor(a, precision)
    if precision == "bf16" and a.is_cuda:
        product = torch.bmm(factor, W, out_dtype=out.dtype)
        out.add_(product) if add else out.copy_(product)
    elif add:
        out.baddbmm_(factor, W)
    else:
        torch.bmm(factor, W, out=out)


Arrays = tuple[Array, ...]


def _run(work: Any, read: Arrays, written: Arrays, loop: Callable[[Any], None], what: tuple[Any, ...]) -> None:
    """Runs the loop on the work's arrays; on a card as a graph, unless the caller is recording one."""
    with device_of(work.w_hh):
        if work.w_hh.is_cuda and not torch.cuda.is_current_stream_capturing():
            _replay(work, read, written, loop, what)
        else:
            loop(work)


def _replay(work: Any, read: Arrays, written: Arrays, loop: Callable[[Any], None], what: tuple[Any, ...]) -> None:
    """Copies what is read into a graph's own arrays, runs the graph, and copies back what it has written.

    Nothing but its stream orders the replays of one graph: so the stream is part of the key.
    """
    given = leaves(tuple(work[:-1]))
    shapes = tuple((tuple(a.shape), a.dtype) for a in given)
    stream = torch.cuda.current_stream().cuda_stream
    key = (*what, work.way, len(read), len(written), shapes, work.w_hh.device, stream)
    if key not in _graphs:
        own = _own(work)
        _graphs[key] = own, _record(own, loop)
    _graphs.move_to_end(key)
    while len(_graphs) > GRAPHS:
        torch.cuda.synchronize()  # the one used least may still run
        _graphs.popitem(last=False)
    own, graph = _graphs[key]
    inside = dict(zip(map(id, given), leaves(tuple(own[:-1])), strict=True))
    for a in read:
        inside[id(a)].copy_(a)
    graph.replay()
    for a in written:
        a.copy_(inside[id(a)])


def _own(work: Any) -> Any:
    """The work over arrays of its own, dense and of zeros."""
    fields = tuple(work[:-1])
    zeros = [torch.zeros(a.shape, dtype=a.dtype, device=a.device) for a in leaves(fields)]
    return type(work)(*rebuild(fields, zeros), work.way)


def _record(own: Any, loop: Callable[[Any], None]) -> torch.cuda.CUDAGraph:
    """A graph of the loop; a first run, on a stream beside, compiles its kernels and sets the library up."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        loop(own)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loop(own)
    return graph
