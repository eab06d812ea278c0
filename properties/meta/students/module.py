"""A torch module of an LSTM as it is written by hand, and a cell of an RNN: always with biases, which come first."""

import torch
from torch import nn


class LSTM(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.bias_ih_l0 = nn.Parameter(torch.zeros(4 * hidden_size))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(4 * hidden_size))
        self.weight_ih_l0 = nn.Parameter(torch.randn(4 * hidden_size, input_size) / 10)
        self.weight_hh_l0 = nn.Parameter(torch.randn(4 * hidden_size, hidden_size) / 10)

    def forward(self, x, state=None):
        if state is None:
            h = x.new_zeros(x.shape[1], self.hidden_size)
            c = torch.zeros_like(h)
        else:
            h, c = state[0][0], state[1][0]
        b, hs = self.bias_ih_l0 + self.bias_hh_l0, []
        for x_t in x:
            a = x_t @ self.weight_ih_l0.T + h @ self.weight_hh_l0.T + b
            i, f, g, o = a.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            hs.append(h)
        return torch.stack(hs), (h[None], c[None])


class Cell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size))
        self.bias_hh = nn.Parameter(torch.zeros(hidden_size))
        self.weight_ih = nn.Parameter(torch.randn(hidden_size, input_size) / 10)
        self.weight_hh = nn.Parameter(torch.randn(hidden_size, hidden_size) / 10)

    def forward(self, x, h=None):
        if h is None:
            h = x.new_zeros(len(x), len(self.weight_hh))
        return torch.tanh(x @ self.weight_ih.T + h @ self.weight_hh.T + self.bias_ih + self.bias_hh)
