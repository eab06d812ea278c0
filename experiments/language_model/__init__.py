"""Language models beside what can be known: sources of known entropy rate, text, gradients cut short (N6, N18 to N20)."""
