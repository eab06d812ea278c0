"""Language models beside what can be known: sources of known rate, text, words, gradients cut short (N6, N18 to N20)."""
