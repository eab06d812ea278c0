"""Where gradient norms go during training on the adding problem, with and without clipping (N15 after training)."""
