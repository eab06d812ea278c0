"""All Lyapunov exponents by QR, RNN and LSTM on its full (h, c), beside closed forms; their sum rules (N1, N7, N15)."""
