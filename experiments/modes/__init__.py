"""The four input/output modes: one cell, one to many, many to one, delayed and aligned (claim N5)."""
