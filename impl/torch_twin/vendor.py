"""torch's own kernels behind the contract of the time loop: torch.lstm, torch.rnn_tanh and torch.rnn_relu.

The gradient is autograd's, by leaves that share the caller's memory; the graph is kept in the cache, so that several
backwards agree. The models of a group run in turn. What the kernels do not take is done around them: rows of length 0
and sequences without steps hand the state on, one bias alone has zeros beside it, a reversed loop reads its rows from
their own ends.

The kernels tell neither c_t nor the gradient by h_t and c_t of a step. Where those are asked for the sequence runs once
more, a kernel a step, which costs as much as a loop; all other results are those of the run in one piece.

On CUDA the kernels are cuDNN's. Their products of float32 are float32's; their tanh of float32 is not, being off by
9e-6 of itself at 1, 150 roundings (an H100, cuDNN 9.19; decisions/0048). The slope of their relu at 0 is 1, where the
cell's is 0: that cell is refused there.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from impl.spec import (
    STATES,
    Array,
    Gradient,
    Origin,
    Parameters,
    Run,
    check_cache,
    check_like,
    check_sequence,
    check_skip,
    check_state,
    leaves,
    members,
    origin,
    rebuild,
    tree_map,
)

from .scan import batch_of, copy, mask, over_steps, running_rows, select, zero_state

KERNELS = {"rnn": torch.rnn_tanh, "rnn_relu": torch.rnn_relu, "lstm": torch.lstm}
PRECISIONS = {"cpu": ("ieee",), "cuda": ("ieee", "tf32")}
"""How the kernels may round products, by device: in the dtype itself, or float32 by TF32."""

OTHERWISE = {("cuda", "rnn_relu"): "the slope of cuDNN's relu at 0 is 1, where that of the cell is 0"}
"""What the kernels compute otherwise than the cell that they are named after, by device and cell."""


class Given(NamedTuple):
    """What a gradient is taken by: x, the parameters and the initial state, as leaves of a graph of their own."""

    x: Array
    params: Parameters
    state: Any


class Cache(NamedTuple):
    """What `backward` needs: whose it is, leaves, outputs h and last with the graph between, lengths, way, precision.

    Without a record the leaves and the outputs are None.
    """

    origin: Origin
    given: Given | None
    outputs: tuple[Array, Any] | None
    lengths: Array | None
    reverse: bool
    precision: str


def why_not(cell: str, params: Parameters, x: Array, precision: str = "ieee") -> str | None:
    """A sentence that says why these kernels cannot do what is asked; None where they can."""
    known = PRECISIONS.get(x.device.type, ("ieee",))
    if cell not in KERNELS:
        return f"torch has no kernel of the cell {cell}"
    if (x.device.type, cell) in OTHERWISE:
        return OTHERWISE[x.device.type, cell]
    if members(params) == 0:
        return "a group of no models gives torch's kernels nothing to run"
    if precision not in known:
        return f"torch's kernels on {x.device.type} have the precision {' or '.join(known)}, not {precision!r}"
    return None


def forward(
    cell: str,
    params: Parameters,
    x: Array,
    state: Any = None,
    lengths: Array | None = None,
    reverse: bool = False,
    precision: str = "ieee",
    states: bool = False,
    record: bool = True,
) -> Run:
    """Runs a cell over a sequence.

    Args:
        cell, params, x, state, lengths, reverse: as `scan.forward` has them, with its shapes.
        precision: how float32 products are rounded, a name in PRECISIONS for the device.
        states: whether c of every step is asked for; it costs a run by steps. An RNN's states are its h anyway.
        record: whether a backward may follow.
    Returns:
        As `scan.forward`; states.c is None unless asked for.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_sequence(cell, params, x, state, lengths)
    reason = why_not(cell, params, x, precision)
    if reason:
        raise ValueError(f"`backend` cannot be 'vendor': {reason}.")
    with torch.inference_mode(False), torch.set_grad_enabled(record), products(x, precision):
        first = zero_state(cell, params, x) if state is None else tree_map(copy, state)
        given = Given(*tree_map(lambda a: leaf(a, record), (x, params, first)))
        h, last = models(cell, *given, lengths, reverse)
        whole = STATES[cell](h, *[None] * (len(first) - 1))
        if states and len(first) > 1:
            running = running_rows(x, lengths, batch_of(params, x))
            whole = mask(running, over_steps(by_steps(cell, given, lengths, reverse)[0], first))._replace(h=h)
    kept = Cache(origin("vendor", cell, params), given, (h, last), tree_map(copy, lengths), reverse, precision)
    detached = tree_map(torch.Tensor.detach, (whole, last))
    return Run(*detached, kept if record else kept._replace(given=None, outputs=None))


def backward(
    cell: str,
    params: Parameters,
    cache: Cache,
    dh: Array | None = None,
    dlast: Any = None,
    skip: Collection[str] = (),
) -> Gradient:
    """The gradient of <dh, states.h> + <dlast, last>, by autograd.

    Args:
        cell, params, cache, dh, dlast, skip: as `scan.backward` has them.
    Returns:
        As `scan.backward`. With "states" among the skipped nothing runs by steps.
    Raises:
        TypeError, ValueError: the cache is of another forward or without a record, or a cotangent does not fit.
    """
    check_skip(skip)
    check_cache("vendor", cell, params, cache)
    if cache.given is None:
        raise ValueError("`cache` must be that of a forward with record=True; got one without a record.")
    (h, last), H = cache.outputs, params.weight_hh.shape[-1]
    if dh is not None:
        check_like("dh", dh, params.weight_hh, "it is the gradient by states.h", tuple(h.shape))
    if dlast is not None:
        check_state("dlast", cell, dlast, (*batch_of(params, cache.given.x), H), params.weight_hh)
    cotangents = [dh, *([None] * len(last) if dlast is None else dlast)]
    wanted = cache.given._replace(**{name: None for name in ("x", "params") if name in skip})
    with torch.inference_mode(False), products(cache.given.x, cache.precision):
        found = rebuild(wanted, pulled([h, *last], cotangents, leaves(wanted)))
        dstates = None if "states" in skip else gradient_by_steps(cell, cache, cotangents)
    own = found.params
    if own is not None:
        own = own._replace(bias_ih=copied(own.bias_ih), bias_hh=copied(own.bias_hh))
    return Gradient(found.x, own, tree_map(copy, found.state), dstates)


def leaf(a: Array, record: bool) -> Array:
    """The same memory as the start of a graph; a tensor made under inference_mode has to be copied for that."""
    return (a.clone() if a.is_inference() else a.detach()).requires_grad_(record)


def copied(a: Array | None) -> Array | None:
    """Memory of its own: for one step of one row autograd hands the same gradient to both biases."""
    return None if a is None else copy(a)


def models(
    cell: str, x: Array, params: Parameters, state: Any, lengths: Array | None, reverse: bool
) -> tuple[Array, Any]:
    """h (T, B, H) or (T, E, B, H) and the last state; the models of a group in turn."""
    E = members(params)
    if E is None:
        return rows(cell, x, params, state, lengths, reverse)
    xs = [x] * E if x.ndim == 3 else x.unbind(1)
    by_model = [lengths] * E if lengths is None or lengths.ndim == 1 else lengths
    each = zip(xs, apart(params, E), apart(state, E), by_model, strict=True)
    hs, lasts = zip(*(rows(cell, *one, reverse) for one in each), strict=True)
    return torch.stack(hs, 1), tree_map(lambda *parts: torch.stack(parts), *lasts)


def apart(tree: Any, E: int) -> list[Any]:
    """A group's arrays by model: the gradient of `unbind` is one stack, that of E indices E arrays of zeros."""
    parts = [a.unbind(0) for a in leaves(tree)]
    return [rebuild(tree, [part[e] for part in parts]) for e in range(E)]


def rows(
    cell: str, x: Array, params: Parameters, state: Any, lengths: Array | None, reverse: bool
) -> tuple[Array, Any]:
    """One model's h (T, B, H), zero at padding, and last state, in either direction."""
    seen = turned(x, lengths) if reverse else x
    if lengths is None or not x.shape[1]:
        h, last = kernel(cell, params, seen, state) if len(x) else idle(x, params, state)
    else:
        h, last = packed(cell, params, seen, state, lengths)
    return turned(h, lengths) if reverse else h, last


def packed(cell: str, params: Parameters, x: Array, state: Any, lengths: Array) -> tuple[Array, Any]:
    """The rows that have steps, the longest first as the kernels want them, among those that have none.

    torch packs no rows without features: they get one of zeros, with weights of zeros.
    """
    if not x.shape[-1]:
        x, params = pad(x, (0, 1)), params._replace(weight_ih=pad(params.weight_ih, (0, 1)))
    order = lengths.argsort(descending=True, stable=True)[: int((lengths > 0).sum())]
    h, last = idle(x, params, state)
    if not len(order):
        return h, last
    some = pack_padded_sequence(x[:, order], lengths[order].cpu())
    data, ended = kernel(cell, params, some.data, tree_map(lambda a: a[order], state), some.batch_sizes)
    ran, _ = pad_packed_sequence(PackedSequence(data, some.batch_sizes), total_length=len(x))
    return h.index_copy(1, order, ran), tree_map(lambda a, b: a.index_copy(0, order, b), last, ended)


def idle(x: Array, params: Parameters, state: Any) -> tuple[Array, Any]:
    """No step: outputs of zeros, and the state as it was."""
    return x.new_zeros((*x.shape[:-1], params.weight_hh.shape[-1])), tree_map(copy, state)


def kernel(cell: str, params: Parameters, x: Array, state: Any, batch_sizes: Array | None = None) -> tuple[Array, Any]:
    """torch's kernel: one layer in one direction on x (T, B, D), or on packed rows (N, D) with `batch_sizes`.

    The argument that torch calls `train` decides for cuDNN whether it keeps what a backward needs. Weights and states
    with gaps, which a CPU's kernels take, cuDNN's refuse.
    """
    flat, hx = [a.contiguous() for a in flat_weights(params)], [a[None].contiguous() for a in state]
    hx = hx if len(hx) > 1 else hx[0]
    setting = (flat, len(flat) == 4, 1, 0.0, torch.is_grad_enabled(), False)
    if batch_sizes is None:
        y, *last = KERNELS[cell](x, hx, *setting, False)
    else:
        y, *last = KERNELS[cell](x, batch_sizes, hx, *setting)
    return y, STATES[cell](*(a[0] for a in last))


def flat_weights(params: Parameters) -> list[Array]:
    """The parameters as the kernels take them: both biases or none, so that one alone gets zeros beside it."""
    W_ih, W_hh, b_ih, b_hh = params
    if b_ih is None and b_hh is None:
        return [W_ih, W_hh]
    return [W_ih, W_hh, *(W_hh.new_zeros(len(W_hh)) if b is None else b for b in (b_ih, b_hh))]


def turned(a: Array, lengths: Array | None) -> Array:
    """Each row of a (T, B, K) from its own last step to its first; its padding stays where it is."""
    if lengths is None or not a.shape[1]:
        return a.flip(0)
    t = torch.arange(len(a), device=a.device)[:, None]
    index = torch.where(t < lengths, lengths - 1 - t, t)
    return a.gather(0, index[..., None].expand_as(a))


def pulled(outputs: list[Array], cotangents: list[Array | None], wanted: list[Array]) -> list[Array]:
    """The gradients by the leaves `wanted`; zeros where no output with a cotangent depends on them."""
    pairs = [(a, d) for a, d in zip(outputs, cotangents, strict=True) if d is not None and a.requires_grad]
    if not pairs:
        return [torch.zeros_like(a) for a in wanted]
    ends, given = zip(*pairs, strict=True)
    return list(torch.autograd.grad(ends, wanted, given, retain_graph=True, materialize_grads=True))


def by_steps(cell: str, given: Given, lengths: Array | None, reverse: bool) -> tuple[list[Any], Any]:
    """The state carried out of every step, in the order of x, and the last: a kernel a step."""
    x, params, state = given
    running, carried = running_rows(x, lengths, batch_of(params, x)), []
    seen = x if running is None else torch.where(running, x if x.ndim == running.ndim else x[:, None], 0)
    for t in range(len(x))[:: -1 if reverse else 1]:
        _, state_next = models(cell, seen[t : t + 1], params, state, None, False)
        state = select(running, t, state_next, state)
        carried.append(state)
    return carried[:: -1 if reverse else 1], state


def gradient_by_steps(cell: str, cache: Cache, cotangents: list[Array | None]) -> Any:
    """The gradient by the state carried out of every step, zero at padding."""
    given, lengths = cache.given, cache.lengths
    with torch.enable_grad():
        carried, last = by_steps(cell, given, lengths, cache.reverse)
        states = over_steps(carried, given.state)
        running = running_rows(given.x, lengths, batch_of(given.params, given.x))
        outputs = [mask(running, states).h, *last]
    if not carried:
        return tree_map(torch.Tensor.detach, states)
    found = pulled(outputs, cotangents, leaves(tuple(carried)))
    return mask(running, over_steps(list(rebuild(tuple(carried), found)), given.state))


@contextmanager
def products(x: Array, precision: str) -> Iterator[None]:
    """On CUDA, cuDNN's setting for float32 products, which by torch's default is TF32; elsewhere nothing.

    cuDNN wants all weights in one piece of memory, and warns that others are copied at every call: so they are.
    """
    if not x.is_cuda:
        yield
        return
    now, tf32 = torch.backends.cudnn, precision == "tf32"
    kept = {"enabled": now.enabled, "benchmark": now.benchmark, "deterministic": now.deterministic}
    with now.flags(**kept, allow_tf32=tf32), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        yield
