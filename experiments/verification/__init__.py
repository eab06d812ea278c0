"""Verdicts: every law on every subject, what breaks, and programs that show it with the plain library alone."""
