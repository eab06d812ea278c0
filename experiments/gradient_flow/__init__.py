"""Where gradients go: their norm by lag at initialisation, against closed forms (claims N1, N7, N14, N15, N21)."""
