"""How long one bit is kept, by start: T50 on the latch."""
