"""Files as students write them, which the suite must take as they are; tests plant their faults by replacing a line."""
