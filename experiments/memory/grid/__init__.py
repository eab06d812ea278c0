"""The grid from which tuned cells are chosen: start x rate x width for either cell, at equal multiply-adds."""
