"""Tests of the twins beyond the laws: their contract, and what stands beside the cells (optimisers, losses, draws)."""
