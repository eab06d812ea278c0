"""Language models beside what can be known: sources of known rate, text, words, cut gradients (N6, N18 to N20)."""
