"""An experiment of milliseconds, for the tests of the harness: sums of drawn numbers."""
