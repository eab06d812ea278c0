"""The contenders on a card."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from experiments.speed.case import Case, Given, apart
from experiments.speed.contenders import Work, layer, pulled, recurrent, tensors
from impl.spec import Array, Parameters, tree_map

CUDA = "cuda"


def nn(case: Case, arrays: Given, streams: int) -> Work:
    """torch.nn on cuDNN, models in turn over `streams` streams; float32 products in float32."""
    torch.backends.cudnn.allow_tf32 = False
    models = [(layer(case, one.params, CUDA), *tensors((one.x, one.dh), CUDA)) for one in apart(arrays)]
    lanes = [torch.cuda.Stream() for _ in range(streams)] if streams > 1 else [torch.cuda.current_stream()]

    def once() -> list[tuple[Any, list[Any]]]:
        here, results = torch.cuda.current_stream(), []
        for lane in lanes:
            lane.wait_stream(here)
        for n, model in enumerate(models):
            with torch.cuda.stream(lanes[n % len(lanes)]):
                results.append(pulled(*model))
        for lane in lanes:
            here.wait_stream(lane)
        return results

    return once


def nn_recorded(case: Case, arrays: Given, streams: int) -> Work:
    """torch.nn on cuDNN as `nn` has it, replayed from a CUDA graph: all that it does without the processor's part."""
    return replayed(nn(case, arrays, streams))


def graph(case: Case, arrays: Given) -> Work:
    """The loop as one bmm and a few pointwise kernels a step, forward and backward, replayed from a CUDA graph."""
    torch.backends.cuda.matmul.allow_tf32 = False
    params, x, dh = tensors(arrays, CUDA)
    if case.E == 1:
        params, x, dh = Parameters(*(a[None] for a in params)), x[:, None], dh[:, None]
    loop = {"rnn": rnn_loop, "lstm": lstm_loop}[case.cell]
    once = replayed(lambda: loop(params, x, dh))
    return once if case.E > 1 else lambda: alone(*once())


def alone(h: Array, gradient: Parameters) -> tuple[Array, Parameters]:
    """What a loop gave of a group of one model, without the axis E."""
    return h[:, 0], Parameters(*(a[0] for a in gradient))


def recorded(case: Case, arrays: Given) -> Work:
    """Our module's fused loop, forward and backward, replayed from a CUDA graph."""
    params, x, dh = tensors(arrays, CUDA)
    module = recurrent(case, params, "fused")
    return replayed(lambda: pulled(module, x, dh))


class Replay(NamedTuple):
    """Work that stands in a CUDA graph.

    Attributes:
        graph: the record.
        results: what every run overwrites.
        work: what was recorded. A graph reads its inputs where they stood and holds none of them: their memory is
            given away, and unmapped before the next record, as soon as nobody else does.
    """

    graph: Any
    results: Any
    work: Work

    def __call__(self) -> Any:
        """Runs the graph."""
        self.graph.replay()
        return self.results


def replayed(work: Work) -> Replay:
    """The work as a graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = work()
    return Replay(graph, results, work)


def projected(params: Parameters, x: Array) -> Array:
    """The input's part of all pre-activations (T, E, B, G*H), one bmm."""
    (T, E, B, D), b = x.shape, params.bias_ih + params.bias_hh
    rows = x.transpose(0, 1).reshape(E, T * B, D)
    return torch.baddbmm(b[:, None], rows, params.weight_ih.mT).view(E, T, B, -1).transpose(0, 1).contiguous()


def gradient_of(params: Parameters, x: Array, before: Array, da: Array) -> Parameters:
    """The parameters' gradient by one bmm over all steps: before (T, E, B, H) is h before each step."""
    rows = [a.transpose(0, 1).flatten(1, 2) for a in (da, x, before)]
    db = rows[0].sum(1)
    return Parameters(rows[0].mT @ rows[1], rows[0].mT @ rows[2], db, db)


def shifted(h: Array) -> Array:
    """The states before each step: zero, and then all but the last."""
    return torch.cat([torch.zeros_like(h[:1]), h[:-1]])


def rnn_loop(params: Parameters, x: Array, dh: Array) -> tuple[Array, Parameters]:
    """h (T, E, B, H) and the gradient of an RNN."""
    a, R, hs = projected(params, x), params.weight_hh, []
    for t in range(len(x)):
        hs.append(torch.tanh(a[t] if t == 0 else torch.baddbmm(a[t], hs[-1], R.mT)))
    h, carried, das = torch.stack(hs), 0, [None] * len(x)
    for t in reversed(range(len(x))):
        das[t] = (dh[t] + carried) * (1 - hs[t] * hs[t])
        carried = das[t] @ R
    return h, gradient_of(params, x, shifted(h), torch.stack(das))


def lstm_loop(params: Parameters, x: Array, dh: Array) -> tuple[Array, Parameters]:
    """h (T, E, B, H) and the gradient of an LSTM; the equations of impl/torch_twin/lstm.py."""
    a, R, H = projected(params, x), params.weight_hh, params.weight_hh.shape[-1]
    h = c = torch.zeros_like(dh[0])
    hs, kept = [], []
    for t in range(len(x)):
        s = torch.baddbmm(a[t], h, R.mT)
        i, f, o = torch.sigmoid(s[..., :H]), torch.sigmoid(s[..., H : 2 * H]), torch.sigmoid(s[..., 3 * H :])
        g = torch.tanh(s[..., 2 * H : 3 * H])
        c_before, c = c, torch.addcmul(f * c, i, g)
        tanh_c = torch.tanh(c)
        h = o * tanh_c
        hs.append(h)
        kept.append((c_before, i, f, g, o, tanh_c))
    das, carried, dc = [None] * len(x), 0, 0
    for t in reversed(range(len(x))):
        c_before, i, f, g, o, tanh_c = kept[t]
        d = dh[t] + carried
        dc = dc + d * o * (1 - tanh_c * tanh_c)
        parts = dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g * g), d * tanh_c * o * (1 - o)
        das[t] = torch.cat(parts, -1)
        carried, dc = das[t] @ R, dc * f
    h = torch.stack(hs)
    return h, gradient_of(params, x, shifted(h), torch.stack(das))


def flashrnn(case: Case, arrays: Given, dtype: str, backend: str) -> Work:
    """FlashRNN by one of its kernels, heads as models; the input's product before it.

    Of version 1.0.8, with torch 2.11 and CUDA 13: the Triton kernels compile in float32 alone, whose products are TF32
    (their backward takes tl.exp of bfloat16, which Triton 3.6 refuses), and do not fit the chip from H = 128 on; "cuda"
    (a product and a pointwise kernel a step) is built by nvcc for each H, B and E, 25 seconds each; "cuda_fused" does
    not build, since cudaDeviceProp has lost fields.

    Source: github.com/NX-AI/flashrnn: Wx (B, T, G, N, D), R (G, N, D, D) by output and input, b (G, N, D); states
    (S, B, T, N, D).
    """
    from flashrnn import flashrnn as run

    params, x, dh = tree_map(lambda a: a.to(getattr(torch, dtype)), tensors(arrays, CUDA))
    E, G, H = case.E, 4, case.H
    W = params.weight_ih.view(E, G, H, case.D).requires_grad_()
    R = params.weight_hh.view(E, G, H, H).transpose(0, 1).contiguous().requires_grad_()
    b = (params.bias_ih + params.bias_hh).view(E, G, H).transpose(0, 1).contiguous().requires_grad_()
    x, dh = x.view(case.T, E, case.B, case.D), dh.view(case.T, E, case.B, H)

    def once() -> tuple[Any, Parameters]:
        Wx = torch.einsum("tebd,eghd->btgeh", x, W)
        states, _ = run(Wx.contiguous(), R, b, function="lstm", backend=backend, dtype=dtype)
        h = states[0].permute(1, 2, 0, 3)
        dW, dR, db = torch.autograd.grad(h, (W, R, b), dh)
        dW, dR, db = dW.flatten(1, 2), dR.transpose(0, 1).flatten(1, 2), db.transpose(0, 1).flatten(1, 2)
        if E == 1:
            h, dW, dR, db = h[:, 0], dW[0], dR[0], db[0]
        return h, Parameters(dW, dR, db, db)

    return once
