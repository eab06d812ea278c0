"""The gradient's norm by lag at initialisation: gains of the RNN, forget biases of the LSTM (claims N7, N14, N15)."""
