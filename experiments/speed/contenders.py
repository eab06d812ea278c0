"""Who is compared: each makes, of a case, a function that does one forward and one backward with weight gradients.

`prepare(case, arrays, threads)` may take its time: it converts parameters and inputs, and compiles. What it returns is
timed, and gives `(h, gradient by the parameters)` in its own arrays; of models that run in turn a list of such pairs.
x needs no gradient; the cotangent dh is given at every step. All conversions between layouts within are timed.

Peers follow how their users call them: torch.nn.LSTM holds its weights and runs models in turn, jax.jit compiles scan
and vmap as one program, with the input's product for all steps before it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from experiments.speed import usual
from experiments.speed.case import Case, Given, apart
from impl.spec import Array, Parameters, tree_map

Work = Callable[[], Any]
SKIP = ("x", "states")


class Contender(NamedTuple):
    """A contender.

    Attributes:
        label: what readers call it.
        prepare: see the module.
        needs: the packages without which it is not there.
        subject: its name among the subjects that all laws judge; "" for a peer of someone else's.
        cells: those that it has.
        device: where it runs.
    """

    label: str
    prepare: Callable[[Case, Given, int], Work]
    needs: tuple[str, ...] = ()
    subject: str = ""
    cells: tuple[str, ...] = ("rnn", "lstm")
    device: str = "cpu"


def missing(name: str) -> str:
    """Why a contender cannot run on this machine; "" where it can."""
    contender = CONTENDERS[name]
    absent = [package for package in contender.needs if find_spec(package) is None]
    if absent:
        return f"{' and '.join(absent)} not installed"
    if contender.device == "cuda":
        torch = import_module("torch")
        return "" if torch.cuda.is_available() else "torch finds no CUDA device"
    return ""


# NumPy


def numpy_form(module: str, threaded: bool = True) -> Callable[[Case, Given, int], Work]:
    """A form of the NumPy twin, by its module."""

    def prepare(case: Case, arrays: Given, threads: int) -> Work:
        engine = import_module(f"impl.numpy_twin.{module}")
        more = {"threads": threads} if threaded else {}
        asked = more | ({"states": False} if threaded else {})  # as torch.nn, which gives no c of every step either
        cell, (params, x, dh) = case.cell, arrays

        def once() -> tuple[Array, Parameters]:
            run = engine.forward(cell, params, x, **asked)
            return run.states.h, engine.backward(cell, params, run.cache, dh, None, SKIP, **more).params

        return once

    return prepare


def usual_numpy(case: Case, arrays: Given, threads: int) -> Work:
    """The usual NumPy LSTM, its models in turn."""
    models = [(*usual.weights(one.params), one.x, one.dh) for one in apart(arrays)]

    def once() -> list[tuple[Array, Any]]:
        results = []
        for W, b, x, dh in models:
            h, steps = usual.forward(W, b, x)
            results.append((h, usual.backward(W, steps, dh)))
        return results

    return once


# torch


def tensors(tree: Any, device: str = "cpu") -> Any:
    """The tree with its NumPy arrays as tensors."""
    torch = import_module("torch")
    return tree_map(lambda a: torch.as_tensor(a, device=device), tree)


def layer(case: Case, params: Parameters, device: str = "cpu") -> Any:
    """torch.nn's module with these parameters, one model."""
    torch = import_module("torch")
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}[case.cell]
    module = kind(case.D, case.H, dtype=getattr(torch, case.dtype), device=device)
    with torch.no_grad():
        for weight, value in zip(module.parameters(), params, strict=True):
            weight.copy_(torch.as_tensor(value))
    return module


def pulled(module: Any, x: Any, dh: Any) -> tuple[Any, list[Any]]:
    """One forward and backward of a module as users write it."""
    for weight in module.parameters():
        weight.grad = None
    h, _ = module(x)
    h.backward(dh)
    return h, [weight.grad for weight in module.parameters()]


def torch_nn(case: Case, arrays: Given, threads: int) -> Work:
    """torch.nn.RNN or LSTM, models in turn."""
    models = [(layer(case, one.params), *tensors((one.x, one.dh))) for one in apart(arrays)]
    return lambda: [pulled(*model) for model in models]


def torch_module(backend: str, device: str = "cpu", precision: str = "ieee") -> Callable[[Case, Given, int], Work]:
    """Our module on one of its engines, a group as one computation."""

    def prepare(case: Case, arrays: Given, threads: int) -> Work:
        params, x, dh = tensors(arrays, device)
        module = recurrent(case, params, backend, precision)
        return lambda: pulled(module, x, dh)

    return prepare


def recurrent(case: Case, params: Parameters, backend: str, precision: str = "ieee") -> Any:
    """Our module with these parameters."""
    module, options = import_module("impl.torch_twin.module"), {"backend": backend, "precision": precision}
    return {"rnn": module.RNN, "lstm": module.LSTM}[case.cell].from_layers(((params,),), **options)


def explain(case: Case, arrays: Given, device: str = "cpu") -> str:
    """Which engine our module takes for a case on a device, why, and why not the others."""
    params, x, _ = tensors(arrays, device)
    return recurrent(case, params, "auto").explain(x)


# JAX


def jax_scan(case: Case, arrays: Given, threads: int) -> Work:
    """jit(vmap(scan)) with its vector-Jacobian product."""
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)  # float32 stays float32
    cell = {"rnn": jax_rnn, "lstm": jax_lstm}[case.cell]

    def both(params: Parameters, x: Array, dh: Array) -> tuple[Array, Parameters]:
        h, pull = jax.vjp(lambda p: cell(jax, p, x), params)
        return h, pull(dh)[0]

    compiled = jax.jit(both if case.E == 1 else jax.vmap(both, (0, 1, 1), (1, 0)))
    held = tree_map(jax.numpy.asarray, arrays)
    return lambda: jax.block_until_ready(compiled(*held))


def jax_rnn(jax: Any, params: Parameters, x: Array) -> Array:
    """h of every step (T, B, H) of an RNN over x (T, B, D)."""
    W_ih, W_hh, b_ih, b_hh = params

    def step(h: Array, ax: Array) -> tuple[Array, Array]:
        h = jax.numpy.tanh(ax + h @ W_hh.T)
        return h, h

    h = jax.numpy.zeros((x.shape[1], len(W_hh)), x.dtype)
    return jax.lax.scan(step, h, x @ W_ih.T + (b_ih + b_hh))[1]


def jax_lstm(jax: Any, params: Parameters, x: Array) -> Array:
    """h of every step (T, B, H) of an LSTM over x (T, B, D)."""
    (W_ih, W_hh, b_ih, b_hh), sigmoid, tanh = params, jax.nn.sigmoid, jax.numpy.tanh

    def step(state: tuple[Array, Array], ax: Array) -> tuple[tuple[Array, Array], Array]:
        i, f, g, o = jax.numpy.split(ax + state[0] @ W_hh.T, 4, axis=1)
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h, c), h

    h = jax.numpy.zeros((x.shape[1], W_hh.shape[1]), x.dtype)
    return jax.lax.scan(step, (h, h), x @ W_ih.T + (b_ih + b_hh))[1]


# What is imported where it runs


def late(module: str, name: str, *more: Any) -> Callable[[Case, Given, int], Work]:
    """A function of a module beside this one, of the case, its arrays and more, as a contender of one thread."""
    return lambda case, arrays, _: getattr(import_module(f"experiments.speed.{module}"), name)(case, arrays, *more)


CARD = {"needs": ("torch",), "device": "cuda"}
FLASH = {"needs": ("torch", "flashrnn"), "cells": ("lstm",), "device": "cuda"}
CONTENDERS = {
    "numpy_usual": Contender("usual NumPy LSTM", usual_numpy, cells=("lstm",)),
    "numpy_scan": Contender("plain NumPy twin", numpy_form("scan", threaded=False), subject="numpy_twin"),
    "numpy_fast": Contender("fast NumPy", numpy_form("fast"), subject="numpy_fast"),
    "numpy_compiled": Contender("compiled NumPy", numpy_form("compiled"), ("numba",), "numpy_compiled"),
    "torch_nn": Contender("torch.nn", torch_nn, ("torch",)),
    "torch_vendor": Contender("our module, vendor", torch_module("vendor"), ("torch",), "torch_vendor"),
    "torch_eager": Contender("our module, eager", torch_module("eager"), ("torch",), "torch_twin"),
    "torch_auto": Contender("our module, auto", torch_module("auto"), ("torch",), "torch_module"),
    "jax_scan": Contender("jit(vmap(scan))", jax_scan, ("jax",)),
    "products": Contender("our products alone", late("products", "products"), ("numba",)),
    "cuda_nn": Contender("torch.nn in turn", late("cuda", "nn", 1), **CARD),
    "cuda_nn_streams": Contender("torch.nn in 8 streams", late("cuda", "nn", 8), **CARD),
    "cuda_nn_graph": Contender("torch.nn in 8 streams in a CUDA graph", late("cuda", "nn_recorded", 8), **CARD),
    "cuda_graph": Contender("bmm loop in a CUDA graph", late("cuda", "graph"), **CARD),
    "cuda_fused": Contender("our module, fused", torch_module("fused", "cuda"), subject="torch_fused", **CARD),
    "cuda_fused_tf32x3": Contender(
        "our module, fused, tf32x3", torch_module("fused", "cuda", "tf32x3"), subject="torch_fused", **CARD
    ),
    "cuda_fused_bf16": Contender(
        "our module, fused, bf16", torch_module("fused", "cuda", "bf16"), subject="torch_fused", **CARD
    ),
    "cuda_fused_graph": Contender(
        "our module, fused, in a CUDA graph", late("cuda", "recorded"), subject="torch_fused", **CARD
    ),
    "cuda_auto": Contender("our module, auto", torch_module("auto", "cuda"), subject="torch_module", **CARD),
    "flashrnn": Contender("FlashRNN, Triton (TF32)", late("cuda", "flashrnn", "float32", "triton_fused"), **FLASH),
    "flashrnn_bf16": Contender("FlashRNN, CUDA (bf16)", late("cuda", "flashrnn", "bfloat16", "cuda"), **FLASH),
}


def joined(result: Any) -> tuple[Array, Parameters]:
    """What a contender gave, in NumPy: h (T, [E,] B, H) and the gradient by torch.nn's parameters."""
    if not isinstance(result, list):
        h, gradient = result
        return array(h), parameters(gradient)
    each = [joined(one) for one in result]
    if len(each) == 1:
        return each[0]
    hs, gradients = zip(*each, strict=True)
    return np.stack(hs, 1), tree_map(lambda *parts: np.stack(parts), *gradients)


def parameters(gradient: Any) -> Parameters:
    """A gradient by torch.nn's names; that of the usual NumPy LSTM is dW (D+H, 4H), db (4H,)."""
    if len(gradient) == 2:
        dW, db = gradient
        D = len(dW) - len(db) // 4
        return Parameters(dW[:D].T, dW[D:].T, db, db)
    return Parameters(*map(array, gradient))


def array(a: Any) -> Array:
    """In NumPy, whatever it is in."""
    return a.detach().cpu().numpy() if hasattr(a, "detach") else np.asarray(a)
