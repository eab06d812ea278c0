"""Initial parameters, drawn once in NumPy float64 from an explicit generator; the twins only convert them.

Every initialiser below gives weight_ih, weight_hh and the biases of one model. Those that speak of the recurrent matrix
alone (`gaussian`, `orthogonal`, `identity`) treat each of an LSTM's four blocks so, and draw the rest as torch.nn does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from impl.numpy_twin.array import require_own_each
from impl.spec import GATES, Head, Parameters, block, check_parameters, tree_map


def generator(*words: str | int) -> np.random.Generator:
    """A generator that depends on the words alone, say ("latch", "weights", seed): equal words, equal bits."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def uniform(rng: np.random.Generator, cell: str, D: int, H: int, bias: bool = True) -> Parameters:
    """Every parameter uniform in +-1/sqrt(H), the default of torch.nn.RNN and torch.nn.LSTM.

    Returns:
        weight_ih (G*H, D), weight_hh (G*H, H), bias_ih and bias_hh (G*H,) or None.
    """
    _require_sizes(cell, D=D, H=H)
    G, k = len(GATES[cell]), H**-0.5
    W_ih, W_hh, b_ih, b_hh = (rng.uniform(-k, k, shape) for shape in ((G * H, D), (G * H, H), G * H, G * H))
    return Parameters(W_ih, W_hh, b_ih, b_hh) if bias else Parameters(W_ih, W_hh)


def gaussian(rng: np.random.Generator, cell: str, D: int, H: int, gain: float = 1.0, bias: bool = True) -> Parameters:
    """Recurrent weights N(0, gain^2 / H), whose spectral radius tends to `gain` for large H (Girko's circular law)."""
    params = uniform(rng, cell, D, H, bias)
    return params._replace(weight_hh=rng.normal(0.0, gain * H**-0.5, params.weight_hh.shape))


def orthogonal(rng: np.random.Generator, cell: str, D: int, H: int, gain: float = 1.0, bias: bool = True) -> Parameters:
    """Recurrent blocks `gain` times an orthogonal matrix from the Haar measure.

    Source: Saxe, McClelland, Ganguli 2014; Haar by QR with the signs of diag(R): Mezzadri 2007, section 5.
    """
    params = uniform(rng, cell, D, H, bias)
    return params._replace(weight_hh=gain * np.concatenate([_haar(rng, H) for _ in GATES[cell]]))


def identity(rng: np.random.Generator, cell: str, D: int, H: int, gain: float = 1.0, bias: bool = True) -> Parameters:
    """Recurrent blocks `gain` times the identity (Le, Jaitly, Hinton 2015, there for a relu RNN)."""
    params = uniform(rng, cell, D, H, bias)
    return params._replace(weight_hh=gain * np.tile(np.eye(H), (len(GATES[cell]), 1)))


def with_forget_bias(params: Parameters, value: float, cell: str = "lstm") -> Parameters:
    """The same LSTM, or group, with its summed forget bias exactly `value`.

    Raises:
        TypeError, ValueError: the cell has no forget gate, or the parameters are not its own, or not of NumPy.
    Source: Gers et al. 2000; Jozefowicz et al. 2015, where it is 1.
    """
    _require_forget_bias(cell, params)
    return _with_biases(cell, params, f=float(value))


def with_chrono(rng: np.random.Generator, params: Parameters, T_max: float, cell: str = "lstm") -> Parameters:
    """The same LSTM, or group, with summed biases b_f = ln u, b_i = -b_f, u uniform in [1, T_max - 1] for each unit.

    A variant without an input gate of its own has b_f alone; where i = 1 - f, that is b_i = -b_f.

    Raises:
        TypeError, ValueError: T_max is below 2 or infinite, the cell has no forget gate, or the parameters are not its
            own, or not of NumPy.
    Source: Tallec, Ollivier 2018, equation 16.
    """
    if not 2 <= T_max < math.inf:
        raise ValueError(
            f"`T_max` must be at least 2 and finite, since ln u is drawn for u in [1, T_max - 1]; got {T_max}."
        )
    _require_forget_bias(cell, params)
    *group, _, H = params.weight_hh.shape
    b_f = np.log(rng.uniform(1.0, T_max - 1.0, (*group, H)))
    biases = {"i": -b_f, "f": b_f}
    return _with_biases(cell, params, **{gate: b for gate, b in biases.items() if gate in GATES[cell]})


def head(rng: np.random.Generator, V: int, H: int, bias: bool = True) -> Head:
    """A read-out uniform in +-1/sqrt(H), the default of torch.nn.Linear: weight_hy (V, H), bias_hy (V,) or None."""
    k = H**-0.5
    weight = rng.uniform(-k, k, (V, H))
    return Head(weight, rng.uniform(-k, k, V) if bias else None)


def dropout(
    rng: np.random.Generator, rate: float, L: int, T: int, B: int, K: int, E: int | None = None
) -> tuple[np.ndarray, ...]:
    """Masks of dropout between the layers of a stack: 0 with probability `rate`, else 1 / (1 - rate).

    Returns:
        L - 1 masks, one for the outputs of every layer but the last, each (T, B, K) or (T, E, B, K), K = directions*H.
    Raises:
        ValueError: the rate lies outside [0, 1), or there is no layer.
    Source: Srivastava et al. 2014, scaled in training rather than in the test; between layers alone: Zaremba,
    Sutskever, Vinyals 2014.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"`rate` must lie in [0, 1), since what is kept is scaled by 1 / (1 - rate); got {rate}.")
    if L < 1:
        raise ValueError(f"`L` must be at least 1, since a stack has a layer; got {L}.")
    shape = (T, B, K) if E is None else (T, E, B, K)
    return tuple((rng.random(shape) >= rate) / (1 - rate) for _ in range(L - 1))


def group(models: Iterable[Any]) -> Any:
    """E models (equal trees of Parameters, Head or Model) as one tree whose arrays have a leading axis E."""
    models = list(models)
    if not models:
        raise ValueError("`models` must hold at least one model, since a group has E >= 1; got none.")
    forms = [tree_map(lambda a: a.shape, model) for model in models]
    for e, form in enumerate(forms):
        if form != forms[0]:
            raise ValueError(
                f"`models` must have arrays of the same shapes, since each becomes one with axis E; got {form} at {e} "
                f"after {forms[0]}."
            )
    return tree_map(lambda *arrays: np.stack(arrays), *models)


def _with_biases(cell: str, params: Parameters, **values: float | np.ndarray) -> Parameters:
    """The parameters with the summed bias of each gate that is named."""
    bias_ih, bias_hh = params.bias_ih.copy(), params.bias_hh.copy()
    for gate, value in values.items():
        rows = block(cell, gate, params.weight_hh.shape[-1])
        bias_ih[..., rows], bias_hh[..., rows] = value, 0.0
    return params._replace(bias_ih=bias_ih, bias_hh=bias_hh)


def _require_forget_bias(cell: str, params: Parameters) -> None:
    check_parameters(cell, params)
    require_own_each(params._asdict())
    if "f" not in GATES[cell]:
        raise ValueError(f"`cell` must have the gate f, since its bias is to be set; got {cell!r}.")
    if params.bias_ih is None or params.bias_hh is None:
        raise ValueError("`params` must have both biases, since that of gate f is to be set; got none.")


def _haar(rng: np.random.Generator, H: int) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(H, H)))
    return q * np.sign(np.diag(r))


def _require_sizes(cell: str, **sizes: int) -> None:
    if cell not in GATES:
        raise ValueError(f"`cell` must be one of {', '.join(GATES)}; got {cell!r}.")
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1, since it is a width; got {size}.")
