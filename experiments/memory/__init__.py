"""Memory: what is kept, for how long, by which part of the cell (claims N7-N10, N12-N14, N16, N17, N21)."""
