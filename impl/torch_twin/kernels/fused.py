"""The fused time loop: scan.forward and scan.backward by Triton kernels, for values and gradients, without autograd.

Its semantics and messages are those of scan.py. Where the plan is persistent, what a row gives (its states, and its
part of the gradient by x and by the initial state) has the same bits in every batch and group; the parameters'
gradients are a library's sums over steps and rows. Products outside the persistent loops and project.py are torch's
own, in float32 whether or not torch allows TF32 (tf32.py): the precision that is asked for here alone decides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import broadcast_to, contiguous_format, no_grad, where
from torch.nn.functional import pad

from impl.spec import (
    GATES,
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
    members,
    origin,
    unpack,
)
from impl.torch_twin import tf32
from impl.torch_twin.scan import batch_of, copy, over_rows, running_rows

from . import lstm, project, rnn, stepped
from .common import INTERPRETED, Backward, Forward
from .plan import Plan, plan


class Cache(NamedTuple):
    """What `backward` needs, G blocks of P columns each (H padded, common.py).

    Attributes:
        origin: of what forward it is.
        plan: how the loops run.
        w_ih, w_hh: (E, G*P, D) and (E, G*P, P), E = 1 for one model.
        x: (T, B, D) or (T, E, B, D), zero at padding.
        a: (E, T, B, G*P), an LSTM's gates; None for an RNN.
        saved: h (and c) before and after each step, each (E, T+1, B, P).
        lengths: (E, B), or None.
        x_shape, batch: of the call.
        way: 1, or -1 in reverse.
    """

    origin: Origin
    plan: Plan
    w_ih: Array
    w_hh: Array
    x: Array
    a: Array | None
    saved: tuple[Array, ...]
    lengths: Array | None
    x_shape: tuple[int, ...]
    batch: tuple[int, ...]
    way: int


@no_grad()
def forward(
    cell: str,
    params: Parameters,
    x: Array,
    state: Any = None,
    lengths: Array | None = None,
    reverse: bool = False,
    precision: str = "ieee",
    force: str | None = None,
    states: bool = True,
) -> Run:
    """Runs a cell over a sequence.

    Args:
        cell, params, x, state, lengths, reverse: as scan.forward has them, on one device.
        precision: "ieee"; of float32 also "tf32x3" (products on tensor cores, errors near float32's) or "bf16" (the
            factors of products rounded to bfloat16, sums and states float32).
        force: "persistent" or "stepped", to take that path where the plan would take the other.
        states: whether an LSTM's c of every step is asked for; states.c is None where not.
    Returns:
        As scan.forward. The cache refers to x and the parameters.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype, shape or value; the message names it.
        RuntimeError: the tensors are not on a card, and kernels are not interpreted.
    """
    check_sequence(cell, params, x, state, lengths)
    require_device(x)
    chosen = plan(cell, params.weight_hh.shape[-1], x.dtype, precision, capability_of(x), force)
    T, batch, way = x.shape[0], batch_of(params, x), -1 if reverse else 1
    E, B, H, P = models(params), batch[-1], params.weight_hh.shape[-1], chosen.P
    kind, G, new = STATES[cell], len(GATES[cell]), x.new_empty
    asked = kind._fields if states else ("h",)
    w_ih, w_hh, b = padded_weights(params, E, G, H, P)
    seen = dense(without_padding(x, lengths))
    a, saved = new((E, T, B, G * P)), tuple(new((E, T + 1, B, P)) for _ in kind._fields)
    after, last = tuple(new((T, E, B, H)) for _ in asked), tuple(new((E, B, H)) for _ in kind._fields)
    start, steps = states_of(state, (E, B, H)), steps_of(lengths, (E, B), x)
    if a.numel():
        project.forward(seen, w_ih, b, a, precision)
        stepped = None if start is None or steps is None else (steps > 0)[..., None]
        entered = start if stepped is None else tuple(where(stepped, s, 0) for s in start)
        with tf32.without(x):
            run_forward(cell, Forward(a, w_hh, entered, steps, saved, after, last, way), H, chosen)
        if stepped is not None:  # a row of no steps hands its initial state on, which enters no product
            last = tuple(where(stepped, new, old) for new, old in zip(last, start, strict=True))
    elif T == 0:
        last = handed_on(start, last)
    gates, made = a if cell == "lstm" else None, origin("fused", cell, params)
    cache = Cache(made, chosen, w_ih, w_hh, seen, gates, saved, steps, tuple(x.shape), batch, way)
    after = [*(s.view(T, *batch, H) for s in after), *(None,) * (len(kind._fields) - len(asked))]
    return Run(kind(*after), kind(*(s.view(*batch, H) for s in last)), cache)


@no_grad()
def backward(
    cell: str,
    params: Parameters,
    cache: Cache,
    dh: Array | None = None,
    dlast: Any = None,
    skip: Collection[str] = (),
) -> Gradient:
    """Back-propagation through time: the exact gradient of <dh, states.h> + <dlast, last>.

    Args:
        cell, params, cache, dh, dlast: as scan.backward has them; the cache is read only.
        skip: names among impl.spec.SKIPPABLE: what is not asked for, and None in what is returned.
    Returns:
        As scan.backward.
    Raises:
        TypeError, ValueError: the cache is of another forward, or a cotangent does not fit; the message names it.
    """
    check_cache("fused", cell, params, cache)
    H, batch, chosen = params.weight_hh.shape[-1], cache.batch, cache.plan
    (E, G, P), (T, B) = (models(params), len(GATES[cell]), chosen.P), (cache.x_shape[0], batch[-1])
    check_skip(skip)
    if dh is not None:
        check_like("dh", dh, params.weight_hh, "it is the gradient by states.h", (T, *batch, H))
    if dlast is not None:
        check_state("dlast", cell, dlast, (*batch, H), params.weight_hh)
    kind, new = STATES[cell], cache.x.new_empty
    end = states_of(dlast, (E, B, H))
    dh = cache.x.new_zeros(H).expand(T, E, B, H) if dh is None else dense(dh.reshape(T, E, B, H))
    da, dstate = new((E, T, B, G * P)), tuple(new((E, B, H)) for _ in kind._fields)
    dstates = None if "states" in skip else tuple(new((T, E, B, H)) for _ in kind._fields)
    dx = None if "x" in skip else new(cache.x_shape)
    if da.numel():
        work = Backward(cache.a, cache.w_hh, cache.lengths, cache.saved, dh, end, da, dstates, dstate, cache.way)
        with tf32.without(cache.x):
            run_backward(cell, work, H, chosen)
            tied = None if "params" in skip else tied_gradient(params, cache, da, H, G, P)
        if dx is not None:
            project.backward(da, cache.w_ih, new(dx.shape[-1]).zero_(), dx, chosen.precision)
    else:
        tied = None if "params" in skip else tied_gradient(params, cache, da, H, G, P)  # of no term: zeros
        dx = None if dx is None else dx.zero_()
        dstate = handed_on(end, dstate) if T == 0 else dstate
    return Gradient(
        dx,
        tied,
        kind(*(d.view(*batch, H) for d in dstate)),
        None if dstates is None else kind(*(d.view(T, *batch, H) for d in dstates)),
    )


def handed_on(came: tuple[Array, ...] | None, out: tuple[Array, ...]) -> tuple[Array, ...]:
    """What a loop without a step hands on: copies of what came, or `out` filled with zeros where nothing did."""
    return tuple(a.zero_() for a in out) if came is None else tuple(copy(a) for a in came)


def models(params: Parameters) -> int:
    """E, which is 1 for one model."""
    E = members(params)
    return 1 if E is None else E


def run_forward(cell: str, work: Forward, H: int, chosen: Plan) -> None:
    """The forward time loop on the path that the plan has chosen."""
    config, precision, relu = chosen.forward, chosen.precision, cell == "rnn_relu"
    if config.path == "stepped":
        stepped.forward(work, H, relu, precision)
    elif cell == "lstm":
        lstm.forward(work, H, precision, config)
    else:
        rnn.forward(work, H, relu, precision, config)


def run_backward(cell: str, work: Backward, H: int, chosen: Plan) -> None:
    """The backward time loop on the path that the plan has chosen."""
    config, precision, relu = chosen.backward, chosen.precision, cell == "rnn_relu"
    if config.path == "stepped":
        stepped.backward(work, H, relu, precision)
    elif cell == "lstm":
        lstm.backward(work, H, precision, config)
    else:
        rnn.backward(work, H, relu, precision, config)


def tied_gradient(params: Parameters, cache: Cache, da: Array, H: int, G: int, P: int) -> Parameters:
    """The parameters' gradient: one product over all steps and rows, without the padding of H.

    Args:
        params: tells which biases there are, and whether there is an axis E.
        da: (E, T, B, G*P).
    """
    E, T, B, N = da.shape
    h = cache.saved[0][:, :T] if cache.way > 0 else cache.saved[0][:, 1:]
    x, S = over_rows(cache.x).expand(E, T * B, -1), parts(E, T * B)
    db = da.view(E, T * B, N).sum(1)
    left = da.view(E * S, T * B // S, N).mT
    found = [left @ a.reshape(E * S, T * B // S, a.shape[-1]) for a in (x, h)]
    found = [d.view(E, S, *d.shape[1:]).sum(1) for d in found] if S > 1 else found
    found = [*found, db[..., None]]
    if P > H:
        found = [d.reshape(E, G, P, d.shape[-1])[:, :, :H] for d in (found[0], found[1][..., :H], found[2])]
    shape = params.weight_hh.shape[:-1]
    dW_ih, dW_hh, db = (d.reshape(*shape, d.shape[-1]) for d in found)
    db = db[..., 0]
    return Parameters(
        dW_ih, dW_hh, None if params.bias_ih is None else db, None if params.bias_hh is None else copy(db)
    )


def parts(E: int, terms: int) -> int:
    """In how many parts a library sums a product of so many terms for each of E models.

    It gives a program a tile of the product and all terms, so that most of a card stands idle where tiles are few; for
    one model alone it makes parts by itself. Measured on an H100, 6400 terms, microseconds with and without parts:
    E=32, 256 x 64: 158 and 191; E=32, 128 x 32: 84 and 219; E=8, 256 x 64: 57 and 226; E=1, 256 x 64: 36 and 22.
    """
    return 1 if E < 2 else next((S for S in range(4, 17) if terms % S == 0 and terms // S >= 256), 1)


def padded_weights(params: Parameters, E: int, G: int, H: int, P: int) -> tuple[Array, Array, Array]:
    """W_ih (E, G*P, D), W_hh (E, G*P, P) and b (E, G*P), with zeros in the places of H to P."""
    W_ih, W_hh, b = unpack(params)
    b = W_ih.new_zeros((E, G * H)) if isinstance(b, float) else b[..., 0, :]
    if W_ih.ndim == 2:
        W_ih, W_hh, b = W_ih[None], W_hh[None], b if b.ndim == 2 else b[None]
    if P > H:
        D, above = W_ih.shape[-1], P - H
        W_ih, b = (pad(a, (0, 0, 0, above)) for a in (W_ih.reshape(E, G, H, D), b.reshape(E, G, H, 1)))
        W_hh = pad(W_hh.reshape(E, G, H, H), (0, above, 0, above))
        W_ih, W_hh, b = W_ih.reshape(E, G * P, D), W_hh.reshape(E, G * P, P), b.reshape(E, G * P)
    return aligned(W_ih), aligned(W_hh.contiguous()), aligned(b if b.stride(-1) == 1 else b.contiguous())


def without_padding(x: Array, lengths: Array | None) -> Array:
    """x with zeros where a row has ended; of (E, B) lengths a shared x becomes one for each model."""
    if lengths is None:
        return x
    running = running_rows(x, lengths, tuple(lengths.shape))
    if lengths.ndim == 1 and x.ndim == 4:
        running = running[:, None]
    return where(running, x[:, None] if x.ndim < running.ndim else x, 0)


def steps_of(lengths: Array | None, shape: tuple[int, int], like: Array) -> Array | None:
    """The steps of each row (E, B), int32 on the device of `like`."""
    if lengths is None:
        return None
    return broadcast_to(lengths.to(like.device, torch.int32), shape).clone(memory_format=contiguous_format)


def states_of(state: Any, shape: tuple[int, ...]) -> tuple[Array, ...] | None:
    """h (and c) as the kernels read them, each (E, B, H)."""
    return None if state is None else tuple(aligned(s.reshape(shape).contiguous()) for s in state)


def dense(a: Array) -> Array:
    """The array, in memory of its own where its last axis has gaps or its start is not aligned."""
    return aligned(a if a.stride(-1) == 1 or a.shape[-1] == 1 else a.contiguous())


def aligned(a: Array) -> Array:
    """The array, in memory of its own where it starts at an odd address: triton would compile kernels for that anew."""
    return copy(a) if a.data_ptr() % 16 else a


def capability_of(a: Array) -> tuple[int, int] | None:
    """The compute capability of the card that holds an array; None where kernels are interpreted."""
    return torch.cuda.get_device_capability(a.device) if a.is_cuda else None


def require_device(x: Array) -> None:
    """Refuses tensors that no kernel can run on."""
    if not x.is_cuda and not INTERPRETED.value:
        raise RuntimeError(
            f"`x` must be on a CUDA device, since these kernels are compiled for one; got {x.device}. To run them on a "
            "CPU, slowly, set TRITON_INTERPRET=1 before triton is first imported; or use impl.torch_twin.scan."
        )
