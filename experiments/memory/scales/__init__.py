"""The time scales that units take on a latch of mixed delays: how far apart they are, before training and after (N16)."""
