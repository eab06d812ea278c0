"""One unit that keeps a bit: up to which push it stays on its side, by bisection, against the closed form (N1)."""
