"""What every experiment shares: sweep, engine, training, execution, store, statistics, figures, reports."""
