"""An LSTM and an RNN as small as they can be: one NumPy function each, and the LSTM's backward."""

import numpy as np


def sigma(z):
    """The logistic function, without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


def lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
    """The equations, and nothing else."""
    h, c, hs = h0, c0, []
    for x_t in x:
        a = x_t @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
        i, f, g, o = np.split(a, 4, -1)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
        hs.append(h)
    return np.stack(hs), h.copy(), c.copy()


def lstm_backward(dhs, dhT, dcT, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
    """The steps again, and then back through them."""
    h, c, kept = h0, c0, []
    for x_t in x:
        a = x_t @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
        a_i, a_f, a_g, a_o = np.split(a, 4, -1)
        i, f, g, o = sigma(a_i), sigma(a_f), np.tanh(a_g), sigma(a_o)
        c_next = f * c + i * g
        kept.append((x_t, h, c, i, f, g, o, np.tanh(c_next)))
        h, c = o * np.tanh(c_next), c_next
    dxs, sums, dh, dc = [], [np.zeros_like(w) for w in (weight_ih, weight_hh, bias_ih)], dhT, dcT
    for dh_t, (x_t, h, c, i, f, g, o, tanh_c) in zip(dhs[::-1], kept[::-1], strict=True):
        dh = dh + dh_t
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        parts = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * tanh_c * o * (1 - o)
        da = np.concatenate(parts, -1)
        dc, dh = dc * f, da @ weight_hh
        dxs.append(da @ weight_ih)
        sums = [s + d for s, d in zip(sums, (da.T @ x_t, da.T @ h, da.sum(0)), strict=True)]
    return np.stack(dxs[::-1]), dh.copy(), dc.copy(), sums[0], sums[1], sums[2], sums[2].copy()


lstm.backward = lstm_backward


def rnn(x, h0, weight_ih, weight_hh, bias_ih, bias_hh):
    """The vanilla RNN, forward alone."""
    h, hs = h0, []
    for x_t in x:
        h = np.tanh(x_t @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh)
        hs.append(h)
    return np.stack(hs), h.copy()
