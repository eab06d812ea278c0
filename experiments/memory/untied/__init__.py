"""What sharing weights over time is worth: untied weights against tied ones at equal training data (claim N17)."""
