"""The NumPy twin: the notes' equations and their backwards, written out; it never imports torch."""
