"""The gradient's norm by layer and lag in untrained stacks of 1, 2 and 4 layers (beside claim N21)."""
