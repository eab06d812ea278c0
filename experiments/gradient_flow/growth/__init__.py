"""The largest Lyapunov exponent of a tanh RNN left to itself, by gain and width, against its mean field (claim N1)."""
