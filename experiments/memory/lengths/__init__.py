"""Success by length: cells at torch's own start and tuned cells (claim N12), and the pilot's settings again."""
