"""Which of Adam's rates, and which start, each cell learns text with: the same search for both cells."""
