"""How long a bit is kept: success by delay for RNN and LSTM starts (claims N7-N10, N12-N14, N16, N17, N21)."""
