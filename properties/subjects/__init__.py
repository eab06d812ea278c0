"""Adapters, one a file; each module's `subject` is what `--subject` loads."""
