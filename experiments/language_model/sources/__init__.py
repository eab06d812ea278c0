"""Cells on sources whose entropy rate is known: how far above the Bayes-optimal predictor they stay (claim N20)."""
