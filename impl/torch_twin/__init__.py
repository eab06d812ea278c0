"""The PyTorch twin: the same files, names and lines as the NumPy twin, on any device torch has."""
