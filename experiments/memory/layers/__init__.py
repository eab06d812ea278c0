"""Whether depth needs the LSTM: the latch through stacks of 1, 2 and 4 layers (claim N21)."""
