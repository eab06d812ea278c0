"""MLX gives two rows for a batch of one if the hidden state has two, and takes a c of one unit for two: it must refuse.

Subject: mlx_cpu
Law: shapes
Where: rnn, lstm: what does not fit is refused (a batch of 1 and a state of B + 1 rows); the LSTM's c of one unit alike
Reason: mlx.nn.RNN and LSTM check no shapes; mx.addmm broadcasts x to the state's rows, and f * cell the cell's units.
Upstream: to report: "nn.RNN and nn.LSTM broadcast instead of raising where hidden or cell do not fit: nn.RNN(1, 1) of
x (1, 1, 1) and hidden (2, 1) returns (2, 1, 1), and nn.LSTM(1, 2) takes a cell of (1, 1). Checking
hidden.shape == (N, hidden_size) would catch both."
"""

import mlx.core as mx
import mlx.nn as nn

mx.set_default_device(mx.cpu)
taken = []
asked = {
    "RNN(1, 1), x (1, 1, 1), hidden (2, 1)": lambda: nn.RNN(1, 1)(mx.ones((1, 1, 1)), mx.ones((2, 1))),
    "LSTM(1, 2), x (1, 1, 1), hidden (1, 2), cell (1, 1)": lambda: nn.LSTM(1, 2)(
        mx.ones((1, 1, 1)), mx.ones((1, 2)), mx.ones((1, 1))
    )[0],
}
for what, ask in asked.items():
    try:
        h = ask()
        taken.append(what)
        print(f"{what} must be refused; h has shape {h.shape}")
    except ValueError as error:
        print(f"refused: {error}")
assert not taken
