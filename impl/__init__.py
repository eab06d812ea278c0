"""Twin implementations of the vanilla RNN and the LSTM: one in NumPy, one in PyTorch, same names in the same order."""
