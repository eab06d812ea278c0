"""What each gate is for: LSTMs without one of their parts against the full one, seed by seed."""
