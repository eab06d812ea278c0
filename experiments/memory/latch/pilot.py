"""A pilot of the latch, beside which the report sets its own counts."""

from __future__ import annotations

import math

PILOT_SEEDS, PILOT_DELAYS, PILOT_RANGE = 16, (20, 40, 160), (5, 160)
PILOT_SOLVED = {
    "lstm_b0": (0, 0, 0),
    "lstm_b1": (16, 0, 0),
    "lstm_b3": (16, 16, 1),
    "lstm_chrono": (16, 16, 15),
    "rnn_uniform": (11, 4, 0),
    "rnn_orthogonal": (16, 16, 11),
}
PILOT_T50 = {
    "lstm_b0": 13.0,
    "lstm_b1": 29.0,
    "lstm_b3": 100.0,
    "lstm_chrono": math.inf,
    "rnn_uniform": 28.0,
    "rnn_orthogonal": math.inf,
}
"""A pilot of the latch with torch.nn.LSTM and a batched RNN, other seeds: how many solved at PILOT_DELAYS, and T50 from
delays in PILOT_RANGE; infinite: beyond it. What biases its orthogonal RNN had was not written down; decisions/0008 says
how we read it."""
