"""The suite as an instrument: breaks, false alarms, detection limits, faults killed (claims N2, N3, N4, N11, N19)."""
