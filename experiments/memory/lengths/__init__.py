"""Success by length for cells at torch's own start and for tuned cells (claim N12), and for temporal order."""
