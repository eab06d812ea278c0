"""Where gradients go: their norm by lag untrained, against closed forms (claims N1, N15; beside N7, N14, N21)."""
