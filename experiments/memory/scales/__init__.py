"""The time scales that units take on a latch of mixed delays, and how far training spreads them apart (N16)."""
